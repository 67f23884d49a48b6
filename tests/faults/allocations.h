/* SPDX-License-Identifier: MIT */
/*
 * Allocations that fail on demand, for a program that includes this once: libraries' allocations too. OWN_MALLOC is 0 where a sanitizer owns
 * malloc; such a program then has nothing to test.
 */
#ifndef TESTS_FAULTS_ALLOCATIONS_H
#define TESTS_FAULTS_ALLOCATIONS_H

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

#if OWN_MALLOC
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);

static long fail_at, calls, live;           /* the call to fail, counted from 1 (0: none); calls so far; blocks not freed */
static bool watching, resting, for_ever;    /* count at all; count blocks but let nothing fail; all calls behind fail_at fail too */

static bool fails(void) {
  if (!watching || resting)
    return false;
  calls++;
  if (fail_at && (calls == fail_at || (for_ever && calls > fail_at))) {
    errno = ENOMEM;
    return true;
  }
  return false;
}
/* Seen by shared libraries too, although everything here is built hidden. */
#pragma GCC visibility push(default)
void *malloc(size_t n) {
  void *p = fails() ? NULL : __libc_malloc(n);
  live += watching && p;
  return p;
}
void *calloc(size_t n, size_t size) {
  void *p = fails() ? NULL : __libc_calloc(n, size);
  live += watching && p;
  return p;
}
void *realloc(void *old, size_t n) {
  void *p = fails() ? NULL : __libc_realloc(old, n);
  live += watching && p && !old;
  return p;
}
void free(void *p) {
  live -= watching && p;
  __libc_free(p);
}
#pragma GCC visibility pop

/* The next calls are counted; the at-th fails, with all behind it when `ever` says so. at 0: none. */
static inline void watch_allocations(long at, bool ever) {
  fail_at = at;
  for_ever = ever;
  calls = live = 0;
  watching = true;
}
#endif

/* What main of such a program returns: `test` is run for 0 .. count - 1. */
#if OWN_MALLOC
#define RUN_ALLOCATION_TESTS(name, test, count) run_allocation_tests(name, test, (int)(count))
#else
#define RUN_ALLOCATION_TESTS(name, test, count) run_allocation_tests(name, NULL, 0)
#endif
static inline int run_allocation_tests(const char *name, const TTest *test, int count) {
  Suite *s = suite_create(name);
  TCase *c = tcase_create("memory");
  tcase_set_timeout(c, 240);
  if (test)
    tcase_add_loop_test(c, test, 0, count);
  else
    puts("a sanitizer owns malloc: its faults are not injected here");
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
#endif
