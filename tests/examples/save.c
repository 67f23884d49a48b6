/* SPDX-License-Identifier: MIT */
/* Two tensors to an archive that torch.export.load opens: a weight as MXFP8, a bias as it is.  save OUT.pt2 */
#include <stdio.h>
#include <mxq/archive.h>

enum { OUT = 8, IN = 48 }; /* rows of 48: a block of 32, and one of 16 that is padded */

int main(int argc, char **argv) {
  static float weight[OUT * IN], bias[OUT];
  static const uint64_t weight_shape[] = {OUT, IN}, bias_shape[] = {OUT};
  if (argc != 2) {
    fprintf(stderr, "usage: %s OUT.pt2\n", argv[0]);
    return 1;
  }
  for (int o = 0; o < OUT; o++) {
    bias[o] = 0.5f * (float)o;
    for (int i = 0; i < IN; i++)
      weight[o * IN + i] = (float)(o - i) / 16;
  }
  const struct mxq_array arrays[] = {
    {.name = "layer.weight", .dtype = MXQ_F32, .ndim = 2, .shape = weight_shape, .data = weight, .format = MXQ_MXFP8_E4M3},
    {.name = "layer.bias", .dtype = MXQ_F32, .ndim = 1, .shape = bias_shape, .data = bias},
  };
  struct mxq_save_options options = {.threads = 2}; /* all else by default; .replace would allow an existing file */
  struct mxq_error err;
  if (mxq_export_save(argv[1], arrays, 2, &options, &err) != MXQ_OK) {
    fprintf(stderr, "%s: %s: %s\n", argv[1], err.subject, err.text);
    return 1;
  }
  return 0;
}
