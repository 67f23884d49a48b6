/* SPDX-License-Identifier: MIT */
/*
 * How decoding nodes are recognised: what they compute is worked out for probe bytes in place of the stored ones, and compared with the
 * definition of OCP MX. Nothing of the archive runs; only the operators below are known, and whatever is not known is not recognised.
 *
 * A value is known by the first elements that it has when the stored tensor is the probe bytes again and again: each operator treats all
 * places of a tensor alike, up to `period`. When that period is the natural one of a format (2 elements for MXFP4, 4 for packed MXFP6, else
 * 1), probes that cover it prove what happens everywhere.
 */
#ifndef MXQ_PT2_RECOGNISE_H
#define MXQ_PT2_RECOGNISE_H

#include "formats/pt2/program.h"

enum {
  MXQ_PROBES = 768,                  /* bytes: 256 triples that have all bytes, and all 6-bit codes in each of their four places */
  MXQ_PROBE_MOST = 32 * MXQ_PROBES,            /* elements of a value that depends on a stored tensor */
  MXQ_PROBE_TABLE = 65536            /* elements of one that does not */
};

/* Exact: integers in i (f8 and e8m0 as their bits), floats in d, already rounded to the dtype. */
struct mxq_probe_number {
  union { int64_t i; double d; };
  bool ok;                           /* false: the program fails here, or nobody knows */
};
struct mxq_probe_value {
  bool known, uniform;               /* uniform: one number, which every element is */
  uint32_t source;                   /* the stored tensor; MXQ_NO_NUMBER: a constant, with all of its elements */
  enum mxq_dtype dtype;
  uint32_t ndim;
  int64_t size[MXQ_MAX_NDIM];
  uint64_t total;                    /* product of the sizes; not 0 */
  uint32_t n, period;
  struct mxq_probe_number *e;
};

struct mxq_probe_graph;
struct mxq_probe_seen;
/* Work on one product: values that are needed, by number in the graph. */
struct mxq_probe {
  struct mxq_pt2_reader *r;
  const struct mxq_pt2_program *p;
  const struct mxq_pt2_subgraph *g;
  struct mxq_arena arena, lasting;   /* dies with the product; with all of them */
  struct mxq_probe_seen *seen;       /* products that were worked out, the last one first */
  struct mxq_probe_value **values;   /* by value; NULL: not worked out */
  uint32_t *made, made_count;        /* those that are */
  uint64_t room;                     /* elements that may still be made */
  uint64_t *budget;                  /* nodes that may still be worked out, for all products */
  bool nomem;
  /* The node at hand: */
  const struct mxq_pt2_arg *args;
  uint32_t arg_count;
};

/* recognise_eval.c: works out the values that `value` depends on, and itself; NULL: not known, or out of memory (t->nomem). */
const struct mxq_probe_value *mxq_probe_work_out(struct mxq_probe *t, const struct mxq_probe_graph *graph, uint32_t value);
/* Takes the node's arguments apart; its operator's name, and what stands behind the dot. False: not one of PyTorch's own, or out of memory. */
bool mxq_probe_load(struct mxq_probe *t, uint32_t node, char name[static 40], char overload[static 40]);
/*
 * The operator's name in a target ("mul.Tensor", "__and__.Scalar", "add_.Tensor" -> "mul", "and", "add"), and whether it writes to its first
 * argument. False: none of PyTorch's own, or one that writes to others.
 */
bool mxq_probe_target(const struct mxq_pt2_program *p, const struct mxq_pt2_node *node, char name[static 40], bool *in_place);

/* recognise_args.c: arguments by name; NULL: not given, or None. */
const struct mxq_pt2_arg *mxq_probe_arg(const struct mxq_probe *t, const char *name);
/* A known tensor; NULL otherwise. */
const struct mxq_probe_value *mxq_probe_tensor(const struct mxq_probe *t, const char *name);
/* A whole number, also as a default; false when there is something else. */
bool mxq_probe_int(const struct mxq_probe *t, const char *name, int64_t otherwise, int64_t *value);
/* A scalar or a tensor as a value. False: neither. */
bool mxq_probe_operand(struct mxq_probe *t, const char *name, struct mxq_probe_value *scalar, const struct mxq_probe_value **value);
/* The dtype that an argument names, `otherwise` without one; NONE: unknown. */
enum mxq_dtype mxq_probe_dtype_arg(const struct mxq_probe *t, enum mxq_dtype otherwise);
/* A dimension counted from the front; false when it is out of range. */
bool mxq_probe_dim(int64_t dim, uint32_t ndim, uint32_t *out);
/* Sizes -> total and ndim; false when one is not static, the total is 0, or too big. */
bool mxq_probe_shape(struct mxq_probe_value *v, uint32_t ndim, const int64_t *size);
/* The elements; false (nomem, or the room is used up). */
bool mxq_probe_elements(struct mxq_probe *t, struct mxq_probe_value *v, uint64_t n);

/* recognise_shape.c, recognise_table.c: operators that move elements, and those that make or look up some. False: not one of them. (out->known
   stays false when it is one, but is not understood.) */
bool mxq_probe_move(struct mxq_probe *t, const char *name, const char *overload, struct mxq_probe_value *out);
bool mxq_probe_table(struct mxq_probe *t, const char *name, struct mxq_probe_value *out);
bool mxq_probe_is_reshape(const char *name);
/* The sizes that a reshape, unsqueeze, flatten, ... gives. */
bool mxq_probe_reshaped(const struct mxq_probe *t, const char *name, const struct mxq_probe_value *in, struct mxq_probe_value *out);

/* recognise_math.c: element by element. */
bool mxq_probe_math(struct mxq_probe *t, const char *name, struct mxq_probe_value *out);
bool mxq_probe_cast(struct mxq_probe *t, const struct mxq_probe_value *in, enum mxq_dtype dtype, struct mxq_probe_value *out);

/* recognise_number.c */
bool mxq_probe_is_float(enum mxq_dtype dtype); /* f32, bf16, f16, f64 */
bool mxq_probe_is_int(enum mxq_dtype dtype);   /* bool and the integers up to 64 bits, unsigned 8 */
enum mxq_dtype mxq_probe_promote(enum mxq_dtype a, enum mxq_dtype b); /* NONE: not done */
double mxq_probe_round(double x, enum mxq_dtype dtype);
int64_t mxq_probe_wrap(int64_t x, enum mxq_dtype dtype);
/* A number of one dtype as another, as PyTorch casts. */
struct mxq_probe_number mxq_probe_convert(struct mxq_probe_number x, enum mxq_dtype from, enum mxq_dtype to);

/* recognise_match.c: the probe bytes, and what two operands of a product are. */
unsigned char mxq_probe_byte(uint32_t i);
enum mxq_probe_how {
  MXQ_PROBE_EXACT,
  MXQ_PROBE_NO_NAN,                  /* but for the scale 255: exp2 makes Inf of it */
  MXQ_PROBE_NO_ENDS,                 /* and for the scale 0: (byte << 23) as f32 makes 0 of it, not 2^-127 */
  MXQ_PROBE_ABOUT                    /* nor is asked which zero, Inf or NaN there is, and what becomes of MXINT8's 0x80 */
};
struct mxq_probe_match {
  enum mxq_format format;
  bool unpacked;
};
/* Whether codes * scales (exponent: codes * 2^scales) is an MX tensor. */
bool mxq_probe_match(const struct mxq_pt2_reader *r, const struct mxq_probe_value *codes, const struct mxq_probe_value *scales, bool exponent,
                     enum mxq_probe_how how, struct mxq_probe_match *match);

/* What a product was found to be. */
struct mxq_probe_verdict {
  bool mx;                           /* as `how` says */
  enum mxq_probe_how how;            /* not mx, and MXQ_PROBE_ABOUT: nearly; decoders of others take such liberties */
  struct mxq_probe_match match;
  struct mxq_probe_value product;    /* shape and dtype */
};
/* recognise_same.c: the verdict on a product (a value) made by the same nodes of tensors of the same shapes; NULL: there was none. part: codes, scales. */
const struct mxq_probe_verdict *mxq_probe_seen_before(struct mxq_probe *t, const struct mxq_probe_graph *graph, uint32_t product, const uint32_t part[2]);
void mxq_probe_see(struct mxq_probe *t, uint32_t product, const uint32_t part[2], const struct mxq_probe_verdict *verdict);

/* recognise_graph.c: what the graph says about the values before anything is worked out. */
struct mxq_probe_graph {
  uint32_t *source;                  /* by value: the 8-bit stored tensor it depends on; MXQ_CONSTANT; MXQ_NOT_STORED */
  bool *changed;                     /* by value: something may write to it later, or wrote to it */
  bool *stored_changed;              /* by stored tensor */
  bool *output;                      /* by value: the program returns it */
  uint32_t *products;                /* numbers of nodes that multiply values of two different sources */
  uint32_t product_count;
};
#define MXQ_CONSTANT (UINT32_MAX - 1)
#define MXQ_NOT_STORED UINT32_MAX
/* False: out of memory. All of it lies in the arena. */
bool mxq_probe_graph(struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, struct mxq_arena *arena, struct mxq_probe_graph *out);

/* recognise_follow.c: from the product to the value that the rest of the program takes as the weight. `product` is its value as computed. */
bool mxq_probe_follow(struct mxq_probe *t, const struct mxq_probe_graph *graph, uint32_t value, const struct mxq_probe_value *product,
                      struct mxq_pt2_recognised *found);

#endif
