/* SPDX-License-Identifier: MIT */
/*
 * A strict pull parser: the gate in front of every JSON text from outside, and the source of big tables without a tree.
 *
 * RFC 8259, UTF-8 without byte order mark, depth <= 64, no duplicate keys in an object, no lone surrogates, no NUL in strings; any value as
 * document. Errors are sticky: after the first, every call returns MXQ_JSON_ERROR, and mxq_json_end delivers it with its byte.
 * Numbers stay text until asked for.
 */
#ifndef MXQ_FORMATS_JSON_H
#define MXQ_FORMATS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <mxq/status.h>
#include "lib/base/arena.h"

enum mxq_json_type {
  MXQ_JSON_ERROR = 0,
  MXQ_JSON_NULL, MXQ_JSON_FALSE, MXQ_JSON_TRUE, MXQ_JSON_NUMBER, MXQ_JSON_STRING,
  MXQ_JSON_OBJECT, MXQ_JSON_OBJECT_END, MXQ_JSON_ARRAY, MXQ_JSON_ARRAY_END,
  MXQ_JSON_KEY,   /* inside an object, before each value */
  MXQ_JSON_DONE   /* after the document, nothing but white space left */
};

typedef struct mxq_json mxq_json;

/* Parses text (n bytes, kept alive and unchanged by the caller; NUL-termination not needed). max_nodes 0 = 2^24 values. */
enum mxq_status mxq_json_open(const char *text, size_t n, size_t max_nodes, mxq_json **json, struct mxq_error *err);
/* The same on a text that the parser may write into: strings are decoded where they stand (and stay valid), without a second copy of large ones. */
enum mxq_status mxq_json_open_in_place(char *text, size_t n, size_t max_nodes, mxq_json **json, struct mxq_error *err);
void mxq_json_close(mxq_json *json); /* NULL is accepted */

/* The next event. For KEY, STRING and NUMBER the token stands in *text / *n until the next call: for NUMBER the bytes as written, for KEY and STRING decoded
   (not NUL-terminated; points into the document when there were no escapes, else into a buffer of the parser). text and n may be NULL: a STRING is then checked
   without being decoded. */
enum mxq_json_type mxq_json_next(mxq_json *json, const char **text, size_t *n);
/* Whether something else than the end of the innermost array or object comes next (a fault, perhaps). False after a fault. */
bool mxq_json_more(const mxq_json *json);
/* Where the next token begins. */
size_t mxq_json_start(const mxq_json *json);
/* Byte offset of the last token, and of the byte behind it. */
size_t mxq_json_offset(const mxq_json *json);
size_t mxq_json_end_offset(const mxq_json *json);
/* After OBJECT: the caller itself refuses duplicate keys of this object (it keeps a table of them anyway). */
void mxq_json_own_keys(mxq_json *json);
/* Skips the value that `first` began (an event just delivered): to the matching end for OBJECT and ARRAY, nothing for others. After a KEY: skips the value that follows. Still checks everything. */
void mxq_json_skip(mxq_json *json, enum mxq_json_type first);

/* Typed reading of the next value: false (and a sticky error that says what was expected) when it is something else. */
bool mxq_json_expect(mxq_json *json, enum mxq_json_type type);
bool mxq_json_u64(mxq_json *json, uint64_t *value);   /* an integer without '.', 'e' or '-', within range */
bool mxq_json_i64(mxq_json *json, int64_t *value);
bool mxq_json_bool(mxq_json *json, bool *value);
bool mxq_json_text(mxq_json *json, struct mxq_arena *arena, const char **text); /* a string, copied NUL-terminated */
/* Makes the parser fail from outside: the document is valid JSON but not what the format wants. `offset` as mxq_json_offset. */
void mxq_json_reject(mxq_json *json, size_t offset, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool mxq_json_failed(const mxq_json *json);

/* The outcome: MXQ_OK only after MXQ_JSON_DONE was reached (asks for it when it was not yet). subject is put into the error. */
enum mxq_status mxq_json_end(mxq_json *json, const char *subject, struct mxq_error *err);

/* A number's text as integer: true when it is one and fits. */
bool mxq_json_text_to_u64(const char *text, size_t n, uint64_t *value);
bool mxq_json_text_to_i64(const char *text, size_t n, int64_t *value);

/* ---- composing: a growing text; all calls are safe after a failed allocation, `failed` tells at the end. ---- */
struct mxq_text {
  char *data;
  size_t size, capacity;
  bool failed;
};
void mxq_text_add(struct mxq_text *t, const char *s, size_t n);
void mxq_text_addf(struct mxq_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with quotes; non-ASCII is written as \uXXXX, as Python's json does. s is valid UTF-8. */
void mxq_text_quote(struct mxq_text *t, const char *s, size_t n);
void mxq_text_free(struct mxq_text *t);

#endif
