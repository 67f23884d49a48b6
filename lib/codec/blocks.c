/* SPDX-License-Identifier: MIT */
#include "lib/codec/blocks.h"

#include <assert.h>
#include <fenv.h>
#include <string.h>
#include "lib/base/bytes.h"
#include "lib/base/fail.h"

enum mxq_status mxq_blocks_init(struct mxq_blocks *b, enum mxq_format format, enum mxq_dtype dtype, const struct mxq_numerics *numerics,
                                struct mxq_error *err) {
  struct mxq_numerics n = {0};
  assert(dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16);
  if (numerics) n = *numerics;
  enum mxq_status status = mxq_numerics_resolve(format, &n, err);
  if (status != MXQ_OK) return status;
  *b = (struct mxq_blocks){.kernels = mxq_kernels_now(), .element = mxq_format_element(format), .lane = MXQ_LANE_OF(dtype),
                           .size = dtype == MXQ_F32 ? 4 : 2, .nonfinite = n.nonfinite};
  fenv_t before; /* thresholds are worked out in f32, subnormals among them */
  fegetenv(&before);
  fesetenv(FE_DFL_ENV);
  mxq_recipe_make(&b->recipe, b->element, &n);
  fesetenv(&before);
  return MXQ_OK;
}

static size_t run(const struct mxq_blocks *b, const struct mxq_recipe *recipe, const uint8_t *src, size_t blocks, uint8_t *codes, uint8_t *scales,
                  const struct mxq_place *place) {
  if (recipe->plain) return b->kernels->encode[b->element][b->lane](src, blocks, codes, scales, recipe);
  return b->kernels->encode_any[b->element][b->lane](src, blocks, codes, scales, recipe, place);
}

size_t mxq_blocks_encode(const struct mxq_blocks *b, const uint8_t *src, size_t blocks, uint8_t *codes, uint8_t *scales,
                         const struct mxq_place *place) {
  return run(b, &b->recipe, src, blocks, codes, scales, place);
}

static uint32_t scalar_bits(const uint8_t *p, enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? mxq_get32(p) : mxq_get16(p); }
/* Bits of +Inf; above it lie the NaN. */
static uint32_t infinity_of(enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? 0x7f800000 : lane == MXQ_LANE_BF16 ? 0x7f80 : 0x7c00; }
static uint32_t sign_of(enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? 0x80000000 : 0x8000; }

static void put_code(uint8_t *codes, unsigned bits, size_t at, unsigned code) {
  for (unsigned k = 0; k < bits; k++) {
    size_t bit = at * bits + k;
    codes[bit / 8] = (uint8_t)((codes[bit / 8] & ~(1u << bit % 8)) | (code >> k & 1u) << bit % 8);
  }
}

size_t mxq_blocks_mend(const struct mxq_blocks *b, const uint8_t *block, uint8_t *codes, uint8_t *scale, const struct mxq_place *place) {
  const uint32_t inf = infinity_of(b->lane), sign = sign_of(b->lane);
  uint8_t copy[128];
  size_t first = 32;
  bool any = false;
  memcpy(copy, block, 32 * b->size);
  for (size_t i = 0; i < 32; i++) {
    uint32_t a = scalar_bits(block + i * b->size, b->lane) & ~sign;
    if (a > inf || (a == inf && b->nonfinite == MXQ_NONFINITE_ERROR)) return i;
    if (a == inf) memset(copy + i * b->size, 0, b->size);
    else if (a != 0) any = true;
    if (a == inf && first == 32) first = i;
  }
  if (first == 32) return 32; /* finite: rounding amax up left f32 */
  if (!any) {
    if (b->size == 4) mxq_put32(copy + first * 4, inf - 1);
    else mxq_put16(copy + first * 2, (uint16_t)(inf - 1));
  }
  /* Without finite values MSE has no error to weigh: a tie, which the smaller byte takes. */
  struct mxq_recipe recipe = b->recipe;
  if (!any) recipe.plan.mse = false;
  if (run(b, &recipe, copy, 1, codes, scale, place)) return 32;
  unsigned bits = mxq_element_bits(b->element), largest = 0;
  static const unsigned most[] = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = MXQ_EL_MAX_CODE(E, M, MXQ_TOP_##TOP),
#include "lib/kernels/element_types.def"
#undef X
  };
  largest = most[b->element];
  for (size_t i = 0; i < 32; i++) {
    uint32_t u = scalar_bits(block + i * b->size, b->lane);
    if ((u & ~sign) != inf) continue;
    put_code(codes, bits, i, !(u & sign) ? largest : b->element == MXQ_INT8 ? 256 - largest : largest | 1u << (bits - 1));
  }
  return 32;
}

static void widen(const uint8_t *src, enum mxq_lane lane, size_t n, float *out) {
  if (lane == MXQ_LANE_F32) {
    memcpy(out, src, n * 4);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    uint32_t h = mxq_get16(src + 2 * i), u = h << 16;
    if (lane == MXQ_LANE_F16) {
      const float up = 0x1p112f;
      float f;
      u = (h & 0x7fff) << 13;
      memcpy(&f, &u, 4);
      f *= up;
      memcpy(&u, &f, 4);
      u |= ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (h & 0x8000u) << 16;
    }
    memcpy(out + i, &u, 4);
  }
}

void mxq_blocks_measure(const struct mxq_blocks *b, const uint8_t *src, size_t n, const uint8_t *codes, const uint8_t *scales,
                        struct mxq_stats *stats) {
  float copy[MXQ_MEASURED * MXQ_BLOCK], y[MXQ_MEASURED * MXQ_BLOCK];
  const float *x = copy;
  if (b->lane == MXQ_LANE_F32 && (uintptr_t)src % sizeof *x == 0) x = (const float *)(const void *)src;
  else widen(src, b->lane, n, copy);
  b->kernels->decode[b->element][MXQ_LANE_F32](codes, scales, (n + MXQ_BLOCK - 1) / MXQ_BLOCK, y, false);
  b->kernels->measure(x, y, scales, n, b->element, stats);
}

void mxq_stats_add(struct mxq_stats *to, const struct mxq_stats *from) {
  to->elements += from->elements;
  to->blocks += from->blocks;
  to->clipped += from->clipped;
  to->zeroed += from->zeroed;
  to->overflowed += from->overflowed;
  to->nonfinite += from->nonfinite;
  to->signal += from->signal;
  to->noise += from->noise;
}

enum mxq_status mxq_blocks_fail(const struct mxq_blocks *b, uint64_t index, struct mxq_error *err) {
  return mxq_fail_at(err, MXQ_ERR_NONFINITE, NULL, index, b->nonfinite == MXQ_NONFINITE_ERROR
                         ? "The value at index %llu is NaN or Inf; --nonfinite block or saturate says what to do with it."
                         : "The value at index %llu is NaN, which cannot be saturated; --nonfinite block marks its block.",
                     (unsigned long long)index);
}
