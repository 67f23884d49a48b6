/* SPDX-License-Identifier: MIT */
/* Codes and scales as tensors of their own, and the records that tensors are views of. */
#include <check.h>
#include <string.h>

#include <mxq/archive.h>

static mxq_reader *opened(const char *path) {
  struct mxq_error err = {0};
  mxq_reader *r;
  ck_assert_msg(mxq_reader_open(path, NULL, &r, &err) == MXQ_OK, "%s", err.text);
  return r;
}

START_TEST(codes_and_scales_are_tensors_too) {
  mxq_reader *r = opened("testdata/pt2/good_mxfp6_unpacked.pt2");
  size_t i = mxq_reader_find(r, "fc.weight");
  struct mxq_stored s;
  ck_assert_uint_ne(i, SIZE_MAX);
  ck_assert(mxq_reader_stored(r, i, MXQ_PART_CODES, &s));
  ck_assert_str_eq(s.tensor.name, "fc.weight_q");
  ck_assert_int_eq(s.tensor.dtype, MXQ_U8);
  ck_assert_int_eq(s.tensor.format, MXQ_FORMAT_NONE);
  ck_assert_int_eq(s.tensor.kind, MXQ_KIND_BUFFER);
  ck_assert_uint_eq(s.tensor.ndim, 2);
  ck_assert_uint_eq(s.tensor.shape[1], 64); /* one a byte: the packed ones are 48 */
  ck_assert_uint_eq(s.tensor.bytes, 256);
  ck_assert_uint_eq(mxq_reader_part_bytes(r, i, MXQ_PART_CODES), 192);
  ck_assert_uint_eq(s.tensor.part[0].offset, s.record.offset);
  ck_assert(mxq_reader_stored(r, i, MXQ_PART_SCALES, &s));
  ck_assert_str_eq(s.tensor.name, "fc.weight_s");
  ck_assert_int_eq(s.tensor.dtype, MXQ_F8_E8M0);
  mxq_reader_close(r);
}
END_TEST

START_TEST(a_view_names_its_record) {
  mxq_reader *r = opened("testdata/pt2/good_noncontiguous.pt2");
  size_t i = mxq_reader_find(r, "every_other");
  struct mxq_stored s;
  ck_assert(mxq_reader_stored(r, i, MXQ_PART_DATA, &s));
  ck_assert_str_eq(s.member, "pytorch_noncontiguous/data/weights/weight_2");
  ck_assert_uint_eq(s.tensor.storage_offset, 1);
  ck_assert_int_eq(s.tensor.stored_strides[0], 2);
  ck_assert_uint_eq(s.tensor.part[0].size, 0); /* not in one piece */
  ck_assert_uint_eq(s.record.size, 36);
  ck_assert(!mxq_reader_stored(r, i, MXQ_PART_SCALES, &s));
  ck_assert_ptr_null(s.member);
  mxq_reader_close(r);
}
END_TEST

START_TEST(what_is_deflated_lies_nowhere) {
  mxq_reader *r = opened("testdata/pt2/good_deflated.pt2");
  struct mxq_stored s;
  ck_assert(mxq_reader_stored(r, 0, MXQ_PART_DATA, &s));
  ck_assert_ptr_nonnull(s.member);
  ck_assert_uint_eq(s.record.size, 0);
  mxq_reader_close(r);
}
END_TEST

START_TEST(other_files_have_no_records) {
  mxq_reader *r = opened("testdata/model.safetensors");
  struct mxq_stored s;
  ck_assert(!mxq_reader_stored(r, 0, MXQ_PART_DATA, &s));
  ck_assert_ptr_null(s.tensor.name);
  mxq_reader_close(r);
}
END_TEST

int main(void) {
  Suite *s = suite_create("stored tensors");
  TCase *c = tcase_create("all");
  tcase_add_test(c, codes_and_scales_are_tensors_too);
  tcase_add_test(c, a_view_names_its_record);
  tcase_add_test(c, what_is_deflated_lies_nowhere);
  tcase_add_test(c, other_files_have_no_records);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
