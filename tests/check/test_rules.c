/* SPDX-License-Identifier: MIT */
/* Scale rules: every threshold and its neighbours at every exponent, random values, and idempotence. */
#include "tests/check/rows.h"

START_TEST(scale_thresholds_and_their_neighbours_give_the_reference_s_bytes) {
  static const uint32_t mantissas[] = {0, 0x200000, 0x400000, 0x600000, 0x680000, 0x700000, 0x780000, 0x7c0000, 0x7e0000, 0x7f0000, 0x7f8000};
  const int e = _i;
  size_t n = 0, most = 256 * 3 * sizeof mantissas / sizeof *mantissas;
  uint32_t *block = calloc(most, 128);
  ck_assert(block != NULL);
  for (uint32_t exponent = 0; exponent < 255; exponent++)
    for (size_t m = 0; m < sizeof mantissas / sizeof *mantissas; m++)
      for (int d = -1; d <= 1; d++) {
        uint32_t u = (exponent << 23 | mantissas[m]) + (uint32_t)d;
        if (u >= 0x7f800000) continue;
        block[32 * n] = u;
        block[32 * n + 1] = 0x80000000 | u / 2;
        block[32 * n + 31] = u - u / 3;
        n++;
      }
  for (int l = 0; l < MXQ_LANES; l++) {
    uint8_t *src = malloc(n * 128);
    ck_assert(src != NULL);
    for (size_t i = 0; i < n * 32; i++) put_scalar(src, i, l, block[i]);
    compare_all_rules(e, l, src, n);
    free(src);
  }
  free(block);
}
END_TEST

/* RCEIL below max * 2^-126: fp32 amax * (1/max) decides. */
START_TEST(amax_around_the_smallest_scale_gives_the_reference_s_bytes) {
  const int e = _i;
  for (int exponent = 0; exponent <= mxq_element_emax((enum mxq_element)e) + 1; exponent++) {
    enum { AROUND = 600 };
    const uint32_t top = 0x600000u, top2 = 0x700000u;
    uint32_t *block = calloc(4 * AROUND, 128);
    ck_assert(block != NULL);
    for (uint32_t i = 0; i < 4 * AROUND; i++) {
      uint32_t middle = (uint32_t)exponent << 23 | (i / AROUND == 0 ? 0x400000u : i / AROUND == 1 ? top : i / AROUND == 2 ? top2 : 0u);
      uint32_t u = middle + i % AROUND - AROUND / 2;
      block[32 * i] = u > 0x7f000000 ? 0 : u;
    }
    compare_all_rules(e, MXQ_LANE_F32, block, 4 * AROUND);
    free(block);
  }
}
END_TEST

/* Any exponent for the largest of a block, others down to 2^-15 of it; random bits, NaN and Inf among them, in every 64th. */
START_TEST(many_random_values_a_rule_encode_to_the_reference_s_bits) {
  enum { BATCH = 1 << 13 };
  uint32_t *u = malloc(BATCH * 128);
  uint8_t *src = malloc(BATCH * 128);
  uint64_t seed = 77 + (uint64_t)_i;
  ck_assert(u && src);
  for (int l = 0; l < MXQ_LANES; l++)
    for (size_t left = random_scalars() / 32 / (l == MXQ_LANE_F32 ? 1 : 4), n; left > 0; left -= n) {
      n = left < BATCH ? left : BATCH;
      for (size_t i = 0; i < n; i++) {
        uint32_t exponent = l == MXQ_LANE_F16 ? 100 + next_random(&seed) % 45 : next_random(&seed) % 255;
        for (size_t j = 0; j < 32; j++) {
          uint32_t r = next_random(&seed), down = r >> 23 & 15;
          u[i * 32 + j] = i % 64 == 1 ? r : (r & 0x807fffff) | (exponent > down ? exponent - down : 0) << 23;
        }
      }
      for (size_t i = 0; i < n * 32; i++) put_scalar(src, i, l, u[i]);
      compare_all_rules(_i, l, src, n);
    }
  free(u);
  free(src);
}
END_TEST

/* decode(encode(decode(x))) = decode(x) where every decoded value is finite in the dtype; x: what the encoder makes, at all scales. */
START_TEST(values_once_quantized_are_quantized_to_themselves) {
  enum { BLOCKS = 255 * 8 };
  static const enum mxq_scale_rule rules[] = {MXQ_SCALE_AUTO, MXQ_SCALE_FLOOR, MXQ_SCALE_EVEN, MXQ_SCALE_RCEIL};
  const size_t per_block = mxq_block_bytes((enum mxq_element)_i);
  uint8_t *codes = malloc(BLOCKS * per_block), *scales = malloc(BLOCKS), *values = malloc(BLOCKS * 128), *again = malloc(BLOCKS * 128);
  uint64_t seed = 9;
  ck_assert(codes && scales && values && again);
  for (int row = 0; row < MXQ_CPU_COUNT; row++)
    for (size_t r = 0; r < 4 && (row == 0 || row_runs(row)); r++)
      for (int l = 0; l < MXQ_LANES; l++) {
        const struct mxq_kernels *k = mxq_kernel_rows[row == 0 || mxq_kernel_rows[row]->decode[_i][l] == NULL ? MXQ_CPU_SCALAR : row];
        mxq_encode_fn *encode = mxq_kernel_rows[row]->encode[_i][l];
        const size_t size = 32 * lane_size(l);
        size_t kept = 0;
        if (!rule_is_offered(_i, rules[r]) || encode == NULL) continue;
        for (size_t i = 0; i < BLOCKS; i++) {
          const uint8_t scale = (uint8_t)(i % 255);
          uint8_t *c = codes + kept * per_block, again_scale, *v = values + kept * size;
          float f[32];
          for (size_t j = 0; j < per_block; j++) c[j] = (uint8_t)next_random(&seed);
          if (next_random(&seed) % 4 == 0) memset(c, 0, per_block / 2);
          bool finite = k->decode[_i][l](c, &scale, 1, v, false) == 0;
          /* codes that the encoder makes, which are fewer: not E4M3's 1.875 as the largest under FLOOR, nor INT8's 0x80 */
          finite = finite && encode(v, 1, c, &again_scale, recipe_of(_i, rules[r])) == 0 && k->decode[_i][l](c, &again_scale, 1, v, false) == 0;
          k->decode[_i][MXQ_LANE_F32](c, &again_scale, 1, f, false);
          for (int j = 0; j < 32; j++) finite = finite && f[j] - f[j] == 0;
          for (size_t j = 0; _i == MXQ_INT8 && l != MXQ_LANE_F32 && j < 32; j++) /* has one zero, and bf16 and f16 may round to the other */
            if (v[2 * j] == 0 && v[2 * j + 1] == 0x80) v[2 * j + 1] = 0;
          kept += finite;
        }
        ck_assert_uint_gt(kept, 100);
        ck_assert_uint_eq(encode(values, kept, codes, scales, recipe_of(_i, rules[r])), 0);
        k->decode[_i][l](codes, scales, kept, again, false);
        for (size_t j = 0; _i == MXQ_INT8 && l != MXQ_LANE_F32 && j < kept * 32; j++)
          if (again[2 * j] == 0 && again[2 * j + 1] == 0x80) again[2 * j + 1] = 0;
        expect_same("values", row, _i, l, recipe_of(_i, rules[r]), again, values, kept * size, size);
      }
  free(codes);
  free(scales);
  free(values);
  free(again);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rules");
  TCase *c = tcase_create("rules");
  tcase_set_timeout(c, 600);
  tcase_add_loop_test(c, scale_thresholds_and_their_neighbours_give_the_reference_s_bytes, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, amax_around_the_smallest_scale_gives_the_reference_s_bytes, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, many_random_values_a_rule_encode_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, values_once_quantized_are_quantized_to_themselves, 0, MXQ_ELEMENT_COUNT);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
