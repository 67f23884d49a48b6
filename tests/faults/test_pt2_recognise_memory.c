/* SPDX-License-Identifier: MIT */
/* Opening archives with recognised weights while each allocation in turn fails: a clean status, nothing lost, and never open without the weight. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <mxq/archive.h>

#include "tests/faults/allocations.h"

#if OWN_MALLOC
static const char *const files[] = {"fp4_table.pt2", "fp6_word.pt2", "fp8_in_place.pt2", "torchao_mxfp4_float32.pt2", "torchao_mxfp6_e2m3_bfloat16_core.pt2",
                                    "not_the_table.pt2"};

static enum mxq_status open_one(const char *file, long at, bool ever, size_t *recognised, struct mxq_error *err) {
  char path[200];
  mxq_reader *r;
  snprintf(path, sizeof path, "testdata/pt2/decoders/%s", file);
  memset(err, 0, sizeof *err);
  *recognised = 0;
  watch_allocations(at, ever);
  enum mxq_status status = mxq_reader_open(path, NULL, &r, err);
  if (status == MXQ_OK) {
    for (size_t i = 0; i < mxq_reader_count(r); i++)
      *recognised += mxq_reader_tensor(r, i)->recognised;
    mxq_reader_close(r);
  }
  watching = false;
  return status;
}

START_TEST(each_allocation_may_fail) {
  struct mxq_error err;
  size_t found, all = files[_i][0] != 'n';
  ck_assert_int_eq(open_one(files[_i], 0, false, &found, &err), MXQ_OK); /* libraries set themselves up once */
  ck_assert_uint_eq(found, all);
  for (int ever = 0; ever < 2; ever++) {
    long failed = 0;
    for (long at = 1;; at++) {
      enum mxq_status status = open_one(files[_i], at, ever, &found, &err);
      if (live)
        status = open_one(files[_i], at, ever, &found, &err);
      ck_assert_msg(live == 0, "%s, allocation %ld: %ld blocks are lost", files[_i], at, live);
      ck_assert_msg(status == MXQ_OK || status == MXQ_ERR_NOMEM, "%s, allocation %ld: status %d (%s)", files[_i], at, status, err.text);
      ck_assert_msg(status != MXQ_OK || found == all, "%s, allocation %ld: the weight is not found", files[_i], at);
      failed += status == MXQ_ERR_NOMEM;
      if (calls < at)
        break;
    }
    ck_assert_int_gt(failed, 40);
  }
}
END_TEST
#endif

int main(void) {
  return RUN_ALLOCATION_TESTS("recognised weights, memory", each_allocation_may_fail, sizeof files / sizeof *files);
}
