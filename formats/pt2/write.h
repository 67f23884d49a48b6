/* SPDX-License-Identifier: MIT */
/*
 * The writer of weights archives (SPEC.md): what its files share. A writer collects tensors; mxq_pt2_plan then decides all names, texts,
 * sizes and places, and the run only moves bytes.
 */
#ifndef MXQ_PT2_WRITE_H
#define MXQ_PT2_WRITE_H

#include "formats/format.h"
#include "formats/json/json.h"
#include "formats/pt2/write_out.h"

enum mxq_status mxq_pt2_open_writer(const struct mxq_write_options *options, struct mxq_writer **writer, struct mxq_error *err);
enum mxq_status mxq_pt2_verify(const struct mxq_source *source, const char *path, const struct mxq_read_options *options,
                               void (*on_finding)(void *user, const struct mxq_finding *finding), void *user,
                               struct mxq_verify_result *result, struct mxq_error *err);

/* Most quantized tensors that the program decodes one by one unless it is told to (pt2-archive: loading takes about 15 ms for each). */
#define MXQ_PT2_EACH 512
/* Alignment of member data unless told otherwise. */
#define MXQ_PT2_ALIGN 64u
/* Bytes of the root folder's name. PyTorch has room for 512 bytes of a whole member name. */
#define MXQ_PT2_LONGEST_ROOT 200

/* A tensor that was added. Texts and shapes live in the writer's arena. */
struct mxq_pt2_item {
  struct mxq_tensor t;
  const char *stored[2];             /* names in the weights config: the tensor's, or codes and scales */
  bool own_name;                     /* false: PyTorch cannot hold the true name */
};

/* The tables a decoding program shares between its tensors. */
enum mxq_pt2_table { MXQ_TABLE_E2M1, MXQ_TABLE_E2M3, MXQ_TABLE_E3M2, MXQ_TABLE_PLACE, MXQ_TABLE_SHIFT, MXQ_TABLE_COUNT };

struct mxq_pt2_writer {
  struct mxq_writer base;
  struct mxq_arena arena;
  const char *root;
  uint32_t align;
  enum mxq_graph graph;
  const char **metadata;
  size_t metadata_count;

  struct mxq_pt2_item *items;
  size_t count, capacity, quantized;
  struct mxq_names by_name;

  /* By mxq_pt2_plan: */
  bool planned, ran;
  struct mxq_arena plan_arena;       /* stored names */
  const char *table_name[MXQ_TABLE_COUNT];  /* NULL: not used */
  struct mxq_text weights_config, constants_config, model;
  struct mxq_pt2_out out;
};

/* write_plan.c */
bool mxq_pt2_each(const struct mxq_pt2_writer *w);
enum mxq_status mxq_pt2_plan(struct mxq_pt2_writer *w, struct mxq_error *err);
void mxq_pt2_plan_free(struct mxq_pt2_writer *w);
/* What export can store: the number of a dtype in PyTorch's schema, and the shape it gets there (F4 and F6 travel as bytes in one dimension). */
int mxq_pt2_stored_dtype(enum mxq_dtype dtype);
bool mxq_pt2_as_bytes(enum mxq_dtype dtype);

/* write_names.c. Whether a folder name of n bytes can hold an archive's members: no slashes, backslashes, colons, control characters; not . or .. */
bool mxq_pt2_root_valid(const char *root, size_t n);
/* Fills in the items' stored names and the tables' names. MXQ_ERR_NOMEM. */
enum mxq_status mxq_pt2_name(struct mxq_pt2_writer *w, struct mxq_error *err);

/* write_manifest.c: the text of graph_module.metadata["custom"]. */
void mxq_pt2_manifest(const struct mxq_pt2_writer *w, struct mxq_text *text);

/* graph.c: models/model.json. */
void mxq_pt2_model(const struct mxq_pt2_writer *w, struct mxq_text *text);

/* The part of model.json that grows with the tensors. */
struct mxq_pt2_graph {
  struct mxq_text inputs, specs, nodes, values, outputs, out_specs;
};
/* A tensor's description as PyTorch's schema has it; strides NULL = contiguous. */
void mxq_pt2_meta(struct mxq_text *text, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides, bool requires_grad);
/* Shapes in which an MX tensor is stored: the axes outside the run, then bytes of codes (or blocks). Returns the number of dimensions. */
uint32_t mxq_pt2_codes_shape(const struct mxq_tensor *t, uint64_t shape[MXQ_MAX_NDIM + 1]);
uint32_t mxq_pt2_scales_shape(const struct mxq_tensor *t, uint64_t shape[MXQ_MAX_NDIM + 1]);
int mxq_pt2_codes_dtype(enum mxq_format format);

/* graph_decode.c: appends the nodes that decode MX tensor number i and names the result "t<i>". */
void mxq_pt2_decode(struct mxq_pt2_graph *g, size_t i, const struct mxq_tensor *t);

/* graph_tables.c */
bool mxq_pt2_table_used(enum mxq_pt2_table table, enum mxq_format format);
const char *mxq_pt2_table_fqn(enum mxq_pt2_table table);
const char *mxq_pt2_table_node(enum mxq_pt2_table table);
int mxq_pt2_table_dtype(enum mxq_pt2_table table);
uint32_t mxq_pt2_table_shape(enum mxq_pt2_table table, uint64_t shape[2]);
size_t mxq_pt2_table_bytes(enum mxq_pt2_table table);
/* Writes the table's bytes. */
void mxq_pt2_table_data(enum mxq_pt2_table table, void *buf);

#endif
