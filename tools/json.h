/* SPDX-License-Identifier: MIT */
/*
 * Printing JSON as it arises. Keys may be NULL inside arrays. Texts are escaped; bytes that are no UTF-8 (paths may hold any) become
 * U+FFFD, so that the output always is valid JSON. Numbers are printed with the fewest digits that give the same double again.
 */
#ifndef MXQUANT_JSON_H
#define MXQUANT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
  FILE *f;
  bool comma;
};

void json_begin(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_end(struct json *j, char bracket);                    /* '}' or ']' */
void json_text(struct json *j, const char *key, const char *value); /* NULL gives null */
void json_count(struct json *j, const char *key, uint64_t value);
void json_whole(struct json *j, const char *key, int64_t value);
void json_real(struct json *j, const char *key, double value); /* infinite and undefined give null */
void json_flag(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
void json_counts(struct json *j, const char *key, uint32_t n, const uint64_t *values);

#endif
