/* SPDX-License-Identifier: MIT */
/* Any single changed bit of an archive, and any missing end, is found. */
#include <check.h>

#include "formats/pt2/write.h"
#include "tests/roundtrip/test_pt2_sample.h"

static unsigned char *archive;
static size_t archive_size;

static void make(size_t tensors) {
  struct mxq_error err = {0};
  void *data;
  ck_assert_int_eq(sample_write(sample_all, tensors, NULL, &data, &archive_size, &err), MXQ_OK);
  archive = data;
}

struct seen {
  char subject[256], text[512];
  uint64_t last;
  bool in_order;
};

static void on_finding(void *user, const struct mxq_finding *f) {
  struct seen *s = user;
  if (s->text[0] == 0) {
    snprintf(s->subject, sizeof s->subject, "%s", f->subject);
    snprintf(s->text, sizeof s->text, "%s", f->text);
    s->in_order = true;
  } else {
    s->in_order &= f->offset >= s->last;
  }
  s->last = f->offset;
}

static enum mxq_status verify(const void *data, size_t size, struct seen *seen, uint64_t *findings) {
  struct mxq_source source;
  struct mxq_error err = {0};
  struct mxq_verify_result result = {0};
  struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
  mxq_source_from_memory(data, size, &source);
  memset(seen, 0, sizeof *seen);
  enum mxq_status status = mxq_pt2_verify(&source, "memory", &options, on_finding, seen, &result, &err);
  *findings = result.findings;
  return status;
}

START_TEST(every_single_flipped_bit_is_found) {
  struct seen seen;
  uint64_t findings;
  size_t tried = 0;
  make(3);
  ck_assert_int_eq(verify(archive, archive_size, &seen, &findings), MXQ_OK);
  ck_assert_uint_eq(findings, 0);
  for (size_t i = 0; i < archive_size; i++)
    for (int bit = 0; bit < 8; bit++, tried++) {
      archive[i] ^= (unsigned char)(1 << bit);
      ck_assert_int_eq(verify(archive, archive_size, &seen, &findings), MXQ_OK);
      ck_assert_msg(findings > 0, "byte %zu bit %d", i, bit);
      archive[i] ^= (unsigned char)(1 << bit);
    }
  printf("%zu flipped bits, each found\n", tried);
  free(archive);
}
END_TEST

START_TEST(every_missing_end_is_found) {
  struct seen seen;
  uint64_t findings;
  make(3);
  for (size_t n = 4; n < archive_size; n++) {
    unsigned char *cut = malloc(n); /* its own block: reading past the end is seen by sanitizers */
    ck_assert_ptr_nonnull(cut);
    memcpy(cut, archive, n);
    ck_assert_int_eq(verify(cut, n, &seen, &findings), MXQ_OK);
    ck_assert_uint_eq(findings, 1);
    ck_assert_msg(strstr(seen.text, "cut short"), "%zu bytes: %s", n, seen.text);
    free(cut);
  }
  free(archive);
}
END_TEST

START_TEST(the_finding_names_member_and_tensor) {
  struct seen seen;
  uint64_t findings;
  make(SAMPLE_ALL);
  archive[64] ^= 4;
  ck_assert_int_eq(verify(archive, archive_size, &seen, &findings), MXQ_OK);
  ck_assert_uint_eq(findings, 1);
  ck_assert_str_eq(seen.subject, "model/data/weights/weight_0");
  ck_assert_ptr_nonnull(strstr(seen.text, "codes of tensor \"a.weight\""));
  free(archive);
}
END_TEST

START_TEST(all_findings_come_in_the_order_of_the_file) {
  struct seen seen;
  uint64_t findings;
  make(SAMPLE_ALL);
  struct mxq_source source;
  struct mxq_error err = {0};
  struct mxq_read_options options = {.container = MXQ_PT2};
  mxq_reader *r;
  mxq_source_from_memory(archive, archive_size, &source);
  ck_assert_int_eq(mxq_reader_open_source(&source, &options, &r, &err), MXQ_OK);
  uint64_t damaged = 0;
  for (size_t i = 0; i < mxq_reader_count(r); i++)
    for (int p = 0; p < 2; p++)
      if (mxq_reader_tensor(r, i)->part[p].size) {
        archive[mxq_reader_tensor(r, i)->part[p].offset] ^= 1;
        damaged++;
      }
  mxq_reader_close(r);
  ck_assert_uint_ge(damaged, 16);
  ck_assert_int_eq(verify(archive, archive_size, &seen, &findings), MXQ_OK);
  ck_assert_uint_eq(findings, damaged);
  ck_assert(seen.in_order);
  free(archive);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 damage");
  TCase *c = tcase_create("damage");
  tcase_set_timeout(c, 240);
  tcase_add_test(c, every_single_flipped_bit_is_found);
  tcase_add_test(c, every_missing_end_is_found);
  tcase_add_test(c, the_finding_names_member_and_tensor);
  tcase_add_test(c, all_findings_come_in_the_order_of_the_file);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
