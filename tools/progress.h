/* SPDX-License-Identifier: MIT */
/* Progress on standard error, the memory in use, and signals that ask to stop. */
#ifndef MXQUANT_PROGRESS_H
#define MXQUANT_PROGRESS_H

#include "tools/args.h"

struct progress {
  enum progress_mode mode;   /* ALWAYS: one line that is written over; never AUTO */
  double start, shown;       /* seconds */
  size_t width, used;        /* columns of the terminal, and of the line that stands there */
  double sampled;
  uint64_t peak_anon_bytes;
};

/* Seconds of a clock that only goes forward. */
double seconds_now(void);

void progress_begin(struct progress *p, const struct args *args);
/* The callback of conversions: `user` is a struct progress. True (cancel) once a signal has come. */
bool progress_step(void *user, uint64_t done, uint64_t total, const char *tensor);
/* Takes the line away, so that other output stands alone. */
void progress_end(struct progress *p);
/* Anonymous memory in use now goes into the peak. */
void progress_sample(struct progress *p);

/* From here on SIGINT, SIGTERM and SIGHUP only ask to stop; a second one of the same kind ends the process at once. */
void interrupt_watch(void);
bool interrupt_pending(void);
/* Ends the process by the signal that came, if one did. */
void interrupt_obey(void);

#endif
