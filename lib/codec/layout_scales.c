/* SPDX-License-Identifier: MIT */
/* Swizzles of scales. Both ways work on strips of whole cache lines: 64 columns of a band of 128 rows (NVIDIA) or 32 (AMD). */
#include <mxq/layout.h>

#include <stdatomic.h>
#include <string.h>
#include "lib/base/bytes.h"
#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/codec/layout.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { STRIP = 64, STRIPS_OF_A_PIECE = 8, TILE_NVIDIA = 512, TILE_AMD = 256 };

static const char *const names[MXQ_SWIZZLE_COUNT] = {"none", "nvidia-128x4", "amd-32x8"};
static const uint8_t tile_rows[MXQ_SWIZZLE_COUNT] = {1, 128, 32}, tile_columns[MXQ_SWIZZLE_COUNT] = {1, 4, 8};

const char *mxq_swizzle_name(enum mxq_swizzle swizzle) { return (unsigned)swizzle < MXQ_SWIZZLE_COUNT ? names[swizzle] : NULL; }

bool mxq_swizzle_parse(const char *name, enum mxq_swizzle *swizzle) {
  for (int i = 0; i < MXQ_SWIZZLE_COUNT; i++)
    if (strcmp(names[i], name) == 0) {
      *swizzle = (enum mxq_swizzle)i;
      return true;
    }
  return false;
}

enum mxq_status mxq_swizzle_bytes(enum mxq_swizzle swizzle, uint64_t rows, uint64_t columns, uint64_t *bytes, struct mxq_error *err) {
  uint64_t size, r = rows, c = columns;
  if ((unsigned)swizzle >= MXQ_SWIZZLE_COUNT) return mxq_fail(err, MXQ_ERR_USAGE, NULL, "Unknown order of scales.");
  const uint64_t tr = tile_rows[swizzle], tc = tile_columns[swizzle];
  if (swizzle == MXQ_SWIZZLE_AMD && (rows % tr != 0 || columns % tc != 0))
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "%s takes rows that are a multiple of 32 and columns that are one of 8, not %llu x %llu.",
                    names[swizzle], (unsigned long long)rows, (unsigned long long)columns);
  if (__builtin_add_overflow(r, (tr - rows % tr) % tr, &r) || __builtin_add_overflow(c, (tc - columns % tc) % tc, &c) ||
      __builtin_mul_overflow(r, c, &size) || size > INT64_MAX || size > SIZE_MAX)
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "The shape is larger than any memory.");
  *bytes = size;
  return MXQ_OK;
}

/* ---- small squares ----------------------------------------------------------------------------------------------------------- */

#if defined(__SSE2__)
typedef __m128i line;
static inline line get(const uint8_t *p) { return _mm_loadu_si128((const void *)p); }
static inline void put(uint8_t *p, line x) { _mm_storeu_si128((void *)p, x); }
/* Word j (32 bits) of x[i] becomes word i of x[j]. */
static inline void turn(line *x) {
  line a = _mm_unpacklo_epi32(x[0], x[1]), b = _mm_unpacklo_epi32(x[2], x[3]), c = _mm_unpackhi_epi32(x[0], x[1]), d = _mm_unpackhi_epi32(x[2], x[3]);
  x[0] = _mm_unpacklo_epi64(a, b);
  x[1] = _mm_unpackhi_epi64(a, b);
  x[2] = _mm_unpacklo_epi64(c, d);
  x[3] = _mm_unpackhi_epi64(c, d);
}
/* Eight bytes at a and eight at b to the four words a[m], b[m], a[m+4], b[m+4], and back. */
static inline line mixed(const uint8_t *a, const uint8_t *b) {
  line x = _mm_unpacklo_epi8(_mm_loadl_epi64((const void *)a), _mm_loadl_epi64((const void *)b));
  return _mm_unpacklo_epi16(x, _mm_unpackhi_epi64(x, x));
}
static inline void unmix(line x, uint8_t *a, uint8_t *b) {
  const line low = _mm_set1_epi16(0xff);
  x = _mm_packus_epi16(_mm_and_si128(x, low), _mm_srli_epi16(x, 8)); /* a0 a4 a1 a5 ..., b0 b4 ... */
  x = _mm_packus_epi16(_mm_and_si128(x, low), _mm_srli_epi16(x, 8)); /* a0...a3, b0...b3, a4...a7, b4...b7 */
  x = _mm_shuffle_epi32(x, _MM_SHUFFLE(3, 1, 2, 0));
  _mm_storel_epi64((void *)a, x);
  _mm_storel_epi64((void *)b, _mm_unpackhi_epi64(x, x));
}
#else
typedef struct { uint32_t w[4]; } line;
static inline line get(const uint8_t *p) {
  line x;
  for (int i = 0; i < 4; i++) x.w[i] = mxq_get32(p + 4 * i);
  return x;
}
static inline void put(uint8_t *p, line x) {
  for (int i = 0; i < 4; i++) mxq_put32(p + 4 * i, x.w[i]);
}
static inline void turn(line *x) {
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < i; j++) {
      uint32_t w = x[i].w[j];
      x[i].w[j] = x[j].w[i];
      x[j].w[i] = w;
    }
}
static inline line mixed(const uint8_t *a, const uint8_t *b) {
  line words;
  const uint64_t x = mxq_get64(a), y = mxq_get64(b);
  for (int m = 0; m < 4; m++) {
    uint64_t p = x >> 8 * m & 0xff000000ff, q = y >> 8 * m & 0xff000000ff;
    words.w[m] = (uint32_t)(p | p >> 16 | (q | q >> 16) << 8);
  }
  return words;
}
static inline void unmix(line words, uint8_t *a, uint8_t *b) {
  uint64_t x = 0, y = 0;
  for (int m = 0; m < 4; m++) {
    uint64_t w = words.w[m];
    x |= ((w & 0xff) | (w & 0xff0000) << 16) << 8 * m;
    y |= ((w >> 8 & 0xff) | (w >> 8 & 0xff0000) << 16) << 8 * m;
  }
  mxq_put64(a, x);
  mxq_put64(b, y);
}
#endif

/* ---- strips: all rows of a band; columns a multiple of 16, AMD 8 --------------------------------------------------------------------- */

/* next: what is read after this strip, a cache line for each row of a band; it is asked for meanwhile. */
typedef void strip_fn(uint8_t *lines, size_t stride, uint8_t *tiles, size_t columns, bool back, const uint8_t *next, size_t next_stride);

/* Four lines, `step` apart, to four others. Written out: they stay in registers. */
static inline void turn_lines(const uint8_t *from, size_t from_step, uint8_t *to, size_t to_step) {
  line x[4] = {get(from), get(from + from_step), get(from + 2 * from_step), get(from + 3 * from_step)};
  turn(x);
  put(to, x[0]);
  put(to + to_step, x[1]);
  put(to + 2 * to_step, x[2]);
  put(to + 3 * to_step, x[3]);
}

static void strip_nvidia(uint8_t *lines, size_t stride, uint8_t *tiles, size_t columns, bool back, const uint8_t *next, size_t next_stride) {
  for (size_t r = 0; r < 32; r++) {
    for (size_t i = r; next && i < 128; i += 32) __builtin_prefetch(next + i * next_stride);
    for (size_t c = 0; c < columns; c += 16) {
      uint8_t *l = lines + r * stride + c, *t = tiles + c / 4 * TILE_NVIDIA + r * 16;
      if (back) turn_lines(t, TILE_NVIDIA, l, 32 * stride);
      else turn_lines(l, 32 * stride, t, TILE_NVIDIA);
    }
  }
}

static void strip_amd(uint8_t *lines, size_t stride, uint8_t *tiles, size_t columns, bool back, const uint8_t *next, size_t next_stride) {
  for (size_t r = 0; r < 16; r += 4) {
    for (size_t i = 2 * r; next && i < 2 * r + 8; i++) __builtin_prefetch(next + i * next_stride);
    for (size_t c = 0; c < columns; c += 8) {
      uint8_t *t = tiles + c / 8 * TILE_AMD + r * 4, *a = lines + r * stride + c, *b = a + 16 * stride;
      if (back) {
        line x[4] = {get(t), get(t + 64), get(t + 128), get(t + 192)};
        turn(x);
        unmix(x[0], a, b);
        unmix(x[1], a + stride, b + stride);
        unmix(x[2], a + 2 * stride, b + 2 * stride);
        unmix(x[3], a + 3 * stride, b + 3 * stride);
      } else {
        line x[4] = {mixed(a, b), mixed(a + stride, b + stride), mixed(a + 2 * stride, b + 2 * stride), mixed(a + 3 * stride, b + 3 * stride)};
        turn(x);
        put(t, x[0]);
        put(t + 64, x[1]);
        put(t + 128, x[2]);
        put(t + 192, x[3]);
      }
    }
  }
}

struct swizzling {
  enum mxq_swizzle swizzle;
  bool back;
  size_t rows, columns, stride;
  uint8_t *scales, *swizzled; /* the side that is read is not written to */
  size_t band_pieces;         /* pieces side by side in a band */
  size_t pieces;
  bool stream;                /* the result is larger than caches */
  _Atomic size_t next;
};

static void copy_lines(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride, size_t rows, size_t columns) {
  for (; rows; rows--, dst += dst_stride, src += src_stride) memcpy(dst, src, columns);
}

/* `columns` columns, at most STRIP, from row and column on. Where the matrix ends inside, the strip is worked on in a room of its own. */
static void strip(const struct swizzling *s, size_t row, size_t column, size_t columns) {
  const bool nvidia = s->swizzle == MXQ_SWIZZLE_NVIDIA;
  const size_t band = tile_rows[s->swizzle], tc = tile_columns[s->swizzle], row_tiles = s->columns / tc + (s->columns % tc != 0);
  const size_t rows = s->rows - row < band ? s->rows - row : band, unit = nvidia ? 16 : 8, wide = (columns + unit - 1) / unit * unit;
  const size_t bytes = (columns + tc - 1) / tc * tc * band;
  const bool whole = rows == band && wide == columns;
  uint8_t *lines = s->scales + row * s->stride + column, *tiles = s->swizzled + (row / band * row_tiles + column / tc) * (band * tc);
  _Alignas(64) uint8_t made[128 * STRIP + 64], room[128 * STRIP];
  strip_fn *const f = nvidia ? strip_nvidia : strip_amd;
  /* the strip to the right, else the first one of the band below */
  const bool right = column + STRIP < s->columns, below = s->rows - row >= 2 * band;
  const uint8_t *next = !s->stream || (!right && !below) || rows < band ? NULL : s->back ? tiles + bytes : right ? lines + STRIP : lines - column + band * s->stride;
  if (s->back) {
    const bool stream = s->stream && columns == STRIP && ((uintptr_t)lines | s->stride) % 64 == 0;
    if (whole && !stream) {
      f(lines, s->stride, tiles, columns, true, next, 64);
      return;
    }
    uint8_t *from = whole ? tiles : memcpy(room, tiles, bytes);
    f(made, STRIP, from, wide, true, next, 64);
    if (stream)
      for (size_t r = 0; r < rows; r++) mxq_layout_stream_line(lines + r * s->stride, made + r * STRIP);
    else
      copy_lines(lines, s->stride, made, STRIP, rows, columns);
    return;
  }
  uint8_t *from = lines, *to = s->stream ? made + (uintptr_t)tiles % 64 : whole ? tiles : made;
  size_t stride = s->stride;
  if (!whole) {
    memset(room, 0, sizeof room);
    copy_lines(room, STRIP, lines, s->stride, rows, columns);
    from = room, stride = STRIP;
  }
  f(from, stride, to, wide, false, next, s->stride);
  if (s->stream) mxq_layout_stream(tiles, to, bytes);
  else if (to != tiles) memcpy(tiles, to, bytes);
}

static void work(void *context) {
  struct swizzling *s = context;
  const size_t band = tile_rows[s->swizzle], most = STRIP * STRIPS_OF_A_PIECE;
  for (size_t piece; (piece = atomic_fetch_add(&s->next, 1)) < s->pieces;) {
    const size_t row = piece / s->band_pieces * band, first = piece % s->band_pieces * most;
    const size_t end = s->columns - first < most ? s->columns : first + most;
    for (size_t c = first; c < end; c += STRIP) strip(s, row, c, end - c < STRIP ? end - c : STRIP);
  }
  if (s->stream) mxq_layout_stream_end();
}

static enum mxq_status run(struct swizzling *s, const struct mxq_runner *runner, struct mxq_error *err) {
  uint64_t bytes;
  enum mxq_status status = mxq_swizzle_bytes(s->swizzle, s->rows, s->columns, &bytes, err);
  if (status != MXQ_OK || bytes == 0) return status;
  if (s->stride == 0) s->stride = s->columns;
  if (s->swizzle == MXQ_SWIZZLE_NONE) {
    if (s->back) copy_lines(s->scales, s->stride, s->swizzled, s->columns, s->rows, s->columns);
    else copy_lines(s->swizzled, s->columns, s->scales, s->stride, s->rows, s->columns);
    return MXQ_OK;
  }
  const size_t band = tile_rows[s->swizzle], most = STRIP * STRIPS_OF_A_PIECE;
  s->band_pieces = (s->columns - 1) / most + 1;
  s->stream = bytes >= MXQ_LAYOUT_STREAM_FROM;
  s->pieces = ((s->rows - 1) / band + 1) * s->band_pieces;
  atomic_init(&s->next, 0);
  mxq_run(runner, s->pieces, work, s);
  return MXQ_OK;
}

enum mxq_status mxq_scales_swizzle(enum mxq_swizzle swizzle, size_t rows, size_t columns, const uint8_t *scales, size_t stride,
                                   uint8_t *swizzled, const struct mxq_runner *runner, struct mxq_error *err) {
  struct swizzling s = {.swizzle = swizzle, .rows = rows, .columns = columns, .stride = stride, .scales = (uint8_t *)(uintptr_t)scales,
                        .swizzled = swizzled};
  return run(&s, runner, err);
}

enum mxq_status mxq_scales_unswizzle(enum mxq_swizzle swizzle, size_t rows, size_t columns, const uint8_t *swizzled, uint8_t *scales,
                                     size_t stride, const struct mxq_runner *runner, struct mxq_error *err) {
  struct swizzling s = {.swizzle = swizzle, .back = true, .rows = rows, .columns = columns, .stride = stride, .scales = scales,
                        .swizzled = (uint8_t *)(uintptr_t)swizzled};
  return run(&s, runner, err);
}
