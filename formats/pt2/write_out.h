/* SPDX-License-Identifier: MIT */
/*
 * An archive about to be written, whoever decides its members: the list of members, where each lies, the index and the digests behind them, and
 * the run that moves every byte once. Used by the writer of weights archives and by the copy.
 */
#ifndef MXQ_PT2_WRITE_OUT_H
#define MXQ_PT2_WRITE_OUT_H

#include "formats/pt2/digest.h"
#include "formats/pt2/index.h"
#include "formats/zip/write.h"
#include "lib/base/arena.h"

/* Where a member's bytes come from. CALLER: the fetch callback. ID, INDEX, DIGESTS: made during the run. */
enum mxq_pt2_origin { MXQ_FROM_CALLER, MXQ_FROM_TEXT, MXQ_FROM_ID, MXQ_FROM_INDEX, MXQ_FROM_DIGESTS };
struct mxq_pt2_part {
  enum mxq_pt2_origin origin;
  uint32_t number, sub;              /* for the caller */
  const char *text;                  /* FROM_TEXT */
};

struct mxq_pt2_out {
  uint32_t align;
  struct mxq_arena arena;            /* member names */
  struct mxq_zip_out *members;
  struct mxq_pt2_part *parts;        /* for each member */
  size_t member_count, room;
  struct mxq_index_line *lines;      /* the caller fills these in, after its members are placed */
  size_t line_count;
  struct mxq_digests digests;
  uint64_t total;
};

/* Room for so many members besides index and digests, and so many lines. MXQ_ERR_NOMEM, _WRITE. After a failure too: mxq_pt2_out_free. */
enum mxq_status mxq_pt2_out_open(struct mxq_pt2_out *out, uint32_t align, size_t members, size_t lines, struct mxq_error *err);
/* Adds a member root/record behind the last. MXQ_ERR_NOMEM, MXQ_ERR_UNSUPPORTED (no form for its size). */
enum mxq_status mxq_pt2_out_add(struct mxq_pt2_out *out, struct mxq_pt2_part part, uint64_t size, const char *root, size_t root_n,
                                const char *record, size_t record_n, struct mxq_error *err);
/* Adds index and digests, sorts the lines, fills in total. */
enum mxq_status mxq_pt2_out_finish(struct mxq_pt2_out *out, const char *root, size_t root_n, struct mxq_error *err);
void mxq_pt2_out_free(struct mxq_pt2_out *out);

/* The next n bytes of a member FROM_CALLER, from `offset` on. */
typedef enum mxq_status (*mxq_pt2_fetch_fn)(void *user, size_t member, uint64_t offset, void *buf, size_t n, struct mxq_error *err);
/* May be NULL. Called when a member is complete, with its CRC and SHA-256. */
typedef enum mxq_status (*mxq_pt2_complete_fn)(void *user, size_t member, uint32_t crc, const unsigned char *sha256, struct mxq_error *err);
/* Writes everything. MXQ_ERR_NOMEM, _WRITE, and what the callbacks and the sink return. */
enum mxq_status mxq_pt2_out_run(struct mxq_pt2_out *out, const struct mxq_sink *sink, mxq_pt2_fetch_fn fetch, mxq_pt2_complete_fn complete,
                                void *user, struct mxq_error *err);

/* Digits of a serialization id. */
#define MXQ_PT2_ID_DIGITS 40

#endif
