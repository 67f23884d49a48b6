/* SPDX-License-Identifier: MIT */
/* The safetensors reader: one file and sharded. */
#include "tests/unit/corpus.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static struct mxq_error err;
static char dir[64];

static char *in(const char *name) {
  static char path[4][512];
  static int turn;
  char *p = path[turn++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", dir, name);
  return p;
}
static void setup(void) {
  memset(&err, 0, sizeof err);
  snprintf(dir, sizeof dir, "/tmp/mxq-st-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
}
static void teardown(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
}

START_TEST(every_good_file_has_the_values_that_the_reference_reads) {
  size_t lines, n = corpus_values("safetensors", &lines);
  printf("safetensors 0.8.0: %zu of %zu tensors compared\n", n, lines);
  ck_assert_uint_ge(n, getenv("MXQ_SHARED") ? lines : 60);
}
END_TEST

START_TEST(every_bad_file_is_refused_with_a_reason) {
  ck_assert_uint_ge(corpus_bad("safetensors"), 25);
}
END_TEST

START_TEST(every_verdict_of_the_full_set_holds) {
  size_t n = corpus_labels("safetensors");
  if (getenv("MXQ_SHARED"))
    ck_assert_uint_eq(n, 200);
}
END_TEST

/* A file of a header and n bytes of data, from memory. */
static enum mxq_status open_text(const char *header, size_t n, const struct mxq_read_options *options, mxq_reader **r) {
  static unsigned char bytes[1 << 16];
  size_t h = strlen(header);
  ck_assert_uint_le(8 + h + n, sizeof bytes);
  memset(bytes, 0, sizeof bytes);
  bytes[0] = (unsigned char)h;
  bytes[1] = (unsigned char)(h >> 8);
  memcpy(bytes + 8, header, h);
  for (size_t i = 0; i < n; i++)
    bytes[8 + h + i] = (unsigned char)i;
  struct mxq_source source;
  mxq_source_from_memory(bytes, 8 + h + n, &source);
  return mxq_reader_open_source(&source, options, r, &err);
}

static void refused(const char *header, size_t n, uint64_t offset, const char *text) {
  mxq_reader *r;
  ck_assert_int_eq(open_text(header, n, NULL, &r), MXQ_ERR_MALFORMED);
  ck_assert_ptr_null(r);
  ck_assert_str_eq(err.text, text);
  ck_assert_uint_eq(err.offset, offset);
}

START_TEST(a_refusal_names_the_tensor_the_numbers_and_the_byte) {
  refused("{\"h.0.attn.w\":{\"dtype\":\"F32\",\"shape\":[32,32],\"data_offsets\":[0,4096]}}", 4000, 8 + 60,
          "tensor 'h.0.attn.w': data_offsets end 4096 > data size 4000 (byte 60 of the header)");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,4]}}", 4, 8 + 46,
          "tensor 'a': dtype U8 and shape take 3 bytes, data_offsets give 4 (byte 46 of the header)");
  refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 5, 8 + 53 + 4,
          "the last 1 bytes of the file belong to no tensor (data ends at byte 65 of 66)");
  refused("{\"a\":{\"dtype\":\"U7\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, 8 + 14, "tensor 'a': there is no dtype 'U7' (byte 14 of the header)");
}
END_TEST

START_TEST(limits_are_options) {
  static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}";
  mxq_reader *r;
  struct mxq_read_options one = {.max_tensors = 1}, small = {.max_text = 100}, enough = {.max_tensors = 2, .max_text = sizeof header};
  ck_assert_int_eq(open_text(header, 2, &one, &r), MXQ_ERR_LIMIT);
  ck_assert_int_eq(open_text(header, 2, &small, &r), MXQ_ERR_LIMIT);
  ck_assert_int_eq(open_text(header, 2, &enough, &r), MXQ_OK);
  ck_assert_uint_eq(mxq_reader_count(r), 2);
  mxq_reader_close(r);
}
END_TEST

START_TEST(tensors_come_in_the_headers_order_and_metadata_is_delivered) {
  mxq_reader *r;
  ck_assert_int_eq(open_text("{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]},\"__metadata__\":{\"k\":\"v\",\"\":\"\\u00e9\"},"
                             "\"a\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,1]}}",
                             3, NULL, &r),
                   MXQ_OK);
  ck_assert_uint_eq(mxq_reader_count(r), 2);
  ck_assert_str_eq(mxq_reader_tensor(r, 0)->name, "b");
  ck_assert_str_eq(mxq_reader_tensor(r, 1)->name, "a");
  ck_assert_uint_eq(mxq_reader_find(r, "a"), 1);
  ck_assert_uint_eq(mxq_reader_find(r, "c"), SIZE_MAX);
  ck_assert_uint_eq(mxq_reader_tensor(r, 1)->elements, 1);
  const char *key, *value;
  ck_assert_uint_eq(mxq_reader_metadata_count(r), 2);
  mxq_reader_metadata(r, 0, &key, &value);
  ck_assert_str_eq(key, "k");
  ck_assert_str_eq(value, "v");
  mxq_reader_metadata(r, 1, &key, &value);
  ck_assert_str_eq(key, "");
  ck_assert_str_eq(value, "\xc3\xa9");
  /* In place too: the source is memory. */
  const void *data;
  ck_assert_int_eq(mxq_reader_in_place(r, 0, MXQ_PART_DATA, &data, &err), MXQ_OK);
  ck_assert_mem_eq(data, "\1\2", 2);
  char c;
  ck_assert_int_eq(mxq_reader_read(r, 0, MXQ_PART_DATA, 2, &c, 1, &err), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_reader_read(r, 0, MXQ_PART_DATA, UINT64_MAX, &c, 1, &err), MXQ_ERR_USAGE);
  ck_assert_int_eq(mxq_reader_read(r, 0, MXQ_PART_SCALES, 0, &c, 1, &err), MXQ_ERR_USAGE);
  mxq_reader_close(r);
}
END_TEST

static void copy_file(const char *from, const char *to, size_t most) {
  static char bytes[1 << 16];
  FILE *f = fopen(from, "rb"), *t = fopen(to, "wb");
  ck_assert(f && t);
  size_t n = fread(bytes, 1, sizeof bytes, f);
  ck_assert_uint_gt(n, 0);
  fwrite(bytes, 1, n < most ? n : most, t);
  fclose(f);
  fclose(t);
}

START_TEST(a_file_cut_anywhere_is_refused) {
  struct stat st;
  ck_assert_int_eq(stat("testdata/safetensors/good_reference.safetensors", &st), 0);
  for (off_t n = 0; n < st.st_size; n++) {
    struct mxq_verify_result result;
    copy_file("testdata/safetensors/good_reference.safetensors", in("cut.safetensors"), (size_t)n);
    ck_assert_int_eq(mxq_verify(in("cut.safetensors"), NULL, NULL, NULL, &result, &err), MXQ_OK);
    ck_assert_msg(result.findings == 1, "%d bytes", (int)n);
  }
}
END_TEST

/* ---- sharded ---- */

static const char *const shards[2] = {"good_sharded-00001-of-00002.safetensors", "good_sharded-00002-of-00002.safetensors"};

static void put_shards(void) {
  for (int i = 0; i < 2; i++) {
    char from[200];
    snprintf(from, sizeof from, "testdata/safetensors/%s", shards[i]);
    copy_file(from, in(shards[i]), SIZE_MAX);
  }
}

/* Writes an index that maps as the good one does, with one word replaced. */
static char *put_index(const char *word, const char *other) {
  static char text[4096], changed[4096];
  FILE *f = fopen("testdata/safetensors/good_sharded.safetensors.index.json", "rb");
  ck_assert_ptr_nonnull(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  char *at = strstr(text, word);
  ck_assert_ptr_nonnull(at);
  snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, other, at + strlen(word));
  f = fopen(in("m.safetensors.index.json"), "wb");
  fputs(changed, f);
  fclose(f);
  return in("m.safetensors.index.json");
}

static void index_refused(const char *path, enum mxq_status want, const char *part) {
  mxq_reader *r;
  ck_assert_msg(mxq_reader_open(path, NULL, &r, &err) == want, "wanted %d: %d %s", want, err.code, err.text);
  ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
  ck_assert(err.subject[0]);
}

START_TEST(an_index_opens_its_shards) {
  put_shards();
  mxq_reader *r;
  ck_assert_int_eq(mxq_reader_open(put_index("weight_map", "weight_map"), NULL, &r, &err), MXQ_OK);
  ck_assert_int_eq(mxq_reader_container(r), MXQ_SAFETENSORS_INDEX);
  ck_assert_uint_eq(mxq_reader_count(r), 14);
  ck_assert_uint_eq(mxq_reader_file_bytes(r), 547 + 557 + 858);
  const char *key, *value;
  ck_assert_uint_eq(mxq_reader_metadata_count(r), 2); /* the first shard's `part` stands */
  for (size_t i = 0; i < 2; i++) {
    mxq_reader_metadata(r, i, &key, &value);
    ck_assert_str_eq(value, strcmp(key, "part") == 0 ? "0" : "pt");
  }
  const void *data;
  ck_assert_int_eq(mxq_reader_in_place(r, 0, MXQ_PART_DATA, &data, &err), MXQ_OK);
  ck_assert_ptr_null(data);
  mxq_reader_close(r);
  struct mxq_verify_result result;
  ck_assert_int_eq(mxq_verify(in("m.safetensors.index.json"), NULL, NULL, NULL, &result, &err), MXQ_OK);
  ck_assert_uint_eq(result.findings, 0);
  ck_assert_uint_eq(result.tensors, 14);
}
END_TEST

START_TEST(an_index_reaches_only_plain_files_beside_it) {
  put_shards();
  static const char *const names[] = {"../x", "/etc/passwd", "sub/good", "..", ".", "", "a\\\\b", "a\\u0001b"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    index_refused(put_index(shards[0], names[i]), MXQ_ERR_MALFORMED, "the name of its shard");
  put_index("weight_map", "weight_map");
  ck_assert_int_eq(rename(in(shards[0]), in("elsewhere")), 0);
  index_refused(in("m.safetensors.index.json"), MXQ_ERR_IO, "No such file");
  ck_assert_int_eq(symlink("elsewhere", in(shards[0])), 0);
  index_refused(in("m.safetensors.index.json"), MXQ_ERR_IO, "symbolic link");
  unlink(in(shards[0]));
  ck_assert_int_eq(link(in("elsewhere"), in(shards[0])), 0);
  index_refused(in("m.safetensors.index.json"), MXQ_ERR_IO, "hard link");
  unlink(in(shards[0]));
  ck_assert_int_eq(mkdir(in(shards[0]), 0777), 0);
  index_refused(in("m.safetensors.index.json"), MXQ_ERR_IO, "directory");
}
END_TEST

START_TEST(an_index_and_its_shards_must_agree) {
  put_shards();
  index_refused(put_index("\"half\"", "\"other\""), MXQ_ERR_MALFORMED, "tensor 'half' is not in the index");
  index_refused(put_index("\"weight_map\": {", "\"weight_map\": {\"more\":\"good_sharded-00001-of-00002.safetensors\","), MXQ_ERR_MALFORMED,
                "tensor 'more' is not in shard");
  index_refused(put_index("\"half\": \"good_sharded-00002", "\"half\": \"good_sharded-00001"), MXQ_ERR_MALFORMED, "tensor 'half' should be in shard");
  index_refused(put_index("\"half\"", "\"z.f32\""), MXQ_ERR_MALFORMED, "");
  index_refused(put_index("\"weight_map\"", "\"weightmap\""), MXQ_ERR_MALFORMED, "weight_map");
  index_refused(put_index("\"weight_map\": {", "\"weight_map\": [{"), MXQ_ERR_MALFORMED, "");
  put_index("weight_map", "weight_map");
  ck_assert_int_eq(truncate(in(shards[1]), 500), 0);
  index_refused(in("m.safetensors.index.json"), MXQ_ERR_MALFORMED, "data size");
  ck_assert_ptr_nonnull(strstr(err.subject, shards[1]));
}
END_TEST

/* ---- size ---- */

enum { MILLION = 1000000 };

/* One byte or none each, names and offsets as long as real ones. */
static void put_million(const char *path) {
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  char frame[8] = {0};
  uint64_t n = 1;
  ck_assert_uint_eq(fwrite(frame, 1, 8, f), 8);
  for (int i = 0; i < MILLION; i++)
    n += (uint64_t)fprintf(f, "%s\"model.layers.%d.w\":{\"dtype\":\"U8\",\"shape\":[1,%d],\"data_offsets\":[%d,%d]}", i ? "," : "{", i,
                           i % 2, i / 2,
                           i / 2 + i % 2);
  fprintf(f, "}");
  for (int i = 0; i < MILLION / 2; i++)
    fputc(i, f);
  rewind(f);
  for (int i = 0; i < 8; i++)
    frame[i] = (char)(n >> (8 * i));
  fwrite(frame, 1, 8, f);
  ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_million_tensors_open_in_3_seconds_and_300_mb) {
  put_million(in("m.safetensors"));
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    struct mxq_read_options options = {.max_text = 200000000};
    mxq_reader *r;
    int rc = mxq_reader_open(in("m.safetensors"), &options, &r, &err) != MXQ_OK || mxq_reader_count(r) != MILLION ||
             mxq_reader_find(r, "model.layers.999999.w") != 999999;
    mxq_reader_close(r);
    _exit(rc);
  }
  struct timespec a, b;
  struct rusage usage;
  int how;
  clock_gettime(CLOCK_MONOTONIC, &a);
  ck_assert_int_eq(wait4(child, &how, 0, &usage), child);
  clock_gettime(CLOCK_MONOTONIC, &b);
  ck_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0);
  double seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
  printf("a million tensors: %.2f s, %ld MB\n", seconds, usage.ru_maxrss / 1000);
#ifndef SANITIZED
  ck_assert_double_le(seconds, 3);
  ck_assert_int_le(usage.ru_maxrss / 1000, 300);
#endif
}
END_TEST

int main(void) {
  Suite *s = suite_create("safetensors");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_set_timeout(t, 120);
  tcase_add_test(t, every_good_file_has_the_values_that_the_reference_reads);
  tcase_add_test(t, every_bad_file_is_refused_with_a_reason);
  tcase_add_test(t, every_verdict_of_the_full_set_holds);
  tcase_add_test(t, a_refusal_names_the_tensor_the_numbers_and_the_byte);
  tcase_add_test(t, limits_are_options);
  tcase_add_test(t, tensors_come_in_the_headers_order_and_metadata_is_delivered);
  tcase_add_test(t, a_file_cut_anywhere_is_refused);
  tcase_add_test(t, an_index_opens_its_shards);
  tcase_add_test(t, an_index_reaches_only_plain_files_beside_it);
  tcase_add_test(t, an_index_and_its_shards_must_agree);
  tcase_add_test(t, a_million_tensors_open_in_3_seconds_and_300_mb);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
