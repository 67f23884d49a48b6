/* SPDX-License-Identifier: MIT */
/* The numeric API alone: one row of floats to MXFP4 blocks and back.  cc codec.c $(pkg-config --cflags --libs libmxq) -lm */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <mxq/codec.h>

int main(void) {
  enum { K = 100 }; /* three blocks of 32, and one of 4 that is padded */
  float row[K], back[K];
  for (int i = 0; i < K; i++)
    row[i] = sinf(0.2f * (float)i) * expf(-0.02f * (float)i);

  struct mxq_rows shape = {.rows = 1, .k = K};
  struct mxq_numerics numerics = {0}; /* the defaults: scale rule auto, round to nearest even */
  struct mxq_error err;
  size_t code_bytes = mxq_row_code_bytes(MXQ_MXFP4, K), scale_bytes = mxq_row_blocks(K);
  unsigned char *codes = malloc(code_bytes), *scales = malloc(scale_bytes);
  if (!codes || !scales)
    return 1;

  if (mxq_encode(MXQ_MXFP4, MXQ_F32, row, &shape, codes, scales, &numerics, NULL, NULL, &err) != MXQ_OK ||
      mxq_decode(MXQ_MXFP4, MXQ_F32, codes, scales, &shape, back, NULL, NULL, &err) != MXQ_OK) {
    fprintf(stderr, "%s\n", err.text);
    return 1;
  }
  double signal = 0, noise = 0;
  for (int i = 0; i < K; i++) {
    signal += (double)row[i] * row[i];
    noise += (double)(row[i] - back[i]) * (row[i] - back[i]);
  }
  printf("%d floats, %zu bytes, are %zu bytes of codes and %zu of scales; first scale 2^%d; SQNR %.1f dB\n", K, sizeof row, code_bytes,
         scale_bytes, scales[0] - 127, 10 * log10(signal / noise));
  free(codes);
  free(scales);
  return signal / noise > 10 ? 0 : 1;
}
