/* SPDX-License-Identifier: MIT */
/*
 * Faults in the I/O calls that the library makes: these definitions take the place of libc's. The call number `inject_at` (counted from 1 over all of them)
 * fails with `inject_errno`, or kills the process, or, where it writes, is cut short.
 */
#ifndef TESTS_FAULTS_INJECT_H
#define TESTS_FAULTS_INJECT_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { INJECT_KILL = -1, INJECT_SHORT = -2 };
static long inject_at, inject_calls;
static int inject_errno;
static bool inject_for_ever;       /* from that call on, not only once */
static const char *inject_only;    /* only calls of this name count, NULL: all */
static const char *inject_hit;     /* the call that was hit, NULL when none was */
static const char *inject_log[4096];
static size_t inject_logged;

static bool faulty(const char *call) {
  if (inject_logged < sizeof inject_log / sizeof *inject_log)
    inject_log[inject_logged++] = call;
  if (inject_at == 0 || (inject_only && strcmp(inject_only, call) != 0))
    return false;
  inject_calls++;
  if (inject_calls < inject_at || (inject_calls > inject_at && !inject_for_ever))
    return false;
  inject_hit = call;
  if (inject_errno == INJECT_KILL)
    kill(getpid(), SIGKILL);
  if (inject_errno == INJECT_SHORT)
    return false;
  errno = inject_errno;
  return true;
}

static size_t cut(size_t n) {
  bool now = inject_errno == INJECT_SHORT && inject_at && (inject_for_ever ? inject_calls >= inject_at : inject_calls == inject_at);
  return now && n > 1 ? n / 2 : n;
}

int openat(int dir, const char *path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list ap;
    va_start(ap, flags);
    mode = va_arg(ap, mode_t);
    va_end(ap);
  }
  return faulty("openat") ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}
ssize_t pwrite(int fd, const void *buf, size_t n, off_t at) {
  return faulty("pwrite") ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, buf, cut(n), at);
}
ssize_t pread(int fd, void *buf, size_t n, off_t at) {
  return faulty("pread") ? -1 : (ssize_t)syscall(SYS_pread64, fd, buf, cut(n), at);
}
int fsync(int fd) {
  return faulty("fsync") ? -1 : (int)syscall(SYS_fsync, fd);
}
int close(int fd) {
  bool bad = faulty("close");
  int e = errno, rc = (int)syscall(SYS_close, fd); /* a close that fails has closed all the same */
  if (bad)
    errno = e;
  return bad ? -1 : rc;
}
int renameat(int a, const char *from, int b, const char *to) {
  return faulty("renameat") ? -1 : (int)syscall(SYS_renameat2, a, from, b, to, 0u);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  return faulty("renameat2") ? -1 : (int)syscall(SYS_renameat2, a, from, b, to, flags);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
  return faulty("linkat") ? -1 : (int)syscall(SYS_linkat, a, from, b, to, flags);
}
int fchmod(int fd, mode_t mode) {
  return faulty("fchmod") ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}
int flock(int fd, int how) {
  return faulty("flock") ? -1 : (int)syscall(SYS_flock, fd, how);
}

#endif
