/* SPDX-License-Identifier: MIT */
/* Layout conversions against copies of as many bytes. */
#include <stdio.h>
#include <string.h>

#include <mxq/layout.h>
#include "tools/bench.h"

/* From our own layout and back; a swizzle of the scales where one is named. What cuts the bytes down to codes comes behind what does not. */
static const struct conversion {
  const char *name;
  enum mxq_format format;
  enum mxq_layout from, to;
  enum mxq_swizzle swizzle;
  bool back;
} conversions[] = {
    {"layout/even-low/even-high", MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, MXQ_LAYOUT_EVEN_HIGH, 0, false},
    {"layout/even-low/split-16", MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, MXQ_LAYOUT_SPLIT_16, 0, false},
    {"layout/split-16/even-low", MXQ_MXFP4, MXQ_LAYOUT_SPLIT_16, MXQ_LAYOUT_EVEN_LOW, 0, false},
    {"layout/even-low/ggml", MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, MXQ_LAYOUT_GGML, 0, false},
    {"layout/ggml/even-low", MXQ_MXFP4, MXQ_LAYOUT_GGML, MXQ_LAYOUT_EVEN_LOW, 0, false},
    {"layout/even-low/fbgemm", MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, MXQ_LAYOUT_FBGEMM, 0, false},
    {"layout/fbgemm/even-low", MXQ_MXFP4, MXQ_LAYOUT_FBGEMM, MXQ_LAYOUT_EVEN_LOW, 0, false},
    {"layout/even-low/unpacked", MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, MXQ_LAYOUT_UNPACKED, 0, false},
    {"layout/le24/unpacked", MXQ_MXFP6_E2M3, MXQ_LAYOUT_LE24, MXQ_LAYOUT_UNPACKED, 0, false},
    {"layout/le24/torchao-planes", MXQ_MXFP6_E2M3, MXQ_LAYOUT_LE24, MXQ_LAYOUT_PLANES, 0, false},
    {"layout/torchao-planes/le24", MXQ_MXFP6_E2M3, MXQ_LAYOUT_PLANES, MXQ_LAYOUT_LE24, 0, false},
    {"layout/unpacked/even-low", MXQ_MXFP4, MXQ_LAYOUT_UNPACKED, MXQ_LAYOUT_EVEN_LOW, 0, false},
    {"layout/unpacked/le24", MXQ_MXFP6_E2M3, MXQ_LAYOUT_UNPACKED, MXQ_LAYOUT_LE24, 0, false},
    {"layout/scales/nvidia-128x4", 0, 0, 0, MXQ_SWIZZLE_NVIDIA, false},
    {"layout/nvidia-128x4/scales", 0, 0, 0, MXQ_SWIZZLE_NVIDIA, true},
    {"layout/scales/amd-32x8", 0, 0, 0, MXQ_SWIZZLE_AMD, false},
    {"layout/amd-32x8/scales", 0, 0, 0, MXQ_SWIZZLE_AMD, true},
};

const char *bench_layout_name(size_t i) { return i < sizeof conversions / sizeof *conversions ? conversions[i].name : NULL; }

/* Rows of scales: a matrix as wide as that of a layer. */
enum { COLUMNS = 256 };

/* The side of the larger blocks takes the whole of its buffer. */
static size_t blocks_of(const struct conversion *c, size_t size) {
  size_t a = mxq_layout_block_bytes(c->from), b = mxq_layout_block_bytes(c->to);
  return size / (a > b ? a : b) / 64 * 64;
}

/* From wide to copy; their scales, where they lie elsewhere, move along. */
static bool convert(const struct conversion *c, const struct bench_buffers *b, bool reverse, const struct mxq_runner *runner) {
  const bool back = c->back != reverse;
  unsigned char *from = reverse ? b->copy : b->wide, *to = reverse ? b->wide : b->copy;
  if (c->swizzle) {
    const size_t rows = b->size / COLUMNS / 128 * 128;
    return (back ? mxq_scales_unswizzle(c->swizzle, rows, COLUMNS, from, to, 0, runner, NULL)
                 : mxq_scales_swizzle(c->swizzle, rows, COLUMNS, from, 0, to, runner, NULL)) == MXQ_OK;
  }
  const struct mxq_relayout_rows shape = {.rows = 1, .k = blocks_of(c, b->size) * MXQ_BLOCK};
  const bool move = mxq_layout_has_scales(c->from) != mxq_layout_has_scales(c->to);
  return mxq_relayout(c->format, reverse ? c->to : c->from, from, move ? b->codes : NULL, &shape, reverse ? c->from : c->to, to, move ? b->codes : NULL,
                      runner, NULL) == MXQ_OK;
}

struct converting {
  const struct conversion *c;
  const struct mxq_runner *runner;
};

/* The whole, which the runner shares out itself. */
static void whole(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  const struct converting *w = what;
  (void)begin;
  (void)end;
  (void)!convert(w->c, b, false, w->runner);
}

static size_t bytes_of(const struct conversion *c, enum mxq_layout layout, size_t size) {
  return c->swizzle ? size / COLUMNS / 128 * 128 * COLUMNS : blocks_of(c, size) * mxq_layout_block_bytes(layout);
}

/* There and back is the identity; what comes back is compared with what went. */
static bool check(const struct bench *bench, const struct conversion *c) {
  const struct bench_buffers *b = &bench->b;
  const size_t from = bytes_of(c, c->from, b->size);
  uint64_t before = 0, after = 0;
  for (size_t i = 0; i + 8 <= from; i += 8) {
    uint64_t w;
    memcpy(&w, b->wide + i, 8);
    before = (before ^ w) * 0x9e3779b97f4a7c15u;
  }
  if (!convert(c, b, false, bench->runner)) return false;
  memset(b->wide, 0xA5, from);
  if (!convert(c, b, true, bench->runner)) return false;
  for (size_t i = 0; i + 8 <= from; i += 8) {
    uint64_t w;
    memcpy(&w, b->wide + i, 8);
    after = (after ^ w) * 0x9e3779b97f4a7c15u;
  }
  return before == after;
}

bool bench_layout(struct bench *bench, size_t i, double budget, struct bench_result *r) {
  const struct conversion *c = &conversions[i];
  const struct bench_buffers *b = &bench->b;
  const struct converting w = {c, bench->runner};
  const size_t from = bytes_of(c, c->from, b->size), to = bytes_of(c, c->to, b->size);
  const size_t moved = from + to + (mxq_layout_has_scales(c->from) != mxq_layout_has_scales(c->to) ? blocks_of(c, b->size) : 0);
  memset(b->codes, 127, b->size / 4); /* scales that lie elsewhere */
  if (c->from == MXQ_LAYOUT_UNPACKED) /* only codes come back */
    for (size_t k = 0; k < from; k++) b->wide[k] &= c->format == MXQ_MXFP4 ? 15 : 63;
  if (!check(bench, c)) return false;
  const struct bench_yard *yard = bench_yard(bench, BENCH_COPY, 0, 0);
  struct bench alone = *bench; /* one call, whoever works in it */
  alone.runner = NULL;
  double times[BENCH_ROUNDS], ratios[BENCH_ROUNDS], start = bench_now();
  unsigned n = 0, most = bench->args->rounds;
  while (n < most && (n == 0 || bench_now() - start < budget)) {
    double mine = n % 2 ? bench_time(&alone, whole, from, &w) : 0, copy = bench_yard_time(bench, yard, b->size);
    times[n] = n % 2 ? mine : bench_time(&alone, whole, from, &w);
    ratios[n] = copy / (2.0 * (double)b->size) / (times[n] / (double)moved);
    n++;
  }
  snprintf(r->name, sizeof r->name, "%s", c->name);
  r->how = bench_yard_how(yard);
  r->against[0].name = "memcpy";
  r->against[0].ratio = bench_median(ratios, n);
  r->rounds = n;
  r->bytes = moved;
  r->seconds = bench_median(times, n);
  r->gbps = (double)moved / r->seconds / 1e9;
  return true;
}
