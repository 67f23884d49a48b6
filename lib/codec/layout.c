/* SPDX-License-Identifier: MIT */
/* Layouts of codes: what there is, and rows from one to another. */
#include <mxq/layout.h>

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <mxq/cpu.h>
#include "lib/base/bytes.h"
#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/codec/layout.h"

enum {
  PIECE_BLOCKS = 4096, /* claimed at once */
  CHUNK_BLOCKS = 256,  /* converted at once: codes and scales stay in the first cache meanwhile */
  AHEAD_BLOCKS = 512,  /* how far in front of these memory is asked for what comes */
  STREAM_ROW = 4096    /* bytes of a row from which on it may go past the caches */
};

/* bits: of the codes that lie so, as a set (4: 1, 6: 2, 8: 4). codes_at, scale_at: in a block; scale_at < 0: scales lie elsewhere. */
static const struct layout {
  const char *name;
  uint8_t bits, block_bytes, codes_at;
  int8_t scale_at;
  uint8_t order; /* UNPACKED: of fours */
} layouts[MXQ_LAYOUT_COUNT] = {
  [MXQ_LAYOUT_NONE] = {NULL, 0, 0, 0, -1, 0},
  [MXQ_LAYOUT_EVEN_LOW] = {"even-low", 1, 16, 0, -1, MXQ_ORDER_LOW},
  [MXQ_LAYOUT_EVEN_HIGH] = {"even-high", 1, 16, 0, -1, MXQ_ORDER_HIGH},
  [MXQ_LAYOUT_SPLIT_16] = {"split-16", 1, 16, 0, -1, MXQ_ORDER_SPLIT},
  [MXQ_LAYOUT_GGML] = {"ggml", 1, 17, 1, 0, MXQ_ORDER_SPLIT},
  [MXQ_LAYOUT_FBGEMM] = {"fbgemm", 1, 17, 0, 16, MXQ_ORDER_LOW},
  [MXQ_LAYOUT_LE24] = {"le24", 2, 24, 0, -1, MXQ_ORDER_LE24},
  [MXQ_LAYOUT_PLANES] = {"torchao-planes", 2, 24, 0, -1, MXQ_ORDER_PLANES},
  [MXQ_LAYOUT_UNPACKED] = {"unpacked", 1 | 2, 32, 0, -1, MXQ_ORDER_FOURS},
  [MXQ_LAYOUT_BYTES] = {"bytes", 4, 32, 0, -1, 0},
};

static const struct layout *entry(enum mxq_layout layout) { return &layouts[(unsigned)layout < MXQ_LAYOUT_COUNT ? layout : MXQ_LAYOUT_NONE]; }

const char *mxq_layout_name(enum mxq_layout layout) { return entry(layout)->name; }

bool mxq_layout_parse(const char *name, enum mxq_layout *layout) {
  for (int i = MXQ_LAYOUT_NONE + 1; i < MXQ_LAYOUT_COUNT; i++)
    if (strcmp(layouts[i].name, name) == 0) {
      *layout = (enum mxq_layout)i;
      return true;
    }
  return false;
}

static unsigned format_bits(enum mxq_format format) { return mxq_element_bits(mxq_format_element(format)); }

enum mxq_layout mxq_layout_of(enum mxq_format format) {
  switch (format_bits(format)) {
    case 4: return MXQ_LAYOUT_EVEN_LOW;
    case 6: return MXQ_LAYOUT_LE24;
    case 8: return MXQ_LAYOUT_BYTES;
    default: return MXQ_LAYOUT_NONE;
  }
}

bool mxq_layout_fits(enum mxq_layout layout, enum mxq_format format) {
  unsigned bits = format_bits(format);
  return bits != 0 && (entry(layout)->bits >> (bits / 2 - 2) & 1);
}

bool mxq_layout_has_scales(enum mxq_layout layout) { return entry(layout)->scale_at >= 0; }
size_t mxq_layout_block_bytes(enum mxq_layout layout) { return entry(layout)->block_bytes; }

bool mxq_layout_sizes(enum mxq_layout layout, uint64_t rows, uint64_t k, uint64_t *code_bytes, uint64_t *scale_bytes) {
  uint64_t codes, scales;
  if (__builtin_mul_overflow(rows, mxq_row_blocks(k), &scales) || __builtin_mul_overflow(scales, (uint64_t)entry(layout)->block_bytes, &codes) ||
      codes > INT64_MAX || scales > INT64_MAX)
    return false;
  *code_bytes = codes;
  *scale_bytes = mxq_layout_has_scales(layout) ? 0 : scales;
  return true;
}

/* One side; `scales` is NULL when they are not moved. scale_step: from block to block. */
struct side {
  uint8_t *codes, *scales;
  size_t step, scale_step, codes_stride, scales_stride;
  size_t codes_at;                        /* bytes of a block before its codes */
};

struct relayout {
  struct side from, to;
  mxq_layout_fn *convert, *unpack, *pack; /* the last two for padded blocks, by way of one code a byte */
  size_t row_blocks, blocks, tail;        /* tail: elements of a row's last block when it is not full */
  bool stream;
  _Atomic size_t next;
};

static void copy_bytes(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step, size_t blocks) {
  assert(src_step == MXQ_BLOCK && dst_step == MXQ_BLOCK);
  memcpy(dst, src, blocks * MXQ_BLOCK);
}

static unsigned order_of(enum mxq_layout layout, bool sixes) {
  return sixes && layout == MXQ_LAYOUT_UNPACKED ? (unsigned)MXQ_ORDER_SIXES : layouts[layout].order;
}

static mxq_layout_fn *kernel(enum mxq_format format, enum mxq_layout from, enum mxq_layout to) {
  const struct mxq_layout_kernels *best = mxq_cpu_current() >= MXQ_CPU_AVX2 ? &mxq_layout_avx2 : &mxq_layout_portable;
  const unsigned bits = format_bits(format), f = order_of(from, bits == 6), t = order_of(to, bits == 6);
  if (bits == 8) return copy_bytes;
  mxq_layout_fn *found = bits == 4 ? best->fours[f][t] : best->sixes[f][t];
  return found ? found : bits == 4 ? mxq_layout_portable.fours[f][t] : mxq_layout_portable.sixes[f][t];
}

/* Eight at a time through a word, with the step known. */
static inline void gather(const uint8_t *src, const size_t step, uint8_t *dst, size_t n) {
  for (; n >= 8; n -= 8, src += 8 * step, dst += 8) {
    uint64_t a = src[0] | (uint64_t)src[step] << 8, b = src[2 * step] | (uint64_t)src[3 * step] << 8;
    uint64_t c = src[4 * step] | (uint64_t)src[5 * step] << 8, d = src[6 * step] | (uint64_t)src[7 * step] << 8;
    mxq_put64(dst, a | b << 16 | c << 32 | d << 48);
  }
  for (; n; n--, src += step) *dst++ = *src;
}
static inline void scatter(const uint8_t *src, uint8_t *dst, const size_t step, size_t n) {
  for (; n >= 8; n -= 8, src += 8, dst += 8 * step) {
    const uint64_t w = mxq_get64(src);
    dst[0] = (uint8_t)w;
    dst[step] = (uint8_t)(w >> 8);
    dst[2 * step] = (uint8_t)(w >> 16);
    dst[3 * step] = (uint8_t)(w >> 24);
    dst[4 * step] = (uint8_t)(w >> 32);
    dst[5 * step] = (uint8_t)(w >> 40);
    dst[6 * step] = (uint8_t)(w >> 48);
    dst[7 * step] = (uint8_t)(w >> 56);
  }
  for (; n; n--, dst += step) *dst = *src++;
}

static void move_scales(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step, size_t n) {
  enum { AMONG = 17 };
  uint8_t between[CHUNK_BLOCKS];
  if (src_step == 1 && dst_step == 1) {
    memcpy(dst, src, n);
    return;
  }
  assert((src_step == 1 || src_step == AMONG) && (dst_step == 1 || dst_step == AMONG) && n <= CHUNK_BLOCKS);
  if (src_step == AMONG) {
    gather(src, AMONG, dst_step == 1 ? dst : between, n);
    src = between;
  }
  if (dst_step == AMONG) scatter(src, dst, AMONG, n);
}

/* A block of which only the first `n` codes are any. */
static void convert_tail(const struct relayout *r, const uint8_t *src, uint8_t *dst, size_t n) {
  uint8_t codes[MXQ_BLOCK];
  r->unpack(src, r->from.step, codes, MXQ_BLOCK, 1);
  memset(codes + n, 0, MXQ_BLOCK - n);
  r->pack(codes, MXQ_BLOCK, dst, r->to.step, 1);
}

/* Asks for a chunk of a row that is needed soon, all at once: arithmetic alone does not look far enough ahead. */
static void fetch(const struct relayout *r, size_t row, size_t first) {
  if (first >= r->row_blocks) return;
  const size_t n = r->row_blocks - first < CHUNK_BLOCKS ? r->row_blocks - first : CHUNK_BLOCKS;
  const uint8_t *src = r->from.codes + row * r->from.codes_stride + first * r->from.step;
  for (size_t i = 0; i < n * r->from.step; i += 64) __builtin_prefetch(src + i);
}

/* Blocks `first`... of one row; dst and dst_scales: where their codes and scales go. */
static void convert_chunk(const struct relayout *r, size_t row, size_t first, size_t blocks, uint8_t *dst, uint8_t *dst_scales) {
  const uint8_t *src = r->from.codes + row * r->from.codes_stride + first * r->from.step;
  const bool padded = r->tail && first + blocks == r->row_blocks;
  const size_t whole = blocks - padded;
  r->convert(src, r->from.step, dst, r->to.step, whole);
  if (padded) convert_tail(r, src + whole * r->from.step, dst + whole * r->to.step, r->tail);
  if (r->to.scales)
    move_scales(r->from.scales + row * r->from.scales_stride + first * r->from.scale_step, r->from.scale_step, dst_scales, r->to.scale_step, blocks);
}

static void work(void *context) {
  struct relayout *r = context;
  const size_t codes_at = r->to.codes_at;
  _Alignas(64) uint8_t room[CHUNK_BLOCKS * MXQ_BLOCK + 64];
  for (;;) {
    size_t at = atomic_fetch_add(&r->next, 1) * PIECE_BLOCKS, end;
    if (at >= r->blocks) break;
    for (end = r->blocks - at < PIECE_BLOCKS ? r->blocks : at + PIECE_BLOCKS; at < end;) {
      const size_t row = at / r->row_blocks, first = at % r->row_blocks;
      size_t n = end - at < CHUNK_BLOCKS ? end - at : CHUNK_BLOCKS;
      if (n > r->row_blocks - first) n = r->row_blocks - first;
      uint8_t *dst = r->to.codes + row * r->to.codes_stride + first * r->to.step;
      uint8_t *scales = r->to.scales ? r->to.scales + row * r->to.scales_stride + first * r->to.scale_step : NULL;
      if (r->stream) {
        fetch(r, row, first + AHEAD_BLOCKS);
        /* made where it has the alignment that it gets; scales among the codes are made there too */
        uint8_t *start = dst - codes_at, *made = room + (uintptr_t)start % 64;
        convert_chunk(r, row, first, n, made + codes_at, r->to.scale_step > 1 ? made + (scales - start) : scales);
        mxq_layout_stream(start, made, n * r->to.step);
      } else {
        convert_chunk(r, row, first, n, dst, scales);
      }
      at += n;
    }
  }
  if (r->stream) mxq_layout_stream_end();
}

static struct side side_of(enum mxq_layout layout, uint8_t *codes, uint8_t *scales, size_t codes_stride, size_t scales_stride, size_t row_blocks) {
  const struct layout *l = &layouts[layout];
  struct side s = {.step = l->block_bytes, .scale_step = 1, .codes_at = l->codes_at};
  s.codes_stride = codes_stride ? codes_stride : row_blocks * l->block_bytes;
  s.scales_stride = scales_stride ? scales_stride : row_blocks;
  s.codes = codes ? codes + l->codes_at : NULL;
  s.scales = scales;
  if (l->scale_at >= 0) {
    s.scales = codes ? codes + l->scale_at : NULL;
    s.scale_step = l->block_bytes;
    s.scales_stride = s.codes_stride;
  }
  return s;
}

static bool dense(const struct side *s, size_t row_blocks) {
  return s->codes_stride == row_blocks * s->step && (!s->scales || s->scales_stride == row_blocks * s->scale_step);
}

enum mxq_status mxq_relayout(enum mxq_format format, enum mxq_layout from, const void *codes, const uint8_t *scales,
                             const struct mxq_relayout_rows *shape, enum mxq_layout to, void *to_codes, uint8_t *to_scales,
                             const struct mxq_runner *runner, struct mxq_error *err) {
  uint64_t from_bytes, bytes, ignored;
  for (int i = 0; i < 2; i++) {
    enum mxq_layout l = i ? to : from;
    if (!mxq_layout_fits(l, format))
      return mxq_fail(err, MXQ_ERR_USAGE, NULL, "Codes of %s do not lie in layout %s.", mxq_format_name(format) ? mxq_format_name(format) : "no format",
                      mxq_layout_name(l) ? mxq_layout_name(l) : "none");
  }
  if (mxq_layout_has_scales(from) != mxq_layout_has_scales(to) && !(mxq_layout_has_scales(from) ? to_scales : scales))
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "From layout %s to %s the scales move too; %s is missing.", mxq_layout_name(from),
                    mxq_layout_name(to), mxq_layout_has_scales(from) ? "the place where they go" : "the place where they lie");
  if (!mxq_layout_sizes(from, shape->rows, shape->k, &from_bytes, &ignored) || !mxq_layout_sizes(to, shape->rows, shape->k, &bytes, &ignored) ||
      from_bytes > SIZE_MAX || bytes > SIZE_MAX)
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "The shape is larger than any memory.");
  if (bytes == 0) return MXQ_OK;

  const enum mxq_layout single = format_bits(format) == 8 ? MXQ_LAYOUT_BYTES : MXQ_LAYOUT_UNPACKED;
  struct relayout r = {.row_blocks = (size_t)mxq_row_blocks(shape->k), .tail = shape->k % MXQ_BLOCK};
  /* the side that is read is not written to */
  r.from = side_of(from, (uint8_t *)(uintptr_t)codes, (uint8_t *)(uintptr_t)scales, shape->from_codes_stride, shape->from_scales_stride, r.row_blocks);
  r.to = side_of(to, to_codes, to_scales, shape->to_codes_stride, shape->to_scales_stride, r.row_blocks);
  if (!r.from.scales || !r.to.scales) r.from.scales = r.to.scales = NULL;
  r.blocks = r.row_blocks * shape->rows;
  if (!r.tail && dense(&r.from, r.row_blocks) && dense(&r.to, r.row_blocks)) r.row_blocks = r.blocks;
  r.stream = bytes >= MXQ_LAYOUT_STREAM_FROM && r.row_blocks >= STREAM_ROW / r.to.step;
  r.convert = kernel(format, from, to);
  r.unpack = kernel(format, from, single);
  r.pack = kernel(format, single, to);
  atomic_init(&r.next, 0);
  size_t pieces = (r.blocks + PIECE_BLOCKS - 1) / PIECE_BLOCKS;
  mxq_run(runner, pieces, work, &r);
  return MXQ_OK;
}
