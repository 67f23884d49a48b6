/* SPDX-License-Identifier: MIT */
/*
 * models/model.json as text with an index: where everything stands, what names what. Nothing is ever re-printed from a tree: edits are splices
 * of this text. The index is made and checked when an archive is opened (program_read.c and its neighbours); a graph that is
 * inconsistent is refused there with the node's name, so whoever works on the index relies on it.
 */
#ifndef MXQ_PT2_PROGRAM_H
#define MXQ_PT2_PROGRAM_H

#include <mxq/program.h>
#include "formats/pt2/pt2.h"

#define MXQ_NO_NUMBER UINT32_MAX

/* Bytes [at, at + n) of the text. n 0: not there. */
struct mxq_span { uint32_t at, n; };

/*
 * A name in a graph: an input's or a node's result. Names are identifiers, unique within a graph. One that is neither (node and input are both
 * MXQ_NO_NUMBER) only has an entry, or stands for a constant custom object.
 */
struct mxq_pt2_value {
  const char *name;                  /* not NUL-terminated */
  uint16_t name_n;
  uint8_t type;                      /* enum mxq_value_type */
  uint8_t dtype;                     /* tensors: number of PyTorch's schema */
  struct mxq_span entry;             /* in tensor_values (sym_int_values, ...): from the key's quote to the value's last byte */
  struct mxq_span meta;              /* the value alone: {"dtype": 7, ...} */
  uint32_t node;                     /* that makes it; MXQ_NO_NUMBER: an input */
  uint32_t input;                    /* its number among the graph's inputs; MXQ_NO_NUMBER: a node's result */
  uint32_t first_use, use_count;     /* in graph->uses */
  uint8_t described;                 /* the table its entry stands in, by enum mxq_value_type; UINT8_MAX: none */
  bool needed;                       /* something takes it, other than as a custom object */
};
/* A place where a node takes a value. */
struct mxq_pt2_taken {
  uint32_t node, value;
  uint32_t argument;                 /* number of the argument */
  uint32_t item;                     /* number in a list, else 0 */
};
struct mxq_pt2_node {
  struct mxq_span span;              /* the object */
  struct mxq_span target;            /* without quotes */
  uint32_t first_taken, taken_count; /* in graph->taken */
  uint32_t first_result, result_count; /* in graph->results */
  uint32_t first_graph, graph_count; /* inner graphs: numbers in program->graphs, consecutive */
};
struct mxq_pt2_subgraph {
  struct mxq_span span;              /* the object */
  struct mxq_span inputs, outputs, nodes_span, tensor_values; /* the arrays and the object, brackets included */
  uint32_t parent, parent_node;      /* MXQ_NO_NUMBER for the program's own graph, number 0 */
  uint32_t depth;
  struct mxq_pt2_value *values;
  uint32_t value_count;
  struct mxq_names by_name;          /* name -> number of a value */
  struct mxq_pt2_node *nodes;
  uint32_t node_count;
  struct mxq_pt2_taken *taken;       /* by node */
  uint32_t taken_count;
  uint32_t *uses;                    /* numbers of taken, by value */
  uint32_t *results;                 /* numbers of values */
  uint32_t *inputs_values;           /* number of the value, MXQ_NO_NUMBER for constants */
  struct mxq_span *inputs_spans;     /* each element of "inputs" */
  uint32_t input_count;
  uint32_t *outputs_values;          /* the same for outputs; MXQ_NO_NUMBER for constants and for lists */
  struct mxq_span *outputs_spans;
  uint32_t output_count;
};
/* An input of the program and what it stands for. */
enum mxq_pt2_spec { MXQ_SPEC_USER, MXQ_SPEC_PARAMETER, MXQ_SPEC_BUFFER, MXQ_SPEC_CONSTANT, MXQ_SPEC_OTHER };
struct mxq_pt2_input_spec {
  struct mxq_span span;              /* the object in input_specs */
  uint8_t kind;                      /* enum mxq_pt2_spec */
  uint32_t stored;                   /* number in reader->stored; MXQ_NO_NUMBER when it stands for no tensor */
};
enum mxq_pt2_output_kind {
  MXQ_OUTPUT_USER, MXQ_OUTPUT_BUFFER_MUTATION, MXQ_OUTPUT_PARAMETER_MUTATION, MXQ_OUTPUT_PARAMETER_GRADIENT, MXQ_OUTPUT_LOSS, MXQ_OUTPUT_INPUT_GRADIENT,
  MXQ_OUTPUT_INPUT_MUTATION, MXQ_OUTPUT_TOKEN
};
struct mxq_pt2_output_spec {
  struct mxq_span span;
  bool user;                         /* user_output */
  uint8_t kind;                      /* enum mxq_pt2_output_kind */
  uint32_t stored;                   /* buffer_mutation, parameter_mutation, gradient_to_parameter: the tensor; else MXQ_NO_NUMBER */
};

struct mxq_pt2_program {
  char *text;                        /* as it stands in the archive, NUL-terminated */
  uint32_t size;
  const char *member;                /* its name, for messages */
  struct mxq_arena arena;
  struct mxq_pt2_subgraph *graphs;   /* [0] is the program's own */
  uint32_t graph_count;
  struct mxq_pt2_input_spec *inputs; /* as many as graphs[0] has inputs, in their order */
  struct mxq_pt2_output_spec *outputs; /* as many as graphs[0] has outputs */
  struct mxq_span graph_module, signature, input_specs, output_specs; /* objects and arrays, brackets included */
  struct mxq_span metadata;          /* graph_module.metadata; n 0 when missing */
  struct mxq_span custom;            /* its "custom": the string with its quotes (or whatever else stands there); n 0 when missing */
  struct mxq_span range_constraints;
  struct mxq_symbol *symbols;
  uint32_t symbol_count;
};

/* program_read.c: loads, indexes and checks models/<model>.json, marks reader->stored, reads the manifest. Once it has, it only makes the index again. */
enum mxq_status mxq_pt2_program_read(struct mxq_pt2_reader *r, struct mxq_pt2_program **program, struct mxq_error *err);
void mxq_pt2_program_free(struct mxq_pt2_program *program); /* NULL is accepted */

/*
 * The stored tensor that a value of the program's own graph stands for; MXQ_NO_NUMBER: it stands for none. Not every value is an input or a result: some
 * only have an entry, and constant objects stand nowhere else.
 */
static inline uint32_t mxq_pt2_stands_for(const struct mxq_pt2_program *p, const struct mxq_pt2_value *v) {
  return v->node == MXQ_NO_NUMBER && v->input != MXQ_NO_NUMBER ? p->inputs[v->input].stored : MXQ_NO_NUMBER;
}

/* One argument of a node, taken apart. */
enum mxq_pt2_arg_kind {
  MXQ_ARG_NONE, MXQ_ARG_VALUE /* as_tensor, and symbolic scalars by name */, MXQ_ARG_VALUES /* lists of them, optional ones included */,
  MXQ_ARG_INT, MXQ_ARG_INTS, MXQ_ARG_FLOAT, MXQ_ARG_FLOATS, MXQ_ARG_BOOL, MXQ_ARG_BOOLS, MXQ_ARG_SCALAR_TYPE, MXQ_ARG_STRING, MXQ_ARG_GRAPH, MXQ_ARG_OTHER
};
struct mxq_pt2_arg {
  const char *name;                  /* NUL-terminated */
  enum mxq_pt2_arg_kind kind;
  uint32_t count;                    /* VALUES, INTS, FLOATS, BOOLS */
  const uint32_t *values;            /* VALUE (one), VALUES: numbers in the graph; MXQ_NO_NUMBER for None, and for items that are constants */
  const int64_t *ints;               /* INT (one), INTS, BOOL, BOOLS, SCALAR_TYPE; items that are symbolic: INT64_MIN */
  const double *floats;              /* FLOAT (one), FLOATS */
  const char *text;                  /* STRING, NUL-terminated */
  uint32_t graph;                    /* GRAPH */
};
/* program_args.c: the arguments of a node, from the arena. False: out of memory (the text was checked). */
bool mxq_pt2_node_args(const struct mxq_pt2_program *p, uint32_t graph, uint32_t node, struct mxq_arena *arena, const struct mxq_pt2_arg **args,
                       uint32_t *count);
/* Whether an as_strided node leaves its tensor as it is: sizes that it has, strides without gaps before and after. */
bool mxq_pt2_same_layout(const struct mxq_pt2_program *p, const struct mxq_pt2_subgraph *g, const struct mxq_pt2_node *node, const struct mxq_pt2_arg *args,
                         uint32_t count);
/* The sizes and strides in a tensor's meta; symbolic ones are -1. *ndim <= MXQ_MAX_NDIM, which was checked. */
void mxq_pt2_value_meta(const struct mxq_pt2_program *p, const struct mxq_pt2_value *value, uint32_t *ndim, int64_t sizes[MXQ_MAX_NDIM],
                        int64_t strides[MXQ_MAX_NDIM]);
/* Whether a span's text is exactly this word. */
bool mxq_pt2_span_is(const struct mxq_pt2_program *p, struct mxq_span span, const char *word);

/* MX weights that the program decodes although no manifest tells: found by what its nodes compute (recognise.c). */
struct mxq_pt2_recognised {
  uint32_t codes, scales;            /* numbers in reader->stored */
  uint32_t value;                    /* in graphs[0]: the decoded tensor, whose shape and dtype it has */
  enum mxq_format format;            /* MXQ_FORMAT_NONE: see below */
  bool unpacked;                     /* one 4- or 6-bit code a byte */
  uint32_t axis_first, axis_last;    /* of the decoded tensor: the blocked run */
};
/*
 * Fills *found (malloc, *count entries) with weights whose codes and scales are not hidden, each once. With `only`, whose codes and scales are among these
 * stored tensors: as often as the program decodes them, and also what it makes of both that is not MX, with MXQ_FORMAT_NONE as format. MXQ_ERR_NOMEM. The
 * tables of values are read from the archive.
 */
enum mxq_status mxq_pt2_recognise(struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, const bool *only, struct mxq_pt2_recognised **found,
                                  size_t *count, struct mxq_error *err);
/*
 * manifest_check.c: MXQ_ERR_MALFORMED when the program makes of an entry's codes and scales, both worked out, anything but what the manifest says. MXQ_ERR_NOMEM.
 */
enum mxq_status mxq_pt2_manifest_check(struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, struct mxq_error *err);

#endif
