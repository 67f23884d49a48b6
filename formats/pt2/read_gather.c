/* SPDX-License-Identifier: MIT */
/* Bytes of a view in C order. Views that skip about are read through a small set-associative cache of the file's blocks. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/pt2.h"
#include "lib/base/fail.h"

enum { BLOCK = 4096, WAYS = 4, SETS = 1024, MOST_INFLATED = 32 << 20 };

struct mxq_pt2_cache {
  uint64_t tag[SETS][WAYS];          /* position in the file + 1; 0 = nothing */
  uint8_t turn[SETS];
  unsigned char data[SETS][WAYS][BLOCK];
};

void mxq_pt2_cache_free(struct mxq_pt2_cache *cache) { free(cache); }

/* The block of the file that begins at `at`. */
static enum mxq_status block(struct mxq_pt2_reader *r, uint64_t at, const unsigned char **data, struct mxq_error *err) {
  struct mxq_pt2_cache *c = r->cache;
  size_t set = (size_t)((at / BLOCK * 0x9e3779b97f4a7c15u) >> 54);
  for (unsigned w = 0; w < WAYS; w++)
    if (c->tag[set][w] == at + 1) {
      *data = c->data[set][w];
      return MXQ_OK;
    }
  unsigned w = c->turn[set]++ % WAYS;
  size_t n = r->base.source.size - at < BLOCK ? (size_t)(r->base.source.size - at) : BLOCK;
  c->tag[set][w] = 0;
  enum mxq_status status = r->base.source.read_at(r->base.source.ctx, at, c->data[set][w], n, err);
  if (status == MXQ_OK)
    c->tag[set][w] = at + 1;
  *data = c->data[set][w];
  return status;
}

/* n bytes of a record. */
static enum mxq_status fetch(struct mxq_pt2_reader *r, const struct mxq_zip_member *m, uint64_t offset, unsigned char *buf, size_t n,
                             struct mxq_error *err) {
  if (m->method) {
    memcpy(buf, r->inflated + offset, n);
    return MXQ_OK;
  }
  uint64_t at = m->data_offset + offset;
  if (n >= BLOCK)
    return r->base.source.read_at(r->base.source.ctx, at, buf, n, err);
  while (n) {
    const unsigned char *data;
    size_t skip = (size_t)(at % BLOCK), part = BLOCK - skip < n ? BLOCK - skip : n;
    enum mxq_status status = block(r, at - skip, &data, err);
    if (status != MXQ_OK)
      return status;
    memcpy(buf, data + skip, part);
    buf += part;
    at += part;
    n -= part;
  }
  return MXQ_OK;
}

/* What gathering needs: the cache, or a deflated record in memory. */
static enum mxq_status prepare(struct mxq_pt2_reader *r, uint32_t member, struct mxq_error *err) {
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, member);
  if (m->method == 0) {
    if (!r->cache)
      r->cache = calloc(1, sizeof *r->cache);
    return r->cache ? MXQ_OK : mxq_fail_nomem(err, m->name);
  }
  if (r->inflated && r->inflated_member == member)
    return MXQ_OK;
  size_t n;
  free(r->inflated);
  r->inflated = NULL;
  r->inflated_member = member;
  return mxq_zip_load(r->zip, member, MOST_INFLATED, &r->inflated, &n, err);
}

/* Elements [from, from + count) of the view in C order. */
static enum mxq_status gather(struct mxq_pt2_reader *r, const struct mxq_pt2_stored *s, uint64_t from, uint64_t count, unsigned char *buf,
                              struct mxq_error *err) {
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, s->member);
  unsigned scalar = mxq_dtype_bits((enum mxq_dtype)s->dtype) / 8;
  uint64_t index[MXQ_MAX_NDIM], at = s->offset, run = 1;
  uint32_t inner = s->ndim; /* axes from here on lie in one piece */
  enum mxq_status status = prepare(r, s->member, err);
  while (inner > 0 && (s->shape[inner - 1] == 1 || (uint64_t)s->strides[inner - 1] == run))
    run *= s->shape[--inner];
  uint64_t within = from % run, rest = from / run;
  for (uint32_t a = inner; a-- > 0; rest /= s->shape[a]) {
    index[a] = rest % s->shape[a];
    at += index[a] * (uint64_t)s->strides[a];
  }
  while (status == MXQ_OK && count) {
    uint64_t n = run - within < count ? run - within : count;
    status = fetch(r, m, (at + within) * scalar, buf, (size_t)(n * scalar), err);
    buf += n * scalar;
    count -= n;
    within = 0;
    for (uint32_t a = inner; a-- > 0;) {
      at += (uint64_t)s->strides[a];
      if (++index[a] < s->shape[a])
        break;
      at -= s->shape[a] * (uint64_t)s->strides[a];
      index[a] = 0;
    }
  }
  return status;
}

enum mxq_status mxq_pt2_gather(struct mxq_pt2_reader *r, uint32_t stored, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  const struct mxq_pt2_stored *s = &r->stored[stored];
  unsigned scalar = mxq_dtype_bits((enum mxq_dtype)s->dtype) / 8;
  if (!s->strides)
    return mxq_zip_read(r->zip, s->member, s->offset * scalar + offset, buf, n, err);
  assert(offset % scalar == 0 && n % scalar == 0);
  return gather(r, s, offset / scalar, n / scalar, buf, err);
}

enum mxq_status mxq_pt2_gather_packed(struct mxq_pt2_reader *r, uint32_t stored, enum mxq_format format, uint64_t offset, void *buf, size_t n,
                                      struct mxq_error *err) {
  unsigned bits = mxq_element_bits(mxq_format_element(format));
  unsigned bytes = bits == 4 ? 1 : 3, codes = bytes * 8 / bits; /* of the smallest whole piece */
  unsigned char loose[512], *out = buf;
  while (n) {
    uint64_t piece = offset / bytes;
    size_t skip = (size_t)(offset % bytes), pieces = (n + skip + bytes - 1) / bytes;
    if (pieces > sizeof loose / codes)
      pieces = sizeof loose / codes;
    enum mxq_status status = mxq_pt2_gather(r, stored, piece * codes, loose, pieces * codes, err);
    if (status != MXQ_OK)
      return status;
    for (size_t i = 0; i < pieces && n; i++) {
      uint32_t word = 0;
      for (unsigned k = 0; k < codes; k++) {
        unsigned char c = loose[i * codes + k];
        if (c >> bits)
          return mxq_fail(err, MXQ_ERR_MALFORMED, r->stored[stored].name, "code number %llu is %u, which has more than %u bits",
                          (unsigned long long)((piece + i) * codes + k), c, bits);
        word |= (uint32_t)c << bits * k;
      }
      for (unsigned k = i == 0 ? (unsigned)skip : 0; k < bytes && n; k++, n--, offset++)
        *out++ = (unsigned char)(word >> 8 * k);
    }
  }
  return MXQ_OK;
}
