/* SPDX-License-Identifier: MIT */
/* Slots of rows: found, checked against the reference, then timed in turns with their yardsticks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench.h"
#include "lib/kernels/recipe.h"

static const char *const lanes[MXQ_LANES] = {"f32", "bf16", "f16"};

static size_t lane_bytes(enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? 4 : 2; }
static size_t block_wide(const struct bench_slot *s) { return MXQ_BLOCK * lane_bytes(s->lane); }

static enum mxq_format format_of(enum mxq_element element) {
  int f = MXQ_MXFP4;
  while (mxq_format_element((enum mxq_format)f) != element) f++;
  return (enum mxq_format)f;
}

/* ---- which ---- */

static bool row_has(enum mxq_cpu row, const struct bench_slot *s) {
  const struct mxq_kernels *k = mxq_kernel_rows[row];
  return s->decode ? k->decode[s->element][s->lane] != NULL : s->any ? k->encode_any[s->element][s->lane] != NULL : k->encode[s->element][s->lane] != NULL;
}

/* The row whose function stands in the merged table. */
static enum mxq_cpu serving(const struct bench_slot *s) {
  const struct mxq_kernels *now = mxq_kernels_now(), *k;
  int row = MXQ_CPU_COUNT - 1;
  for (; row > 0; row--) {
    if (!row_has((enum mxq_cpu)row, s)) continue;
    k = mxq_kernel_rows[row];
    if (s->decode ? k->decode[s->element][s->lane] == now->decode[s->element][s->lane]
                  : s->any ? k->encode_any[s->element][s->lane] == now->encode_any[s->element][s->lane]
                           : k->encode[s->element][s->lane] == now->encode[s->element][s->lane])
      break;
  }
  return (enum mxq_cpu)row;
}

static size_t add(const struct bench_args *a, struct bench_slot *slots, size_t n, struct bench_slot s) {
  enum mxq_cpu best = serving(&s), rows[2] = {best, MXQ_CPU_SCALAR};
  if (a->filter && !strstr(s.name, a->filter)) return n;
  for (int i = 0; i < (best > MXQ_CPU_SCALAR && !a->list ? 2 : 1); i++) {
    s.row = rows[i];
    slots[n++] = s;
  }
  return n;
}

/* Encoders of one pair under every rule that was asked for. */
static size_t add_encoders(const struct bench_args *a, struct bench_slot *slots, size_t n, enum mxq_element element, enum mxq_lane lane) {
  struct bench_slot s = {.element = element, .lane = lane};
  for (int rule = a->all_rules ? 1 : (int)a->numerics.scale_rule; rule < MXQ_SCALE_RULE_COUNT; rule++) {
    struct mxq_recipe recipe;
    s.numerics = a->numerics;
    s.numerics.scale_rule = (enum mxq_scale_rule)rule;
    if (mxq_numerics_resolve(format_of(element), &s.numerics, NULL) == MXQ_OK) {
      mxq_recipe_make(&recipe, element, &s.numerics);
      s.any = !recipe.plain;
      int used = snprintf(s.name, sizeof s.name, "encode/%s/%s", mxq_element_name(element), lanes[lane]);
      const char *parts[3] = {a->numerics.compat ? mxq_compat_name(s.numerics.compat) : NULL, a->all_rules || a->numerics.scale_rule ? mxq_scale_rule_name(s.numerics.scale_rule) : NULL,
                              a->numerics.round ? mxq_round_name(s.numerics.round) : NULL};
      for (int i = 0; i < 3; i++)
        if (parts[i]) used += snprintf(s.name + used, sizeof s.name - (size_t)used, "/%s", parts[i]);
      n = add(a, slots, n, s);
    }
    if (!a->all_rules) break;
  }
  return n;
}

size_t bench_collect(const struct bench_args *a, struct bench_slot **slots) {
  size_t n = 0;
  *slots = calloc(2 * (MXQ_SCALE_RULE_COUNT + 2) * MXQ_ELEMENT_COUNT * MXQ_LANES, sizeof **slots);
  for (int lane = 0; *slots && lane < MXQ_LANES; lane++)
    for (int e = 0; e < MXQ_ELEMENT_COUNT; e++) {
      struct bench_slot s = {.element = (enum mxq_element)e, .lane = (enum mxq_lane)lane, .numerics = {.round = MXQ_ROUND_HALF_AWAY}};
      n = add_encoders(a, *slots, n, s.element, s.lane);
      if (a->special) continue; /* they are of encoders */
      if (a->list) {
        snprintf(s.name, sizeof s.name, "encode-any/%s/%s", mxq_element_name(s.element), lanes[lane]);
        s.any = true;
        n = add(a, *slots, n, s);
      }
      snprintf(s.name, sizeof s.name, "decode/%s/%s", mxq_element_name(s.element), lanes[lane]);
      s.decode = true;
      n = add(a, *slots, n, s);
    }
  return n;
}

/* ---- run ---- */

/* stream: outputs are larger than caches. */
static void run_row(enum mxq_cpu row, const struct bench_slot *s, const unsigned char *wide, size_t first, size_t blocks, uint8_t *codes,
                    uint8_t *scales, unsigned char *copy, bool stream) {
  const struct mxq_kernels *k = mxq_kernel_rows[row];
  if (s->decode) {
    k->decode[s->element][s->lane](codes, scales, blocks, copy, stream);
    return;
  }
  struct mxq_recipe recipe;
  mxq_recipe_make(&recipe, s->element, &s->numerics);
  recipe.stream = stream;
  if (s->any)
    k->encode_any[s->element][s->lane](wide, blocks, codes, scales, &recipe, &(struct mxq_place){first * MXQ_BLOCK, MXQ_BLOCK, 1});
  else
    k->encode[s->element][s->lane](wide, blocks, codes, scales, &recipe);
}

static void kernel(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  const struct bench_slot *s = what;
  size_t first = begin / block_wide(s), blocks = (end - begin) / block_wide(s);
  size_t all = b->size / (MXQ_BLOCK * 4); /* blocks: as many values in every lane */
  bool stream = mxq_kernels_stream(all * (s->decode ? block_wide(s) : mxq_block_bytes(s->element)));
  run_row(s->row, s, b->wide + begin, first, blocks, b->codes + first * mxq_block_bytes(s->element), b->scales + first, b->copy + begin, stream);
}

/* Encodes what wide holds, everywhere: the input of a decoder. */
static void prepare(const struct bench_buffers *b, const struct bench_slot *slot, size_t bytes) {
  struct bench_slot encode = *slot;
  encode.decode = encode.any = false;
  encode.numerics = (struct mxq_numerics){0};
  if (mxq_numerics_resolve(format_of(encode.element), &encode.numerics, NULL) != MXQ_OK) abort();
  if (!row_has(encode.row, &encode)) encode.row = serving(&encode);
  kernel(b, 0, bytes, &encode);
}

/* Compares the slot's output with the reference's on a sample. */
static bool check(const struct bench_buffers *b, const struct bench_slot *s, size_t bytes) {
  enum { SAMPLE = 64, SAMPLES = 16 }; /* blocks */
  size_t block = block_wide(s), code = mxq_block_bytes(s->element), blocks = bytes / block;
  if (s->decode) {
    memset(b->copy, 0xA5, bytes);
  } else {
    memset(b->codes, 0xA5, blocks * code);
    memset(b->scales, 0xA5, blocks);
  }
  kernel(b, 0, bytes, s);
  for (unsigned i = 0; i < SAMPLES; i++) { /* from the first to the last block */
    size_t at = (blocks - SAMPLE) / (SAMPLES - 1) * i;
    if (i == SAMPLES - 1) at = blocks - SAMPLE;
    unsigned char wide[SAMPLE * MXQ_BLOCK * 4];
    uint8_t codes[SAMPLE * 32], scales[SAMPLE];
    if (s->decode) {
      run_row(MXQ_CPU_REFERENCE, s, NULL, at, SAMPLE, b->codes + at * code, b->scales + at, wide, false);
      if (memcmp(wide, b->copy + at * block, SAMPLE * block) != 0) return false;
    } else {
      run_row(MXQ_CPU_REFERENCE, s, b->wide + at * block, at, SAMPLE, codes, scales, NULL, false);
      if (memcmp(codes, b->codes + at * code, SAMPLE * code) != 0 || memcmp(scales, b->scales + at, SAMPLE) != 0) return false;
    }
  }
  return true;
}

bool bench_slot(struct bench *bench, const struct bench_slot *s, int *lane, double budget, struct bench_result *r) {
  const struct bench_buffers *b = &bench->b;
  const size_t bytes = b->size / (MXQ_BLOCK * 4) * block_wide(s);
  const unsigned wide = (unsigned)block_wide(s), narrow = (unsigned)mxq_block_bytes(s->element);
  if (*lane != (int)s->lane) bench_fill(b, s->lane, bytes);
  *lane = (int)s->lane;
  if (s->decode) prepare(b, s, bytes);
  if (!check(b, s, bytes)) return false;
  const struct bench_yard *yards[2] = {bench_yard(bench, s->decode ? BENCH_WRITE : BENCH_READ, 0, 0),
                                       bench_yard(bench, s->decode ? BENCH_DECODE : BENCH_ENCODE, wide, narrow)};
  /* What 16-bit sources are measured by is all that moves. */
  const double moved = s->decode || wide == 128 ? 1 : (double)(wide + narrow + 1) / wide;
  double times[BENCH_ROUNDS], ratios[2][BENCH_ROUNDS], start = bench_now();
  unsigned n = 0, most = bench->args->rounds;
  while (n < most && (n == 0 || bench_now() - start < budget)) {
    /* who comes first changes, so that none always meets another's cache */
    double yard[2], mine = 0;
    for (unsigned i = 0; i < 3; i++) {
      unsigned who = (i + n) % 3;
      if (who == 2) mine = bench_time(bench, kernel, bytes, s);
      else yard[who] = bench_yard_time(bench, yards[who], bytes);
    }
    times[n] = mine;
    ratios[0][n] = yard[0] / mine * moved;
    ratios[1][n] = yard[1] / mine;
    n++;
  }
  memcpy(r->name, s->name, sizeof r->name);
  r->row = mxq_cpu_name(s->row);
  r->how = bench_yard_how(yards[1]);
  r->against[0].name = !s->decode ? "read" : mxq_kernels_stream(b->size) ? "nt-write" : "write";
  r->against[0].ratio = bench_median(ratios[0], n);
  r->against[1].name = "traffic";
  r->against[1].ratio = bench_median(ratios[1], n);
  r->rounds = n;
  r->bytes = bytes;
  r->seconds = bench_median(times, n);
  r->gbps = (double)bytes / r->seconds / 1e9;
  return true;
}
