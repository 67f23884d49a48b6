/* SPDX-License-Identifier: MIT */
/* The way back of a program: which of its nodes only decode MX weights, and how their tensors are stored as they were. */
#ifndef MXQ_PT2_RESTORE_H
#define MXQ_PT2_RESTORE_H

#include "formats/pt2/splice.h"

/* What becomes of a node: it stays (0), it goes, or it goes and something else will make its result. */
enum { MXQ_GONE = 1, MXQ_RESULT_STAYS };

/*
 * Marks in `gone` (one for each node of the program's own graph, all 0 before) the nodes that compute `values` and nothing else: the nodes that make
 * them, and everything before those whose results nobody else takes. MXQ_ERR_UNSUPPORTED (naming the node) when one of them takes something that is
 * passed to the program. parts: for each stored tensor, whether it is codes or scales of what is restored.
 */
enum mxq_status mxq_pt2_decoding_nodes(const struct mxq_pt2_program *p, const uint32_t *values, size_t count, const bool *parts, unsigned char *gone,
                                       struct mxq_error *err);
/* Whether a value of the program's own graph is taken only by nodes that are gone (or by nobody), and is no output. */
bool mxq_pt2_unused(const struct mxq_pt2_program *p, uint32_t value, const unsigned char *gone);

/* The manifest of a program, as it stands in graph_module.metadata["custom"] (restore_manifest.c). */
struct mxq_pt2_manifest_doc {
  char *text;                        /* decoded */
  size_t size;
  struct mxq_span mx, mx_value;      /* the member "mx"; its value, when that is an object; n 0: not there */
  struct mxq_span tensors, kept, tables; /* objects and array in it; n 0: not there */
  struct mxq_arena arena;
};
/* What the graph says of a weight. */
struct mxq_pt2_told {
  bool requires_grad, has_grad, has_offset; /* has_*: the manifest says so */
  const int64_t *strides;            /* NULL: contiguous, or the manifest says nothing */
  uint32_t stride_count;
  uint64_t storage_offset;
};
/* What a manifest says about the source of a tensor; zero and NULL where it says nothing. */
struct mxq_pt2_source {
  const char *record, *value, *device, *device_name; /* device: JSON text; its name as readers tell it */
  const int64_t *strides;
  uint32_t stride_count;
  uint64_t storage_offset;
  bool parameter;                    /* only said of tensors that no input stands for */
  struct mxq_pt2_told graph;         /* where it differs from the config */
  uint32_t place[3];                 /* among graph.inputs, tensor_values and entries of the config; MXQ_NO_NUMBER */
};
/* All NULL and 0 when there is no manifest. MXQ_ERR_NOMEM. After a failure too: free. */
enum mxq_status mxq_pt2_manifest_doc_open(struct mxq_pt2_manifest_doc *d, const struct mxq_pt2_program *p, struct mxq_error *err);
void mxq_pt2_manifest_doc_free(struct mxq_pt2_manifest_doc *d);
/* Fills in sources[number] for every name in `names` that the manifest has; *sources are zeroed but for places. Texts live in the doc. MXQ_ERR_NOMEM. */
enum mxq_status mxq_pt2_sources_read(struct mxq_pt2_manifest_doc *d, const struct mxq_names *names, struct mxq_pt2_source *sources, struct mxq_error *err);
/* Takes the entries of those names out, and what has no content any more: "mx", "custom". */
enum mxq_status mxq_pt2_manifest_strip(struct mxq_pt2_manifest_doc *d, const struct mxq_pt2_program *p, const struct mxq_names *names,
                                       struct mxq_pt2_splices *model, struct mxq_error *err);

/*
 * restore_value.c: the value of the program's own graph that is this tensor, its axes in their order: what was recognised, or what nodes make of it that only
 * turn its axes. MXQ_NO_NUMBER: none is.
 */
uint32_t mxq_pt2_restore_value(const struct mxq_pt2_program *p, const struct mxq_pt2_recognised *found, const struct mxq_tensor *t);
/* Whether nodes make a value of these two stored tensors, and of constants, alone: a manifest may say anything. */
bool mxq_pt2_made_of(const struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, uint32_t value, uint32_t codes, uint32_t scales);
/* All that is recognised of the stored tensors that are taken back. */
struct mxq_pt2_found {
  struct mxq_pt2_recognised *of;     /* malloced; by codes */
  size_t count;
};
enum mxq_status mxq_pt2_found_make(struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, const bool *parts, struct mxq_pt2_found *found,
                                   struct mxq_error *err);
/* The first of them that is this tensor; MXQ_NO_NUMBER: none is. */
uint32_t mxq_pt2_restore_pattern(const struct mxq_pt2_program *p, const struct mxq_pt2_found *found, uint32_t codes, uint32_t scales, const struct mxq_tensor *t);
/* Whether a value may be this tensor: it is on the way to one that was recognised, or a copy of such a value, or none was recognised. */
bool mxq_pt2_restore_agrees(const struct mxq_pt2_program *p, const struct mxq_pt2_found *found, uint32_t codes, uint32_t scales, const struct mxq_tensor *t,
                            uint32_t value);

/* A tensor as a program had it before it was quantized: one for each of tied names. */
struct mxq_pt2_plain {
  const char *fqn;                   /* its name in the weights config */
  const char *value_name;            /* its name in the graph */
  uint32_t value;                    /* number of that value in the program's own graph; MXQ_NO_NUMBER: nothing uses it */
  int dtype;                         /* number of PyTorch's schema */
  uint32_t ndim;
  const uint64_t *shape;
  const int64_t *strides;            /* NULL: contiguous */
  uint64_t storage_offset;
  bool parameter, requires_grad, unreferenced; /* unreferenced: no input of the program stood for it */
  struct mxq_pt2_told graph;         /* strides NULL: as above */
  const char *device;                /* JSON text of the device; NULL: {"type": "cpu", "index": null} */
  const char *record;                /* bare name of its record */
  /* Where it stood among graph.inputs, tensor_values and the entries of the config; MXQ_NO_NUMBER: it takes the place of the codes. */
  uint32_t input_place, value_place, entry_place;
};
/* An MX tensor under all its names. */
struct mxq_pt2_group {
  uint32_t codes, scales;            /* numbers in reader->stored */
  struct mxq_pt2_plain *plain;       /* the first of them takes the place of the codes */
  size_t count;
};
/*
 * Splices model.json and the weights config so that the groups are plain tensors again; `tables` says which stored tensors (constants) are tables of
 * decoding nodes, and *used tells for each afterwards whether some node still needs it. weights is the text of the weights config.
 * MXQ_ERR_UNSUPPORTED (nodes that cannot be undone), MXQ_ERR_NOMEM.
 */
enum mxq_status mxq_pt2_restore_texts(const struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, const struct mxq_pt2_group *groups, size_t count,
                                      bool *tables, struct mxq_pt2_splices *model, const char *weights, size_t weights_n,
                                      struct mxq_pt2_splices *config, struct mxq_error *err);

#endif
