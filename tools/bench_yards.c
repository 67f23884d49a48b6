/* SPDX-License-Identifier: MIT */
/* Yardsticks: what memory does without arithmetic. Many ways are tried on the machine, and the two best are timed: the faster one counts. */
#include <stdio.h>
#include <string.h>

#include "tools/bench.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* How a loop goes. */
struct way {
  unsigned wide, narrow;   /* bytes of a block on both sides, where there are two */
  unsigned width;          /* bytes of a vector; 0: the C library, 1: string instructions */
  unsigned chunk, ahead;   /* so many bytes at a time; those `ahead` are asked for first, */
  unsigned times;          /* at so many multiples of it, */
  bool spread;             /* or line by line */
  bool past;               /* non-temporal stores */
};

/* Keeps a result from being dropped. */
static void keep(const void *p, size_t n) { __asm__ volatile("" : : "r"(p), "r"(n) : "memory"); }

#if defined(__x86_64__)
#define NAMED(name) name##_64
#define WIDTH 64
#define TARGET __attribute__((target("avx512f")))
#define VECTOR __m512i
#define LOAD(p) _mm512_loadu_si512((const void *)(p))
#define STORE(p, v) _mm512_storeu_si512((void *)(p), v)
#define STREAM(p, v) _mm512_stream_si512((void *)(p), v)
#define OR(a, b) _mm512_or_si512(a, b)
#define NEXT(v) _mm512_add_epi32(v, _mm512_set1_epi32(0x01030507))
#define FENCE() _mm_sfence()
#include "tools/bench_loops.h"
#define NAMED(name) name##_32
#define WIDTH 32
#define TARGET __attribute__((target("avx2")))
#define VECTOR __m256i
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define STREAM(p, v) _mm256_stream_si256((__m256i *)(void *)(p), v)
#define OR(a, b) _mm256_or_si256(a, b)
#define NEXT(v) _mm256_add_epi32(v, _mm256_set1_epi32(0x01030507))
#define FENCE() _mm_sfence()
#include "tools/bench_loops.h"
#define NAMED(name) name##_16
#define WIDTH 16
#define TARGET
#define VECTOR __m128i
#define LOAD(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define STORE(p, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#define STREAM(p, v) _mm_stream_si128((__m128i *)(void *)(p), v)
#define OR(a, b) _mm_or_si128(a, b)
#define NEXT(v) _mm_add_epi32(v, _mm_set1_epi32(0x01030507))
#define FENCE() _mm_sfence()
#include "tools/bench_loops.h"
enum { NON_TEMPORAL = 1 };
#else
typedef uint32_t four __attribute__((vector_size(16)));
static inline four load_four(const void *p) {
  four v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline void store_four(void *p, four v) { memcpy(p, &v, sizeof v); }
#define NAMED(name) name##_16
#define WIDTH 16
#define TARGET
#define VECTOR four
#define LOAD(p) load_four(p)
#define STORE(p, v) store_four(p, v)
#define STREAM(p, v) STORE(p, v)
#define OR(a, b) ((a) | (b))
#define NEXT(v) ((v) + 0x01030507)
#define FENCE() (void)0
#include "tools/bench_loops.h"
enum { NON_TEMPORAL = 0 };
#endif

static void copy_libc(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  (void)what;
  memcpy(b->copy + begin, b->wide + begin, end - begin);
}

#if defined(__x86_64__)
static void copy_string(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  unsigned char *to = b->copy + begin;
  const unsigned char *from = b->wide + begin;
  size_t n = end - begin;
  (void)what;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}
#endif

static bench_fn *fn_of(enum bench_kind kind, const struct way *w) {
#if defined(__x86_64__)
  static bench_fn *const fns[][5] = {{READ_16, WRITE_16, COPY_16, ENCODE_16, DECODE_16}, {READ_32, WRITE_32, COPY_32, ENCODE_32, DECODE_32},
                                     {READ_64, WRITE_64, COPY_64, ENCODE_64, DECODE_64}};
  if (w->width == 1) return copy_string;
#else
  static bench_fn *const fns[][5] = {{READ_16, WRITE_16, COPY_16, ENCODE_16, DECODE_16}};
#endif
  return w->width == 0 ? copy_libc : fns[w->width / 32][kind];
}

/* ---- the best ways ---- */

enum { MOST_WAYS = 96, KEPT = 2, MOST_YARDS = 32 };

struct bench_yard {
  enum bench_kind kind;
  unsigned wide, narrow;
  struct way ways[KEPT];
  char how[48];
};
static struct bench_yard yards[MOST_YARDS];
static unsigned yard_count;

void bench_yards_forget(void) { yard_count = 0; }

static unsigned list_ways(enum bench_kind kind, unsigned wide, unsigned narrow, bool streams, struct way *ways) {
  static const struct { unsigned chunk, ahead, times; bool spread; } orders[] = {
    {2048, 0, 0, false}, {2048, 4096, 1, false}, {2048, 8192, 1, false}, {4096, 4096, 1, false}, {4096, 8192, 1, false}, {2048, 16384, 1, false},
    {2048, 8192, 4, false}, {2048, 8192, 2, false}, {2048, 4096, 4, false}, {2048, 2048, 1, true}, {2048, 8192, 1, true},
  };
  unsigned n = 0;
  for (unsigned width = 16; width <= 64; width *= 2) {
#if defined(__x86_64__)
    if ((width == 64 && mxq_cpu_best() < MXQ_CPU_AVX512) || (width == 32 && mxq_cpu_best() < MXQ_CPU_AVX2)) break;
    if (width == 16 && mxq_cpu_best() >= MXQ_CPU_AVX2) continue;
#else
    if (width > 16) break;
#endif
    for (unsigned o = 0; o < sizeof orders / sizeof *orders; o++)
      for (int past = 0; past <= (kind == BENCH_READ ? 0 : NON_TEMPORAL); past++) {
        if (kind == BENCH_WRITE && (orders[o].ahead || (streams && NON_TEMPORAL && !past))) continue;
        if (kind == BENCH_DECODE && orders[o].spread) continue;
        ways[n++] = (struct way){wide, narrow, width, orders[o].chunk, orders[o].ahead, orders[o].times, orders[o].spread, past};
      }
  }
  if (kind == BENCH_COPY) {
    ways[n++] = (struct way){0};
#if defined(__x86_64__)
    ways[n++] = (struct way){.width = 1};
#endif
  }
  return n;
}

static void name_way(char *buf, size_t size, const struct way *w) {
  if (w->width < 2)
    snprintf(buf, size, "%s", w->width ? "rep movsb" : "libc");
  else if (w->ahead)
    snprintf(buf, size, "%u bit, %s, %u%s at +%u x%u", w->width * 8, w->past ? "nt" : "plain", w->chunk, w->spread ? " spread" : "", w->ahead, w->times);
  else
    snprintf(buf, size, "%u bit, %s", w->width * 8, w->past ? "nt" : "plain");
}

/* The fastest to the front. */
static void sort_ways(struct way *ways, double *seconds, unsigned n) {
  for (unsigned i = 1; i < n; i++)
    for (unsigned k = i; k > 0 && seconds[k] < seconds[k - 1]; k--) {
      const double t = seconds[k];
      const struct way w = ways[k];
      seconds[k] = seconds[k - 1], seconds[k - 1] = t;
      ways[k] = ways[k - 1], ways[k - 1] = w;
    }
}

const struct bench_yard *bench_yard(const struct bench *bench, enum bench_kind kind, unsigned wide, unsigned narrow) {
  enum { FINAL = 6, AGAIN = 3 };
  for (unsigned i = 0; i < yard_count; i++)
    if (yards[i].kind == kind && yards[i].wide == wide && yards[i].narrow == narrow)
      return &yards[i];
  struct bench_yard *yard = &yards[yard_count < MOST_YARDS ? yard_count++ : MOST_YARDS - 1];
  const size_t bytes = narrow ? bench->b.size / 128 * wide : bench->b.size;
  struct way ways[MOST_WAYS];
  double best[MOST_WAYS];
  unsigned n = list_ways(kind, wide, narrow, mxq_kernels_stream(bench->b.size), ways);
  for (unsigned i = 0; i < n; i++)
    best[i] = bench_time(bench, fn_of(kind, &ways[i]), bytes, &ways[i]);
  sort_ways(ways, best, n);
  for (unsigned again = 0; again < AGAIN; again++)
    for (unsigned i = 0; i < n && i < FINAL; i++) {
      double t = bench_time(bench, fn_of(kind, &ways[i]), bytes, &ways[i]);
      if (t < best[i]) best[i] = t;
    }
  sort_ways(ways, best, n < FINAL ? n : FINAL);
  *yard = (struct bench_yard){.kind = kind, .wide = wide, .narrow = narrow, .ways = {ways[0], ways[n > 1]}};
  name_way(yard->how, sizeof yard->how, &ways[0]);
  return yard;
}

double bench_yard_time(const struct bench *bench, const struct bench_yard *yard, size_t bytes) {
  double best = 0;
  for (int i = 0; i < KEPT; i++) {
    double t = bench_time(bench, fn_of(yard->kind, &yard->ways[i]), bytes, &yard->ways[i]);
    if (i == 0 || t < best) best = t;
  }
  return best;
}

const char *bench_yard_how(const struct bench_yard *yard) { return yard->how; }
