/* SPDX-License-Identifier: MIT */
#include "tests/roundtrip/test_convert_data.h"

static unsigned char zeros[1 << 20];

/* One of each kind of tensor. */
static const struct given zoo[] = {
  {.name = "w", .dtype = MXQ_F32, .ndim = 2, .shape = {8, 64}, .data = zeros},
  {.name = "ragged", .dtype = MXQ_BF16, .ndim = 2, .shape = {8, 100}, .data = zeros},
  {.name = "short", .dtype = MXQ_F32, .ndim = 2, .shape = {8, 20}, .data = zeros},
  {.name = "conv", .dtype = MXQ_F16, .ndim = 4, .shape = {4, 16, 3, 3}, .data = zeros},
  {.name = "cube", .dtype = MXQ_F32, .ndim = 3, .shape = {2, 3, 32}, .data = zeros},
  {.name = "column", .dtype = MXQ_F32, .ndim = 2, .shape = {50, 1}, .data = zeros},
  {.name = "bias", .dtype = MXQ_F32, .ndim = 1, .shape = {64}, .data = zeros},
  {.name = "scalar", .dtype = MXQ_F32, .ndim = 0, .data = zeros},
  {.name = "empty", .dtype = MXQ_F32, .ndim = 2, .shape = {0, 64}, .data = zeros},
  {.name = "double", .dtype = MXQ_F64, .ndim = 2, .shape = {4, 64}, .data = zeros},
  {.name = "eight", .dtype = MXQ_F8_E4M3, .ndim = 2, .shape = {4, 64}, .data = zeros},
  {.name = "ids", .dtype = MXQ_I64, .ndim = 2, .shape = {4, 64}, .data = zeros},
  {.name = "four", .dtype = MXQ_F4, .ndim = 2, .shape = {4, 64}, .data = zeros},
};
#define ZOO (sizeof zoo / sizeof *zoo)

static struct box box;
static mxq_reader *reader;

static void setup(void) {
  box = file_of(MXQ_SAFETENSORS, zoo, ZOO, NULL, 0);
  reader = open_box(box);
}
static void teardown(void) {
  mxq_reader_close(reader);
  free(box.data);
}

static mxq_plan *plan_of(const struct mxq_quantize_options *options) {
  struct mxq_error err = {0};
  mxq_plan *plan = NULL;
  OK(mxq_plan_quantize(reader, options, &plan, &err));
  return plan;
}

static const struct mxq_plan_entry *entry(const mxq_plan *plan, const char *name) {
  for (size_t i = 0; i < mxq_plan_count(plan); i++)
    if (strcmp(mxq_plan_entry(plan, i)->tensor->name, name) == 0)
      return mxq_plan_entry(plan, i);
  ck_abort_msg("the plan has no entry for %s", name);
  return NULL;
}

static void expect(const mxq_plan *plan, const char *name, enum mxq_format format, uint32_t first, uint32_t last, bool warn,
                   const char *reason) {
  const struct mxq_plan_entry *e = entry(plan, name);
  ck_assert_msg(e->format == format, "%s becomes %s: %s", name, mxq_format_name(e->format), e->reason);
  ck_assert_msg(e->axis_first == first && e->axis_last == last, "%s: axes %u-%u", name, e->axis_first, e->axis_last);
  ck_assert_msg(e->warn == warn, "%s: warn is %d", name, e->warn);
  ck_assert_msg(strstr(e->reason, reason) != NULL, "%s: '%s' does not say '%s'", name, e->reason, reason);
}

static enum mxq_status refused(const struct mxq_quantize_options *options, struct mxq_error *err) {
  mxq_plan *plan = (void *)1;
  enum mxq_status status = mxq_plan_quantize(reader, options, &plan, err);
  ck_assert_ptr_null(plan);
  return status;
}

START_TEST(floats_of_two_dimensions_are_quantized_and_all_else_is_kept_with_a_reason) {
  struct mxq_quantize_options o = {.format = MXQ_MXFP4};
  mxq_plan *plan = plan_of(&o);
  ck_assert_uint_eq(mxq_plan_count(plan), ZOO);
  expect(plan, "w", MXQ_MXFP4, 1, 1, false, "last axis");
  expect(plan, "ragged", MXQ_MXFP4, 1, 1, false, "100 padded to 128");
  expect(plan, "short", MXQ_MXFP4, 1, 1, false, "20 padded to 32");
  expect(plan, "conv", MXQ_MXFP4, 1, 3, false, "last axis 3 < 32: blocked along axes 1-3, 144 padded to 160");
  expect(plan, "cube", MXQ_MXFP4, 2, 2, false, "last axis");
  expect(plan, "column", MXQ_FORMAT_NONE, 0, 0, true, "mxfp4 would not be smaller: 850 bytes for 200");
  expect(plan, "bias", MXQ_FORMAT_NONE, 0, 0, false, "1-D");
  expect(plan, "scalar", MXQ_FORMAT_NONE, 0, 0, false, "0-D");
  expect(plan, "empty", MXQ_FORMAT_NONE, 0, 0, false, "no elements");
  expect(plan, "double", MXQ_FORMAT_NONE, 0, 0, true, "f64: not quantized");
  expect(plan, "eight", MXQ_FORMAT_NONE, 0, 0, true, "f8_e4m3: not quantized again");
  expect(plan, "ids", MXQ_FORMAT_NONE, 0, 0, false, "i64: not a float");
  expect(plan, "four", MXQ_FORMAT_NONE, 0, 0, false, "f4: kept as packed bytes");
  for (size_t i = 0; i < ZOO; i++)
    ck_assert_uint_eq(mxq_plan_entry(plan, i)->rule, SIZE_MAX);
  mxq_plan_free(plan);
}
END_TEST

START_TEST(totals_count_bytes_and_bits_of_what_is_quantized) {
  struct mxq_quantize_options o = {.format = MXQ_MXFP4};
  mxq_plan *plan = plan_of(&o);
  struct mxq_plan_totals t;
  mxq_plan_totals(plan, &t);
  uint64_t w = 8 * (32 + 2), ragged = 8 * (64 + 4), shorty = 8 * (16 + 1), conv = 4 * (80 + 5), cube = 6 * 17;
  uint64_t elements = 8 * 64 + 8 * 100 + 8 * 20 + 4 * 144 + 6 * 32;
  uint64_t kept = 200 + 64 * 4 + 4 + 0 + 4 * 64 * 8 + 256 + 4 * 64 * 8 + 128;
  ck_assert_uint_eq(t.tensors, ZOO);
  ck_assert_uint_eq(t.quantized, 5);
  ck_assert_uint_eq(t.kept, ZOO - 5);
  ck_assert_uint_eq(t.bytes_out, w + ragged + shorty + conv + cube + kept);
  ck_assert_uint_eq(t.bytes_in, 8 * 64 * 4 + 8 * 100 * 2 + 8 * 20 * 4 + 4 * 144 * 2 + 6 * 32 * 4 + kept);
  ck_assert_double_eq_tol(t.bits_per_weight, 8.0 * (double)(w + ragged + shorty + conv + cube) / (double)elements, 1e-12);
  ck_assert(t.graph_each);
  ck_assert_uint_gt(t.file_bytes, t.bytes_out);
  ck_assert_uint_gt(t.peak_bytes, 0);
  ck_assert_uint_le(t.peak_bytes, 64 << 20);
  mxq_plan_free(plan);
}
END_TEST

START_TEST(the_finished_file_has_the_size_that_the_plan_says) {
  struct mxq_quantize_options o = {.format = MXQ_MXFP6_E2M3};
  mxq_plan *plan = plan_of(&o);
  struct mxq_plan_totals t;
  mxq_plan_totals(plan, &t);
  mxq_plan_free(plan);
  struct mxq_summary summary;
  struct box out = quantized(reader, &o, &summary);
  ck_assert_uint_eq(out.size, t.file_bytes);
  ck_assert_uint_eq(summary.totals.file_bytes, t.file_bytes);
  free(out.data);
}
END_TEST

START_TEST(a_rule_may_name_a_tensor_of_one_dimension_or_keep_one) {
  static const struct mxq_rule rules[] = {{.regex = "^bias$", .format = MXQ_MXFP8_E4M3}, {.regex = "^w$", .format = MXQ_FORMAT_NONE}, {.regex = "^cube$", .format = MXQ_MXINT8}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .rules = rules, .rule_count = 3};
  mxq_plan *plan = plan_of(&o);
  expect(plan, "bias", MXQ_MXFP8_E4M3, 0, 0, false, "last axis");
  ck_assert_uint_eq(entry(plan, "bias")->rule, 0);
  expect(plan, "w", MXQ_FORMAT_NONE, 0, 0, false, "kept by rule");
  ck_assert_uint_eq(entry(plan, "w")->rule, 1);
  expect(plan, "cube", MXQ_MXINT8, 2, 2, false, "last axis");
  expect(plan, "short", MXQ_MXFP4, 1, 1, false, "last axis");
  ck_assert_uint_eq(entry(plan, "short")->rule, SIZE_MAX);
  mxq_plan_free(plan);
}
END_TEST

START_TEST(without_a_format_only_what_rules_name_is_quantized) {
  static const struct mxq_rule rules[] = {{.regex = "^w$", .format = MXQ_MXFP4}};
  struct mxq_quantize_options o = {.rules = rules, .rule_count = 1};
  mxq_plan *plan = plan_of(&o);
  expect(plan, "w", MXQ_MXFP4, 1, 1, false, "last axis");
  expect(plan, "cube", MXQ_FORMAT_NONE, 0, 0, false, "no format given");
  expect(plan, "double", MXQ_FORMAT_NONE, 0, 0, false, "no format given");
  mxq_plan_free(plan);
}
END_TEST

START_TEST(a_rule_that_names_what_cannot_be_quantized_is_obeyed_as_far_as_possible_and_warned_about) {
  static const struct mxq_rule rules[] = {{.regex = "ids|scalar|empty|double|column", .format = MXQ_MXFP8_E5M2}};
  struct mxq_quantize_options o = {.rules = rules, .rule_count = 1};
  mxq_plan *plan = plan_of(&o);
  expect(plan, "ids", MXQ_FORMAT_NONE, 0, 0, true, "not a float");
  expect(plan, "scalar", MXQ_FORMAT_NONE, 0, 0, true, "0-D");
  expect(plan, "empty", MXQ_FORMAT_NONE, 0, 0, true, "no elements");
  expect(plan, "double", MXQ_FORMAT_NONE, 0, 0, true, "f64");
  expect(plan, "column", MXQ_FORMAT_NONE, 0, 0, true, "not be smaller");
  mxq_plan_free(plan);
}
END_TEST

START_TEST(a_rule_that_matches_nothing_is_refused_by_name) {
  static const struct mxq_rule rules[] = {{.regex = "^w$", .format = MXQ_MXFP4}, {.regex = "Bias", .format = MXQ_MXFP4}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .rules = rules, .rule_count = 2};
  struct mxq_error err = {0};
  ck_assert_int_eq(refused(&o, &err), MXQ_ERR_USAGE);
  ck_assert_ptr_nonnull(strstr(err.text, "Bias=mxfp4"));
}
END_TEST

START_TEST(ragged_keep_leaves_rows_that_are_no_whole_blocks_alone) {
  static const struct mxq_rule rules[] = {{.regex = "^ragged$", .format = MXQ_MXFP4}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .rules = rules, .rule_count = 1, .ragged = MXQ_RAGGED_KEEP};
  mxq_plan *plan = plan_of(&o);
  expect(plan, "w", MXQ_MXFP4, 1, 1, false, "last axis");
  expect(plan, "ragged", MXQ_FORMAT_NONE, 0, 0, true, "100 is not a multiple of 32");
  expect(plan, "short", MXQ_FORMAT_NONE, 0, 0, false, "20 is not a multiple of 32");
  expect(plan, "conv", MXQ_FORMAT_NONE, 0, 0, false, "144 is not a multiple of 32");
  mxq_plan_free(plan);
}
END_TEST

START_TEST(a_scale_rule_that_a_format_in_use_does_not_take_is_refused) {
  static const struct mxq_rule rules[] = {{.regex = "^w$", .format = MXQ_MXINT8}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .numerics.scale_rule = MXQ_SCALE_RCEIL};
  struct mxq_error err = {0};
  mxq_plan_free(plan_of(&o));
  o.rules = rules;
  o.rule_count = 1;
  ck_assert_int_eq(refused(&o, &err), MXQ_ERR_USAGE);
  o = (struct mxq_quantize_options){.format = MXQ_MXFP8_E4M3, .numerics.scale_rule = MXQ_SCALE_RCEIL_725};
  ck_assert_int_eq(refused(&o, &err), MXQ_ERR_USAGE);
}
END_TEST

START_TEST(a_tensor_that_is_mx_already_is_kept_and_a_rule_for_another_format_is_refused) {
  struct mxq_quantize_options o = {.format = MXQ_MXFP4};
  struct box archive = quantized(reader, &o, NULL);
  mxq_reader *source = reader;
  reader = open_box(archive);
  o.format = MXQ_MXFP8_E4M3;
  mxq_plan *plan = plan_of(&o);
  ck_assert_uint_eq(mxq_plan_count(plan), ZOO);
  expect(plan, "w", MXQ_FORMAT_NONE, 0, 0, false, "mxfp4 already");
  mxq_plan_free(plan);
  static const struct mxq_rule same[] = {{.regex = "^w$", .format = MXQ_MXFP4}}, none[] = {{.regex = "^w$", .format = MXQ_FORMAT_NONE}}, other[] = {{.regex = "^w$", .format = MXQ_MXINT8}};
  o.rule_count = 1;
  o.rules = same;
  plan = plan_of(&o);
  expect(plan, "w", MXQ_FORMAT_NONE, 0, 0, false, "mxfp4 already");
  mxq_plan_free(plan);
  o.rules = none;
  mxq_plan_free(plan_of(&o));
  o.rules = other;
  struct mxq_error err = {0};
  ck_assert_int_eq(refused(&o, &err), MXQ_ERR_USAGE);
  ck_assert_str_eq(err.subject, "w");
  mxq_reader_close(reader);
  reader = source;
  free(archive.data);
}
END_TEST

START_TEST(axes_may_be_given_for_all_and_by_a_rule) {
  static const struct mxq_rule rules[] = {{.regex = "w|ragged|short|column|cube", .format = MXQ_FORMAT_NONE}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .rules = rules, .rule_count = 1, .has_axes = true, .axis_first = 1, .axis_last = -1};
  mxq_plan *plan = plan_of(&o);
  expect(plan, "conv", MXQ_MXFP4, 1, 3, false, "axes 1-3, as given, 144 padded to 160");
  mxq_plan_free(plan);
  o.axis_first = o.axis_last = 1; /* 16, with 9 behind it */
  plan = plan_of(&o);
  expect(plan, "conv", MXQ_MXFP4, 1, 1, false, "axis 1, as given, 16 padded to 32");
  expect(plan, "bias", MXQ_FORMAT_NONE, 0, 0, false, "1-D"); /* not chosen, so that its axes do not matter */
  mxq_plan_free(plan);
  static const struct mxq_rule two[] = {{.regex = "conv", .format = MXQ_MXFP4, .has_axes = true, .axis_first = -3, .axis_last = -2},
                                        {.regex = "w|ragged|short|column|cube", .format = MXQ_MXINT8}};
  o.rules = two;
  o.rule_count = 2;
  plan = plan_of(&o);
  expect(plan, "conv", MXQ_MXFP4, 1, 2, false, "axes 1-2, as given, 48 padded to 64");
  expect(plan, "cube", MXQ_FORMAT_NONE, 0, 0, true, "not be smaller");
  mxq_plan_free(plan);
  o.axis_first = o.axis_last = 2;
  struct mxq_error err = {0};
  ck_assert_int_eq(refused(&o, &err), MXQ_ERR_USAGE);
  ck_assert_str_eq(err.subject, "w");
  ck_assert_msg(strstr(err.text, "2 axes") != NULL, "%s", err.text);
}
END_TEST

int main(void) {
  Suite *s = suite_create("plan");
  TCase *t = tcase_create("plan");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, floats_of_two_dimensions_are_quantized_and_all_else_is_kept_with_a_reason);
  tcase_add_test(t, totals_count_bytes_and_bits_of_what_is_quantized);
  tcase_add_test(t, the_finished_file_has_the_size_that_the_plan_says);
  tcase_add_test(t, a_rule_may_name_a_tensor_of_one_dimension_or_keep_one);
  tcase_add_test(t, without_a_format_only_what_rules_name_is_quantized);
  tcase_add_test(t, a_rule_that_names_what_cannot_be_quantized_is_obeyed_as_far_as_possible_and_warned_about);
  tcase_add_test(t, a_rule_that_matches_nothing_is_refused_by_name);
  tcase_add_test(t, ragged_keep_leaves_rows_that_are_no_whole_blocks_alone);
  tcase_add_test(t, a_scale_rule_that_a_format_in_use_does_not_take_is_refused);
  tcase_add_test(t, a_tensor_that_is_mx_already_is_kept_and_a_rule_for_another_format_is_refused);
  tcase_add_test(t, axes_may_be_given_for_all_and_by_a_rule);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
