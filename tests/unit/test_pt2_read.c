/* SPDX-License-Identifier: MIT */
#include "tests/unit/corpus.h"

#include <openssl/evp.h>

#include "formats/json/json.h"

/* Opens and reads every part of every tensor. */
static enum mxq_status read_all(const char *path, const struct mxq_read_options *options, struct mxq_error *err) {
  mxq_reader *r;
  enum mxq_status s = mxq_reader_open(path, options, &r, err);
  for (size_t i = 0; s == MXQ_OK && i < mxq_reader_count(r); i++)
    for (int p = 0; p < (mxq_reader_tensor(r, i)->format ? 2 : 1) && s == MXQ_OK; p++) {
      uint64_t n = mxq_reader_part_bytes(r, i, p ? MXQ_PART_SCALES : MXQ_PART_DATA);
      void *buf = malloc(n + 1);
      s = mxq_reader_read(r, i, p ? MXQ_PART_SCALES : MXQ_PART_DATA, 0, buf, n, err);
      free(buf);
    }
  mxq_reader_close(r);
  return s;
}

static void refused(const char *path) {
  struct mxq_error err = {0};
  enum mxq_status s = read_all(path, NULL, &err);
  ck_assert_msg(s == MXQ_ERR_MALFORMED || s == MXQ_ERR_UNSUPPORTED || s == MXQ_ERR_DAMAGED || s == MXQ_ERR_LIMIT || s == MXQ_ERR_FORMAT,
                "%s: status %d: %s", path, s, err.text);
  ck_assert_int_eq(err.code, s);
  ck_assert_msg(strlen(err.text) > 10 && err.subject[0], "%s: '%s'", path, err.text);
}

START_TEST(archives_with_one_defect_are_refused_and_the_reason_is_told) {
  char path[300];
  size_t n = 0;
  DIR *d = opendir("testdata/pt2");
  ck_assert_ptr_nonnull(d);
  for (struct dirent *e; (e = readdir(d));) {
    snprintf(path, sizeof path, "testdata/pt2/%s", e->d_name);
    if (strncmp(e->d_name, "bad_", 4) == 0) {
      refused(path);
      n++;
    } else if (strncmp(e->d_name, "good_", 5) == 0) {
      struct mxq_error err = {0};
      ck_assert_msg(read_all(path, NULL, &err) == MXQ_OK, "%s: %s", path, err.text);
    }
  }
  closedir(d);
  ck_assert_uint_ge(n, 29);
}
END_TEST

START_TEST(the_full_set_is_judged_as_its_labels_say) {
  const char *shared = getenv("MXQ_SHARED");
  char path[600], line[2000];
  size_t count[3] = {0};
  snprintf(path, sizeof path, "%s/corpora/pt2/labels.tsv", shared ? shared : "../shared");
  FILE *f = fopen(path, "r");
  if (!f) {
    ck_assert_msg(!shared, "%s is missing", path);
    return;
  }
  ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
  while (fgets(line, sizeof line, f)) {
    char *rest = line, *field[4];
    struct mxq_error err = {0};
    for (int i = 0; i < 4; i++)
      field[i] = strsep(&rest, "\t\n");
    snprintf(path, sizeof path, "%s/corpora/pt2/%s", shared ? shared : "../shared", field[0]);
    if (strcmp(field[2], "read") == 0) {
      ck_assert_msg(read_all(path, NULL, &err) == MXQ_OK, "%s: %s", field[0], err.text);
      count[0]++;
    } else if (strcmp(field[2], "refuse") == 0) {
      refused(path);
      count[1]++;
    } else {
      enum mxq_status s = read_all(path, NULL, &err);
      ck_assert_msg(s == MXQ_OK || err.text[0], "%s", field[0]);
      count[2]++;
    }
  }
  fclose(f);
  ck_assert_uint_eq(count[0] + count[1] + count[2], 324);
  printf("pt2: %zu read, %zu refused, %zu either\n", count[0], count[1], count[2]);
}
END_TEST

START_TEST(views_have_the_values_that_numpy_gives_them) {
  size_t lines, compared = corpus_values("pt2", &lines);
  ck_assert_uint_ge(compared, 50);
  if (getenv("MXQ_SHARED"))
    ck_assert_uint_eq(compared, lines);
  printf("pt2: %zu of %zu tensors compared\n", compared, lines);
}
END_TEST

START_TEST(archives_without_checksums_are_read_on_demand_and_called_unverified) {
  struct mxq_error err = {0};
  struct mxq_read_options allow = {.allow_zero_crc = true}, blind = {.unverified = true};
  mxq_reader *r;
  char buf[4];
  ck_assert_int_eq(mxq_reader_open("testdata/pt2/bad_crc_zero_weight.pt2", NULL, &r, &err), MXQ_ERR_DAMAGED);
  ck_assert_int_eq(mxq_reader_open("testdata/pt2/bad_crc_zero_weight.pt2", &allow, &r, &err), MXQ_OK);
  ck_assert(!mxq_reader_unverified(r));
  ck_assert_int_eq(mxq_reader_read(r, mxq_reader_find(r, "w"), MXQ_PART_DATA, 0, buf, 4, &err), MXQ_OK);
  ck_assert(mxq_reader_unverified(r));
  mxq_reader_close(r);
  ck_assert_int_eq(mxq_reader_open("testdata/pt2/bad_crc_wrong_weight.pt2", NULL, &r, &err), MXQ_OK);
  ck_assert_int_eq(mxq_reader_read(r, mxq_reader_find(r, "w"), MXQ_PART_DATA, 0, buf, 4, &err), MXQ_ERR_DAMAGED);
  ck_assert_ptr_nonnull(strstr(err.subject, "data/weights/weight_"));
  mxq_reader_close(r);
  ck_assert_int_eq(mxq_reader_open("testdata/pt2/bad_crc_wrong_weight.pt2", &blind, &r, &err), MXQ_OK);
  ck_assert_int_eq(mxq_reader_read(r, mxq_reader_find(r, "w"), MXQ_PART_DATA, 0, buf, 4, &err), MXQ_OK);
  ck_assert(mxq_reader_unverified(r));
  mxq_reader_close(r);
}
END_TEST

START_TEST(what_is_no_archive_of_ours_is_called_by_its_name) {
  static const struct { const char *file; enum mxq_status status; const char *word; } other[] = {
      {"bad_no_program.pt2", MXQ_ERR_UNSUPPORTED, "holds no program"},
      {"bad_is_torch_save.pt2", MXQ_ERR_FORMAT, "PyTorch .pt"},
      {"bad_legacy_weights_hostile.pt2", MXQ_ERR_UNSUPPORTED, "2.8"},
      {"bad_use_pickle_hostile.pt2", MXQ_ERR_UNSUPPORTED, "pickle"},
      {"bad_schema_major_9.pt2", MXQ_ERR_UNSUPPORTED, "schema"},
      {"bad_case_collision.pt2", MXQ_ERR_MALFORMED, "case"},
  };
  for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
    char path[200];
    struct mxq_error err = {0};
    mxq_reader *r;
    snprintf(path, sizeof path, "testdata/pt2/%s", other[i].file);
    ck_assert_int_eq(mxq_reader_open(path, NULL, &r, &err), other[i].status);
    ck_assert_msg(strstr(err.text, other[i].word), "%s: %s", other[i].file, err.text);
  }
}
END_TEST

/* ---- samples of PyTorch with what PyTorch says about them ---- */

struct expected {
  char name[400], kind[40], dtype[40], sha[65];
  uint64_t shape[8], strides[8], offset;
  uint32_t ndim, stride_count;
};

static void take(mxq_json *j, char *to, size_t room) {
  const char *s;
  size_t n;
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_STRING);
  ck_assert_uint_lt(n, room);
  memcpy(to, s, n);
  to[n] = 0;
}

static void take_tensor(mxq_json *j, struct expected *e) {
  const char *s;
  size_t n;
  ck_assert(mxq_json_expect(j, MXQ_JSON_OBJECT));
  while (mxq_json_next(j, &s, &n) == MXQ_JSON_KEY) {
    if (n == 4 && memcmp(s, "kind", 4) == 0) {
      take(j, e->kind, sizeof e->kind);
    } else if (n == 5 && memcmp(s, "dtype", 5) == 0) {
      take(j, e->dtype, sizeof e->dtype);
    } else if (n == 6 && memcmp(s, "sha256", 6) == 0) {
      take(j, e->sha, sizeof e->sha);
    } else if (n == 6 && memcmp(s, "offset", 6) == 0) {
      ck_assert(mxq_json_u64(j, &e->offset));
    } else if ((n == 5 && memcmp(s, "shape", 5) == 0) || (n == 7 && memcmp(s, "strides", 7) == 0)) {
      uint64_t *list = n == 5 ? e->shape : e->strides;
      uint32_t *count = n == 5 ? &e->ndim : &e->stride_count;
      ck_assert(mxq_json_expect(j, MXQ_JSON_ARRAY));
      while (mxq_json_next(j, &s, &n) == MXQ_JSON_NUMBER)
        ck_assert(mxq_json_text_to_u64(s, n, &list[(*count)++]));
    } else {
      mxq_json_skip(j, MXQ_JSON_KEY);
    }
  }
}

/* "float8_e4m3fn" -> "f8_e4m3" and so on. */
static const char *our_dtype(const char *torch) {
  static const char *const table[][2] = {
      {"float32", "f32"}, {"float64", "f64"}, {"float16", "f16"}, {"bfloat16", "bf16"}, {"float8_e8m0fnu", "f8_e8m0"}, {"float8_e4m3fn", "f8_e4m3"},
      {"float8_e5m2", "f8_e5m2"}, {"float8_e4m3fnuz", "f8_e4m3fnuz"}, {"float8_e5m2fnuz", "f8_e5m2fnuz"}, {"uint8", "u8"}, {"int8", "i8"},
      {"int16", "i16"}, {"int32", "i32"}, {"int64", "i64"}, {"uint16", "u16"}, {"uint32", "u32"}, {"uint64", "u64"}, {"bool", "bool"},
      {"complex32", "c32"}, {"complex64", "c64"}, {"complex128", "c128"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i][0], torch) == 0)
      return table[i][1];
  return "";
}

static const char *our_kind(const char *torch) {
  return strcmp(torch, "constant_tensor") == 0 ? "constant" : strcmp(torch, "non-persistent buffer") == 0 ? "nonpersistent" : torch;
}

static void part_sha(mxq_reader *r, size_t i, enum mxq_part part, char hex[65]) {
  struct mxq_error err = {0};
  unsigned char sum[32];
  uint64_t n = mxq_reader_part_bytes(r, i, part);
  void *buf = malloc(n + 1);
  ck_assert_msg(mxq_reader_read(r, i, part, 0, buf, n, &err) == MXQ_OK, "%s", err.text);
  ck_assert_int_eq(EVP_Digest(buf, n, sum, NULL, EVP_sha256(), NULL), 1);
  for (int k = 0; k < 32; k++)
    sprintf(hex + 2 * k, "%02x", sum[k]);
  free(buf);
}

static bool same_strides(const struct mxq_tensor *t, const struct expected *e) {
  uint64_t step = 1;
  bool same = t->ndim == e->stride_count;
  for (uint32_t i = t->ndim; same && i-- > 0; step *= t->shape[i] ? t->shape[i] : 1)
    same = (t->stored_strides ? (uint64_t)t->stored_strides[i] : step) == e->strides[i];
  return same;
}

static void compare(mxq_reader *r, const struct expected *e, const char *file, size_t *plain, size_t *parts) {
  char sha[65];
  size_t i = mxq_reader_find(r, e->name);
  if (i != SIZE_MAX && mxq_reader_tensor(r, i)->format == MXQ_FORMAT_NONE) {
    const struct mxq_tensor *t = mxq_reader_tensor(r, i);
    ck_assert_msg(strcmp(mxq_dtype_name(t->dtype), our_dtype(e->dtype)) == 0 && strcmp(mxq_kind_name(t->kind), our_kind(e->kind)) == 0 &&
                      t->ndim == e->ndim && memcmp(t->shape ? t->shape : e->shape, e->shape, e->ndim * sizeof *e->shape) == 0 &&
                      t->storage_offset == e->offset && same_strides(t, e),
                  "%s: %s: %s %s", file, e->name, mxq_dtype_name(t->dtype), mxq_kind_name(t->kind));
    part_sha(r, i, MXQ_PART_DATA, sha);
    ck_assert_msg(strcmp(sha, e->sha) == 0, "%s: %s: other values", file, e->name);
    ++*plain;
    return;
  }
  for (i = 0; i < mxq_reader_count(r); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(r, i);
    bool codes = t->codes_name && strcmp(t->codes_name, e->name) == 0, scales = t->scales_name && strcmp(t->scales_name, e->name) == 0;
    if (!codes && !scales)
      continue;
    part_sha(r, i, codes ? MXQ_PART_CODES : MXQ_PART_SCALES, sha);
    ck_assert_msg(strcmp(sha, e->sha) == 0 || strcmp(t->layout, "unpacked") == 0, "%s: %s: other values", file, e->name);
    ++*parts;
    return;
  }
  ck_abort_msg("%s: no tensor %s", file, e->name);
}

/* The decoded tensor, NaN written as 0x7FC00000. */
static void compare_decoded(mxq_reader *r, const char *name, const char *want, const char *file) {
  struct mxq_error err = {0};
  unsigned char sum[32];
  char hex[65];
  size_t i = mxq_reader_find(r, name);
  ck_assert_msg(i != SIZE_MAX, "%s: no tensor %s", file, name);
  uint64_t n = mxq_reader_tensor(r, i)->elements;
  uint32_t *values = malloc(n * 4 + 1);
  ck_assert_msg(mxq_reader_decode(r, i, MXQ_F32, values, n * 4, NULL, &err) == MXQ_OK, "%s", err.text);
  for (uint64_t k = 0; k < n; k++)
    if ((values[k] & 0x7FFFFFFF) > 0x7F800000)
      values[k] = 0x7FC00000;
  ck_assert_int_eq(EVP_Digest(values, n * 4, sum, NULL, EVP_sha256(), NULL), 1);
  for (int k = 0; k < 32; k++)
    sprintf(hex + 2 * k, "%02x", sum[k]);
  ck_assert_msg(strcmp(hex, want) == 0, "%s: %s decodes to other values", file, name);
  free(values);
}

static void check_sample(const char *folder, const char *name, size_t *plain, size_t *parts, size_t *decoded) {
  char path[900];
  const char *s;
  size_t n;
  struct mxq_error err = {0};
  mxq_reader *r;
  snprintf(path, sizeof path, "%s/%s.expected.json", folder, name);
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  fseek(f, 0, SEEK_END);
  size_t size = (size_t)ftell(f);
  rewind(f);
  char *text = malloc(size);
  ck_assert_uint_eq(fread(text, 1, size, f), size);
  fclose(f);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  enum mxq_status status = mxq_reader_open(path, NULL, &r, &err);
  if (strcmp(name, "g.pt2") == 0) {
    ck_assert_int_eq(status, MXQ_ERR_UNSUPPORTED);
    free(text);
    return;
  }
  ck_assert_msg(status == MXQ_OK, "%s: %s", name, err.text);
  mxq_json *j;
  ck_assert_int_eq(mxq_json_open(text, size, 0, &j, NULL), MXQ_OK);
  ck_assert(mxq_json_expect(j, MXQ_JSON_OBJECT));
  while (mxq_json_next(j, &s, &n) == MXQ_JSON_KEY) {
    bool values = n == 11 && memcmp(s, "dequantized", 11) == 0;
    if (!values && (n != 7 || memcmp(s, "tensors", 7) != 0)) {
      mxq_json_skip(j, MXQ_JSON_KEY);
      continue;
    }
    ck_assert(mxq_json_expect(j, MXQ_JSON_OBJECT));
    while (mxq_json_next(j, &s, &n) == MXQ_JSON_KEY) {
      struct expected e = {0};
      ck_assert_uint_lt(n, sizeof e.name);
      memcpy(e.name, s, n);
      if (values) {
        take(j, e.sha, sizeof e.sha);
        compare_decoded(r, e.name, e.sha, name);
        ++*decoded;
      } else {
        take_tensor(j, &e);
        compare(r, &e, name, plain, parts);
      }
    }
  }
  mxq_json_close(j);
  mxq_reader_close(r);
  free(text);
}

START_TEST(samples_of_pytorch_have_the_tensors_that_pytorch_says) {
  const char *shared = getenv("MXQ_SHARED");
  char folder[600];
  size_t files = 0, plain = 0, parts = 0, decoded = 0;
  snprintf(folder, sizeof folder, "%s/pt2", shared ? shared : "../shared");
  DIR *d = opendir(folder);
  if (!d) {
    ck_assert_msg(!shared, "%s is missing", folder);
    return;
  }
  for (struct dirent *e; (e = readdir(d));) {
    size_t n = strlen(e->d_name);
    if (n > 4 && strcmp(e->d_name + n - 4, ".pt2") == 0) {
      check_sample(folder, e->d_name, &plain, &parts, &decoded);
      files++;
    } else if (n > 3 && (strcmp(e->d_name + n - 3, ".pt") == 0 || strcmp(e->d_name + n - 4, ".ptl") == 0)) {
      char path[900];
      struct mxq_error err = {0};
      mxq_reader *r;
      snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
      ck_assert_msg(mxq_reader_open(path, NULL, &r, &err) == MXQ_ERR_FORMAT && strstr(err.text, "PyTorch .pt"), "%s: %s", e->d_name, err.text);
      files++;
    }
  }
  closedir(d);
  ck_assert_uint_eq(files, 46);
  ck_assert_uint_eq(plain, 383);
  ck_assert_uint_eq(parts, 64);
  ck_assert_uint_eq(decoded, 27);
  printf("pt2: %zu tensors and %zu parts of %zu samples compared, %zu decoded\n", plain, parts, files, decoded);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 reader");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, archives_with_one_defect_are_refused_and_the_reason_is_told);
  tcase_add_test(t, the_full_set_is_judged_as_its_labels_say);
  tcase_add_test(t, views_have_the_values_that_numpy_gives_them);
  tcase_add_test(t, archives_without_checksums_are_read_on_demand_and_called_unverified);
  tcase_add_test(t, what_is_no_archive_of_ours_is_called_by_its_name);
  tcase_add_test(t, samples_of_pytorch_have_the_tensors_that_pytorch_says);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
