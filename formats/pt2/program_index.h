/* SPDX-License-Identifier: MIT */
/*
 * While a program is read: the index as it grows. One pass over the text checks its form and notes what stands where; keys come in any order,
 * so what one place says about another is compared when both are known (program_check.c).
 */
#ifndef MXQ_PT2_PROGRAM_INDEX_H
#define MXQ_PT2_PROGRAM_INDEX_H

#include <string.h>

#include "formats/pt2/program.h"

/* An input or output as the signature has it. */
struct mxq_pt2_spec_name {
  const char *name;                  /* in the text or the arena; NULL: a constant, or a list */
  uint32_t n, at;
};

struct mxq_pt2_indexer {
  struct mxq_pt2_reader *r;
  struct mxq_pt2_program *p;
  mxq_json *json;
  enum mxq_status status;            /* other than what the JSON parser finds */
  struct mxq_error *err;
  size_t node_at;                    /* the node that is read; SIZE_MAX: none. For messages */
  const char *value;                 /* or the value that is described; NULL: none */
  size_t value_n;
  uint32_t graph_room;
  struct mxq_pt2_spec_name *input_names, *output_names; /* by spec */
  uint32_t input_count, input_room, input_spec_room, output_count, output_room, output_spec_room; /* specs */
  struct mxq_pt2_spec_name *called;  /* values that module_call_graph names */
  uint32_t called_count, called_room;
  uint32_t next_stored;              /* the tensor that a spec names next, when they come in the config's order */
};

/* A graph while it is read. */
struct mxq_pt2_building {
  struct mxq_pt2_subgraph g;
  uint32_t number;                   /* in program->graphs */
  uint32_t result_count, value_room, node_room, taken_room, result_room, input_room, output_room;
  uint32_t last;                     /* the value that was met last */
  uint32_t argument;                 /* of the node that is read */
  bool in_node;
};

/* What an argument is read for. */
enum mxq_pt2_role {
  MXQ_ROLE_TAKES,                    /* of a node */
  MXQ_ROLE_MAKES,                    /* of a node, or an input of a graph */
  MXQ_ROLE_RETURNS,                  /* an output of a graph */
  MXQ_ROLE_TELLS                     /* outside of graphs: nothing is recorded */
};
/* What it was. */
struct mxq_pt2_seen {
  const char *name;                  /* TELLS: of the one value that it is; NULL: a constant or a list */
  uint32_t n;
  uint32_t value;                    /* MAKES, RETURNS: its number, else MXQ_NO_NUMBER */
  bool constant;                     /* a plain number, text or None */
};

/* program_index.c. Each returns false, for `return refuse(...)`. */
bool mxq_pt2_refuse(struct mxq_pt2_indexer *ix, enum mxq_status status, size_t at, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same for what something else found. */
enum mxq_status mxq_pt2_told(struct mxq_pt2_indexer *ix, enum mxq_status status, size_t at, const char *what);
bool mxq_pt2_nomem(struct mxq_pt2_indexer *ix);
bool mxq_pt2_ok(const struct mxq_pt2_indexer *ix);
/* Makes room for one more element behind `count`. */
bool mxq_pt2_room(struct mxq_pt2_indexer *ix, void *array, uint32_t *room, uint32_t count, size_t element);
/* The text of a token, which outlives the parser: in the program's text, or in the arena when it was written with escapes. NULL: no memory. */
const char *mxq_pt2_keep(struct mxq_pt2_indexer *ix, const char *s, size_t n);
/* From `at` to where the parser is. */
struct mxq_span mxq_pt2_span(const struct mxq_pt2_indexer *ix, size_t at);
/* Inline, so that the lengths of words are constants. */
static inline bool mxq_pt2_is(const char *s, size_t n, const char *word) { return n == strlen(word) && memcmp(s, word, n) == 0; }
/* An object with one key: up to the key, and behind its value. `what` is for messages. */
bool mxq_pt2_union(struct mxq_pt2_indexer *ix, const char *what, const char **key, size_t *n);
bool mxq_pt2_union_end(struct mxq_pt2_indexer *ix, const char *what);
/* A text that must be there; *s lives until the next event. */
bool mxq_pt2_string(struct mxq_pt2_indexer *ix, const char **s, size_t *n);

/* program_argument.c. b is NULL for TELLS. */
bool mxq_pt2_argument(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, struct mxq_pt2_seen *seen);
/* {"name": "..."} and other keys. */
bool mxq_pt2_named(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, enum mxq_value_type type, uint32_t item,
                   struct mxq_pt2_seen *seen);
/* program_values.c: the number of a name in a graph, which is new to it or known. UINT32_MAX: no memory, or refused. */
uint32_t mxq_pt2_intern(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, const char *s, size_t n);
/* The object behind "tensor_values" (type TENSOR), "sym_int_values" (INT), ... */
bool mxq_pt2_values(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_value_type type);
/* program_graph.c: the value of "graph". */
bool mxq_pt2_graph(struct mxq_pt2_indexer *ix, uint32_t parent, uint32_t parent_node, uint32_t depth);
/* program_spec.c: the value of "signature". */
bool mxq_pt2_signature(struct mxq_pt2_indexer *ix);
/* program_check.c: what holds within a graph that was read; what holds between graph, signature and configs. */
bool mxq_pt2_check_graph(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b);
bool mxq_pt2_check_program(struct mxq_pt2_indexer *ix);
bool mxq_pt2_check_target(struct mxq_pt2_indexer *ix, const char *s, size_t n);

#endif
