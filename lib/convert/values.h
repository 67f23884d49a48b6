/* SPDX-License-Identifier: MIT */
/* The values of one tensor as a stream of scalars in the tensor's own C order, in bounded memory. */
#ifndef MXQ_CONVERT_VALUES_H
#define MXQ_CONVERT_VALUES_H

#include "lib/convert/job.h"

/* All zero to begin with; used for one tensor after the other, so that buffers are allocated once. */
struct mxq_values {
  mxq_reader *reader;
  size_t index;
  const struct mxq_tensor *tensor;
  enum mxq_dtype dtype;              /* of the stream */
  const struct mxq_runner *runner;
  bool limits;                       /* MX tensors: instead of each value the largest that its block can hold */
  uint64_t to_inf;                   /* values that became Inf in dtype; never reset */

  uint64_t done, total;              /* elements, or bytes when the tensor's scalars are delivered as they are */
  size_t scalar;                     /* bytes of one of those */
  bool copied;
  uint64_t k, inner;                 /* MX tensors: elements of a run, and of the axes behind it */
  uint64_t block_bytes, row_codes, row_scales;
  const unsigned char *in_place[2];  /* parts that lie in memory */
  struct mxq_buffer codes, scales, rows, stage;
  size_t stage_pos, stage_n;         /* bytes */
};

/* The dtype that a tensor decodes to when nobody says otherwise: its source dtype, f32 when an archive does not say. */
enum mxq_dtype mxq_values_default(const struct mxq_tensor *tensor);
/*
 * Starts at the first value of tensor `index`. dtype: f32, bf16 or f16, or the tensor's own (then scalars are copied). Every other
 * pair is MXQ_ERR_USAGE.
 */
enum mxq_status mxq_values_start(struct mxq_values *values, mxq_reader *reader, size_t index, enum mxq_dtype dtype, const struct mxq_runner *runner,
                                 struct mxq_error *err);
/* Bytes of the whole stream. */
uint64_t mxq_values_bytes(const struct mxq_values *values);
/* The next n bytes of it; the caller asks for no more than there are. */
enum mxq_status mxq_values_read(struct mxq_values *values, void *dst, size_t n, struct mxq_error *err);
void mxq_values_free(struct mxq_values *values);

/* scalars.c: n scalars of f32, bf16 or f16 to another of these, rounded to nearest even; *to_inf counts finite values that became Inf. */
void mxq_convert_scalars(enum mxq_dtype from, const void *src, enum mxq_dtype to, void *dst, size_t n, uint64_t *to_inf);

#endif
