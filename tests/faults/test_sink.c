/* SPDX-License-Identifier: MIT */
/* The file sink: what it writes, what it refuses, and what it leaves behind. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mxq/io.h>

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
  umask(022);
  memset(&err, 0, sizeof err);
  snprintf(dir, sizeof dir, "/tmp/mxq-sink-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
}
static void teardown(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
}

static unsigned files(void) {
  unsigned n = 0;
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));)
    n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
  closedir(d);
  return n;
}

static void put(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  fputs(text, f);
  fclose(f);
}
static void holds(const char *path, const char *text) {
  char got[256] = "";
  FILE *f = fopen(path, "rb");
  ck_assert_msg(f != NULL, "%s is missing", path);
  got[fread(got, 1, sizeof got - 1, f)] = 0;
  fclose(f);
  ck_assert_str_eq(got, text);
}

static enum mxq_status save(const char *path, bool replace, const char *text) {
  struct mxq_file_sink_options options = {.replace = replace};
  struct mxq_sink sink;
  enum mxq_status s = mxq_sink_open_file(path, &options, &sink, &err);
  if (s == MXQ_OK) {
    s = sink.write_at(sink.ctx, 0, text, strlen(text), &err);
    if (s == MXQ_OK)
      return sink.commit(sink.ctx, &err);
    sink.abort(sink.ctx);
  }
  return s;
}

static void fails(enum mxq_status s, enum mxq_status want, int number, const char *path) {
  ck_assert_msg(s == want, "status %d, wanted %d: %s", s, want, err.text);
  ck_assert_int_eq(err.code, want);
  ck_assert_int_eq(err.sys_errno, number);
  ck_assert_str_eq(err.subject, path);
  ck_assert_str_ne(err.text, "");
}

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

/* Runs in a child, so that what it does to the process ends with it; 77 = cannot be tried here. */
static int apart(int (*work)(void)) {
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    _exit(work());
  int how;
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  ck_assert(WIFEXITED(how));
  return WEXITSTATUS(how);
}

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

START_TEST(the_longest_names_work) {
  char name[256];
  memset(name, 'n', 255);
  name[255] = 0;
  ck_assert_int_eq(save(in(name), false, "x"), MXQ_OK);
  holds(in(name), "x");
  ck_assert_uint_eq(files(), 1);
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
  tcase_add_test(t, the_temporary_file_of_a_living_run_stays_and_that_of_a_dead_one_goes);
  tcase_add_test(t, the_longest_names_work);
  tcase_add_test(t, offsets_beyond_4_gib_are_exact);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
