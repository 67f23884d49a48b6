/* SPDX-License-Identifier: MIT */
/*
 * Edits of a JSON text: pieces of it are replaced, everything else stays byte for byte. Edits are collected in any order and applied once.
 * Lists know about commas: elements of an array (or members of an object) may be taken out, replaced and added.
 */
#ifndef MXQ_PT2_SPLICE_H
#define MXQ_PT2_SPLICE_H

#include "formats/pt2/program.h"

/* All zero to begin with. A failed allocation is remembered; mxq_pt2_splice_apply tells. */
struct mxq_pt2_splices {
  struct mxq_pt2_splice *list;
  size_t count, room;
  struct mxq_arena arena;            /* the new texts */
  bool failed;
};

/* Replaces a span (n 0: inserts before `at`) by n bytes, which are copied. Spans may not overlap; insertions at one place keep their order. */
void mxq_pt2_splice(struct mxq_pt2_splices *s, struct mxq_span span, const char *text, size_t n);

/* What becomes of the element of a list that begins at byte `at`: text NULL takes it out; else the text replaces it (it may be several elements). */
struct mxq_pt2_change {
  uint32_t at;
  const char *text;
  size_t n;
};
/*
 * Edits a list: an array or object of `text` with its brackets, which was read before and is valid JSON. For objects an element begins at its key's quote.
 * changes are sorted by `at`, each the beginning of an element. front and back (NULL: nothing) are elements that come before and behind all others.
 */
void mxq_pt2_splice_list(struct mxq_pt2_splices *s, const char *text, struct mxq_span list, const struct mxq_pt2_change *changes, size_t count,
                         const struct mxq_text *front, const struct mxq_text *back);
/* The edited text. False: out of memory, now or before. */
bool mxq_pt2_splice_apply(struct mxq_pt2_splices *s, const char *text, size_t size, struct mxq_text *out);
/*
 * The same where `text` is what a JSON string says, and `literal` (n bytes) is that string as it is written, quotes included: the edited string, whose
 * untouched characters stay as they were written.
 */
bool mxq_pt2_splice_apply_quoted(struct mxq_pt2_splices *s, const char *literal, size_t n, struct mxq_text *out);
void mxq_pt2_splice_free(struct mxq_pt2_splices *s);

/* The next element of a list at or behind *at (which begins one byte behind the opening bracket): false at its end. *at moves on. */
bool mxq_pt2_list_next(const char *text, uint32_t *at, struct mxq_span *element);

#endif
