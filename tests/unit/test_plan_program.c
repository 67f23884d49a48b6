/* SPDX-License-Identifier: MIT */
/* Plans of programs, on those of testdata/pt2/programs: axes by use, ties, what the program changes, rules and options that say otherwise. */
#include <stdio.h>
#include "tests/roundtrip/test_convert_data.h"

static mxq_reader *reader;

static void open_program(const char *name) {
  struct mxq_error err = {0};
  char path[200];
  snprintf(path, sizeof path, "testdata/pt2/programs/%s.pt2", name);
  OK(mxq_reader_open(path, NULL, &reader, &err));
}

static mxq_plan *plan_of(const struct mxq_quantize_options *options) {
  struct mxq_error err = {0};
  mxq_plan *plan = NULL;
  OK(mxq_plan_quantize(reader, options, &plan, &err));
  return plan;
}

static void finish(mxq_plan *plan) {
  mxq_plan_free(plan);
  mxq_reader_close(reader);
  reader = NULL;
}

static const struct mxq_plan_entry *entry(const mxq_plan *plan, const char *name) {
  for (size_t i = 0; i < mxq_plan_count(plan); i++)
    if (strcmp(mxq_plan_entry(plan, i)->tensor->name, name) == 0)
      return mxq_plan_entry(plan, i);
  ck_abort_msg("the plan has no entry for %s", name);
  return NULL;
}

static void blocked(const mxq_plan *plan, const char *name, enum mxq_format format, uint32_t first, uint32_t last, const char *reason) {
  const struct mxq_plan_entry *e = entry(plan, name);
  ck_assert_msg(e->format == format, "%s becomes %s: %s", name, mxq_format_name(e->format), e->reason);
  ck_assert_msg(e->axis_first == first && e->axis_last == last, "%s: axes %u-%u", name, e->axis_first, e->axis_last);
  ck_assert_str_eq(e->reason, reason);
  ck_assert(!e->warn);
}

static void kept(const mxq_plan *plan, const char *name, bool warn, const char *reason) {
  const struct mxq_plan_entry *e = entry(plan, name);
  ck_assert_msg(e->format == MXQ_FORMAT_NONE, "%s becomes %s: %s", name, mxq_format_name(e->format), e->reason);
  ck_assert_msg(strstr(e->reason, reason) != NULL, "%s: '%s' does not say '%s'", name, e->reason, reason);
  ck_assert_msg(e->warn == warn, "%s: warn is %d", name, e->warn);
}

static enum mxq_status refused(const struct mxq_quantize_options *options, struct mxq_error *err) {
  mxq_plan *plan = (void *)1;
  enum mxq_status status = mxq_plan_quantize(reader, options, &plan, err);
  ck_assert_ptr_null(plan);
  return status;
}

START_TEST(axes_follow_from_the_operator_that_uses_a_weight) {
  struct mxq_quantize_options o = {.format = MXQ_MXFP4};
  struct mxq_plan_totals totals;
  open_program("products");
  mxq_plan *plan = plan_of(&o);
  blocked(plan, "linear", MXQ_MXFP4, 1, 1, "axis 1, summed by linear");
  blocked(plan, "right", MXQ_MXFP4, 0, 0, "axis 0, summed by matmul");
  blocked(plan, "addmm", MXQ_MXFP4, 0, 0, "axis 0, summed by addmm");
  blocked(plan, "batch", MXQ_MXFP4, 1, 1, "axis 1, summed by bmm");
  blocked(plan, "experts", MXQ_MXFP4, 2, 2, "axis 2, summed by bmm");
  kept(plan, "added", true, "addmm");
  kept(plan, "vector", false, "1-D");
  mxq_plan_totals(plan, &totals);
  ck_assert(totals.program);
  finish(plan);
  open_program("convolutions");
  plan = plan_of(&o);
  blocked(plan, "c2.weight", MXQ_MXFP4, 1, 3, "axes 1-3, summed by conv2d, 36 padded to 64");
  blocked(plan, "c1.weight", MXQ_MXFP4, 1, 2, "axes 1-2, summed by conv1d, 12 padded to 32");
  blocked(plan, "depthwise.weight", MXQ_MXFP4, 1, 3, "axes 1-3, summed by conv2d, 9 padded to 32");
  kept(plan, "t1.weight", true, "mxfp4 would not be smaller");
  finish(plan);
}
END_TEST

START_TEST(what_is_not_understood_stays_unless_it_is_named_or_axes_are_given) {
  struct mxq_quantize_options o = {.format = MXQ_MXFP4};
  open_program("elementwise");
  mxq_plan *plan = plan_of(&o);
  kept(plan, "gate", true, "used by mul.Tensor");
  kept(plan, "unused", true, "no operator uses it");
  kept(plan, "returned", true, "returned");
  mxq_plan_free(plan);
  static const struct mxq_rule rules[] = {{.regex = "gate|unused", .format = MXQ_MXFP8_E5M2}};
  o.rules = rules;
  o.rule_count = 1;
  plan = plan_of(&o);
  blocked(plan, "gate", MXQ_MXFP8_E5M2, 1, 1, "last axis");
  blocked(plan, "unused", MXQ_MXFP8_E5M2, 1, 1, "last axis");
  kept(plan, "added", true, "used by add.Tensor");
  ck_assert_uint_eq(entry(plan, "gate")->rule, 0);
  mxq_plan_free(plan);
  o = (struct mxq_quantize_options){.format = MXQ_MXINT8, .has_axes = true, .axis_first = -2, .axis_last = -2};
  plan = plan_of(&o);
  blocked(plan, "unused", MXQ_MXINT8, 0, 0, "axis 0, as given");
  kept(plan, "gate", true, "not be smaller"); /* 3 x 32 along 3 */
  finish(plan);
  open_program("products"); /* also where the use says otherwise */
  o.axis_first = o.axis_last = 0;
  plan = plan_of(&o);
  blocked(plan, "linear", MXQ_MXINT8, 0, 0, "axis 0, as given, 48 padded to 64");
  finish(plan);
}
END_TEST

START_TEST(what_the_program_changes_always_stays) {
  static const struct mxq_rule rules[] = {{.regex = "^(count|cache)$", .format = MXQ_MXFP4}, {.regex = "other_half", .format = MXQ_FORMAT_NONE}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .has_axes = true, .axis_first = -1, .axis_last = -1};
  open_program("changed");
  mxq_plan *plan = plan_of(&o);
  kept(plan, "count", false, "written by add_.Tensor");
  kept(plan, "written_half", false, "written by mul_.Tensor");
  kept(plan, "other_half", false, "shares");
  blocked(plan, "copied", MXQ_MXFP4, 1, 1, "axis 1, as given");
  mxq_plan_free(plan);
  o.rules = rules;
  o.rule_count = 2;
  plan = plan_of(&o);
  kept(plan, "count", true, "written by add_.Tensor");
  kept(plan, "cache", true, "written by copy_");
  kept(plan, "other_half", false, "kept by rule");
  finish(plan);
}
END_TEST

START_TEST(tied_tensors_share_one_decision_and_their_bytes_count_once) {
  struct mxq_quantize_options o = {.format = MXQ_MXFP4};
  struct mxq_plan_totals totals;
  open_program("tied");
  mxq_plan *plan = plan_of(&o);
  blocked(plan, "e.weight", MXQ_MXFP4, 1, 1, "axis 1, summed by linear");
  blocked(plan, "head.weight", MXQ_MXFP4, 1, 1, "tied to e.weight");
  ck_assert_uint_eq(entry(plan, "head.weight")->bytes_in + entry(plan, "head.weight")->bytes_out, 0);
  mxq_plan_totals(plan, &totals);
  uint64_t elements = 40 * 32 + 32 * 32 + 64 * 32 + 32 * 32;
  ck_assert_uint_eq(totals.tensors, 5);
  ck_assert_uint_eq(totals.quantized, 5);
  ck_assert_uint_eq(totals.bytes_in, elements * 4);
  ck_assert_uint_eq(totals.bytes_out, elements / 32 * 17);
  ck_assert_double_eq(totals.bits_per_weight, 4.25);
  mxq_plan_free(plan);
  static const struct mxq_rule one[] = {{.regex = "head", .format = MXQ_MXFP8_E4M3, .has_axes = true, .axis_first = 0, .axis_last = 0}};
  o = (struct mxq_quantize_options){.rules = one, .rule_count = 1};
  plan = plan_of(&o);
  blocked(plan, "e.weight", MXQ_MXFP8_E4M3, 0, 0, "axis 0, as given, 40 padded to 64");
  ck_assert_uint_eq(entry(plan, "e.weight")->rule, 0);
  kept(plan, "twice", false, "no format given");
  mxq_plan_free(plan);
  static const struct mxq_rule keep[] = {{.regex = "head", .format = MXQ_FORMAT_NONE}};
  o = (struct mxq_quantize_options){.format = MXQ_MXFP4, .rules = keep, .rule_count = 1};
  plan = plan_of(&o);
  kept(plan, "e.weight", false, "kept by rule");
  kept(plan, "head.weight", false, "kept by rule");
  mxq_plan_free(plan);
  static const struct mxq_rule two[] = {{.regex = "head", .format = MXQ_MXFP8_E4M3}, {.regex = "^e", .format = MXQ_FORMAT_NONE}};
  struct mxq_error err = {0};
  o = (struct mxq_quantize_options){.rules = two, .rule_count = 2};
  ck_assert_int_eq(refused(&o, &err), MXQ_ERR_USAGE);
  ck_assert_str_eq(err.subject, "head.weight");
  ck_assert_ptr_nonnull(strstr(err.text, "'e.weight'"));
  finish(NULL);
}
END_TEST

START_TEST(axes_that_a_chosen_tensor_does_not_have_are_refused_by_its_name) {
  static const int32_t pairs[][2] = {{1, 2}, {1, 0}, {-3, -1}, {0, -3}, {2, 2}, {-1, -2}};
  open_program("tied");
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    struct mxq_quantize_options o = {.format = MXQ_MXFP4, .has_axes = true, .axis_first = pairs[i][0], .axis_last = pairs[i][1]};
    struct mxq_error err = {0};
    ck_assert_int_eq(refused(&o, &err), MXQ_ERR_USAGE);
    ck_assert_str_eq(err.subject, "twice");
    struct mxq_rule rule = {.regex = "part", .format = MXQ_MXFP4, .has_axes = true, .axis_first = pairs[i][0], .axis_last = pairs[i][1]};
    o = (struct mxq_quantize_options){.rules = &rule, .rule_count = 1};
    ck_assert_int_eq(refused(&o, &err), MXQ_ERR_USAGE);
    ck_assert_str_eq(err.subject, "part");
  }
  finish(NULL);
}
END_TEST

START_TEST(weights_only_plans_an_archive_of_all_with_the_axes_of_the_program) {
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .weights_only = true};
  struct mxq_plan_totals totals;
  open_program("elementwise");
  mxq_plan *plan = plan_of(&o);
  blocked(plan, "gate", MXQ_MXFP4, 1, 1, "last axis"); /* nothing has to run */
  mxq_plan_totals(plan, &totals);
  ck_assert(!totals.program);
  ck_assert(totals.graph_each);
  finish(plan);
  open_program("products");
  plan = plan_of(&o);
  blocked(plan, "right", MXQ_MXFP4, 0, 0, "axis 0, summed by matmul");
  finish(plan);
  open_program("changed");
  plan = plan_of(&o);
  kept(plan, "count", false, "written by add_.Tensor");
  finish(plan);
}
END_TEST

int main(void) {
  Suite *s = suite_create("plans of programs");
  TCase *t = tcase_create("plans of programs");
  tcase_add_test(t, axes_follow_from_the_operator_that_uses_a_weight);
  tcase_add_test(t, what_is_not_understood_stays_unless_it_is_named_or_axes_are_given);
  tcase_add_test(t, what_the_program_changes_always_stays);
  tcase_add_test(t, tied_tensors_share_one_decision_and_their_bytes_count_once);
  tcase_add_test(t, axes_that_a_chosen_tensor_does_not_have_are_refused_by_its_name);
  tcase_add_test(t, weights_only_plans_an_archive_of_all_with_the_axes_of_the_program);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
