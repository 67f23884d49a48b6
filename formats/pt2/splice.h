/* SPDX-License-Identifier: MIT */
/*
 * Edits of a JSON text: pieces of it are replaced, everything else stays byte for byte. Edits are collected in any order and applied once.
 * Lists know about commas: elements of an array (or members of an object) may be taken out, replaced and added.
 */
#ifndef MXQ_PT2_SPLICE_H
#define MXQ_PT2_SPLICE_H

#include "formats/pt2/kept.h"
#include "formats/pt2/program.h"

/* All zero to begin with. A failed allocation is remembered; what reads the edited text tells. */
struct mxq_pt2_splices {
  struct mxq_pt2_splice *list;
  size_t count, room;
  struct mxq_pt2_kept_texts *texts;  /* the new ones */
  bool failed;
  /* Where reading is: */
  size_t next, behind, used;         /* the splice that comes next, bytes of the text that are done with, bytes of that splice's text */
};

/* Replaces a span (n 0: inserts before `at`) by n bytes, which are copied. Spans may not overlap; insertions at one place keep their order. */
void mxq_pt2_splice(struct mxq_pt2_splices *s, struct mxq_span span, const char *text, size_t n);

/* Keeps a text for later. When memory runs out, the splices have failed, and what is returned is empty. */
struct mxq_pt2_kept mxq_pt2_splice_keep(struct mxq_pt2_splices *s, const char *text, size_t n);
/* Replaces a span by a text that was kept by these splices. */
void mxq_pt2_splice_kept(struct mxq_pt2_splices *s, struct mxq_span span, struct mxq_pt2_kept text);
/* Inserts what stands between two elements. */
void mxq_pt2_splice_comma(struct mxq_pt2_splices *s, uint32_t at);

/* What becomes of the element of a list that begins at byte `at`: n 0 takes it out; else the kept text replaces it (it may be several elements). */
struct mxq_pt2_change {
  uint32_t at;
  struct mxq_pt2_kept text;
};
/*
 * Edits a list: an array or object of `text` with its brackets, which was read before and is valid JSON. For objects an element begins at its key's quote.
 * changes are sorted by `at`, each the beginning of an element. front and back (NULL: nothing) are elements that come before and behind all others.
 */
void mxq_pt2_splice_list(struct mxq_pt2_splices *s, const char *text, struct mxq_span list, const struct mxq_pt2_change *changes, size_t count,
                         const struct mxq_text *front, const struct mxq_text *back);
/* The same with kept texts (n 0: nothing) around. Returns where `back` was put, for more to follow there. */
uint32_t mxq_pt2_splice_list_kept(struct mxq_pt2_splices *s, const char *text, struct mxq_span list, const struct mxq_pt2_change *changes, size_t count,
                                  struct mxq_pt2_kept front, struct mxq_pt2_kept back);

/* All splices are there: sorts them, and tells how long a text of `size` bytes is with them. False: out of memory before. */
bool mxq_pt2_splice_finish(struct mxq_pt2_splices *s, size_t size, size_t *edited);
/* The next n bytes of the edited text, which must be there; rewind for the first of them. False: out of memory. */
bool mxq_pt2_splice_read(struct mxq_pt2_splices *s, const char *text, size_t size, bool rewind, char *buf, size_t n);
/* The edited text as a whole. False: out of memory, now or before. */
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
