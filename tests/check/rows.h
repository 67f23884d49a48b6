/* SPDX-License-Identifier: MIT */
/* What the tests of the kernel rows share: slots to compare, inputs, and the comparison. */
#ifndef TESTS_CHECK_ROWS_H
#define TESTS_CHECK_ROWS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/cpu.h"
#include "lib/kernels/recipe.h"

static const enum mxq_dtype lane_dtype[MXQ_LANES] = {MXQ_F32, MXQ_BF16, MXQ_F16};
static inline size_t lane_size(int lane) { return lane == MXQ_LANE_F32 ? 4 : 2; }
static inline enum mxq_format format_of(int element) { return (enum mxq_format)(MXQ_MXFP4 + element); }
static inline bool rule_is_offered(int element, int rule) {
  struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)rule};
  return mxq_numerics_resolve(format_of(element), &n, NULL) == MXQ_OK;
}
/* What kernels are asked for; false where the numbers are not offered for the element type. */
static inline bool recipe_make(struct mxq_recipe *r, int element, struct mxq_numerics n) {
  if (mxq_numerics_resolve(format_of(element), &n, NULL) != MXQ_OK) return false;
  memset(r, 0, sizeof *r);
  mxq_recipe_make(r, (enum mxq_element)element, &n);
  return true;
}
static inline const struct mxq_recipe *recipe_of(int element, int rule) {
  static struct mxq_recipe recipes[MXQ_ELEMENT_COUNT][MXQ_SCALE_RULE_COUNT];
  struct mxq_recipe *r = &recipes[element][rule];
  if (r->rule != (enum mxq_scale_rule)rule) ck_assert(recipe_make(r, element, (struct mxq_numerics){.scale_rule = (enum mxq_scale_rule)rule}));
  return r;
}
/* A row that this build and this machine have, other than the reference. */
static inline bool row_runs(int row) {
  return row != MXQ_CPU_REFERENCE && mxq_cpu_machine_has((enum mxq_cpu)row) && mxq_kernel_rows[row]->encode[0][0] != NULL;
}

/* Random scalars that a test of many takes: 2^MXQ_RANDOM, a number from 10 to 30, 2^20 where it is not set. */
static inline size_t random_scalars(void) {
  const char *text = getenv("MXQ_RANDOM");
  int n = text ? atoi(text) : 20;
  ck_assert_msg(n >= 10 && n <= 30, "MXQ_RANDOM is %s", text ? text : "");
  return (size_t)1 << n;
}
static inline uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 32);
}

/* One scalar of a lane from f32 bits: exact for what the tests ask, NaN and Inf among it, else cut off. */
static inline void put_scalar(void *at, size_t i, int lane, uint32_t u) {
  if (lane == MXQ_LANE_F32) memcpy((uint8_t *)at + 4 * i, &u, 4);
  else {
    const bool nan = (u & 0x7fffffff) > 0x7f800000;
    uint16_t h = (uint16_t)(u >> 16 | (nan ? 64 : 0));
    if (lane == MXQ_LANE_F16) {
      int e = (int)(u >> 23 & 255) - 112;
      h = (uint16_t)((u >> 16 & 0x8000) | (nan ? 0x7e00 : e == 143 ? 0x7c00 : e <= 0 ? 0 : e >= 31 ? 0x7bff : (unsigned)e << 10 | (u >> 13 & 0x3ff)));
    }
    memcpy((uint8_t *)at + 2 * i, &h, 2);
  }
}

/* Blocks to encode, and how. */
struct question {
  int element, lane;
  const void *src;
  size_t blocks;
  const struct mxq_recipe *recipe;
  struct mxq_place place;
};
/* The reference's answer to it, made once and compared with every row. */
struct answer {
  uint8_t *codes, *scales;
  size_t bad;
};
static inline struct answer ask_reference(const struct question *q) {
  struct answer a = {malloc(q->blocks * 32 + 1), malloc(q->blocks + 1), 0};
  ck_assert(a.codes && a.scales);
  if (q->recipe->plain) a.bad = mxq_kernels_reference.encode[q->element][q->lane](q->src, q->blocks, a.codes, a.scales, q->recipe);
  else a.bad = mxq_kernels_reference.encode_any[q->element][q->lane](q->src, q->blocks, a.codes, a.scales, q->recipe, &q->place);
  return a;
}
static inline void answer_free(struct answer *a) {
  free(a->codes);
  free(a->scales);
}
static inline void expect_same(const char *what, int row, int element, int lane, const struct mxq_recipe *r, const uint8_t *got, const uint8_t *want,
                               size_t n, size_t per_block) {
  if (memcmp(got, want, n) == 0) return;
  size_t i = 0;
  while (got[i] == want[i]) i++;
  ck_abort_msg("%s of row %s, %s, %s, rule %s, round %s, zeros %s, zero byte %d, bad %d: byte %zu (block %zu) is %02x, not %02x", what,
               mxq_cpu_name((enum mxq_cpu)row), mxq_element_name((enum mxq_element)element), mxq_dtype_name(lane_dtype[lane]),
               r ? mxq_scale_rule_name(r->rule) : "-", r ? mxq_round_name(r->round) : "-", r ? mxq_neg_zero_name(r->neg_zero) : "-", r ? r->zero_byte : 0,
               r ? (int)r->bad : 0, i, i / per_block, got[i], want[i]);
}
/* All rows against the answer: the slot for plain recipes with and without streaming, and the slot for any. */
static inline void compare_rows(const struct question *q, const struct answer *a) {
  const size_t per_block = mxq_block_bytes((enum mxq_element)q->element), bytes = q->blocks * per_block;
  uint8_t *room = aligned_alloc(64, bytes / 64 * 64 + 192), *scales = malloc(q->blocks + 1);
  ck_assert(room && scales);
  for (int row = 1; row < MXQ_CPU_COUNT; row++)
    for (int slot = q->recipe->plain ? 0 : 2; row_runs(row) && slot < 3; slot++) {
      static const char *const what[][2] = {{"scales", "codes"}, {"streamed scales", "streamed codes"}, {"scales by the slot for any", "codes by the slot for any"}};
      uint8_t *codes = room + (slot == 1 ? 32 : 0); /* half a line: blocks of every size reach a whole one from there */
      struct mxq_recipe recipe = *q->recipe;
      size_t bad;
      recipe.stream = slot == 1;
      mxq_encode_fn *encode = mxq_kernel_rows[row]->encode[q->element][q->lane];
      mxq_encode_any_fn *encode_any = mxq_kernel_rows[row]->encode_any[q->element][q->lane];
      if (slot < 2 ? encode == NULL : encode_any == NULL) continue; /* a weaker row's serves */
      memset(codes, 0xa5, bytes);
      memset(scales, 0xa5, q->blocks);
      if (slot < 2) bad = encode(q->src, q->blocks, codes, scales, &recipe);
      else bad = encode_any(q->src, q->blocks, codes, scales, &recipe, &q->place);
      expect_same(what[slot][0], row, q->element, q->lane, &recipe, scales, a->scales, q->blocks, 1);
      expect_same(what[slot][1], row, q->element, q->lane, &recipe, codes, a->codes, bytes, per_block);
      if (bad != a->bad) ck_abort_msg("%s: %zu bad blocks, not %zu", what[slot][1], bad, a->bad);
    }
  free(room);
  free(scales);
}
static inline void compare(const struct question *q) {
  struct answer a = ask_reference(q);
  compare_rows(q, &a);
  answer_free(&a);
}
static inline void compare_all_rules(int element, int lane, const void *src, size_t blocks) {
  for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_RULE_COUNT; rule++)
    if (rule_is_offered(element, rule)) compare(&(struct question){element, lane, src, blocks, recipe_of(element, rule), {0, 32, 1}});
}

/* Bits of every representable value and every midpoint between neighbours, and of their neighbours in f32. */
static inline size_t values_and_midpoints(int element, uint32_t list[4096]) {
  const unsigned codes = 1u << mxq_element_bits((enum mxq_element)element) >> 1;
  size_t n = 0;
  for (unsigned c = 0; c + 1 < codes; c++) {
    float a = mxq_element_value((enum mxq_element)element, (uint8_t)c), b = mxq_element_value((enum mxq_element)element, (uint8_t)(c + 1));
    if (!(a < 1e30f)) break;
    float points[2] = {a, b < 1e30f ? (a + b) / 2 : a};
    for (int p = 0; p < 2; p++) {
      uint32_t u;
      memcpy(&u, &points[p], 4);
      for (int d = u ? -1 : 0; d <= 1; d++) list[n++] = u + (uint32_t)d;
    }
  }
  return n;
}

static inline int run_suite(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
