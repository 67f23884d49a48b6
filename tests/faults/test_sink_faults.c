/* SPDX-License-Identifier: MIT */
/* Saving a file while the system fails, at each call in turn. */
#include "tests/faults/inject.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <mxq/io.h>

enum { SIZE = 3000000 };
static char dir[64], target[96];
static unsigned char old_bytes[1000], new_bytes[SIZE];

static void setup(void) {
  snprintf(dir, sizeof dir, "/tmp/mxq-faults-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(target, sizeof target, "%s/out", dir);
  for (size_t i = 0; i < SIZE; i++)
    new_bytes[i] = (unsigned char)(i * 7 + i / 251);
  memset(old_bytes, 'o', sizeof old_bytes);
}

static unsigned files(void) {
  unsigned n = 0;
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));)
    n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
  closedir(d);
  return n;
}

static unsigned descriptors(void) {
  unsigned n = 0;
  DIR *d = opendir("/proc/self/fd");
  for (struct dirent *e; d && (e = readdir(d));)
    n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static void teardown(void) {
  inject_at = 0;
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
}

static void put_old(void) {
  FILE *f = fopen(target, "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(old_bytes, 1, sizeof old_bytes, f), sizeof old_bytes);
  ck_assert_int_eq(fclose(f), 0);
}

/* 'o' old, 'n' new, '-' not there, '?' anything else. */
static char state(void) {
  static unsigned char got[SIZE + 1];
  FILE *f = fopen(target, "rb");
  if (!f)
    return '-';
  size_t n = fread(got, 1, sizeof got, f);
  fclose(f);
  return n == sizeof old_bytes && memcmp(got, old_bytes, n) == 0 ? 'o' : n == SIZE && memcmp(got, new_bytes, n) == 0 ? 'n' : '?';
}

/* Small pieces, one of them read back, one patched late: as a zip is written. */
static enum mxq_status save(bool replace, struct mxq_error *err) {
  struct mxq_file_sink_options options = {.replace = replace, .expected_size = SIZE};
  struct mxq_sink sink;
  enum mxq_status s = mxq_sink_open_file(target, &options, &sink, err);
  if (s != MXQ_OK)
    return s;
  static const unsigned char wrong[16];
  s = sink.write_at(sink.ctx, 0, wrong, sizeof wrong, err);
  for (size_t at = 16; at < SIZE && s == MXQ_OK;) {
    size_t n = SIZE - at < 8192 ? SIZE - at : 8192;
    s = sink.write_at(sink.ctx, at, new_bytes + at, n, err);
    at += n;
  }
  if (s == MXQ_OK)
    s = sink.write_at(sink.ctx, 0, new_bytes, 16, err);
  unsigned char back[100];
  if (s == MXQ_OK)
    s = sink.read_at(sink.ctx, 2000000, back, sizeof back, err);
  if (s == MXQ_OK)
    ck_assert_mem_eq(back, new_bytes + 2000000, sizeof back);
  if (s == MXQ_OK)
    return sink.commit(sink.ctx, err);
  sink.abort(sink.ctx);
  return s;
}

static long calls_of_a_save(bool replace) {
  inject_calls = 0;
  inject_at = 1000000;
  ck_assert_int_eq(save(replace, NULL), MXQ_OK);
  inject_at = 0;
  return inject_calls;
}

START_TEST(each_call_that_fails_is_reported_and_the_old_file_stays_whole) {
  static const int errors[] = {EIO, ENOSPC, EDQUOT};
  for (int replace = 0; replace < 2; replace++) {
    unlink(target);
    long most = calls_of_a_save(replace);
    ck_assert_int_gt(most, 8);
    for (size_t e = 0; e < 3; e++) {
      for (int for_ever = 0; for_ever < 2; for_ever++) {
        for (long n = 1; n <= most; n++) {
          if (replace)
            put_old();
          else
            unlink(target);
          unsigned open_before = descriptors();
          struct mxq_error err = {0};
          inject_calls = 0;
          inject_hit = NULL;
          inject_for_ever = for_ever;
          inject_errno = errors[e];
          inject_at = n;
          enum mxq_status s = save(replace, &err);
          inject_at = 0;
          ck_assert_uint_eq(descriptors(), open_before);
          char got = state();
          if (s == MXQ_OK) { /* only what does not matter may fail silently: the sweep of leftovers, the lock */
            ck_assert_msg(got == 'n', "call %ld (%s) is lost", n, inject_hit);
            ck_assert_msg(strcmp(inject_hit, "pwrite") && strcmp(inject_hit, "fsync") && strncmp(inject_hit, "rename", 6), "%s", inject_hit);
          } else if (got == 'n') { /* the folder could not be synced: the error must say so */
            ck_assert_msg(strstr(err.text, "in its place") != NULL, "call %ld (%s): %s", n, inject_hit, err.text);
          } else {
            ck_assert_msg(got == (replace ? 'o' : '-'), "call %ld (%s): %c", n, inject_hit, got);
            ck_assert_int_eq(s, MXQ_ERR_WRITE);
            ck_assert_int_eq(err.sys_errno, errors[e]);
            ck_assert_str_eq(err.subject, target);
          }
          ck_assert_msg(files() == (got != '-'), "call %ld (%s) leaves a temporary file", n, inject_hit);
        }
      }
    }
  }
}
END_TEST

START_TEST(interrupted_calls_are_made_again) {
  long most = calls_of_a_save(true);
  for (long n = 1; n <= most; n++) {
    put_old();
    inject_calls = 0;
    inject_for_ever = false;
    inject_errno = EINTR;
    inject_hit = NULL;
    inject_at = n;
    struct mxq_error err = {0};
    enum mxq_status s = save(true, &err);
    inject_at = 0;
    if (strncmp(inject_hit, "rename", 6) == 0 || strcmp(inject_hit, "fchmod") == 0) /* these are never interrupted */
      continue;
    ck_assert_msg(s == MXQ_OK, "call %ld (%s): %s", n, inject_hit, err.text);
    ck_assert_int_eq(state(), 'n');
  }
}
END_TEST

START_TEST(short_reads_and_writes_are_continued) {
  put_old();
  inject_calls = 0;
  inject_errno = INJECT_SHORT;
  inject_for_ever = true;
  inject_at = 1;
  ck_assert_int_eq(save(true, NULL), MXQ_OK);
  inject_at = 0;
  ck_assert_int_eq(state(), 'n');
}
END_TEST

START_TEST(the_file_is_synced_before_it_gets_its_name_and_the_folder_after) {
  put_old();
  inject_logged = 0;
  ck_assert_int_eq(save(true, NULL), MXQ_OK);
  static const char *const order[] = {"pwrite", "fsync", "close", "renameat", "fsync", "close"};
  size_t last[6] = {0}, at = 0;
  for (size_t k = 0; k < 6; k++) {
    while (at < inject_logged && strcmp(inject_log[at], order[k]) != 0)
      at++;
    ck_assert_msg(at < inject_logged, "no %s after what must precede it", order[k]);
    last[k] = at++;
  }
  for (size_t i = last[1]; i < inject_logged; i++)
    ck_assert_msg(strcmp(inject_log[i], "pwrite") != 0, "written to after the sync");
}
END_TEST

/* Fails every call of that name, as file systems do that lack it. */
static void without(const char *call, int number, char want, bool file_appears) {
  unlink(target);
  inject_calls = 0;
  inject_only = call;
  inject_for_ever = true;
  inject_errno = number;
  inject_at = 1;
  struct mxq_error err = {0};
  struct mxq_sink sink;
  enum mxq_status s = mxq_sink_open_file(target, NULL, &sink, &err);
  ck_assert_msg(s == MXQ_OK, "%s", err.text);
  ck_assert_int_eq(sink.write_at(sink.ctx, 0, new_bytes, SIZE, &err), MXQ_OK);
  if (file_appears)
    put_old();
  s = sink.commit(sink.ctx, &err);
  inject_at = 0;
  inject_only = NULL;
  ck_assert_msg(s == (file_appears ? MXQ_ERR_EXISTS : MXQ_OK), "%s", err.text);
  ck_assert_int_eq(state(), want);
  ck_assert_uint_eq(files(), 1);
}

START_TEST(file_systems_that_lack_a_call_are_served_by_another) {
  for (int appears = 0; appears < 2; appears++) {
    without("renameat2", EINVAL, appears ? 'o' : 'n', appears);
    without("renameat2", ENOSYS, appears ? 'o' : 'n', appears);
    without("flock", ENOLCK, appears ? 'o' : 'n', appears);
  }
}
END_TEST

START_TEST(a_kill_at_any_call_leaves_old_or_new_and_the_next_save_clears_the_litter) {
  unsigned litter = 0;
  for (int replace = 0; replace < 2; replace++) {
    unlink(target);
    long most = calls_of_a_save(replace);
    for (long n = 1; n <= most; n++) {
      if (replace)
        put_old();
      else
        unlink(target);
      pid_t child = fork();
      ck_assert_int_ge(child, 0);
      if (child == 0) {
        inject_calls = 0;
        inject_errno = INJECT_KILL;
        inject_at = n;
        _exit(save(replace, NULL) == MXQ_OK ? 0 : 1);
      }
      int how;
      ck_assert_int_eq(waitpid(child, &how, 0), child);
      ck_assert_msg(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL, "call %ld was not reached", n);
      char got = state();
      ck_assert_msg(got == 'n' || got == (replace ? 'o' : '-'), "call %ld: %c", n, got);
      litter += files() - (got != '-');
      ck_assert_int_eq(save(true, NULL), MXQ_OK);
      ck_assert_msg(files() == 1, "call %ld: litter stays", n);
    }
  }
  ck_assert_uint_gt(litter, 10); /* else this test shows nothing */
}
END_TEST

int main(void) {
  Suite *s = suite_create("sink under faults");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_set_timeout(t, 120);
  tcase_add_test(t, each_call_that_fails_is_reported_and_the_old_file_stays_whole);
  tcase_add_test(t, interrupted_calls_are_made_again);
  tcase_add_test(t, short_reads_and_writes_are_continued);
  tcase_add_test(t, the_file_is_synced_before_it_gets_its_name_and_the_folder_after);
  tcase_add_test(t, file_systems_that_lack_a_call_are_served_by_another);
  tcase_add_test(t, a_kill_at_any_call_leaves_old_or_new_and_the_next_save_clears_the_litter);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
