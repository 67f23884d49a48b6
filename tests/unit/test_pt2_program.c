/* SPDX-License-Identifier: MIT */
/* The index of a program: what it says about graphs, values and arguments. */
#include <dirent.h>
#include <math.h>

#include "tests/unit/hand_program.h"

START_TEST(each_name_is_known_with_its_maker_its_entry_and_its_uses) {
  struct mxq_error err;
  mxq_reader *r;
  ck_assert_msg(open_text(PROGRAM, &r, &err) == MXQ_OK, "%s: %s", err.subject, err.text);
  const struct mxq_pt2_program *p = program_of(r);
  ck_assert_str_eq(p->text, PROGRAM);
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  ck_assert_uint_eq(g->node_count, 9);
  ck_assert_uint_eq(g->input_count, 6);
  ck_assert_uint_eq(g->output_count, 4);
  ck_assert_uint_eq(g->inputs_values[5], MXQ_NO_NUMBER);
  ck_assert_uint_eq(g->outputs_values[2], MXQ_NO_NUMBER);
  ck_assert_uint_eq(g->outputs_values[3], find(p, 0, "mul"));
  ck_assert_int_eq(memcmp(p->text + g->inputs_spans[5].at, "{\"as_int\": 3}", g->inputs_spans[5].n), 0);
  ck_assert_int_eq(memcmp(p->text + g->outputs_spans[1].at, T("cat"), g->outputs_spans[1].n), 0);
  const struct mxq_pt2_value *w = &g->values[find(p, 0, "p_w")], *getitem = &g->values[find(p, 0, "getitem")], *size = &g->values[find(p, 0, "size")];
  ck_assert(w->type == MXQ_VALUE_TENSOR && w->dtype == 7 && w->input == 0 && w->node == MXQ_NO_NUMBER && w->use_count == 2);
  ck_assert_int_eq(memcmp(p->text + w->entry.at, VALUE("p_w", W_META), w->entry.n), 0);
  ck_assert_int_eq(memcmp(p->text + w->meta.at, W_META, w->meta.n), 0);
  ck_assert_uint_eq(w->meta.n, strlen(W_META));
  ck_assert(getitem->node == node_of(p, "torch.ops.aten.split.Tensor") && getitem->use_count == 2 && getitem->input == MXQ_NO_NUMBER);
  ck_assert(size->type == MXQ_VALUE_INT && size->use_count == 2 && size->meta.n == strlen(S0));
  const struct mxq_pt2_taken *use = &g->taken[g->uses[getitem->first_use + 1]];
  ck_assert(use->node == node_of(p, "torch.ops.aten.cat.default") && use->argument == 0 && use->item == 2);
  const struct mxq_pt2_node *split = &g->nodes[getitem->node];
  ck_assert(split->result_count == 2 && g->results[split->first_result + 1] == find(p, 0, "getitem_1"));
  ck_assert(p->text[split->span.at] == '{' && p->text[split->span.at + split->span.n - 1] == '}');
  int64_t sizes[MXQ_MAX_NDIM], strides[MXQ_MAX_NDIM];
  uint32_t ndim;
  mxq_pt2_value_meta(p, getitem, &ndim, sizes, strides);
  ck_assert(ndim == 2 && sizes[0] == -1 && sizes[1] == 4 && strides[0] == 4 && strides[1] == 1);
  ck_assert_uint_eq(p->symbol_count, 1);
  ck_assert(strcmp(p->symbols[0].name, "s0") == 0 && p->symbols[0].has_min && p->symbols[0].min == 2 && !p->symbols[0].has_max);
  ck_assert_int_eq(memcmp(p->text + p->custom.at, "\"{\\\"a\\\": 1}\"", p->custom.n), 0);
  ck_assert(p->text[p->metadata.at] == '{' && p->text[p->signature.at] == '{' && p->text[p->graph_module.at] == '{');
  ck_assert(p->text[p->input_specs.at] == '[' && p->text[p->output_specs.at + p->output_specs.n - 1] == ']');
  ck_assert_uint_eq(p->inputs[0].kind, MXQ_SPEC_PARAMETER);
  ck_assert_uint_eq(p->inputs[2].kind, MXQ_SPEC_BUFFER);
  ck_assert_uint_eq(p->inputs[3].kind, MXQ_SPEC_CONSTANT);
  ck_assert(p->inputs[5].kind == MXQ_SPEC_USER && p->inputs[5].stored == MXQ_NO_NUMBER);
  ck_assert(!p->outputs[0].user && p->outputs[0].stored == p->inputs[1].stored && p->outputs[1].user && p->outputs[1].stored == MXQ_NO_NUMBER);
  ck_assert_int_eq(mxq_reader_tensor(r, mxq_reader_find(r, "tmp"))->kind, MXQ_KIND_NONPERSISTENT);
  mxq_reader_close(r);
}
END_TEST

START_TEST(graphs_inside_a_graph_have_consecutive_numbers_and_names_of_their_own) {
  struct mxq_error err;
  mxq_reader *r;
  ck_assert_int_eq(open_text(PROGRAM, &r, &err), MXQ_OK);
  const struct mxq_pt2_program *p = program_of(r);
  const struct mxq_pt2_node *cond = &p->graphs[0].nodes[node_of(p, "torch.ops.higher_order.cond")];
  ck_assert_uint_eq(p->graph_count, 4);
  ck_assert(cond->graph_count == 2 && cond->first_graph == 1);
  for (uint32_t i = 1; i < 3; i++)
    ck_assert(p->graphs[i].parent == 0 && p->graphs[i].depth == 1 && &p->graphs[0].nodes[p->graphs[i].parent_node] == cond);
  ck_assert(find(p, 1, "sin") != UINT32_MAX && find(p, 1, "cos") == UINT32_MAX && find(p, 2, "cos") != UINT32_MAX);
  ck_assert(p->graphs[3].parent == 1 && p->graphs[3].parent_node == 1 && p->graphs[3].depth == 2);
  ck_assert_uint_eq(p->graphs[1].nodes[1].first_graph, 3);
  ck_assert_uint_eq(p->graphs[1].values[find(p, 1, "n")].type, MXQ_VALUE_INT);
  mxq_reader_close(r);
}
END_TEST

START_TEST(arguments_are_taken_apart) {
  struct mxq_error err;
  struct mxq_arena arena = {0};
  mxq_reader *r;
  const struct mxq_pt2_arg *a;
  uint32_t n;
  ck_assert_int_eq(open_text(PROGRAM, &r, &err), MXQ_OK);
  const struct mxq_pt2_program *p = program_of(r);
  ck_assert(mxq_pt2_node_args(p, 0, node_of(p, "torch.ops.my.op.default"), &arena, &a, &n));
  ck_assert_uint_eq(n, 10);
  ck_assert(a[0].kind == MXQ_ARG_INTS && a[0].count == 2 && a[0].ints[0] == INT64_MIN && a[0].ints[1] == 7);
  ck_assert(a[0].values[0] == find(p, 0, "mul") && a[0].values[1] == MXQ_NO_NUMBER && strcmp(a[0].name, "a") == 0);
  ck_assert(a[1].kind == MXQ_ARG_FLOATS && a[1].count == 3 && a[1].floats[0] == 0.5 && a[1].floats[1] == -1e-3 && a[1].floats[2] == -INFINITY);
  ck_assert(a[2].kind == MXQ_ARG_BOOLS && a[2].count == 2 && a[2].ints[0] == 1 && a[2].ints[1] == 0);
  ck_assert(a[3].kind == MXQ_ARG_STRING && strcmp(a[3].text, "q\"\xC3\xA9") == 0);
  ck_assert(a[4].kind == MXQ_ARG_SCALAR_TYPE && a[4].ints[0] == 7);
  ck_assert(a[5].kind == MXQ_ARG_FLOAT && a[5].floats[0] == 0.015625);
  ck_assert(a[6].kind == MXQ_ARG_OTHER && a[8].kind == MXQ_ARG_NONE && a[9].kind == MXQ_ARG_OTHER);
  ck_assert(a[7].kind == MXQ_ARG_INTS && a[7].count == 2 && a[7].ints[1] == -2 && !a[7].values);
  ck_assert(mxq_pt2_node_args(p, 0, node_of(p, "torch.ops.aten.index.Tensor"), &arena, &a, &n) && n == 2);
  ck_assert(a[0].kind == MXQ_ARG_VALUE && a[0].values[0] == find(p, 0, "getitem_2") && strcmp(a[1].name, "indices") == 0);
  ck_assert(a[1].kind == MXQ_ARG_VALUES && a[1].count == 2 && a[1].values[0] == MXQ_NO_NUMBER && a[1].values[1] == find(p, 0, "b_tmp"));
  ck_assert(mxq_pt2_node_args(p, 0, node_of(p, "torch.ops.higher_order.cond"), &arena, &a, &n) && n == 4);
  ck_assert(a[0].kind == MXQ_ARG_BOOL && a[0].ints[0] == 1 && a[1].kind == MXQ_ARG_GRAPH && a[1].graph == 1 && a[2].graph == 2);
  ck_assert(a[3].kind == MXQ_ARG_VALUES && a[3].count == 2 && a[3].values[1] == find(p, 0, "size"));
  ck_assert(mxq_pt2_node_args(p, 0, node_of(p, "_operator.mul"), &arena, &a, &n) && n == 2);
  ck_assert(a[0].kind == MXQ_ARG_VALUE && a[1].kind == MXQ_ARG_INT && a[1].ints[0] == 2);
  ck_assert(mxq_pt2_node_args(p, 1, 0, &arena, &a, &n) && n == 1 && a[0].values[0] == find(p, 1, "y"));
  mxq_arena_free(&arena);
  mxq_reader_close(r);
}
END_TEST

/* ---- the same program, written otherwise ---- */

/* Moves `what` (with the ", " behind it) in front of `before`. */
static char *moved(const char *text, const char *what, const char *before) {
  char *without = hand_edit(text, what, "", 0), *joined = malloc(strlen(what) + strlen(before) + 1);
  sprintf(joined, "%s%s", what, before);
  char *edited = hand_edit(without, before, joined, 0);
  free(without);
  free(joined);
  return edited;
}

START_TEST(keys_come_in_any_order_and_names_may_be_escaped) {
  static const char *const edits[][2] = {
      {"\"module_call_graph\": [{\"fqn\"", "\"future\": [1, {\"a\": null}], \"module_call_graph\": [{\"fqn\""},
      {"{\"name\": \"weight\", \"arg\": " T("p_w") ", \"kind\": 1}", "{\"kind\": null, \"arg\": {\"as_tensor\": {\"name\": \"p\\u005fw\", \"x\": 1}}, \"name\": \"weight\"}"},
      {"\"as_sym_int\": {\"as_name\": \"size\"}", "\"as_sym_int\" : {\t\"as_n\\u0061me\" :\n\"size\" }"},
      {"\"dtype\": 7, \"sizes\": [" I(4) ", " I(3) "]", "\"siz\\u0065s\": [" I(4) " , " I(3) "], \"dtype\": 7"},
      {", \"is_single_tensor_return\": false, \"custom_obj_values\": {}, \"sym_float_values\": {}", ""},
      {", \"verifiers\": [\"TRAINING\"], \"torch_version\": \"2.13.0\", \"guards_code\": []", ""},
      {", \"hint\": {\"as_int\": 3}", ""},
      {", \"is_hop_single_tensor_return\": null, \"name\": \"linear\"", ""},
      {"\"target\": \"torch.ops.aten.linear.default\"", "\"target\": \"#ns:thing\""},
      {"\"target\": \"torch.ops.aten.linear.default\"", "\"target\": \"torch._functorch.predispatch._vmap_increment_nesting\""},
      {"\"c_k\": {", "\"not_used\": " Y_META ", \"c_k\": {"},
  };
  struct mxq_error err;
  mxq_reader *r;
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    char *text = hand_edit(PROGRAM, edits[i][0], edits[i][1], 0);
    ck_assert_msg(open_text(text, &r, &err) == MXQ_OK, "%zu: %s: %s", i, err.subject, err.text);
    const struct mxq_pt2_program *p = program_of(r);
    int64_t sizes[MXQ_MAX_NDIM];
    uint32_t ndim;
    mxq_pt2_value_meta(p, &p->graphs[0].values[find(p, 0, "p_w")], &ndim, sizes, NULL);
    ck_assert(ndim == 2 && sizes[0] == 4 && p->graphs[0].values[find(p, 0, "p_w")].use_count == 2 && p->graphs[0].node_count == 9);
    ck_assert_str_eq(p->text, text);
    mxq_reader_close(r);
    free(text);
  }
  char *late = moved(PROGRAM, "\"inputs\": [" T("p_w") ", " T("b_run") ", " T("b_tmp") ", " T("c_k") ", " T("x") ", {\"as_int\": 3}], ",
                     "\"sym_bool_values\": {}, \"is_single_tensor_return\": false, \"custom_obj_values\": {}, \"sym_float_values\": {}}, \"signature\"");
  char *first = moved(late, "\"schema_version\": {\"major\": 8, \"minor\": 20}, ", "\"graph_module\"");
  const char *signature = strstr(first, "\"signature\": {\"input_specs\""), *end = strstr(first, "\"module_call_graph\"");
  char *piece = strndup(signature, (size_t)(end - signature)), *all = moved(first, piece, "\"graph\": {\"outputs\"");
  ck_assert_msg(open_text(all, &r, &err) == MXQ_OK, "%s: %s", err.subject, err.text);
  const struct mxq_pt2_program *p = program_of(r);
  ck_assert(p->graphs[0].values[find(p, 0, "x")].input == 4 && p->graphs[0].values[find(p, 0, "x")].use_count == 3);
  mxq_reader_close(r);
  free(late);
  free(first);
  free(piece);
  free(all);
}
END_TEST

/* ---- programs of PyTorch ---- */

START_TEST(programs_of_pytorch_have_an_index) {
  const char *shared = getenv("MXQ_SHARED");
  char folder[600], path[900];
  size_t files = 0, nodes = 0;
  snprintf(folder, sizeof folder, "%s/pt2", shared ? shared : "../shared");
  DIR *d = opendir(folder);
  if (!d) {
    ck_assert_msg(!shared, "%s is missing", folder);
    return;
  }
  for (struct dirent *e; (e = readdir(d));) {
    size_t n = strlen(e->d_name);
    struct mxq_error err = {0};
    struct mxq_arena arena = {0};
    mxq_reader *r;
    if (n < 4 || strcmp(e->d_name + n - 4, ".pt2") != 0 || strcmp(e->d_name, "g.pt2") == 0)
      continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    ck_assert_msg(mxq_reader_open(path, NULL, &r, &err) == MXQ_OK, "%s: %s", e->d_name, err.text);
    const struct mxq_pt2_program *p = program_of(r);
    ck_assert_msg(p != NULL, "%s", e->d_name);
    for (uint32_t i = 0; i < p->graphs[0].node_count; i++) {
      const struct mxq_pt2_node *node = &p->graphs[0].nodes[i];
      const struct mxq_pt2_arg *args;
      uint32_t count, values = 0;
      ck_assert(mxq_pt2_node_args(p, 0, i, &arena, &args, &count));
      for (uint32_t k = 0; k < count; k++)
        values += args[k].kind == MXQ_ARG_VALUE ? 1 : args[k].kind == MXQ_ARG_VALUES ? args[k].count : 0;
      ck_assert_uint_ge(values, node->taken_count);
      ck_assert_msg(strncmp(p->text + node->target.at, "torch.ops.", 10) == 0, "%s", e->d_name);
      nodes++;
    }
    files++;
    mxq_arena_free(&arena);
    mxq_reader_close(r);
  }
  closedir(d);
  printf("programs: %zu of PyTorch and by hand, %zu nodes\n", files, nodes);
  ck_assert_uint_ge(files, 30);
  ck_assert_uint_ge(nodes, 100);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 program");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, each_name_is_known_with_its_maker_its_entry_and_its_uses);
  tcase_add_test(t, graphs_inside_a_graph_have_consecutive_numbers_and_names_of_their_own);
  tcase_add_test(t, arguments_are_taken_apart);
  tcase_add_test(t, keys_come_in_any_order_and_names_may_be_escaped);
  tcase_add_test(t, programs_of_pytorch_have_an_index);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
