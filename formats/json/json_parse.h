/* SPDX-License-Identifier: MIT */
/* What the files of this room share: the parser's inside. */
#ifndef MXQ_FORMATS_JSON_PARSE_H
#define MXQ_FORMATS_JSON_PARSE_H

#include <stdint.h>
#include "formats/json/json.h"
#include "lib/base/names.h"

enum { MXQ_JSON_DEPTH = 64, MXQ_JSON_FEW = 16 };

/* The keys of an open object: a few in a list, many in a table. */
struct mxq_json_level {
  uint32_t count;
  bool own;                          /* the caller looks after them */
  struct { const char *text; uint32_t n; } few[MXQ_JSON_FEW];
  struct mxq_names many;
};

enum mxq_json_state { MXQ_JSON_VALUE, MXQ_JSON_FIRST_VALUE, MXQ_JSON_FIRST_KEY, MXQ_JSON_MORE, MXQ_JSON_AFTER };

struct mxq_json {
  const char *begin, *p, *end, *token;
  enum mxq_json_state state;
  unsigned depth;
  uint64_t objects;                  /* bit d: the container at depth d + 1 is an object */
  size_t nodes, max_nodes;
  bool plain;                        /* RFC 8259 alone: duplicate keys and NUL in strings pass */
  char *writable;                    /* `begin`, when strings may be decoded in place */
  char *scratch;                     /* a decoded string, otherwise */
  size_t scratch_size;
  struct mxq_arena keys;             /* decoded keys of open objects */
  enum mxq_status status;
  size_t error_offset;
  char error[256];
  struct mxq_json_level level[MXQ_JSON_DEPTH];
};

/* Makes the parser fail, unless it has failed already; returns MXQ_JSON_ERROR. */
enum mxq_json_type mxq_json_break(mxq_json *j, enum mxq_status status, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), cold));

/* string.c: the string whose opening quote stands before j->p; leaves j->p behind the closing one. text NULL: it is checked, and not decoded. */
bool mxq_json_string(mxq_json *j, const char **text, size_t *n);

#endif
