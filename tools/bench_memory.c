/* SPDX-License-Identifier: MIT */
/* The memory of all measurements, in large pages where the system gives them, and weight-like values in it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/bench.h"

#define HUGE ((size_t)2 << 20)
#define ROUND(n) (((n) + HUGE - 1) / HUGE * HUGE)

/* How many percent of the mapping at p lie in large pages. */
static unsigned huge_percent(const void *p, size_t n) {
  char line[256];
  uint64_t first, last, kib;
  bool here = false;
  uint64_t found = 0;
  FILE *f = fopen("/proc/self/smaps", "r");
  while (f && fgets(line, sizeof line, f)) {
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &first, &last) == 2)
      here = first < (uintptr_t)p + n && last > (uintptr_t)p;
    else if (here && sscanf(line, "AnonHugePages: %" SCNu64, &kib) == 1)
      found += kib << 10;
  }
  if (f)
    fclose(f);
  return found > n ? 100 : (unsigned)(found * 100 / n);
}

bool bench_memory(struct bench_buffers *b, size_t size) {
  const size_t ahead = 65536; /* loops ask for memory behind what they read */
  const size_t wide = ROUND(size + ahead), codes = ROUND(size / 2 + ahead), scales = ROUND(size / 128 + ahead);
  b->mapped = 2 * wide + codes + scales + HUGE;
  b->map = mmap(NULL, b->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (b->map == MAP_FAILED) {
    b->map = NULL;
    return false;
  }
#ifdef MADV_HUGEPAGE
  (void)!madvise(b->map, b->mapped, MADV_HUGEPAGE);
#endif
  b->wide = (unsigned char *)ROUND((uintptr_t)b->map);
  b->copy = b->wide + wide;
  b->codes = b->copy + wide;
  b->scales = b->codes + codes;
  memset(b->wide, 1, 2 * wide + codes + scales); /* every page there before anything is timed */
  b->huge = huge_percent(b->map, b->mapped);
  return true;
}

void bench_memory_free(struct bench_buffers *b) {
  if (b->map)
    munmap(b->map, b->mapped);
}

static uint64_t next(uint64_t *state) { /* SplitMix64 */
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Sums of four uniform numbers. */
void bench_fill(const struct bench_buffers *b, enum mxq_lane lane, size_t bytes) {
  uint64_t state = 1;
  size_t n = bytes / (lane == MXQ_LANE_F32 ? 4 : 2);
  float scale = 0;
  for (size_t i = 0; i < n; i++) {
    uint64_t r = next(&state);
    if (i % MXQ_BLOCK == 0)
      scale = 1.0f / (float)(1u << (r & 7)) / 65536.0f;
    float x = ((float)(r & 0xFFFF) + (float)(r >> 16 & 0xFFFF) + (float)(r >> 32 & 0xFFFF) + (float)(r >> 48) - 131070.0f) * scale;
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (lane == MXQ_LANE_F32) {
      memcpy(b->wide + 4 * i, &bits, 4);
    } else { /* cut to the lane's format: any value will do */
      int e = (int)(bits >> 23 & 0xFF) - 112;
      uint16_t half = (uint16_t)(e <= 0 ? bits >> 16 & 0x8000 : (bits >> 16 & 0x8000) | (uint32_t)e << 10 | (bits >> 13 & 0x3FF));
      uint16_t h = lane == MXQ_LANE_BF16 ? (uint16_t)(bits >> 16) : half;
      memcpy(b->wide + 2 * i, &h, 2);
    }
  }
}
