/* SPDX-License-Identifier: MIT */
/* What inspect knows of a file beyond its list of tensors: which of them lie over the same bytes, and the program that uses them. */
#ifndef MXQUANT_INSPECT_VIEW_H
#define MXQUANT_INSPECT_VIEW_H

#include <mxq/mxq.h>

struct view {
  mxq_reader *reader;
  struct mxq_archive_info info;
  const mxq_program *program;   /* NULL: there is none, or one of a weights archive, which only decodes */
  uint32_t *order;              /* tensors: those over the same bytes side by side, among them those that are the same view */
  uint32_t *place;              /* of each tensor in `order`; NULL when no two share anything */
  uint32_t *group, *run, *run_end; /* by place: where those over the same bytes begin; where those that are the same view begin and end */
};
/* MXQ_ERR_NOMEM. */
enum mxq_status view_open(struct view *v, mxq_reader *reader, struct mxq_error *err);
void view_close(struct view *v);

/* How many names of other tensors are told at most: one record may hold all of them. */
#define VIEW_OTHERS 16
/* The other tensors that are the very same values (tied), or lie over the same stored bytes in another way; their number, at most VIEW_OTHERS. */
size_t view_tied(const struct view *v, size_t i, uint32_t others[VIEW_OTHERS]);
size_t view_sharing(const struct view *v, size_t i, uint32_t others[VIEW_OTHERS]);

/* Strides as the file states them, also those of C order. */
void view_strides(const struct mxq_tensor *t, int64_t strides[MXQ_MAX_NDIM]);

/* Operators by how often they stand in the program, the most frequent first. malloced; NULL: out of memory. */
struct view_operator {
  const char *target;
  size_t count;
};
/* The same of n texts, which are sorted where they stand. */
struct view_operator *view_count_texts(const char **texts, size_t n, size_t *count);
struct view_operator *view_operators(const mxq_program *program, size_t *count);

/* "contracts", "looks-up", "writes", "returns", "other". */
const char *view_use_name(enum mxq_use_kind kind);

#endif
