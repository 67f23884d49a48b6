/* SPDX-License-Identifier: MIT */
/*
 * The digest member: SHA-256 of every other member's data. Its text has one form:
 *   {"version":1,"made_by":831,"align":64,"sha256":{"<member without root>":"<64 hex digits>",...}}
 * with all other members in archive order, so that its size is known before any data is.
 */
#ifndef MXQ_PT2_DIGEST_H
#define MXQ_PT2_DIGEST_H

#include <mxq/status.h>
#include "formats/json/json.h"
#include "formats/zip/write.h"

#define MXQ_SHA256_BYTES 32
#define MXQ_DIGESTS_MEMBER "extra/mxq_digests.json"

/* One running SHA-256. */
struct mxq_sha256;
struct mxq_sha256 *mxq_sha256_new(void); /* NULL: out of memory */
bool mxq_sha256_start(struct mxq_sha256 *h);
bool mxq_sha256_add(struct mxq_sha256 *h, const void *data, size_t n);
bool mxq_sha256_end(struct mxq_sha256 *h, unsigned char digest[MXQ_SHA256_BYTES]);
void mxq_sha256_free(struct mxq_sha256 *h); /* NULL is accepted */

struct mxq_digest {
  const char *name;                  /* without the root folder */
  uint32_t name_len;
  unsigned char sha256[MXQ_SHA256_BYTES];
};
struct mxq_digests {
  uint16_t made_by;
  uint32_t align;
  struct mxq_digest *entries;        /* in archive order */
  size_t count;
};

/* The text; with the same names it always has the same size. */
void mxq_digests_text(const struct mxq_digests *digests, struct mxq_text *text);
/* Reads such a text (any valid JSON of that content) into *digests, memory from the arena. MXQ_ERR_MALFORMED, MXQ_ERR_UNSUPPORTED (version), MXQ_ERR_NOMEM. */
enum mxq_status mxq_digests_parse(const char *text, size_t n, struct mxq_arena *arena, struct mxq_digests *digests, struct mxq_error *err);

#endif
