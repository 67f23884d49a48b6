/* SPDX-License-Identifier: MIT */
/* A folder for each test of the file sink, and words to say what is in it. */
#ifndef TESTS_FAULTS_SINK_H
#define TESTS_FAULTS_SINK_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mxq/io.h>

static char dir[64];
static struct mxq_error err;

static inline char *in(const char *name) {
  static char path[4][512];
  static int turn;
  char *p = path[turn++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", dir, name);
  return p;
}

static inline void setup(void) {
  umask(022);
  memset(&err, 0, sizeof err);
  snprintf(dir, sizeof dir, "/tmp/mxq-sink-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
}
static inline void teardown(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
}

static inline unsigned files(void) {
  unsigned n = 0;
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));)
    n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
  closedir(d);
  return n;
}

static inline void put(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  fputs(text, f);
  fclose(f);
}
static inline void holds(const char *path, const char *text) {
  char got[256] = "";
  FILE *f = fopen(path, "rb");
  ck_assert_msg(f != NULL, "%s is missing", path);
  got[fread(got, 1, sizeof got - 1, f)] = 0;
  fclose(f);
  ck_assert_str_eq(got, text);
}

static inline enum mxq_status save(const char *path, bool replace, const char *text) {
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

static inline void fails(enum mxq_status s, enum mxq_status want, int number, const char *path) {
  ck_assert_msg(s == want, "status %d, wanted %d: %s", s, want, err.text);
  ck_assert_int_eq(err.code, want);
  ck_assert_int_eq(err.sys_errno, number);
  ck_assert_str_eq(err.subject, path);
  ck_assert_str_ne(err.text, "");
}

/* Runs in a child, so that what it does to the process ends with it; 77 = cannot be tried here. */
static inline int apart(int (*work)(void)) {
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    _exit(work());
  int how;
  ck_assert_int_eq(waitpid(child, &how, 0), child);
  ck_assert(WIFEXITED(how));
  return WEXITSTATUS(how);
}

static inline int run_tests(Suite *s) {
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}

#endif
