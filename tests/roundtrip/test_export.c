/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>
#include "tests/roundtrip/test_convert_data.h"

static char dir[] = "/tmp/mxq-export-XXXXXX";
static char path[64];

static void setup(void) {
  strcpy(dir + strlen(dir) - 6, "XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/a.pt2", dir);
}
static void teardown(void) {
  unlink(path);
  ck_assert_int_eq(rmdir(dir), 0); /* nothing else may be left */
}

static const uint64_t shape_a[] = {6, 100}, shape_b[] = {4, 5, 3, 3}, shape_c[] = {64}, shape_d[] = {3}, shape_e[] = {0, 7};

START_TEST(what_is_saved_is_loaded_again_codes_in_place) {
  float *a = weights(MXQ_F32, 600, 1), *c = weights(MXQ_F32, 64, 3);
  uint16_t *b = weights(MXQ_BF16, 180, 2);
  int64_t d[] = {1, -2, INT64_MAX};
  struct mxq_array arrays[] = {{"a", MXQ_F32, 2, shape_a, a, MXQ_MXFP4},   {"b", MXQ_BF16, 4, shape_b, b, MXQ_MXFP6_E3M2},
                               {"c", MXQ_F32, 1, shape_c, c, MXQ_MXINT8},  {"d", MXQ_I64, 1, shape_d, d, MXQ_FORMAT_NONE},
                               {"e", MXQ_F32, 2, shape_e, NULL, MXQ_MXFP4}, {"f", MXQ_F32, 0, NULL, a, MXQ_FORMAT_NONE}};
  struct mxq_error err = {0};
  OK(mxq_export_save(path, arrays, 6, NULL, &err));
  for (int map = 0; map < 2; map++) {
    mxq_reader *reader = NULL;
    OK(mxq_export_load(path, map, &reader, &err));
    ck_assert_int_eq(mxq_reader_container(reader), MXQ_PT2);
    for (size_t i = 0; i < 3; i++) {
      size_t x = mxq_reader_find(reader, arrays[i].name);
      const struct mxq_tensor *t = mxq_reader_tensor(reader, x);
      ck_assert_int_eq(t->format, arrays[i].format);
      ck_assert_int_eq(t->dtype, arrays[i].dtype);
      uint64_t k = i == 0 ? 100 : i == 1 ? 45 : 64, rows = t->elements / k, code_bytes = 0, scale_bytes = 0;
      ck_assert_uint_eq(t->k, k);
      ck_assert(mxq_sizes(t->format, rows, k, &code_bytes, &scale_bytes));
      unsigned char *codes = malloc(code_bytes + scale_bytes);
      struct mxq_rows shape = {.rows = rows, .k = k};
      OK(mxq_encode(t->format, t->dtype, arrays[i].data, &shape, codes, codes + code_bytes, NULL, NULL, NULL, &err));
      const void *in_place = NULL, *scales_in_place = NULL;
      OK(mxq_reader_in_place(reader, x, MXQ_PART_CODES, &in_place, &err));
      OK(mxq_reader_in_place(reader, x, MXQ_PART_SCALES, &scales_in_place, &err));
      ck_assert_int_eq(in_place != NULL, map);
      if (map) {
        ck_assert_uint_eq((uintptr_t)in_place % 64, 0);
        ck_assert(memcmp(in_place, codes, code_bytes) == 0);
        ck_assert(memcmp(scales_in_place, codes + code_bytes, scale_bytes) == 0);
      }
      size_t bytes = t->elements * mxq_dtype_bits(t->dtype) / 8;
      unsigned char *want = malloc(bytes), *got = malloc(bytes);
      OK(mxq_decode(t->format, t->dtype, codes, codes + code_bytes, &shape, want, NULL, NULL, &err));
      OK(mxq_reader_decode(reader, x, t->dtype, got, bytes, NULL, &err));
      ck_assert(memcmp(got, want, bytes) == 0);
      free(codes);
      free(want);
      free(got);
    }
    int64_t back[3];
    float scalar = 0;
    OK(mxq_reader_decode(reader, mxq_reader_find(reader, "d"), MXQ_I64, back, sizeof back, NULL, &err));
    ck_assert(memcmp(back, d, sizeof d) == 0);
    OK(mxq_reader_decode(reader, mxq_reader_find(reader, "f"), MXQ_F32, &scalar, 4, NULL, &err));
    ck_assert(memcmp(&scalar, a, 4) == 0);
    const struct mxq_tensor *e = mxq_reader_tensor(reader, mxq_reader_find(reader, "e"));
    ck_assert_int_eq(e->format, MXQ_FORMAT_NONE);
    ck_assert_uint_eq(e->bytes, 0);
    mxq_reader_close(reader);
  }
  free(a);
  free(b);
  free(c);
}
END_TEST

START_TEST(an_existing_file_is_replaced_only_when_asked) {
  float *a = weights(MXQ_F32, 600, 1);
  struct mxq_array array = {"a", MXQ_F32, 2, shape_a, a, MXQ_MXFP4};
  struct mxq_save_options o = {0};
  struct mxq_error err = {0};
  OK(mxq_export_save(path, &array, 1, &o, &err));
  ck_assert_int_eq(mxq_export_save(path, &array, 1, &o, &err), MXQ_ERR_EXISTS);
  o.replace = true;
  array.format = MXQ_MXINT8;
  OK(mxq_export_save(path, &array, 1, &o, &err));
  mxq_reader *reader = NULL;
  OK(mxq_export_load(path, false, &reader, &err));
  ck_assert_int_eq(mxq_reader_tensor(reader, mxq_reader_find(reader, "a"))->format, MXQ_MXINT8);
  mxq_reader_close(reader);
  free(a);
}
END_TEST

START_TEST(a_failed_save_leaves_what_was_there) {
  float *a = weights(MXQ_F32, 600, 1);
  struct mxq_array array = {"a", MXQ_F32, 2, shape_a, a, MXQ_MXFP4};
  struct mxq_save_options o = {.replace = true, .numerics.nonfinite = MXQ_NONFINITE_ERROR};
  struct mxq_error err = {0};
  OK(mxq_export_save(path, &array, 1, &o, &err));
  a[317] = NAN;
  ck_assert_int_eq(mxq_export_save(path, &array, 1, &o, &err), MXQ_ERR_NONFINITE);
  ck_assert_str_eq(err.subject, "a");
  ck_assert_uint_eq(err.offset, 317);
  mxq_reader *reader = NULL;
  OK(mxq_export_load(path, true, &reader, &err));
  ck_assert_int_eq(mxq_reader_tensor(reader, mxq_reader_find(reader, "a"))->format, MXQ_MXFP4);
  mxq_reader_close(reader);
  free(a);
}
END_TEST

START_TEST(arrays_that_cannot_be_saved_are_refused_before_anything_is_written) {
  static const uint64_t huge[] = {UINT64_MAX / 2, 3, 2};
  static const int32_t ints[64] = {0};
  struct { struct mxq_array array; const char *says; } cases[] = {
    {{"ints", MXQ_I32, 1, shape_c, ints, MXQ_MXFP4}, "i32 cannot be quantized"},
    {{"huge", MXQ_F32, 3, huge, ints, MXQ_MXFP4}, "63 bits"},
    {{"scalar", MXQ_F32, 0, NULL, ints, MXQ_MXFP4}, "no axis"},
    {{"none", MXQ_DTYPE_NONE, 1, shape_c, ints, MXQ_FORMAT_NONE}, "no dtype"},
    {{"odd", MXQ_F4, 1, shape_d, ints, MXQ_FORMAT_NONE}, "whole bytes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct mxq_error err = {0};
    ck_assert_int_eq(mxq_export_save(path, &cases[i].array, 1, NULL, &err), MXQ_ERR_USAGE);
    ck_assert_str_eq(err.subject, cases[i].array.name);
    ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s", err.text);
    ck_assert_int_ne(access(path, F_OK), 0);
  }
  struct mxq_array twice[] = {{"x", MXQ_I32, 1, shape_c, ints, MXQ_FORMAT_NONE}, {"x", MXQ_I32, 1, shape_c, ints, MXQ_FORMAT_NONE}};
  struct mxq_error err = {0};
  ck_assert_int_eq(mxq_export_save(path, twice, 2, NULL, &err), MXQ_ERR_USAGE);
  struct mxq_save_options o = {.numerics.scale_rule = MXQ_SCALE_RCEIL_725};
  float *a = weights(MXQ_F32, 600, 1);
  struct mxq_array wrong = {"a", MXQ_F32, 2, shape_a, a, MXQ_MXINT8};
  ck_assert_int_eq(mxq_export_save(path, &wrong, 1, &o, &err), MXQ_ERR_USAGE);
  ck_assert_int_ne(access(path, F_OK), 0);
  free(a);
}
END_TEST

START_TEST(saving_to_a_full_device_is_an_error) {
  float *a = weights(MXQ_F32, 600, 1);
  struct mxq_array array = {"a", MXQ_F32, 2, shape_a, a, MXQ_MXFP4};
  struct mxq_save_options o = {.replace = true};
  struct mxq_error err = {0};
  ck_assert_int_eq(mxq_export_save("/dev/full", &array, 1, &o, &err), MXQ_ERR_WRITE);
  free(a);
}
END_TEST

int main(void) {
  Suite *s = suite_create("export");
  TCase *t = tcase_create("export");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, what_is_saved_is_loaded_again_codes_in_place);
  tcase_add_test(t, an_existing_file_is_replaced_only_when_asked);
  tcase_add_test(t, a_failed_save_leaves_what_was_there);
  tcase_add_test(t, arrays_that_cannot_be_saved_are_refused_before_anything_is_written);
  tcase_add_test(t, saving_to_a_full_device_is_an_error);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
