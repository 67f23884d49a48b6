/* SPDX-License-Identifier: MIT */
/*
 * Texts that are kept until they are written. A program of very many weights gets a great deal of new text that is much alike, so that all but the last
 * block of it is kept compressed.
 */
#ifndef MXQ_PT2_KEPT_H
#define MXQ_PT2_KEPT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a block. */
#define MXQ_PT2_KEPT_BLOCK ((size_t)256 * 1024)

struct mxq_pt2_kept_texts;           /* NULL: none yet */
/* One of them. */
struct mxq_pt2_kept {
  size_t at, n;
};

/* Keeps n bytes (which are copied), and says in *kept where. False: out of memory. */
bool mxq_pt2_kept_add(struct mxq_pt2_kept_texts **texts, const char *text, size_t n, struct mxq_pt2_kept *kept);
/* n bytes that were kept, from byte `at` of all of them on. Fast where reads follow one another. False: out of memory. */
bool mxq_pt2_kept_read(struct mxq_pt2_kept_texts *texts, size_t at, char *buf, size_t n);
void mxq_pt2_kept_free(struct mxq_pt2_kept_texts *texts);

#endif
