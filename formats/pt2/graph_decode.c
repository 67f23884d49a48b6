/* SPDX-License-Identifier: MIT */
/*
 * The nodes that turn stored codes and scales into the tensor. All forms work on flat arrays, so that a tensor may have as many dimensions as PyTorch
 * allows: values [blocks, 32] times scales [blocks, 1]. Which form a format takes was chosen by load and run time: SPEC.md.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats/pt2/write.h"

enum { U8 = 1, I32 = 4, F32 = 7 };

/* One tensor in work; `last` is the name of the newest result. */
struct nodes {
  struct mxq_pt2_graph *g;
  const struct mxq_pt2_chain *chain;
  const char *last;
};

static void comma(struct mxq_text *t) {
  if (t->size)
    mxq_text_add(t, ",", 1);
}

/* A node, up to its inputs; `name` becomes the newest result. */
static void begin(struct nodes *n, const char *target, const char *self) {
  struct mxq_text *t = &n->g->nodes;
  comma(t);
  mxq_text_addf(t, "{\"target\":\"torch.ops.aten.%s\",\"inputs\":[{\"name\":\"self\",\"arg\":{\"as_tensor\":{\"name\":\"%s\"}},\"kind\":1}", target,
                self);
}

static void argument(struct nodes *n, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void argument(struct nodes *n, const char *name, const char *fmt, ...) {
  char value[96];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(value, sizeof value, fmt, ap);
  va_end(ap);
  mxq_text_addf(&n->g->nodes, ",{\"name\":\"%s\",\"arg\":{%s},\"kind\":1}", name, value);
}

static void tensor_argument(struct nodes *n, const char *name, const char *value) {
  mxq_text_addf(&n->g->nodes, ",{\"name\":\"%s\",\"arg\":{\"as_tensor\":{\"name\":\"%s\"}},\"kind\":1}", name, value);
}

static void ints(struct nodes *n, const char *name, const uint64_t *v, uint32_t count) {
  mxq_text_addf(&n->g->nodes, ",{\"name\":\"%s\",\"arg\":{\"as_ints\":[", name);
  for (uint32_t i = 0; i < count; i++)
    mxq_text_addf(&n->g->nodes, "%s%" PRIu64, i ? "," : "", v[i]);
  mxq_text_addf(&n->g->nodes, "]},\"kind\":1}");
}

/* The name of an intermediate result, which no other value of the graph has. */
static const char *name(struct nodes *n, const char *step) {
  const struct mxq_pt2_chain *c = n->chain;
  char ending[24];
  snprintf(ending, sizeof ending, "_%s", step);
  const char *s = mxq_pt2_unused_name(c->taken, c->arena, c->prefix, ending);
  n->g->nodes.failed |= !s;
  return s ? s : c->prefix;
}

/* The rest of a node, and what its result is; an empty step is the last. */
static void end(struct nodes *n, const char *step, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides) {
  n->last = *step ? name(n, step) : n->chain->result;
  mxq_text_addf(&n->g->nodes,
                "],\"outputs\":[{\"as_tensor\":{\"name\":\"%s\"}}],\"metadata\":{\"nn_module_stack\":%s},\"is_hop_single_tensor_return\":null,\"name\":\"%s\"}",
                n->last, n->chain->stack ? n->chain->stack : "\"L__self__,,torch.nn.modules.module.Module\"", n->last);
  if (*step || !n->chain->described)
    mxq_pt2_value_entry(&n->g->values, n->last, dtype, shape, ndim, strides, n->chain->device);
}

static void cast(struct nodes *n, const char *step, const char *self, int dtype, const uint64_t *shape, uint32_t ndim) {
  begin(n, "to.dtype", self);
  argument(n, "dtype", "\"as_scalar_type\":%d", dtype);
  end(n, step, dtype, shape, ndim, NULL);
}

static void reshape(struct nodes *n, const char *step, const char *self, int dtype, const uint64_t *shape, uint32_t ndim) {
  begin(n, "reshape.default", self);
  ints(n, "shape", shape, ndim);
  end(n, step, dtype, shape, ndim, NULL);
}

static void dense(uint64_t *strides, const uint64_t *shape, uint32_t ndim) {
  uint64_t size = 1;
  for (uint32_t i = ndim; i-- > 0; size *= shape[i])
    strides[i] = size;
}

/*
 * The first look at the products as something else than blocks. Where codes are whole bytes it is as_strided, not reshape: that keeps a compiler from
 * fusing the product with what comes behind, which Inductor (torch 2.13, on CPUs) does wrongly when a row, or the part of it that is taken, does not
 * end with a block: it splits the loop by 32 and drops what is left over. strides NULL: without gaps.
 */
static void lay(struct nodes *n, const char *step, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides) {
  uint64_t own[MXQ_MAX_NDIM];
  begin(n, "as_strided.default", n->last);
  dense(own, shape, ndim);
  ints(n, "size", shape, ndim);
  ints(n, "stride", strides ? strides : own, ndim);
  end(n, step, dtype, shape, ndim, strides);
}

static void look_up(struct nodes *n, enum mxq_pt2_table table, const uint64_t *shape, uint32_t ndim) {
  const char *index = n->last;
  begin(n, "index_select.default", n->chain->tables[table]);
  argument(n, "dim", "\"as_int\":0");
  tensor_argument(n, "index", index);
  end(n, "values", F32, shape, ndim, NULL);
}

/* Two codes a byte: one look-up of both. */
static void fp4(struct nodes *n, const char *codes, uint64_t bytes) {
  uint64_t flat[2] = {bytes, 2};
  reshape(n, "bytes", codes, U8, flat, 1);
  cast(n, "index", n->last, I32, flat, 1);
  look_up(n, MXQ_TABLE_E2M1, flat, 2);
}

/* Four codes in three bytes: make a word of them, shift it four ways, mask. */
static void fp6(struct nodes *n, const char *codes, uint64_t bytes, enum mxq_pt2_table table) {
  uint64_t words = bytes / 3, three[2] = {words, 3}, one[2] = {words, 1}, four[2] = {words, 4}, flat = words * 4;
  reshape(n, "bytes", codes, U8, three, 2);
  begin(n, "mul.Tensor", n->last);
  tensor_argument(n, "other", n->chain->tables[MXQ_TABLE_PLACE]);
  end(n, "placed", I32, three, 2, NULL);
  begin(n, "sum.dim_IntList", n->last);
  argument(n, "dim", "\"as_ints\":[1]");
  argument(n, "keepdim", "\"as_bool\":true");
  mxq_text_addf(&n->g->nodes, ",{\"name\":\"dtype\",\"arg\":{\"as_scalar_type\":%d},\"kind\":2}", I32);
  end(n, "word", I32, one, 2, NULL);
  begin(n, "bitwise_right_shift.Tensor", n->last);
  tensor_argument(n, "other", n->chain->tables[MXQ_TABLE_SHIFT]);
  end(n, "shifted", I32, four, 2, NULL);
  begin(n, "bitwise_and.Scalar", n->last);
  argument(n, "other", "\"as_int\":63");
  end(n, "six", I32, four, 2, NULL);
  reshape(n, "index", n->last, I32, &flat, 1);
  look_up(n, table, &flat, 1);
}

static void eight(struct nodes *n, const struct mxq_tensor *t, const char *codes) {
  uint64_t shape[MXQ_MAX_NDIM + 1];
  uint32_t ndim = mxq_pt2_codes_shape(t, shape);
  cast(n, "values", codes, F32, shape, ndim);
  if (t->format == MXQ_MXINT8) {
    begin(n, "mul.Scalar", n->last);
    argument(n, "other", "\"as_float\":0.015625");
    end(n, "units", F32, shape, ndim, NULL);
  }
}

static void permute(struct nodes *n, const char *step, int dtype, const uint64_t *dims, const uint64_t *shape, uint32_t ndim, const uint64_t *strides) {
  begin(n, "permute.default", n->last);
  ints(n, "dims", dims, ndim);
  end(n, step, dtype, shape, ndim, strides);
}

/*
 * Axes that lie in the order `from` (from[j]: the axis at place j) are brought into the order `to`. shape: of the tensor. `flat`: what is there lies
 * in the order `from` without gaps.
 */
static void turn(struct nodes *n, const char *step, int dtype, const struct mxq_tensor *t, const uint32_t *from, const uint32_t *to) {
  uint64_t dims[MXQ_MAX_NDIM], shape[MXQ_MAX_NDIM], strides[MXQ_MAX_NDIM], place[MXQ_MAX_NDIM], stride[MXQ_MAX_NDIM], size = 1;
  for (uint32_t j = t->ndim; j-- > 0; size *= t->shape[from[j]]) {
    place[from[j]] = j;
    stride[from[j]] = size;
  }
  for (uint32_t j = 0; j < t->ndim; j++) {
    dims[j] = place[to[j]];
    shape[j] = t->shape[to[j]];
    strides[j] = stride[to[j]];
  }
  permute(n, step, dtype, dims, shape, t->ndim, strides);
}

static bool same(const uint32_t *a, const uint32_t *b, uint32_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

/* From rows of k elements to the tensor's shape and strides. `lies`: this is the first look at the products; `firm`: a compiler may not
 * choose how the result lies either: torch.cond of Inductor refuses another order than the one that it was promised. */
static void shape_result(struct nodes *n, const struct mxq_tensor *t, int dtype, bool lies, bool firm) {
  uint32_t stored[MXQ_MAX_NDIM], memory[MXQ_MAX_NDIM], own[MXQ_MAX_NDIM], j = 0;
  uint64_t shape[MXQ_MAX_NDIM];
  for (uint32_t a = 0; a < t->ndim; a++) {
    own[a] = a;
    if (a < t->axis_first || a > t->axis_last)
      stored[j++] = a;
  }
  for (uint32_t a = t->axis_first; a <= t->axis_last; a++)
    stored[j++] = a;
  mxq_pt2_memory_order(t, memory);
  if (t->elements == 0 || (same(stored, own, t->ndim) && same(memory, own, t->ndim))) {
    if (lies)
      lay(n, "", dtype, t->shape, t->ndim, NULL);
    else
      reshape(n, "", n->last, dtype, t->shape, t->ndim);
    return;
  }
  for (j = 0; j < t->ndim; j++)
    shape[j] = t->shape[stored[j]];
  if (lies)
    lay(n, "axes", dtype, shape, t->ndim, NULL);
  else
    reshape(n, "axes", n->last, dtype, shape, t->ndim);
  if (!same(stored, memory, t->ndim)) {
    turn(n, "moved", dtype, t, stored, memory);
    for (j = 0; j < t->ndim; j++)
      shape[j] = t->shape[memory[j]];
    begin(n, "contiguous.default", n->last);
    end(n, same(memory, own, t->ndim) && !firm ? "" : "laid", dtype, shape, t->ndim, NULL);
    if (firm)
      lay(n, same(memory, own, t->ndim) ? "" : "firm", dtype, shape, t->ndim, NULL);
  }
  if (!same(memory, own, t->ndim))
    turn(n, "", dtype, t, memory, own);
}

/* From [rows, padded k] in f32 to the tensor's own dtype, shape and strides. */
static void finish(struct nodes *n, const struct mxq_tensor *t, uint64_t padded) {
  int dtype = mxq_pt2_stored_dtype(t->dtype);
  uint64_t cut[2] = {t->rows, t->k}, strides[2] = {padded, 1};
  bool last = t->axis_last + 1 == t->ndim && !t->strides, lies = mxq_element_bits(mxq_format_element(t->format)) == 8 && t->elements;
  if (padded != t->k) {
    if (lies) {
      lay(n, "cut", F32, cut, 2, strides);
    } else {
      uint64_t whole[2] = {t->rows, padded};
      reshape(n, "padded", n->last, F32, whole, 2);
      begin(n, "slice.Tensor", n->last);
      argument(n, "dim", "\"as_int\":1");
      argument(n, "start", "\"as_int\":0");
      argument(n, "end", "\"as_int\":%" PRIu64, t->k);
      end(n, "cut", F32, cut, 2, strides);
    }
    if (dtype == F32) {
      begin(n, "contiguous.default", n->last);
      bool is_it = (last || t->elements == 0) && t->ndim == 2 && t->shape[0] == t->rows;
      end(n, is_it ? "" : "whole", F32, cut, 2, NULL);
      if (is_it)
        return;
    }
  }
  if (dtype != F32) {
    uint64_t shape[2] = {t->rows * mxq_row_blocks(t->k), MXQ_BLOCK};
    cast(n, "cast", n->last, dtype, padded != t->k ? cut : shape, 2);
  }
  shape_result(n, t, dtype, lies && padded == t->k, lies);
}

/* 2^(byte - 127), in f32. */
static void powers(struct nodes *n, const uint64_t *shape, uint32_t ndim) {
  if (!n->chain->byte_scales) {
    cast(n, "powers", n->chain->scales, F32, shape, ndim);
    return;
  }
  cast(n, "biased", n->chain->scales, F32, shape, ndim);
  begin(n, "sub.Scalar", n->last);
  argument(n, "other", "\"as_int\":127");
  end(n, "exponents", F32, shape, ndim, NULL);
  begin(n, "exp2.default", n->last);
  end(n, "powers", F32, shape, ndim, NULL);
}

void mxq_pt2_decode(struct mxq_pt2_graph *g, const struct mxq_pt2_chain *chain, const struct mxq_tensor *t) {
  struct nodes n = {.g = g, .chain = chain};
  uint64_t blocks = t->rows * mxq_row_blocks(t->k), bytes = t->rows * mxq_row_code_bytes(t->format, t->k);
  uint64_t square[2] = {blocks, MXQ_BLOCK}, column[2] = {blocks, 1}, shape[MXQ_MAX_NDIM + 1];
  switch (t->format) {
  case MXQ_MXFP4: fp4(&n, chain->codes, bytes); break;
  case MXQ_MXFP6_E2M3: fp6(&n, chain->codes, bytes, MXQ_TABLE_E2M3); break;
  case MXQ_MXFP6_E3M2: fp6(&n, chain->codes, bytes, MXQ_TABLE_E3M2); break;
  default: eight(&n, t, chain->codes); break;
  }
  reshape(&n, "blocks", n.last, F32, square, 2);
  const char *values = n.last;
  uint32_t ndim = mxq_pt2_scales_shape(t, shape);
  powers(&n, shape, ndim);
  reshape(&n, "column", n.last, F32, column, 2);
  const char *column_name = n.last;
  begin(&n, "mul.Tensor", values);
  tensor_argument(&n, "other", column_name);
  end(&n, "scaled", F32, square, 2, NULL);
  finish(&n, t, mxq_row_blocks(t->k) * MXQ_BLOCK);
}

void mxq_pt2_alias(struct mxq_pt2_graph *g, const struct mxq_pt2_chain *chain, const char *of) {
  struct nodes n = {.g = g, .chain = chain};
  begin(&n, "alias.default", of);
  end(&n, "", 0, NULL, 0, NULL);
}
