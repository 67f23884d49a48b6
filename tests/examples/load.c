/* SPDX-License-Identifier: MIT */
/* Lists an archive's tensors, and decodes one of them.  load FILE.pt2 [NAME] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <mxq/archive.h>

int main(int argc, char **argv) {
  const char *name = argc > 2 ? argv[2] : "layer.weight";
  mxq_reader *reader = NULL;
  struct mxq_error err;
  if (argc < 2 || mxq_export_load(argv[1], false, &reader, &err) != MXQ_OK) {
    fprintf(stderr, "%s\n", argc < 2 ? "usage: load FILE.pt2 [NAME]" : err.text);
    return 1;
  }
  for (size_t i = 0; i < mxq_reader_count(reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
    printf("%-16s %-10s %" PRIu64 " elements in %" PRIu64 " bytes\n", t->name,
           t->format == MXQ_FORMAT_NONE ? mxq_dtype_name(t->dtype) : mxq_format_name(t->format), t->elements, t->bytes);
  }
  int failed = 1;
  size_t i = mxq_reader_find(reader, name);
  size_t bytes = i == SIZE_MAX ? 0 : mxq_reader_tensor(reader, i)->elements * sizeof(float);
  float *values = malloc(bytes + 1); /* + 1: an empty tensor is a tensor */
  if (i == SIZE_MAX) {
    fprintf(stderr, "%s holds no tensor '%s'\n", argv[1], name);
  } else if (!values || mxq_reader_decode(reader, i, MXQ_F32, values, bytes, NULL, &err) != MXQ_OK) {
    fprintf(stderr, "%s: %s\n", name, values ? err.text : "out of memory");
  } else {
    printf("%s begins with %g\n", name, bytes ? (double)values[0] : 0.0);
    failed = 0;
  }
  free(values);
  mxq_reader_close(reader);
  return failed;
}
