/* SPDX-License-Identifier: MIT */
/* Swizzles of scales. Both ways work on strips of whole cache lines: 64 columns of a band of 128 rows (NVIDIA) or 32 (AMD). */
#include <mxq/layout.h>

#include <stdatomic.h>
#include <string.h>
#include "lib/base/bytes.h"
#include "lib/base/fail.h"
#include "lib/base/pool.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* UNIT: columns that both ways take at once. */
enum { STRIP = 64, UNIT = 16, STRIPS_OF_A_PIECE = 8, TILE_NVIDIA = 512, TILE_AMD = 256 };

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

/* Four words of 32 bits in four lines: word j of line i becomes word i of line j. */
static inline void turn(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step) {
#if defined(__SSE2__)
  __m128i a = _mm_loadu_si128((const void *)src), b = _mm_loadu_si128((const void *)(src + src_step));
  __m128i c = _mm_loadu_si128((const void *)(src + 2 * src_step)), d = _mm_loadu_si128((const void *)(src + 3 * src_step));
  __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
  _mm_storeu_si128((void *)dst, _mm_unpacklo_epi64(ab, cd));
  _mm_storeu_si128((void *)(dst + dst_step), _mm_unpackhi_epi64(ab, cd));
  ab = _mm_unpackhi_epi32(a, b), cd = _mm_unpackhi_epi32(c, d);
  _mm_storeu_si128((void *)(dst + 2 * dst_step), _mm_unpacklo_epi64(ab, cd));
  _mm_storeu_si128((void *)(dst + 3 * dst_step), _mm_unpackhi_epi64(ab, cd));
#else
  uint8_t words[4][16];
  for (size_t i = 0; i < 4; i++)
    for (size_t j = 0; j < 4; j++) memcpy(words[j] + 4 * i, src + i * src_step + 4 * j, 4);
  for (size_t j = 0; j < 4; j++) memcpy(dst + j * dst_step, words[j], 16);
#endif
}

/* Eight bytes a and eight bytes b to the four words a[m], b[m], a[m+4], b[m+4], and back. */
static inline void mix(const uint8_t *a, const uint8_t *b, uint8_t *words) {
#if defined(__SSE2__)
  __m128i x = _mm_unpacklo_epi8(_mm_loadl_epi64((const void *)a), _mm_loadl_epi64((const void *)b));
  _mm_storeu_si128((void *)words, _mm_unpacklo_epi16(x, _mm_unpackhi_epi64(x, x)));
#else
  const uint64_t x = mxq_get64(a), y = mxq_get64(b);
  for (int m = 0; m < 4; m++) {
    uint64_t p = x >> 8 * m & 0xff000000ff, q = y >> 8 * m & 0xff000000ff;
    mxq_put32(words + 4 * m, (uint32_t)(p | p >> 16 | (q | q >> 16) << 8));
  }
#endif
}
static inline void unmix(const uint8_t *words, uint8_t *a, uint8_t *b) {
#if defined(__SSE2__)
  const __m128i low = _mm_set1_epi16(0xff);
  __m128i x = _mm_loadu_si128((const void *)words);
  x = _mm_packus_epi16(_mm_and_si128(x, low), _mm_srli_epi16(x, 8)); /* a0 a4 a1 a5 ..., b0 b4 ... */
  x = _mm_packus_epi16(_mm_and_si128(x, low), _mm_srli_epi16(x, 8)); /* a0...a3, b0...b3, a4...a7, b4...b7 */
  x = _mm_shuffle_epi32(x, _MM_SHUFFLE(3, 1, 2, 0));
  _mm_storel_epi64((void *)a, x);
  _mm_storel_epi64((void *)b, _mm_unpackhi_epi64(x, x));
#else
  uint64_t x = 0, y = 0;
  for (int m = 0; m < 4; m++) {
    uint64_t w = mxq_get32(words + 4 * m);
    x |= ((w & 0xff) | (w & 0xff0000) << 16) << 8 * m;
    y |= ((w >> 8 & 0xff) | (w >> 8 & 0xff0000) << 16) << 8 * m;
  }
  mxq_put64(a, x);
  mxq_put64(b, y);
#endif
}

/* ---- strips: all rows of a band, columns a multiple of UNIT ---------------------------------------------------------------------- */

static void strip_nvidia(uint8_t *lines, size_t stride, uint8_t *tiles, size_t columns, bool back) {
  for (size_t r = 0; r < 32; r++)
    for (size_t c = 0; c < columns; c += 16) {
      uint8_t *line = lines + r * stride + c, *tile = tiles + c / 4 * TILE_NVIDIA + r * 16;
      if (back) turn(tile, TILE_NVIDIA, line, 32 * stride);
      else turn(line, 32 * stride, tile, TILE_NVIDIA);
    }
}

static void strip_amd(uint8_t *lines, size_t stride, uint8_t *tiles, size_t columns, bool back) {
  for (size_t r = 0; r < 16; r += 4)
    for (size_t c = 0; c < columns; c += 8) {
      uint8_t words[4][16], *tile = tiles + c / 8 * TILE_AMD + r * 4, *line = lines + r * stride + c;
      if (back) turn(tile, 64, words[0], 16);
      for (size_t i = 0; i < 4; i++, line += stride) {
        if (back) unmix(words[i], line, line + 16 * stride);
        else mix(line, line + 16 * stride, words[i]);
      }
      if (!back) turn(words[0], 16, tile, 64);
    }
}

struct swizzling {
  enum mxq_swizzle swizzle;
  bool back;
  size_t rows, columns, stride;
  uint8_t *scales, *swizzled; /* the side that is read is not written to */
  size_t band_pieces;         /* pieces side by side in a band */
  size_t pieces;
  _Atomic size_t next;
};

static void copy_lines(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride, size_t rows, size_t columns) {
  for (; rows; rows--, dst += dst_stride, src += src_stride) memcpy(dst, src, columns);
}

typedef void strip_fn(uint8_t *lines, size_t stride, uint8_t *tiles, size_t columns, bool back);

/* `columns` columns, at most STRIP, from row and column on. What is no whole strip is worked on in a room of its own. */
static void strip(const struct swizzling *s, size_t row, size_t column, size_t columns) {
  const bool nvidia = s->swizzle == MXQ_SWIZZLE_NVIDIA;
  const size_t band = tile_rows[s->swizzle], tc = tile_columns[s->swizzle], row_tiles = s->columns / tc + (s->columns % tc != 0);
  const size_t rows = s->rows - row < band ? s->rows - row : band, whole = rows < band ? 0 : columns / UNIT * UNIT;
  strip_fn *const f = nvidia ? strip_nvidia : strip_amd;
  uint8_t *lines = s->scales + row * s->stride + column;
  uint8_t *tiles = s->swizzled + (row / band * row_tiles + column / tc) * (band * tc);
  if (whole) f(lines, s->stride, tiles, whole, s->back);
  for (size_t c = whole; c < columns; c += UNIT) {
    uint8_t room[128 * UNIT] = {0}, made[128 * UNIT] = {0};
    const size_t n = columns - c < UNIT ? columns - c : UNIT, bytes = (n + tc - 1) / tc * tc * band;
    if (s->back) {
      memcpy(made, tiles + c * band, bytes);
      f(room, UNIT, made, UNIT, true);
      copy_lines(lines + c, s->stride, room, UNIT, rows, n);
    } else {
      copy_lines(room, UNIT, lines + c, s->stride, rows, n);
      f(room, UNIT, made, UNIT, false);
      memcpy(tiles + c * band, made, bytes);
    }
  }
}

static void work(void *context) {
  struct swizzling *s = context;
  const size_t band = tile_rows[s->swizzle], most = STRIP * STRIPS_OF_A_PIECE;
  for (size_t piece; (piece = atomic_fetch_add(&s->next, 1)) < s->pieces;) {
    const size_t row = piece / s->band_pieces * band, first = piece % s->band_pieces * most;
    const size_t end = s->columns - first < most ? s->columns : first + most;
    for (size_t c = first; c < end; c += STRIP) strip(s, row, c, end - c < STRIP ? end - c : STRIP);
  }
}

static enum mxq_status run(struct swizzling *s, unsigned threads, struct mxq_error *err) {
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
  s->pieces = ((s->rows - 1) / band + 1) * s->band_pieces;
  atomic_init(&s->next, 0);
  mxq_pool_run(threads < s->pieces ? threads : (unsigned)s->pieces, work, s);
  return MXQ_OK;
}

enum mxq_status mxq_scales_swizzle(enum mxq_swizzle swizzle, size_t rows, size_t columns, const uint8_t *scales, size_t stride,
                                   uint8_t *swizzled, unsigned threads, struct mxq_error *err) {
  struct swizzling s = {.swizzle = swizzle, .rows = rows, .columns = columns, .stride = stride, .scales = (uint8_t *)(uintptr_t)scales,
                        .swizzled = swizzled};
  return run(&s, threads, err);
}

enum mxq_status mxq_scales_unswizzle(enum mxq_swizzle swizzle, size_t rows, size_t columns, const uint8_t *swizzled, uint8_t *scales,
                                     size_t stride, unsigned threads, struct mxq_error *err) {
  struct swizzling s = {.swizzle = swizzle, .back = true, .rows = rows, .columns = columns, .stride = stride, .scales = scales,
                        .swizzled = (uint8_t *)(uintptr_t)swizzled};
  return run(&s, threads, err);
}
