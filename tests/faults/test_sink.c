/* SPDX-License-Identifier: MIT */
/* The file sink: what it writes, and when others see it. */
#include "tests/faults/sink.h"

START_TEST(a_file_is_there_only_after_commit) {
  struct mxq_sink sink;
  ck_assert_int_eq(mxq_sink_open_file(in("a"), NULL, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 0, "new", 3, &err), MXQ_OK);
  ck_assert_int_ne(access(in("a"), F_OK), 0);
  ck_assert_int_eq(sink.commit(sink.ctx, &err), MXQ_OK);
  holds(in("a"), "new");
  ck_assert_uint_eq(files(), 1);
}
END_TEST

START_TEST(abort_leaves_what_was_there_and_nothing_else) {
  put(in("a"), "old");
  struct mxq_sink sink;
  struct mxq_file_sink_options options = {.replace = true};
  ck_assert_int_eq(mxq_sink_open_file(in("a"), &options, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 0, "new", 3, &err), MXQ_OK);
  sink.abort(sink.ctx);
  holds(in("a"), "old");
  ck_assert_uint_eq(files(), 1);
}
END_TEST

START_TEST(writes_anywhere_give_the_bytes_of_a_plain_memory) {
  enum { MOST = 9000000 };
  unsigned char *model = calloc(1, MOST), *piece = malloc(3000000), *got = malloc(MOST);
  uint64_t size = 0, at = 0;
  struct mxq_sink sink;
  ck_assert_int_eq(mxq_sink_open_file(in("a"), NULL, &sink, &err), MXQ_OK);
  srand(7);
  for (int i = 0; i < 3000; i++) {
    size_t n = rand() % 40 == 0 ? (size_t)rand() % 2500000 : (size_t)rand() % 9000;
    if (rand() % 10 == 0) /* back, or a hole ahead */
      at = (uint64_t)rand() % (size + 70000);
    if (at + n > MOST)
      at = 0;
    memset(piece, 1 + rand() % 255, n);
    memcpy(model + at, piece, n);
    ck_assert_int_eq(sink.write_at(sink.ctx, at, piece, n, &err), MXQ_OK);
    at += n;
    size = n && at > size ? at : size;
    if (i % 500 == 0) {
      ck_assert_int_eq(sink.read_at(sink.ctx, 0, got, size, &err), MXQ_OK);
      ck_assert_int_eq(memcmp(got, model, size), 0);
    }
  }
  ck_assert_int_eq(sink.commit(sink.ctx, &err), MXQ_OK);
  struct mxq_source source;
  ck_assert_int_eq(mxq_source_open_file(in("a"), &source, &err), MXQ_OK);
  ck_assert_uint_eq(source.size, size);
  ck_assert_int_eq(source.read_at(source.ctx, 0, got, size, &err), MXQ_OK);
  ck_assert_int_eq(memcmp(got, model, size), 0);
  mxq_source_close(&source);
  free(model);
  free(piece);
  free(got);
}
END_TEST

static long write_calls(void) {
  long n = -1;
  char line[128];
  FILE *f = fopen("/proc/self/io", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "syscw: %ld", &n) == 1)
      break;
  if (f)
    fclose(f);
  return n;
}

START_TEST(many_small_writes_with_patches_of_headers_become_few_large_ones) {
  char piece[8192] = "x";
  struct mxq_sink sink;
  ck_assert_int_eq(mxq_sink_open_file(in("a"), NULL, &sink, &err), MXQ_OK);
  int failures = 0; /* counted, since an assertion of Check writes something itself */
  long before = write_calls();
  uint64_t at = 0;
  for (int member = 0; member < 8; member++) { /* as libzip writes a member: header, data, header once more */
    uint64_t header = at;
    failures += sink.write_at(sink.ctx, at, piece, 64, &err) != MXQ_OK;
    at += 64;
    for (int i = 0; i < 512; i++, at += sizeof piece)
      failures += sink.write_at(sink.ctx, at, piece, sizeof piece, &err) != MXQ_OK;
    failures += sink.write_at(sink.ctx, header, piece, 64, &err) != MXQ_OK;
  }
  failures += sink.commit(sink.ctx, &err) != MXQ_OK;
  long calls = write_calls() - before;
  ck_assert_int_eq(failures, 0);
  if (before >= 0)
    ck_assert_int_le(calls, 32 + 8 + 2); /* 32 MiB, 8 headers */
}
END_TEST

START_TEST(the_temporary_file_of_a_living_run_stays_and_that_of_a_dead_one_goes) {
  struct mxq_sink mine;
  ck_assert_int_eq(mxq_sink_open_file(in("a"), NULL, &mine, &err), MXQ_OK);
  ck_assert_int_eq(mine.write_at(mine.ctx, 0, "mine", 4, &err), MXQ_OK);
  put(in(".a.mxq-tmp.99999999.0"), "dead");
  put(in(".a.mxq-tmp.1.3"), "dead, though there is a process 1");
  put(in(".ab.mxq-tmp.99999999.0"), "of another file");
  put(in(".a.mxq-tmp.99999999.0x"), "not ours");
  ck_assert_int_eq(save(in("a"), false, "other"), MXQ_OK);
  ck_assert_uint_eq(files(), 4); /* a, the living one, and the two that are none of our business */
  ck_assert_int_ne(access(in(".a.mxq-tmp.99999999.0"), F_OK), 0);
  fails(mine.commit(mine.ctx, &err), MXQ_ERR_EXISTS, 0, in("a"));
  ck_assert_uint_eq(files(), 3);
}
END_TEST

/* Each version of the file is many times one letter. */
static enum mxq_status save_letters(char letter) {
  static char piece[20000];
  struct mxq_file_sink_options options = {.replace = true};
  struct mxq_sink sink;
  memset(piece, letter, sizeof piece);
  enum mxq_status s = mxq_sink_open_file(in("a"), &options, &sink, &err);
  for (int i = 0; s == MXQ_OK && i < 10 + letter % 7; i++)
    s = sink.write_at(sink.ctx, (uint64_t)i * sizeof piece, piece, sizeof piece, &err);
  return s == MXQ_OK ? sink.commit(sink.ctx, &err) : s;
}

/* Until the file says 'z': the number of mixed reads. */
static int read_letters(void) {
  static char got[400000];
  for (;;) {
    struct mxq_source source;
    if (mxq_source_open_file(in("a"), &source, &err) != MXQ_OK || source.size > sizeof got ||
        source.read_at(source.ctx, 0, got, source.size, &err) != MXQ_OK)
      return 1;
    for (uint64_t i = 0; i < source.size; i++)
      if (got[i] != got[0])
        return 2;
    if (source.size != (uint64_t)(10 + got[0] % 7) * 20000)
      return 3;
    mxq_source_close(&source);
    if (got[0] == 'z')
      return 0;
  }
}

START_TEST(readers_see_one_version_or_another_while_a_file_is_replaced) {
  pid_t readers[2];
  ck_assert_int_eq(save_letters('a'), MXQ_OK);
  for (int k = 0; k < 2; k++) {
    readers[k] = fork();
    ck_assert_int_ge(readers[k], 0);
    if (readers[k] == 0)
      _exit(read_letters());
  }
  int failures = 0;
  for (int i = 0; i < 500; i++)
    failures += save_letters((char)('a' + i % 25)) != MXQ_OK;
  ck_assert_int_eq(failures, 0);
  ck_assert_int_eq(save_letters('z'), MXQ_OK);
  for (int k = 0; k < 2; k++) {
    int how;
    ck_assert_int_eq(waitpid(readers[k], &how, 0), readers[k]);
    ck_assert(WIFEXITED(how));
    ck_assert_int_eq(WEXITSTATUS(how), 0);
  }
}
END_TEST

START_TEST(offsets_beyond_4_gib_are_exact) {
  const uint64_t far = (5ull << 30) + 3;
  struct mxq_sink sink;
  ck_assert_int_eq(mxq_sink_open_file(in("a"), NULL, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, far, "end", 3, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 0, "begin", 5, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 1ull << 32, "4G", 2, &err), MXQ_OK);
  ck_assert_int_eq(sink.commit(sink.ctx, &err), MXQ_OK);
  struct mxq_source source;
  char got[8] = "";
  ck_assert_int_eq(mxq_source_open_file(in("a"), &source, &err), MXQ_OK);
  ck_assert_uint_eq(source.size, far + 3);
  ck_assert_int_eq(source.read_at(source.ctx, far - 1, got, 4, &err), MXQ_OK);
  ck_assert_mem_eq(got, "\0end", 4);
  ck_assert_int_eq(source.read_at(source.ctx, (1ull << 32) - 1, got, 4, &err), MXQ_OK);
  ck_assert_mem_eq(got, "\0" "4G", 4);
  ck_assert_int_eq(source.read_at(source.ctx, 0, got, 5, &err), MXQ_OK);
  ck_assert_mem_eq(got, "begin", 5);
  mxq_source_close(&source);
  ck_assert_int_eq(mxq_sink_open_file(in("b"), NULL, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, UINT64_MAX - 1, "x", 1, &err), MXQ_ERR_WRITE);
  sink.abort(sink.ctx);
}
END_TEST

int main(void) {
  Suite *s = suite_create("file sink");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, a_file_is_there_only_after_commit);
  tcase_add_test(t, abort_leaves_what_was_there_and_nothing_else);
  tcase_add_test(t, writes_anywhere_give_the_bytes_of_a_plain_memory);
  tcase_add_test(t, many_small_writes_with_patches_of_headers_become_few_large_ones);
  tcase_add_test(t, the_temporary_file_of_a_living_run_stays_and_that_of_a_dead_one_goes);
  tcase_add_test(t, readers_see_one_version_or_another_while_a_file_is_replaced);
  tcase_add_test(t, offsets_beyond_4_gib_are_exact);
  return run_tests(s);
}
