/* SPDX-License-Identifier: MIT */
/* What becomes of a tensor: contract.md 1, from dtype and shape alone. */
#include "lib/convert/job.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_source(enum mxq_dtype dtype) {
  return dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16;
}

/* Kinds of float that somebody may expect to be quantized, and that are not: too wide to lose silently, or quantized once already. */
static bool is_other_float(enum mxq_dtype dtype) {
  return dtype == MXQ_F64 || (dtype >= MXQ_F8_E4M3 && dtype <= MXQ_F8_E8M0);
}

bool mxq_is_program_table(const mxq_reader *reader, const struct mxq_tensor *tensor) {
  if (tensor->kind != MXQ_KIND_CONSTANT || mxq_reader_container(reader) != MXQ_PT2)
    return false;
  struct mxq_archive_info info;
  mxq_reader_archive_info(reader, &info);
  return info.weights;
}

/* The run that was asked for, in the tensor's own numbers. */
static bool place_axes(const struct mxq_tensor *t, const struct mxq_wish *w, struct mxq_decision *d) {
  int64_t first = w->axis_first, last = w->axis_last;
  first += first < 0 ? (int64_t)t->ndim : 0;
  last += last < 0 ? (int64_t)t->ndim : 0;
  if (first < 0 || first > last || last >= (int64_t)t->ndim)
    return false;
  d->axis_first = (uint32_t)first;
  d->axis_last = (uint32_t)last;
  return true;
}

static enum mxq_because judge(const struct mxq_tensor *t, const struct mxq_wish *w, struct mxq_decision *d) {
  if (t->format != MXQ_FORMAT_NONE)
    return MXQ_KEEP_MX;
  if (w->format == MXQ_FORMAT_NONE)
    return w->named ? MXQ_KEEP_RULE : MXQ_KEEP_UNNAMED;
  if (!is_source(t->dtype))
    return MXQ_KEEP_DTYPE;
  if (t->ndim == 0)
    return MXQ_KEEP_0D;
  if (t->ndim == 1 && !w->named)
    return MXQ_KEEP_1D;
  if (t->elements == 0)
    return MXQ_KEEP_EMPTY;
  if (w->program && t->kind == MXQ_KIND_CONSTANT)
    return MXQ_KEEP_CONSTANT;
  if (w->program && t->kind == MXQ_KIND_NONPERSISTENT)
    return MXQ_KEEP_NONPERSISTENT;
  if (w->keep != MXQ_QUANTIZED)
    return w->keep;
  d->axis_last = t->ndim - 1;
  d->axis_first = t->ndim > 1 && !w->program && t->shape[t->ndim - 1] < MXQ_BLOCK ? 1 : d->axis_last;
  if (w->has_axes && !place_axes(t, w, d))
    return MXQ_BAD_AXES;
  d->k = 1;
  for (uint32_t a = d->axis_first; a <= d->axis_last; a++)
    d->k *= t->shape[a];
  d->rows = t->elements / d->k;
  if (w->ragged == MXQ_RAGGED_KEEP && d->k % MXQ_BLOCK)
    return MXQ_KEEP_RAGGED;
  if (!mxq_sizes(w->format, d->rows, d->k, &d->code_bytes, &d->scale_bytes) || d->code_bytes + d->scale_bytes >= t->bytes)
    return MXQ_KEEP_NOT_SMALLER;
  return MXQ_QUANTIZED;
}

void mxq_decide(const struct mxq_tensor *t, const struct mxq_wish *w, struct mxq_decision *d) {
  *d = (struct mxq_decision){0};
  d->because = judge(t, w, d);
  switch (d->because) {
  case MXQ_QUANTIZED: d->format = w->format; break;
  case MXQ_KEEP_USE:
  case MXQ_KEEP_NOT_SMALLER: d->warn = true; break;
  case MXQ_KEEP_DTYPE: d->warn = w->named || is_other_float(t->dtype); break;
  case MXQ_KEEP_0D:
  case MXQ_KEEP_EMPTY:
  case MXQ_KEEP_RAGGED:
  case MXQ_KEEP_CONSTANT:
  case MXQ_KEEP_NONPERSISTENT:
  case MXQ_KEEP_CHANGED: d->warn = w->named; break;
  default: break;
  }
}

static int dtype_text(char *buf, size_t size, enum mxq_dtype dtype) {
  const char *why = "not a float";
  if (is_other_float(dtype))
    why = dtype == MXQ_F64 ? "not quantized" : "not quantized again";
  else if (dtype >= MXQ_C32 && dtype <= MXQ_C128)
    why = "complex numbers are not quantized";
  else if (dtype >= MXQ_F4)
    why = "kept as packed bytes";
  return snprintf(buf, size, "%s: %s", mxq_dtype_name(dtype), why);
}

/* "axis 2", "axes 1-3". */
static const char *axes_text(char buf[48], const struct mxq_decision *d) {
  if (d->axis_first < d->axis_last)
    snprintf(buf, 48, "axes %" PRIu32 "-%" PRIu32, d->axis_first, d->axis_last);
  else
    snprintf(buf, 48, "axis %" PRIu32, d->axis_first);
  return buf;
}

static int blocks_text(char *buf, size_t size, const struct mxq_tensor *t, const struct mxq_wish *w, const struct mxq_decision *d) {
  char pad[48] = "", axes[48];
  if (d->k % MXQ_BLOCK)
    snprintf(pad, sizeof pad, ", %" PRIu64 " padded to %" PRIu64, d->k, mxq_row_blocks(d->k) * MXQ_BLOCK);
  if (w->program_reason)
    return snprintf(buf, size, "%s%s", w->program_reason, pad);
  if (w->has_axes)
    return snprintf(buf, size, "%s, as given%s", axes_text(axes, d), pad);
  if (d->axis_first < d->axis_last)
    return snprintf(buf, size, "last axis %" PRIu64 " < %d: blocked along %s%s", t->shape[t->ndim - 1], MXQ_BLOCK, axes_text(axes, d), pad);
  return snprintf(buf, size, "last axis%s", pad);
}

int mxq_decision_text(char *buf, size_t size, const struct mxq_tensor *t, const struct mxq_wish *w, const struct mxq_decision *d) {
  switch (d->because) {
  case MXQ_QUANTIZED: return blocks_text(buf, size, t, w, d);
  case MXQ_KEEP_UNNAMED: return snprintf(buf, size, "no format given");
  case MXQ_KEEP_RULE: return snprintf(buf, size, "kept by rule");
  case MXQ_KEEP_MX: return snprintf(buf, size, "%s already", mxq_format_name(t->format));
  case MXQ_KEEP_EMPTY: return snprintf(buf, size, "no elements");
  case MXQ_KEEP_DTYPE: return dtype_text(buf, size, t->dtype);
  case MXQ_KEEP_0D: return snprintf(buf, size, "0-D");
  case MXQ_KEEP_1D: return snprintf(buf, size, "1-D");
  case MXQ_KEEP_RAGGED: return snprintf(buf, size, "%" PRIu64 " is not a multiple of %d", d->k, MXQ_BLOCK);
  case MXQ_KEEP_NOT_SMALLER:
    return snprintf(buf, size, "%s would not be smaller: %" PRIu64 " bytes for %" PRIu64, mxq_format_name(w->format),
                    d->code_bytes + d->scale_bytes, t->bytes);
  case MXQ_KEEP_CONSTANT: return snprintf(buf, size, "a constant of the program");
  case MXQ_KEEP_NONPERSISTENT: return snprintf(buf, size, "a buffer outside the state dict");
  case MXQ_KEEP_CHANGED:
  case MXQ_KEEP_USE: return snprintf(buf, size, "%s", w->program_reason);
  case MXQ_BAD_AXES: break;
  }
  return snprintf(buf, size, "kept");
}
