/* SPDX-License-Identifier: MIT */
/*
 * Texts for people. Names and paths come from files and may hold anything: whatever could move the cursor, change colours or
 * reorder what is read (control characters, bidirectional marks, bytes that are no UTF-8) is shown as \xNN or \uNNNN.
 */
#ifndef MXQUANT_TEXT_H
#define MXQUANT_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Decodes one code point of NUL-terminated s: its length in bytes, or 0 when s does not begin with valid UTF-8 (or is at its end). */
size_t text_decode(const char *s, uint32_t *code_point);

/* Columns that s takes once escaped. */
size_t text_columns(const char *s);
/* Writes s, escaped. */
void text_print(FILE *f, const char *s);
/* Writes s, escaped, elided in the middle where it is wider than `columns`, and padded with spaces on the right up to them. */
void text_cell(FILE *f, const char *s, size_t columns);
/* The same without padding; returns the columns used. */
size_t text_fit(FILE *f, const char *s, size_t columns);

/* Numbers: "1,234,567" in buf, which is returned. */
#define TEXT_NUMBER 32
#define TEXT_THINGS (2 * TEXT_NUMBER)
const char *text_count(char buf[TEXT_NUMBER], uint64_t n);
/* The same in at most 7 columns: from a million on "1.2M", "3.4G", "5.6T". */
const char *text_short(char buf[TEXT_NUMBER], uint64_t n);
/* "1 tensor", "2,000 tensors". */
const char *text_things(char buf[TEXT_THINGS], uint64_t n, const char *thing);
/* A shape as "512x64", "-" when there are no dimensions; cut with "..." where it does not fit. */
const char *text_shape(char *buf, size_t size, uint32_t ndim, const uint64_t *shape);
/* A number with `decimals` digits behind the point, "inf", "-inf", or "-" when it is undefined. */
const char *text_real(char buf[TEXT_NUMBER], double x, int decimals);

#endif
