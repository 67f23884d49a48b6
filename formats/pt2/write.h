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
  bool byte_scales;                  /* MXQ_TARGET_TORCH_2_11 */
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

/* write.c: checks and measures a tensor that is added; texts and shape go to the arena, strides do not. MXQ_ERR_USAGE, MXQ_ERR_NOMEM. */
enum mxq_status mxq_pt2_copy_tensor(struct mxq_arena *arena, const struct mxq_tensor *from, struct mxq_tensor *t, struct mxq_error *err);
/* For byte_scales. MXQ_ERR_UNSUPPORTED naming the tensor when one of n scales is 255. */
enum mxq_status mxq_pt2_check_scales(const void *scales, size_t n, const char *name, struct mxq_error *err);

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

/* Names under which tensors are stored. */
struct mxq_pt2_naming {
  struct mxq_arena *arena;           /* for new names */
  const char **sorted;               /* all tensors' own names; mxq_pt2_naming_sort brings them into order */
  size_t count;
  struct mxq_names taken;
  bool nomem;
};
void mxq_pt2_naming_sort(struct mxq_pt2_naming *n);
/* False when the name is taken already. */
bool mxq_pt2_naming_take(struct mxq_pt2_naming *n, const char *name);
/* Whether PyTorch can hold the name as the path of a module's parameter. */
bool mxq_pt2_can_hold(const struct mxq_pt2_naming *n, const char *name);
/* base + ending, or with _1, _2, ... where that is a tensor or a module already. NULL: out of memory. */
const char *mxq_pt2_stored_name(struct mxq_pt2_naming *n, const char *base, const char *ending);

/* write_manifest.c: the text of graph_module.metadata["custom"]. */
void mxq_pt2_manifest(const struct mxq_pt2_writer *w, struct mxq_text *text);
/* The entry of an MX tensor, from its key to its "source", whose object and itself are left open. */
void mxq_pt2_manifest_entry(struct mxq_text *text, const struct mxq_tensor *t, const char *codes, const char *scales);

/* graph.c: models/model.json. */
void mxq_pt2_model(const struct mxq_pt2_writer *w, struct mxq_text *text);

/* The part of model.json that grows with the tensors. */
struct mxq_pt2_graph {
  struct mxq_text inputs, specs, nodes, values, outputs, out_specs;
};
/* A tensor's description as PyTorch's schema has it; strides NULL = contiguous. */
void mxq_pt2_meta(struct mxq_text *text, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides, bool requires_grad);
/* The same on another device than the CPU, whose JSON text is given (NULL: the CPU). */
void mxq_pt2_meta_on(struct mxq_text *text, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides, bool requires_grad,
                     const char *device);
/* One more member of tensor_values, behind a comma where one is needed. */
void mxq_pt2_value_entry(struct mxq_text *values, const char *name, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides,
                         const char *device);
/* An input of the program: what it is called, and which stored tensor it stands for. Its entry in tensor_values is the caller's. */
void mxq_pt2_buffer_input(struct mxq_pt2_graph *g, const char *name, const char *fqn);
void mxq_pt2_table_input(struct mxq_pt2_graph *g, const char *name, const char *fqn);
/* Shapes in which an MX tensor is stored: the axes outside the run, then bytes of codes (or blocks). Returns the number of dimensions. */
uint32_t mxq_pt2_codes_shape(const struct mxq_tensor *t, uint64_t shape[MXQ_MAX_NDIM + 1]);
uint32_t mxq_pt2_scales_shape(const struct mxq_tensor *t, uint64_t shape[MXQ_MAX_NDIM + 1]);
int mxq_pt2_codes_dtype(enum mxq_format format);
int mxq_pt2_scales_dtype(bool byte_scales);

/* What the nodes that decode one tensor are called and work on. */
struct mxq_pt2_chain {
  const char *codes, *scales;        /* inputs */
  const char *result;                /* name of the last node and what it makes */
  const char *prefix;                /* intermediate results are <prefix>_<step> */
  const char *const *tables;         /* inputs, by enum mxq_pt2_table */
  const char *device;                /* JSON text; NULL: the CPU */
  const char *stack;                 /* JSON text of nn_module_stack; NULL: that of the program itself */
  bool byte_scales;                  /* scales are uint8: MXQ_TARGET_TORCH_2_11 */
  bool described;                    /* tensor_values holds the result already */
  struct mxq_names *taken;           /* names in the graph, to which those of intermediate results are added; NULL: the prefix makes them unique */
  struct mxq_arena *arena;           /* for names */
};
/* graph_decode.c: appends the nodes that decode an MX tensor; its strides (NULL: contiguous) are those of the result and leave no gaps. */
void mxq_pt2_decode(struct mxq_pt2_graph *g, const struct mxq_pt2_chain *chain, const struct mxq_tensor *t);
/* A node that gives a value a second name, chain->result. */
void mxq_pt2_alias(struct mxq_pt2_graph *g, const struct mxq_pt2_chain *chain, const char *of);

/* graph_names.c: base + ending, or with _1, _2, ... behind it when that is taken. It is taken afterwards. NULL: out of memory. */
const char *mxq_pt2_unused_name(struct mxq_names *taken, struct mxq_arena *arena, const char *base, const char *ending);
/* The axes in the order in which a tensor's values lie: from the largest stride to the smallest. */
void mxq_pt2_memory_order(const struct mxq_tensor *t, uint32_t order[MXQ_MAX_NDIM]);
/* The strides that the nodes give a tensor: its own, but for axes of size 1, where they mean nothing. */
void mxq_pt2_result_strides(const struct mxq_tensor *t, uint64_t strides[MXQ_MAX_NDIM]);

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
