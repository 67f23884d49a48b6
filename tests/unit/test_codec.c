/* SPDX-License-Identifier: MIT */
/* The numeric API: shapes, strides, tails, threads, policies, statistics, refusals. */
#include <check.h>
#include <fenv.h>
#include <math.h>
#include <mxq/mxq.h>
#include <stdlib.h>
#include <string.h>

static float weight(size_t i) { return (float)sin((double)i * 0.7) * ldexpf(1, (int)(i / 9 % 23) - 11) + 1e-4f; }

static void encode(enum mxq_format f, const float *x, const struct mxq_rows *s, void *codes, uint8_t *scales, unsigned threads, struct mxq_stats *stats) {
  mxq_pool *pool = mxq_pool_create(threads);
  ck_assert_int_eq(mxq_encode(f, MXQ_F32, x, s, codes, scales, NULL, mxq_pool_runner(pool), stats, NULL), MXQ_OK);
  mxq_pool_free(pool);
}

START_TEST(ragged_rows_are_padded_with_zeros_and_decode_to_their_true_length) {
  enum { ROWS = 3, K = 70, PADDED = 96 };
  float x[ROWS * K], padded[ROWS * PADDED] = {0}, y[ROWS * K + 1], want[ROWS * PADDED];
  const struct mxq_rows s = {.rows = ROWS, .k = K}, p = {.rows = ROWS, .k = PADDED};
  for (size_t i = 0; i < ROWS * K; i++) padded[i / K * PADDED + i % K] = x[i] = weight(i);
  for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++) {
    uint8_t a[ROWS * PADDED], b[ROWS * PADDED], as[9], bs[9];
    uint64_t n, m, to_inf = 5;
    ck_assert(mxq_sizes((enum mxq_format)f, ROWS, K, &n, &m) && m == 9);
    encode((enum mxq_format)f, x, &s, a, as, 1, NULL);
    encode((enum mxq_format)f, padded, &p, b, bs, 1, NULL);
    ck_assert_int_eq(memcmp(a, b, n), 0);
    ck_assert_int_eq(memcmp(as, bs, 9), 0);
    y[ROWS * K] = 42;
    ck_assert_int_eq(mxq_decode((enum mxq_format)f, MXQ_F32, a, as, &s, y, NULL, &to_inf, NULL), MXQ_OK);
    ck_assert_int_eq(mxq_decode((enum mxq_format)f, MXQ_F32, a, as, &p, want, NULL, NULL, NULL), MXQ_OK);
    for (size_t i = 0; i < ROWS * K; i++) ck_assert_int_eq(memcmp(&y[i], &want[i / K * PADDED + i % K], 4), 0);
    ck_assert(y[ROWS * K] == 42 && to_inf == 5);
  }
}
END_TEST

START_TEST(strides_and_odd_addresses_change_no_bit_and_leave_the_gaps_alone) {
  enum { ROWS = 5, K = 65, VS = K * 4 + 13, CS = 3 * 24 + 5, SS = 3 + 2 };
  static uint8_t wide[ROWS * VS + 1], back[ROWS * VS + 1], codes[ROWS * CS + 1], scales[ROWS * SS + 1];
  float x[ROWS * K], y[ROWS * K];
  uint8_t c[ROWS * 72], b[ROWS * 3];
  const struct mxq_rows dense = {.rows = ROWS, .k = K}, s = {.rows = ROWS, .k = K, .value_stride = VS, .codes_stride = CS, .scales_stride = SS};
  for (size_t i = 0; i < ROWS * K; i++) x[i] = weight(i);
  encode(MXQ_MXFP6_E3M2, x, &dense, c, b, 1, NULL);
  ck_assert_int_eq(mxq_decode(MXQ_MXFP6_E3M2, MXQ_F32, c, b, &dense, y, NULL, NULL, NULL), MXQ_OK);
  memset(codes, 0xa5, sizeof codes);
  memset(scales, 0xa5, sizeof scales);
  memset(back, 0xa5, sizeof back);
  for (size_t r = 0; r < ROWS; r++) memcpy(wide + 1 + r * VS, x + r * K, K * 4);
  mxq_pool *pool = mxq_pool_create(2);
  ck_assert_int_eq(mxq_encode(MXQ_MXFP6_E3M2, MXQ_F32, wide + 1, &s, codes + 1, scales + 1, NULL, mxq_pool_runner(pool), NULL, NULL), MXQ_OK);
  ck_assert_int_eq(mxq_decode(MXQ_MXFP6_E3M2, MXQ_F32, codes + 1, scales + 1, &s, back + 1, mxq_pool_runner(pool), NULL, NULL), MXQ_OK);
  mxq_pool_free(pool);
  for (size_t r = 0; r < ROWS; r++) {
    ck_assert_int_eq(memcmp(codes + 1 + r * CS, c + r * 72, 72), 0);
    ck_assert_int_eq(memcmp(scales + 1 + r * SS, b + r * 3, 3), 0);
    ck_assert_int_eq(memcmp(back + 1 + r * VS, y + r * K, K * 4), 0);
    for (size_t i = 72; i < CS; i++) ck_assert_uint_eq(codes[1 + r * CS + i], 0xa5);
    for (size_t i = 3; i < SS; i++) ck_assert_uint_eq(scales[1 + r * SS + i], 0xa5);
    for (size_t i = K * 4; i < VS; i++) ck_assert_uint_eq(back[1 + r * VS + i], 0xa5);
  }
}
END_TEST

START_TEST(threads_change_neither_bits_nor_statistics) {
  enum { ROWS = 700, K = 517, BLOCKS = 17 };
  float *x = malloc(ROWS * K * 4), *y[2] = {malloc(ROWS * K * 4), malloc(ROWS * K * 4)};
  uint8_t *codes[2] = {malloc(ROWS * BLOCKS * 32), malloc(ROWS * BLOCKS * 32)}, *scales[2] = {malloc(ROWS * BLOCKS), malloc(ROWS * BLOCKS)};
  const struct mxq_rows s = {.rows = ROWS, .k = K};
  ck_assert(x && y[0] && y[1] && codes[0] && codes[1] && scales[0] && scales[1]);
  for (size_t i = 0; i < ROWS * K; i++) x[i] = weight(i);
  mxq_pool *pool = mxq_pool_create(7);
  for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++) {
    struct mxq_stats stats[2] = {{0}, {0}};
    uint64_t n, m;
    ck_assert(mxq_sizes((enum mxq_format)f, ROWS, K, &n, &m));
    for (int t = 0; t < 2; t++) {
      encode((enum mxq_format)f, x, &s, codes[t], scales[t], t ? 5 : 0, &stats[t]);
      ck_assert_int_eq(mxq_decode((enum mxq_format)f, MXQ_F32, codes[t], scales[t], &s, y[t], t ? mxq_pool_runner(pool) : NULL, NULL, NULL), MXQ_OK);
    }
    ck_assert_int_eq(memcmp(codes[0], codes[1], n), 0);
    ck_assert_int_eq(memcmp(scales[0], scales[1], m), 0);
    ck_assert_int_eq(memcmp(y[0], y[1], ROWS * K * 4), 0);
    ck_assert_int_eq(memcmp(&stats[0], &stats[1], sizeof stats[0]), 0);
    /* against plain sums over what was decoded; squares are rounded to f32 */
    double signal = 0, noise = 0;
    uint64_t zeroed = 0;
    for (size_t i = 0; i < ROWS * K; i++) {
      signal += (double)x[i] * x[i];
      noise += ((double)x[i] - y[0][i]) * ((double)x[i] - y[0][i]);
      zeroed += x[i] != 0 && y[0][i] == 0;
    }
    ck_assert(stats[0].elements == ROWS * K && stats[0].blocks == ROWS * BLOCKS && stats[0].nonfinite == 0 && stats[0].overflowed == 0);
    ck_assert_uint_eq(stats[0].zeroed, zeroed);
    ck_assert_double_eq_tol(stats[0].signal / signal, 1, 1e-6);
    ck_assert_double_eq_tol(stats[0].noise / noise, 1, 1e-6);
  }
  mxq_pool_free(pool);
  free(x);
  for (int t = 0; t < 2; t++) {
    free(y[t]);
    free(codes[t]);
    free(scales[t]);
  }
}
END_TEST

START_TEST(clipped_zeroed_overflowed_and_nonfinite_scalars_are_counted) {
  float x[4 * 32] = {0};
  uint8_t codes[4 * 16], scales[4];
  const struct mxq_rows s = {.rows = 2, .k = 64};
  struct mxq_numerics n = {.scale_rule = MXQ_SCALE_EVEN};
  struct mxq_stats stats = {.elements = 1};
  x[0] = 6.5f; /* even: scale 1, above 6: clipped */
  x[1] = 0.1f; /* zeroed */
  x[2] = 6.0f;
  x[32] = 3.4e38f; /* even leaves f32 */
  x[64] = INFINITY;
  x[65] = NAN;
  x[96] = -6.9f;
  ck_assert_int_eq(mxq_encode(MXQ_MXFP4, MXQ_F32, x, &s, codes, scales, &n, NULL, &stats, NULL), MXQ_OK);
  ck_assert(scales[0] == 127 && scales[1] == 255 && scales[2] == 255 && scales[3] == 127);
  ck_assert_uint_eq(stats.elements, 129);
  ck_assert_uint_eq(stats.blocks, 4);
  ck_assert_uint_eq(stats.clipped, 2);
  ck_assert_uint_eq(stats.zeroed, 2); /* 0.1 and the one in the block that overflowed */
  ck_assert_uint_eq(stats.overflowed, 1);
  ck_assert_uint_eq(stats.nonfinite, 2);
  for (int i = 16; i < 48; i++) ck_assert_uint_eq(codes[i], 0);
  ck_assert(isfinite(stats.signal) && isfinite(stats.noise));
}
END_TEST

START_TEST(a_nan_or_inf_is_an_error_with_its_index_whatever_the_threads) {
  enum { ROWS = 300, K = 1001 };
  float *x = malloc(ROWS * K * 4);
  uint8_t *codes = malloc(ROWS * 1024), *scales = malloc(ROWS * 32);
  const struct mxq_rows s = {.rows = ROWS, .k = K};
  const struct mxq_numerics n = {.nonfinite = MXQ_NONFINITE_ERROR};
  ck_assert(x && codes && scales);
  for (size_t i = 0; i < ROWS * K; i++) x[i] = weight(i);
  mxq_pool *pool = mxq_pool_create(4);
  ck_assert_int_eq(mxq_encode(MXQ_MXFP8_E4M3, MXQ_F32, x, &s, codes, scales, &n, mxq_pool_runner(pool), NULL, NULL), MXQ_OK);
  mxq_pool_free(pool);
  x[299 * K + 1000] = -INFINITY;
  for (size_t at = 299 * K + 1000; at > 60000; at -= 60000) {
    struct mxq_error err = {0};
    x[at] = at % 2 ? NAN : INFINITY;
    for (unsigned threads = 1; threads <= 4; threads++) {
      pool = mxq_pool_create(threads);
      ck_assert_int_eq(mxq_encode(MXQ_MXFP8_E4M3, MXQ_F32, x, &s, codes, scales, &n, mxq_pool_runner(pool), NULL, &err), MXQ_ERR_NONFINITE);
      ck_assert_uint_eq(err.offset, at);
      mxq_pool_free(pool);
    }
  }
  free(x);
  free(codes);
  free(scales);
}
END_TEST

START_TEST(saturate_takes_amax_of_the_finite_and_gives_inf_the_largest_code) {
  float x[3 * 32] = {0}, y[96];
  uint8_t codes[96], scales[3];
  const struct mxq_rows s = {.rows = 3, .k = 32};
  const struct mxq_numerics n = {.scale_rule = MXQ_SCALE_FLOOR, .nonfinite = MXQ_NONFINITE_SATURATE};
  struct mxq_error err = {0};
  x[0] = 4;
  x[1] = INFINITY;
  x[2] = -INFINITY;
  x[33] = -INFINITY; /* no finite value but zero */
  x[64] = 1;
  for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++) {
    const int emax = mxq_element_emax(mxq_format_element((enum mxq_format)f));
    const unsigned top[] = {0, 7, 31, 31, 0x7e, 0x7b, 127};
    const float largest = mxq_element_value(mxq_format_element((enum mxq_format)f), (uint8_t)top[f]);
    struct mxq_stats stats = {0};
    ck_assert_int_eq(mxq_encode((enum mxq_format)f, MXQ_F32, x, &s, codes, scales, &n, NULL, &stats, NULL), MXQ_OK);
    ck_assert_int_eq(mxq_decode((enum mxq_format)f, MXQ_F32, codes, scales, &s, y, NULL, NULL, NULL), MXQ_OK);
    ck_assert_int_eq(scales[0], 129 - emax);
    ck_assert_int_eq(scales[1], 254 - emax);
    ck_assert(y[0] == 4 && y[1] == ldexpf(largest, 2 - emax) && y[2] == -y[1] && y[3] == 0);
    ck_assert(y[32] == 0 && y[33] == -ldexpf(largest, 127 - emax) && y[64] == 1);
    ck_assert_uint_eq(stats.nonfinite, 3);
    ck_assert_uint_eq(stats.overflowed, 0);
  }
  x[70] = NAN;
  ck_assert_int_eq(mxq_encode(MXQ_MXFP4, MXQ_F32, x, &s, codes, scales, &n, NULL, NULL, &err), MXQ_ERR_NONFINITE);
  ck_assert_uint_eq(err.offset, 70);
}
END_TEST

START_TEST(no_rounding_mode_and_no_flushing_of_the_caller_changes_a_bit) {
  float x[64], y[2][64];
  uint8_t codes[2][64], scales[2][2];
  const struct mxq_rows s = {.rows = 1, .k = 64};
  for (size_t i = 0; i < 64; i++) x[i] = i < 32 ? weight(i) : ldexpf(weight(i), -126);
  for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++)
    for (int round = 0; round < 3; round++) {
      encode((enum mxq_format)f, x, &s, codes[0], scales[0], 1, NULL);
      ck_assert_int_eq(mxq_decode((enum mxq_format)f, MXQ_F32, codes[0], scales[0], &s, y[0], NULL, NULL, NULL), MXQ_OK);
      fesetround(round == 0 ? FE_UPWARD : round == 1 ? FE_DOWNWARD : FE_TOWARDZERO);
#if defined(__x86_64__)
      __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#endif
      encode((enum mxq_format)f, x, &s, codes[1], scales[1], 1, NULL);
      ck_assert_int_eq(mxq_decode((enum mxq_format)f, MXQ_F32, codes[1], scales[1], &s, y[1], NULL, NULL, NULL), MXQ_OK);
      ck_assert_int_eq(fegetround(), round == 0 ? FE_UPWARD : round == 1 ? FE_DOWNWARD : FE_TOWARDZERO);
      fesetenv(FE_DFL_ENV);
      ck_assert_int_eq(memcmp(codes[0], codes[1], mxq_row_code_bytes((enum mxq_format)f, 64)), 0);
      ck_assert_int_eq(memcmp(scales[0], scales[1], 2), 0);
      ck_assert_int_eq(memcmp(y[0], y[1], sizeof y[0]), 0);
    }
}
END_TEST

START_TEST(no_flushing_of_the_caller_moves_the_thresholds_of_a_rule) {
  enum { BLOCKS = 512 };
  static float x[BLOCKS * 32];
  static uint8_t codes[2][BLOCKS * 32], scales[2][BLOCKS];
  const struct mxq_rows s = {.rows = 1, .k = BLOCKS * 32};
  for (uint32_t i = 0; i < BLOCKS; i++) { /* amax up to 2^-111 */
    const uint32_t u = i << 18 | 0x2aaaa;
    memcpy(x + i * 32, &u, 4);
  }
  for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++)
    for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_RULE_COUNT; rule++) {
      const struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)rule, .round = MXQ_ROUND_HALF_ZERO};
      struct mxq_numerics offered = n;
      if (mxq_numerics_resolve((enum mxq_format)f, &offered, NULL) != MXQ_OK) continue;
      ck_assert_int_eq(mxq_encode((enum mxq_format)f, MXQ_F32, x, &s, codes[0], scales[0], &n, NULL, NULL, NULL), MXQ_OK);
#if defined(__x86_64__)
      __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#endif
      ck_assert_int_eq(mxq_encode((enum mxq_format)f, MXQ_F32, x, &s, codes[1], scales[1], &n, NULL, NULL, NULL), MXQ_OK);
      fesetenv(FE_DFL_ENV);
      ck_assert_int_eq(memcmp(codes[0], codes[1], mxq_row_code_bytes((enum mxq_format)f, s.k)), 0);
      ck_assert_int_eq(memcmp(scales[0], scales[1], BLOCKS), 0);
    }
}
END_TEST

START_TEST(no_finite_input_decodes_to_inf_under_auto) {
  float x[32] = {3.40282347e38f, -3.40282347e38f, 1}, y[32];
  uint8_t codes[32], scale;
  const struct mxq_rows s = {.rows = 1, .k = 32};
  for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++) {
    encode((enum mxq_format)f, x, &s, codes, &scale, 1, NULL);
    ck_assert_int_eq(scale, 254 - mxq_element_emax(mxq_format_element((enum mxq_format)f)));
    ck_assert_int_eq(mxq_decode((enum mxq_format)f, MXQ_F32, codes, &scale, &s, y, NULL, NULL, NULL), MXQ_OK);
    ck_assert(isfinite(y[0]) && isfinite(y[1]));
  }
}
END_TEST

START_TEST(values_that_leave_f16_or_bf16_are_counted_but_not_those_of_the_padding) {
  uint8_t codes[16], scale = 142; /* 2^15 */
  uint16_t y[8] = {0};
  uint64_t to_inf = 0;
  const struct mxq_rows s = {.rows = 1, .k = 5};
  memset(codes, 0x77, sizeof codes); /* 6.0 everywhere */
  codes[0] = 0xf1;                   /* 0.5, -6.0 */
  ck_assert_int_eq(mxq_decode(MXQ_MXFP4, MXQ_F16, codes, &scale, &s, y, NULL, &to_inf, NULL), MXQ_OK);
  ck_assert_uint_eq(to_inf, 4);
  ck_assert(y[0] == 0x7400 && y[1] == 0xfc00 && y[4] == 0x7c00 && y[5] == 0);
  scale = 255;
  ck_assert_int_eq(mxq_decode(MXQ_MXFP4, MXQ_BF16, codes, &scale, &s, y, NULL, &to_inf, NULL), MXQ_OK);
  ck_assert(to_inf == 4 && y[0] == 0x7fc0 && y[1] == 0x7fc0 && y[5] == 0);
}
END_TEST

START_TEST(every_level_of_kernels_gives_the_same_bits_and_the_same_statistics) {
  enum { ROWS = 9, K = 331, BLOCKS = 11 };
  float x[ROWS * K];
  const struct mxq_rows s = {.rows = ROWS, .k = K};
  const enum mxq_cpu best = mxq_cpu_best();
  for (size_t i = 0; i < ROWS * K; i++) x[i] = weight(i);
  x[5] = 0;
  x[400] = INFINITY;
  for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++) {
    struct mxq_stats want;
    uint8_t codes[2][ROWS * BLOCKS * 32] = {{0}}, scales[2][ROWS * BLOCKS];
    for (int level = 0; level <= (int)best; level++) {
      struct mxq_stats got = {0};
      ck_assert_int_eq(mxq_cpu_set((enum mxq_cpu)level), MXQ_OK);
      encode((enum mxq_format)f, x, &s, codes[level > 0], scales[level > 0], 1, &got);
      if (level == 0) want = got;
      ck_assert_int_eq(memcmp(&got, &want, sizeof got), 0);
      ck_assert_int_eq(memcmp(codes[level > 0], codes[0], sizeof codes[0]), 0);
      ck_assert_int_eq(memcmp(scales[level > 0], scales[0], sizeof scales[0]), 0);
    }
    ck_assert(want.nonfinite == 1 && want.zeroed > 0 && want.noise > 0);
  }
}
END_TEST

START_TEST(empty_shapes_are_done_at_once) {
  const struct mxq_rows none = {.rows = 0, .k = 32}, empty = {.rows = 1000000000, .k = 0};
  struct mxq_stats stats = {0};
  mxq_pool *pool = mxq_pool_create(4);
  ck_assert_int_eq(mxq_encode(MXQ_MXFP4, MXQ_F32, NULL, &none, NULL, NULL, NULL, mxq_pool_runner(pool), &stats, NULL), MXQ_OK);
  ck_assert_int_eq(mxq_encode(MXQ_MXFP4, MXQ_F32, NULL, &empty, NULL, NULL, NULL, mxq_pool_runner(pool), &stats, NULL), MXQ_OK);
  ck_assert_int_eq(mxq_decode(MXQ_MXFP4, MXQ_F32, NULL, NULL, &none, NULL, mxq_pool_runner(pool), NULL, NULL), MXQ_OK);
  ck_assert_uint_eq(stats.blocks, 0);
  mxq_pool_free(pool);
}
END_TEST

START_TEST(rules_and_presets_that_a_format_lacks_are_refused_with_those_it_has) {
  static const struct { enum mxq_format f; struct mxq_numerics n; const char *says; } bad[] = {
    {MXQ_MXINT8, {.scale_rule = MXQ_SCALE_EVEN}, "auto, floor, ceil, mse"},
    {MXQ_MXINT8, {.scale_rule = MXQ_SCALE_RCEIL}, "mxint8"},
    {MXQ_MXFP8_E4M3, {.scale_rule = MXQ_SCALE_RCEIL_725}, "auto, floor, ceil, even, rceil, mse"},
    {MXQ_MXINT8, {.compat = MXQ_COMPAT_TORCHAO}, "mxfp8-e5m2"},
    {MXQ_FORMAT_NONE, {0}, "none"},
    {MXQ_MXFP4, {.scale_rule = MXQ_SCALE_RULE_COUNT}, "Unknown"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct mxq_numerics n = bad[i].n;
    struct mxq_error err = {0};
    ck_assert_int_eq(mxq_numerics_resolve(bad[i].f, &n, &err), MXQ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, bad[i].says) != NULL, "%s", err.text);
  }
  struct mxq_numerics n = {0};
  ck_assert(mxq_numerics_resolve(MXQ_MXFP4, &n, NULL) == MXQ_OK && n.scale_rule == MXQ_SCALE_AUTO && n.round == MXQ_ROUND_RNE);
  n = (struct mxq_numerics){.compat = MXQ_COMPAT_OCP};
  ck_assert(mxq_numerics_resolve(MXQ_MXINT8, &n, NULL) == MXQ_OK && n.scale_rule == MXQ_SCALE_FLOOR);
  n = (struct mxq_numerics){.compat = MXQ_COMPAT_TORCHAO, .scale_rule = MXQ_SCALE_RCEIL};
  ck_assert(mxq_numerics_resolve(MXQ_MXFP4, &n, NULL) == MXQ_OK && n.scale_rule == MXQ_SCALE_RCEIL);
  enum mxq_scale_rule rule = MXQ_SCALE_MSE;
  ck_assert(mxq_scale_rule_parse("rceil-725", &rule) && rule == MXQ_SCALE_RCEIL_725);
  ck_assert(!mxq_scale_rule_parse("default", &rule) && !mxq_scale_rule_parse("best", &rule) && rule == MXQ_SCALE_RCEIL_725);
  enum mxq_compat compat;
  ck_assert(mxq_compat_parse("-", &compat) && compat == MXQ_COMPAT_NONE && !mxq_compat_parse("te", &compat));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("codec");
  TCase *c = tcase_create("codec");
  tcase_add_test(c, ragged_rows_are_padded_with_zeros_and_decode_to_their_true_length);
  tcase_add_test(c, strides_and_odd_addresses_change_no_bit_and_leave_the_gaps_alone);
  tcase_add_test(c, threads_change_neither_bits_nor_statistics);
  tcase_add_test(c, clipped_zeroed_overflowed_and_nonfinite_scalars_are_counted);
  tcase_add_test(c, a_nan_or_inf_is_an_error_with_its_index_whatever_the_threads);
  tcase_add_test(c, saturate_takes_amax_of_the_finite_and_gives_inf_the_largest_code);
  tcase_add_test(c, no_rounding_mode_and_no_flushing_of_the_caller_changes_a_bit);
  tcase_add_test(c, no_flushing_of_the_caller_moves_the_thresholds_of_a_rule);
  tcase_add_test(c, no_finite_input_decodes_to_inf_under_auto);
  tcase_add_test(c, values_that_leave_f16_or_bf16_are_counted_but_not_those_of_the_padding);
  tcase_add_test(c, every_level_of_kernels_gives_the_same_bits_and_the_same_statistics);
  tcase_add_test(c, empty_shapes_are_done_at_once);
  tcase_add_test(c, rules_and_presets_that_a_format_lacks_are_refused_with_those_it_has);
  suite_add_tcase(suite, c);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
