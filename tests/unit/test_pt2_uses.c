/* SPDX-License-Identifier: MIT */
/* What programs do with their weights. Expected axes follow from the sources in testdata/pt2/make_programs.py, by what each operator sums over. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mxq/program.h>

#include "formats/pt2/uses.h"
#include "tests/roundtrip/test_pt2_sample.h"

enum { NO = -1, CHANGED = -2, UNUSED = -3 };
struct row {
  const char *file, *tensor;
  int first, last;                   /* or one of the above */
  const char *reason;                /* a part of it; NULL: any */
};

static mxq_reader *reader;
static const mxq_program *program;
static char open_file[64];

static void open_program(const char *file) {
  char path[200];
  struct mxq_error err = {0};
  if (strcmp(open_file, file) == 0)
    return;
  mxq_reader_close(reader);
  snprintf(open_file, sizeof open_file, "%s", file);
  snprintf(path, sizeof path, "testdata/pt2/programs/%s.pt2", file);
  ck_assert_msg(mxq_reader_open(path, NULL, &reader, &err) == MXQ_OK, "%s: %s", path, err.text);
  ck_assert_msg(mxq_reader_program(reader, &program, &err) == MXQ_OK, "%s: %s", path, err.text);
}

static void close_program(void) {
  mxq_reader_close(reader);
  reader = NULL;
  open_file[0] = 0;
}

static void check_rows(const struct row *rows, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct row *r = &rows[i];
    struct mxq_axes_choice c;
    open_program(r->file);
    size_t t = mxq_reader_find(reader, r->tensor);
    ck_assert_msg(t != SIZE_MAX, "%s: no tensor %s", r->file, r->tensor);
    mxq_program_axes(program, t, &c);
    ck_assert_msg(c.changed == (r->first == CHANGED), "%s: %s changed: %d, %s", r->file, r->tensor, c.changed, c.reason);
    ck_assert_msg(c.unreferenced == (r->first == UNUSED), "%s: %s unreferenced: %d, %s", r->file, r->tensor, c.unreferenced, c.reason);
    if (r->first == NO || r->first == UNUSED)
      ck_assert_msg(!c.understood, "%s: %s: %s", r->file, r->tensor, c.reason);
    if (r->first >= 0)
      ck_assert_msg(c.understood && c.axis_first == (uint32_t)r->first && c.axis_last == (uint32_t)r->last, "%s: %s: %u-%u, %s", r->file, r->tensor,
                    c.axis_first, c.axis_last, c.reason);
    ck_assert_msg(c.reason && (!r->reason || strstr(c.reason, r->reason)), "%s: %s: %s", r->file, r->tensor, c.reason);
  }
  close_program();
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

START_TEST(products_block_along_what_they_sum) {
  static const struct row rows[] = {
      {"products", "linear", 1, 1, "axis 1, summed by linear"}, {"products", "right", 0, 0, "axis 0, summed by matmul"},
      {"products", "left", 1, 1, "matmul"}, {"products", "turned", 1, 1, "matmul"}, {"products", "stored_turned", 0, 0, "matmul"},
      {"products", "added", NO, 0, "used by addmm, which has no axis to block along"}, {"products", "addmm", 0, 0, "addmm"},
      {"products", "experts", 2, 2, "bmm"}, {"products", "batch", 1, 1, "bmm"}, {"products", "vector", 0, 0, "mv"}, {"products", "inner", 1, 1, "inner"},
      {"products", "dots", 0, 1, "axes 0-1, summed by tensordot"}, {"products", "input", 1, 1, "linear"}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(decomposed_programs_give_the_same_axes) {
  static const struct row rows[] = {
      {"products_core", "linear", 1, 1, "summed by mm"}, {"products_core", "right", 0, 0, "mm"}, {"products_core", "left", 1, 1, "mm"},
      {"products_core", "turned", 1, 1, "mm"}, {"products_core", "stored_turned", 0, 0, "mm"}, {"products_core", "added", NO, 0, NULL},
      {"products_core", "addmm", 0, 0, "addmm"}, {"products_core", "experts", 2, 2, "bmm"}, {"products_core", "batch", 1, 1, "bmm"},
      {"products_core", "inner", 1, 1, NULL}, {"products_core", "dots", 0, 1, "mm"}, {"products_core", "input", 1, 1, "mm"},
      {"convolutions_core", "c1.weight", 1, 2, "convolution"}, {"convolutions_core", "c2.weight", 1, 3, NULL},
      {"convolutions_core", "c3.weight", 1, 4, NULL}, {"convolutions_core", "grouped.weight", 1, 3, NULL},
      {"convolutions_core", "depthwise.weight", 1, 3, NULL}, {"convolutions_core", "t1.weight", 0, 0, NULL},
      {"convolutions_core", "t2.weight", 0, 0, NULL}, {"convolutions_core", "turned", 1, 3, NULL}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(convolutions_block_along_input_channels_and_kernel) {
  static const struct row rows[] = {
      {"convolutions", "c1.weight", 1, 2, "axes 1-2, summed by conv1d"}, {"convolutions", "c2.weight", 1, 3, "axes 1-3, summed by conv2d"},
      {"convolutions", "c3.weight", 1, 4, "conv3d"}, {"convolutions", "grouped.weight", 1, 3, NULL}, {"convolutions", "depthwise.weight", 1, 3, NULL},
      {"convolutions", "t1.weight", 0, 0, "conv_transpose1d"}, {"convolutions", "t2.weight", 0, 0, NULL}, {"convolutions", "turned", 1, 3, "conv2d"},
      {"convolutions", "c2.bias", NO, 0, "conv2d"}, {"convolutions", "norm.weight", NO, 0, "batch_norm"},
      {"convolutions", "norm.running_mean", NO, 0, "batch_norm"}, {"convolutions", "norm.num_batches_tracked", UNUSED, 0, NULL}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(tables_block_along_their_rows) {
  static const struct row rows[] = {
      {"tables", "words.weight", 1, 1, "rows, looked up by embedding"}, {"tables", "bag.weight", 1, 1, "embedding_bag"},
      {"tables", "picked", 1, 1, "index_select"}, {"tables", "indexed", 2, 2, "index"}, {"tables", "gathered", 1, 1, "gather"},
      {"tables", "positions", NO, 0, "used by add.Tensor"}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(tied_weights_share_their_uses_and_sums_decide_before_look_ups) {
  static const struct row rows[] = {
      {"tied", "e.weight", 1, 1, "linear"}, {"tied", "head.weight", 1, 1, "linear"}, {"tied", "twice", 0, 0, "axis 0, summed by matmul (matmul sums axis 1)"},
      {"tied", "whole", 1, 1, NULL}, {"tied", "part", 1, 1, NULL}};
  size_t n;
  CHECK_ROWS(rows);
  open_program("tied");
  const struct mxq_use *a = mxq_program_uses(program, mxq_reader_find(reader, "e.weight"), &n);
  ck_assert_uint_eq(n, 2);
  ck_assert_int_eq(a[0].kind, MXQ_USE_LOOKS_UP);
  ck_assert_int_eq(a[1].kind, MXQ_USE_CONTRACTS);
  ck_assert_str_eq(a[1].argument, "weight");
  ck_assert_uint_lt(a[0].op, a[1].op);
  ck_assert_ptr_eq(a, mxq_program_uses(program, mxq_reader_find(reader, "head.weight"), &n));
  ck_assert_uint_eq(n, 2);
  /* A part of a storage is not tied to the whole. */
  const struct mxq_use *whole = mxq_program_uses(program, mxq_reader_find(reader, "whole"), &n);
  ck_assert_uint_eq(n, 1);
  ck_assert_ptr_ne(whole, mxq_program_uses(program, mxq_reader_find(reader, "part"), &n));
  ck_assert_uint_eq(n, 1);
  close_program();
}
END_TEST

START_TEST(recurrent_layers_sum_over_the_last_axis) {
  static const struct row rows[] = {
      {"recurrent", "lstm.weight_ih_l0", 1, 1, "lstm"}, {"recurrent", "lstm.weight_hh_l0_reverse", 1, 1, "lstm"},
      {"recurrent", "lstm.weight_hr_l0", 1, 1, "lstm"}, {"recurrent", "gru.weight_hh_l0", 1, 1, "gru"}, {"recurrent", "rnn.weight_ih_l0", 1, 1, "rnn_tanh"},
      {"recurrent", "cell.weight_hh", 1, 1, "lstm_cell"}, {"recurrent", "lstm.bias_ih_l0", NO, 0, "lstm"}, {"recurrent", "cell.bias_ih", NO, 0, NULL}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(weights_are_followed_into_inner_graphs_and_out_again) {
  static const struct row rows[] = {
      {"branches", "a.weight", 1, 1, "linear"}, {"branches", "b", 0, 0, "axis 0, summed by linear"}, {"branches", "c", 0, 0, NULL},
      {"branches", "deep", 1, 1, "matmul"}, {"quiet", "inside", 1, 1, "linear"}, {"quiet", "through", 0, 0, "linear"}, {"quiet", "rows", 1, 1, "matmul"},
      {"quiet", "whole", 0, 0, "matmul"}};
  size_t n, b, deepest = 0;
  CHECK_ROWS(rows);
  open_program("branches");
  const struct mxq_operator *o = mxq_program_operators(program, &n);
  for (size_t i = 0; i < n; i++) {
    ck_assert_uint_le(o[i].depth, i ? o[i - 1].depth + 1 : 0); /* an inner one stands behind the node that holds it */
    if (o[i].depth > (i ? o[i - 1].depth : 0))
      ck_assert_str_eq(o[i - 1].target, "torch.ops.higher_order.cond");
    deepest = o[i].depth > deepest ? o[i].depth : deepest;
  }
  ck_assert_uint_eq(deepest, 2);
  ck_assert_str_eq(o[n - 1].target, "torch.ops.aten.matmul.default");
  const struct mxq_use *u = mxq_program_uses(program, mxq_reader_find(reader, "b"), &b);
  ck_assert_uint_eq(b, 2);           /* one in each branch, and nothing else */
  ck_assert_str_eq(o[u[0].op].target, "torch.ops.aten.linear.default");
  ck_assert_uint_eq(o[u[1].op].depth, 1);
  close_program();
}
END_TEST

START_TEST(equations_and_attention_are_understood) {
  static const struct row rows[] = {
      {"sums", "heads", 2, 2, "einsum"}, {"sums", "out", 0, 1, "einsum"}, {"sums", "apart", NO, 0, "over axes that cannot be followed"},
      {"sums", "q", 3, 3, "scaled_dot_product_attention"}, {"sums", "v", 2, 2, NULL}, {"sums", "bilinear.weight", 1, 2, "bilinear"}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(chains_masks_and_experts_are_understood) {
  static const struct row rows[] = {
      {"chained", "first", 1, 1, "linalg_multi_dot"}, {"chained", "middle", 0, 0, "linalg_multi_dot"}, {"chained", "last", 0, 0, "linalg_multi_dot"},
      {"chained", "lower", 1, 1, "linear"}, {"chained", "masked", 1, 1, "linear"}, {"chained", "experts", 2, 2, "grouped_mm_fallback"},
      {"chained", "bilinear.weight", 1, 2, "bilinear"}, {"chained", "written", CHANGED, 0, "add_"}, {"chained_core", "middle", 0, 0, "mm"},
      {"chained_core", "last", 0, 0, "mm"}, {"chained_core", "lower", 1, 1, "mm"}, {"chained_core", "masked", 1, 1, "mm"},
      {"chained_core", "experts", 2, 2, "grouped_mm_fallback"}, {"chained_core", "bilinear.weight", 1, 2, "_trilinear"},
      {"chained_core", "written", CHANGED, 0, NULL}, {"chained", "yes", 1, 1, "linear"}, {"chained", "no", 1, 1, "linear"},
      {"chained_core", "yes", 1, 1, "mm"}, {"chained_core", "no", 1, 1, "mm"}};
  CHECK_ROWS(rows);
}
END_TEST

/* It is searched by halves, so one that stands out of order is lost. */
START_TEST(each_row_of_the_table_of_operators_is_found) {
  FILE *file = fopen("formats/pt2/uses_table.c", "r");
  char line[400], op[100], argument[100];
  int count = 0, length;
  ck_assert_ptr_nonnull(file);
  while (fgets(line, sizeof line, file))
    for (const char *s = strstr(line, "{\""); s; s = strstr(s + 1, "{\"")) {
      if (sscanf(s, "{\"%99[^\"]\", \"%99[^\"]\", %n", op, argument, &length) == 2)
        ck_assert_msg(mxq_pt2_action(op, argument, false) != MXQ_DOES_OTHER, "%s %s", op, argument);
      else if (sscanf(s, "{\"%99[^\"]\", NULL, %n", op, &length) == 1)
        ck_assert_msg(mxq_pt2_action(op, "", true) != MXQ_DOES_OTHER, "%s", op);
      else
        ck_abort_msg("not understood: %s", s);
      count++;
    }
  fclose(file);
  ck_assert_int_gt(count, 300);
}
END_TEST

START_TEST(what_the_program_writes_to_is_told) {
  static const struct row rows[] = {
      {"changed", "count", CHANGED, 0, "add_"}, {"changed", "cache", CHANGED, 0, "copy_"}, {"changed", "written_half", CHANGED, 0, "mul_"},
      {"changed", "other_half", CHANGED, 0, "shares"}, {"changed", "copied", 1, 1, "linear"}, {"changed", "norm.running_mean", NO, 0, NULL},
      {"changed_core", "count", CHANGED, 0, NULL}, {"changed_core", "cache", CHANGED, 0, NULL}, {"changed_core", "written_half", CHANGED, 0, NULL},
      {"changed_core", "other_half", CHANGED, 0, "shares"}, {"changed_core", "copied", 1, 1, NULL}, {"norm_train", "norm.running_mean", CHANGED, 0, "batch_norm"},
      {"norm_train", "norm.running_var", CHANGED, 0, NULL}, {"norm_train", "norm.num_batches_tracked", CHANGED, 0, NULL}, {"norm_train", "fc.weight", 1, 1, NULL},
      {"norm_train", "norm.weight", NO, 0, NULL}, {"written", "state", CHANGED, 0, "a buffer that mxq_sample.update may write to"},
      {"written", "frozen", 1, 1, NULL}, {"written", "diagonal", CHANGED, 0, "fill_"}, {"written", "unfolded", CHANGED, 0, "add_"},
      {"written", "least", CHANGED, 0, "sort"}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(views_are_followed_to_the_axes_of_the_stored_tensor) {
  static const struct row rows[] = {
      {"views", "qkv", 1, 1, "linear"}, {"views", "split", 0, 0, NULL}, {"views", "one", 1, 1, NULL}, {"views", "flat", 0, 1, "axes 0-1, summed by matmul"},
      {"views", "unflat", 1, 1, "einsum"}, {"views", "torn", NO, 0, "cannot be followed"}, {"views", "back", 3, 3, NULL}, {"views", "short", 1, 1, NULL},
      {"views", "scaled", 1, 1, NULL}, {"views", "mask", NO, 0, "mul.Tensor"}, {"views", "joined_a", 1, 1, NULL}, {"views", "joined_b", 1, 1, NULL},
      {"views", "wide", 1, 1, "bmm"}, {"views", "moved", 0, 0, NULL}, {"views", "strided", 1, 1, "linear"}, {"views", "slice", 1, 1, NULL}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(elementwise_uses_prefer_no_axis) {
  static const struct row rows[] = {
      {"elementwise", "added", NO, 0, "used by add.Tensor, which has no axis to block along"}, {"elementwise", "gate", NO, 0, "mul.Tensor"},
      {"elementwise", "unused", UNUSED, 0, "no operator uses it"}, {"elementwise", "returned", NO, 0, "returned"},
      {"elementwise", "measured", UNUSED, 0, NULL}, {"elementwise", "summed", NO, 0, "used by sum"}};
  size_t n;
  CHECK_ROWS(rows);
  open_program("elementwise");
  const struct mxq_use *u = mxq_program_uses(program, mxq_reader_find(reader, "returned"), &n);
  ck_assert_uint_eq(n, 1);
  ck_assert_int_eq(u->kind, MXQ_USE_RETURNS);
  ck_assert(u->op == SIZE_MAX);
  close_program();
}
END_TEST

START_TEST(decoded_weights_have_the_uses_of_their_values) {
  static const struct row rows[] = {{"decoded", "last", 1, 1, "linear"}, {"decoded", "first", 0, 0, "matmul"}, {"decoded", "filters", 1, 3, "conv2d"},
                                    {"decoded", "middle", 1, 1, "bmm"}, {"decoded", "ragged", 1, 1, "linear"}};
  CHECK_ROWS(rows);
}
END_TEST

START_TEST(archives_of_weights_return_them) {
  struct mxq_error err = {0};
  mxq_reader *r;
  const mxq_program *p;
  size_t n, outputs;
  struct mxq_source source;
  void *data;
  size_t size;
  ck_assert_int_eq(sample_write(sample_all, SAMPLE_ALL, NULL, &data, &size, &err), MXQ_OK);
  mxq_source_from_memory(data, size, &source);
  ck_assert_msg(mxq_reader_open_source(&source, NULL, &r, &err) == MXQ_OK, "%s", err.text);
  ck_assert_msg(mxq_reader_program(r, &p, &err) == MXQ_OK, "%s", err.text);
  mxq_program_inputs(p, &n);
  mxq_program_outputs(p, &outputs);
  ck_assert_uint_eq(n, 0);
  ck_assert_uint_eq(outputs, mxq_reader_count(r));
  for (size_t i = 0; i < mxq_reader_count(r); i++) {
    const struct mxq_use *u = mxq_program_uses(p, i, &n);
    struct mxq_axes_choice c;
    mxq_program_axes(p, i, &c);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(u->kind, MXQ_USE_RETURNS);
    ck_assert(!c.understood && !c.changed && !c.unreferenced);
  }
  mxq_reader_close(r);
  free(data);
}
END_TEST

START_TEST(inputs_and_outputs_are_listed_with_their_sizes) {
  size_t n;
  open_program("dynamic");
  const struct mxq_value *v = mxq_program_inputs(program, &n);
  char twice[80], cut[100];
  ck_assert_uint_eq(n, 3);           /* x and two that the export fixed; no weights */
  ck_assert_str_eq(v[0].name, "x");
  ck_assert_int_eq(v[0].type, MXQ_VALUE_TENSOR);
  ck_assert_int_eq(v[0].dtype, MXQ_F32);
  ck_assert_uint_eq(v[0].ndim, 3);
  ck_assert_int_eq(v[0].shape[0][0], 's');
  ck_assert_int_eq(strncmp(v[0].shape[1], "2*s", 3), 0);
  ck_assert_str_eq(v[0].shape[2], "32");
  ck_assert_int_eq(v[1].type, MXQ_VALUE_BOOL);
  ck_assert_str_eq(v[1].name, "true");
  ck_assert_int_eq(v[2].type, MXQ_VALUE_FLOAT);
  ck_assert_str_eq(v[2].name, "2.0");
  snprintf(twice, sizeof twice, "%s", v[0].shape[1]);
  snprintf(cut, sizeof cut, "4*%s - 1", twice + 2);
  const struct mxq_symbol *s = mxq_program_symbols(program, &n);
  bool found = false;
  for (size_t i = 0; i < n; i++)
    if (strcmp(s[i].name, v[0].shape[0]) == 0) {
      found = true;
      ck_assert(s[i].has_min && s[i].has_max);
      ck_assert_int_eq(s[i].min, 2);
      ck_assert_int_eq(s[i].max, 64);
    }
  ck_assert(found);
  v = mxq_program_outputs(program, &n);
  ck_assert_uint_eq(n, 5);
  ck_assert_str_eq(v[0].shape[1], twice);
  ck_assert_str_eq(v[2].shape[1], cut);
  ck_assert_int_eq(v[3].type, MXQ_VALUE_INT);
  ck_assert_str_eq(v[3].name, "3");
  ck_assert_int_eq(v[4].type, MXQ_VALUE_INT);
  open_program("changed_core");      /* outputs that are new values of buffers are none to the user */
  mxq_program_outputs(program, &n);
  ck_assert_uint_eq(n, 4);
  close_program();
}
END_TEST

START_TEST(other_files_hold_no_program) {
  struct mxq_error err = {0};
  const mxq_program *none = (const mxq_program *)&err;
  mxq_reader *r;
  ck_assert_int_eq(mxq_reader_open("testdata/model.safetensors", NULL, &r, &err), MXQ_OK);
  ck_assert_int_eq(mxq_reader_program(r, &none, &err), MXQ_ERR_USAGE);
  ck_assert_ptr_null(none);
  mxq_reader_close(r);
}
END_TEST

START_TEST(the_language_model_is_understood) {
  struct mxq_error err = {0};
  mxq_reader *r;
  size_t rows = 0, sums = 0, n;
  const mxq_program *p;
  ck_assert_int_eq(mxq_reader_open("testdata/model.pt2", NULL, &r, &err), MXQ_OK);
  ck_assert_int_eq(mxq_reader_program(r, &p, &err), MXQ_OK);
  for (size_t i = 0; i < mxq_reader_count(r); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(r, i);
    struct mxq_axes_choice c;
    mxq_program_axes(p, i, &c);
    if (t->kind != MXQ_KIND_PARAMETER || t->ndim != 2)
      continue;
    ck_assert_msg(c.understood && c.axis_first == 1 && c.axis_last == 1 && !c.changed, "%s: %s", t->name, c.reason);
    rows += strstr(c.reason, "rows") != NULL;
    sums += strstr(c.reason, "linear") != NULL;
  }
  ck_assert_uint_eq(rows, 1);        /* the embedding */
  ck_assert_uint_eq(sums, 22);       /* seven in each layer, and the head */
  const struct mxq_value *v = mxq_program_inputs(p, &n);
  ck_assert_uint_eq(n, 1);
  ck_assert_int_eq(v->dtype, MXQ_I64);
  ck_assert_uint_eq(v->ndim, 2);
  mxq_reader_close(r);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("pt2 uses");
  TCase *tc = tcase_create("uses");
  tcase_add_test(tc, products_block_along_what_they_sum);
  tcase_add_test(tc, decomposed_programs_give_the_same_axes);
  tcase_add_test(tc, convolutions_block_along_input_channels_and_kernel);
  tcase_add_test(tc, tables_block_along_their_rows);
  tcase_add_test(tc, tied_weights_share_their_uses_and_sums_decide_before_look_ups);
  tcase_add_test(tc, recurrent_layers_sum_over_the_last_axis);
  tcase_add_test(tc, weights_are_followed_into_inner_graphs_and_out_again);
  tcase_add_test(tc, equations_and_attention_are_understood);
  tcase_add_test(tc, chains_masks_and_experts_are_understood);
  tcase_add_test(tc, each_row_of_the_table_of_operators_is_found);
  tcase_add_test(tc, what_the_program_writes_to_is_told);
  tcase_add_test(tc, views_are_followed_to_the_axes_of_the_stored_tensor);
  tcase_add_test(tc, elementwise_uses_prefer_no_axis);
  tcase_add_test(tc, decoded_weights_have_the_uses_of_their_values);
  tcase_add_test(tc, archives_of_weights_return_them);
  tcase_add_test(tc, inputs_and_outputs_are_listed_with_their_sizes);
  tcase_add_test(tc, other_files_hold_no_program);
  tcase_add_test(tc, the_language_model_is_understood);
  suite_add_tcase(suite, tc);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
