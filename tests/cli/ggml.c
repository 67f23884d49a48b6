/* SPDX-License-Identifier: MIT */
/*
 * A library with the two functions of ggml's that bench calls, written from their definition (a byte for the
 * scale, then 16 bytes whose low nibbles are elements 0 to 15, high ones 16 to 31). WRONG_BLOCKS and WRONG_VALUES each spoil one thing late in the data; OLD has neither.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

static const float values[16] = {0, 1, 2, 3, 4, 6, 8, 12, -0.0f, -1, -2, -3, -4, -6, -8, -12}; /* twice those of the elements */

#ifdef OLD
int ggml_nothing(void);
int ggml_nothing(void) { return values[1] > 0; }
#else
struct block {
  uint8_t scale, codes[16];
};

void quantize_row_mxfp4_ref(const float *x, struct block *y, int64_t k);
void dequantize_row_mxfp4(const struct block *x, float *y, int64_t k);

/* The value next to x; of two equally near ones that with the smaller number. */
static int nearest(float x, float half) {
  int best = 0;
  for (int i = 1; i < 16; i++)
    if (fabsf(values[i] * half - x) < fabsf(values[best] * half - x)) best = i;
  return best;
}

void quantize_row_mxfp4_ref(const float *x, struct block *y, int64_t k) {
  for (int64_t b = 0; b < k / 32; b++, x += 32) {
    float most = 0;
    for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
    y[b].scale = most > 0 ? (uint8_t)(floorf(log2f(most)) + 125) : 0;
    const float half = ldexpf(1, y[b].scale - 128);
    for (int i = 0; i < 16; i++) y[b].codes[i] = (uint8_t)(nearest(x[i], half) | nearest(x[i + 16], half) << 4);
#ifdef WRONG_BLOCKS
    if (b == 77) y[b].codes[15] ^= 0x10;
#endif
  }
}

void dequantize_row_mxfp4(const struct block *x, float *y, int64_t k) {
  for (int64_t b = 0; b < k / 32; b++, y += 32)
    for (int i = 0; i < 16; i++) {
      const float half = ldexpf(1, x[b].scale - 128);
      y[i] = values[x[b].codes[i] & 15] * half;
      y[i + 16] = values[x[b].codes[i] >> 4] * half;
#ifdef WRONG_VALUES
      if (b == 99 && i == 3) y[i] += half;
#endif
    }
}
#endif
