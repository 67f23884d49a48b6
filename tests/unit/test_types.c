/* SPDX-License-Identifier: MIT */
/* Names, sizes and values against the tables of the standard (OCP MX v1.0, 5.2 to 5.4), typed in here by hand. */
#include <check.h>
#include <math.h>
#include <mxq/mxq.h>
#include <stdlib.h>
#include <string.h>

START_TEST(element_types_are_those_of_the_standard) {
  static const struct { const char *name; unsigned bits; int emax; double largest, normal, subnormal; unsigned largest_code, normal_code; } want[] = {
    {"e2m1", 4, 2, 6, 1, 0.5, 7, 2},           {"e2m3", 6, 2, 7.5, 1, 0.125, 31, 8},
    {"e3m2", 6, 4, 28, 0.25, 0.0625, 31, 4},   {"e4m3", 8, 8, 448, 0x1p-6, 0x1p-9, 0x7e, 8},
    {"e5m2", 8, 15, 57344, 0x1p-14, 0x1p-16, 0x7b, 4}, {"int8", 8, 0, 1.984375, 1, 0x1p-6, 127, 64},
  };
  for (int i = 0; i < MXQ_ELEMENT_COUNT; i++) {
    const enum mxq_element e = (enum mxq_element)i;
    ck_assert_str_eq(mxq_element_name(e), want[i].name);
    ck_assert_uint_eq(mxq_element_bits(e), want[i].bits);
    ck_assert_int_eq(mxq_element_emax(e), want[i].emax);
    ck_assert(mxq_element_value(e, (uint8_t)want[i].largest_code) == (float)want[i].largest);
    ck_assert(mxq_element_value(e, (uint8_t)want[i].normal_code) == (float)want[i].normal);
    ck_assert(mxq_element_value(e, 1) == (float)want[i].subnormal);
    ck_assert(mxq_element_value(e, 0) == 0 && !signbit(mxq_element_value(e, 0)));
    if (e != MXQ_INT8) {
      float minus_zero = mxq_element_value(e, (uint8_t)(1u << (want[i].bits - 1)));
      ck_assert(minus_zero == 0 && signbit(minus_zero));
    }
  }
  ck_assert(isnan(mxq_element_value(MXQ_E4M3, 0x7f)) && isnan(mxq_element_value(MXQ_E4M3, 0xff)));
  ck_assert(mxq_element_value(MXQ_E5M2, 0x7c) == INFINITY && mxq_element_value(MXQ_E5M2, 0xfc) == -INFINITY);
  for (unsigned c = 0x7d; c <= 0x7f; c++) ck_assert(isnan(mxq_element_value(MXQ_E5M2, (uint8_t)c)));
  ck_assert(mxq_element_value(MXQ_INT8, 0x80) == -2.0f && mxq_element_value(MXQ_INT8, 0x81) == -1.984375f);
  ck_assert(mxq_element_value(MXQ_E2M1, 0xf7) == 6.0f);
  ck_assert_ptr_null(mxq_element_name(MXQ_ELEMENT_COUNT));
  ck_assert_ptr_null(mxq_element_name((enum mxq_element)-1));
}
END_TEST

START_TEST(a_scale_byte_is_a_power_of_two_and_255_is_nan) {
  for (int b = 0; b < 255; b++) ck_assert(mxq_e8m0_value((uint8_t)b) == ldexpf(1, b - 127));
  ck_assert(isnan(mxq_e8m0_value(255)));
}
END_TEST

START_TEST(names_parse_back_and_short_forms_are_known) {
  for (int i = 0; i < MXQ_FORMAT_COUNT; i++) {
    enum mxq_format f = MXQ_FORMAT_COUNT;
    ck_assert(mxq_format_parse(mxq_format_name((enum mxq_format)i), &f) && f == (enum mxq_format)i);
  }
  enum mxq_format f = MXQ_MXINT8;
  ck_assert(mxq_format_parse("mxfp6", &f) && f == MXQ_MXFP6_E2M3);
  ck_assert(mxq_format_parse("mxfp8", &f) && f == MXQ_MXFP8_E4M3);
  ck_assert(!mxq_format_parse("mxfp5", &f) && f == MXQ_MXFP8_E4M3);
  ck_assert(!mxq_format_parse("", &f) && !mxq_format_parse("MXFP4", &f));
  ck_assert_ptr_null(mxq_format_name(MXQ_FORMAT_COUNT));
  for (int i = 1; i < MXQ_DTYPE_COUNT; i++) {
    ck_assert_int_eq(mxq_dtype_parse(mxq_dtype_name((enum mxq_dtype)i)), i);
    ck_assert_uint_ge(mxq_dtype_bits((enum mxq_dtype)i), 4);
  }
  ck_assert_int_eq(mxq_dtype_parse("float"), MXQ_DTYPE_NONE);
  ck_assert_ptr_null(mxq_dtype_name(MXQ_DTYPE_NONE));
  ck_assert_uint_eq(mxq_dtype_bits(MXQ_DTYPE_NONE), 0);
  ck_assert_uint_eq(mxq_dtype_bits(MXQ_C128), 128);
  ck_assert_uint_eq(mxq_dtype_bits(MXQ_F6_E3M2), 6);
  ck_assert_str_eq(mxq_format_layout(MXQ_MXFP4), "even-low");
  ck_assert_str_eq(mxq_format_layout(MXQ_MXFP6_E3M2), "le24");
  ck_assert_str_eq(mxq_format_layout(MXQ_MXINT8), "bytes");
  for (int i = 0; i < MXQ_CPU_COUNT; i++) {
    enum mxq_cpu level;
    ck_assert(mxq_cpu_parse(mxq_cpu_name((enum mxq_cpu)i), &level) && level == (enum mxq_cpu)i);
  }
  ck_assert_ptr_null(mxq_cpu_name(MXQ_CPU_COUNT));
}
END_TEST

START_TEST(sizes_follow_from_the_shape_and_do_not_wrap) {
  uint64_t codes = 1, scales = 2;
  ck_assert_uint_eq(mxq_row_blocks(0), 0);
  ck_assert_uint_eq(mxq_row_blocks(1), 1);
  ck_assert_uint_eq(mxq_row_blocks(32), 1);
  ck_assert_uint_eq(mxq_row_blocks(33), 2);
  ck_assert_uint_eq(mxq_row_blocks(UINT64_MAX), UINT64_C(1) << 59);
  ck_assert_uint_eq(mxq_row_code_bytes(MXQ_MXFP4, 33), 32);
  ck_assert_uint_eq(mxq_row_code_bytes(MXQ_MXFP6_E2M3, 33), 48);
  ck_assert_uint_eq(mxq_row_code_bytes(MXQ_MXFP8_E5M2, 33), 64);
  ck_assert(mxq_sizes(MXQ_MXFP6_E3M2, 3, 70, &codes, &scales) && codes == 3 * 3 * 24 && scales == 9);
  ck_assert(mxq_sizes(MXQ_MXFP4, 0, 70, &codes, &scales) && codes == 0 && scales == 0);
  codes = 1;
  ck_assert(!mxq_sizes(MXQ_MXFP8_E4M3, UINT64_C(1) << 40, UINT64_C(1) << 40, &codes, &scales));
  ck_assert(!mxq_sizes(MXQ_MXFP8_E4M3, 1, UINT64_MAX, &codes, &scales) && codes == 1);
}
END_TEST

START_TEST(the_level_of_kernels_can_be_lowered_and_raised) {
  const enum mxq_cpu best = mxq_cpu_best();
  ck_assert_int_ge(best, MXQ_CPU_SCALAR);
  ck_assert_int_eq(mxq_cpu_current(), best);
  for (int level = 0; level <= (int)best; level++) {
    ck_assert_int_eq(mxq_cpu_set((enum mxq_cpu)level), MXQ_OK);
    ck_assert_int_eq(mxq_cpu_current(), level);
  }
  for (int level = (int)best + 1; level <= MXQ_CPU_COUNT; level++) ck_assert_int_eq(mxq_cpu_set((enum mxq_cpu)level), MXQ_ERR_UNSUPPORTED);
  ck_assert_int_eq(mxq_cpu_current(), best);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("types");
  TCase *c = tcase_create("types");
  tcase_add_test(c, element_types_are_those_of_the_standard);
  tcase_add_test(c, a_scale_byte_is_a_power_of_two_and_255_is_nan);
  tcase_add_test(c, names_parse_back_and_short_forms_are_known);
  tcase_add_test(c, sizes_follow_from_the_shape_and_do_not_wrap);
  tcase_add_test(c, the_level_of_kernels_can_be_lowered_and_raised);
  suite_add_tcase(suite, c);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
