/* SPDX-License-Identifier: MIT */
/* Encoding along columns with statistics while each allocation in turn fails: a status, and nothing lost. */
#include <check.h>
#include <mxq/mxq.h>

#include "tests/faults/allocations.h"

#if OWN_MALLOC
static float source[70 * 40];
static uint8_t codes[40 * 3 * 32], scales[40 * 3], line_codes[70 * 2 * 32], line_scales[70 * 2];

START_TEST(each_allocation_of_columns_may_fail) {
  const struct mxq_columns shape = {.outer = 1, .k = 70, .inner = 40};
  long at = 1;
  for (;; at++) {
    struct mxq_stats stats[2] = {{0}, {0}};
    struct mxq_error err = {0};
    watch_allocations(at, _i == 1);
    enum mxq_status first = mxq_encode_columns(MXQ_MXFP8_E4M3, MXQ_F32, source, &shape, codes, scales, NULL, NULL, stats, &err);
    enum mxq_status both = mxq_encode_both(MXQ_MXFP8_E4M3, MXQ_F32, source, &shape, line_codes, line_scales, codes, scales, NULL, NULL, stats, &err);
    watching = false;
    ck_assert_msg(live == 0, "allocation %ld: %ld blocks are lost", at, live);
    if (calls < at) {
      ck_assert(first == MXQ_OK && both == MXQ_OK);
      break;
    }
    ck_assert(first == MXQ_ERR_NOMEM || both == MXQ_ERR_NOMEM);
    ck_assert(first == MXQ_OK || first == MXQ_ERR_NOMEM);
  }
  ck_assert_int_eq(at, 4);
}
END_TEST
#endif

int main(void) { return RUN_ALLOCATION_TESTS("columns, memory", each_allocation_of_columns_may_fail, 2); }
