/* SPDX-License-Identifier: MIT */
/* The canonical form: what every byte between the members' data must be. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/canon.h"
#include "formats/pt2/verify.h"
#include "lib/base/fail.h"

bool mxq_pt2_saved_by_torch(const mxq_zip *zip) {
  size_t count = mxq_zip_count(zip);
  for (size_t i = 0; i < count; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(zip, i);
    if (m->made_by || m->needed || m->method || m->date || m->time || m->internal_attributes || m->external_attributes ||
        m->flags != (m->size ? 0x0808 : 0x0800))
      return false;
  }
  return count > 0;
}

/* The member's name without the root folder. */
static const char *record(const struct mxq_zip_member *m, size_t *n) {
  const char *slash = memchr(m->name, '/', m->name_len);
  const char *s = slash ? slash + 1 : m->name;
  *n = m->name_len - (size_t)(s - m->name);
  return s;
}

const unsigned char *mxq_pt2_digest_of(const struct mxq_pt2_check *c, size_t i) {
  size_t n;
  const char *s = record(mxq_zip_member(c->zip, i), &n);
  /* The digest member comes last, so a member's place is its entry's. */
  if (!c->digests_in_force || i >= c->digests.count || c->digests.entries[i].name_len != n || memcmp(c->digests.entries[i].name, s, n))
    return NULL;
  return c->digests.entries[i].sha256;
}

/* The list must be all other members in order, the text the one form it can have. */
static enum mxq_status check_text(struct mxq_pt2_check *c) {
  size_t count = mxq_zip_count(c->zip), n;
  const struct mxq_zip_member *m = mxq_zip_member(c->zip, c->digests_member);
  if (c->digests_member != count - 1) {
    mxq_pt2_find(c, MXQ_ERR_DAMAGED, m->name, m->header_offset, "the digests must be the last member; something was added behind them");
    return MXQ_OK;
  }
  for (size_t i = 0; i < count - 1; i++)
    if (!mxq_pt2_digest_of(c, i)) {
      const struct mxq_zip_member *other = mxq_zip_member(c->zip, i);
      mxq_pt2_find(c, MXQ_ERR_DAMAGED, other->name, other->header_offset, "the digests do not list this member in its place");
      return MXQ_OK;
    }
  if (c->digests.count != count - 1) {
    mxq_pt2_find(c, MXQ_ERR_DAMAGED, m->name, m->data_offset, "the digests list %zu members, the file holds %zu besides them",
                 c->digests.count, count - 1);
    return MXQ_OK;
  }
  struct mxq_text text = {0};
  char *data = NULL;
  mxq_digests_text(&c->digests, &text);
  enum mxq_status status = text.failed ? mxq_fail_nomem(c->err, c->path) : MXQ_OK;
  if (status == MXQ_OK)
    status = mxq_zip_load(c->zip, c->digests_member, UINT64_MAX, &data, &n, c->err);
  if (status == MXQ_OK && (n != text.size || memcmp(data, text.data, n))) {
    size_t at = 0;
    while (at < n && at < text.size && data[at] == text.data[at])
      at++;
    mxq_pt2_find(c, MXQ_ERR_DAMAGED, m->name, m->data_offset + at, "the text of the digests is not in the form in which it is written");
  }
  free(data);
  mxq_text_free(&text);
  return status;
}

/* Compares n bytes of the file with c->want. A difference is a finding, and the last one of this kind. */
static enum mxq_status compare(struct mxq_pt2_check *c, uint64_t at, size_t n, const char *subject, const char *what) {
  const struct mxq_source *s = c->source;
  if (at <= s->size && n <= s->size - at) {
    enum mxq_status status = s->read_at(s->ctx, at, c->buf, n, c->err);
    if (status != MXQ_OK || memcmp(c->buf, c->want, n) == 0)
      return status;
    for (size_t i = 0; i < n && c->buf[i] == c->want[i]; i++)
      at++;
  }
  mxq_pt2_find(c, MXQ_ERR_DAMAGED, subject, at, "%s is not as this archive's writer leaves it", what);
  c->same = false;
  return MXQ_OK;
}

enum { ROOM = 2 * 65536 + 256 };

enum mxq_status mxq_pt2_form_begin(struct mxq_pt2_check *c) {
  c->same = true;
  c->out = calloc(mxq_zip_count(c->zip), sizeof *c->out);
  c->want = malloc(ROOM);
  c->buf = malloc(ROOM);
  if (!c->out || !c->want || !c->buf)
    return mxq_fail_nomem(c->err, c->path);
  for (size_t i = 0; i < mxq_zip_count(c->zip); i++) {
    const struct mxq_zip_member *m = mxq_zip_member(c->zip, i);
    c->out[i] = (struct mxq_zip_out){.name = m->name, .name_len = m->name_len, .size = m->size, .crc = m->crc,
                                     .header_offset = m->header_offset, .data_offset = m->data_offset};
  }
  return MXQ_OK;
}

enum mxq_status mxq_pt2_form_member(struct mxq_pt2_check *c, size_t i) {
  if (!c->same)
    return MXQ_OK;
  const struct mxq_zip_member *m = mxq_zip_member(c->zip, i);
  struct mxq_zip_out *out = &c->out[i];
  uint64_t at = i ? mxq_canon_end(&c->out[i - 1]) : 0;
  if (!mxq_canon_place(out, at, c->digests.align) || out->header_offset != m->header_offset || out->data_offset != m->data_offset) {
    mxq_pt2_find(c, MXQ_ERR_DAMAGED, m->name, m->header_offset, "this member does not begin where the archive's writer would have put it");
    c->same = false;
    return MXQ_OK;
  }
  mxq_canon_local(out, c->want);
  return compare(c, at, (size_t)(out->data_offset - at), m->name, "the header of this member");
}

static enum mxq_status check_directory(struct mxq_pt2_check *c) {
  size_t count = mxq_zip_count(c->zip);
  uint64_t at = mxq_canon_end(&c->out[count - 1]), directory = at;
  bool zip64 = false;
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; i < count && c->same && status == MXQ_OK; i++) {
    size_t n = mxq_canon_entry(&c->out[i], c->digests.made_by, c->want);
    status = compare(c, at, n, c->out[i].name, "the directory entry of this member");
    zip64 |= mxq_canon_zip64(&c->out[i]);
    at += n;
  }
  if (!c->same || status != MXQ_OK)
    return status;
  size_t n = mxq_canon_trailer(count, directory, at - directory, zip64, c->want);
  status = compare(c, at, n, "", "the end record");
  if (status == MXQ_OK && c->same && c->source->size != at + n)
    mxq_pt2_find(c, MXQ_ERR_DAMAGED, "", at + n, "%" PRIu64 " bytes lie behind the end of the archive", c->source->size - at - n);
  return status;
}

enum mxq_status mxq_pt2_form_end(struct mxq_pt2_check *c) {
  enum mxq_status status = check_text(c);
  return status == MXQ_OK && c->same ? check_directory(c) : status;
}

void mxq_pt2_form_free(struct mxq_pt2_check *c) {
  free(c->out);
  free(c->want);
  free(c->buf);
}
