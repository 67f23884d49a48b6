/* SPDX-License-Identifier: MIT */
/* Time: of one pass over a range, by as many threads as were asked for. */
#include <stdatomic.h>
#include <time.h>

#include "tools/bench.h"
#include "lib/base/pool.h"

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_median(double *v, unsigned n) {
  for (unsigned i = 1; i < n; i++)
    for (unsigned k = i; k > 0 && v[k] < v[k - 1]; k--) {
      double t = v[k];
      v[k] = v[k - 1];
      v[k - 1] = t;
    }
  return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

struct pass {
  bench_fn *fn;
  const struct bench_buffers *b;
  const void *what;
  size_t bytes, part;
  unsigned repeat;
  _Atomic size_t next;
};

static void work(void *context) {
  struct pass *p = context;
  for (size_t at; (at = atomic_fetch_add(&p->next, p->part)) < p->bytes;)
    for (unsigned i = 0; i < p->repeat; i++)
      p->fn(p->b, at, p->bytes - at < p->part ? p->bytes : at + p->part, p->what);
}

static double once(const struct bench *bench, struct pass *p) {
  atomic_store(&p->next, 0);
  double start = bench_now();
  mxq_run(bench->runner, (p->bytes - 1) / p->part + 1, work, p);
  return (bench_now() - start) / p->repeat;
}

enum { BATCHES = 8 };

double bench_time(const struct bench *bench, bench_fn *fn, size_t bytes, const void *what) {
  const size_t large = (size_t)64 << 20;
  const double enough = 0.0005;
  const unsigned threads = bench->runner ? bench->runner->threads : 1;
  struct pass p = {.fn = fn, .b = &bench->b, .what = what, .bytes = bytes, .part = bytes, .repeat = 1};
  if (threads > 1) { /* what fits in caches stays with its thread; of the rest nobody waits long for the last part */
    p.part = bench->b.size < large ? bytes / threads : bytes / threads / 16;
    p.part = (p.part + 4095) / 4096 * 4096;
  }
  double t = once(bench, &p);
  if (bench->b.size >= large) return t;
  /* Short passes: often enough for the clock, and the best of several such, so that an interruption does not count. */
  p.repeat = t > enough ? 1 : t > enough / 100000 ? (unsigned)(enough / t) + 1 : 100000;
  double best = once(bench, &p);
  for (int i = 1; i < BATCHES; i++) {
    t = once(bench, &p);
    if (t < best) best = t;
  }
  return best;
}
