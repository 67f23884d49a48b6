/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "formats/zip/zip.h"
#include "lib/base/bytes.h"

static enum mxq_status scan_file(const char *path, const struct mxq_read_options *options, struct mxq_error *err) {
  struct mxq_source s;
  enum mxq_status status = mxq_source_open_file(path, &s, err);
  ck_assert_msg(status == MXQ_OK, "%s", err->text);
  status = mxq_zip_scan(&s, options, NULL, NULL, err);
  mxq_source_close(&s);
  return status;
}

START_TEST(zips_of_others_are_judged_as_their_labels_say) {
  const char *shared = getenv("MXQ_SHARED");
  char path[700], line[2000];
  size_t read = 0, refused = 0, either = 0, accepted = 0;
  snprintf(path, sizeof path, "%s/corpora/zip/labels.tsv", shared ? shared : "../shared");
  FILE *f = fopen(path, "r");
  if (!f) {
    ck_assert_msg(!shared, "%s is missing", path);
    return;
  }
  ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
  while (fgets(line, sizeof line, f)) {
    char *rest = line, *field[10];
    struct mxq_error err = {0};
    for (int i = 0; i < 10; i++)
      field[i] = strsep(&rest, "\t\n");
    snprintf(path, sizeof path, "%s/corpora/zip/%s", shared ? shared : "../shared", field[0]);
    enum mxq_status status = scan_file(path, NULL, &err);
    if (strcmp(field[9], "read") == 0) {
      ck_assert_msg(status == MXQ_OK, "%s: %s", field[0], err.text);
      read++;
    } else if (strcmp(field[9], "refuse") == 0) {
      ck_assert_msg(status != MXQ_OK, "%s must be refused", field[0]);
      refused++;
    } else {
      accepted += status == MXQ_OK;
      either++;
    }
    if (status != MXQ_OK)
      ck_assert_msg(strlen(err.text) > 10 && err.subject[0], "%s: '%s'", field[0], err.text);
  }
  fclose(f);
  ck_assert_uint_eq(read, 69);
  ck_assert_uint_eq(refused, 422);
  printf("zip: %zu read, %zu refused, of %zu others %zu read\n", read, refused, either, accepted);
}
END_TEST

/* ---- archives made here, byte by byte ---- */

struct member {
  const char *name;
  const void *data;                  /* as it lies in the file */
  size_t packed, size;
  unsigned method, flags;
  uint32_t crc;
};

struct zip {
  unsigned char b[80000];
  size_t n, directory, end;
  size_t local[8], entry[8];
};

static void put(struct zip *z, const void *data, size_t n) {
  ck_assert_uint_le(z->n + n, sizeof z->b);
  memcpy(z->b + z->n, data, n);
  z->n += n;
}

static void make(struct zip *z, const struct member *m, size_t count) {
  memset(z, 0, sizeof *z);
  for (size_t i = 0; i < count; i++) {
    unsigned char h[30] = {'P', 'K', 3, 4, 20};
    mxq_put16(h + 6, (uint16_t)m[i].flags);
    mxq_put16(h + 8, (uint16_t)m[i].method);
    mxq_put32(h + 14, m[i].crc);
    mxq_put32(h + 18, (uint32_t)m[i].packed);
    mxq_put32(h + 22, (uint32_t)m[i].size);
    mxq_put16(h + 26, (uint16_t)strlen(m[i].name));
    z->local[i] = z->n;
    put(z, h, 30);
    put(z, m[i].name, strlen(m[i].name));
    put(z, m[i].data, m[i].packed);
  }
  z->directory = z->n;
  for (size_t i = 0; i < count; i++) {
    unsigned char h[46] = {'P', 'K', 1, 2, 20, 0};
    memcpy(h + 6, z->b + z->local[i] + 4, 26);
    mxq_put32(h + 42, (uint32_t)z->local[i]);
    z->entry[i] = z->n;
    put(z, h, 46);
    put(z, m[i].name, strlen(m[i].name));
  }
  z->end = z->n;
  unsigned char e[22] = {'P', 'K', 5, 6};
  mxq_put16(e + 8, (uint16_t)count);
  mxq_put16(e + 10, (uint16_t)count);
  mxq_put32(e + 12, (uint32_t)(z->end - z->directory));
  mxq_put32(e + 16, (uint32_t)z->directory);
  put(z, e, 22);
}

static enum mxq_status scan(const struct zip *z, const struct mxq_read_options *options, struct mxq_error *err) {
  unsigned char *exact = malloc(z->n);
  struct mxq_source s;
  memcpy(exact, z->b, z->n);
  mxq_source_from_memory(exact, z->n, &s);
  enum mxq_status status = mxq_zip_scan(&s, options, NULL, NULL, err);
  mxq_source_close(&s);
  free(exact);
  return status;
}

static struct member stored(const char *name, const char *text) {
  size_t n = strlen(text);
  return (struct member){name, text, n, n, 0, 0x800, (uint32_t)crc32(0, (const unsigned char *)text, (uInt)n)};
}

START_TEST(names_that_could_be_read_in_two_ways_are_refused) {
  static const char *const bad[] = {"", "/a", "a//b", "./a", "a/..", "..", ".", "a/./b", "a\\b", "C:a", "a\nb", "a\x7f", "\xC0\xAF", "\xED\xA0\x80"};
  static const char *const good[] = {"a", "a/b", "ab:c", "...", "a/.b", "é/\xE2\x82\xAC", "a b", "a/"};
  struct zip z;
  struct mxq_error err = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    make(&z, (struct member[]){stored(bad[i], "x")}, 1);
    ck_assert_msg(scan(&z, NULL, &err) == MXQ_ERR_MALFORMED, "name number %zu", i);
  }
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    make(&z, (struct member[]){stored(good[i], good[i][1] == '/' && !good[i][2] ? "" : "x")}, 1);
    ck_assert_msg(scan(&z, NULL, &err) == MXQ_OK, "name number %zu: %s", i, err.text);
  }
  make(&z, (struct member[]){stored("a", "x"), stored("a", "x")}, 2);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_MALFORMED);
  make(&z, (struct member[]){stored("a", "x"), stored("a/b", "x")}, 2);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_MALFORMED);
  make(&z, (struct member[]){stored("a.npy", "x"), stored("A.npy", "x")}, 2); /* as numpy.savez(a=, A=) writes */
  ck_assert_msg(scan(&z, NULL, &err) == MXQ_OK, "%s", err.text);
}
END_TEST

START_TEST(no_single_bit_of_the_structure_changes_what_is_read) {
  struct zip z;
  struct mxq_error err = {0};
  make(&z, (struct member[]){stored("m/a", "hello"), stored("m/b", "")}, 2);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_OK);
  size_t silent = 0;
  for (size_t i = 0; i < z.n * 8; i++) {
    z.b[i / 8] ^= (unsigned char)(1 << i % 8);
    if (scan(&z, NULL, &err) == MXQ_OK) {
      size_t at = i / 8;
      silent++;
      /* Versions, dates and attributes say nothing about the data; a name in both places is found in the directory. */
      bool harmless = false;
      for (int k = 0; k < 2; k++) {
        harmless |= at >= z.local[k] + 4 && at < z.local[k] + 6;
        harmless |= at >= z.local[k] + 10 && at < z.local[k] + 14;
        harmless |= at >= z.entry[k] + 4 && at < z.entry[k] + 8;
        harmless |= at >= z.entry[k] + 12 && at < z.entry[k] + 16;
        harmless |= at >= z.entry[k] + 36 && at < z.entry[k] + 42;
      }
      ck_assert_msg(harmless, "bit %zu of byte %zu", i % 8, at);
    }
    z.b[i / 8] ^= (unsigned char)(1 << i % 8);
  }
  ck_assert_uint_gt(silent, 0);
  for (size_t n = 0; n < z.n; n++) {
    struct zip cut = z;
    cut.n = n;
    ck_assert_msg(scan(&cut, NULL, &err) != MXQ_OK, "cut at %zu", n);
  }
}
END_TEST

static size_t pack(const void *data, size_t n, unsigned char *out, size_t room) {
  z_stream s = {0};
  ck_assert_int_eq(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  s.next_in = (Bytef *)(uintptr_t)data;
  s.avail_in = (uInt)n;
  s.next_out = out;
  s.avail_out = (uInt)room;
  ck_assert_int_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
  deflateEnd(&s);
  return room - s.avail_out;
}

START_TEST(a_deflated_member_is_exactly_its_stream_and_exactly_its_size) {
  static unsigned char text[5000], packed[6000];
  struct zip z;
  struct mxq_error err = {0};
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = (unsigned char)(i * i >> 7);
  size_t n = pack(text, sizeof text, packed, 5900);
  uint32_t crc = (uint32_t)crc32(0, text, sizeof text);
  const struct member m = {"d", packed, n, sizeof text, 8, 0x800, crc};
  make(&z, &m, 1);
  ck_assert_msg(scan(&z, NULL, &err) == MXQ_OK, "%s", err.text);
  struct mxq_source s;
  mxq_zip *zip;
  mxq_source_from_memory(z.b, z.n, &s);
  ck_assert_int_eq(mxq_zip_open(&s, NULL, &zip, &err), MXQ_OK);
  static const struct { size_t at, n; } reads[] = {{0, 5000}, {0, 1}, {1, 999}, {1000, 4000}, {4999, 1}, {17, 100}, {4000, 1000}};
  for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
    unsigned char buf[5000];
    ck_assert_int_eq(mxq_zip_read(zip, 0, reads[i].at, buf, reads[i].n, &err), MXQ_OK);
    ck_assert(memcmp(buf, text + reads[i].at, reads[i].n) == 0);
  }
  char *all;
  size_t size;
  ck_assert_int_eq(mxq_zip_load(zip, 0, 4999, &all, &size, &err), MXQ_ERR_LIMIT);
  ck_assert_int_eq(mxq_zip_load(zip, 0, 5000, &all, &size, &err), MXQ_OK);
  ck_assert(size == 5000 && all[5000] == 0 && memcmp(all, text, size) == 0);
  free(all);
  mxq_zip_close(zip);

  struct member bad = m;
  bad.size = 4999;
  make(&z, &bad, 1);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_MALFORMED); /* more than stated */
  bad.size = 5001;
  make(&z, &bad, 1);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_MALFORMED); /* less */
  bad = m;
  bad.packed++;
  make(&z, &bad, 1);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_MALFORMED); /* a byte behind the stream */
  bad.packed = n - 1;
  make(&z, &bad, 1);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_MALFORMED); /* cut */
  bad = m;
  bad.crc ^= 1;
  make(&z, &bad, 1);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_DAMAGED);
  ck_assert_str_eq(err.subject, "d");
}
END_TEST

START_TEST(a_bomb_cannot_state_more_than_deflate_can_make) {
  static unsigned char zeros[1 << 20], packed[4096], garbage[70000];
  struct zip z;
  struct mxq_error err = {0};
  size_t n = pack(zeros, sizeof zeros, packed, sizeof packed);
  struct member m = {"z", packed, n, sizeof zeros, 8, 0x800, (uint32_t)crc32(0, zeros, sizeof zeros)};
  make(&z, &m, 1);
  ck_assert_msg(scan(&z, NULL, &err) == MXQ_OK, "%s", err.text);
  m.size = (size_t)1 << 31;
  make(&z, &m, 1);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_MALFORMED);
  /* A thousand times is possible, but more than a hundred times is for small archives only. */
  m.data = garbage;
  m.packed = sizeof garbage;
  m.size = (size_t)65 << 20;
  make(&z, &m, 1);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_LIMIT);
}
END_TEST

START_TEST(a_missing_checksum_is_read_only_on_demand_and_a_checksum_that_is_zero_is_one) {
  static const unsigned char zero_crc[4] = {0x9D, 0x0A, 0xD9, 0x6D};
  struct zip z;
  struct mxq_error err = {0};
  struct mxq_read_options allow = {.allow_zero_crc = true};
  ck_assert_uint_eq(crc32(0, zero_crc, 4), 0);
  const struct member m = {"a", zero_crc, 4, 4, 0, 0x800, 0};
  make(&z, &m, 1);
  ck_assert_msg(scan(&z, NULL, &err) == MXQ_OK, "%s", err.text);
  struct member none = stored("a", "text");
  none.crc = 0;
  make(&z, &none, 1);
  ck_assert_int_eq(scan(&z, NULL, &err), MXQ_ERR_DAMAGED);
  ck_assert_int_eq(scan(&z, &allow, &err), MXQ_OK);
}
END_TEST

START_TEST(every_byte_of_the_file_belongs_to_something) {
  struct zip z, y;
  struct mxq_error err = {0};
  make(&z, (struct member[]){stored("m/a", "hello"), stored("m/b", "x")}, 2);
  for (size_t at = 0; at <= z.n; at++) {
    y = z;
    memmove(y.b + at + 1, y.b + at, z.n - at);
    y.b[at] = 0;
    y.n++;
    if (at <= z.local[1]) { /* the offsets behind it are put right, as a careful forger does */
      mxq_put32(y.b + z.entry[1] + 1 + 42, (uint32_t)z.local[1] + 1);
      if (at == 0)
        mxq_put32(y.b + z.entry[0] + 1 + 42, 1);
    }
    if (at <= z.directory)
      mxq_put32(y.b + z.end + 1 + 16, (uint32_t)z.directory + 1);
    ck_assert_msg(scan(&y, NULL, &err) != MXQ_OK, "a byte at %zu", at);
  }
  /* A comment is the archive's own. */
  y = z;
  put(&y, "hi", 2);
  mxq_put16(y.b + z.end + 20, 2);
  ck_assert_msg(scan(&y, NULL, &err) == MXQ_OK, "%s", err.text);
  mxq_put16(y.b + z.end + 20, 1);
  ck_assert_int_ne(scan(&y, NULL, &err), MXQ_OK);
}
END_TEST

START_TEST(many_members_in_any_order_open_in_time_in_proportion) {
  enum { N = 200000 };
  unsigned char *b = malloc((size_t)N * (30 + 46 + 2 * 24 + 2) + 200), *p = b;
  struct mxq_error err = {0};
  uint32_t crc = (uint32_t)crc32(0, (const unsigned char *)"ab", 2);
  for (int i = 0; i < N; i++) {
    unsigned char h[30] = {'P', 'K', 3, 4};
    char name[32];
    int n = sprintf(name, "m/data/weights/%07d", i);
    mxq_put32(h + 14, crc);
    mxq_put32(h + 18, 2);
    mxq_put32(h + 22, 2);
    mxq_put16(h + 26, (uint16_t)n);
    memcpy(p, h, 30);
    memcpy(p + 30, name, (size_t)n);
    memcpy(p + 30 + n, "ab", 2);
    p += 32 + n;
  }
  size_t directory = (size_t)(p - b), each = directory / N;
  for (int i = N - 1; i >= 0; i--) { /* a directory in another order than the file's */
    unsigned char h[46] = {'P', 'K', 1, 2};
    memcpy(h + 6, b + each * (size_t)i + 4, 26);
    mxq_put32(h + 42, (uint32_t)(each * (size_t)i));
    memcpy(p, h, 46);
    memcpy(p + 46, b + each * (size_t)i + 30, each - 32);
    p += 46 + each - 32;
  }
  size_t end = (size_t)(p - b);
  unsigned char e[98] = {'P', 'K', 6, 6, 44};
  mxq_put64(e + 24, N);
  mxq_put64(e + 32, N);
  mxq_put64(e + 40, end - directory);
  mxq_put64(e + 48, directory);
  memcpy(e + 56, "PK\6\7", 4);
  mxq_put64(e + 64, end);
  mxq_put32(e + 72, 1);
  memcpy(e + 76, "PK\5\6", 4);
  mxq_put16(e + 84, 0xFFFF);
  mxq_put16(e + 86, 0xFFFF);
  mxq_put32(e + 88, (uint32_t)(end - directory));
  mxq_put32(e + 92, (uint32_t)directory);
  memcpy(p, e, 98);
  struct mxq_source s;
  mxq_zip *zip;
  mxq_source_from_memory(b, end + 98, &s);
  clock_t begin = clock();
  ck_assert_msg(mxq_zip_open(&s, NULL, &zip, &err) == MXQ_OK, "%s", err.text);
  ck_assert_uint_eq(mxq_zip_count(zip), N);
  ck_assert_uint_eq(mxq_zip_find(zip, "m/data/weights/0000007", 22), N - 1 - 7);
  ck_assert_uint_eq(mxq_zip_find(zip, "m/data/weights/000000", 21), SIZE_MAX);
  ck_assert_msg(clock() - begin < 3 * CLOCKS_PER_SEC, "%d members in %g s", N, (double)(clock() - begin) / CLOCKS_PER_SEC);
  mxq_zip_close(zip);
  struct mxq_read_options few = {.max_tensors = 1000};
  ck_assert_int_eq(mxq_zip_open(&s, &few, &zip, &err), MXQ_ERR_LIMIT);
  free(b);
}
END_TEST

int main(void) {
  Suite *s = suite_create("zip");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, zips_of_others_are_judged_as_their_labels_say);
  tcase_add_test(t, names_that_could_be_read_in_two_ways_are_refused);
  tcase_add_test(t, no_single_bit_of_the_structure_changes_what_is_read);
  tcase_add_test(t, a_deflated_member_is_exactly_its_stream_and_exactly_its_size);
  tcase_add_test(t, a_bomb_cannot_state_more_than_deflate_can_make);
  tcase_add_test(t, a_missing_checksum_is_read_only_on_demand_and_a_checksum_that_is_zero_is_one);
  tcase_add_test(t, every_byte_of_the_file_belongs_to_something);
  tcase_add_test(t, many_members_in_any_order_open_in_time_in_proportion);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
