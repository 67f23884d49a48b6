/* SPDX-License-Identifier: MIT */
/* The container: one root folder, the records that mark the format, digests and index. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/index.h"
#include "formats/pt2/pt2.h"
#include "formats/pt2/verify.h"
#include "lib/base/fail.h"

size_t mxq_pt2_member(const struct mxq_pt2_reader *r, const char *folder, const char *record, size_t n) {
  char name[4096]; /* members with longer names are refused */
  size_t f = strlen(folder);
  if (r->root_len + f > sizeof name || n > sizeof name - r->root_len - f)
    return SIZE_MAX;
  memcpy(name, r->root, r->root_len);
  memcpy(name + r->root_len, folder, f);
  memcpy(name + r->root_len + f, record, n);
  return mxq_zip_find(r->zip, name, r->root_len + f + n);
}

static size_t find(const struct mxq_pt2_reader *r, const char *record) { return mxq_pt2_member(r, "/", record, strlen(record)); }

/* ---- checksums ---- */

struct hashing {
  struct mxq_sha256 *sha;
  bool failed;
};

static void on_data(void *user, const void *data, size_t n) {
  struct hashing *h = user;
  h->failed |= !mxq_sha256_add(h->sha, data, n);
}

/* A stored text takes no more memory than the file has bytes, so it may be larger than one that is inflated. */
static uint64_t longest(const struct mxq_pt2_reader *r, const struct mxq_zip_member *m) {
  uint64_t max = r->base.options.max_text;
  return m->method || max > UINT64_MAX / 10 ? max : 10 * max;
}

/* Checks a member; with `text`, delivers it too. */
static enum mxq_status check(struct mxq_pt2_reader *r, size_t member, char **text, size_t *n, struct mxq_error *err) {
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, member);
  const unsigned char *want = r->has_digests ? r->sha256[member] : NULL;
  unsigned char got[MXQ_SHA256_BYTES];
  struct hashing h = {0};
  if (want) {
    h.sha = mxq_sha256_new();
    if (!h.sha || !mxq_sha256_start(h.sha)) {
      mxq_sha256_free(h.sha);
      return mxq_fail_nomem(err, m->name);
    }
  }
  enum mxq_status status = text ? mxq_zip_load(r->zip, member, longest(r, m), text, n, err)
                                : mxq_zip_check(r->zip, member, want ? on_data : NULL, &h, err);
  if (status == MXQ_OK && want && text)
    on_data(&h, *text, *n);
  if (status == MXQ_OK && want && (h.failed || !mxq_sha256_end(h.sha, got)))
    status = mxq_fail_nomem(err, m->name);
  mxq_sha256_free(h.sha);
  if (status == MXQ_OK && want && memcmp(got, want, sizeof got) != 0)
    status = mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->data_offset,
                         "this member's data does not have the SHA-256 that the archive states: it was changed");
  if (status != MXQ_OK && text) {
    free(*text);
    *text = NULL;
  }
  r->checked[member] = status == MXQ_OK;
  return status == MXQ_OK ? status : mxq_fail_name(err, status, m->name);
}

enum mxq_status mxq_pt2_check_member(struct mxq_pt2_reader *r, size_t member, struct mxq_error *err) {
  return r->checked[member] ? MXQ_OK : check(r, member, NULL, NULL, err);
}

enum mxq_status mxq_pt2_load(struct mxq_pt2_reader *r, size_t member, char **text, size_t *n, struct mxq_error *err) {
  *text = NULL;
  *n = 0;
  if (mxq_zip_member(r->zip, member)->zero_crc)
    r->base.unverified = true;
  return check(r, member, text, n, err);
}

/* ---- what kind of archive this is ---- */

static enum mxq_status not_ours(const struct mxq_pt2_reader *r, struct mxq_error *err) {
  const char *path = r->base.path;
  static const char old[] = "serialized_exported_program.json";
  if (find(r, old) != SIZE_MAX || mxq_zip_find(r->zip, old, strlen(old)) != SIZE_MAX)
    return mxq_fail(err, MXQ_ERR_UNSUPPORTED, path,
                    "this is an exported program in the layout of PyTorch before 2.8; load and save it again with PyTorch 2.9 or later");
  if (find(r, "archive_format") != SIZE_MAX)
    return MXQ_OK;
  if (find(r, "data.pkl") != SIZE_MAX || mxq_zip_find(r->zip, "data.pkl", 8) != SIZE_MAX) {
    bool script = find(r, "constants.pkl") != SIZE_MAX;
    return mxq_fail(err, MXQ_ERR_FORMAT, path,
                    script ? "this is a TorchScript file (PyTorch .pt, torch.jit.save), which is not read; save its state dict as safetensors"
                           : "this is a PyTorch .pt file (torch.save), which is not read, since its pickle may run code; save it as safetensors");
  }
  return mxq_fail(err, MXQ_ERR_FORMAT, path, "this zip file is no PyTorch archive: it has no record archive_format");
}

/* All members lie in the folder of the first one. Without one, only formats that are refused by name may go on. */
static enum mxq_status find_root(struct mxq_pt2_reader *r, struct mxq_error *err) {
  size_t count = mxq_zip_count(r->zip);
  if (count == 0)
    return mxq_fail(err, MXQ_ERR_FORMAT, r->base.path, "this zip file is empty");
  const struct mxq_zip_member *first = mxq_zip_member(r->zip, 0);
  const char *slash = strchr(first->name, '/');
  r->root_len = slash ? (size_t)(slash - first->name) : 0;
  r->root = mxq_arena_text(&r->base.arena, first->name, r->root_len);
  if (!r->root)
    return mxq_fail_nomem(err, r->base.path);
  enum mxq_status status = not_ours(r, err);
  if (status != MXQ_OK)
    return status;
  for (size_t i = 0; i < count; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    if (m->name_len <= r->root_len || memcmp(m->name, r->root, r->root_len) != 0 || m->name[r->root_len] != '/')
      return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "this member is not in the archive's folder '%.100s'", r->root);
  }
  return MXQ_OK;
}

/* PyTorch finds records without regard to case, so no two may differ in case alone. */
static enum mxq_status check_case(struct mxq_pt2_reader *r, struct mxq_error *err) {
  struct mxq_names folded = {0};
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; i < mxq_zip_count(r->zip) && status == MXQ_OK; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    uint32_t number = (uint32_t)i;
    size_t k = r->root_len;
    while (k < m->name_len && !(m->name[k] >= 'A' && m->name[k] <= 'Z'))
      k++;
    if (k == m->name_len)
      continue;
    char *name = mxq_arena_text(&r->base.arena, m->name, m->name_len);
    for (; name && k < m->name_len; k++)
      if (name[k] >= 'A' && name[k] <= 'Z')
        name[k] = (char)(name[k] | 0x20);
    enum mxq_names_put put = name ? mxq_names_put(&folded, name, m->name_len, &number) : MXQ_NAMES_NOMEM;
    if (put == MXQ_NAMES_NOMEM)
      status = mxq_fail_nomem(err, r->base.path);
    else if (put == MXQ_NAMES_THERE || mxq_zip_find(r->zip, name, m->name_len) != SIZE_MAX)
      status = mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "the name of another member differs from this one in case only");
  }
  mxq_names_free(&folded);
  return status;
}

/* A short record's text. */
static enum mxq_status mark(struct mxq_pt2_reader *r, size_t member, char buf[32], size_t *n, struct mxq_error *err) {
  char *text;
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, member);
  enum mxq_status status = m->size > 31 ? MXQ_OK : mxq_pt2_load(r, member, &text, n, err);
  if (m->size > 31) {
    *n = 31;
    memset(buf, '?', 31);
  } else if (status == MXQ_OK) {
    memcpy(buf, text, *n);
    free(text);
  }
  buf[status == MXQ_OK ? *n : 0] = 0;
  return status;
}

static enum mxq_status check_mark(struct mxq_pt2_reader *r, const char *record, const char *want, bool required, struct mxq_error *err) {
  char text[32];
  size_t n, i = find(r, record);
  if (i == SIZE_MAX)
    return required ? mxq_fail(err, MXQ_ERR_MALFORMED, r->base.path, "the archive has no record %s", record) : MXQ_OK;
  enum mxq_status status = mark(r, i, text, &n, err);
  if (status == MXQ_OK && (n != strlen(want) || memcmp(text, want, n) != 0)) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    status = mxq_fail_at(err, MXQ_ERR_UNSUPPORTED, m->name, m->data_offset, "this record must be '%s' and is something else", want);
  }
  return status;
}

static enum mxq_status check_version(struct mxq_pt2_reader *r, struct mxq_error *err) {
  char text[32];
  size_t n, i = find(r, ".data/version");
  if (i == SIZE_MAX)
    i = find(r, "version");
  if (i == SIZE_MAX)
    return mxq_fail(err, MXQ_ERR_MALFORMED, r->base.path, "the archive has no record .data/version");
  enum mxq_status status = mark(r, i, text, &n, err);
  if (status != MXQ_OK)
    return status;
  uint64_t version = 0;
  if (n && text[n - 1] == '\n')
    n--;
  if (!mxq_json_text_to_u64(text, n, &version) || version < 1 || version > 10) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    return mxq_fail_at(err, MXQ_ERR_UNSUPPORTED, m->name, m->data_offset, "versions 1 to 10 of the container are read, this is another one");
  }
  return MXQ_OK;
}

/* ---- digests and index ---- */

/* The digests list all other members in order. What they miss cannot be trusted, so it is damage. */
static enum mxq_status keep_digests(struct mxq_pt2_reader *r, size_t member, const struct mxq_digests *d, struct mxq_error *err) {
  size_t count = mxq_zip_count(r->zip);
  r->sha256 = malloc(count * sizeof *r->sha256);
  if (!r->sha256)
    return mxq_fail_nomem(err, r->base.path);
  for (size_t i = 0, k = 0; i < count; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    const struct mxq_digest *e = k < d->count ? &d->entries[k] : NULL;
    if (i == member)
      continue;
    if (!e || e->name_len != m->name_len - r->root_len - 1 || memcmp(e->name, m->name + r->root_len + 1, e->name_len) != 0)
      return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->header_offset, "the digests of this archive do not list this member in its place");
    memcpy(r->sha256[i], e->sha256, sizeof *r->sha256);
    k++;
  }
  r->checked[member] = r->has_digests = true;
  return MXQ_OK;
}

static enum mxq_status load_digests(struct mxq_pt2_reader *r, struct mxq_error *err) {
  size_t i = find(r, MXQ_DIGESTS_MEMBER), n;
  struct mxq_arena arena = {0};
  struct mxq_digests d = {0};
  char *text;
  if (i == SIZE_MAX)
    return MXQ_OK;
  r->resaved = mxq_pt2_saved_by_torch(r->zip);
  if (r->resaved)
    return MXQ_OK;
  enum mxq_status status = mxq_pt2_load(r, i, &text, &n, err);
  if (status == MXQ_OK)
    status = mxq_digests_parse(text, n, &arena, &d, err);
  free(text);
  if (status == MXQ_OK)
    status = keep_digests(r, i, &d, err);
  mxq_arena_free(&arena);
  return status;
}

static enum mxq_status load_index(struct mxq_pt2_reader *r, struct mxq_error *err) {
  size_t i = find(r, MXQ_INDEX_MEMBER), n;
  char *text;
  if (i == SIZE_MAX)
    return MXQ_OK;
  enum mxq_status status = mxq_pt2_load(r, i, &text, &n, err);
  if (status == MXQ_OK && !mxq_pt2_index_fresh(r, text, n, &r->has_index))
    status = mxq_fail_nomem(err, r->base.path);
  free(text);
  return status;
}

enum mxq_status mxq_pt2_container(struct mxq_pt2_reader *r, struct mxq_error *err) {
  size_t count = mxq_zip_count(r->zip);
  enum mxq_status status = find_root(r, err);
  if (status != MXQ_OK)
    return status;
  r->record_dtype = calloc(count, sizeof *r->record_dtype);
  r->checked = calloc(count, sizeof *r->checked);
  if (!r->record_dtype || !r->checked)
    return mxq_fail_nomem(err, r->base.path);
  status = load_digests(r, err);
  if (status == MXQ_OK)
    status = check_case(r, err);
  if (status == MXQ_OK)
    status = check_mark(r, "archive_format", "pt2", true, err);
  if (status != MXQ_OK)
    return status;
  status = mxq_pt2_models(r, err);
  if (status != MXQ_OK)
    return status;
  if (mxq_pt2_model_member(r, "/data/weights/", ".pt") != SIZE_MAX || mxq_pt2_model_member(r, "/data/constants/", ".pt") != SIZE_MAX)
    return mxq_fail(err, MXQ_ERR_UNSUPPORTED, r->base.path,
                    "its weights are one pickle, as PyTorch 2.8 wrote them; load and save it again with PyTorch 2.9 or later");
  size_t samples = mxq_pt2_model_member(r, "/data/sample_inputs/", ".pt");
  if (samples == SIZE_MAX)
    return mxq_fail(err, MXQ_ERR_MALFORMED, r->base.path, "the archive has no record data/sample_inputs/%.200s.pt, which may be empty but must be there",
                    r->model);
  r->sample_inputs = mxq_zip_member(r->zip, samples)->size;
  status = check_mark(r, "archive_version", "0", true, err);
  if (status == MXQ_OK)
    status = check_version(r, err);
  if (status == MXQ_OK)
    status = check_mark(r, "byteorder", "little", false, err);
  return status == MXQ_OK ? load_index(r, err) : status;
}
