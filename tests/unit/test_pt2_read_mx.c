/* SPDX-License-Identifier: MIT */
/* The manifest: codes and scales become one tensor, kept tensors get back what they were; and what damage does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <mxq/archive.h>

static unsigned char byte_of(size_t tensor, int part, uint64_t at) { return (unsigned char)(tensor * 31 + (unsigned)part * 7 + at * 3); }

struct pulls {
  size_t tensor;
  int part;
  uint64_t at;
};

static enum mxq_status pull(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  struct pulls *p = user;
  (void)err;
  if (p->tensor != tensor || p->part != (int)part)
    *p = (struct pulls){tensor, (int)part, 0};
  for (size_t i = 0; i < n; i++)
    ((unsigned char *)buf)[i] = byte_of(tensor, (int)part, p->at + i);
  p->at += n;
  return MXQ_OK;
}

static const uint64_t s_2x40[] = {2, 40}, s_3x2x5x5[] = {3, 2, 5, 5}, s_64[] = {64}, s_4x2[] = {4, 2}, s_0x3[] = {0, 3};
static const struct mxq_tensor added[] = {
    {.name = "a.weight", .dtype = MXQ_BF16, .format = MXQ_MXFP4, .ndim = 2, .shape = s_2x40, .axis_first = 1, .axis_last = 1, .requires_grad = true,
     .scale_rule = "auto", .compat = "-", .round = "rne", .neg_zero = "keep", .nonfinite = "error"},
    {.name = "type", .dtype = MXQ_F32, .format = MXQ_MXFP6_E3M2, .ndim = 4, .shape = s_3x2x5x5, .axis_first = 1, .axis_last = 3, .scale_rule = "floor"},
    {.name = "x \"y\\z", .dtype = MXQ_F32, .format = MXQ_MXINT8, .ndim = 1, .shape = s_64, .kind = MXQ_KIND_BUFFER},
    {.name = "first", .dtype = MXQ_F32, .format = MXQ_MXFP8_E4M3, .ndim = 2, .shape = s_2x40, .axis_first = 0, .axis_last = 0},
    {.name = "half", .dtype = MXQ_F6_E2M3, .ndim = 2, .shape = s_4x2, .kind = MXQ_KIND_BUFFER},
    {.name = "", .dtype = MXQ_I64, .ndim = 0, .kind = MXQ_KIND_BUFFER},
    {.name = "forward", .dtype = MXQ_F32, .ndim = 2, .shape = s_0x3},
    {.name = "plain", .dtype = MXQ_F16, .ndim = 2, .shape = s_4x2, .requires_grad = true},
};
enum { ADDED = sizeof added / sizeof *added };

static void write_archive(enum mxq_graph graph, void **data, size_t *size) {
  static const char *const metadata[] = {"format", "pt", "k\"", "\xC3\xA9"};
  struct mxq_write_options options = {.graph = graph, .metadata = metadata, .metadata_count = 2};
  struct mxq_error err = {0};
  struct mxq_sink sink;
  struct pulls pulls = {.tensor = SIZE_MAX};
  mxq_writer *w;
  ck_assert_int_eq(mxq_writer_open(MXQ_PT2, &options, &w, &err), MXQ_OK);
  for (size_t i = 0; i < ADDED; i++)
    ck_assert_msg(mxq_writer_add(w, &added[i], &err) == MXQ_OK, "%s", err.text);
  ck_assert_int_eq(mxq_sink_to_memory(data, size, &sink, &err), MXQ_OK);
  ck_assert_msg(mxq_writer_run(w, &sink, pull, &pulls, &err) == MXQ_OK, "%s", err.text);
  ck_assert_int_eq(sink.commit(sink.ctx, &err), MXQ_OK);
  mxq_writer_free(w);
}

static enum mxq_status open_bytes(const void *data, size_t size, const struct mxq_read_options *options, mxq_reader **r, struct mxq_error *err) {
  struct mxq_source s;
  mxq_source_from_memory(data, size, &s);
  return mxq_reader_open_source(&s, options, r, err);
}

START_TEST(what_was_written_is_read_back_under_its_true_names) {
  for (int graph = MXQ_GRAPH_EACH; graph <= MXQ_GRAPH_NONE; graph++) {
    void *data;
    size_t size;
    struct mxq_error err = {0};
    mxq_reader *r;
    struct mxq_archive_info info;
    write_archive((enum mxq_graph)graph, &data, &size);
    ck_assert_msg(open_bytes(data, size, NULL, &r, &err) == MXQ_OK, "%s: %s", err.subject, err.text);
    ck_assert_uint_eq(mxq_reader_count(r), ADDED);
    mxq_reader_archive_info(r, &info);
    ck_assert(info.has_manifest && info.weights && info.has_digests && !info.resaved && info.has_index);
    ck_assert_ptr_nonnull(strstr(info.tool, "mxquant"));
    ck_assert_uint_eq(mxq_reader_metadata_count(r), 2);
    const char *key, *value;
    mxq_reader_metadata(r, 1, &key, &value);
    ck_assert(strcmp(key, "k\"") == 0 && strcmp(value, "\xC3\xA9") == 0);
    for (size_t i = 0; i < ADDED; i++) {
      const struct mxq_tensor *t = mxq_reader_tensor(r, i), *a = &added[i];
      ck_assert_msg(strcmp(t->name, a->name) == 0, "'%s' in place of '%s'", t->name, a->name);
      ck_assert_uint_eq(mxq_reader_find(r, a->name), i);
      ck_assert_msg(t->dtype == a->dtype && t->format == a->format && t->ndim == a->ndim && t->kind == a->kind && t->requires_grad == a->requires_grad,
                    "%s, graph %d: dtype %d format %d kind %d", a->name, graph, t->dtype, t->format, t->kind);
      ck_assert(t->ndim == 0 || memcmp(t->shape, a->shape, t->ndim * sizeof *t->shape) == 0);
      if (t->format)
        ck_assert(t->axis_first == a->axis_first && t->axis_last == a->axis_last && (!a->scale_rule || strcmp(t->scale_rule, a->scale_rule) == 0));
      for (int p = 0; p < (t->format ? 2 : 1); p++) {
        uint64_t n = mxq_reader_part_bytes(r, i, p ? MXQ_PART_SCALES : MXQ_PART_DATA);
        unsigned char *buf = malloc(n + 1);
        const void *place;
        ck_assert_msg(mxq_reader_read(r, i, p ? MXQ_PART_SCALES : MXQ_PART_DATA, 0, buf, n, &err) == MXQ_OK, "%s", err.text);
        for (uint64_t k = 0; k < n; k++)
          ck_assert_uint_eq(buf[k], byte_of(i, p, k));
        ck_assert_int_eq(mxq_reader_in_place(r, i, p ? MXQ_PART_SCALES : MXQ_PART_DATA, &place, &err), MXQ_OK);
        ck_assert(n == 0 || (place == (char *)data + t->part[p].offset && memcmp(place, buf, n) == 0));
        free(buf);
      }
    }
    ck_assert(!mxq_reader_unverified(r));
    mxq_reader_close(r);
    free(data);
  }
}
END_TEST

/* Tensor 7, as far as opening and reading tell. */
static enum mxq_status read_plain(const void *data, size_t size, struct mxq_error *err) {
  mxq_reader *r;
  unsigned char buf[8];
  enum mxq_status s = open_bytes(data, size, NULL, &r, err);
  ck_assert_msg(s == MXQ_OK, "%s", err->text);
  s = mxq_reader_read(r, 7, MXQ_PART_DATA, 8, buf, 8, err);
  ck_assert_int_eq(mxq_reader_read(r, 7, MXQ_PART_DATA, 0, buf, 8, err), s);
  ck_assert_int_eq(mxq_reader_read(r, 0, MXQ_PART_CODES, 0, buf, 8, NULL), MXQ_OK);
  mxq_reader_close(r);
  return s;
}

START_TEST(a_changed_byte_of_a_tensor_is_found_at_first_access_even_when_the_crc_was_made_to_fit) {
  void *data;
  size_t size, patched = 0;
  struct mxq_error err = {0};
  mxq_reader *r;
  write_archive(MXQ_GRAPH_EACH, &data, &size);
  ck_assert_int_eq(open_bytes(data, size, NULL, &r, &err), MXQ_OK);
  struct mxq_extent e = mxq_reader_tensor(r, 7)->part[0];
  mxq_reader_close(r);
  ck_assert_int_eq(read_plain(data, size, &err), MXQ_OK);
  uint32_t old = (uint32_t)crc32(0, (unsigned char *)data + e.offset, (uInt)e.size);
  ((unsigned char *)data)[e.offset] ^= 1;
  uint32_t new = (uint32_t)crc32(0, (unsigned char *)data + e.offset, (uInt)e.size);
  ck_assert_int_eq(read_plain(data, size, &err), MXQ_ERR_DAMAGED);
  ck_assert_ptr_nonnull(strstr(err.text, "CRC"));
  for (char *p = data; (p = memmem(p, size - (size_t)(p - (char *)data), &old, 4)); patched++)
    memcpy(p, &new, 4);
  ck_assert_uint_eq(patched, 2); /* local header and directory */
  ck_assert_int_eq(read_plain(data, size, &err), MXQ_ERR_DAMAGED);
  ck_assert_ptr_nonnull(strstr(err.text, "SHA-256"));
  ck_assert_ptr_nonnull(strstr(err.subject, "data/weights/weight_"));
  free(data);
}
END_TEST

/* Replaces bytes of the same length in the archive and opens it without checksums. */
static enum mxq_status edited(const char *from, const char *to, struct mxq_error *err) {
  void *data;
  size_t size, n = strlen(from);
  mxq_reader *r;
  struct mxq_read_options options = {.unverified = true, .allow_zero_crc = true};
  write_archive(MXQ_GRAPH_NONE, &data, &size);
  ck_assert_uint_eq(n, strlen(to));
  char *p = memmem(data, size, from, n);
  ck_assert_msg(p, "%s is not in the archive", from);
  memcpy(p, to, n);
  /* Text is checked always: take the digests away by name, and put 0 for the CRC of model.json. */
  for (char *d = data; (d = memmem(d, size - (size_t)(d - (char *)data), "mxq_digests", 11));)
    memcpy(d, "no_digests_", 11);
  for (char *d = data; (d = memmem(d, size - (size_t)(d - (char *)data), "model/models/model.json", 23)); d++) {
    if (d - (char *)data >= 46 && memcmp(d - 46, "PK\1\2", 4) == 0)
      memset(d - 46 + 16, 0, 4);
    else if (d - (char *)data >= 30 && memcmp(d - 30, "PK\3\4", 4) == 0)
      memset(d - 30 + 14, 0, 4);
  }
  enum mxq_status s = open_bytes(data, size, &options, &r, err);
  mxq_reader_close(r);
  free(data);
  return s;
}

START_TEST(a_manifest_that_does_not_fit_its_tensors_is_refused_by_name) {
  struct mxq_error err = {0};
  ck_assert_msg(edited("mxquant", "mxquant", &err) == MXQ_OK, "%s: %s", err.subject, err.text);
  static const struct { const char *from, *to; enum mxq_status status; } edits[] = {
      {"\\\"shape\\\":[2,40],\\\"axes\\\":[1,1]", "\\\"shape\\\":[2,70],\\\"axes\\\":[1,1]", MXQ_ERR_MALFORMED},
      {"\\\"shape\\\":[2,40],\\\"axes\\\":[1,1]", "\\\"shape\\\":[3,40],\\\"axes\\\":[1,1]", MXQ_ERR_MALFORMED},
      {"\\\"shape\\\":[2,40],\\\"axes\\\":[1,1]", "\\\"shape\\\":[2,40],\\\"axes\\\":[1,2]", MXQ_ERR_MALFORMED},
      {"\\\"shape\\\":[2,40],\\\"axes\\\":[1,1]", "\\\"shape\\\":[2,40],\\\"axes\\\":[0,0]", MXQ_ERR_MALFORMED},
      {"\\\"format\\\":\\\"mxfp4\\\"", "\\\"format\\\":\\\"mxfp5\\\"", MXQ_ERR_UNSUPPORTED},
      {"\\\"block\\\":32", "\\\"block\\\":16", MXQ_ERR_UNSUPPORTED},
      {"even-low", "even-hig", MXQ_ERR_UNSUPPORTED},
      {"\\\"source_dtype\\\":\\\"bf16\\\"", "\\\"source_dtype\\\":\\\"bf17\\\"", MXQ_ERR_MALFORMED},
      {"\\\"scales\\\":\\\"a.weight_scales\\\"", "\\\"scales\\\":\\\"a.weight_scalez\\\"", MXQ_ERR_MALFORMED},
      {"\\\"scales\\\":\\\"a.weight_scales\\\"", "\\\"scales\\\":\\\"a.weight_codes\\\" ", MXQ_ERR_MALFORMED},
      {"\\\"dtype\\\":\\\"f6_e2m3\\\",\\\"shape\\\":[4,2]", "\\\"dtype\\\":\\\"f6_e2m3\\\",\\\"shape\\\":[4,4]", MXQ_ERR_MALFORMED},
      {"{\\\"mx\\\":{\\\"version\\\":1", "{\\\"mx\\\":{\\\"version\\\":2", MXQ_ERR_UNSUPPORTED},
      {"{\\\"mx\\\":{\\\"version\\\":1", "{\\\"mx\\\":[\\\"version\\\":1", MXQ_ERR_MALFORMED},
  };
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    enum mxq_status s = edited(edits[i].from, edits[i].to, &err);
    ck_assert_msg(s == edits[i].status, "%s: status %d: %s", edits[i].to, s, s ? err.text : "");
    ck_assert_msg(err.text[0] && (err.subject[0] || i >= 11), "%s: '%s' '%s'", edits[i].to, err.subject, err.text);
  }
}
END_TEST

START_TEST(codes_that_lie_one_in_a_byte_are_delivered_packed_from_any_byte_on) {
  struct mxq_error err = {0};
  mxq_reader *r;
  ck_assert_msg(mxq_reader_open("testdata/pt2/good_mxfp6_unpacked.pt2", NULL, &r, &err) == MXQ_OK, "%s", err.text);
  size_t i = mxq_reader_find(r, "fc.weight");
  const struct mxq_tensor *t = mxq_reader_tensor(r, i);
  ck_assert(t->format == MXQ_MXFP6_E2M3 && t->ndim == 2 && t->shape[0] == 4 && t->shape[1] == 64);
  ck_assert_str_eq(t->layout, "unpacked");
  uint64_t n = mxq_reader_part_bytes(r, i, MXQ_PART_CODES);
  ck_assert_uint_eq(n, 4 * 64 * 3 / 4);
  unsigned char all[192], piece[192];
  ck_assert_int_eq(mxq_reader_read(r, i, MXQ_PART_CODES, 0, all, n, &err), MXQ_OK);
  for (size_t from = 0; from < n; from++)
    for (size_t to = from; to <= n; to += 5) {
      ck_assert_int_eq(mxq_reader_read(r, i, MXQ_PART_CODES, from, piece, to - from, &err), MXQ_OK);
      ck_assert(memcmp(piece, all + from, to - from) == 0);
    }
  mxq_reader_close(r);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 manifest");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, what_was_written_is_read_back_under_its_true_names);
  tcase_add_test(t, a_changed_byte_of_a_tensor_is_found_at_first_access_even_when_the_crc_was_made_to_fit);
  tcase_add_test(t, a_manifest_that_does_not_fit_its_tensors_is_refused_by_name);
  tcase_add_test(t, codes_that_lie_one_in_a_byte_are_delivered_packed_from_any_byte_on);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
