/* SPDX-License-Identifier: MIT */
/* Values in C order become the bytes of a record whose strides are any order of the axes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/reorder.h"

struct feed {
  unsigned char *data;
  size_t at, fail_at;
};

static enum mxq_status next(void *user, void *buf, size_t n, struct mxq_error *err) {
  struct feed *f = user;
  (void)err;
  if (f->at >= f->fail_at)
    return MXQ_ERR_CANCELLED;
  memcpy(buf, f->data + f->at, n);
  f->at += n;
  return MXQ_OK;
}

/* Element i of the result must be the one whose index, by strides, gives i. */
static void one(struct mxq_pt2_reorder *r, const uint64_t *shape, const uint32_t *order, uint32_t ndim, unsigned scalar) {
  int64_t strides[8] = {0};
  uint64_t all = 1, step = 1, wrong = 0;
  for (uint32_t a = 0; a < ndim; a++)
    all *= shape[a];
  for (uint32_t k = ndim; k-- > 0; step *= shape[order[k]]) /* order: axes from slowest to fastest in memory */
    strides[order[k]] = (int64_t)step;
  ck_assert(mxq_pt2_dense(shape, strides, ndim));
  struct feed f = {malloc(all * scalar), 0, SIZE_MAX};
  for (uint64_t i = 0; i < all * scalar; i++)
    f.data[i] = (unsigned char)(i * 2654435761u >> 13);
  ck_assert_int_eq(mxq_pt2_reorder(r, shape, strides, ndim, scalar, next, &f, NULL), MXQ_OK);
  ck_assert_uint_eq(f.at, all * scalar);
  ck_assert_uint_eq(r->size, all * scalar);
  for (uint64_t i = 0; i < all; i++) {
    uint64_t rest = i, place = 0;
    for (uint32_t a = ndim; a-- > 0; rest /= shape[a])
      place += rest % shape[a] * (uint64_t)strides[a];
    wrong += memcmp(r->data + place * scalar, f.data + i * scalar, scalar) != 0;
  }
  ck_assert_uint_eq(wrong, 0);
  free(f.data);
}

START_TEST(every_order_of_the_axes) {
  static const uint64_t shapes[][4] = {{3, 4, 5, 2}, {1, 7, 1, 3}, {2, 1, 300, 129}, {64, 3, 7, 7}};
  struct mxq_pt2_reorder r = {0};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (unsigned code = 0; code < 256; code++) {
      uint32_t order[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
      if ((1u << order[0] | 1u << order[1] | 1u << order[2] | 1u << order[3]) == 15)
        one(&r, shapes[s], order, 4, 1u << s % 4);
    }
  uint64_t n = 5;
  one(&r, &n, (const uint32_t[]){0}, 1, 8);
  one(&r, NULL, NULL, 0, 4);
  mxq_pt2_reorder_free(&r);
}
END_TEST

START_TEST(large_tensors_go_through_a_file) {
  struct mxq_pt2_reorder r = {0};
  one(&r, (const uint64_t[]){3000, 1500}, (const uint32_t[]){1, 0}, 2, 4);
  ck_assert_int_ne(r.fd, 0);
  one(&r, (const uint64_t[]){30, 15}, (const uint32_t[]){1, 0}, 2, 4);
  mxq_pt2_reorder_free(&r);
}
END_TEST

START_TEST(gaps_and_overlaps_are_not_dense) {
  static const uint64_t shape[2] = {4, 6};
  static const int64_t dense[][2] = {{6, 1}, {1, 4}}, not[][2] = {{7, 1}, {1, 5}, {0, 1}, {1, 1}, {6, 0}, {12, 2}, {6, -1}};
  for (size_t i = 0; i < sizeof dense / sizeof *dense; i++)
    ck_assert(mxq_pt2_dense(shape, dense[i], 2));
  for (size_t i = 0; i < sizeof not / sizeof *not; i++)
    ck_assert(!mxq_pt2_dense(shape, not[i], 2));
}
END_TEST

START_TEST(a_failure_of_the_source_ends_it) {
  struct mxq_pt2_reorder r = {0};
  unsigned char data[24] = {0};
  struct feed f = {data, 0, 0};
  ck_assert_int_eq(mxq_pt2_reorder(&r, (const uint64_t[]){4, 6}, (const int64_t[]){1, 4}, 2, 1, next, &f, NULL), MXQ_ERR_CANCELLED);
  mxq_pt2_reorder_free(&r);
}
END_TEST

int main(void) {
  Suite *s = suite_create("reorder");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_test(t, every_order_of_the_axes);
  tcase_add_test(t, large_tensors_go_through_a_file);
  tcase_add_test(t, gaps_and_overlaps_are_not_dense);
  tcase_add_test(t, a_failure_of_the_source_ends_it);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
