/* SPDX-License-Identifier: MIT */
#include "tests/roundtrip/test_convert_data.h"

#define MOST 8
struct seen {
  struct mxq_difference all[MOST];
  size_t count, stop_after;
};

static bool note(void *user, const struct mxq_difference *d) {
  struct seen *s = user;
  ck_assert_uint_lt(s->count, MOST);
  s->all[s->count++] = *d;
  return s->count == s->stop_after;
}

static void compared(struct box a, struct box b, struct seen *seen) {
  struct mxq_error err = {0};
  mxq_reader *ra = open_box(a), *rb = open_box(b);
  *seen = (struct seen){0};
  mxq_pool *pool = mxq_pool_create(2);
  OK(mxq_compare(ra, rb, mxq_pool_runner(pool), note, seen, &err));
  mxq_pool_free(pool);
  for (size_t i = 0; i < seen->count; i++)
    seen->all[i].name = NULL; /* belongs to the readers */
  mxq_reader_close(ra);
  mxq_reader_close(rb);
}

static struct box one(enum mxq_dtype dtype, uint64_t n, const void *data) {
  struct given g = {.name = "x", .dtype = dtype, .ndim = 1, .shape = {n}, .data = data};
  return file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0);
}

static struct mxq_difference floats(const float *a, const float *b, uint64_t n) {
  struct box fa = one(MXQ_F32, n, a), fb = one(MXQ_F32, n, b);
  struct seen seen;
  compared(fa, fb, &seen);
  ck_assert_uint_eq(seen.count, 1);
  free(fa.data);
  free(fb.data);
  return seen.all[0];
}

START_TEST(a_file_is_identical_to_itself) {
  float a[] = {1, -2, 0, NAN, INFINITY};
  struct mxq_difference d = floats(a, a, 5);
  ck_assert(d.identical);
  ck_assert_double_eq(d.max_abs, 0);
  ck_assert_double_infinite(d.sqnr_db);
  ck_assert(d.sqnr_db > 0);
  ck_assert_double_eq(d.cosine, 1);
  ck_assert_uint_eq(d.clipped + d.zeroed, 0);
}
END_TEST

START_TEST(differences_are_measured_as_defined) {
  float a[] = {3, 4, 1, 0}, b[] = {3, 2, 0, -1};
  struct mxq_difference d = floats(a, b, 4);
  ck_assert(!d.identical && !d.shape_differs && !d.dtype_differs && !d.only_a && !d.only_b);
  ck_assert_double_eq(d.max_abs, 2);
  ck_assert_double_eq_tol(d.sqnr_db, 10 * log10(26.0 / 6.0), 1e-12);
  ck_assert_double_eq_tol(d.cosine, 17 / (sqrt(26) * sqrt(14)), 1e-12);
  ck_assert_uint_eq(d.zeroed, 1);
  ck_assert_uint_eq(d.clipped, 0);
}
END_TEST

START_TEST(the_sign_of_zero_is_a_difference_of_bits_and_of_nothing_else) {
  float a[] = {0, 1}, b[] = {-0.0f, 1};
  struct mxq_difference d = floats(a, b, 2);
  ck_assert(!d.identical);
  ck_assert_double_eq(d.max_abs, 0);
  ck_assert_double_infinite(d.sqnr_db);
}
END_TEST

START_TEST(a_number_that_became_nan_or_inf_is_as_bad_as_can_be) {
  float a[] = {1, 2}, with_nan[] = {1, NAN}, with_inf[] = {1, INFINITY};
  struct mxq_difference d = floats(a, with_nan, 2), e = floats(a, with_inf, 2), f = floats(with_nan, with_nan, 2);
  ck_assert(isinf(d.max_abs) && d.sqnr_db == -INFINITY && isnan(d.cosine) && !d.identical);
  ck_assert(isinf(e.max_abs) && e.sqnr_db == -INFINITY && isnan(e.cosine) && !e.identical);
  ck_assert(f.identical);
}
END_TEST

START_TEST(a_tensor_that_became_zero_has_no_angle_and_zero_decibel) {
  float a[] = {1, 2}, zero[] = {0, 0};
  struct mxq_difference d = floats(a, zero, 2), e = floats(zero, a, 2);
  ck_assert_double_eq(d.sqnr_db, 0);
  ck_assert(isnan(d.cosine));
  ck_assert_uint_eq(d.zeroed, 2);
  ck_assert(e.sqnr_db == -INFINITY);
  ck_assert_uint_eq(e.zeroed, 0);
}
END_TEST

START_TEST(equal_values_of_another_dtype_are_not_identical_but_equal_in_value) {
  float a[] = {1, -2, 0.5f};
  uint16_t b[] = {0x3F80, 0xC000, 0x3F00}, h[] = {0x3C00, 0xC000, 0x3800};
  struct box fa = one(MXQ_F32, 3, a), fb = one(MXQ_BF16, 3, b), fh = one(MXQ_F16, 3, h);
  struct seen seen;
  compared(fa, fb, &seen);
  ck_assert(!seen.all[0].identical && seen.all[0].dtype_differs);
  ck_assert_double_eq(seen.all[0].max_abs, 0);
  compared(fb, fh, &seen);
  ck_assert(!seen.all[0].identical && seen.all[0].dtype_differs);
  ck_assert_double_eq(seen.all[0].max_abs, 0);
  free(fa.data);
  free(fb.data);
  free(fh.data);
}
END_TEST

START_TEST(other_dtypes_are_compared_as_bytes) {
  int32_t a[] = {1, 2, 3}, b[] = {1, 2, 4};
  struct box fa = one(MXQ_I32, 3, a), fb = one(MXQ_I32, 3, b), fu = one(MXQ_U32, 3, a);
  struct seen seen;
  compared(fa, fa, &seen);
  ck_assert(seen.all[0].identical);
  ck_assert_double_eq(seen.all[0].max_abs, 0);
  compared(fa, fb, &seen);
  ck_assert(!seen.all[0].identical && isnan(seen.all[0].max_abs) && isnan(seen.all[0].sqnr_db) && isnan(seen.all[0].cosine));
  compared(fa, fu, &seen);
  ck_assert(!seen.all[0].identical && seen.all[0].dtype_differs);
  free(fa.data);
  free(fb.data);
  free(fu.data);
}
END_TEST

START_TEST(tensors_of_only_one_file_and_of_other_shapes_are_named) {
  static const float data[64] = {1};
  struct given a[] = {{.name = "both", .dtype = MXQ_F32, .ndim = 2, .shape = {2, 3}, .data = data},
                      {.name = "mine", .dtype = MXQ_F32, .ndim = 1, .shape = {3}, .data = data},
                      {.name = "turned", .dtype = MXQ_F32, .ndim = 2, .shape = {2, 3}, .data = data}};
  struct given b[] = {{.name = "turned", .dtype = MXQ_F32, .ndim = 2, .shape = {3, 2}, .data = data},
                      {.name = "yours", .dtype = MXQ_F32, .ndim = 1, .shape = {3}, .data = data},
                      {.name = "both", .dtype = MXQ_F32, .ndim = 2, .shape = {2, 3}, .data = data}};
  struct box fa = file_of(MXQ_SAFETENSORS, a, 3, NULL, 0), fb = file_of(MXQ_SAFETENSORS, b, 3, NULL, 0);
  mxq_reader *ra = open_box(fa), *rb = open_box(fb);
  struct seen seen = {0};
  struct mxq_error err = {0};
  OK(mxq_compare(ra, rb, NULL, note, &seen, &err));
  ck_assert_uint_eq(seen.count, 4);
  for (size_t i = 0; i < 4; i++) {
    const struct mxq_difference *d = &seen.all[i];
    ck_assert_int_eq(d->only_a, strcmp(d->name, "mine") == 0);
    ck_assert_int_eq(d->only_b, strcmp(d->name, "yours") == 0);
    ck_assert_int_eq(d->shape_differs, strcmp(d->name, "turned") == 0);
    ck_assert_int_eq(d->identical, strcmp(d->name, "both") == 0);
  }
  ck_assert_str_eq(seen.all[3].name, "yours");
  seen = (struct seen){.stop_after = 2};
  ck_assert_int_eq(mxq_compare(ra, rb, NULL, note, &seen, &err), MXQ_ERR_CANCELLED);
  ck_assert_uint_eq(seen.count, 2);
  mxq_reader_close(ra);
  mxq_reader_close(rb);
  free(fa.data);
  free(fb.data);
}
END_TEST

START_TEST(clipped_values_are_those_beyond_what_their_block_can_hold) {
  /* floor gives amax 7.9 the scale 1, so that 6 is the largest value: 7.9 and -6.5 are clipped, 4.9 (which becomes 4) is not. */
  static float a[64] = {7.9f, 4.9f, -6.5f, 0.1f, [32] = 1.0f};
  struct given g = {.name = "x", .dtype = MXQ_F32, .ndim = 2, .shape = {1, 64}, .data = a};
  struct box file = file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0);
  static const enum mxq_format formats[] = {MXQ_MXFP4, MXQ_MXFP6_E2M3, MXQ_MXFP6_E3M2, MXQ_MXFP8_E4M3, MXQ_MXFP8_E5M2, MXQ_MXINT8};
  for (size_t i = 0; i < 6; i++) {
    struct mxq_quantize_options o = {.format = formats[i], .numerics.scale_rule = MXQ_SCALE_FLOOR};
    mxq_reader *reader = open_box(file);
    struct mxq_summary summary = {0};
    struct box archive = quantized(reader, &o, &summary);
    mxq_reader_close(reader);
    struct seen seen;
    compared(file, archive, &seen);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_msg(seen.all[0].clipped == summary.stats.clipped, "%s: compare says %d, encoding %d", mxq_format_name(formats[i]),
                  (int)seen.all[0].clipped, (int)summary.stats.clipped);
    if (formats[i] == MXQ_MXFP4)
      ck_assert_uint_eq(seen.all[0].clipped, 2);
    ck_assert_uint_eq(seen.all[0].zeroed, summary.stats.zeroed);
    ck_assert_double_eq_tol(seen.all[0].sqnr_db, 10 * log10(summary.stats.signal / summary.stats.noise), 1e-4);
    free(archive.data);
  }
  free(file.data);
}
END_TEST

int main(void) {
  Suite *s = suite_create("compare");
  TCase *t = tcase_create("compare");
  tcase_add_test(t, a_file_is_identical_to_itself);
  tcase_add_test(t, differences_are_measured_as_defined);
  tcase_add_test(t, the_sign_of_zero_is_a_difference_of_bits_and_of_nothing_else);
  tcase_add_test(t, a_number_that_became_nan_or_inf_is_as_bad_as_can_be);
  tcase_add_test(t, a_tensor_that_became_zero_has_no_angle_and_zero_decibel);
  tcase_add_test(t, equal_values_of_another_dtype_are_not_identical_but_equal_in_value);
  tcase_add_test(t, other_dtypes_are_compared_as_bytes);
  tcase_add_test(t, tensors_of_only_one_file_and_of_other_shapes_are_named);
  tcase_add_test(t, clipped_values_are_those_beyond_what_their_block_can_hold);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
