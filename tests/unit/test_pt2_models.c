/* SPDX-License-Identifier: MIT */
/* Archives of several programs, what is no tensor in them, and where tensors were. */
#include <check.h>
#include <mxq/mxq.h>
#include <stdio.h>
#include <string.h>

static mxq_reader *open_model(const char *file, const char *model) {
  struct mxq_read_options options = {.model = model};
  struct mxq_error err = {0};
  mxq_reader *r;
  char path[200];
  snprintf(path, sizeof path, "testdata/pt2/models/%s.pt2", file);
  ck_assert_msg(mxq_reader_open(path, &options, &r, &err) == MXQ_OK, "%s: %s", file, err.text);
  return r;
}

static void cannot_open(const char *file, const char *model, enum mxq_status status, const char *word) {
  struct mxq_read_options options = {.model = model};
  struct mxq_error err = {0};
  mxq_reader *r;
  char path[200];
  snprintf(path, sizeof path, "testdata/pt2/models/%s.pt2", file);
  ck_assert_int_eq(mxq_reader_open(path, &options, &r, &err), status);
  ck_assert_msg(strstr(err.text, word), "%s: %s", file, err.text);
}

static const struct mxq_tensor *tensor(mxq_reader *r, const char *name) {
  size_t i = mxq_reader_find(r, name);
  ck_assert_msg(i != SIZE_MAX, "no tensor %s", name);
  return mxq_reader_tensor(r, i);
}

START_TEST(each_program_of_an_archive_has_its_own_tensors) {
  struct mxq_archive_info info;
  mxq_reader *r = open_model("several", "encoder");
  ck_assert_uint_eq(mxq_reader_count(r), 3);
  ck_assert_int_eq(tensor(r, "shift")->kind, MXQ_KIND_NONPERSISTENT);
  mxq_reader_archive_info(r, &info);
  ck_assert_str_eq(info.model, "encoder");
  ck_assert_uint_eq(info.model_count, 2);
  ck_assert_str_eq(info.models[0], "encoder");
  ck_assert_str_eq(info.models[1], "decoder");
  ck_assert_uint_gt(info.sample_inputs, 1000);
  mxq_reader_close(r);
  r = open_model("several", "decoder");
  ck_assert_uint_eq(mxq_reader_count(r), 5);
  ck_assert_uint_eq(tensor(r, "fc.weight")->shape[0], 8);
  ck_assert_uint_eq(tensor(r, "words.weight")->storage, tensor(r, "head.weight")->storage);
  mxq_reader_close(r);
}
END_TEST

START_TEST(the_program_called_model_is_the_default) {
  struct mxq_archive_info info;
  mxq_reader *r = open_model("with_default", NULL);
  mxq_reader_archive_info(r, &info);
  ck_assert_str_eq(info.model, "model");
  ck_assert_uint_eq(mxq_reader_count(r), 5);
  mxq_reader_close(r);
  cannot_open("several", NULL, MXQ_ERR_UNSUPPORTED, "encoder, decoder");
}
END_TEST

START_TEST(an_unknown_program_is_an_error_of_the_caller) {
  cannot_open("several", "coder", MXQ_ERR_USAGE, "encoder, decoder");
  cannot_open("several", "../models/encoder", MXQ_ERR_USAGE, "there is no program");
  struct mxq_read_options options = {.model = "model"};
  struct mxq_error err = {0};
  mxq_reader *r;
  ck_assert_int_eq(mxq_reader_open("testdata/model.safetensors", &options, &r, &err), MXQ_ERR_USAGE);
}
END_TEST

START_TEST(tensors_are_where_the_program_had_them) {
  mxq_reader *r = open_model("objects", NULL);
  ck_assert_str_eq(tensor(r, "fc.weight")->device, "cuda:1");
  ck_assert_str_eq(tensor(r, "fc.bias")->device, "xpu");
  ck_assert_ptr_null(tensor(r, "words.weight")->device);
  mxq_reader_close(r);
}
END_TEST

START_TEST(objects_are_listed_with_their_class_and_are_no_tensors) {
  struct mxq_archive_info info;
  mxq_reader *r = open_model("objects", NULL);
  mxq_reader_archive_info(r, &info);
  ck_assert_uint_eq(mxq_reader_count(r), 5);
  ck_assert_uint_eq(info.object_count, 2);
  ck_assert_str_eq(info.objects[0].name, "queue");
  ck_assert_str_eq(info.objects[0].record, "data/constants/custom_obj_0");
  ck_assert_str_eq(info.objects[0].class_name, "__torch__.torch.classes.my.Queue");
  ck_assert_uint_eq(info.objects[0].bytes, 12);
  ck_assert_str_eq(info.objects[1].name, "seal");
  ck_assert_ptr_null(info.objects[1].class_name);
  mxq_reader_close(r);
}
END_TEST

START_TEST(older_layouts_are_refused_by_name) {
  cannot_open("pytorch_2_8", NULL, MXQ_ERR_UNSUPPORTED, "PyTorch 2.8");
  cannot_open("pytorch_2_7", NULL, MXQ_ERR_UNSUPPORTED, "before 2.8");
}
END_TEST

static void count_finding(void *user, const struct mxq_finding *finding) {
  ck_assert_uint_gt(strlen(finding->text), 0);
  ++*(size_t *)user;
}

START_TEST(verification_reads_every_program) {
  struct mxq_verify_result result = {0};
  struct mxq_error err = {0};
  size_t found = 0;
  ck_assert_int_eq(mxq_verify("testdata/pt2/models/several.pt2", NULL, count_finding, &found, &result, &err), MXQ_OK);
  ck_assert_uint_eq(found, 0);
  ck_assert_uint_eq(result.tensors, 8);
  struct mxq_read_options one = {.model = "encoder"}, none = {.model = "x"};
  result = (struct mxq_verify_result){0};
  ck_assert_int_eq(mxq_verify("testdata/pt2/models/several.pt2", &one, count_finding, &found, &result, &err), MXQ_OK);
  ck_assert_uint_eq(result.tensors, 3);
  ck_assert_int_eq(mxq_verify("testdata/pt2/models/several.pt2", &none, count_finding, &found, &result, &err), MXQ_ERR_USAGE);
}
END_TEST

START_TEST(a_defect_of_a_program_beside_the_default_one_is_found_too) {
  struct mxq_verify_result result = {0};
  struct mxq_error err = {0};
  size_t found = 0;
  mxq_reader_close(open_model("bad_second", NULL));
  cannot_open("bad_second", "encoder", MXQ_ERR_UNSUPPORTED, "schema version");
  ck_assert_int_eq(mxq_verify("testdata/pt2/models/bad_second.pt2", NULL, count_finding, &found, &result, &err), MXQ_OK);
  ck_assert_uint_eq(found, 1);
  ck_assert_uint_eq(result.tensors, 5);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 models");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_test(t, each_program_of_an_archive_has_its_own_tensors);
  tcase_add_test(t, the_program_called_model_is_the_default);
  tcase_add_test(t, an_unknown_program_is_an_error_of_the_caller);
  tcase_add_test(t, tensors_are_where_the_program_had_them);
  tcase_add_test(t, objects_are_listed_with_their_class_and_are_no_tensors);
  tcase_add_test(t, older_layouts_are_refused_by_name);
  tcase_add_test(t, verification_reads_every_program);
  tcase_add_test(t, a_defect_of_a_program_beside_the_default_one_is_found_too);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
