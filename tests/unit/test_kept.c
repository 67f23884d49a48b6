/* SPDX-License-Identifier: MIT */
/* Texts that are kept for later: however many and however large they are, they read back as they were. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/splice.h"

enum { BLOCK = MXQ_PT2_KEPT_BLOCK, TEXTS = 3000 };

static uint32_t state;
static uint32_t any(uint32_t below) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % below;
}

/* Text number i: mostly alike, now and then noise that cannot be compressed, now and then more than a block. */
static size_t make(unsigned i, char *text) {
  size_t n = 0, most = i % 1000 == 999 ? 2 * BLOCK + 17 : i % 50 == 0 ? 20000 : 700;
  state = i;
  while (n < most - 64)
    if (i % 50 == 0)
      text[n++] = (char)any(256);
    else
      n += (size_t)sprintf(text + n, "{\"name\": \"layer_%u_weight\", \"size\": %u}", i, any(8));
  return n;
}

START_TEST(what_is_kept_reads_back_as_it_was_in_any_order) {
  struct mxq_pt2_kept_texts *texts = NULL;
  struct mxq_pt2_kept *kept = malloc(TEXTS * sizeof *kept);
  char *want = malloc(3 * BLOCK), *got = malloc(3 * BLOCK);
  size_t all = 0;
  for (unsigned i = 0; i < TEXTS; i++) {
    size_t n = make(i, want);
    ck_assert(mxq_pt2_kept_add(&texts, want, n, &kept[i]));
    ck_assert_uint_eq(kept[i].n, n);
    all += n;
    if (i % 7 == 0) { /* while more are to come */
      ck_assert(mxq_pt2_kept_read(texts, kept[i].at, got, n));
      ck_assert_mem_eq(got, want, n);
    }
  }
  ck_assert_uint_gt(all, 10 * BLOCK);
  for (unsigned k = 0; k < 3 * TEXTS; k++) { /* forward, backward, and by leaps */
    unsigned i = k < TEXTS ? k : k < 2 * TEXTS ? 2 * TEXTS - 1 - k : k * 1009 % TEXTS;
    size_t n = make(i, want), from = n / 3;
    ck_assert(mxq_pt2_kept_read(texts, kept[i].at + from, got, n - from));
    ck_assert_mem_eq(got, want + from, n - from);
  }
  mxq_pt2_kept_free(texts);
  free(kept);
  free(want);
  free(got);
}
END_TEST

START_TEST(blocks_that_are_just_full_and_texts_of_nothing_are_kept) {
  static const size_t sizes[] = {BLOCK, 0, BLOCK - 1, 1, 0, 2 * BLOCK, 1, BLOCK - 1, 0};
  enum { N = sizeof sizes / sizeof *sizes };
  struct mxq_pt2_kept_texts *texts = NULL;
  struct mxq_pt2_kept kept[N];
  char *buf = malloc(2 * BLOCK);
  for (unsigned i = 0; i < N; i++) {
    memset(buf, 'a' + (int)i, 2 * BLOCK);
    ck_assert(mxq_pt2_kept_add(&texts, buf, sizes[i], &kept[i]));
  }
  for (unsigned i = 0; i < N; i++) {
    ck_assert(mxq_pt2_kept_read(texts, kept[i].at, buf, sizes[i]));
    size_t k = 0;
    while (k < sizes[i] && buf[k] == 'a' + (int)i)
      k++;
    ck_assert_uint_eq(k, sizes[i]);
  }
  mxq_pt2_kept_free(texts);
  mxq_pt2_kept_free(NULL);
  free(buf);
}
END_TEST

/* An edited text in pieces is the edited text as a whole, and reading can begin anew. */
START_TEST(an_edited_text_reads_in_pieces_of_any_size) {
  static const size_t steps[] = {1, 7, 4096, 3 * BLOCK};
  enum { OLD = 40000 };
  struct mxq_pt2_splices s = {0};
  struct mxq_text want = {0};
  char *old = malloc(OLD), *text = malloc(3 * BLOCK), *got = malloc(3 * BLOCK);
  size_t size, at = 0;
  for (size_t i = 0; i < OLD; i++)
    old[i] = (char)('A' + i % 26);
  for (unsigned i = 0; i < 1000; i++) { /* bytes 40 i + 3 ... are replaced, taken out, or stay with something before them */
    size_t n = i % 3 == 1 ? 0 : make(i, text);
    uint32_t from = 40 * i + 3, gone = i % 3 == 2 ? 0 : i % 37;
    mxq_text_add(&want, old + at, from - at);
    mxq_text_add(&want, text, n);
    mxq_text_add(&want, ", ", i % 5 == 0 && gone == 0 ? 2 : 0);
    mxq_pt2_splice(&s, (struct mxq_span){from, gone}, text, n);
    if (i % 5 == 0 && gone == 0)
      mxq_pt2_splice_comma(&s, from);
    at = from + gone;
  }
  mxq_text_add(&want, old + at, OLD - at);
  ck_assert(mxq_pt2_splice_finish(&s, OLD, &size));
  ck_assert_uint_eq(size, want.size);
  for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
    for (at = 0; at < size;) {
      size_t n = steps[k] < size - at ? steps[k] : size - at;
      if (!mxq_pt2_splice_read(&s, old, OLD, at == 0, got, n) || memcmp(got, want.data + at, n))
        ck_abort_msg("from byte %zu, in steps of %zu", at, steps[k]);
      at += n;
      if (k == 1 && at > size / 2)
        break; /* the next begins anew */
    }
  mxq_pt2_splice_free(&s);
  mxq_text_free(&want);
  free(old);
  free(text);
  free(got);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("kept texts");
  TCase *t = tcase_create("kept");
  tcase_add_test(t, what_is_kept_reads_back_as_it_was_in_any_order);
  tcase_add_test(t, blocks_that_are_just_full_and_texts_of_nothing_are_kept);
  tcase_add_test(t, an_edited_text_reads_in_pieces_of_any_size);
  suite_add_tcase(suite, t);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
