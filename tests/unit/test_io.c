/* SPDX-License-Identifier: MIT */
/* Sources, the memory sink, and what lib/io offers besides. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io/io.h"

static char dir[64];
static struct mxq_error err;

static char *in(const char *name) {
  static char path[4][512];
  static int turn;
  char *p = path[turn++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", dir, name);
  return p;
}
static void setup(void) {
  memset(&err, 0, sizeof err);
  snprintf(dir, sizeof dir, "/tmp/mxq-io-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
}
static void teardown(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
}
static void put(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  fputs(text, f);
  fclose(f);
}

START_TEST(a_file_gives_its_bytes_at_random) {
  struct mxq_source s;
  char got[8] = "";
  put(in("a"), "0123456789");
  ck_assert_int_eq(mxq_source_open_file(in("a"), &s, &err), MXQ_OK);
  ck_assert_uint_eq(s.size, 10);
  ck_assert_str_eq(s.name, in("a"));
  ck_assert_int_eq(s.read_at(s.ctx, 7, got, 3, &err), MXQ_OK);
  ck_assert_str_eq(got, "789");
  ck_assert_int_eq(s.read_at(s.ctx, 10, got, 0, &err), MXQ_OK);
  ck_assert(!s.map || !s.map(s.ctx));
  mxq_source_close(&s);
  ck_assert_ptr_null(s.ctx);
  mxq_source_close(&s);
}
END_TEST

START_TEST(a_mapped_file_and_memory_are_there_in_place) {
  struct mxq_source s;
  char got[4] = "";
  put(in("a"), "0123456789");
  ck_assert_int_eq(mxq_source_open_mmap(in("a"), &s, &err), MXQ_OK);
  ck_assert_mem_eq(s.map(s.ctx), "0123456789", 10);
  ck_assert_int_eq(s.read_at(s.ctx, 1, got, 3, &err), MXQ_OK);
  ck_assert_str_eq(got, "123");
  mxq_source_close(&s);
  put(in("empty"), "");
  ck_assert_int_eq(mxq_source_open_mmap(in("empty"), &s, &err), MXQ_OK);
  ck_assert_uint_eq(s.size, 0);
  ck_assert_ptr_nonnull(s.map(s.ctx));
  mxq_source_close(&s);
  mxq_source_from_memory("abc", 3, &s);
  ck_assert_mem_eq(s.map(s.ctx), "abc", 3);
  ck_assert_int_eq(s.read_at(s.ctx, 2, got, 1, &err), MXQ_OK);
  ck_assert_int_eq(got[0], 'c');
  mxq_source_close(&s);
}
END_TEST

START_TEST(a_file_cut_short_while_it_is_read_is_an_error_and_no_signal) {
  for (int mapped = 0; mapped < 2; mapped++) {
    struct mxq_source s;
    char got[10];
    put(in("a"), "0123456789");
    ck_assert_int_eq(mapped ? mxq_source_open_mmap(in("a"), &s, &err) : mxq_source_open_file(in("a"), &s, &err), MXQ_OK);
    ck_assert_int_eq(truncate(in("a"), 4), 0);
    ck_assert_int_eq(s.read_at(s.ctx, 0, got, 10, &err), MXQ_ERR_IO);
    ck_assert_uint_eq(err.offset, 4);
    ck_assert_str_eq(err.subject, in("a"));
    ck_assert_ptr_nonnull(strstr(err.text, "shorter"));
    mxq_source_close(&s);
  }
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused_without_waiting) {
  struct mxq_source s;
  ck_assert_int_eq(mxq_source_open_file(in("missing"), &s, &err), MXQ_ERR_IO);
  ck_assert_int_eq(err.sys_errno, ENOENT);
  ck_assert_str_eq(err.subject, in("missing"));
  ck_assert_int_eq(mxq_source_open_file(dir, &s, &err), MXQ_ERR_IO);
  ck_assert_int_eq(err.sys_errno, EISDIR);
  ck_assert_int_eq(mkfifo(in("pipe"), 0666), 0);
  ck_assert_int_eq(mxq_source_open_file(in("pipe"), &s, &err), MXQ_ERR_IO);
  ck_assert_ptr_nonnull(strstr(err.text, "a pipe"));
  ck_assert_int_eq(mxq_source_open_file("/dev/null", &s, &err), MXQ_ERR_IO);
  ck_assert_ptr_nonnull(strstr(err.text, "a device"));
}
END_TEST

START_TEST(a_file_beside_another_is_opened_but_no_link_is_followed) {
  struct mxq_source s;
  put(in("shard"), "data");
  ck_assert_int_eq(mxq_source_open_beside(in("index"), "shard", &s, &err), MXQ_OK);
  ck_assert_uint_eq(s.size, 4);
  ck_assert_str_eq(s.name, in("shard"));
  mxq_source_close(&s);
  ck_assert_int_eq(symlink("shard", in("soft")), 0);
  ck_assert_int_eq(mxq_source_open_beside(in("index"), "soft", &s, &err), MXQ_ERR_IO);
  ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
  ck_assert_str_eq(err.subject, in("soft"));
  ck_assert_int_eq(link(in("shard"), in("hard")), 0);
  ck_assert_int_eq(mxq_source_open_beside(in("index"), "hard", &s, &err), MXQ_ERR_IO);
  ck_assert_ptr_nonnull(strstr(err.text, "hard link"));
  ck_assert_int_eq(mxq_source_open_beside(in("index"), "missing", &s, &err), MXQ_ERR_IO);
  ck_assert_int_eq(err.sys_errno, ENOENT);
  int home = open(".", O_RDONLY);
  ck_assert_int_eq(chdir(dir), 0);
  unlink("hard");
  ck_assert_int_eq(mxq_source_open_beside("index", "shard", &s, &err), MXQ_OK);
  mxq_source_close(&s);
  ck_assert_int_eq(fchdir(home), 0);
  close(home);
}
END_TEST

START_TEST(a_memory_sink_grows_and_fills_gaps_with_zeros) {
  struct mxq_sink sink;
  void *data;
  size_t size;
  char got[4];
  ck_assert_int_eq(mxq_sink_to_memory(&data, &size, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 100000, "end", 3, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 2, "begin", 5, &err), MXQ_OK);
  ck_assert_int_eq(sink.read_at(sink.ctx, 99999, got, 4, &err), MXQ_OK);
  ck_assert_mem_eq(got, "\0end", 4);
  ck_assert_int_eq(sink.write_at(sink.ctx, UINT64_MAX - 2, "x", 1, &err), MXQ_ERR_NOMEM);
  ck_assert_int_eq(sink.commit(sink.ctx, &err), MXQ_OK);
  ck_assert_uint_eq(size, 100003);
  ck_assert_mem_eq(data, "\0\0begin\0", 8);
  for (size_t i = 7; i < 100000; i++)
    if (((char *)data)[i])
      ck_abort_msg("byte %zu is not zero", i);
  free(data);
  ck_assert_int_eq(mxq_sink_to_memory(&data, &size, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 0, "x", 1, &err), MXQ_OK);
  sink.abort(sink.ctx);
  ck_assert_ptr_null(data);
  ck_assert_uint_eq(size, 0);
  ck_assert_int_eq(mxq_sink_to_memory(&data, &size, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.commit(sink.ctx, &err), MXQ_OK);
  ck_assert_ptr_nonnull(data);
  ck_assert_uint_eq(size, 0);
  free(data);
}
END_TEST

START_TEST(utf8_is_told_from_what_only_looks_like_it) {
  static const char *const good[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
  static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf",
                                    "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82\x41", "\xf0\x90\x80\x41"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    ck_assert_msg(mxq_utf8_valid(good[i], strlen(good[i])), "good %zu", i);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_msg(!mxq_utf8_valid(bad[i], strlen(bad[i])), "bad %zu", i);
}
END_TEST

START_TEST(names_in_messages_are_cut_between_characters) {
  char name[400];
  ck_assert_int_eq(mxq_clip("short"), 5);
  for (size_t i = 0; i + 2 < sizeof name; i += 3)
    memcpy(name + i, "\xe2\x82\xac", 4);
  int n = mxq_clip(name);
  ck_assert_int_le(n, 200);
  ck_assert_int_ge(n, 198);
  ck_assert(mxq_utf8_valid(name, (size_t)n));
}
END_TEST

int main(void) {
  Suite *s = suite_create("sources and the memory sink");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, a_file_gives_its_bytes_at_random);
  tcase_add_test(t, a_mapped_file_and_memory_are_there_in_place);
  tcase_add_test(t, a_file_cut_short_while_it_is_read_is_an_error_and_no_signal);
  tcase_add_test(t, what_is_no_regular_file_is_refused_without_waiting);
  tcase_add_test(t, a_file_beside_another_is_opened_but_no_link_is_followed);
  tcase_add_test(t, a_memory_sink_grows_and_fills_gaps_with_zeros);
  tcase_add_test(t, utf8_is_told_from_what_only_looks_like_it);
  tcase_add_test(t, names_in_messages_are_cut_between_characters);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
