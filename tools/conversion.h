/* SPDX-License-Identifier: MIT */
/* What quantize and dequantize share: an input, an output that appears whole or not at all, time, memory, signals. */
#ifndef MXQUANT_CONVERSION_H
#define MXQUANT_CONVERSION_H

#include "tools/progress.h"

struct conversion {
  const struct args *args;
  const char *in, *out;
  mxq_reader *reader;
  struct mxq_sink sink;
  struct progress progress;
  bool to_stdout;
  uint64_t bytes_in, bytes_out; /* of the files */
  double start, seconds;
};

/* Opens the input and refuses an output that is the same file. Returns -1, or the exit code of what was reported. */
int conversion_begin(struct conversion *c, const struct args *args);
/* Opens the output, which will have `expected` bytes (0: not known). Returns as above. */
int conversion_output(struct conversion *c, uint64_t expected);
/* Reports a failure of a step before conversion_output. Returns its exit code. */
int conversion_failed(struct conversion *c, const struct mxq_error *err);
/*
 * Ends the writing: keeps the output when status is MXQ_OK, else takes it away and reports. Returns the exit code; when a signal came before
 * the output stood, the process ends by it here.
 */
int conversion_commit(struct conversion *c, enum mxq_status status, struct mxq_error *err);
/* Releases everything. */
void conversion_end(struct conversion *c);

double conversion_mb_per_s(const struct conversion *c);
/* The lines of the summary that all conversions have: bytes, time. */
void conversion_print(const struct conversion *c);

#endif
