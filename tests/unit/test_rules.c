/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/convert/job.h"

static enum mxq_status parse(const char *text, struct mxq_rule **rules, size_t *count, struct mxq_error *err) {
  return mxq_rules_parse(text, strlen(text), rules, count, err);
}

START_TEST(a_rules_file_holds_texts_and_objects_in_order) {
  struct mxq_rule *rules = NULL;
  size_t count = 0;
  struct mxq_error err = {0};
  ck_assert_int_eq(parse("[\"attn=mxfp8-e4m3\", {\"format\": \"mxfp6\", \"regex\": \"\\u00e9$\"}, \"a=b=none\", \"=mxint8\"]", &rules,
                         &count, &err), MXQ_OK);
  ck_assert_uint_eq(count, 4);
  ck_assert_str_eq(rules[0].regex, "attn");
  ck_assert_int_eq(rules[0].format, MXQ_MXFP8_E4M3);
  ck_assert_str_eq(rules[1].regex, "\xc3\xa9$");
  ck_assert_int_eq(rules[1].format, MXQ_MXFP6_E2M3);
  ck_assert_str_eq(rules[2].regex, "a=b");
  ck_assert_int_eq(rules[2].format, MXQ_FORMAT_NONE);
  ck_assert_str_eq(rules[3].regex, "");
  ck_assert_int_eq(rules[3].format, MXQ_MXINT8);
  free(rules);
  ck_assert_int_eq(parse(" [] ", &rules, &count, &err), MXQ_OK);
  ck_assert_uint_eq(count, 0);
  free(rules);
}
END_TEST

START_TEST(an_object_may_say_along_which_axes) {
  struct mxq_rule *rules = NULL;
  size_t count = 0;
  struct mxq_error err = {0};
  ck_assert_int_eq(parse("[{\"axes\": [1, 3], \"format\": \"mxfp4\", \"regex\": \"a\"}, {\"regex\": \"b\", \"format\": \"none\", \"axes\": [-64, -1]}, \"c=mxint8\"]",
                         &rules, &count, &err), MXQ_OK);
  ck_assert_uint_eq(count, 3);
  ck_assert(rules[0].has_axes && rules[1].has_axes && !rules[2].has_axes);
  ck_assert(rules[0].axis_first == 1 && rules[0].axis_last == 3 && rules[1].axis_first == -64 && rules[1].axis_last == -1);
  ck_assert_str_eq(rules[2].regex, "c");
  free(rules);
  static const char *const wrong[] = {"1", "[1]", "[1, 2, 3]", "[0.5, 1]", "[\"1\", 1]", "[64, 64]", "[-65, -1]", "[1e300, 2]", "null", "{\"a\": 1, \"b\": 1}"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char text[200];
    snprintf(text, sizeof text, "[\"x=mxfp4\", {\"regex\": \"a\", \"format\": \"mxfp4\", \"axes\": %s}]", wrong[i]);
    ck_assert_msg(parse(text, &rules, &count, &err) == MXQ_ERR_MALFORMED, "%s", text);
    ck_assert_msg(strstr(err.text, "rule 2") && strstr(err.text, "axes"), "%s", err.text);
    ck_assert_ptr_null(rules);
  }
}
END_TEST

START_TEST(a_wrong_rules_file_is_refused_and_says_which_rule) {
  static const struct { const char *text; enum mxq_status status; const char *says; } cases[] = {
    {"[\"a=mxfp4\"", MXQ_ERR_MALFORMED, ""},
    {"{\"regex\": \"a\", \"format\": \"mxfp4\"}", MXQ_ERR_MALFORMED, "array"},
    {"[\"a=mxfp4\", \"mxfp4\"]", MXQ_ERR_MALFORMED, "rule 2"},
    {"[\"a=mxfp4\", 7]", MXQ_ERR_MALFORMED, "rule 2"},
    {"[{\"regex\": \"a\"}]", MXQ_ERR_MALFORMED, "rule 1"},
    {"[{\"regex\": \"a\", \"format\": \"mxfp4\", \"axis\": 1}]", MXQ_ERR_MALFORMED, "rule 1"},
    {"[{\"regex\": 1, \"format\": \"mxfp4\"}]", MXQ_ERR_MALFORMED, "rule 1"},
    {"[\"a\\u0000b=mxfp4\"]", MXQ_ERR_MALFORMED, ""},
    {"[\"a=mxfp4\", \"b=mxfp5\"]", MXQ_ERR_USAGE, "mxfp5"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct mxq_rule *rules = (void *)1;
    size_t count = 9;
    struct mxq_error err = {0};
    ck_assert_msg(parse(cases[i].text, &rules, &count, &err) == cases[i].status, "%s: %s", cases[i].text, err.text);
    ck_assert_ptr_null(rules);
    ck_assert_uint_eq(count, 0);
    ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s: %s", cases[i].text, err.text);
  }
}
END_TEST

START_TEST(a_broken_rules_file_is_refused_with_the_byte) {
  struct mxq_rule *rules = NULL;
  size_t count = 0;
  struct mxq_error err = {0};
  ck_assert_int_eq(parse("[\"a=mxfp4\" \"b=mxfp4\"]", &rules, &count, &err), MXQ_ERR_MALFORMED);
  ck_assert_uint_eq(err.offset, 11);
}
END_TEST

START_TEST(the_first_rule_that_matches_wins_and_expressions_are_searched) {
  static const struct mxq_rule rules[] = {{.regex = "q_proj", .format = MXQ_MXFP4}, {.regex = "proj\\.weight$", .format = MXQ_MXINT8}, {.regex = "^w", .format = MXQ_MXFP4}, {.regex = "never", .format = MXQ_MXFP4}};
  struct mxq_matcher *m = NULL;
  struct mxq_error err = {0};
  size_t rule = 0;
  ck_assert_int_eq(mxq_matcher_open(rules, 4, &m, &err), MXQ_OK);
  ck_assert_int_eq(mxq_matcher_find(m, "layers.0.q_proj.weight", &rule, &err), MXQ_OK);
  ck_assert_uint_eq(rule, 0);
  ck_assert_int_eq(mxq_matcher_find(m, "layers.0.k_proj.weight", &rule, &err), MXQ_OK);
  ck_assert_uint_eq(rule, 1);
  ck_assert_int_eq(mxq_matcher_find(m, "weight", &rule, &err), MXQ_OK);
  ck_assert_uint_eq(rule, 2);
  ck_assert_int_eq(mxq_matcher_find(m, "bias", &rule, &err), MXQ_OK);
  ck_assert_uint_eq(rule, SIZE_MAX);
  ck_assert_uint_eq(mxq_matcher_unused(m), 3);
  mxq_matcher_close(m);
}
END_TEST

START_TEST(a_rule_behind_another_that_matches_the_same_name_counts_as_matched) {
  static const struct mxq_rule rules[] = {{.regex = "a", .format = MXQ_MXFP4}, {.regex = "ab", .format = MXQ_MXINT8}};
  struct mxq_matcher *m = NULL;
  struct mxq_error err = {0};
  size_t rule = 9;
  ck_assert_int_eq(mxq_matcher_open(rules, 2, &m, &err), MXQ_OK);
  ck_assert_int_eq(mxq_matcher_find(m, "abc", &rule, &err), MXQ_OK);
  ck_assert_uint_eq(rule, 0);
  ck_assert_uint_eq(mxq_matcher_unused(m), SIZE_MAX);
  mxq_matcher_close(m);
}
END_TEST

START_TEST(a_dot_matches_one_character_of_a_name_not_one_byte) {
  static const struct mxq_rule rules[] = {{.regex = "^a.b$", .format = MXQ_MXFP4}};
  struct mxq_matcher *m = NULL;
  struct mxq_error err = {0};
  size_t rule = 9;
  ck_assert_int_eq(mxq_matcher_open(rules, 1, &m, &err), MXQ_OK);
  ck_assert_int_eq(mxq_matcher_find(m, "a\xf0\x9f\x99\x82" "b", &rule, &err), MXQ_OK);
  ck_assert_uint_eq(rule, 0);
  mxq_matcher_close(m);
}
END_TEST

START_TEST(a_wrong_expression_is_refused_with_the_place) {
  static const struct mxq_rule bad[] = {{.regex = "good", .format = MXQ_MXFP4}, {.regex = "a(b", .format = MXQ_MXFP4}};
  static const struct mxq_rule not_utf8[] = {{.regex = "a\xff", .format = MXQ_MXFP4}};
  struct mxq_matcher *m = NULL;
  struct mxq_error err = {0};
  ck_assert_int_eq(mxq_matcher_open(bad, 2, &m, &err), MXQ_ERR_USAGE);
  ck_assert_ptr_null(m);
  ck_assert_str_eq(err.subject, "a(b");
  ck_assert_uint_eq(err.offset, 3);
  ck_assert_int_eq(mxq_matcher_open(not_utf8, 1, &m, &err), MXQ_ERR_USAGE);
}
END_TEST

START_TEST(an_expression_that_would_take_for_ever_is_refused_soon) {
  static const struct mxq_rule rules[] = {{.regex = "^(a|aa|a*)+$", .format = MXQ_MXFP4}};
  struct mxq_matcher *m = NULL;
  struct mxq_error err = {0};
  size_t rule = 0;
  ck_assert_int_eq(mxq_matcher_open(rules, 1, &m, &err), MXQ_OK);
  ck_assert_int_eq(mxq_matcher_find(m, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", &rule, &err), MXQ_ERR_USAGE);
  ck_assert_ptr_nonnull(strstr(err.text, "^(a|aa|a*)+$"));
  mxq_matcher_close(m);
}
END_TEST

int main(void) {
  Suite *s = suite_create("rules");
  TCase *t = tcase_create("rules");
  tcase_add_test(t, a_rules_file_holds_texts_and_objects_in_order);
  tcase_add_test(t, an_object_may_say_along_which_axes);
  tcase_add_test(t, a_wrong_rules_file_is_refused_and_says_which_rule);
  tcase_add_test(t, a_broken_rules_file_is_refused_with_the_byte);
  tcase_add_test(t, the_first_rule_that_matches_wins_and_expressions_are_searched);
  tcase_add_test(t, a_rule_behind_another_that_matches_the_same_name_counts_as_matched);
  tcase_add_test(t, a_dot_matches_one_character_of_a_name_not_one_byte);
  tcase_add_test(t, a_wrong_expression_is_refused_with_the_place);
  tcase_add_test(t, an_expression_that_would_take_for_ever_is_refused_soon);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
