/* SPDX-License-Identifier: MIT */
/* Keeping texts of several blocks, and reading them back, while each allocation in turn fails: told every time, and nothing lost. */
#include <check.h>
#include <string.h>

#include "formats/pt2/splice.h"
#include "tests/faults/allocations.h"

#if OWN_MALLOC
enum { PIECE = 1000, PIECES = 2000 };   /* several blocks */
static char source[2 * PIECES + 1], buf[PIECE];

/* False: out of memory. *wrong: something else was read than what was kept. */
static bool edit(bool *wrong) {
  struct mxq_pt2_splices s = {0};
  size_t size = 0, at = 0;
  for (uint32_t i = 0; i < PIECES; i++) {
    memset(buf, 'a' + (int)(i % 26), PIECE);
    mxq_pt2_splice(&s, (struct mxq_span){2 * i, 1}, buf, PIECE);
  }
  bool fine = mxq_pt2_splice_finish(&s, sizeof source - 1, &size);
  *wrong = fine && size != PIECES * (PIECE + 1);
  for (; fine && at < size; at += PIECE + 1) {
    char c, want[PIECE];
    fine = mxq_pt2_splice_read(&s, source, sizeof source - 1, at == 0, buf, PIECE) && mxq_pt2_splice_read(&s, source, sizeof source - 1, false, &c, 1);
    memset(want, 'a' + (int)(at / (PIECE + 1) % 26), PIECE);
    *wrong |= fine && (memcmp(buf, want, PIECE) || c != '.');
  }
  mxq_pt2_splice_free(&s);
  return fine;
}

START_TEST(each_allocation_of_kept_texts_may_fail) {
  memset(source, '.', sizeof source - 1);
  long at = 1, managed = 0;
  for (;; at++) {
    watch_allocations(at, _i == 1);
    bool wrong, fine = edit(&wrong);
    watching = false;
    ck_assert(!wrong);
    ck_assert_msg(live == 0, "allocation %ld: %ld blocks are lost", at, live);
    if (calls < at) {
      ck_assert(fine);
      break;
    }
    managed += fine;
  }
  ck_assert_int_le(managed, 1); /* qsort does without its buffer */
  ck_assert_int_gt(at, 15);
}
END_TEST
#endif

int main(void) { return RUN_ALLOCATION_TESTS("kept texts, memory", each_allocation_of_kept_texts_may_fail, 2); }
