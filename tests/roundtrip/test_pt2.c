/* SPDX-License-Identifier: MIT */
/* What is written is read back as it was; copies keep everything. */
#include <check.h>
#include <dirent.h>

#include "formats/pt2/write.h"
#include "formats/zip/zip.h"
#include "tests/roundtrip/test_pt2_sample.h"

static void ok(enum mxq_status status, const struct mxq_error *err) {
  ck_assert_msg(status == MXQ_OK, "%s: %s: %s", mxq_status_name(status), err->subject, err->text);
}

static mxq_reader *open_memory(const void *data, size_t size) {
  struct mxq_source source;
  struct mxq_error err = {0};
  struct mxq_read_options options = {.container = MXQ_PT2};
  mxq_reader *r = NULL;
  mxq_source_from_memory(data, size, &source);
  ok(mxq_reader_open_source(&source, &options, &r, &err), &err);
  return r;
}

static uint64_t findings(const void *data, size_t size) {
  struct mxq_source source;
  struct mxq_error err = {0};
  struct mxq_verify_result result = {0};
  struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
  mxq_source_from_memory(data, size, &source);
  ok(mxq_pt2_verify(&source, "memory", &options, NULL, NULL, &result, &err), &err);
  ck_assert(result.digests);
  return result.findings;
}

static void check_tensor(mxq_reader *r, size_t i) {
  const struct sample_tensor *s = &sample_all[i];
  struct mxq_error err = {0};
  unsigned char buf[4096];
  size_t found = mxq_reader_find(r, s->name);
  ck_assert_uint_ne(found, SIZE_MAX);
  const struct mxq_tensor *t = mxq_reader_tensor(r, found);
  ck_assert_int_eq(t->format, s->format);
  ck_assert_int_eq(t->dtype, s->dtype);
  ck_assert_uint_eq(t->ndim, s->ndim);
  for (uint32_t a = 0; a < s->ndim; a++)
    ck_assert_uint_eq(t->shape[a], s->shape[a]);
  ck_assert_int_eq(t->kind, s->kind);
  if (s->format != MXQ_FORMAT_NONE) {
    ck_assert_uint_eq(t->axis_first, s->first);
    ck_assert_uint_eq(t->axis_last, s->last);
  }
  for (int p = 0; p < (s->format == MXQ_FORMAT_NONE ? 1 : 2); p++) {
    uint64_t n = mxq_reader_part_bytes(r, found, (enum mxq_part)p);
    ck_assert_uint_le(n, sizeof buf);
    ok(mxq_reader_read(r, found, (enum mxq_part)p, 0, buf, (size_t)n, &err), &err);
    for (uint64_t k = 0; k < n; k++)
      ck_assert_uint_eq(buf[k], sample_byte(i, (enum mxq_part)p, k));
    ck_assert_uint_eq(t->part[p].offset % 64, 0);
  }
}

START_TEST(every_tensor_comes_back_as_it_was_written) {
  static const char *const metadata[] = {"format", "pt", "\xC3\xA9", "line\n\"two\""};
  static const enum mxq_graph graphs[] = {MXQ_GRAPH_DEFAULT, MXQ_GRAPH_EACH, MXQ_GRAPH_NONE};
  struct mxq_write_options options = {.metadata = metadata, .metadata_count = 2, .graph = graphs[_i]};
  struct mxq_error err = {0};
  void *data;
  size_t size;
  ok(sample_write(sample_all, SAMPLE_ALL, &options, &data, &size, &err), &err);
  mxq_reader *r = open_memory(data, size);
  for (size_t i = 0; i < SAMPLE_ALL; i++)
    check_tensor(r, i);
  struct mxq_archive_info info = {0};
  mxq_reader_archive_info(r, &info);
  ck_assert(info.has_manifest && info.weights && info.has_digests && info.has_index && !info.resaved);
  ck_assert_str_eq(info.root, "model");
  ck_assert_uint_eq(mxq_reader_metadata_count(r), 2);
  const char *key, *value;
  mxq_reader_metadata(r, 1, &key, &value);
  ck_assert_str_eq(key, "\xC3\xA9");
  ck_assert_str_eq(value, "line\n\"two\"");
  mxq_reader_close(r);
  ck_assert_uint_eq(findings(data, size), 0);
  free(data);
}
END_TEST

START_TEST(a_copy_of_our_own_archive_is_the_same_file) {
  struct mxq_error err = {0};
  void *data, *copy;
  size_t size, copy_size;
  ok(sample_write(sample_all, SAMPLE_ALL, NULL, &data, &size, &err), &err);
  ok(sample_copy(data, size, NULL, &copy, &copy_size, &err), &err);
  ck_assert_uint_eq(copy_size, size);
  ck_assert_mem_eq(copy, data, size);
  free(copy);
  struct mxq_write_options wide = {.align = 4096};
  ok(sample_copy(data, size, &wide, &copy, &copy_size, &err), &err);
  ck_assert_uint_gt(copy_size, size);
  ck_assert_uint_eq(findings(copy, copy_size), 0);
  free(data);
  data = copy;
  ok(sample_copy(data, copy_size, NULL, &copy, &copy_size, &err), &err);
  ck_assert_uint_eq(copy_size, size);
  free(copy);
  free(data);
}
END_TEST

START_TEST(a_damaged_archive_is_not_copied) {
  struct mxq_error err = {0};
  void *data, *copy;
  size_t size, copy_size;
  ok(sample_write(sample_all, SAMPLE_ALL, NULL, &data, &size, &err), &err);
  ((unsigned char *)data)[64] ^= 1; /* the first byte of the first tensor */
  ck_assert_int_eq(sample_copy(data, size, NULL, &copy, &copy_size, &err), MXQ_ERR_DAMAGED);
  ck_assert_str_eq(err.subject, "model/data/weights/weight_0");
  ck_assert_ptr_null(copy);
  free(data);
}
END_TEST

static char *load_file(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  char *data = malloc(1 << 20);
  *size = fread(data, 1, 1 << 20, f);
  fclose(f);
  ck_assert_uint_lt(*size, 1 << 20);
  return data;
}

/* Same members, order and data; then index and digests. */
static void check_same_members(const void *a, size_t a_n, const void *b, size_t b_n) {
  struct mxq_source sa, sb;
  struct mxq_error err = {0};
  struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
  mxq_zip *za, *zb;
  mxq_source_from_memory(a, a_n, &sa);
  mxq_source_from_memory(b, b_n, &sb);
  ok(mxq_zip_open(&sa, &options, &za, &err), &err);
  ok(mxq_zip_open(&sb, &options, &zb, &err), &err);
  ck_assert_uint_eq(mxq_zip_count(zb), mxq_zip_count(za) + 2);
  for (size_t i = 0; i < mxq_zip_count(za); i++) {
    char *x, *y;
    size_t xn, yn;
    ck_assert_str_eq(mxq_zip_member(za, i)->name, mxq_zip_member(zb, i)->name);
    ck_assert_uint_eq(mxq_zip_member(zb, i)->method, 0);
    ok(mxq_zip_load(za, i, 1 << 20, &x, &xn, &err), &err);
    ok(mxq_zip_load(zb, i, 1 << 20, &y, &yn, &err), &err);
    ck_assert_uint_eq(xn, yn);
    ck_assert_mem_eq(x, y, xn);
    free(x);
    free(y);
  }
  mxq_zip_close(za);
  mxq_zip_close(zb);
}

START_TEST(archives_of_pytorch_keep_their_members_in_a_copy_that_verifies) {
  const char *shared = getenv("MXQ_SHARED");
  char folder[512], path[1024];
  size_t done = 0;
  snprintf(folder, sizeof folder, "%s/pt2", shared ? shared : "../shared");
  DIR *d = opendir(folder);
  if (!d) {
    ck_assert_msg(!shared, "%s is missing", folder);
    return;
  }
  for (struct dirent *e; (e = readdir(d));) {
    size_t n = strlen(e->d_name);
    if (n < 4 || strcmp(e->d_name + n - 4, ".pt2") || strcmp(e->d_name, "g.pt2") == 0)
      continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    struct mxq_error err = {0};
    size_t size, copy_size, again_size;
    void *copy, *again;
    char *data = load_file(path, &size);
    ok(sample_copy(data, size, NULL, &copy, &copy_size, &err), &err);
    ck_assert_uint_eq(findings(copy, copy_size), 0);
    check_same_members(data, size, copy, copy_size);
    ok(sample_copy(copy, copy_size, NULL, &again, &again_size, &err), &err);
    ck_assert_uint_eq(again_size, copy_size);
    ck_assert_mem_eq(again, copy, copy_size);
    free(again);
    free(copy);
    free(data);
    done++;
  }
  closedir(d);
  printf("%zu archives of others copied and compared\n", done);
  ck_assert_uint_ge(done, 36);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2");
  TCase *c = tcase_create("round trips");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, every_tensor_comes_back_as_it_was_written, 0, 3);
  tcase_add_test(c, a_copy_of_our_own_archive_is_the_same_file);
  tcase_add_test(c, a_damaged_archive_is_not_copied);
  tcase_add_test(c, archives_of_pytorch_keep_their_members_in_a_copy_that_verifies);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
