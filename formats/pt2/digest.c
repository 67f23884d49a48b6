/* SPDX-License-Identifier: MIT */
#include "formats/pt2/digest.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/canon.h"
#include "lib/base/fail.h"

struct mxq_sha256 {
  EVP_MD_CTX *ctx;
  EVP_MD *md;
};

/* libcrypto's list of errors belongs to the program around us: nothing of ours stays in it. */
static bool quietly(bool done) {
  ERR_pop_to_mark();
  return done;
}

struct mxq_sha256 *mxq_sha256_new(void) {
  struct mxq_sha256 *h = calloc(1, sizeof *h);
  if (!h)
    return NULL;
  ERR_set_mark();
  h->ctx = EVP_MD_CTX_new();
  h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
  if (quietly(h->ctx && h->md))
    return h;
  mxq_sha256_free(h);
  return NULL;
}

bool mxq_sha256_start(struct mxq_sha256 *h) {
  ERR_set_mark();
  return quietly(EVP_DigestInit_ex(h->ctx, h->md, NULL) == 1);
}

bool mxq_sha256_add(struct mxq_sha256 *h, const void *data, size_t n) { return EVP_DigestUpdate(h->ctx, data, n) == 1; }

bool mxq_sha256_end(struct mxq_sha256 *h, unsigned char digest[MXQ_SHA256_BYTES]) {
  ERR_set_mark();
  return quietly(EVP_DigestFinal_ex(h->ctx, digest, NULL) == 1);
}

void mxq_sha256_free(struct mxq_sha256 *h) {
  if (h) {
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    free(h);
  }
}

void mxq_digests_text(const struct mxq_digests *d, struct mxq_text *t) {
  mxq_text_addf(t, "{\"version\":1,\"made_by\":%u,\"align\":%u,\"sha256\":{", d->made_by, d->align);
  for (size_t i = 0; i < d->count; i++) {
    char hex[2 * MXQ_SHA256_BYTES + 1];
    for (size_t j = 0; j < MXQ_SHA256_BYTES; j++) {
      hex[2 * j] = "0123456789abcdef"[d->entries[i].sha256[j] >> 4];
      hex[2 * j + 1] = "0123456789abcdef"[d->entries[i].sha256[j] & 15];
    }
    if (i)
      mxq_text_add(t, ",", 1);
    mxq_text_quote(t, d->entries[i].name, d->entries[i].name_len);
    mxq_text_add(t, ":\"", 2);
    mxq_text_add(t, hex, sizeof hex - 1);
    mxq_text_add(t, "\"", 1);
  }
  mxq_text_add(t, "}}", 2);
}

/* ---- reading ---- */

static int nibble(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bool unhex(const char *s, size_t n, unsigned char *out) {
  if (n != 2 * MXQ_SHA256_BYTES)
    return false;
  for (size_t i = 0; i < MXQ_SHA256_BYTES; i++) {
    int hi = nibble(s[2 * i]), lo = nibble(s[2 * i + 1]);
    if (hi < 0 || lo < 0)
      return false;
    out[i] = (unsigned char)(hi << 4 | lo);
  }
  return true;
}

struct parse {
  mxq_json *json;
  struct mxq_arena *arena;
  struct mxq_digests *d;
  size_t capacity;
  bool nomem;
};

static bool grow(struct parse *p) {
  if (p->d->count < p->capacity)
    return true;
  size_t capacity = p->capacity ? 2 * p->capacity : 64;
  struct mxq_digest *e = mxq_arena_calloc(p->arena, capacity, sizeof *e);
  if (!e) {
    p->nomem = true;
    return false;
  }
  if (p->d->count)
    memcpy(e, p->d->entries, p->d->count * sizeof *e);
  p->d->entries = e;
  p->capacity = capacity;
  return true;
}

static void entries(struct parse *p) {
  const char *s;
  size_t n;
  if (!mxq_json_expect(p->json, MXQ_JSON_OBJECT))
    return;
  while (mxq_json_next(p->json, &s, &n) == MXQ_JSON_KEY && grow(p)) {
    struct mxq_digest *e = &p->d->entries[p->d->count];
    e->name = n <= UINT16_MAX ? mxq_arena_text(p->arena, s, n) : NULL;
    e->name_len = (uint32_t)n;
    if (!e->name) {
      p->nomem |= n <= UINT16_MAX;
      mxq_json_reject(p->json, mxq_json_offset(p->json), "the name of a member is too long");
      return;
    }
    enum mxq_json_type type = mxq_json_next(p->json, &s, &n);
    if (type == MXQ_JSON_ERROR)
      return;
    if (type != MXQ_JSON_STRING || !unhex(s, n, e->sha256)) {
      mxq_json_reject(p->json, mxq_json_offset(p->json), "a SHA-256 in 64 lower-case hexadecimal digits was expected");
      return;
    }
    p->d->count++;
  }
}

enum mxq_status mxq_digests_parse(const char *text, size_t n, struct mxq_arena *arena, struct mxq_digests *digests, struct mxq_error *err) {
  struct parse p = {.arena = arena, .d = digests};
  uint64_t version = 0, made_by = UINT64_MAX, align = 0;
  const char *s;
  size_t len;
  memset(digests, 0, sizeof *digests);
  enum mxq_status status = mxq_json_open(text, n, 0, &p.json, err);
  if (status != MXQ_OK)
    return status;
  if (mxq_json_expect(p.json, MXQ_JSON_OBJECT))
    while (!p.nomem && mxq_json_next(p.json, &s, &len) == MXQ_JSON_KEY) {
      if (len == 7 && memcmp(s, "version", 7) == 0)
        mxq_json_u64(p.json, &version);
      else if (len == 7 && memcmp(s, "made_by", 7) == 0)
        mxq_json_u64(p.json, &made_by);
      else if (len == 5 && memcmp(s, "align", 5) == 0)
        mxq_json_u64(p.json, &align);
      else if (len == 6 && memcmp(s, "sha256", 6) == 0)
        entries(&p);
      else
        mxq_json_skip(p.json, MXQ_JSON_KEY);
    }
  if (!p.nomem)
    status = mxq_json_end(p.json, MXQ_DIGESTS_MEMBER, err);
  mxq_json_close(p.json);
  if (p.nomem)
    return mxq_fail_nomem(err, MXQ_DIGESTS_MEMBER);
  if (status != MXQ_OK)
    return status;
  if (version != 1)
    return mxq_fail(err, MXQ_ERR_UNSUPPORTED, MXQ_DIGESTS_MEMBER, "digests of version %llu are not known here; a newer mxquant may read them",
                    (unsigned long long)version);
  if (made_by > UINT16_MAX || align < 1 || align > MXQ_CANON_MAX_ALIGN || (align & (align - 1)))
    return mxq_fail(err, MXQ_ERR_MALFORMED, MXQ_DIGESTS_MEMBER, "made_by must be below 65,536, and align a power of two up to %u",
                    MXQ_CANON_MAX_ALIGN);
  digests->made_by = (uint16_t)made_by;
  digests->align = (uint32_t)align;
  return MXQ_OK;
}
