/* SPDX-License-Identifier: MIT */
/* Walking through JSON that a parser has checked already, without checking it again. The text is NUL-terminated. */
#ifndef MXQ_PT2_PROGRAM_SCAN_H
#define MXQ_PT2_PROGRAM_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in the text, and the last key, decoded (cut when it is longer than any key that is looked for). */
struct mxq_scan {
  const char *p;
  const char *key;
  size_t key_n;
  char decoded[40];
};

/* Passes the bracket that an object or array begins with. */
void mxq_scan_open(struct mxq_scan *s);
/* The next key of an object; p stands at its value, which the caller passes. False: the object ended, and p stands behind it. */
bool mxq_scan_key(struct mxq_scan *s);
bool mxq_scan_is(const struct mxq_scan *s, const char *word);
/* Whether an array has one more item; p stands at it. False: the array ended, and p stands behind it. */
bool mxq_scan_item(struct mxq_scan *s);
/* Passes a value. */
void mxq_scan_skip(struct mxq_scan *s);
/* Items of the array at p, which is not passed. */
uint32_t mxq_scan_count(const struct mxq_scan *s);
/* An integer at p, which is passed. False: it does not fit, or is something else. */
bool mxq_scan_i64(struct mxq_scan *s, int64_t *value);

#endif
