/* SPDX-License-Identifier: MIT */
/* How files are recognised, and what verify says of those that are not what they seem. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mxq/archive.h>

static struct mxq_error err;
static char dir[64];

static void setup(void) {
  memset(&err, 0, sizeof err);
  snprintf(dir, sizeof dir, "/tmp/mxq-formats-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
}
static void teardown(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
}

/* A file of these bytes under this name. */
static const char *put(const char *name, const void *bytes, size_t n) {
  static char path[300];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
  fclose(f);
  return path;
}
static const char *put_copy(const char *name, const char *from) {
  static char bytes[1 << 16];
  FILE *f = fopen(from, "rb");
  ck_assert_msg(f != NULL, "%s", from);
  size_t n = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  return put(name, bytes, n);
}

static void opens_as(const char *path, enum mxq_container asked, enum mxq_container want) {
  struct mxq_read_options options = {.container = asked};
  mxq_reader *r;
  ck_assert_msg(mxq_reader_open(path, &options, &r, &err) == MXQ_OK, "%s: %s", path, err.text);
  ck_assert_int_eq(mxq_reader_container(r), want);
  ck_assert_str_eq(mxq_reader_path(r), path);
  mxq_reader_close(r);
}
static void refused(const char *path, enum mxq_status want, const char *part) {
  mxq_reader *r;
  enum mxq_status s = mxq_reader_open(path, NULL, &r, &err);
  ck_assert_msg(s == want, "%s: %d, wanted %d: %s", path, s, want, err.text);
  ck_assert_ptr_null(r);
  ck_assert_str_eq(err.subject, path);
  ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
}
static void verified(const char *path, enum mxq_status want, uint64_t findings) {
  struct mxq_verify_result result;
  enum mxq_status s = mxq_verify(path, NULL, NULL, NULL, &result, &err);
  ck_assert_msg(s == want, "%s: %d %s", path, s, err.text);
  if (s == MXQ_OK)
    ck_assert_msg(result.findings == findings, "%s: %d findings", path, (int)result.findings);
}

START_TEST(the_first_bytes_decide_whatever_the_name) {
  static const char *const names[] = {"x", "x.bin", "x.", ".x", "x.json", "x.pt"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    opens_as(put_copy(names[i], "testdata/safetensors/good_one_tensor.safetensors"), MXQ_CONTAINER_AUTO, MXQ_SAFETENSORS);
    opens_as(put_copy(names[i], "testdata/safetensors/good_leading_spaces.safetensors"), MXQ_CONTAINER_AUTO, MXQ_SAFETENSORS);
    opens_as(put_copy(names[i], "testdata/safetensors/good_header_length_40056.safetensors"), MXQ_CONTAINER_AUTO, MXQ_SAFETENSORS);
    opens_as(put_copy(names[i], "testdata/npy/good_1d.npy"), MXQ_CONTAINER_AUTO, MXQ_NPY);
    opens_as(put_copy(names[i], "testdata/npy/good_savez.npz"), MXQ_CONTAINER_AUTO, MXQ_NPZ);
  }
  opens_as(put_copy("X.SAFETENSORS", "testdata/safetensors/good_one_tensor.safetensors"), MXQ_CONTAINER_AUTO, MXQ_SAFETENSORS);
}
END_TEST

START_TEST(a_name_that_claims_another_format_is_refused_unless_the_format_is_given) {
  const char *path = put_copy("x.safetensors", "testdata/npy/good_1d.npy");
  refused(path, MXQ_ERR_MALFORMED, "the name says safetensors, the content says npy");
  verified(path, MXQ_OK, 1);
  opens_as(path, MXQ_NPY, MXQ_NPY);
  opens_as(put_copy("y", "testdata/npy/good_savez.npz"), MXQ_NPY, MXQ_NPZ);
  refused(put_copy("x.npz", "testdata/npy/good_1d.npy"), MXQ_ERR_MALFORMED, "the name says npz");
  mxq_reader *r;
  struct mxq_read_options options = {.container = MXQ_NPY};
  ck_assert_int_eq(mxq_reader_open(put_copy("y", "testdata/safetensors/good_one_tensor.safetensors"), &options, &r, &err), MXQ_ERR_MALFORMED);
}
END_TEST

START_TEST(known_strangers_are_named) {
  static const struct { const char *bytes; size_t n; const char *part; } cases[] = {
      {"GGUF\3\0\0\0\0\0\0\0", 12, "GGUF files are not read"},
      {"\x80\2}q\0.", 6, "pickle"},
      {"\x80\4\x95\0\0\0\0\0", 8, "pickle"},
      {"\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15, "PyTorch .pt"},
      {"\x89HDF\r\n\x1a\n", 8, "HDF5"},
      {"\x1f\x8b\x08\0", 4, "gzip"},
      {"version https://git-lfs.github.com/spec/v1\noid", 46, "git lfs pull"},
      {"<!DOCTYPE html><html>", 21, "HTML page"},
      {"{\"a\": 1}", 8, "JSON text"},
      {"hello, world", 12, "it begins with 68 65 6c 6c 6f 2c 20 77"},
      {"x", 1, "it begins with 78"},
      {"", 0, "empty"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *path = put("x", cases[i].bytes, cases[i].n);
    refused(path, MXQ_ERR_FORMAT, cases[i].part);
    verified(path, MXQ_ERR_FORMAT, 0);
    /* Under a name of ours the same is damage. */
    verified(put("x.safetensors", cases[i].bytes, cases[i].n), MXQ_OK, 1);
    verified(put("x.npz", cases[i].bytes, cases[i].n), MXQ_OK, 1);
  }
}
END_TEST

START_TEST(a_file_of_ours_that_is_cut_is_damage_under_any_name) {
  static const unsigned char frame[] = "\x39\0\0\0\0\0\0\0{\"a\":{\"dty";
  verified(put("x", frame, sizeof frame - 1), MXQ_OK, 1);
  verified(put("x", "\x93NUMPY\1", 7), MXQ_OK, 1);
  verified(put("x", "{\"weight_map\": {\"a\"", 19), MXQ_OK, 1);
}
END_TEST

START_TEST(what_cannot_be_read_is_an_io_error) {
  struct mxq_verify_result result;
  ck_assert_int_eq(mxq_verify("missing.safetensors", NULL, NULL, NULL, &result, &err), MXQ_ERR_IO);
  ck_assert_int_eq(mxq_verify(dir, NULL, NULL, NULL, &result, &err), MXQ_ERR_IO);
  ck_assert_int_eq(mxq_verify("missing.safetensors", NULL, NULL, NULL, &result, NULL), MXQ_ERR_IO);
}
END_TEST

static void keep(void *user, const struct mxq_finding *f) {
  ck_assert_int_ne(f->code, MXQ_OK);
  snprintf(user, 200, "%s|%s", f->subject, f->text);
}

START_TEST(a_finding_in_a_tensors_data_names_the_tensor) {
  char text[200] = "";
  struct mxq_verify_result result;
  ck_assert_int_eq(mxq_verify("testdata/npy/bad_member_bit_flip.npz", NULL, keep, text, &result, &err), MXQ_OK);
  ck_assert_uint_eq(result.findings, 1);
  ck_assert_int_eq(result.container, MXQ_NPZ);
  ck_assert_msg(strncmp(text, "a|", 2) == 0, "%s", text);
}
END_TEST

START_TEST(names_of_containers_parse_back) {
  for (int c = MXQ_CONTAINER_AUTO + 1; c < MXQ_CONTAINER_COUNT; c++) {
    enum mxq_container got = MXQ_CONTAINER_AUTO;
    const char *name = mxq_container_name((enum mxq_container)c);
    ck_assert_ptr_nonnull(name);
    ck_assert(mxq_container_parse(name, &got));
    ck_assert_int_eq(got, c);
  }
  enum mxq_container untouched = MXQ_NPY;
  ck_assert(!mxq_container_parse("gguf", &untouched));
  ck_assert_int_eq(untouched, MXQ_NPY);
}
END_TEST

int main(void) {
  Suite *s = suite_create("formats");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, the_first_bytes_decide_whatever_the_name);
  tcase_add_test(t, a_name_that_claims_another_format_is_refused_unless_the_format_is_given);
  tcase_add_test(t, known_strangers_are_named);
  tcase_add_test(t, a_file_of_ours_that_is_cut_is_damage_under_any_name);
  tcase_add_test(t, what_cannot_be_read_is_an_io_error);
  tcase_add_test(t, a_finding_in_a_tensors_data_names_the_tensor);
  tcase_add_test(t, names_of_containers_parse_back);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
