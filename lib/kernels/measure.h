/* SPDX-License-Identifier: MIT */
/*
 * Statistics of encoded blocks; part of the template. Partial sums side by side, so that the order of summation is fixed, the same in
 * every row, and the compiler may use vectors of any width.
 */
#ifndef MXQ_KERNELS_MEASURE_H
#define MXQ_KERNELS_MEASURE_H

#include <string.h>
#include "lib/kernels/scale.h"

static float largest_of(enum mxq_element element) {
  static const float most[] = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = MXQ_EL_MAX(E, M, MXQ_TOP_##TOP),
#include "lib/kernels/element_types.def"
#undef X
  };
  return most[element];
}

static inline uint32_t magnitude(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u & 0x7fffffff;
}

/*
 * Values are divided by the scale first, an exact step but for what is nothing beside the largest: so squares of f32 neither overflow nor
 * vanish, and vectors are twice as wide as in double. What f32 rounds away is far below what a decibel shows.
 */
#ifndef MXQ_OPS_MEASURE
static inline uint32_t top_magnitude(const float x[32]) {
  int32_t top = 0;
  for (int i = 0; i < MXQ_BLOCK; i++) {
    int32_t a = (int32_t)magnitude(x[i]);
    top = a > top ? a : top;
  }
  return (uint32_t)top;
}

static inline void sum_block(const float x[32], const float y[32], float most, float inverse, struct sums *sums) {
  float signal[LANES] = {0}, noise[LANES] = {0};
  unsigned clipped[LANES] = {0}, zeroed[LANES] = {0};
  for (int i = 0; i < MXQ_BLOCK; i += LANES)
    for (int j = 0; j < LANES; j++) {
      float a = x[i + j] * inverse, d = a - y[i + j] * inverse;
      signal[j] += a * a;
      noise[j] += d * d;
      clipped[j] += (unsigned)(a > most) | (unsigned)(a < -most);
      zeroed[j] += (unsigned)(magnitude(x[i + j]) != 0) & (unsigned)(magnitude(y[i + j]) == 0);
    }
  *sums = (struct sums){0};
  memcpy(sums->signal, signal, sizeof signal);
  memcpy(sums->noise, noise, sizeof noise);
  for (int j = 0; j < LANES; j++) {
    sums->clipped += clipped[j];
    sums->zeroed += zeroed[j];
  }
}
#endif

static inline void measure_block(const float *x, const float *y, float most, double scale, struct mxq_stats *stats) {
  struct sums sums;
  double s = 0, n = 0;
  sum_block(x, y, most, (float)(1 / scale), &sums);
  for (int j = 0; j < LANES; j++) {
    s += (double)sums.signal[j];
    n += (double)sums.noise[j];
  }
  stats->clipped += sums.clipped;
  stats->zeroed += sums.zeroed;
  stats->signal += s * scale * scale;
  stats->noise += n * scale * scale;
}

/* With Inf or NaN in the block, or a decoded value beyond f32: one scalar at a time. */
static void measure_odd(const float *x, const float *y, double limit, int b, size_t n, struct mxq_stats *stats) {
  size_t bad = 0;
  for (size_t i = 0; i < n; i++) bad += magnitude(x[i]) >= 0x7f800000;
  stats->nonfinite += bad;
  if (b == 255) {
    if (bad == 0) {
      stats->overflowed++;
      for (size_t i = 0; i < n; i++) stats->zeroed += magnitude(x[i]) != 0;
    } else {
      for (size_t i = 0; i < n; i++) stats->zeroed += magnitude(x[i]) != 0 && magnitude(x[i]) < 0x7f800000;
    }
    return;
  }
  for (size_t i = 0; i < n; i++) {
    if (magnitude(x[i]) >= 0x7f800000) continue;
    double a = x[i], d = a - y[i];
    stats->clipped += a > limit || a < -limit;
    stats->zeroed += magnitude(x[i]) != 0 && magnitude(y[i]) == 0;
    stats->signal += a * a;
    stats->noise += d * d;
  }
}

static void measure(const float *x, const float *y, const uint8_t *scales, size_t n, enum mxq_element element, struct mxq_stats *stats) {
  stats->elements += n;
  for (size_t at = 0; at < n; at += 32, scales++) {
    size_t in_block = n - at < 32 ? n - at : 32;
    int b = *scales;
    uint64_t scale_bits = (uint64_t)(b + 1023 - 127) << 52;
    double scale;
    memcpy(&scale, &scale_bits, 8);
    double limit = largest_of(element) * scale;
    stats->blocks++;
    const float *px = x + at, *py = y + at;
    float whole[2][MXQ_BLOCK];
    if (in_block < MXQ_BLOCK) {
      memset(whole, 0, sizeof whole);
      px = memcpy(whole[0], px, in_block * sizeof *px);
      py = memcpy(whole[1], py, in_block * sizeof *py);
    }
    if (b == 255 || top_magnitude(px) >= 0x7f800000) measure_odd(px, py, limit, b, in_block, stats);
    else measure_block(px, py, largest_of(element), scale, stats);
  }
}

#endif
