/* SPDX-License-Identifier: MIT */
/* Recognised weights as tensors, with names of their own. */
#ifndef MXQ_PT2_RECOGNISE_APPLY_H
#define MXQ_PT2_RECOGNISE_APPLY_H

#include "formats/pt2/pt2.h"

struct mxq_pt2_recognised_tensor {
  struct mxq_tensor tensor;
  struct mxq_pt2_parts parts;
};
/* An all-zero struct is an empty list. */
struct mxq_pt2_recognised_list {
  struct mxq_pt2_recognised_tensor *of; /* by number of the codes, rising */
  size_t count, next;
};
/* Recognises what no manifest names, and hides its parts among the stored tensors; their numbers and names are final before. */
enum mxq_status mxq_pt2_recognised_open(struct mxq_pt2_reader *r, struct mxq_pt2_recognised_list *list, struct mxq_error *err);
/* The one whose codes are that stored tensor; to be asked in the order of these. */
bool mxq_pt2_recognised_take(struct mxq_pt2_recognised_list *list, uint32_t stored, struct mxq_tensor *tensor, struct mxq_pt2_parts *parts);
void mxq_pt2_recognised_close(struct mxq_pt2_recognised_list *list);

#endif
