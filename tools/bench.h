/* SPDX-License-Identifier: MIT */
/*
 * mxquant bench: kernels against the machine's own yardsticks, in one process, in turns. The one command that looks below the
 * public API: it names the row of the kernel table that serves a slot.
 */
#ifndef MXQUANT_BENCH_H
#define MXQUANT_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernels/kernels.h"

struct bench_args {
  size_t size;             /* bytes of an f32 buffer */
  unsigned rounds, threads;
  const char *filter;      /* part of a result's name */
  bool json, list, quiet;
  enum mxq_cpu level;      /* the strongest row that is measured */
};

/* Buffers that all measurements share. */
struct bench_buffers {
  unsigned char *wide, *copy;   /* values, and where decoded values go; size bytes */
  uint8_t *codes, *scales;
  size_t size;
};

/* What is measured: bytes [begin, end) of the wide side, a part of the whole for each thread; both are multiples of 4 KiB. */
typedef void bench_fn(const struct bench_buffers *b, size_t begin, size_t end, const void *what);
/* Runs fn over `bytes` of the wide side in `threads` threads; seconds. */
double bench_time(bench_fn *fn, const struct bench_buffers *b, size_t bytes, unsigned threads, const void *what);

/* Yardsticks. `what` of traffic: const unsigned *, wide bytes for one narrow byte. */
bench_fn bench_read, bench_nt_write, bench_memcpy, bench_traffic;

/* A slot of one row. */
struct bench_slot {
  enum mxq_element element;
  enum mxq_lane lane;
  bool decode;
  enum mxq_cpu row;
};
struct bench_result {
  char name[40];           /* "encode/e2m1/f32" */
  const char *row, *against;
  unsigned threads, rounds;
  uint64_t bytes;
  double seconds, gbps, ratio; /* medians; ratio: of each round's own ratio to the yardstick */
};

/* Fills wide with weight-like values of a lane. */
void bench_fill(const struct bench_buffers *b, enum mxq_lane lane, size_t bytes);
/* Encodes what wide holds, with the slot's row, everywhere (the input of a decoder). */
void bench_prepare(const struct bench_buffers *b, const struct bench_slot *slot, size_t bytes);
/* Compares the slot's output with the reference's on a sample; false: they differ, and nothing may be timed. */
bool bench_check(const struct bench_buffers *b, const struct bench_slot *slot, size_t bytes);
/* Times a slot and its yardstick in turns, until rounds or `budget` seconds are spent. */
void bench_measure(const struct bench_args *args, const struct bench_buffers *b, const struct bench_slot *slot, size_t bytes, double budget,
                   struct bench_result *result);
double bench_now(void);
/* The middle one of n values, which are sorted. */
double bench_median(double *values, unsigned n);

#endif
