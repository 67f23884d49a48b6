/* SPDX-License-Identifier: MIT */
/* mxquant bench: the order of measurements. */
#include "tools/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

#define BUDGET 200.0 /* seconds for everything */

static bool wanted(const struct bench_args *a, const char *name) { return !a->filter || strstr(name, a->filter); }

/* The machine's own speeds, each in turns with reading. */
static void yardsticks(struct bench *bench) {
  static const struct {
    const char *name;
    enum bench_kind kind;
    unsigned wide, narrow;
  } yards[] = {{"read", BENCH_READ, 0, 0}, {"nt-write", BENCH_WRITE, 0, 0}, {"memcpy", BENCH_COPY, 0, 0},
               {"traffic/encode/e2m1", BENCH_ENCODE, 128, 16}, {"traffic/decode/e2m1", BENCH_DECODE, 128, 16}};
  enum { YARDS = sizeof yards / sizeof *yards };
  const struct bench_yard *found[YARDS];
  double times[YARDS][BENCH_ROUNDS], ratios[YARDS][BENCH_ROUNDS];
  const size_t bytes = bench->b.size;
  for (int i = 0; i < YARDS; i++) found[i] = bench_yard(bench, yards[i].kind, yards[i].wide, yards[i].narrow);
  for (unsigned n = 0; n < bench->args->rounds; n++)
    for (int i = 0; i < YARDS; i++) {
      times[i][n] = bench_yard_time(bench, found[i], bytes);
      ratios[i][n] = times[0][n] / times[i][n];
    }
  for (int i = 0; i < YARDS; i++) {
    struct bench_result r = {.how = bench_yard_how(found[i]), .against = {{"read", bench_median(ratios[i], bench->args->rounds)}},
                             .rounds = bench->args->rounds, .bytes = bytes, .seconds = bench_median(times[i], bench->args->rounds)};
    snprintf(r.name, sizeof r.name, "%s", yards[i].kind == BENCH_WRITE && !mxq_kernels_stream(bytes) ? "write" : yards[i].name);
    r.gbps = (double)bytes / r.seconds / 1e9;
    bench_print(bench, &r);
  }
}

static int differs(const char *name, const char *row) {
  complain("bench: %s%s%s differs from the reference; nothing is timed. Please report this", name, row ? " of row " : "", row ? row : "");
  return EXIT_INPUT;
}

/* One size: yardsticks, kernels, layouts. `left`: sizes still to come, this one included. */
static int measure(struct bench *bench, const struct bench_slot *slots, size_t n, size_t layouts, size_t left) {
  const struct bench_args *a = bench->args;
  const double end = bench_now() + (bench->end - bench_now()) / (double)left;
  size_t to_do = n + layouts;
  int lane = -1;
  bench->width = 20;
  for (size_t i = 0; i < n; i++)
    if ((int)strlen(slots[i].name) > bench->width) bench->width = (int)strlen(slots[i].name);
  bench_yards_forget();
  bench_fill(&bench->b, MXQ_LANE_F32, bench->b.size);
  yardsticks(bench);
  for (size_t i = 0; i < n; i++, to_do--) {
    struct bench_result r = {0};
    if (!bench_slot(bench, &slots[i], &lane, (end - bench_now()) / (double)to_do, &r)) return differs(slots[i].name, mxq_cpu_name(slots[i].row));
    bench_print(bench, &r);
  }
  bench->width = 26;
  if (layouts && lane != MXQ_LANE_F32) bench_fill(&bench->b, MXQ_LANE_F32, bench->b.size);
  for (size_t i = 0; layouts && bench_layout_name(i); i++) {
    struct bench_result r = {0};
    if (!wanted(a, bench_layout_name(i))) continue;
    if (!bench_layout(bench, i, (end - bench_now()) / (double)to_do--, &r)) return differs(bench_layout_name(i), NULL);
    bench_print(bench, &r);
  }
  return EXIT_DONE;
}

static int all_sizes(struct bench *bench) {
  const struct bench_args *a = bench->args;
  struct bench_slot *slots;
  size_t n = bench_collect(a, &slots), layouts = 0;
  int code = EXIT_DONE;
  if (!slots) {
    complain("bench: out of memory");
    return EXIT_OUTPUT;
  }
  for (size_t i = 0; !a->special && bench_layout_name(i); i++) layouts += wanted(a, bench_layout_name(i));
  bench_begin(bench);
  for (unsigned i = 0; code == EXIT_DONE && i < a->size_count; i++) {
    bench_size(bench, &a->sizes[i]);
    code = measure(bench, slots, n, layouts, a->size_count - i);
  }
  bench_end(bench);
  free(slots);
  return code;
}

/* What was asked for exists. */
static bool any(const struct bench_args *a) {
  struct bench_slot *slots;
  bool found = bench_collect(a, &slots) > 0;
  free(slots);
  for (size_t i = 0; !a->special && bench_layout_name(i); i++) found |= wanted(a, bench_layout_name(i));
  return found;
}

int cmd_bench(int argc, char **argv) {
  struct bench_args a;
  int code = bench_parse(argc, argv, &a);
  if (code >= 0)
    return code;
  if (a.list)
    return bench_list(&a);
  if (!any(&a))
    return a.filter ? bench_usage("no kernel's name contains", a.filter, "see 'mxquant bench --list'")
                    : bench_usage("no element type has", "that rule", "see 'mxquant help quantize'");
  struct bench bench = {.args = &a, .end = bench_now() + BUDGET};
  size_t largest = 0;
  for (unsigned i = 0; i < a.size_count; i++) largest = a.sizes[i].bytes > largest ? a.sizes[i].bytes : largest;
  if (!bench_memory(&bench.b, largest)) {
    complain("bench: out of memory for buffers; choose a smaller --size");
    return EXIT_OUTPUT;
  }
  mxq_pool *pool = a.threads > 1 ? mxq_pool_create(a.threads) : NULL;
  bench.runner = mxq_pool_runner(pool);
  if (a.ggml) {
    bench.b.size = largest;
    code = bench_ggml(&bench, a.ggml);
  } else {
    code = all_sizes(&bench);
  }
  mxq_pool_free(pool);
  bench_memory_free(&bench.b);
  return finish_stdout(code);
}
