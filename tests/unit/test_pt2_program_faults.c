/* SPDX-License-Identifier: MIT */
/* Programs that contradict themselves: which are refused, and that the place is named. */
#include "tests/unit/hand_program.h"

static const struct { const char *from, *to, *words[2]; unsigned nth; } faults[] = {
    {"\"weight\", \"arg\": " T("p_w"), "\"weight\", \"arg\": " T("p_v"), {"node 'linear'", "p_v"}, 0},
    {"\"self\", \"arg\": " T("linear"), "\"self\", \"arg\": " T("cat"), {"node 'split'", "before"}, 0},
    {"\"self\", \"arg\": " T("linear"), "\"self\", \"arg\": " T("getitem"), {"node 'split'", "before"}, 0},
    {"\"self\", \"arg\": " T("y"), "\"self\", \"arg\": " T("x"), {"node 'sin'", "'x'"}, 0},
    {"\"outputs\": [" T("linear"), "\"outputs\": [" T("x"), {"node 'linear'", "twice"}, 0},
    {"\"outputs\": [" T("index"), "\"outputs\": [" T("linear"), {"node 'index'", "twice"}, 0},
    {T("c_k") ", " T("x"), T("x") ", " T("x"), {"'x'", "twice"}, 0},
    {"\"linear\": {\"dtype\"", "\"other\": {\"dtype\"", {"node 'linear'", "tensor_values"}, 0},
    {"\"x\": {\"dtype\"", "\"other\": {\"dtype\"", {"'x'", "tensor_values"}, 0},
    {"\"mul\": {\"as_expr\"", "\"other\": {\"as_expr\"", {"node 'mul'", "sym_int_values"}, 0},
    {"\"cat\": {\"dtype\"", "\"linear\": {\"dtype\"", {"value 'linear'", "twice"}, 0},
    {"\"size\": {\"as_expr\"", "\"x\": {\"as_expr\"", {"value 'x'", "twice"}, 0},
    {"{\"as_bool\": true}", "{\"as_nosuch\": true}", {"node 'cond'", "as_nosuch"}, 0},
    {"{\"as_bool\": true}", "{}", {"node 'cond'", "one key"}, 0},
    {"{\"as_bool\": true}", "{\"as_bool\": true, \"as_int\": 1}", {"node 'cond'", "one key"}, 0},
    {"{\"as_bool\": true}", "{\"as_bool\": 1}", {"node 'cond'", "true or false"}, 0},
    {"{\"as_bool\": true}", "{\"as_graph\": {\"name\": \"g\"}}", {"node 'cond'", "graph"}, 0},
    {"\"as_ints\": [1, -2]", "\"as_ints\": [1, 2.5]", {"node 'op'", "integer"}, 0},
    {"\"as_floats\": [0.5", "\"as_floats\": [\"0.5\"", {"node 'op'", "number"}, 0},
    {"{\"as_name\": \"mul\"}, {\"as_int\": 7}", "{\"as_name\": \"mul\"}, {\"as_bool\": true}", {"node 'op'", "as_bool"}, 0},
    {"{\"as_none\": true}, {\"as_tensor\": {\"name\": \"b_tmp\"}}", "{\"as_none\": true}, {\"as_int\": 1}", {"node 'index'", "as_int"}, 0},
    {"torch.ops.aten.linear.default", "builtins.print", {"node 'linear'", "builtins.print"}, 0},
    {"torch.ops.aten.linear.default", "_operator.nosuch", {"node 'linear'", "_operator.nosuch"}, 0},
    {"torch.ops.aten.linear.default", "torch.os.system", {"node 'linear'", "torch.os.system"}, 0},
    {"torch.ops.aten.linear.default", "torch.ops.aten.linear", {"node 'linear'", "torch.ops.aten.linear"}, 0},
    {"torch.ops.aten.linear.default", "torch.ops.aten.li near.default", {"node 'linear'", "li near"}, 0},
    {"torch.ops.aten.linear.default", "", {"node 'linear'", "''"}, 0},
    {"\"target\": \"torch.ops.aten.linear.default\", ", "", {"node 'linear'", "no target"}, 0},
    {", \"metadata\": {\"stack_trace\": \"a\\n\\\"b\\\"\"}", "", {"node 'size'", "no metadata"}, 0},
    {"\"outputs\": [" T("linear") "], ", "", {"node 'linear'", "no outputs"}, 0},
    {ARG("input", T("x")), "{\"name\": \"input\"}", {"node 'linear'", "name and arg"}, 0},
    {ARG("input", T("x")), "{\"arg\": " T("x") "}", {"node 'linear'", "name and arg"}, 0},
    {ARG("input", T("x")), "3", {"node 'linear'", "a number where an object"}, 0},
    {"\"name\": \"linear\"}, {\"name\": \"size\"}", "\"nam\": \"linear\"}, {\"name\": \"size\"}", {"node 'cond'", "without name"}, 0},
    {"\"outputs\": [" T("getitem_2"), "\"outputs\": [" T("get item"), {"node 'cond'", "identifier"}, 0},
    {"\"outputs\": [" T("getitem_2"), "\"outputs\": [" T("2"), {"node 'cond'", "identifier"}, 0},
    {"\"outputs\": [" T("getitem_2"), "\"outputs\": [" T("\xC3\xA9"), {"node 'cond'", "identifier"}, 0},
    {"\"outputs\": [" T("getitem_2"), "\"outputs\": [" T(""), {"node 'cond'", "identifier"}, 0},
    {"\"outputs\": [" T("getitem_2"), "\"outputs\": [{\"as_graph\": {\"name\": \"g\", \"graph\": {}}}", {"node 'cond'", "a graph where"}, 0},
    {"\"outputs\": [" T("cos"), "\"outputs\": [" T("sin"), {"node 'cond'", "'sin'"}, 0},
    {", \"sym_bool_values\": {}", "", {"node 'wrapped'", "no sym_bool_values"}, 0},
    {", \"sym_bool_values\": {}", "", {"node 'cond'", "no sym_bool_values"}, 2},
    {", \"sym_bool_values\": {}", "", {"no sym_bool_values", ""}, 3},
    {T("add") ", " T("cat"), T("add") ", " T("nosuch"), {"output", "nosuch"}, 0},
    {T("add") ", " T("cat"), T("add"), {"3 outputs", "4"}, 0},
    {T("add") ", " T("cat"), T("add") ", " T("index"), {"index", "cat"}, 0},
    {T("c_k") ", " T("x"), T("x") ", " T("c_k"), {"'x'", "'c_k'"}, 0},
    {", {\"constant_input\": {\"name\": \"n\", \"value\": {\"as_int\": 3}}}", "", {"6 inputs", "5"}, 0},
    {"{\"constant_input\": {\"name\": \"n\", \"value\": {\"as_int\": 3}}}", "{\"user_input\": {\"arg\": " T("n") "}}", {"input 5", "'n'"}, 0},
    {", \"value\": {\"as_int\": 3}", "", {"without value", ""}, 0},
    {"{\"parameter\": {", "{\"nosuch\": {", {"'nosuch'", "not known"}, 0},
    {"\"parameter_name\": \"w\"", "\"parameter_name\": \"v\"", {"'v'", "no config"}, 0},
    {"\"parameter_name\": \"w\"", "\"parameter_nam\": \"w\"", {"parameter_name", ""}, 0},
    {"\"parameter_name\": \"w\"", "\"parameter_name\": \"run\"", {"'run'", "parameter"}, 0},
    {"\"persistent\": true", "\"persistent\": false", {"'run'", "constant"}, 0},
    {", \"persistent\": true", "", {"persistent", ""}, 0},
    {"\"buffer_name\": \"run\"}", "\"buffer_name\": \"walk\"}", {"'walk'", "no config"}, 0},
    {"{\"buffer_mutation\": {", "{\"buffer_nosuch\": {", {"'buffer_nosuch'", "not known"}, 0},
    {VALUE("p_w", W_META), VALUE("p_w", META("6", I(4) ", " I(3), I(3) ", " I(1))), {"'w'", "dtype"}, 0},
    {VALUE("p_w", W_META), VALUE("p_w", META("7", I(3) ", " I(4), I(4) ", " I(1))), {"'w'", "sizes"}, 0},
    {VALUE("p_w", W_META), VALUE("p_w", META("7", I(12), I(1))), {"'w'", "sizes"}, 0},
    {VALUE("p_w", W_META), VALUE("p_w", META("7", I(4) ", " I(3), I(3))), {"value 'p_w'", "strides"}, 0},
    {VALUE("x", X_META), VALUE("x", META("7", S0 ", " I(-3), I(3) ", " I(1))), {"value 'x'", "negative"}, 0},
    {VALUE("x", X_META), VALUE("x", META("7", S0 ", {\"as_int\": 1e999}", I(3) ", " I(1))), {"value 'x'", "1e999"}, 0},
    {VALUE("x", X_META), VALUE("x", META("7", S0 ", {\"as_float\": 1}", I(3) ", " I(1))), {"value 'x'", "as_int"}, 0},
    {VALUE("x", X_META), VALUE("x", META("256", S0 ", " I(3), I(3) ", " I(1))), {"value 'x'", "256"}, 0},
    {VALUE("x", X_META), VALUE("x", META("99", S0 ", " I(3), I(3) ", " I(1))), {"value 'x'", "dtype"}, 0},
    {"\"cpu\", \"index\": null}, \"strides\": [" I(3) ", " I(1) "], \"storage_offset\": {\"as_int\": 0}, \"layout\": 7", "\"cpu\"}, \"strides\": [" I(3) ", " I(1) "], \"storage_offset\": {\"as_int\": 0}, \"layout\": 8", {"value 'p_w'", "layout"}, 0},
    {"{\"type\": \"cpu\", \"index\": null}", "{\"index\": 0}", {"value 'z'", "device"}, 0},
    {"{\"type\": \"cpu\", \"index\": null}", "{\"type\": \"cpu\", \"index\": true}", {"value 'z'", "index of its device"}, 0},
    {"{\"type\": \"cpu\", \"index\": null}", "{\"type\": \"cpu\", \"index\": 0.5}", {"value 'z'", "index of its device"}, 0},
    {"\"is_single_tensor_return\": false", "\"is_single_tensor_return\": true", {"4 outputs", ""}, 3},
    {"{\"buffer_mutation\": {", "{\"parameter_mutation\": {\"parameter_name\": \"run\", ", {"'run'", "parameter"}, 0},
    {"\"buffer_name\": \"run\"}", "\"buffer_name\": \"w\"}", {"'w'", "buffer"}, 0},
    {"{\"buffer_mutation\": {", "{\"user_input_mutation\": {\"user_input_name\": \"p_w\", ", {"'p_w'", "no input"}, 0},
    {"\"tensor_constant_name\": \"k\"", "\"tensor_constant_name\": \"tmp\"", {"'tmp'", "two inputs"}, 0},
    {"\"storage_offset\": {\"as_int\": 0}", "\"storage_offset\": {\"as_int\": -1}", {"value 'z'", "negative"}, 0},
    {", \"minor\": 20", "", {"minor", ""}, 0},
    {VALUE("x", X_META), "\"x\": {\"dtype\": 7}", {"value 'x'", "must all be there"}, 0},
    {VALUE("x", X_META), "\"x\": null", {"value 'x'", "null"}, 0},
    {", \"opset_version\": {\"aten\": 10}", "", {"opset_version", ""}, 0},
    {"\"module_call_graph\": [", "\"module_call_grap\": [", {"module_call_graph", ""}, 0},
    {"{\"fqn\": \"a\", ", "{\"fq\": \"a\", ", {"fqn", ""}, 0},
    {"\"signature\": {\"inputs\": [" T("x") "]", "\"signature\": {\"inputs\": [" T("gone") "]", {"'gone'", "module_call_graph"}, 0},
    {"\"min_val\": 2, ", "", {"'s0'", "min_val"}, 0},
    {"\"max_val\": null", "\"max_val\": 1", {"'s0'", "empty"}, 0},
    {"\"major\": 8", "\"major\": 9", {"version 9", ""}, 0},
    {", \"schema_version\": {\"major\": 8, \"minor\": 20}", "", {"schema_version", ""}, 0},
};

START_TEST(a_program_that_contradicts_itself_is_refused_and_the_place_is_named) {
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    struct mxq_error err;
    mxq_reader *r;
    char *text = hand_edit(PROGRAM, faults[i].from, faults[i].to, faults[i].nth);
    enum mxq_status status = open_text(text, &r, &err);
    ck_assert_msg(status == MXQ_ERR_MALFORMED || status == MXQ_ERR_UNSUPPORTED, "%zu (%s): status %d: %s", i, faults[i].to, status, err.text);
    ck_assert_str_eq(err.subject, "m/models/model.json");
    ck_assert_msg(strstr(err.text, faults[i].words[0]) && strstr(err.text, faults[i].words[1]), "%zu (%s): %s", i, faults[i].to, err.text);
    ck_assert_msg(err.offset < strlen(text), "%zu: byte %llu", i, (unsigned long long)err.offset);
    free(text);
  }
  printf("programs: %zu faults refused by name\n", sizeof faults / sizeof *faults);
}
END_TEST

START_TEST(graphs_inside_graphs_end_where_the_depth_of_json_does) {
  char *text = strdup(PROGRAM);
  struct mxq_error err;
  mxq_reader *r;
  unsigned levels = 0;
  enum mxq_status status;
  while ((status = open_text(text, &r, &err)) == MXQ_OK) {
    mxq_reader_close(r);
    char *deeper = hand_edit(text, "\"nodes\": [], \"tensor_values\": {\"z\"", "\"nodes\": [" NODE("torch.ops.higher_order.wrap",
                             ARG("", "{\"as_graph\": {\"name\": \"g\", \"graph\": " GRAPH(T("z"), T("z"), "", VALUE("z", Y_META), "") "}}"), "", "deep")
                             "], \"tensor_values\": {\"z\"", 0);
    free(text);
    text = deeper;
    ck_assert_uint_lt(++levels, 20);
  }
  ck_assert_int_eq(status, MXQ_ERR_LIMIT);
  ck_assert_msg(strstr(err.text, "64"), "%s", err.text);
  ck_assert_uint_gt(levels, 3);
  free(text);
}
END_TEST

/* Cut anywhere, with any byte changed to something else that JSON uses: an error or a program, and nothing that a sanitizer sees. */
START_TEST(no_damage_to_the_text_is_more_than_an_error) {
  static const char bytes[] = "\"{}[]:,0-x\\";
  struct mxq_error err;
  mxq_reader *r;
  size_t n = strlen(PROGRAM), opened = 0, refused = 0;
  for (size_t at = 0; at < n; at += 3) {
    char *text = strdup(PROGRAM);
    text[at] = bytes[at / 3 % (sizeof bytes - 1)];
    if (open_text(text, &r, &err) == MXQ_OK) {
      struct mxq_arena arena = {0};
      const struct mxq_pt2_program *p = program_of(r);
      const struct mxq_pt2_arg *args;
      uint32_t count, ndim;
      int64_t sizes[MXQ_MAX_NDIM], strides[MXQ_MAX_NDIM];
      for (uint32_t g = 0; g < p->graph_count; g++) {
        for (uint32_t i = 0; i < p->graphs[g].node_count; i++)
          ck_assert(mxq_pt2_node_args(p, g, i, &arena, &args, &count));
        for (uint32_t i = 0; i < p->graphs[g].value_count; i++)
          mxq_pt2_value_meta(p, &p->graphs[g].values[i], &ndim, sizes, strides);
      }
      mxq_arena_free(&arena);
      mxq_reader_close(r);
      opened++;
    } else {
      ck_assert_msg(err.code != MXQ_OK && err.text[0], "byte %zu", at);
      refused++;
    }
    text[at] = 0;
    ck_assert_int_ne(open_text(text, &r, &err), MXQ_OK);
    free(text);
  }
  printf("programs: of %zu changed bytes %zu were refused\n", opened + refused, refused);
  ck_assert_uint_gt(refused, opened);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 program faults");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, a_program_that_contradicts_itself_is_refused_and_the_place_is_named);
  tcase_add_test(t, graphs_inside_graphs_end_where_the_depth_of_json_does);
  tcase_add_test(t, no_damage_to_the_text_is_more_than_an_error);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
