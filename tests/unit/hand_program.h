/* SPDX-License-Identifier: MIT */
/* A program by hand that has everything: kinds of inputs, symbols, lists, graphs inside graphs; and how it is opened. */
#ifndef TESTS_UNIT_HAND_PROGRAM_H
#define TESTS_UNIT_HAND_PROGRAM_H

#include "formats/pt2/program.h"
#include "tests/unit/hand_archive.h"

#define META(dtype, sizes, strides)                                                                                                          \
  "{\"dtype\": " dtype ", \"sizes\": [" sizes "], \"requires_grad\": false, \"device\": {\"type\": \"cpu\", \"index\": null}, \"strides\": [" strides \
  "], \"storage_offset\": {\"as_int\": 0}, \"layout\": 7}"
#define I(n) "{\"as_int\": " #n "}"
#define S0 "{\"as_expr\": {\"expr_str\": \"Symbol('s0', positive=True, integer=True)\", \"hint\": {\"as_int\": 3}}}"
#define T(name) "{\"as_tensor\": {\"name\": \"" name "\"}}"
#define ARG(name, arg) "{\"name\": \"" name "\", \"arg\": " arg ", \"kind\": 1}"
#define NODE(target, inputs, outputs, name)                                                                                                  \
  "{\"target\": \"" target "\", \"inputs\": [" inputs "], \"outputs\": [" outputs "], \"metadata\": {\"stack_trace\": \"a\\n\\\"b\\\"\"}, "  \
  "\"is_hop_single_tensor_return\": null, \"name\": \"" name "\"}"
#define GRAPH(inputs, outputs, nodes, values, ints)                                                                                          \
  "{\"inputs\": [" inputs "], \"outputs\": [" outputs "], \"nodes\": [" nodes "], \"tensor_values\": {" values "}, \"sym_int_values\": {" ints \
  "}, \"sym_bool_values\": {}, \"is_single_tensor_return\": false, \"custom_obj_values\": {}, \"sym_float_values\": {}}"
#define VALUE(name, meta) "\"" name "\": " meta
#define X_META META("7", S0 ", " I(3), I(3) ", " I(1))
#define Y_META META("7", S0 ", " I(4), I(4) ", " I(1))
#define W_META META("7", I(4) ", " I(3), I(3) ", " I(1))
#define INNER(op, result, deeper)                                                                                                            \
  GRAPH(T("y") ", {\"as_sym_int\": {\"as_name\": \"n\"}}", T(result),                                                                        \
        NODE("torch.ops.aten." op ".default", ARG("self", T("y")), T(result), result) deeper, VALUE("y", Y_META) ", " VALUE(result, Y_META),  \
        "\"n\": " S0)
#define DEEPER                                                                                                                               \
  ", " NODE("torch.ops.higher_order.wrap", ARG("", "{\"as_graph\": {\"name\": \"g\", \"graph\": " GRAPH(T("z"), T("z"), "", VALUE("z", Y_META), "") "}}") \
            ", " ARG("", T("y")), "{\"as_none\": true}", "wrapped")
#define PROGRAM                                                                                                                              \
  "{\"graph_module\": {\"graph\": "                                                                                                          \
  GRAPH(T("p_w") ", " T("b_run") ", " T("b_tmp") ", " T("c_k") ", " T("x") ", {\"as_int\": 3}",                                               \
        T("add") ", " T("cat") ", {\"as_none\": true}, {\"as_sym_int\": {\"as_name\": \"mul\"}}",                                             \
        NODE("torch.ops.aten.sym_size.int", ARG("self", T("x")) ", " ARG("dim", I(0)), "{\"as_sym_int\": {\"as_name\": \"size\"}}", "size") ", " \
        NODE("_operator.mul", ARG("a", "{\"as_sym_int\": {\"as_name\": \"size\"}}") ", " ARG("b", "{\"as_sym_int\": {\"as_int\": 2}}"),       \
             "{\"as_sym_int\": {\"as_name\": \"mul\"}}", "mul") ", "                                                                         \
        NODE("torch.ops.aten.linear.default", ARG("input", T("x")) ", " ARG("weight", T("p_w")), T("linear"), "linear") ", "                  \
        NODE("torch.ops.aten.split.Tensor", ARG("self", T("linear")) ", " ARG("split_size", I(2)) ", " ARG("dim", I(-1)),                      \
             "{\"as_tensors\": [{\"name\": \"getitem\"}, {\"name\": \"getitem_1\"}]}", "split") ", "                                         \
        NODE("torch.ops.higher_order.cond",                                                                                                  \
             ARG("", "{\"as_bool\": true}") ", "                                                                                             \
             ARG("", "{\"as_graph\": {\"name\": \"true_graph_0\", \"graph\": " INNER("sin", "sin", DEEPER) "}}") ", "                         \
             ARG("", "{\"as_graph\": {\"name\": \"false_graph_0\", \"graph\": " INNER("cos", "cos", "") "}}") ", "                            \
             ARG("", "{\"as_tensors\": [{\"name\": \"linear\"}, {\"name\": \"size\"}]}"), T("getitem_2"), "cond") ", "                        \
        NODE("torch.ops.aten.index.Tensor",                                                                                                  \
             ARG("self", T("getitem_2")) ", " ARG("indices", "{\"as_optional_tensors\": [{\"as_none\": true}, {\"as_tensor\": {\"name\": \"b_tmp\"}}]}"), \
             T("index"), "index") ", "                                                                                                       \
        NODE("torch.ops.aten.cat.default",                                                                                                   \
             ARG("tensors", "{\"as_tensors\": [{\"name\": \"getitem\"}, {\"name\": \"getitem_1\"}, {\"name\": \"getitem\"}]}") ", " ARG("dim", I(-1)), \
             T("cat"), "cat") ", "                                                                                                           \
        NODE("torch.ops.my.op.default",                                                                                                      \
             ARG("a", "{\"as_sym_ints\": [{\"as_name\": \"mul\"}, {\"as_int\": 7}]}") ", " ARG("b", "{\"as_floats\": [0.5, -1e-3, \"-Infinity\"]}") ", " \
             ARG("c", "{\"as_bools\": [true, false]}") ", " ARG("d", "{\"as_string\": \"q\\\"\\u00e9\"}") ", " ARG("e", "{\"as_scalar_type\": 7}") ", " \
             ARG("f", "{\"as_float\": 0.015625}") ", " ARG("g", "{\"as_custom_obj\": {\"name\": \"_custom_obj_0\", \"class_fqn\": \"c\"}}") ", " \
             ARG("h", "{\"as_ints\": [1, -2]}") ", " ARG("i", "{\"as_none\": true}") ", "                                                    \
             ARG("j", "{\"as_string_to_argument\": {\"k\": " T("x") ", \"l\": {\"as_nested_tensors\": [[{\"name\": \"p_w\"}]]}}}"), "", "op") ", " \
        NODE("torch.ops.aten.add.Tensor", ARG("self", T("b_run")) ", " ARG("other", T("c_k")), T("add"), "add"),                              \
        VALUE("p_w", W_META) ", " VALUE("b_run", META("7", I(4), I(1))) ", " VALUE("b_tmp", META("5", I(2), I(1))) ", "                        \
        VALUE("c_k", META("7", I(4), I(1))) ", " VALUE("x", X_META) ", " VALUE("linear", Y_META) ", " VALUE("getitem", Y_META) ", "            \
        VALUE("getitem_1", Y_META) ", " VALUE("getitem_2", Y_META) ", " VALUE("index", Y_META) ", " VALUE("cat", Y_META) ", "                  \
        VALUE("add", META("7", I(4), I(1))), "\"size\": " S0 ", \"mul\": " S0)                                                                \
  ", \"signature\": {\"input_specs\": [{\"parameter\": {\"arg\": {\"name\": \"p_w\"}, \"parameter_name\": \"w\"}}, "                          \
  "{\"buffer\": {\"arg\": {\"name\": \"b_run\"}, \"buffer_name\": \"run\", \"persistent\": true}}, "                                         \
  "{\"buffer\": {\"arg\": {\"name\": \"b_tmp\"}, \"buffer_name\": \"tmp\", \"persistent\": false}}, "                                        \
  "{\"tensor_constant\": {\"arg\": {\"name\": \"c_k\"}, \"tensor_constant_name\": \"k\"}}, "                                                 \
  "{\"user_input\": {\"arg\": {\"as_tensor\": {\"name\": \"x\"}}}}, {\"constant_input\": {\"name\": \"n\", \"value\": {\"as_int\": 3}}}], "  \
  "\"output_specs\": [{\"buffer_mutation\": {\"arg\": {\"name\": \"add\"}, \"buffer_name\": \"run\"}}, {\"user_output\": {\"arg\": " T("cat") "}}, " \
  "{\"user_output\": {\"arg\": {\"as_none\": true}}}, {\"user_output\": {\"arg\": {\"as_sym_int\": {\"as_name\": \"mul\"}}}}]}, "            \
  "\"module_call_graph\": [{\"fqn\": \"\", \"signature\": {\"inputs\": [" T("x") "], \"outputs\": [], \"in_spec\": \"\", \"out_spec\": \"\"}}, " \
  "{\"fqn\": \"a\", \"signature\": null}], \"metadata\": {\"other\": \"1\", \"custom\": \"{\\\"a\\\": 1}\"}, \"treespec_namedtuple_fields\": {}}, " \
  "\"opset_version\": {\"aten\": 10}, \"range_constraints\": {\"s0\": {\"min_val\": 2, \"max_val\": null}}, "                                \
  "\"schema_version\": {\"major\": 8, \"minor\": 20}, \"verifiers\": [\"TRAINING\"], \"torch_version\": \"2.13.0\", \"guards_code\": []}"

#define STORED(name, record, param, meta)                                                                                                    \
  "\"" name "\": {\"path_name\": \"" record "\", \"is_param\": " param ", \"use_pickle\": false, \"tensor_meta\": " meta "}"
static const char weights[] = "{\"config\": {" STORED("w", "weight_0", "true", W_META) ", " STORED("run", "weight_1", "false", META("7", I(4), I(1))) "}}";
static const char constants[] = "{\"config\": {" STORED("tmp", "tensor_0", "false", META("5", I(2), I(1))) ", "
                                STORED("k", "tensor_1", "false", META("7", I(4), I(1))) "}}";

__attribute__((unused)) static enum mxq_status open_text(const char *program, mxq_reader **r, struct mxq_error *err) {
  static struct hand_zip *z;         /* the reader reads from it */
  struct mxq_source source;
  free(z);
  z = hand_archive(program, weights, 2, constants, 2, 64);
  mxq_source_from_memory(z->data, z->size, &source);
  memset(err, 0, sizeof *err);
  return mxq_reader_open_source(&source, NULL, r, err);
}

__attribute__((unused)) static const struct mxq_pt2_program *program_of(const mxq_reader *r) { return ((const struct mxq_pt2_reader *)r)->program; }

__attribute__((unused)) static uint32_t find(const struct mxq_pt2_program *p, uint32_t graph, const char *name) {
  return mxq_names_find(&p->graphs[graph].by_name, name, strlen(name));
}

__attribute__((unused)) static uint32_t node_of(const struct mxq_pt2_program *p, const char *target) {
  for (uint32_t i = 0; i < p->graphs[0].node_count; i++)
    if (mxq_pt2_span_is(p, p->graphs[0].nodes[i].target, target))
      return i;
  ck_abort_msg("no node %s", target);
}

#endif
