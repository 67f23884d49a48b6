/* SPDX-License-Identifier: MIT */
/*
 * The canonical form of an archive: every byte that is not member data, as a function of the members' names, sizes, CRCs and order, the
 * alignment and what libzip states as "version made by". SPEC.md has the byte map. The writer takes its plan from here, and verification
 * compares a file with it.
 */
#ifndef MXQ_PT2_CANON_H
#define MXQ_PT2_CANON_H

#include <stdbool.h>
#include "formats/zip/write.h"

/* Largest alignment: padding, zip64 field and field heads stay below the 65,535 bytes that a header has room for. */
#define MXQ_CANON_MAX_ALIGN 32768u

/* Places a member whose local header begins at `at`: fills in its offsets and padding. False: beyond 63 bits, the name is too long, or the size is
   exactly 2^32 - 1 (SPEC.md). */
bool mxq_canon_place(struct mxq_zip_out *member, uint64_t at, uint32_t align);
/* Where the byte behind a placed member is. */
uint64_t mxq_canon_end(const struct mxq_zip_out *member);
/* The local header, data_offset - header_offset bytes: at most 30 + 65,535 + 20 + 4 + align. */
void mxq_canon_local(const struct mxq_zip_out *member, unsigned char *buf);

/* The directory's entry; returns its size, at most MXQ_CANON_ENTRY + name_len. */
#define MXQ_CANON_ENTRY (46u + 28u)
size_t mxq_canon_entry(const struct mxq_zip_out *member, uint16_t made_by, unsigned char *buf);
/* Size of that entry. */
size_t mxq_canon_entry_size(const struct mxq_zip_out *member);

/* The end records; returns their size, at most MXQ_CANON_END. zip64: some directory entry has a zip64 field. */
#define MXQ_CANON_END (56u + 20u + 22u)
size_t mxq_canon_trailer(uint64_t count, uint64_t directory, uint64_t directory_size, bool zip64, unsigned char *buf);
bool mxq_canon_zip64(const struct mxq_zip_out *member);

/* Size of the whole file; the members are placed, in order, the first at 0. False: beyond 63 bits. */
bool mxq_canon_total(const struct mxq_zip_out *members, size_t count, uint64_t *total);

#endif
