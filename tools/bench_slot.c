/* SPDX-License-Identifier: MIT */
/* One slot of one row: checked against the reference, then timed in turns with its yardstick. */
#include <stdio.h>
#include <string.h>

#include "tools/bench.h"
#include "lib/kernels/recipe.h"

static size_t lane_bytes(enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? 4 : 2; }
static size_t block_wide(const struct bench_slot *s) { return MXQ_BLOCK * lane_bytes(s->lane); }

static uint64_t next(uint64_t *state) { /* SplitMix64 */
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Sums of four uniform numbers: a bell like that of weights, with a scale of its own for each block of 32. */
void bench_fill(const struct bench_buffers *b, enum mxq_lane lane, size_t bytes) {
  uint64_t state = 1;
  size_t n = bytes / lane_bytes(lane);
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

/* stream: outputs are larger than caches. */
static void run_row(enum mxq_cpu row, const struct bench_slot *s, const unsigned char *wide, size_t blocks, uint8_t *codes, uint8_t *scales,
                    unsigned char *copy, bool stream) {
  const struct mxq_kernels *k = mxq_kernel_rows[row];
  const struct mxq_numerics automatic = {.scale_rule = MXQ_SCALE_AUTO, .round = MXQ_ROUND_RNE, .neg_zero = MXQ_NEG_ZERO_KEEP};
  struct mxq_recipe recipe;
  mxq_recipe_make(&recipe, s->element, &automatic);
  recipe.stream = stream;
  if (s->decode)
    k->decode[s->element][s->lane](codes, scales, blocks, copy, stream);
  else
    k->encode[s->element][s->lane](wide, blocks, codes, scales, &recipe);
}

static void kernel(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  const struct bench_slot *s = what;
  size_t first = begin / block_wide(s), blocks = (end - begin) / block_wide(s);
  size_t all = b->size / (MXQ_BLOCK * 4); /* blocks: as many values in every lane */
  bool stream = mxq_kernels_stream(all * (s->decode ? block_wide(s) : mxq_block_bytes(s->element)));
  run_row(s->row, s, b->wide + begin, blocks, b->codes + first * mxq_block_bytes(s->element), b->scales + first, b->copy + begin, stream);
}

void bench_prepare(const struct bench_buffers *b, const struct bench_slot *slot, size_t bytes) {
  struct bench_slot encode = *slot;
  encode.decode = false;
  if (!mxq_kernel_rows[encode.row]->encode[encode.element][encode.lane])
    encode.row = MXQ_CPU_SCALAR;
  kernel(b, 0, bytes, &encode);
}

bool bench_check(const struct bench_buffers *b, const struct bench_slot *s, size_t bytes) {
  enum { SAMPLE = 64 }; /* blocks */
  size_t block = block_wide(s), code = mxq_block_bytes(s->element), blocks = bytes / block;
  kernel(b, 0, bytes, s);
  for (unsigned i = 0; i < 16; i++) { /* from the first to the last block */
    size_t at = (blocks - SAMPLE) / 15 * i;
    unsigned char wide[SAMPLE * MXQ_BLOCK * 4];
    uint8_t codes[SAMPLE * 32], scales[SAMPLE];
    if (s->decode) {
      run_row(MXQ_CPU_REFERENCE, s, NULL, SAMPLE, b->codes + at * code, b->scales + at, wide, false);
      if (memcmp(wide, b->copy + at * block, SAMPLE * block) != 0)
        return false;
    } else {
      run_row(MXQ_CPU_REFERENCE, s, b->wide + at * block, SAMPLE, codes, scales, NULL, false);
      if (memcmp(codes, b->codes + at * code, SAMPLE * code) != 0 || memcmp(scales, b->scales + at, SAMPLE) != 0)
        return false;
    }
  }
  return true;
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

void bench_measure(const struct bench_args *args, const struct bench_buffers *b, const struct bench_slot *s, size_t bytes, double budget,
                   struct bench_result *r) {
  enum { MOST = 64 };
  double times[MOST], ratios[MOST], start = bench_now();
  unsigned n = 0, most = args->rounds < MOST ? args->rounds : MOST;
  bench_fn *yard = s->decode ? bench_nt_write : bench_read;
  while (n < most && (n == 0 || bench_now() - start < budget)) {
    /* who comes first changes, so that neither always meets the other's cache */
    double first = n % 2 ? bench_time(kernel, b, bytes, args->threads, s) : bench_time(yard, b, bytes, args->threads, NULL);
    double second = n % 2 ? bench_time(yard, b, bytes, args->threads, NULL) : bench_time(kernel, b, bytes, args->threads, s);
    times[n] = n % 2 ? first : second;
    ratios[n] = n % 2 ? second / first : first / second;
    n++;
  }
  r->against = s->decode ? "nt-write" : "read";
  r->row = mxq_cpu_name(s->row);
  r->threads = args->threads;
  r->rounds = n;
  r->bytes = bytes;
  r->seconds = bench_median(times, n);
  r->gbps = (double)bytes / r->seconds / 1e9;
  r->ratio = bench_median(ratios, n);
}
