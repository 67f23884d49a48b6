/* SPDX-License-Identifier: MIT */
/*
 * The program of an archive: what it takes and returns, its operators, and which weight feeds which of them. Read by structure, never run.
 * Everything handed out here belongs to the reader and lives until it is closed; one thread at a time, as for the reader.
 */
#ifndef MXQ_PROGRAM_H
#define MXQ_PROGRAM_H

#include <mxq/archive.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mxq_program mxq_program;

/*
 * The program of an open archive (MXQ_PT2). It was checked when the archive was opened; the first call builds the lists below.
 * MXQ_ERR_USAGE (another kind of file), MXQ_ERR_LIMIT (many weights in each of many values), MXQ_ERR_NOMEM. *program is NULL on failure.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_reader_program(mxq_reader *reader, const mxq_program **program, struct mxq_error *err);

/* What a value of the program is. */
enum mxq_value_type {
  MXQ_VALUE_TENSOR = 0, MXQ_VALUE_INT, MXQ_VALUE_FLOAT, MXQ_VALUE_BOOL, MXQ_VALUE_STRING, MXQ_VALUE_NONE,
  MXQ_VALUE_OTHER          /* a custom object, a list, a token, ... */
};
/* "tensor", "int", "float", "bool", "string", "none", "other". Static storage. */
MXQ_API const char *mxq_value_type_name(enum mxq_value_type type);

/* An input that the user passes, or an output. */
struct mxq_value {
  const char *name;        /* in the graph; the text of a constant ("3", "true") where there is no name */
  enum mxq_value_type type;
  enum mxq_dtype dtype;    /* tensors; MXQ_DTYPE_NONE when the schema's number is not known here */
  uint32_t ndim;           /* tensors */
  const char *const *shape; /* ndim texts: "64", "s0", "2*s0 + 1" */
};
/* An unknown size and what it may be (range_constraints). */
struct mxq_symbol {
  const char *name;
  bool has_min, has_max;
  int64_t min, max;
};
/* Arrays of *count. In the program's order. */
MXQ_API const struct mxq_value *mxq_program_inputs(const mxq_program *program, size_t *count);   /* weights are not among them */
MXQ_API const struct mxq_value *mxq_program_outputs(const mxq_program *program, size_t *count);
MXQ_API const struct mxq_symbol *mxq_program_symbols(const mxq_program *program, size_t *count);

/* A node of the graph, or of a graph inside it (torch.cond and its like). */
struct mxq_operator {
  const char *name;        /* of its first result; "" when it has none */
  const char *target;      /* "torch.ops.aten.linear.default" */
  uint32_t depth;          /* 0: of the program's own graph */
};
/* Every node, in the order of execution; those of an inner graph stand behind the node that holds it. */
MXQ_API const struct mxq_operator *mxq_program_operators(const mxq_program *program, size_t *count);

/* How an operator uses a weight. Views on the way (transposes, reshapes, casts) are followed, also into inner graphs. */
enum mxq_use_kind {
  MXQ_USE_OTHER = 0,       /* not understood: no axis is preferred */
  MXQ_USE_CONTRACTS,       /* sums over the axes [axis_first, axis_last] of the weight: linear, matmul, convolutions, ... */
  MXQ_USE_LOOKS_UP,        /* takes rows: embeddings; axes are the last one */
  MXQ_USE_WRITES,          /* changes it; or may: a buffer that an operator takes which is not PyTorch's own */
  MXQ_USE_RETURNS          /* it is an output of the program; op is SIZE_MAX */
};
struct mxq_use {
  size_t tensor;           /* as mxq_reader_tensor counts; the first one of tied tensors */
  size_t op;               /* as mxq_program_operators counts; SIZE_MAX for an output that no operator makes */
  const char *argument;    /* "weight", "mat2", ... */
  enum mxq_use_kind kind;
  uint32_t axis_first, axis_last; /* CONTRACTS, LOOKS_UP: axes of the stored tensor, as its shape has them */
};
/* The uses of one tensor, in the program's order; tied tensors (one view of the same stored bytes) have the same ones. *count 0: nothing uses it. */
MXQ_API const struct mxq_use *mxq_program_uses(const mxq_program *program, size_t tensor, size_t *count);

/* What follows from all uses of a tensor for quantizing it inside the program. */
struct mxq_axes_choice {
  bool changed;            /* the program writes to it, or to another tensor over the same stored bytes: it must stay as it is */
  bool unreferenced;       /* nothing uses it */
  bool understood;         /* axis_first and axis_last hold */
  uint32_t axis_first, axis_last;
  const char *reason;      /* one phrase: "axis 1, summed by linear", "used by add.Tensor, which has no axis to block along" */
};
MXQ_API void mxq_program_axes(const mxq_program *program, size_t tensor, struct mxq_axes_choice *choice);

#ifdef __cplusplus
}
#endif
#endif
