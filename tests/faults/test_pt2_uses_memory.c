/* SPDX-License-Identifier: MIT */
/* Listing a program and following its weights while each allocation in turn fails: a clean status, nothing leaked. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <mxq/program.h>

#include "tests/faults/allocations.h"

#if OWN_MALLOC
static const char *const files[] = {"branches", "decoded", "dynamic", "tied", "views"};

/* Opened in peace; only the program is asked for under watch. */
START_TEST(each_allocation_may_fail) {
  char path[100];
  long at = 1;
  snprintf(path, sizeof path, "testdata/pt2/programs/%s.pt2", files[_i]);
  for (;; at++) {
    struct mxq_error err = {0};
    mxq_reader *r;
    const mxq_program *p;
    calls = live = fail_at = 0;
    resting = watching = true;
    ck_assert_msg(mxq_reader_open(path, NULL, &r, &err) == MXQ_OK, "%s", err.text);
    resting = false;
    fail_at = at;
    enum mxq_status status = mxq_reader_program(r, &p, &err);
    resting = true;
    if (status != MXQ_OK) {
      ck_assert_int_eq(status, MXQ_ERR_NOMEM);
      ck_assert_int_eq(err.code, MXQ_ERR_NOMEM);
      ck_assert_ptr_null(p);
      ck_assert_int_eq(mxq_reader_program(r, &p, &err), MXQ_OK); /* and there is a second time */
    }
    ck_assert_ptr_nonnull(p);
    mxq_reader_close(r);
    watching = false;
    ck_assert_msg(live == 0, "%s, allocation %ld: %ld blocks are lost", files[_i], at, live);
    if (calls < at) {
      ck_assert_int_eq(status, MXQ_OK);
      break;
    }
    ck_assert_int_eq(status, MXQ_ERR_NOMEM);
  }
  ck_assert_int_gt(at, 10);
  printf("%s: each of %ld allocations failed\n", files[_i], at - 1);
}
END_TEST
#endif

int main(void) {
  return RUN_ALLOCATION_TESTS("pt2 uses memory", each_allocation_may_fail, sizeof files / sizeof *files);
}
