/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/names.h"

START_TEST(every_name_that_was_put_is_found_under_its_number_and_no_other_is) {
  enum { N = 100000 };
  struct mxq_names names = {0};
  static char text[N][16];
  ck_assert_uint_eq(mxq_names_find(&names, "x", 1), UINT32_MAX);
  for (uint32_t i = 0; i < N; i++) {
    uint32_t number = i;
    snprintf(text[i], sizeof text[i], "t.%u.w", i * 7919u);
    ck_assert_int_eq(mxq_names_put(&names, text[i], strlen(text[i]), &number), MXQ_NAMES_NEW);
  }
  ck_assert_uint_eq(names.used, N);
  for (uint32_t i = 0; i < N; i++) {
    char copy[16];
    strcpy(copy, text[i]);
    ck_assert_uint_eq(mxq_names_find(&names, copy, strlen(copy)), i);
    ck_assert_uint_eq(mxq_names_find(&names, copy, strlen(copy) - 1), UINT32_MAX);
  }
  mxq_names_free(&names);
  ck_assert_ptr_null(names.slots);
}
END_TEST

START_TEST(a_name_that_is_there_keeps_its_number) {
  struct mxq_names names = {0};
  uint32_t number = 5;
  ck_assert_int_eq(mxq_names_put(&names, "a", 1, &number), MXQ_NAMES_NEW);
  number = 6;
  ck_assert_int_eq(mxq_names_put(&names, "ab", 1, &number), MXQ_NAMES_THERE);
  ck_assert_uint_eq(number, 5);
  ck_assert_uint_eq(mxq_names_find(&names, "a", 1), 5);
  mxq_names_free(&names);
}
END_TEST

START_TEST(the_empty_name_and_names_with_nul_bytes_are_names_like_others) {
  struct mxq_names names = {0};
  const char *text[] = {"", "\0", "\0\0", "a\0b", "a\0c", "12345678", "123456789"};
  const size_t size[] = {0, 1, 2, 3, 3, 8, 9};
  for (uint32_t i = 0; i < 7; i++) {
    uint32_t number = i;
    ck_assert_int_eq(mxq_names_put(&names, text[i], size[i], &number), MXQ_NAMES_NEW);
  }
  for (uint32_t i = 0; i < 7; i++)
    ck_assert_uint_eq(mxq_names_find(&names, text[i], size[i]), i);
  mxq_names_free(&names);
}
END_TEST

START_TEST(two_tables_hash_with_different_keys) {
  struct mxq_names a = {0}, b = {0};
  uint32_t number = 0;
  ck_assert_int_eq(mxq_names_put(&a, "x", 1, &number), MXQ_NAMES_NEW);
  ck_assert_int_eq(mxq_names_put(&b, "x", 1, &number), MXQ_NAMES_NEW);
  ck_assert(a.key[0] != b.key[0] || a.key[1] != b.key[1]);
  mxq_names_free(&a);
  mxq_names_free(&b);
}
END_TEST

int main(void) {
  Suite *s = suite_create("names");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_test(t, every_name_that_was_put_is_found_under_its_number_and_no_other_is);
  tcase_add_test(t, a_name_that_is_there_keeps_its_number);
  tcase_add_test(t, the_empty_name_and_names_with_nul_bytes_are_names_like_others);
  tcase_add_test(t, two_tables_hash_with_different_keys);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
