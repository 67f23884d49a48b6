/* SPDX-License-Identifier: MIT */
/*
 * The writer that edits the program of an open archive: what its files share. Adds are collected (edit.c); the plan loads the texts that change,
 * chooses names (edit_names.c), splices model.json (edit_graph.c, edit_manifest.c) and the configs (edit_config.c), or takes MX tensors out again
 * (restore.c), and lays the members (edit_out.c). The run copies, pulls, and checks all that it copies.
 */
#ifndef MXQ_PT2_EDIT_H
#define MXQ_PT2_EDIT_H

#include "formats/pt2/config_text.h"
#include "formats/pt2/program.h"
#include "formats/pt2/splice.h"
#include "formats/pt2/write.h"

/* What was added, and what it replaces. */
struct mxq_pt2_edit_item {
  struct mxq_tensor t;               /* strides: those of the result (NULL: contiguous); they leave no gaps */
  bool back;                         /* an ordinary tensor, which replaces an MX one */
  uint32_t tensor;                   /* number in the reader */
  /* Numbers in reader->stored. Forward: all tied names of the weight, those with inputs first, in the inputs' order. Back: codes and scales. */
  const uint32_t *stored;
  uint32_t count;
  /* By the plan: */
  const char *fqn[2];                /* names in the weights config: codes and scales, or the tensor */
  const char *input[2];              /* forward: their names in the graph; NULL: the program has no input for the weight */
  const char *record[2];             /* bare names of new records */
  uint32_t place;                    /* the member of the source in whose place they come */
  uint32_t device;                   /* number in edit->devices */
  /* Back: items whose values lie in one record, by place in it. The first has the record. */
  uint32_t next;                     /* MXQ_NO_NUMBER: the last */
  bool follows;                      /* not the first */
  uint64_t at, record_bytes;         /* bytes before its values; of the whole record (of the first) */
  uint32_t base;                     /* of the first: a record that stays, with these values put in; MXQ_NO_NUMBER: a new one */
  struct mxq_extent part[2];         /* in the new file */
};

/* Tables of decoding nodes, for one device. */
struct mxq_pt2_edit_device {
  const char *text;                  /* JSON; NULL: {"type": "cpu", "index": null} */
  const char *fqn[MXQ_TABLE_COUNT], *input[MXQ_TABLE_COUNT], *record[MXQ_TABLE_COUNT]; /* NULL: not used */
};

/* A member that is text and may change. */
struct mxq_pt2_edit_text {
  size_t member;
  char *text;                        /* malloced; NULL: of the program */
  size_t n;
  struct mxq_pt2_splices splices;
  size_t edited;                     /* bytes with them */
};

/* What fills a member: part.sub of struct mxq_pt2_part, where number is that of a member of the source (COPY, TEXT) or of an item. */
enum { MXQ_EDIT_COPY, MXQ_EDIT_TEXT, MXQ_EDIT_CODES, MXQ_EDIT_SCALES, MXQ_EDIT_RECORD };

struct mxq_pt2_edit {
  struct mxq_writer base;
  struct mxq_pt2_reader *reader;
  struct mxq_pt2_program *program;   /* read with the first add */
  bool own_program;                  /* to be freed here */
  uint32_t align;
  bool byte_scales;
  const char *const *metadata;
  size_t metadata_count;
  bool (*progress)(void *user, uint64_t done, uint64_t total);
  void *user;

  struct mxq_arena arena;
  struct mxq_pt2_edit_item *items;
  size_t count, room, back_count;
  uint32_t *item_of;                 /* by stored tensor: the item that replaces it, MXQ_NO_NUMBER */
  uint32_t *input_of;                /* by stored tensor: its input, MXQ_NO_NUMBER */
  uint32_t *by_view;                 /* stored tensors, those of one view side by side */

  /* By the plan: */
  bool planned, ran;
  struct mxq_arena plan_arena;
  struct mxq_pt2_edit_text model, weights, constants;
  struct mxq_pt2_config_text weights_index, constants_index;
  struct mxq_names graph_names;      /* of all graphs, ours included */
  struct mxq_names modules;          /* whose calls are kept apart */
  struct mxq_pt2_edit_device *devices;
  size_t device_count;
  bool *gone;                        /* by stored tensor: its config has no entry for it any more */
  bool *dropped;                     /* by member: nothing refers to it any more */
  struct mxq_pt2_out out;
  size_t *to;                        /* by member of the source: its number in the new file, SIZE_MAX when it is not there */
  uint64_t done, all;
  struct mxq_pt2_reorder *reorder;   /* the item in work, when it is stored in another order of axes */
  size_t reordered;                  /* which */
  uint32_t piece;                    /* the item in work within a record of several */
};

/* edit_out.c */
enum mxq_status mxq_pt2_edit_plan(struct mxq_pt2_edit *e, struct mxq_error *err);
void mxq_pt2_edit_plan_free(struct mxq_pt2_edit *e);
/* The text of that member of the source when it may change, else NULL. */
struct mxq_pt2_edit_text *mxq_pt2_edited(struct mxq_pt2_edit *e, size_t member);
/* edit_run.c */
enum mxq_status mxq_pt2_edit_run(struct mxq_pt2_edit *e, const struct mxq_sink *sink, mxq_pull_fn pull, void *user, struct mxq_error *err);
/* edit_names.c: fqn, input, record, device of all forward items, and the devices. */
enum mxq_status mxq_pt2_edit_name(struct mxq_pt2_edit *e, struct mxq_error *err);
/* One more than the largest number of members called <folder><word><number>. */
uint64_t mxq_pt2_edit_next_record(const struct mxq_pt2_edit *e, const char *folder, const char *word);
/* edit_graph.c: splices of inputs, signature, values and nodes. */
enum mxq_status mxq_pt2_edit_graph(struct mxq_pt2_edit *e, struct mxq_error *err);
/* edit_inside.c: fills in `modules`. False: out of memory. */
bool mxq_pt2_edit_find_modules(struct mxq_pt2_edit *e);
/* Where a value's decoding nodes must stand, when that is within such a module: before *node, with its nn_module_stack. Else MXQ_NO_NUMBER and NULL. */
bool mxq_pt2_edit_inside(struct mxq_pt2_edit *e, uint32_t value, uint32_t *node, const char **stack);
/* edit_place.c: composed nodes, each piece of them before the node of that number. All zero to begin with, but for `to`. */
struct mxq_pt2_edit_nodes {
  struct mxq_pt2_splices *to;        /* of the program's text; when memory runs out, they have failed */
  struct mxq_pt2_edit_piece {
    uint32_t place;
    size_t order;
    struct mxq_pt2_kept text;
  } *list;
  size_t count, room;
};
/* Takes over a text that is not empty. */
void mxq_pt2_edit_put(struct mxq_pt2_edit_nodes *nodes, uint32_t place, struct mxq_text *text);
/* Splices all of them into the program, and frees. */
void mxq_pt2_edit_put_done(struct mxq_pt2_edit_nodes *nodes, const struct mxq_pt2_program *p);
/* edit_config.c: splices of both configs. */
enum mxq_status mxq_pt2_edit_configs(struct mxq_pt2_edit *e, struct mxq_error *err);
/* restore.c: the same for items that take MX tensors back: splices of all texts, names of records, what is gone. */
enum mxq_status mxq_pt2_restore(struct mxq_pt2_edit *e, struct mxq_error *err);
/* restore_records.c: from the records that items had (names, and offsets in elements in `at`) to those that they get: names, bytes, who shares one. */
enum mxq_status mxq_pt2_restore_records(struct mxq_pt2_edit *e, struct mxq_error *err);
/* edit_records.c: `dropped` from `gone`, other programs of the archive included. */
enum mxq_status mxq_pt2_edit_drop(struct mxq_pt2_edit *e, struct mxq_error *err);
/* edit_manifest.c: splices of graph_module.metadata.custom. */
enum mxq_status mxq_pt2_edit_manifest(struct mxq_pt2_edit *e, struct mxq_error *err);
/* What an item's weight was, where the way back could not tell. */
struct mxq_pt2_edit_source {
  bool parameter, strided;           /* strided: not as contiguous tensors have them */
  int64_t strides[MXQ_MAX_NDIM];
  uint32_t value;                    /* in the program's graph; MXQ_NO_NUMBER: it has no input */
  bool used;                         /* something takes that value */
  uint32_t input_place, entry_place; /* number among graph.inputs and the config's entries; MXQ_NO_NUMBER: codes take its place */
};
/* edit_source.c: of the tied name number k. */
void mxq_pt2_edit_source(const struct mxq_pt2_edit *e, const struct mxq_pt2_edit_item *item, uint32_t k, struct mxq_pt2_edit_source *source);
/* What the graph says of a weight otherwise than its config, when it does: ,"graph":{...}. PyTorch writes a weight as it is now, and the graph as it was. */
void mxq_pt2_edit_told(const struct mxq_pt2_edit *e, const struct mxq_pt2_stored *s, uint32_t value, struct mxq_text *t);
/* The value of a key in an object that was read before; n 0: not there. False: out of memory. */
bool mxq_pt2_field(const char *text, struct mxq_span object, const char *key, struct mxq_span *value);
/* JSON with ", " and ": ", as Python prints it. */
void mxq_pt2_python_style(struct mxq_text *to, const char *text, size_t n);

#endif
