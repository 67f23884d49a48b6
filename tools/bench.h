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
#include "tools/json.h"

enum { BENCH_ROUNDS = 64, BENCH_SIZES = 8, BENCH_NAME = 64 };

/* ---- bench_args.c ---- */

struct bench_size {
  size_t bytes;            /* of an f32 buffer */
  char name[24];           /* "l2", "1G" */
};
struct bench_args {
  struct bench_size sizes[BENCH_SIZES];
  unsigned size_count, rounds, threads;
  const char *filter;      /* part of a result's name */
  const char *ggml;        /* where its library lies */
  bool json, list;
  bool all_rules, special; /* every scale rule; some choice of numbers was given */
  struct mxq_numerics numerics;
};
/* -1: go on; else the exit code. */
int bench_parse(int argc, char **argv, struct bench_args *args);
int bench_usage(const char *what, const char *value, const char *hint);

/* ---- bench_memory.c ---- */

/* Buffers that all measurements share. */
struct bench_buffers {
  unsigned char *wide, *copy;   /* values, and where decoded values go */
  uint8_t *codes, *scales;
  size_t size;                  /* bytes of wide and of copy that are in use, as f32 */
  unsigned huge;                /* percent of all memory that lies in large pages */
  void *map;
  size_t mapped;
};
/* Memory for measurements of up to `size` bytes, every page there. False: there is none. */
bool bench_memory(struct bench_buffers *b, size_t size);
void bench_memory_free(struct bench_buffers *b);
/* Fills wide with weight-like values of a lane: a bell, with a scale of its own for each block. */
void bench_fill(const struct bench_buffers *b, enum mxq_lane lane, size_t bytes);

/* ---- bench_time.c ---- */

/* The state of a run. */
struct bench {
  const struct bench_args *args;
  const struct bench_size *size;
  struct bench_buffers b;
  const struct mxq_runner *runner;
  struct json j;
  int width;               /* of names */
  double end;              /* when everything should be done */
};

/* What is measured: bytes [begin, end) of a side; both are multiples of 4 KiB, but for the end of all. */
typedef void bench_fn(const struct bench_buffers *b, size_t begin, size_t end, const void *what);
/* Seconds of one pass of fn over `bytes`, shared out to all threads. Short ones are repeated. */
double bench_time(const struct bench *bench, bench_fn *fn, size_t bytes, const void *what);
double bench_now(void);
/* The middle one of n values, which are sorted. */
double bench_median(double *values, unsigned n);

/* ---- bench_yards.c ---- */

/*
 * Yardsticks: what memory allows without arithmetic, in the best of many ways to ask for it. ENCODE reads blocks of `wide` bytes and writes `narrow`
 * bytes and a scale for each, DECODE the other way round.
 */
enum bench_kind { BENCH_READ, BENCH_WRITE, BENCH_COPY, BENCH_ENCODE, BENCH_DECODE };
struct bench_yard;
/* The best ways for the size in use, found when first asked for. */
const struct bench_yard *bench_yard(const struct bench *bench, enum bench_kind kind, unsigned wide, unsigned narrow);
/* Seconds for `bytes` of the wide side. */
double bench_yard_time(const struct bench *bench, const struct bench_yard *yard, size_t bytes);
/* How it is done: "512 bit, nt, 2K at +8K". */
const char *bench_yard_how(const struct bench_yard *yard);
/* Another size is in use. */
void bench_yards_forget(void);

/* ---- bench_slot.c, bench_layout.c ---- */

struct bench_result {
  char name[BENCH_NAME];   /* "encode/e2m1/f32" */
  const char *row, *how;
  struct {
    const char *name;      /* NULL: none */
    double ratio;          /* median of each round's own */
  } against[2];
  unsigned rounds;
  uint64_t bytes;          /* that gbps counts */
  double seconds, gbps;    /* medians */
};

/* A kernel of one row, for one recipe. */
struct bench_slot {
  char name[BENCH_NAME];
  enum mxq_element element;
  enum mxq_lane lane;
  bool decode, any;        /* any: the slot of rare recipes */
  enum mxq_cpu row;
  struct mxq_numerics numerics;
};
/* All kernels that the arguments ask for, lane by lane; returns how many. *slots is for free(); NULL: no memory. */
size_t bench_collect(const struct bench_args *args, struct bench_slot **slots);
/* Checks a slot and times it; false: it differs from the reference. `lane`: what wide holds, -1 for nothing. */
bool bench_slot(struct bench *bench, const struct bench_slot *slot, int *lane, double budget, struct bench_result *result);
/* The names of layout conversions, NULL behind the last. */
const char *bench_layout_name(size_t i);
/* Converts what lies in wide. False: there and back is not the identity. */
bool bench_layout(struct bench *bench, size_t i, double budget, struct bench_result *result);

/* ---- bench_print.c ---- */

int bench_list(const struct bench_args *args);
void bench_begin(struct bench *bench);
/* A size comes into use. */
void bench_size(struct bench *bench, const struct bench_size *size);
void bench_print(struct bench *bench, const struct bench_result *result);
void bench_end(struct bench *bench);

/* ---- bench_ggml.c ---- */

/* Speeds against ggml's own functions; the exit code. */
int bench_ggml(struct bench *bench, const char *path);

#endif
