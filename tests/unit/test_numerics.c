/* SPDX-License-Identifier: MIT */
/* What presets stand for, written down a second time, and which rules go with which element types. */
#include <check.h>
#include <mxq/mxq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Preset, format, then the names of what DEFAULT becomes; formats that are not here are refused. */
static const char *const table[][5] = {
  {"-", "mxfp4", "auto", "rne", "keep"}, {"-", "mxfp6-e2m3", "auto", "rne", "keep"}, {"-", "mxfp6-e3m2", "auto", "rne", "keep"},
  {"-", "mxfp8-e4m3", "auto", "rne", "keep"}, {"-", "mxfp8-e5m2", "auto", "rne", "keep"}, {"-", "mxint8", "auto", "rne", "keep"},
  {"ocp", "mxfp4", "floor", "rne", "keep"}, {"ocp", "mxfp6-e2m3", "floor", "rne", "keep"}, {"ocp", "mxfp6-e3m2", "floor", "rne", "keep"},
  {"ocp", "mxfp8-e4m3", "floor", "rne", "keep"}, {"ocp", "mxfp8-e5m2", "floor", "rne", "keep"}, {"ocp", "mxint8", "floor", "rne", "keep"},
  {"torchao", "mxfp4", "floor", "rne", "keep"}, {"torchao", "mxfp6-e2m3", "floor", "rne", "keep"}, {"torchao", "mxfp6-e3m2", "floor", "rne", "keep"},
  {"torchao", "mxfp8-e4m3", "floor", "rne", "keep"}, {"torchao", "mxfp8-e5m2", "floor", "rne", "keep"},
  {"torchao-0.18", "mxfp4", "floor", "rne", "keep"}, {"torchao-0.18", "mxfp6-e2m3", "floor", "rne", "keep"}, {"torchao-0.18", "mxfp6-e3m2", "floor", "rne", "keep"},
  {"torchao-0.18", "mxfp8-e4m3", "floor", "rne", "keep"}, {"torchao-0.18", "mxfp8-e5m2", "floor", "rne", "keep"},
  {"ggml", "mxfp4", "floor-log2f", "half-zero", "drop"},
  {"compressed-tensors", "mxfp4", "even", "rne", "mx-scaled"}, {"compressed-tensors", "mxfp6-e2m3", "even", "rne", "keep"},
  {"compressed-tensors", "mxfp8-e4m3", "even-175", "rne", "keep"},
  {"microxcaling", "mxfp4", "floor-log2f", "half-away", "mx"}, {"microxcaling", "mxfp6-e2m3", "floor-log2f", "half-away", "mx"},
  {"microxcaling", "mxfp6-e3m2", "floor-log2f", "half-away", "mx"}, {"microxcaling", "mxfp8-e4m3", "floor-log2f", "half-away", "mx"},
  {"microxcaling", "mxfp8-e5m2", "floor-log2f", "half-away", "mx"}, {"microxcaling", "mxint8", "floor-log2f", "half-away", "mx"},
  {"fbgemm", "mxfp4", "even-strict", "half-away", "keep"},
  {"quark", "mxfp4", "even", "rne", "drop"}, {"quark", "mxfp6-e2m3", "even", "rne", "drop"}, {"quark", "mxfp6-e3m2", "even", "rne", "drop"},
  {"quark", "mxint8", "even", "rne", "drop"},
  {"mlx", "mxfp4", "rceil", "half-zero", "drop"}, {"mlx", "mxfp8-e4m3", "rceil", "rne", "keep"},
  {"modelopt", "mxfp4", "rceil-log2f", "half-zero", "modelopt"}, {"modelopt", "mxfp8-e4m3", "rceil-log2f", "rne", "keep"},
  {"auto-round", "mxfp4", "floor-log2f", "rne", "mx"}, {"auto-round", "mxfp6-e2m3", "floor-log2f", "rne", "mx"}, {"auto-round", "mxfp6-e3m2", "floor-log2f", "rne", "mx"},
  {"auto-round", "mxfp8-e4m3", "floor-log2f", "rne", "mx"}, {"auto-round", "mxfp8-e5m2", "floor-log2f", "rne", "mx"},
};
enum { LINES = sizeof table / sizeof *table };

START_TEST(presets_stand_for_their_rule_rounding_and_zeros_and_have_their_formats) {
  size_t found = 0;
  for (int c = 0; c < MXQ_COMPAT_COUNT; c++)
    for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++) {
      struct mxq_numerics n = {.compat = (enum mxq_compat)c};
      const char *name = mxq_compat_name(n.compat), *format = mxq_format_name((enum mxq_format)f), *const *line = NULL;
      for (size_t i = 0; i < LINES; i++)
        if (strcmp(table[i][0], name) == 0 && strcmp(table[i][1], format) == 0) line = table[i];
      const enum mxq_status status = mxq_numerics_resolve((enum mxq_format)f, &n, NULL);
      ck_assert_msg(status == (line ? MXQ_OK : MXQ_ERR_USAGE), "%s %s", name, format);
      if (!line) continue;
      found++;
      ck_assert_str_eq(mxq_scale_rule_name(n.scale_rule), line[2]);
      ck_assert_str_eq(mxq_round_name(n.round), line[3]);
      ck_assert_str_eq(mxq_neg_zero_name(n.neg_zero), line[4]);
      enum mxq_compat again;
      ck_assert(mxq_compat_parse(name, &again) && again == n.compat);
    }
  ck_assert_uint_eq(found, LINES);
}
END_TEST

/* Rules of each format; Quark alone has some for MXINT8. */
START_TEST(scale_rules_are_offered_for_their_element_types_only) {
  static const char *const rules[][2] = {
    {"mxfp4", " auto floor ceil even rceil rceil-725 mse even-strict floor-log2f ceil-log2f rceil-log2f rceil-725-log2f even-strict-log2f nearest-log2f "},
    {"mxfp6-e2m3", " auto floor ceil even rceil mse floor-log2f ceil-log2f rceil-log2f "},
    {"mxfp6-e3m2", " auto floor ceil even rceil mse floor-log2f ceil-log2f rceil-log2f "},
    {"mxfp8-e4m3", " auto floor ceil even rceil mse even-175 floor-log2f rceil-log2f "},
    {"mxfp8-e5m2", " auto floor ceil even rceil mse floor-log2f rceil-log2f "},
    {"mxint8", " auto floor ceil mse floor-log2f "},
  };
  for (size_t i = 0; i < 6; i++)
    for (int quark = 0; quark < (i == 5 ? 2 : 1); quark++)
      for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_RULE_COUNT; rule++) {
        struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)rule, .compat = quark ? MXQ_COMPAT_QUARK : MXQ_COMPAT_NONE};
        enum mxq_format format;
        char word[40];
        ck_assert(mxq_format_parse(rules[i][0], &format));
        snprintf(word, sizeof word, " %s ", mxq_scale_rule_name(n.scale_rule));
        const bool want = strstr(quark ? " even floor-log2f ceil-log2f " : rules[i][1], word) != NULL;
        ck_assert_msg((mxq_numerics_resolve(format, &n, NULL) == MXQ_OK) == want, "%s%s of %s", word, quark ? "quark" : "", rules[i][0]);
      }
}
END_TEST

START_TEST(names_come_back_from_their_texts_and_seeds_are_decimal_numbers_of_64_bits) {
  static const char *const bad[] = {"", "stochastic", "stochastic:", "stochastic:-1", "stochastic:1x", "stochastic: 1", "stochastic:18446744073709551616",
                                    "stochastic:99999999999999999999", "default", "RNE", "nearest"};
  for (int i = 1; i < MXQ_SCALE_RULE_COUNT; i++) {
    enum mxq_scale_rule v = MXQ_SCALE_DEFAULT;
    ck_assert(mxq_scale_rule_parse(mxq_scale_rule_name((enum mxq_scale_rule)i), &v) && (int)v == i);
  }
  for (int i = 0; i < MXQ_NONFINITE_COUNT; i++) {
    enum mxq_nonfinite v = MXQ_NONFINITE_COUNT;
    ck_assert(mxq_nonfinite_parse(mxq_nonfinite_name((enum mxq_nonfinite)i), &v) && (int)v == i);
  }
  for (int i = 1; i < MXQ_ROUND_STOCHASTIC; i++) {
    enum mxq_round v = MXQ_ROUND_DEFAULT;
    uint64_t seed = 7;
    ck_assert(mxq_rounding_parse(mxq_round_name((enum mxq_round)i), &v, &seed) && (int)v == i && seed == 7);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    enum mxq_round v = MXQ_ROUND_TRUNC;
    uint64_t seed = 7;
    ck_assert_msg(!mxq_rounding_parse(bad[i], &v, &seed) && v == MXQ_ROUND_TRUNC && seed == 7, "%s", bad[i]);
  }
  enum mxq_round v;
  uint64_t seed;
  ck_assert(mxq_rounding_parse("stochastic:18446744073709551615", &v, &seed) && v == MXQ_ROUND_STOCHASTIC && seed == UINT64_MAX);
  ck_assert(mxq_rounding_parse("stochastic:0090", &v, &seed) && seed == 90);
  ck_assert(mxq_scale_rule_name(MXQ_SCALE_RULE_COUNT) == NULL && mxq_round_name(MXQ_ROUND_COUNT) == NULL && mxq_compat_name(MXQ_COMPAT_COUNT) == NULL);
  ck_assert(mxq_neg_zero_name(MXQ_NEG_ZERO_COUNT) == NULL && mxq_nonfinite_name(MXQ_NONFINITE_COUNT) == NULL);
  for (int what = 0; what < 5; what++) {
    struct mxq_numerics n = {what == 0 ? MXQ_SCALE_RULE_COUNT : 0, what == 1 ? MXQ_ROUND_COUNT : 0, what == 2 ? MXQ_COMPAT_COUNT : 0,
                             what == 3 ? MXQ_NONFINITE_COUNT : 0, what == 4 ? MXQ_NEG_ZERO_COUNT : 0, 0};
    ck_assert_int_eq(mxq_numerics_resolve(MXQ_MXFP4, &n, NULL), MXQ_ERR_USAGE);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("numerics");
  TCase *c = tcase_create("numerics");
  tcase_add_test(c, presets_stand_for_their_rule_rounding_and_zeros_and_have_their_formats);
  tcase_add_test(c, scale_rules_are_offered_for_their_element_types_only);
  tcase_add_test(c, names_come_back_from_their_texts_and_seeds_are_decimal_numbers_of_64_bits);
  suite_add_tcase(suite, c);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
