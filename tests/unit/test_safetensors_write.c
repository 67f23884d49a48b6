/* SPDX-License-Identifier: MIT */
/* The safetensors writer. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mxq/archive.h>

static struct mxq_error err;

static size_t pulled, pulled_bytes; /* the tensor that is being pulled, and how much of it */

static enum mxq_status copy_part(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *e) {
  if (tensor != pulled)
    pulled_bytes = 0;
  pulled = tensor;
  enum mxq_status s = mxq_reader_read(user, tensor, part, pulled_bytes, buf, n, e);
  pulled_bytes += n;
  return s;
}

/* Writes all that a reader has into memory. */
static void copied(mxq_reader *r, void **data, size_t *size) {
  const char *texts[64];
  struct mxq_write_options options = {.metadata = texts, .metadata_count = mxq_reader_metadata_count(r)};
  for (size_t i = 0; i < options.metadata_count; i++)
    mxq_reader_metadata(r, i, &texts[2 * i], &texts[2 * i + 1]);
  mxq_writer *w;
  ck_assert_int_eq(mxq_writer_open(MXQ_SAFETENSORS, &options, &w, &err), MXQ_OK);
  for (size_t i = 0; i < mxq_reader_count(r); i++)
    ck_assert_int_eq(mxq_writer_add(w, mxq_reader_tensor(r, i), &err), MXQ_OK);
  uint64_t expected;
  ck_assert_int_eq(mxq_writer_size(w, &expected, &err), MXQ_OK);
  struct mxq_sink sink;
  pulled = SIZE_MAX;
  ck_assert_int_eq(mxq_sink_to_memory(data, size, &sink, &err), MXQ_OK);
  ck_assert_int_eq(mxq_writer_run(w, &sink, copy_part, r, &err), MXQ_OK);
  ck_assert_int_eq(sink.commit(sink.ctx, &err), MXQ_OK);
  ck_assert_uint_eq(*size, expected);
  mxq_writer_free(w);
}

START_TEST(the_tensors_of_the_reference_in_its_order_give_its_very_bytes) {
  static const char *const files[] = {"good_reference", "good_sharded-00001-of-00002", "good_sharded-00002-of-00002"};
  for (size_t i = 0; i < 3; i++) {
    char path[100];
    static unsigned char bytes[1 << 16];
    snprintf(path, sizeof path, "testdata/safetensors/%s.safetensors", files[i]);
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(bytes, 1, sizeof bytes, f), size;
    fclose(f);
    mxq_reader *r;
    ck_assert_int_eq(mxq_reader_open(path, NULL, &r, &err), MXQ_OK);
    void *data;
    copied(r, &data, &size);
    ck_assert_uint_eq(size, n);
    ck_assert_mem_eq(data, bytes, n);
    free(data);
    mxq_reader_close(r);
  }
}
END_TEST

START_TEST(every_dtype_goes_there_and_back) {
  static const char *const files[] = {"good_all_dtypes", "good_empty", "good_escaped_name", "good_metadata", "good_zero_dim_middle", "good_unaligned_f32"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[100];
    snprintf(path, sizeof path, "testdata/safetensors/%s.safetensors", files[i]);
    mxq_reader *r, *again;
    void *data;
    size_t size;
    ck_assert_int_eq(mxq_reader_open(path, NULL, &r, &err), MXQ_OK);
    copied(r, &data, &size);
    /* The header ends on a multiple of 8 and begins with its brace. */
    uint64_t header = *(unsigned char *)data + 256u * ((unsigned char *)data)[1];
    ck_assert_uint_eq(header % 8, 0);
    ck_assert_int_eq(((char *)data)[8], '{');
    struct mxq_source source;
    mxq_source_from_memory(data, size, &source);
    ck_assert_msg(mxq_reader_open_source(&source, NULL, &again, &err) == MXQ_OK, "%s: %s", path, err.text);
    ck_assert_uint_eq(mxq_reader_count(again), mxq_reader_count(r));
    ck_assert_uint_eq(mxq_reader_metadata_count(again), mxq_reader_metadata_count(r));
    for (size_t k = 0; k < mxq_reader_count(r); k++) {
      const struct mxq_tensor *a = mxq_reader_tensor(r, k), *b = mxq_reader_tensor(again, k);
      ck_assert_str_eq(a->name, b->name);
      ck_assert_int_eq(a->dtype, b->dtype);
      ck_assert_uint_eq(a->ndim, b->ndim);
      ck_assert_uint_eq(a->bytes, b->bytes);
      unsigned char x[4096], y[4096];
      ck_assert_uint_le(a->bytes, sizeof x);
      ck_assert_int_eq(mxq_reader_read(r, k, MXQ_PART_DATA, 0, x, a->bytes, &err), MXQ_OK);
      ck_assert_int_eq(mxq_reader_read(again, k, MXQ_PART_DATA, 0, y, b->bytes, &err), MXQ_OK);
      ck_assert_int_eq(memcmp(x, y, a->bytes), 0);
    }
    mxq_reader_close(again);
    mxq_reader_close(r);
    free(data);
  }
}
END_TEST

static mxq_writer *fresh(void) {
  mxq_writer *w;
  ck_assert_int_eq(mxq_writer_open(MXQ_SAFETENSORS, NULL, &w, &err), MXQ_OK);
  return w;
}

static void add(mxq_writer *w, enum mxq_status want, const char *part, struct mxq_tensor t) {
  ck_assert_msg(mxq_writer_add(w, &t, &err) == want, "%s", err.text);
  if (want != MXQ_OK)
    ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
}

START_TEST(what_the_reference_cannot_read_is_not_written) {
  mxq_writer *w = fresh();
  static char long_name[5000];
  memset(long_name, 'n', sizeof long_name - 1);
  const uint64_t three[] = {3}, huge[] = {UINT64_MAX / 2, 8}, zero[] = {0, UINT64_MAX, 2}, many[65] = {1};
  add(w, MXQ_OK, "", (struct mxq_tensor){.name = "a", .dtype = MXQ_F32, .ndim = 1, .shape = three});
  add(w, MXQ_ERR_USAGE, "already", (struct mxq_tensor){.name = "a", .dtype = MXQ_F32, .ndim = 1, .shape = three});
  add(w, MXQ_ERR_USAGE, "reserves", (struct mxq_tensor){.name = "__metadata__", .dtype = MXQ_F32, .ndim = 1, .shape = three});
  add(w, MXQ_ERR_USAGE, "dtype c128", (struct mxq_tensor){.name = "b", .dtype = MXQ_C128, .ndim = 1, .shape = three});
  add(w, MXQ_ERR_USAGE, "12 bits", (struct mxq_tensor){.name = "b", .dtype = MXQ_F4, .ndim = 1, .shape = three});
  add(w, MXQ_ERR_USAGE, "64 bits", (struct mxq_tensor){.name = "b", .dtype = MXQ_F32, .ndim = 2, .shape = huge});
  add(w, MXQ_ERR_USAGE, "64 bits", (struct mxq_tensor){.name = "b", .dtype = MXQ_F32, .ndim = 3, .shape = zero});
  add(w, MXQ_ERR_USAGE, "dimensions", (struct mxq_tensor){.name = "b", .dtype = MXQ_F32, .ndim = 65, .shape = many});
  add(w, MXQ_ERR_USAGE, "4999 bytes", (struct mxq_tensor){.name = long_name, .dtype = MXQ_F32});
  add(w, MXQ_ERR_USAGE, "UTF-8", (struct mxq_tensor){.name = "\xff", .dtype = MXQ_F32});
  add(w, MXQ_ERR_USAGE, "mxfp4", (struct mxq_tensor){.name = "b", .dtype = MXQ_F32, .format = MXQ_MXFP4, .ndim = 1, .shape = three});
  add(w, MXQ_ERR_USAGE, "dtype", (struct mxq_tensor){.name = "b", .dtype = MXQ_DTYPE_NONE});
  uint64_t size;
  ck_assert_int_eq(mxq_writer_size(w, &size, &err), MXQ_OK);
  ck_assert_uint_eq(size, 8 + 56 + 12);
  mxq_writer_free(w);
  ck_assert_int_eq(mxq_writer_open(MXQ_NPY, NULL, &w, &err), MXQ_ERR_USAGE);
  ck_assert_ptr_null(w);
  const char *twice[] = {"k", "1", "k", "2"};
  struct mxq_write_options options = {.metadata = twice, .metadata_count = 2};
  ck_assert_int_eq(mxq_writer_open(MXQ_SAFETENSORS, &options, &w, &err), MXQ_ERR_USAGE);
}
END_TEST

START_TEST(a_header_larger_than_anybody_reads_is_refused_before_a_byte_is_written) {
  static char name[4097];
  mxq_writer *w = fresh();
  for (int i = 0; i < 24500; i++) {
    memset(name, 'n', 4096);
    name[snprintf(name, sizeof name, "%d", i)] = '.';
    struct mxq_tensor t = {.name = name, .dtype = MXQ_U8};
    if (mxq_writer_add(w, &t, &err) != MXQ_OK)
      ck_abort_msg("%s", err.text);
  }
  uint64_t size;
  ck_assert_int_eq(mxq_writer_size(w, &size, &err), MXQ_ERR_LIMIT);
  mxq_writer_free(w);
}
END_TEST

static enum mxq_status failing(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *e) {
  (void)user, (void)tensor, (void)part, (void)buf, (void)n;
  e->code = MXQ_ERR_NONFINITE;
  return MXQ_ERR_NONFINITE;
}

START_TEST(a_pull_that_fails_ends_the_writing_with_its_status) {
  mxq_writer *w = fresh();
  add(w, MXQ_OK, "", (struct mxq_tensor){.name = "a", .dtype = MXQ_F32});
  void *data;
  size_t size;
  struct mxq_sink sink;
  ck_assert_int_eq(mxq_sink_to_memory(&data, &size, &sink, &err), MXQ_OK);
  ck_assert_int_eq(mxq_writer_run(w, &sink, failing, NULL, &err), MXQ_ERR_NONFINITE);
  sink.abort(sink.ctx);
  mxq_writer_free(w);
}
END_TEST

int main(void) {
  Suite *s = suite_create("safetensors writer");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, the_tensors_of_the_reference_in_its_order_give_its_very_bytes);
  tcase_add_test(t, every_dtype_goes_there_and_back);
  tcase_add_test(t, what_the_reference_cannot_read_is_not_written);
  tcase_add_test(t, a_header_larger_than_anybody_reads_is_refused_before_a_byte_is_written);
  tcase_add_test(t, a_pull_that_fails_ends_the_writing_with_its_status);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
