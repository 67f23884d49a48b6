/* SPDX-License-Identifier: MIT */
/* Yardsticks: what the memory does without arithmetic. Wide vectors of the compiler's own, so that they are fast on every machine. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tools/bench.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

typedef uint64_t line __attribute__((vector_size(64), aligned(64)));

enum { AHEAD = 8192, BURST = 2048 };

static void fetch(const unsigned char *p) {
  for (size_t i = 0; i < BURST; i += 64)
    __builtin_prefetch(p + AHEAD + i, 0, 3);
}

/* Keeps a sum from being dropped. */
static void keep(const line *x) { __asm__ volatile("" : : "m"(*x) : "memory"); }

static void sum_burst(const unsigned char *p, line *s) {
  const line *l = (const line *)(const void *)p;
  line a = l[0], b = l[1], c = l[2], d = l[3];
  for (size_t i = 4; i < BURST / sizeof(line); i += 4) {
    a += l[i];
    b += l[i + 1];
    c += l[i + 2];
    d += l[i + 3];
  }
  *s += (a + b) + (c + d);
}

void bench_read(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  (void)what;
  line s = {0};
  const line *l = (const line *)(const void *)(b->wide + begin), *stop = (const line *)(const void *)(b->wide + end);
#pragma GCC unroll 1
  for (; l < stop; l++) s += *l;
  keep(&s);
}

/* Non-temporal stores of 64 bytes where there are any. */
static void stream(unsigned char *dst, size_t n, int byte) {
#if defined(__SSE2__)
  __m128i v = _mm_set1_epi8((char)byte);
  for (size_t i = 0; i < n; i += 64)
    for (size_t k = 0; k < 64; k += 16)
      _mm_stream_si128((__m128i *)(void *)(dst + i + k), v);
#else
  memset(dst, byte, n);
#endif
}

void bench_nt_write(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  (void)what;
  stream(b->copy + begin, end - begin, 1);
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

void bench_memcpy(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  (void)what;
  memcpy(b->copy + begin, b->wide + begin, end - begin);
}

/* Reads all of the wide side and writes one byte for every few of it: what encoding costs without its arithmetic. */
void bench_traffic(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  unsigned share = *(const unsigned *)what;
  line s = {0};
  for (size_t i = begin; i < end; i += BURST) {
    fetch(b->wide + i);
    sum_burst(b->wide + i, &s);
    stream(b->codes + i / share, BURST / share, 1);
  }
#if defined(__SSE2__)
  _mm_sfence();
#endif
  keep(&s);
}

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct part {
  bench_fn *fn;
  const struct bench_buffers *b;
  size_t begin, end;
  const void *what;
};

static void *work(void *context) {
  const struct part *p = context;
  p->fn(p->b, p->begin, p->end, p->what);
  return NULL;
}

double bench_time(bench_fn *fn, const struct bench_buffers *b, size_t bytes, unsigned threads, const void *what) {
  enum { MOST = 64 };
  pthread_t ids[MOST];
  struct part parts[MOST];
  bool started[MOST] = {false};
  threads = threads > MOST ? MOST : threads;
  size_t step = bytes / threads / 4096 * 4096;
  double start = bench_now();
  for (unsigned i = 0; i < threads; i++) {
    parts[i] = (struct part){fn, b, i * step, i + 1 < threads ? (i + 1) * step : bytes, what};
    started[i] = i > 0 && pthread_create(&ids[i], NULL, work, &parts[i]) == 0;
  }
  for (unsigned i = 0; i < threads; i++) {
    if (started[i])
      pthread_join(ids[i], NULL);
    else
      work(&parts[i]);
  }
  return bench_now() - start;
}
