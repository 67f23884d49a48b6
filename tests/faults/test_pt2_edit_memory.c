/* SPDX-License-Identifier: MIT */
/* Editing programs while each allocation in turn fails: a clean status, nothing lost, and the writer can be tried again. */
#include <check.h>

#include "tests/faults/allocations.h"
#include "tests/unit/edit_program.h"

#if OWN_MALLOC
static const struct { const char *path; enum mxq_format format; } samples[] = {
    {"testdata/pt2/programs/tied.pt2", MXQ_MXFP6_E2M3}, {"testdata/pt2/programs/views.pt2", MXQ_MXFP4}, {"testdata/pt2/models/with_default.pt2", MXQ_MXINT8}};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void *source;
static size_t source_size;
static struct edited mx, plain;

static enum mxq_status compare(const struct edited *made, const struct edited *want) {
  return made->size == want->size && memcmp(made->data, want->data, made->size) == 0 ? MXQ_OK : MXQ_ERR_DAMAGED;
}

static enum mxq_status forward(int sample, struct mxq_error *err) {
  struct edited out;
  size_t count;
  enum mxq_status status = edit_forward(source, source_size, samples[sample].format, NULL, &out, &count, err);
  if (status == MXQ_OK && mx.data)
    status = compare(&out, &mx);
  if (status == MXQ_OK && !mx.data)
    mx = out;
  else
    free(out.data);
  return status;
}

static enum mxq_status back(struct mxq_error *err) {
  struct edited out;
  enum mxq_status status = edit_back(mx.data, mx.size, &out, err);
  if (status == MXQ_OK && plain.data)
    status = compare(&out, &plain);
  if (status == MXQ_OK && !plain.data)
    plain = out;
  else
    free(out.data);
  return status;
}

static void fail_each(int sample, bool way_back, bool ever) {
  struct mxq_error err = {0};
  long at = 1, managed = 0;
  for (;; at++) {
    enum mxq_status status = MXQ_OK;
    for (int again = 0; again < 2; again++) { /* libcrypto keeps a list of errors from the first on: once more, and it is no loss */
      watch_allocations(at, ever);
      status = way_back ? back(&err) : forward(sample, &err);
      watching = false;
      if (live == 0)
        break;
    }
    /* zip_source_crc_create of libzip 1.7.3 forgets its context when the allocation after it fails. */
    ck_assert_msg(live == 0 || live == 1, "%s, allocation %ld: %ld blocks are lost", samples[sample].path, at, live);
    if (calls < at) {
      ck_assert_int_eq(status, MXQ_OK);
      break;
    }
    managed += status == MXQ_OK;
    ck_assert_msg(status == MXQ_OK || status == MXQ_ERR_NOMEM, "%s, allocation %ld: status %d (%s: %s)", samples[sample].path, at, status, err.subject,
                  err.text);
  }
  printf("%s, %s: each of %ld allocations failed%s, %ld were not needed\n", samples[sample].path, way_back ? "back" : "forward", at - 1,
         ever ? " with all behind it" : "", managed);
  ck_assert_int_lt(managed, at / 4);
}

START_TEST(each_allocation_of_an_edit_may_fail) {
  struct mxq_error err = {0};
  source = edit_load(samples[_i].path, &source_size);
  ck_assert_int_eq(forward(_i, &err), MXQ_OK);
  ck_assert_int_eq(back(&err), MXQ_OK);
  for (int way = 0; way < 2; way++)
    for (int ever = 0; ever < 2; ever++)
      fail_each(_i, way, ever);
  free(source);
  free(mx.data);
  free(plain.data);
}
END_TEST
#endif

int main(void) {
  return RUN_ALLOCATION_TESTS("pt2 edit memory", each_allocation_of_an_edit_may_fail, SAMPLES);
}
