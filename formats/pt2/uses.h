/* SPDX-License-Identifier: MIT */
/*
 * What the program does with its weights: views of a weight are followed from node to node, until an operator does something else with one.
 * Everything that callers see lies in the reader's arena; what only the walk needs dies with it.
 */
#ifndef MXQ_PT2_USES_H
#define MXQ_PT2_USES_H

#include <mxq/program.h>

#include "formats/pt2/program.h"

struct mxq_program {
  const struct mxq_value *inputs, *outputs;
  size_t input_count, output_count;
  const struct mxq_symbol *symbols;
  size_t symbol_count;
  const struct mxq_operator *operators;
  size_t operator_count, tensor_count;
  const struct mxq_use *uses;        /* by group, in the program's order */
  const size_t *first_use;           /* by group of tied tensors, one more than there are groups */
  const uint32_t *group;             /* by tensor */
  const struct mxq_axes_choice *choices; /* by group */
};

/*
 * A value that holds (part of) a weight's numbers. Each dimension is a list of the weight's axes, flattened in that order (none: a dimension
 * of one, or one that repeats), or unknown.
 */
struct mxq_pt2_view {
  const struct mxq_pt2_view *next;   /* values put together of several weights */
  uint32_t group;
  bool alias;                        /* writing to it may write to the weight */
  uint8_t ndim;
  uint64_t unknown;                  /* by dimension */
  uint8_t first[MXQ_MAX_NDIM + 1];   /* where a dimension's axes begin */
  uint8_t axes[MXQ_MAX_NDIM];
};

/* uses_view.c: a view of a view. Sizes are those of the value, -1 where not known; `source` has those of the weight. */
void mxq_pt2_view_whole(struct mxq_pt2_view *out, uint32_t group, uint32_t ndim);
void mxq_pt2_view_unknown(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, uint32_t ndim);
void mxq_pt2_view_reshape(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, const uint64_t *source, const int64_t *from, uint32_t ndim,
                          const int64_t *to);
void mxq_pt2_view_permute(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, const uint8_t *dims);
void mxq_pt2_view_drop(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, uint32_t dim);
void mxq_pt2_view_insert(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, uint32_t dim); /* a dimension without axes */
void mxq_pt2_view_spread(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, const int64_t *from, uint32_t ndim, const int64_t *to);
/* The run of neighbouring axes that these dimensions (a bit each) are; axes of one are jumped over. */
bool mxq_pt2_view_run(const struct mxq_pt2_view *view, uint64_t dims, const uint64_t *source, uint32_t *first, uint32_t *last);

/* uses_table.c: what an operator does with an argument. */
enum mxq_pt2_action {
  MXQ_DOES_OTHER = 0,
  MXQ_DOES_ASK,                      /* takes sizes or dtype only */
  /* The result is a view of the argument: */
  MXQ_DOES_SAME, MXQ_DOES_COPY, MXQ_DOES_RESHAPE, MXQ_DOES_SPREAD, MXQ_DOES_CUT, MXQ_DOES_T, MXQ_DOES_REVERSE, MXQ_DOES_SWAP_LAST, MXQ_DOES_TRANSPOSE,
  MXQ_DOES_PERMUTE, MXQ_DOES_MOVE, MXQ_DOES_SELECT, MXQ_DOES_ELEMENTWISE, MXQ_DOES_JOIN, MXQ_DOES_STACK,
  /* Something becomes of it: */
  MXQ_DOES_BYTES,                    /* looks at its memory, whatever its axes */
  MXQ_DOES_WRITE, MXQ_DOES_WRITE_TRAINING, MXQ_DOES_WRITE_PERHAPS, MXQ_DOES_LOOK_UP, MXQ_DOES_PICK, MXQ_DOES_INDEX, MXQ_DOES_EINSUM, MXQ_DOES_TENSORDOT,
  MXQ_DOES_MULTIPLY_ALL, MXQ_DOES_CONVOLVE,
  MXQ_SUMS_LAST, MXQ_SUMS_BEFORE_LAST, MXQ_SUMS_FIRST, MXQ_SUMS_FIRST_TWO, MXQ_SUMS_ALL_BUT_FIRST, MXQ_SUMS_LAST_OF_MATRIX
};
/* op: "linear"; argument: its name; first: whether it is the first argument. */
enum mxq_pt2_action mxq_pt2_action(const char *op, const char *argument, bool first);

/* uses_einsum.c: the dimensions of operand i that the equation sums over together with another operand's, a bit each; 0: none, or not understood. */
uint64_t mxq_pt2_einsum(const char *equation, uint32_t operands, uint32_t i, uint32_t ndim);

/* Texts that occur often, one copy of each. */
struct mxq_pt2_texts {
  struct mxq_names names;
  const char **text;
  uint32_t count, room;
};
/* NULL: out of memory. */
const char *mxq_pt2_text_once(struct mxq_pt2_texts *texts, struct mxq_arena *arena, const char *s, size_t n);
void mxq_pt2_texts_free(struct mxq_pt2_texts *texts);

/* A use on its way to the lists. */
struct mxq_pt2_use {
  struct mxq_use use;                /* tensor: a group, until the lists are made */
  bool bytes;                        /* MXQ_DOES_BYTES */
  bool lost;                         /* sums over axes that cannot be said */
  bool perhaps;                      /* an operator that is not PyTorch's may write to it */
};

/* One walk through the program (uses.c), and what it finds. */
struct mxq_pt2_walk {
  struct mxq_pt2_reader *r;
  const struct mxq_pt2_program *p;
  struct mxq_program *out;
  const uint32_t *of_group;          /* group -> its first tensor */
  uint32_t *group_of;                /* tensor -> group */
  uint32_t groups;
  struct mxq_operator *operators;
  size_t operator_count;
  struct mxq_pt2_use *found;
  size_t found_count, found_room;
  bool *changed;                     /* by member of the archive */
  size_t most, views;                /* uses and views that a program may come to; views so far */
  bool failed, limited;              /* out of memory; more than `most` */
  struct mxq_arena scratch;
  struct mxq_pt2_texts texts;
};
/* False: `limited`, or out of memory. */
bool mxq_pt2_walk(struct mxq_pt2_walk *w);
void mxq_pt2_walk_changes(struct mxq_pt2_walk *w, uint32_t group);
/* uses_groups.c: tensors that are one view of the same stored bytes. */
bool mxq_pt2_groups(struct mxq_pt2_walk *w);
/* uses_lists.c: from what the walk found to the lists and choices of w->out. */
bool mxq_pt2_lists(struct mxq_pt2_walk *w);

/* program_api.c: struct format's `program`. */
enum mxq_status mxq_pt2_api(struct mxq_reader *base, const mxq_program **program, struct mxq_error *err);

/* srepr.c: a symbolic size ("Symbol('s77', positive=True, integer=True)") as people write it; the text itself when it is anything else. */
const char *mxq_pt2_symbolic(struct mxq_arena *arena, const char *text, size_t n);

#endif
