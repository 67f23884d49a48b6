/* SPDX-License-Identifier: MIT */
/*
 * The index for small readers: one line a tensor, in the order of the encoded names' bytes,
 *   name format-or-dtype shape axes offset size offset size crc crc
 * (codes or data first, then scales). SPEC.md says how each field is written.
 */
#ifndef MXQ_PT2_INDEX_H
#define MXQ_PT2_INDEX_H

#include <mxq/tensor.h>
#include "formats/json/json.h"
#include "formats/zip/write.h"

#define MXQ_INDEX_MEMBER "extra/mxq_index.txt"

struct mxq_index_line {
  const struct mxq_tensor *tensor;
  struct mxq_extent part[2];         /* in the file; zero for what a kept tensor does not have */
  uint32_t crc[2];
};

/* Brings lines into the index's order. */
void mxq_index_sort(struct mxq_index_line *lines, size_t count);
/* Appends the line; its size depends on all but the CRCs. */
void mxq_index_line(struct mxq_text *text, const struct mxq_index_line *line);

/* index_crc.c: the CRCs of all lines while an archive's data streams by. Extents are those of the new file, each in one member. */
struct mxq_index_crcs;
struct mxq_index_crcs *mxq_index_crcs_new(struct mxq_index_line *lines, size_t line_count, const struct mxq_zip_out *members,
                                          size_t count); /* NULL: out of memory */
/* n bytes of member data at file position pos, in ascending order. */
void mxq_index_crcs_add(struct mxq_index_crcs *crcs, uint64_t pos, const void *data, size_t n);
/* Fills in the lines' CRCs; the members' own are known. */
void mxq_index_crcs_fill(struct mxq_index_crcs *crcs, const struct mxq_zip_out *members, size_t count);
void mxq_index_crcs_free(struct mxq_index_crcs *crcs); /* NULL is accepted */

#endif
