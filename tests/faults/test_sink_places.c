/* SPDX-License-Identifier: MIT */
/* The file sink: where it writes, and what it refuses. */
#include "tests/faults/sink.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

START_TEST(an_existing_file_is_replaced_only_when_asked) {
  put(in("a"), "old");
  fails(save(in("a"), false, "new"), MXQ_ERR_EXISTS, 0, in("a"));
  holds(in("a"), "old");
  ck_assert_int_eq(save(in("a"), true, "new"), MXQ_OK);
  holds(in("a"), "new");
  ck_assert_uint_eq(files(), 1);
}
END_TEST

START_TEST(a_file_that_appears_meanwhile_is_not_replaced) {
  struct mxq_sink sink;
  ck_assert_int_eq(mxq_sink_open_file(in("a"), NULL, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 0, "new", 3, &err), MXQ_OK);
  put(in("a"), "theirs");
  fails(sink.commit(sink.ctx, &err), MXQ_ERR_EXISTS, 0, in("a"));
  holds(in("a"), "theirs");
  ck_assert_uint_eq(files(), 1);
}
END_TEST

START_TEST(permissions_follow_the_umask_or_the_file_that_is_replaced) {
  struct stat st;
  umask(027);
  ck_assert_int_eq(save(in("a"), false, "x"), MXQ_OK);
  ck_assert_int_eq(stat(in("a"), &st), 0);
  ck_assert_int_eq(st.st_mode & 07777, 0640);
  ck_assert_int_eq(chmod(in("a"), 0606), 0);
  ck_assert_int_eq(save(in("a"), true, "y"), MXQ_OK);
  ck_assert_int_eq(stat(in("a"), &st), 0);
  ck_assert_int_eq(st.st_mode & 07777, 0606);
}
END_TEST

START_TEST(a_symbolic_link_stays_and_its_target_is_written) {
  struct stat st;
  ck_assert_int_eq(mkdir(in("sub"), 0777), 0);
  put(in("sub/real"), "old");
  ck_assert_int_eq(symlink("sub/real", in("link")), 0);
  ck_assert_int_eq(save(in("link"), true, "new"), MXQ_OK);
  holds(in("sub/real"), "new");
  ck_assert_int_eq(lstat(in("link"), &st), 0);
  ck_assert(S_ISLNK(st.st_mode));
  /* Also one that leads to nothing yet. */
  ck_assert_int_eq(symlink("sub/later", in("dangling")), 0);
  ck_assert_int_eq(save(in("dangling"), false, "first"), MXQ_OK);
  holds(in("sub/later"), "first");
  ck_assert_int_eq(symlink("loop", in("loop")), 0);
  fails(save(in("loop"), true, "x"), MXQ_ERR_WRITE, ELOOP, in("loop"));
}
END_TEST

START_TEST(a_full_device_says_so) {
  fails(save("/dev/full", true, "x"), MXQ_ERR_WRITE, ENOSPC, "/dev/full");
  ck_assert_int_eq(save("/dev/null", false, "x"), MXQ_OK);
}
END_TEST

START_TEST(a_pipe_is_written_in_order_and_only_so) {
  ck_assert_int_eq(mkfifo(in("pipe"), 0666), 0);
  int reader = open(in("pipe"), O_RDONLY | O_NONBLOCK);
  ck_assert_int_eq(save(in("pipe"), false, "through"), MXQ_OK);
  char got[16] = "";
  ck_assert_int_eq(read(reader, got, sizeof got), 7);
  ck_assert_str_eq(got, "through");
  struct mxq_sink sink;
  ck_assert_int_eq(mxq_sink_open_file(in("pipe"), NULL, &sink, &err), MXQ_OK);
  ck_assert_int_eq(sink.write_at(sink.ctx, 0, "abc", 3, &err), MXQ_OK);
  fails(sink.write_at(sink.ctx, 0, "x", 1, &err), MXQ_ERR_WRITE, ESPIPE, in("pipe"));
  sink.abort(sink.ctx);
  close(reader);
}
END_TEST

START_TEST(what_is_no_place_for_a_file_is_refused_with_its_reason) {
  ck_assert_int_eq(mkdir(in("d"), 0777), 0);
  put(in("file"), "x");
  fails(save(in("d"), true, "x"), MXQ_ERR_WRITE, EISDIR, in("d"));
  fails(save(in("d/"), true, "x"), MXQ_ERR_WRITE, EISDIR, in("d/"));
  fails(save(in("new/"), true, "x"), MXQ_ERR_WRITE, EISDIR, in("new/"));
  fails(save(in("missing/a"), true, "x"), MXQ_ERR_WRITE, ENOENT, in("missing/a"));
  fails(save(in("file/a"), true, "x"), MXQ_ERR_WRITE, ENOTDIR, in("file/a"));
  fails(save("", true, "x"), MXQ_ERR_WRITE, ENOENT, "");
  fails(save("/proc/mxq", true, "x"), MXQ_ERR_WRITE, ENOENT, "/proc/mxq");
}
END_TEST

static int save_where_nobody_may(void) {
  if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
    return 77;
  return save(in("locked/a"), true, "x") == MXQ_ERR_WRITE && err.sys_errno == EACCES && strcmp(err.subject, in("locked/a")) == 0 ? 0 : 1;
}

START_TEST(a_folder_that_may_not_be_written_is_refused) {
  ck_assert_int_eq(chmod(dir, 0755), 0);
  ck_assert_int_eq(mkdir(in("locked"), 0555), 0);
  int rc = apart(save_where_nobody_may);
  ck_assert(rc == 0 || rc == 77);
}
END_TEST

/* 64 KiB of tmpfs over dir, seen by this process alone. */
static int save_on_a_small_disk(void) {
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("tmpfs", dir, "tmpfs", 0, "size=64k") != 0)
    return 77;
  struct mxq_file_sink_options options = {.replace = true, .expected_size = 1 << 20};
  struct mxq_sink sink;
  put(in("a"), "old");
  /* Said at once when the size is known ... */
  if (mxq_sink_open_file(in("a"), &options, &sink, &err) != MXQ_ERR_WRITE || err.sys_errno != ENOSPC || !strstr(err.text, "1048576"))
    return 1;
  /* ... and when the disk is full, where it was not. */
  options.expected_size = 0;
  if (mxq_sink_open_file(in("a"), &options, &sink, &err) != MXQ_OK)
    return 2;
  static char piece[1 << 20];
  enum mxq_status s = MXQ_OK;
  for (uint64_t at = 0; at < 4 << 20 && s == MXQ_OK; at += sizeof piece)
    s = sink.write_at(sink.ctx, at, piece, sizeof piece, &err);
  if (s != MXQ_ERR_WRITE || err.sys_errno != ENOSPC || strcmp(err.subject, in("a")) != 0)
    return 3;
  /* Nobody gets a part of it, even by mistake. */
  if (sink.commit(sink.ctx, &err) != MXQ_ERR_WRITE || files() != 1)
    return 4;
  holds(in("a"), "old");
  options.expected_size = 100;
  return mxq_sink_open_file(in("a"), &options, &sink, &err) == MXQ_OK && sink.commit(sink.ctx, &err) == MXQ_OK ? 0 : 5;
}

START_TEST(a_full_disk_is_reported_and_loses_nothing) {
  int rc = apart(save_on_a_small_disk);
  ck_assert_msg(rc == 0 || rc == 77, "step %d", rc);
}
END_TEST

static int save_beyond_the_limit_of_files(void) {
  struct rlimit limit = {100000, 100000};
  signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
    return 77;
  struct mxq_sink sink;
  static char piece[200000];
  if (mxq_sink_open_file(in("a"), NULL, &sink, &err) != MXQ_OK || sink.write_at(sink.ctx, 0, piece, sizeof piece, &err) != MXQ_OK)
    return 1;
  return sink.commit(sink.ctx, &err) == MXQ_ERR_WRITE && err.sys_errno == EFBIG && files() == 0 ? 0 : 2;
}

START_TEST(a_limit_on_the_size_of_files_is_reported) {
  int rc = apart(save_beyond_the_limit_of_files);
  ck_assert_msg(rc == 0 || rc == 77, "step %d", rc);
}
END_TEST

START_TEST(the_longest_names_work) {
  char name[256];
  memset(name, 'n', 255);
  name[255] = 0;
  ck_assert_int_eq(save(in(name), false, "x"), MXQ_OK);
  holds(in(name), "x");
  ck_assert_uint_eq(files(), 1);
}
END_TEST

int main(void) {
  Suite *s = suite_create("places of the file sink");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, an_existing_file_is_replaced_only_when_asked);
  tcase_add_test(t, a_file_that_appears_meanwhile_is_not_replaced);
  tcase_add_test(t, permissions_follow_the_umask_or_the_file_that_is_replaced);
  tcase_add_test(t, a_symbolic_link_stays_and_its_target_is_written);
  tcase_add_test(t, a_full_device_says_so);
  tcase_add_test(t, a_pipe_is_written_in_order_and_only_so);
  tcase_add_test(t, what_is_no_place_for_a_file_is_refused_with_its_reason);
  tcase_add_test(t, a_folder_that_may_not_be_written_is_refused);
  tcase_add_test(t, a_full_disk_is_reported_and_loses_nothing);
  tcase_add_test(t, a_limit_on_the_size_of_files_is_reported);
  tcase_add_test(t, the_longest_names_work);
  return run_tests(s);
}
