/* SPDX-License-Identifier: MIT */
/* Rows of every format, dtype, rounding and level of kernels: each block as if it stood alone, padded; and Inf and NaN whatever the recipe. */
#include <check.h>
#include <mxq/mxq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/kernels/recipe.h"

static const struct mxq_numerics asked[] = {
  {0}, {.scale_rule = MXQ_SCALE_MSE}, {.round = MXQ_ROUND_STOCHASTIC, .seed = 0x123456789abcdefu}, {.compat = MXQ_COMPAT_MICROXCALING},
  {.scale_rule = MXQ_SCALE_FLOOR, .round = MXQ_ROUND_HALF_ZERO, .neg_zero = MXQ_NEG_ZERO_DROP},
};
enum { ASKED = sizeof asked / sizeof *asked };

static uint32_t noise(uint64_t i) {
  i = (i + 1) * 0x9e3779b97f4a7c15u;
  return (uint32_t)((i ^ i >> 29) * 0xbf58476d1ce4e5b9u >> 32);
}
static size_t size_of(enum mxq_dtype d) { return d == MXQ_F32 ? 4 : 2; }
/* Weight-like bits; some zeros of either sign. */
static void put(uint8_t *at, enum mxq_dtype d, uint64_t i) {
  uint32_t r = noise(i), f = r % 17 ? (r & 0x807fffff) | (112 + (r >> 24 & 7)) << 23 : r & 0x80000000;
  uint16_t h = (uint16_t)(d == MXQ_BF16 ? f >> 16 : r % 17 ? (r >> 16 & 0x83ff) | (r & 7) << 10 : r >> 16 & 0x8000);
  if (d == MXQ_F32) memcpy(at, &f, 4);
  else memcpy(at, &h, 2);
}

/* By the reference, a block at a time: the definition of a job on rows. */
static void define(enum mxq_format f, enum mxq_dtype d, const uint8_t *src, size_t rows, size_t k, size_t stride, uint64_t first, uint64_t inner,
                   const struct mxq_numerics *n, uint8_t *codes, uint8_t *scales) {
  const enum mxq_element e = mxq_format_element(f);
  const size_t blocks = (k + 31) / 32, size = size_of(d);
  struct mxq_numerics resolved = *n;
  struct mxq_recipe recipe;
  ck_assert_int_eq(mxq_numerics_resolve(f, &resolved, NULL), MXQ_OK);
  mxq_recipe_make(&recipe, e, &resolved);
  if (inner == 0) inner = 1;
  for (size_t r = 0; r < rows; r++)
    for (size_t b = 0; b < blocks; b++) {
      uint8_t padded[128] = {0};
      const size_t left = k - b * 32 < 32 ? k - b * 32 : 32;
      /* scalar F of all: row R = F / k, column c; the tensor has it at (R / inner * k + c) * inner + R % inner */
      const uint64_t flat = first + (uint64_t)r * k + b * 32, row = flat / k, column = flat % k;
      const struct mxq_place place = {(row / inner * k + column) * inner + row % inner, 0, inner};
      memcpy(padded, src + r * stride + b * 32 * size, left * size);
      mxq_kernels_reference.encode_any[e][MXQ_LANE_OF(d)](padded, 1, codes + (r * blocks + b) * mxq_block_bytes(e), scales + r * blocks + b, &recipe, &place);
    }
}

START_TEST(rows_of_any_length_stride_and_address_are_their_blocks_padded_with_zeros) {
  static const struct { size_t rows, k, gap; uint64_t first, inner; } shapes[] = {
    {1, 1, 0, 0, 0}, {3, 31, 0, 0, 0}, {2, 32, 0, 5 * 32, 1}, {5, 33, 0, 0, 0}, {4, 95, 3, 0, 0}, {7, 64, 1, 0, 0}, {2, 1057, 0, 0, 0}, {1, 2080, 7, 0, 0}, {12, 65, 0, 0, 4}, {6, 96, 2, 0, 3},
  };
  const enum mxq_format f = (enum mxq_format)_i;
  const size_t per_block = mxq_block_bytes(mxq_format_element(f));
  static uint8_t src[16384], codes[4096], scales[256], want[4096], want_scales[256], values[16384], want_values[16384];
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int d = MXQ_F32; d <= MXQ_F16; d++)
      for (size_t a = 0; a < ASKED; a++) {
        const enum mxq_dtype dtype = (enum mxq_dtype)d;
        const size_t rows = shapes[s].rows, k = shapes[s].k, gap = shapes[s].gap, blocks = (k + 31) / 32, wide = k * size_of(dtype);
        const size_t vs = wide + gap, cs = blocks * per_block + gap, ss = blocks + gap, off = 1 + (s * 3 + a) % 8;
        const struct mxq_rows shape = {rows, k, gap ? vs : 0, gap ? cs : 0, gap ? ss : 0, shapes[s].first, shapes[s].inner};
        struct mxq_numerics n = asked[a];
        if (mxq_numerics_resolve(f, &n, NULL) != MXQ_OK) continue;
        for (size_t r = 0; r < rows; r++)
          for (size_t i = 0; i < k; i++) put(src + off + r * vs + i * size_of(dtype), dtype, s * 100000 + r * k + i);
        define(f, dtype, src + off, rows, k, vs, shapes[s].first, shapes[s].inner, &asked[a], want, want_scales);
        for (int level = 0; level <= (int)mxq_cpu_best(); level++) {
          if (mxq_cpu_set((enum mxq_cpu)level) != MXQ_OK) continue;
          size_t wrong = 0;
          memset(codes, 0xa5, sizeof codes);
          memset(scales, 0xa5, sizeof scales);
          ck_assert_int_eq(mxq_encode(f, dtype, src + off, &shape, codes + off, scales + off, &asked[a], NULL, NULL, NULL), MXQ_OK);
          for (size_t r = 0; r < rows; r++) {
            wrong += memcmp(codes + off + r * cs, want + r * blocks * per_block, blocks * per_block) != 0;
            wrong += memcmp(scales + off + r * ss, want_scales + r * blocks, blocks) != 0;
            for (size_t i = 0; i < gap; i++) wrong += codes[off + r * cs + blocks * per_block + i] != 0xa5 || scales[off + r * ss + blocks + i] != 0xa5;
          }
          wrong += codes[off - 1] != 0xa5 || scales[off - 1] != 0xa5;
          /* and back: the true length, nothing beside it */
          memset(values, 0xa5, sizeof values);
          ck_assert_int_eq(mxq_decode(f, dtype, codes + off, scales + off, &shape, values + off, NULL, NULL, NULL), MXQ_OK);
          for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < gap; i++) wrong += values[off + r * vs + wide + i] != 0xa5;
          wrong += values[off - 1] != 0xa5 || values[off + (rows - 1) * vs + wide] != 0xa5;
          if (level == 0) memcpy(want_values, values, sizeof values);
          wrong += memcmp(values, want_values, sizeof values) != 0;
          ck_assert_msg(wrong == 0, "%s, %s, shape %zu, choice %zu, %s: %zu rows and gaps are wrong", mxq_format_name(f), mxq_dtype_name(dtype), s, a, mxq_cpu_name((enum mxq_cpu)level), wrong);
        }
      }
}
END_TEST

/* The bits of stochastic rounding too depend on seed and index alone; pieces of rows, whole rows and columns. */
START_TEST(threads_and_levels_change_no_bit_of_any_rounding) {
  enum { ROWS = 420, K = 517, BLOCKS = 17, N = ROWS * K };
  const enum mxq_format f = (enum mxq_format)_i;
  const size_t bytes = ROWS * BLOCKS * mxq_block_bytes(mxq_format_element(f));
  uint8_t *src = malloc(N * 4), *codes = malloc(bytes), *scales = malloc(ROWS * BLOCKS), *want = malloc(bytes), *want_scales = malloc(ROWS * BLOCKS);
  ck_assert(src && codes && scales && want && want_scales);
  for (size_t i = 0; i < N; i++) put(src + i * 4, MXQ_F32, i);
  for (int turn = 0; turn < 4; turn++) {
    const bool one = turn == 2;
    const struct mxq_rows shape = {.rows = one ? 1 : ROWS, .k = one ? N / 32 * 32 : K, .first = one ? 96 : 0, .inner = turn == 1 ? 7 : 1};
    const struct mxq_numerics *n = &asked[turn == 3 ? ASKED - 1 : 2];
    const size_t blocks = one ? N / 32 : ROWS * BLOCKS, n_bytes = blocks * mxq_block_bytes(mxq_format_element(f));
    define(f, MXQ_F32, src, shape.rows, shape.k, shape.k * 4, shape.first, shape.inner, n, want, want_scales);
    for (unsigned threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) {
      mxq_pool *pool = threads > 1 ? mxq_pool_create(threads) : NULL;
      for (int level = 1; level <= (int)mxq_cpu_best(); level++) {
        if (mxq_cpu_set((enum mxq_cpu)level) != MXQ_OK) continue;
        memset(codes, 0xa5, bytes);
        ck_assert_int_eq(mxq_encode(f, MXQ_F32, src, &shape, codes, scales, n, mxq_pool_runner(pool), NULL, NULL), MXQ_OK);
        ck_assert_msg(memcmp(codes, want, n_bytes) == 0 && memcmp(scales, want_scales, blocks) == 0, "%s, %u threads, %s, turn %d", mxq_format_name(f), threads,
                      mxq_cpu_name((enum mxq_cpu)level), turn);
      }
      mxq_pool_free(pool);
    }
  }
  free(src);
  free(codes);
  free(scales);
  free(want);
  free(want_scales);
}
END_TEST

/*
 * SATURATE: a block with Inf is encoded as with zeros in their place, and these get the largest code; without other values than zeros the scale is
 * that of the dtype's largest number. ERROR and SATURATE name the first scalar that they cannot take. Every preset, rule and rounding.
 */
START_TEST(saturate_and_error_are_the_same_for_every_recipe) {
  const enum mxq_format f = (enum mxq_format)_i;
  const enum mxq_element e = mxq_format_element(f);
  const size_t per_block = mxq_block_bytes(e);
  const unsigned bits = mxq_element_bits(e), most = (const unsigned[]){7, 31, 31, 0x7e, 0x7b, 127}[e], minus = e == MXQ_INT8 ? 129 : most | 1u << (bits - 1);
  enum { N = 4 * 32 };
  const struct mxq_rows shape = {.rows = 1, .k = N, .first = 320, .inner = 1};
  size_t recipes = 0;
  for (int compat = 0; compat < MXQ_COMPAT_COUNT; compat++)
    for (int rule = 0; rule < MXQ_SCALE_RULE_COUNT; rule++)
      for (int round = 0; round < MXQ_ROUND_COUNT; round++) {
        const enum mxq_dtype d = (enum mxq_dtype)(MXQ_F32 + (compat + rule + round) % 3);
        const size_t size = size_of(d);
        const uint32_t inf = d == MXQ_F32 ? 0x7f800000 : d == MXQ_BF16 ? 0x7f80 : 0x7c00, sign = d == MXQ_F32 ? 0x80000000 : 0x8000, nan = inf | 1;
        struct mxq_numerics n = {.compat = (enum mxq_compat)compat, .scale_rule = (enum mxq_scale_rule)rule, .round = (enum mxq_round)round, .seed = 9}, resolved = n;
        uint8_t src[N * 4], copy[N * 4], codes[N], scales[4], want[N], want_scales[4];
        struct mxq_error err = {0};
        if (mxq_numerics_resolve(f, &resolved, NULL) != MXQ_OK) continue;
        recipes++;
        /* block 0: among others; 1: none; 2: with zeros alone; 3: one at the end */
        for (size_t i = 0; i < N; i++) {
          put(src + i * size, d, i + 1000 * recipes);
          if (i / 32 == 2) memset(src + i * size, 0, size);
        }
        memcpy(copy, src, sizeof src);
        static const unsigned places[] = {3, 4, 17, 31, 64, 77, 127};
        for (size_t p = 0; p < 7; p++) {
          const uint32_t v = inf | (p % 2 ? sign : 0);
          memcpy(src + places[p] * size, &v, size);
          memset(copy + places[p] * size, 0, size);
        }
        const uint32_t largest = inf - 1;
        memcpy(copy + 64 * size, &largest, size);
        ck_assert_int_eq(mxq_encode(f, d, copy, &shape, want, want_scales, &n, NULL, NULL, NULL), MXQ_OK);
        if (resolved.scale_rule == MXQ_SCALE_MSE) { /* no error to weigh there: the smaller byte */
          struct mxq_numerics floor = n;
          struct mxq_rows only = {.rows = 1, .k = 32, .first = 384, .inner = 1};
          floor.scale_rule = MXQ_SCALE_FLOOR;
          ck_assert_int_eq(mxq_encode(f, d, copy + 64 * size, &only, want + 2 * per_block, want_scales + 2, &floor, NULL, NULL, NULL), MXQ_OK);
        }
        for (size_t p = 0; p < 7; p++)
          for (unsigned k = 0; want_scales[places[p] / 32] != 255 && k < bits; k++) {
            const size_t bit = places[p] * bits + k;
            want[bit / 8] = (uint8_t)((want[bit / 8] & ~(1u << bit % 8)) | ((p % 2 ? minus : most) >> k & 1u) << bit % 8);
          }
        n.nonfinite = MXQ_NONFINITE_SATURATE;
        ck_assert_int_eq(mxq_encode(f, d, src, &shape, codes, scales, &n, NULL, NULL, NULL), MXQ_OK);
        ck_assert_msg(memcmp(codes, want, 4 * per_block) == 0 && memcmp(scales, want_scales, 4) == 0, "%s, %s, %s, %s, %s", mxq_format_name(f), mxq_dtype_name(d),
                      mxq_compat_name(n.compat), mxq_scale_rule_name(resolved.scale_rule), mxq_round_name(resolved.round));
        memcpy(src + 50 * size, &nan, size);
        ck_assert(mxq_encode(f, d, src, &shape, codes, scales, &n, NULL, NULL, &err) == MXQ_ERR_NONFINITE && err.offset == 50);
        n.nonfinite = MXQ_NONFINITE_ERROR;
        ck_assert(mxq_encode(f, d, src, &shape, codes, scales, &n, NULL, NULL, &err) == MXQ_ERR_NONFINITE && err.offset == 3);
        /* what is no error elsewhere is none here */
        n.nonfinite = MXQ_NONFINITE_PEER;
        ck_assert_int_eq(mxq_encode(f, d, src, &shape, codes, scales, &n, NULL, NULL, NULL), MXQ_OK);
      }
  ck_assert_uint_gt(recipes, 40);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("codec_rows");
  TCase *c = tcase_create("codec_rows");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, rows_of_any_length_stride_and_address_are_their_blocks_padded_with_zeros, MXQ_MXFP4, MXQ_FORMAT_COUNT);
  tcase_add_loop_test(c, threads_and_levels_change_no_bit_of_any_rounding, MXQ_MXFP4, MXQ_FORMAT_COUNT);
  tcase_add_loop_test(c, saturate_and_error_are_the_same_for_every_recipe, MXQ_MXFP4, MXQ_FORMAT_COUNT);
  suite_add_tcase(suite, c);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
