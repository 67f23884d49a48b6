/* SPDX-License-Identifier: MIT */
#include "lib/convert/job.h"
#include "tests/roundtrip/test_convert_data.h"

static unsigned char byte_at(uint64_t i) { return (unsigned char)(i * 2654435761u >> 13); }

/* Puts `total` bytes in pieces and takes them in other pieces. */
static void there_and_back(struct mxq_spill *s, uint64_t total) {
  static unsigned char piece[70001];
  struct mxq_error err = {0};
  OK(mxq_spill_start(s, total, &err));
  for (uint64_t at = 0, n = 1; at < total; at += n, n = n * 3 % 60013 + 5000) {
    n = n < total - at ? n : total - at;
    unsigned char *place = mxq_spill_place(s);
    ck_assert_int_eq(place != NULL, total <= MXQ_SCALES_IN_MEMORY);
    place = place ? place : piece;
    for (uint64_t i = 0; i < n; i++)
      place[i] = byte_at(at + i);
    OK(mxq_spill_put(s, place, n, &err));
  }
  for (uint64_t at = 0, n = 1; at < total; at += n, n = n * 7 % 64997 + 5000) {
    n = n < total - at ? n : total - at;
    OK(mxq_spill_take(s, piece, n, &err));
    uint64_t right = 0;
    while (right < n && piece[right] == byte_at(at + right))
      right++;
    ck_assert_msg(right == n, "byte %llu of %llu", (unsigned long long)(at + right), (unsigned long long)total);
  }
}

START_TEST(scales_come_back_in_order_from_memory_and_from_a_file_again_and_again) {
  struct mxq_spill s = {0};
  static const uint64_t totals[] = {0, 1, 1000, MXQ_SCALES_IN_MEMORY, MXQ_SCALES_IN_MEMORY + 1, 12345678, 500, 9000000};
  for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
    there_and_back(&s, totals[i]);
  ck_assert_uint_le(s.memory.size, MXQ_SCALES_IN_MEMORY);
  mxq_spill_free(&s);
  mxq_spill_free(&s);
}
END_TEST

static void same_item(const void *context, size_t i, struct mxq_job_item *item) {
  (void)i;
  *item = *(const struct mxq_job_item *)context;
}

START_TEST(the_buffers_of_a_run_are_bounded_whatever_the_tensor) {
  static const uint64_t ks[] = {1, 31, 32, 33, 1000, 1 << 20, (1 << 20) + 1, 1000000007, (uint64_t)1 << 40};
  static const enum mxq_dtype dtypes[] = {MXQ_F32, MXQ_BF16, MXQ_F16};
  for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
    for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++)
      for (int d = 0; d < 3; d++) {
        uint64_t shape[2] = {((uint64_t)1 << 41) / ks[i], ks[i]};
        struct mxq_tensor t = {.name = "x", .dtype = dtypes[d], .ndim = 2, .shape = shape, .elements = shape[0] * shape[1]};
        t.bytes = t.elements * mxq_dtype_bits(t.dtype) / 8;
        struct mxq_decision decision;
        mxq_decide(&t, &(struct mxq_wish){.format = (enum mxq_format)f}, &decision);
        if (decision.format == MXQ_FORMAT_NONE)
          continue;
        struct mxq_job_item item = {.out = t, .encode = true, .source_dtype = t.dtype};
        mxq_block_item(&item, decision.format, decision.axis_first, decision.axis_last);
        ck_assert_uint_eq(item.out.bytes, decision.code_bytes + decision.scale_bytes);
        struct mxq_job job = {.describe = same_item, .context = &item, .count = 1};
        ck_assert_uint_gt(mxq_job_peak(&job), 0);
        ck_assert_msg(mxq_job_peak(&job) <= 16 << 20, "k %llu, %s: %llu", (unsigned long long)ks[i], mxq_format_name(decision.format),
                      (unsigned long long)mxq_job_peak(&job));
      }
}
END_TEST

int main(void) {
  Suite *s = suite_create("convert scales");
  TCase *t = tcase_create("convert scales");
  tcase_set_timeout(t, 60);
  tcase_add_test(t, scales_come_back_in_order_from_memory_and_from_a_file_again_and_again);
  tcase_add_test(t, the_buffers_of_a_run_are_bounded_whatever_the_tensor);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
