/* SPDX-License-Identifier: MIT */
/* Kernels for any recipe: every row against the reference, for every rule, rounding, kind of zero and preset; thresholds of the rules. */
#include "tests/check/rows.h"

enum { BLOCKS = 96 };

/* Random bits; weight-like values; values on and beside the grid of the element type behind an anchor. */
static void fill(uint32_t *u, int element, int kind, uint64_t *seed) {
  for (size_t i = 0; i < BLOCKS * 32; i++) {
    uint32_t r = next_random(seed), e = 100 + (uint32_t)(i / 32 * 5 % 60);
    unsigned codes = 1u << mxq_element_bits((enum mxq_element)element) >> 1;
    float a = mxq_element_value((enum mxq_element)element, (uint8_t)(r % codes)), b = mxq_element_value((enum mxq_element)element, (uint8_t)((r + 1) % codes));
    if (kind == 0) {
      u[i] = r;
    } else if (kind == 1 || !(a < 1e30f) || !(b < 1e30f)) {
      u[i] = (r & 0x807fffff) | (e - (r >> 24 & 7)) << 23;
    } else {
      float v = r >> 16 & 1 ? (a + b) / 2 : a;
      memcpy(&u[i], &v, 4);
      if (u[i]) u[i] += (e - 127) << 23;
      if (u[i] > 3) u[i] = (u[i] + (r >> 20) % 3 - 1) | (r & 0x80000000);
      else u[i] = r & 0x80000000;
    }
    if (i % 32 == 0 && kind == 2) u[i] = (r & 0x80000000) | (e + (uint32_t)mxq_element_emax((enum mxq_element)element)) << 23;
    if (i / 32 == 5) u[i] = r & 0x80000000; /* a block of zeros of either sign */
  }
}

static size_t compared;
static void compare(int element, const struct mxq_numerics *asked, uint64_t *seed) {
  struct mxq_numerics n = *asked;
  struct mxq_recipe recipe;
  uint32_t f[BLOCKS * 32];
  uint8_t src[BLOCKS * 128], want[BLOCKS * 32], got[BLOCKS * 32], want_scales[BLOCKS], got_scales[BLOCKS];
  const struct mxq_place places[] = {{0, 32, 1}, {1000000007, 32, 1}, {3, 1, 77}};
  if (mxq_numerics_resolve(format_of(element), &n, NULL) != MXQ_OK) return;
  mxq_recipe_make(&recipe, (enum mxq_element)element, &n);
  for (int kind = 0; kind < 3; kind++) {
    const int l = (int)(next_random(seed) % MXQ_LANES);
    const struct mxq_place *place = &places[n.round == MXQ_ROUND_STOCHASTIC ? kind : 0];
    const size_t bytes = BLOCKS * mxq_block_bytes((enum mxq_element)element);
    fill(f, element, kind, seed);
    if (kind == 0 && l != MXQ_LANE_F32) memcpy(src, f, BLOCKS * 64);
    else for (size_t i = 0; i < BLOCKS * 32; i++) put_scalar(src, i, l, f[i]);
    size_t bad = mxq_kernels_reference.encode_any[element][l](src, BLOCKS, want, want_scales, &recipe, place);
    for (int row = 1; row < MXQ_CPU_COUNT; row++) {
      if (!row_runs(row)) continue;
      ck_assert_ptr_nonnull(mxq_kernel_rows[row]->encode_any[element][l]);
      memset(got, 0xa5, bytes);
      size_t row_bad = mxq_kernel_rows[row]->encode_any[element][l](src, BLOCKS, got, got_scales, &recipe, place);
      char what[160];
      snprintf(what, sizeof what, "%s, %s, zeros %s, kind %d:", mxq_compat_name(n.compat), mxq_round_name(n.round), mxq_neg_zero_name(n.neg_zero), kind);
      expect_same(what, row, element, l, n.scale_rule, got_scales, want_scales, BLOCKS, 1);
      expect_same(what, row, element, l, n.scale_rule, got, want, bytes, mxq_block_bytes((enum mxq_element)element));
      ck_assert_uint_eq(row_bad, bad);
    }
    if (recipe.plain) {
      size_t plain_bad = mxq_kernels_reference.encode[element][l](src, BLOCKS, got, got_scales, &recipe);
      expect_same("plain", 0, element, l, n.scale_rule, got, want, bytes, mxq_block_bytes((enum mxq_element)element));
      ck_assert_uint_eq(plain_bad, bad);
    }
    compared++;
  }
}

START_TEST(every_rule_rounding_zero_and_preset_encodes_to_the_reference_s_bits) {
  uint64_t seed = 77 + (uint64_t)_i;
  compared = 0;
  for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_RULE_COUNT; rule++)
    compare(_i, &(struct mxq_numerics){.scale_rule = (enum mxq_scale_rule)rule}, &seed);
  for (int round = MXQ_ROUND_RNE; round < MXQ_ROUND_COUNT; round++)
    for (int rule = MXQ_SCALE_FLOOR; rule <= MXQ_SCALE_MSE; rule += 5)
      for (int zero = MXQ_NEG_ZERO_KEEP; zero < MXQ_NEG_ZERO_COUNT; zero++)
        compare(_i, &(struct mxq_numerics){.scale_rule = (enum mxq_scale_rule)rule, .round = (enum mxq_round)round, .neg_zero = (enum mxq_neg_zero)zero,
                                           .seed = 0x9e3779b97f4a7c15u * (uint64_t)round}, &seed);
  for (int compat = MXQ_COMPAT_OCP; compat < MXQ_COMPAT_COUNT; compat++)
    for (int rule = 0; rule < MXQ_SCALE_RULE_COUNT; rule++)
      for (int round = 0; round <= MXQ_ROUND_TRUNC; round += rule ? MXQ_ROUND_TRUNC : 1)
        compare(_i, &(struct mxq_numerics){.compat = (enum mxq_compat)compat, .scale_rule = (enum mxq_scale_rule)rule, .round = (enum mxq_round)round,
                                           .nonfinite = rule % 2 ? MXQ_NONFINITE_BLOCK : MXQ_NONFINITE_PEER}, &seed);
  printf("# %s: %zu recipes and inputs\n", mxq_element_name((enum mxq_element)_i), compared);
}
END_TEST

/* Thresholds of a rule, at each exponent of the range of presets, one ulp to either side; the reference goes through a real log2. */
START_TEST(thresholds_of_every_rule_are_where_the_reference_has_them) {
  for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_RULE_COUNT; rule++) {
    struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)rule};
    struct mxq_recipe recipe;
    if (rule == MXQ_SCALE_MSE || mxq_numerics_resolve(format_of(_i), &n, NULL) != MXQ_OK) continue;
    mxq_recipe_make(&recipe, (enum mxq_element)_i, &n);
    for (uint32_t e = rule > MXQ_SCALE_MSE ? 17 : 0; e < (rule > MXQ_SCALE_MSE ? 247u : 255u); e++)
      for (int d = -2; d <= 2; d++) {
        uint32_t at = recipe.bump[e] + (uint32_t)d;
        if (at > 0x7fffff) continue;
        uint32_t block[32] = {e << 23 | at};
        uint8_t codes[32], want, got;
        const struct mxq_place place = {0, 32, 1};
        mxq_kernels_reference.encode_any[_i][MXQ_LANE_F32](block, 1, codes, &want, &recipe, &place);
        mxq_kernels_scalar.encode_any[_i][MXQ_LANE_F32](block, 1, codes, &got, &recipe, &place);
        ck_assert_msg(got == want, "%s, %s, amax %08x: byte %d, the reference has %d", mxq_element_name((enum mxq_element)_i), mxq_scale_rule_name(n.scale_rule),
                      block[0], got, want);
      }
  }
}
END_TEST

/* The first words of the generator's published test: key and counter zero. */
START_TEST(stochastic_words_are_philox_4x32_10) {
  /* word < floor(2^32 f) rounds up: a value f of a step above zero shows the word by where it begins to round up */
  static const uint32_t words[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  struct mxq_numerics n = {.scale_rule = MXQ_SCALE_FLOOR, .round = MXQ_ROUND_STOCHASTIC};
  struct mxq_recipe recipe;
  ck_assert_int_eq(mxq_numerics_resolve(MXQ_MXINT8, &n, NULL), MXQ_OK);
  mxq_recipe_make(&recipe, MXQ_INT8, &n);
  for (int i = 0; i < 4; i++)
    for (int above = 0; above < 2; above++) {
      float block[32] = {0};
      uint8_t codes[32], scale;
      double part = ((double)(words[i] >> 8) + above) * 0x1p-24; /* 24 bits of the word are what an f32 can hold */
      block[i] = (float)(part / 64);
      block[31] = 1;
      const struct mxq_place place = {0, 32, 1};
      mxq_kernel_rows[MXQ_CPU_SCALAR]->encode_any[MXQ_INT8][MXQ_LANE_F32](block, 1, codes, &scale, &recipe, &place);
      ck_assert_int_eq(codes[i], above);
    }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("any");
  TCase *c = tcase_create("any");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, every_rule_rounding_zero_and_preset_encodes_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, thresholds_of_every_rule_are_where_the_reference_has_them, 0, MXQ_ELEMENT_COUNT);
  tcase_add_test(c, stochastic_words_are_philox_4x32_10);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
