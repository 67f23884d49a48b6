/* SPDX-License-Identifier: MIT */
/* Beyond 4 GiB: sizes, offsets and alignment, in a sparse file; libzip's bytes are those that the canonical form states. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/pt2/canon.h"
#include "formats/pt2/write.h"
#include "formats/zip/zip.h"

enum { MEMBERS = 5 };
static int fd;
static const unsigned char nothing[1 << 20];

/* Zeroes are left out: the file stays small. */
static enum mxq_status write_sparse(void *ctx, uint64_t offset, const void *buf, size_t n, struct mxq_error *err) {
  (void)ctx, (void)err;
  if (n == sizeof nothing && memcmp(buf, nothing, n) == 0)
    return MXQ_OK;
  return pwrite(fd, buf, n, (off_t)offset) == (ssize_t)n ? MXQ_OK : MXQ_ERR_WRITE;
}

static enum mxq_status pull(void *user, size_t member, void *buf, size_t n, struct mxq_error *err) {
  (void)user, (void)err;
  memset(buf, member == 1 ? 0 : 'a' + (int)member, n);
  return MXQ_OK;
}

static const struct {
  uint64_t size;                     /* of the second member */
  const char *why;
} cases[] = {
    {4294967296, "a size with one"},
    {4294967295 - 128, "data that would end at 2^32 - 1"},
    {5368709123, "5 GiB and 3 bytes"},
};

START_TEST(members_beyond_4_gib_are_where_the_canonical_form_says) {
  struct mxq_zip_out m[MEMBERS] = {{.name = "model/empty"}, {.name = "model/large"}, {.name = "model/behind", .size = 100}, {.name = "model/empty2"}, {.name = "model/last", .size = 70}};
  uint64_t at = 0, total;
  struct mxq_error err = {0};
  char path[] = "/tmp/mxq_big_XXXXXX";
  m[1].size = cases[_i].size;
  for (int i = 0; i < MEMBERS; i++) {
    m[i].name_len = (uint32_t)strlen(m[i].name);
    ck_assert(mxq_canon_place(&m[i], at, 64));
    ck_assert_uint_eq(m[i].data_offset % 64, 0);
    at = mxq_canon_end(&m[i]);
    ck_assert_uint_ne(at, UINT32_MAX);
  }
  ck_assert(mxq_canon_total(m, MEMBERS, &total));
  fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  struct mxq_sink sink = {.name = path, .write_at = write_sparse};
  enum mxq_status status = mxq_zip_write(&sink, m, MEMBERS, total, pull, NULL, &err);
  ck_assert_msg(status == MXQ_OK, "%s: %s", cases[_i].why, err.text);

  unsigned char want[4096], got[4096];
  uint16_t made_by;
  bool zip64 = false;
  uint64_t directory = at;
  ck_assert_int_eq(mxq_zip_made_by(&made_by, &err), MXQ_OK);
  for (int i = 0; i < MEMBERS; i++) {
    size_t n = (size_t)(m[i].data_offset - m[i].header_offset);
    mxq_canon_local(&m[i], want);
    ck_assert_int_eq(pread(fd, got, n, (off_t)m[i].header_offset), (ssize_t)n);
    ck_assert_mem_eq(got, want, n);
  }
  for (int i = 0; i < MEMBERS; i++) {
    size_t n = mxq_canon_entry(&m[i], made_by, want);
    ck_assert_int_eq(pread(fd, got, n, (off_t)at), (ssize_t)n);
    ck_assert_mem_eq(got, want, n);
    zip64 |= mxq_canon_zip64(&m[i]);
    at += n;
  }
  size_t n = mxq_canon_trailer(MEMBERS, directory, at - directory, zip64, want);
  ck_assert_int_eq(pread(fd, got, n + 1, (off_t)at), (ssize_t)n);
  ck_assert_mem_eq(got, want, n);

  struct mxq_source source;
  struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
  mxq_zip *zip;
  status = mxq_source_open_file(path, &source, &err);
  ck_assert_int_eq(status, MXQ_OK);
  status = mxq_zip_open(&source, &options, &zip, &err);
  ck_assert_msg(status == MXQ_OK, "%s: %s: %s", cases[_i].why, err.subject, err.text);
  for (size_t i = 0; i < MEMBERS; i++) {
    ck_assert_uint_eq(mxq_zip_member(zip, i)->size, m[i].size);
    ck_assert_uint_eq(mxq_zip_member(zip, i)->data_offset, m[i].data_offset);
    if (i != 1)
      ck_assert_int_eq(mxq_zip_check(zip, i, NULL, NULL, &err), MXQ_OK);
  }
  mxq_zip_close(zip);
  mxq_source_close(&source);
  close(fd);
  unlink(path);
}
END_TEST

START_TEST(a_size_without_a_form_is_refused) {
  struct mxq_zip_out m = {.name = "model/x", .name_len = 7, .size = UINT32_MAX};
  ck_assert(!mxq_canon_place(&m, 0, 64));
  const uint64_t shape[] = {UINT32_MAX};
  struct mxq_tensor t = {.name = "x", .dtype = MXQ_U8, .ndim = 1, .shape = shape, .kind = MXQ_KIND_BUFFER};
  struct mxq_error err = {0};
  mxq_writer *w;
  uint64_t size;
  ck_assert_int_eq(mxq_writer_open(MXQ_PT2, NULL, &w, &err), MXQ_OK);
  ck_assert_int_eq(mxq_writer_add(w, &t, &err), MXQ_OK);
  ck_assert_int_eq(mxq_writer_size(w, &size, &err), MXQ_ERR_UNSUPPORTED);
  ck_assert_str_eq(err.subject, "model/data/weights/weight_0");
  mxq_writer_free(w);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 writer, large");
  TCase *c = tcase_create("large");
  tcase_set_timeout(c, 200);
  tcase_add_loop_test(c, members_beyond_4_gib_are_where_the_canonical_form_says, 0, sizeof cases / sizeof *cases);
  tcase_add_test(c, a_size_without_a_form_is_refused);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
