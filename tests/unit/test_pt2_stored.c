/* SPDX-License-Identifier: MIT */
/* Codes and scales as tensors of their own, and the records that tensors are views of. */
#include <check.h>
#include <string.h>

#include <mxq/archive.h>

#include "tests/unit/hand_archive.h"

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

/* f4 is kept as bytes of another shape: the strides that the file states, odd where a size is 1, are those of the bytes, and fewer. */
#define META "{\"dtype\":1,\"sizes\":[{\"as_int\":32},{\"as_int\":1}],\"requires_grad\":false,\"device\":{\"type\":\"cpu\",\"index\":null}," \
             "\"strides\":[{\"as_int\":1},{\"as_int\":5}],\"storage_offset\":{\"as_int\":0},\"layout\":7}"
START_TEST(bytes_that_are_f4_have_no_strides) {
  static const char program[] =
      "{\"graph_module\":{\"graph\":{\"inputs\":[{\"as_tensor\":{\"name\":\"b_a\"}}],\"outputs\":[],\"nodes\":[],\"tensor_values\":{\"b_a\":" META
      "},\"sym_int_values\":{},\"sym_bool_values\":{},\"is_single_tensor_return\":false,\"custom_obj_values\":{},\"sym_float_values\":{}},"
      "\"signature\":{\"input_specs\":[{\"buffer\":{\"arg\":{\"name\":\"b_a\"},\"buffer_name\":\"a\",\"persistent\":true}}],\"output_specs\":[]},"
      "\"module_call_graph\":[],\"metadata\":{\"custom\":\"{\\\"mx\\\":{\\\"version\\\":1,\\\"tensors\\\":{},\\\"kept\\\":{\\\"a\\\":{\\\"name\\\":\\\"a\\\","
      "\\\"dtype\\\":\\\"f4\\\",\\\"shape\\\":[2,1,1,1,1,1,32]}}}}\"},\"treespec_namedtuple_fields\":{}},\"opset_version\":{\"aten\":10},"
      "\"range_constraints\":{},\"schema_version\":{\"major\":8,\"minor\":20},\"verifiers\":[\"TRAINING\"],\"torch_version\":\"2.13.0\",\"guards_code\":[]}";
  struct hand_zip *z = hand_archive(program, "{\"config\":{\"a\":{\"path_name\":\"weight_0\",\"is_param\":false,\"use_pickle\":false,\"tensor_meta\":" META "}}}", 1,
                                    "{\"config\":{}}", 0, 32);
  struct mxq_error err = {0};
  struct mxq_source source;
  struct mxq_stored s;
  mxq_reader *r;
  mxq_source_from_memory(z->data, z->size, &source);
  ck_assert_msg(mxq_reader_open_source(&source, NULL, &r, &err) == MXQ_OK, "%s: %s", err.subject, err.text);
  ck_assert_int_eq(mxq_reader_tensor(r, 0)->dtype, MXQ_F4);
  ck_assert_uint_eq(mxq_reader_tensor(r, 0)->ndim, 7);
  ck_assert_ptr_null(mxq_reader_tensor(r, 0)->stored_strides);
  ck_assert(mxq_reader_stored(r, 0, MXQ_PART_DATA, &s));
  ck_assert_int_eq(s.tensor.dtype, MXQ_U8);
  ck_assert_int_eq(s.tensor.stored_strides[1], 5);
  mxq_reader_close(r);
  free(z);
}
END_TEST

int main(void) {
  Suite *s = suite_create("stored tensors");
  TCase *c = tcase_create("all");
  tcase_add_test(c, codes_and_scales_are_tensors_too);
  tcase_add_test(c, a_view_names_its_record);
  tcase_add_test(c, what_is_deflated_lies_nowhere);
  tcase_add_test(c, other_files_have_no_records);
  tcase_add_test(c, bytes_that_are_f4_have_no_strides);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
