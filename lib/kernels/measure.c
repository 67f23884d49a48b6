/* SPDX-License-Identifier: MIT */
/* Statistics of encoded blocks. Four partial sums side by side, so that the order is fixed and the compiler may use vectors. */
#include <string.h>
#include "lib/kernels/kernels.h"

static float largest_of(enum mxq_element element) {
  static const float most[] = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = MXQ_EL_MAX(E, M, MXQ_TOP_##TOP),
#include "lib/kernels/element_types.def"
#undef X
  };
  return most[element];
}

static uint32_t magnitude(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u & 0x7fffffff;
}

static void measure_block(const float *x, const float *y, double limit, size_t n, struct mxq_stats *stats) {
  double signal[4] = {0}, noise[4] = {0};
  float px[32] = {0}, py[32] = {0};
  unsigned clipped = 0, zeroed = 0;
  memcpy(px, x, n * 4);
  memcpy(py, y, n * 4);
  for (int i = 0; i < 32; i++) zeroed += magnitude(px[i]) != 0 && magnitude(py[i]) == 0;
  for (int i = 0; i < 32; i++) clipped += px[i] > limit || px[i] < -limit;
  for (int i = 0; i < 32; i += 4)
    for (int j = 0; j < 4; j++) {
      double a = px[i + j], d = a - py[i + j];
      signal[j] += a * a;
      noise[j] += d * d;
    }
  stats->clipped += clipped;
  stats->zeroed += zeroed;
  stats->signal += (signal[0] + signal[2]) + (signal[1] + signal[3]);
  stats->noise += (noise[0] + noise[2]) + (noise[1] + noise[3]);
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

void mxq_measure(const float *x, const float *y, const uint8_t *scales, size_t n, enum mxq_element element, struct mxq_stats *stats) {
  stats->elements += n;
  for (size_t at = 0; at < n; at += 32, scales++) {
    size_t in_block = n - at < 32 ? n - at : 32;
    int b = *scales;
    uint64_t scale_bits = (uint64_t)(b + 1023 - 127) << 52;
    double scale;
    memcpy(&scale, &scale_bits, 8);
    double limit = largest_of(element) * scale;
    stats->blocks++;
    int32_t top = 0;
    for (size_t i = 0; i < in_block; i++) {
      int32_t a = (int32_t)magnitude(x[at + i]);
      top = a > top ? a : top;
    }
    if (b == 255 || top >= 0x7f800000) measure_odd(x + at, y + at, limit, b, in_block, stats);
    else measure_block(x + at, y + at, limit, in_block, stats);
  }
}
