/* SPDX-License-Identifier: MIT */
/* Files with known verdicts and known values, for the tests of readers. */
#ifndef TESTS_UNIT_CORPUS_H
#define TESTS_UNIT_CORPUS_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <mxq/archive.h>

/* testdata/KIND/NAME, else the same in the full set; NULL when it is in neither. */
static const char *corpus_find(const char *kind, const char *name) {
  static char path[600];
  const char *shared = getenv("MXQ_SHARED");
  snprintf(path, sizeof path, "testdata/%s/%s", kind, name);
  if (access(path, R_OK) == 0)
    return path;
  snprintf(path, sizeof path, "%s/corpora/%s/%s", shared ? shared : "../shared", kind, name);
  return access(path, R_OK) == 0 ? path : NULL;
}

/* How a tensor's name stands in values.tsv. */
static void corpus_escape(const char *name, char *out) {
  if (!*name)
    strcpy(out, "%");
  for (; *name; name++)
    out += sprintf(out, (unsigned char)*name > 0x20 && (unsigned char)*name < 0x7F && *name != '%' ? "%c" : "%%%02X", (unsigned char)*name);
}

static void corpus_shape(const struct mxq_tensor *t, char *out) {
  strcpy(out, "-");
  for (uint32_t i = 0; i < t->ndim; i++)
    out += sprintf(out, "%s%llu", i ? "x" : "", (unsigned long long)t->shape[i]);
}

/* CRC of a tensor's values, read at once and then once more in small pieces. */
static uint32_t corpus_crc(mxq_reader *r, size_t i) {
  struct mxq_error err = {0};
  uint64_t size = mxq_reader_part_bytes(r, i, MXQ_PART_DATA);
  unsigned char *all = malloc(size + 1), piece[48];
  ck_assert_msg(mxq_reader_read(r, i, MXQ_PART_DATA, 0, all, size, &err) == MXQ_OK, "%s", err.text);
  for (uint64_t at = 0; at < size; at += sizeof piece) {
    size_t n = size - at < sizeof piece ? size - at : sizeof piece;
    ck_assert_msg(mxq_reader_read(r, i, MXQ_PART_DATA, at, piece, n, &err) == MXQ_OK, "%s", err.text);
    if (memcmp(piece, all + at, n) != 0)
      ck_abort_msg("pieces differ at byte %llu of %s", (unsigned long long)at, mxq_reader_path(r));
  }
  uint32_t crc = (uint32_t)crc32(0, all, (uInt)size);
  free(all);
  return crc;
}

/* Reads each tensor that values.tsv of this kind names, where its file is there; returns how many were compared and how many lines there are. */
static size_t corpus_values(const char *kind, size_t *lines) {
  char path[200], line[9000], file[300] = "";
  size_t compared = 0, in_file = 0;
  mxq_reader *r = NULL;
  snprintf(path, sizeof path, "testdata/%s/values.tsv", kind);
  FILE *f = fopen(path, "r");
  ck_assert_ptr_nonnull(f);
  ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
  for (*lines = 0; fgets(line, sizeof line, f); ++*lines) {
    char *field[5], *rest = line;
    for (int i = 0; i < 5; i++)
      field[i] = strsep(&rest, "\t\n");
    if (strcmp(file, field[0]) != 0) {
      ck_assert_msg(!r || in_file == mxq_reader_count(r), "%s: %zu tensors compared of %zu", file, in_file, r ? mxq_reader_count(r) : 0);
      mxq_reader_close(r);
      r = NULL;
      in_file = 0;
      snprintf(file, sizeof file, "%s", field[0]);
      const char *found = corpus_find(kind, file);
      struct mxq_error err = {0};
      if (found)
        ck_assert_msg(mxq_reader_open(found, NULL, &r, &err) == MXQ_OK, "%s: %s", found, err.text);
    }
    if (!r)
      continue;
    size_t i = 0;
    char name[3 * 4096 + 2] = "", shape[64 * 21];
    for (; i < mxq_reader_count(r); i++) {
      corpus_escape(mxq_reader_tensor(r, i)->name, name);
      if (strcmp(name, field[1]) == 0)
        break;
    }
    ck_assert_msg(i < mxq_reader_count(r), "%s: no tensor %s", file, field[1]);
    const struct mxq_tensor *t = mxq_reader_tensor(r, i);
    ck_assert_uint_eq(mxq_reader_find(r, t->name), i);
    corpus_shape(t, shape);
    ck_assert_str_eq(mxq_dtype_name(t->dtype), field[2]);
    ck_assert_str_eq(shape, field[3]);
    char crc[9];
    snprintf(crc, sizeof crc, "%08x", corpus_crc(r, i));
    ck_assert_msg(strcmp(crc, field[4]) == 0, "%s: tensor %s: other values", file, field[1]);
    compared++;
    in_file++;
  }
  ck_assert_msg(!r || in_file == mxq_reader_count(r), "%s", file);
  mxq_reader_close(r);
  fclose(f);
  return compared;
}

/* A file is refused with a reason, by opening or at the latest by reading; and verify calls that a finding. */
static void corpus_refused(const char *path) {
  struct mxq_error err = {0};
  mxq_reader *r;
  enum mxq_status s = mxq_reader_open(path, NULL, &r, &err);
  if (s == MXQ_OK) {
    for (size_t i = 0; i < mxq_reader_count(r) && s == MXQ_OK; i++) {
      uint64_t n = mxq_reader_part_bytes(r, i, MXQ_PART_DATA);
      void *buf = malloc(n + 1);
      s = mxq_reader_read(r, i, MXQ_PART_DATA, 0, buf, n, &err);
      free(buf);
    }
    mxq_reader_close(r);
  } else {
    ck_assert_ptr_null(r);
  }
  ck_assert_msg(s == MXQ_ERR_MALFORMED || s == MXQ_ERR_UNSUPPORTED || s == MXQ_ERR_DAMAGED || s == MXQ_ERR_LIMIT || s == MXQ_ERR_FORMAT,
                "%s: status %d: %s", path, s, err.text);
  ck_assert_int_eq(err.code, s);
  ck_assert_msg(strlen(err.text) > 10 && err.subject[0], "%s: '%s'", path, err.text);
  struct mxq_verify_result result;
  ck_assert_msg(mxq_verify(path, NULL, NULL, NULL, &result, &err) == MXQ_OK && result.findings > 0, "%s: verify finds nothing", path);
}

__attribute__((unused)) static size_t corpus_bad(const char *kind) {
  char path[600];
  size_t n = 0;
  snprintf(path, sizeof path, "testdata/%s", kind);
  DIR *d = opendir(path);
  ck_assert_ptr_nonnull(d);
  for (struct dirent *e; (e = readdir(d));) {
    if (strncmp(e->d_name, "bad_", 4) == 0) {
      snprintf(path, sizeof path, "testdata/%s/%s", kind, e->d_name);
      corpus_refused(path);
      n++;
    }
  }
  closedir(d);
  return n;
}

/* Every verdict of the full set; the number of files, 0 where the set is not there. */
__attribute__((unused)) static size_t corpus_labels(const char *kind) {
  const char *shared = getenv("MXQ_SHARED");
  char path[600], line[4096];
  size_t n = 0;
  snprintf(path, sizeof path, "%s/corpora/%s/labels.tsv", shared ? shared : "../shared", kind);
  FILE *f = fopen(path, "r");
  if (!f) {
    ck_assert_msg(!shared, "%s is missing", path);
    return 0;
  }
  ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
  for (; fgets(line, sizeof line, f); n++) {
    char *rest = line, *name = strsep(&rest, "\t"), *verdict;
    strsep(&rest, "\t");
    verdict = strsep(&rest, "\t");
    snprintf(path, sizeof path, "%s/corpora/%s/%s", shared ? shared : "../shared", kind, name);
    if (strcmp(verdict, "refuse") == 0) {
      corpus_refused(path);
    } else if (strcmp(verdict, "read") == 0) {
      struct mxq_verify_result result;
      struct mxq_error err = {0};
      ck_assert_msg(mxq_verify(path, NULL, NULL, NULL, &result, &err) == MXQ_OK && result.findings == 0, "%s: %s", path, err.text);
    } else {
      mxq_reader *r;
      struct mxq_error err = {0};
      if (mxq_reader_open(path, NULL, &r, &err) == MXQ_OK)
        for (size_t i = 0; i < mxq_reader_count(r); i++)
          corpus_crc(r, i);
      mxq_reader_close(r);
    }
  }
  fclose(f);
  return n;
}

#endif
