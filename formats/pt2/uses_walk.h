/* SPDX-License-Identifier: MIT */
/* What the files of the walk share: a graph with the state of its values, and a node that is looked at. */
#ifndef MXQ_PT2_USES_WALK_H
#define MXQ_PT2_USES_WALK_H

#include "formats/pt2/uses.h"

enum { MXQ_MOST_VIEWS = 128, MXQ_MOST_ARGUMENTS = 64 }; /* weights that one value may be put together of; arguments that are looked for */

struct mxq_pt2_state {
  const struct mxq_pt2_view *views;  /* the weights it holds, NULL: none */
  uint32_t mx;                       /* group + 1 of the MX tensor whose parts it was made of, until it is decoded */
  uint8_t parts;                     /* 1 codes, 2 scales */
  bool constant;                     /* does not depend on what the user passes */
  uint8_t ndim;
  const int64_t *sizes;              /* once somebody asked (mxq_pt2_walk_sizes) */
};
struct mxq_pt2_frame {
  uint32_t number;
  const struct mxq_pt2_subgraph *graph;
  struct mxq_pt2_state *states;      /* by value */
};
struct mxq_pt2_call {
  struct mxq_pt2_walk *w;
  struct mxq_pt2_frame *frame;
  const struct mxq_pt2_node *node;
  size_t op;                         /* number among the operators */
  char name[120];                    /* "linear" of torch.ops.aten.linear.default; "" when it is none of aten's */
  char overload[40];
  bool in_place, constant;
  bool custom;                       /* registered by somebody else: nothing is known of what it does */
  const struct mxq_pt2_arg *args;
  uint32_t count;
  const struct mxq_pt2_view *made;   /* views that its results are */
  uint32_t made_count;
};

/* uses_node.c: all arguments of an ordinary node. False: out of memory. */
bool mxq_pt2_uses_node(struct mxq_pt2_call *c);
/* uses_inner.c: a node with graphs inside: frames for them, which the walk goes through. */
bool mxq_pt2_uses_inner(struct mxq_pt2_call *c);
/* uses_mx.c: decoding nodes. */
bool mxq_pt2_uses_decode(struct mxq_pt2_call *c);

/* uses.c */
/* A tensor's sizes; none for other values, and when memory is out (w->failed). */
const int64_t *mxq_pt2_walk_sizes(struct mxq_pt2_walk *w, const struct mxq_pt2_frame *frame, uint32_t value, uint32_t *ndim);
bool mxq_pt2_walk_frame(struct mxq_pt2_walk *w, struct mxq_pt2_frame *frame);
struct mxq_pt2_state *mxq_pt2_walk_states(struct mxq_pt2_walk *w, const struct mxq_pt2_subgraph *graph);
bool mxq_pt2_walk_found(struct mxq_pt2_walk *w, uint32_t group, size_t op, const char *argument, enum mxq_use_kind kind);
const uint64_t *mxq_pt2_walk_shape(const struct mxq_pt2_walk *w, uint32_t group);
const struct mxq_pt2_view *mxq_pt2_walk_keep(struct mxq_pt2_walk *w, const struct mxq_pt2_view *view);

#endif
