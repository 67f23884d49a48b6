/* SPDX-License-Identifier: MIT */
/* Archives of ours that somebody edited: what PyTorch decodes with is not what we decode by. */
#include <check.h>

#include "formats/pt2/write.h"
#include "tests/unit/edit_program.h"
#include "tests/unit/hand_program.h"

#define FINE(call)                                                                                              \
  do {                                                                                                          \
    enum mxq_status status_ = (call);                                                                           \
    ck_assert_msg(status_ == MXQ_OK, "%s: status %d (%s: %s)", #call, status_, err.subject, err.text);           \
  } while (0)

static struct mxq_pt2_reader *pt2(mxq_reader *r) { return (struct mxq_pt2_reader *)r; }

/* A program with weights of every kind of use, in this format. */
static mxq_reader *quantized(enum mxq_format format, struct edited *mx) {
  struct mxq_error err = {0};
  size_t n, count;
  mxq_reader *r;
  void *data = edit_load("testdata/pt2/programs/products.pt2", &n);
  FINE(edit_forward(data, n, format, NULL, mx, &count, &err));
  FINE(edit_open(mx->data, mx->size, &r, &err));
  free(data);
  return r;
}

/* The same members without digests and index. In the record of this table, if any, the byte at `at` is another; the program is `model`, unless NULL. */
static struct hand_zip *copy(mxq_reader *r, const char *table, size_t at, const char *model) {
  struct hand_zip *z = calloc(1, sizeof *z);
  struct mxq_error err = {0};
  size_t member = SIZE_MAX;
  for (size_t i = 0; table && i < pt2(r)->stored_count; i++)
    if (strcmp(pt2(r)->stored[i].name, table) == 0)
      member = pt2(r)->stored[i].member;
  ck_assert(!table || member != SIZE_MAX);
  for (size_t i = 0; i < mxq_zip_count(pt2(r)->zip); i++) {
    const char *name = mxq_zip_member(pt2(r)->zip, i)->name + pt2(r)->root_len + 1;
    char *data;
    size_t n;
    if (strncmp(name, "extra/mxq_", 10) == 0)
      continue;
    FINE(mxq_pt2_load(pt2(r), i, &data, &n, &err));
    if (i == member)
      data[at % n] ^= 1;
    if (model && strncmp(name, "models/", 7) == 0)
      hand_add(z, name, model, strlen(model));
    else
      hand_add(z, name, data, n);
    free(data);
  }
  hand_end(z);
  return z;
}

static enum mxq_status open_copy(const struct hand_zip *z, mxq_reader **r, struct mxq_error *err) {
  struct mxq_source memory;
  mxq_source_from_memory(z->data, z->size, &memory);
  return mxq_reader_open_source(&memory, NULL, r, err);
}

static const struct { enum mxq_format format; const char *table; size_t bytes; } tables[] = {
    {MXQ_MXFP4, "mx_e2m1_pairs", 2048},      {MXQ_MXFP6_E2M3, "mx_e2m3", 256},      {MXQ_MXFP6_E3M2, "mx_e3m2", 256},
    {MXQ_MXFP6_E2M3, "mx_le24_place", 12}, {MXQ_MXFP6_E3M2, "mx_le24_shift", 16},
};

START_TEST(a_table_that_somebody_changed_is_refused_by_name) {
  struct mxq_error err = {0};
  struct mxq_verify_result result = {0};
  struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
  struct edited mx;
  struct mxq_source memory;
  mxq_reader *r = quantized(tables[_i].format, &mx), *again;
  struct hand_zip *z = copy(r, NULL, 0, NULL);
  FINE(open_copy(z, &again, &err));
  ck_assert_uint_eq(mxq_reader_count(again), mxq_reader_count(r));
  for (size_t i = 0; i < mxq_reader_count(again); i++)
    ck_assert(strncmp(mxq_reader_tensor(again, i)->name, "mx_", 3) != 0);
  mxq_reader_close(again);
  free(z);
  /* Every entry counts: the sign of zero, and what few weights need. */
  for (size_t at = 3; at < tables[_i].bytes; at += tables[_i].bytes / 4 + 1) {
    z = copy(r, tables[_i].table, at, NULL);
    ck_assert_int_eq(open_copy(z, &again, &err), MXQ_ERR_MALFORMED);
    ck_assert_str_eq(err.subject, tables[_i].table);
    ck_assert_msg(strstr(err.text, "table") != NULL, "%s", err.text);
    mxq_source_from_memory(z->data, z->size, &memory);
    FINE(mxq_pt2_verify(&memory, "memory", &options, NULL, NULL, &result, &err));
    ck_assert_uint_ge(result.findings, 1);
    result.findings = 0;
    free(z);
  }
  mxq_reader_close(r);
  free(mx.data);
}
END_TEST

/* A manifest may call anything a table; only what has a table's name and form is kept from the caller. */
START_TEST(constants_that_are_no_tables_are_listed) {
  struct mxq_error err = {0};
  struct edited mx;
  mxq_reader *r = quantized(MXQ_MXFP4, &mx), *again;
  char *constants_text, *program, *other, *third;
  size_t n;
  struct hand_zip *z = calloc(1, sizeof *z);
  for (size_t i = 0; i < mxq_zip_count(pt2(r)->zip); i++) {
    const char *name = mxq_zip_member(pt2(r)->zip, i)->name + pt2(r)->root_len + 1;
    char *data;
    if (strncmp(name, "extra/mxq_", 10) == 0)
      continue;
    FINE(mxq_pt2_load(pt2(r), i, &data, &n, &err));
    if (strstr(name, "constants_config.json")) {
      constants_text = hand_edit(data, "\"mx_e2m1_pairs\"", "\"my_own_pairs\"", 0);
      hand_add(z, name, constants_text, strlen(constants_text));
      free(constants_text);
    } else if (strncmp(name, "models/", 7) == 0) {
      program = hand_edit(data, "\"mx_e2m1_pairs\"", "\"my_own_pairs\"", 0);
      other = hand_edit(program, "mx_e2m1_pairs", "my_own_pairs", 0);
      third = strstr(other, "mx_e2m1_pairs") ? hand_edit(other, "mx_e2m1_pairs", "my_own_pairs", 0) : strdup(other);
      hand_add(z, name, third, strlen(third));
      free(program);
      free(other);
      free(third);
    } else {
      hand_add(z, name, data, n);
    }
    free(data);
  }
  hand_end(z);
  FINE(open_copy(z, &again, &err));
  ck_assert_uint_eq(mxq_reader_count(again), mxq_reader_count(r) + 1);
  ck_assert_uint_ne(mxq_reader_find(again, "my_own_pairs"), SIZE_MAX);
  mxq_reader_close(again);
  mxq_reader_close(r);
  free(z);
  free(mx.data);
}
END_TEST

/* In the program; what becomes of it; what the error tells. */
static const struct { enum mxq_format format; const char *from, *to, *error; } edits[] = {
    {MXQ_MXINT8, "0.015625", "0.03125", "are mxint8, but the program"},
    {MXQ_MXFP4, "torch.ops.aten.index_select.default", "torch.ops.aten.embedding.default", NULL}, /* is not understood with these arguments */
    {MXQ_MXFP6_E2M3, "{\"name\": \"other\", \"arg\": {\"as_int\": 63}", "{\"name\": \"other\", \"arg\": {\"as_int\": 31}", "are mxfp6-e2m3, but the program"},
    {MXQ_MXFP6_E2M3, "\\\"format\\\":\\\"mxfp6-e2m3\\\"", "\\\"format\\\":\\\"mxfp6-e3m2\\\"", "those of mxfp6-e2m3"},
    {MXQ_MXFP8_E4M3, "\\\"scales\\\":\\\"linear_scales\\\"", "\\\"scales\\\":\\\"left_scales\\\"", "takes 'linear_scales'"},
};

START_TEST(a_program_that_decodes_otherwise_than_the_manifest_says_is_refused) {
  struct mxq_error err = {0};
  struct edited mx;
  mxq_reader *r = quantized(edits[_i].format, &mx), *again;
  char *model = hand_edit(pt2(r)->program->text, edits[_i].from, edits[_i].to, 0);
  struct hand_zip *z = copy(r, NULL, 0, model);
  enum mxq_status status = open_copy(z, &again, &err);
  if (edits[_i].error) {
    ck_assert_int_eq(status, MXQ_ERR_MALFORMED);
    ck_assert_msg(strstr(err.text, edits[_i].error) != NULL, "%s: %s", err.subject, err.text);
  } else {
    ck_assert_msg(status == MXQ_OK, "%s: %s", err.subject, err.text);
    mxq_reader_close(again);
  }
  free(z);
  free(model);
  mxq_reader_close(r);
  free(mx.data);
}
END_TEST

/* The manifest calls something the weight that is made of it: on the way back that stays, and the weight is found. */
START_TEST(what_is_made_of_a_weight_is_not_taken_for_it) {
  static const char two[] = ", \"is_hop_single_tensor_return\": null, \"name\": \"twice\"}, ";
  struct mxq_error err = {0};
  struct edited mx, plain;
  mxq_reader *r = quantized(MXQ_MXFP8_E4M3, &mx), *again;
  const struct mxq_pt2_program *p = pt2(r)->program;
  const struct mxq_pt2_node *linear = &p->graphs[0].nodes[node_of(p, "torch.ops.aten.linear.default")];
  char node[1000], meta[1000], *own = strndup(p->text + linear->span.at, linear->span.n), *taken = hand_edit(own, "\"p_linear\"", "\"twice\"", 0);
  const char *entry = strstr(p->text, "\"p_linear\": {\"dtype\"");
  ck_assert_ptr_nonnull(entry);
  snprintf(node, sizeof node, "{\"target\": \"torch.ops.aten.mul.Tensor\", \"inputs\": [" ARG("self", T("p_linear")) ", " ARG("other", "{\"as_float\": 2.0}")
           "], \"outputs\": [" T("twice") "], \"metadata\": {}%s", two);
  snprintf(meta, sizeof meta, "\"twice\"%.*s, ", (int)(strstr(entry, "\"layout\": 7}") + 12 - entry - 10), entry + 10);
  char *more = malloc(strlen(node) + strlen(taken) + 1);
  sprintf(more, "%s%s", node, taken);
  char *one = hand_edit(p->text, own, more, 0), *value = strdup("\"tensor_values\": {");
  char *values = malloc(strlen(value) + strlen(meta) + 1);
  sprintf(values, "%s%s", value, meta);
  char *other = hand_edit(one, value, values, 0);
  char *lie = hand_edit(other, "\\\"value\\\":\\\"p_linear\\\"", "\\\"value\\\":\\\"twice\\\"", 0);
  const char *models[] = {other, lie};
  for (int k = 0; k < 2; k++) {
    struct hand_zip *z = copy(r, NULL, 0, models[k]);
    FINE(edit_back(z->data, z->size, &plain, &err));
    FINE(edit_open(plain.data, plain.size, &again, &err));
    p = pt2(again)->program;
    const struct mxq_pt2_subgraph *g = &p->graphs[0];
    const struct mxq_pt2_value *weight = &g->values[g->taken[g->nodes[node_of(p, "torch.ops.aten.linear.default")].first_taken + 1].value];
    ck_assert_msg(weight->node != MXQ_NO_NUMBER, "%d: the product with 2 is gone", k);
    weight = &g->values[g->taken[g->nodes[weight->node].first_taken].value];
    ck_assert_uint_eq(weight->node, MXQ_NO_NUMBER);
    ck_assert_str_eq(pt2(again)->stored[p->inputs[weight->input].stored].name, "linear");
    mxq_reader_close(again);
    free(plain.data);
    free(z);
  }
  free(own);
  free(taken);
  free(more);
  free(one);
  free(value);
  free(values);
  free(other);
  free(lie);
  mxq_reader_close(r);
  free(mx.data);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 edited archives");
  TCase *c = tcase_create("tables");
  tcase_add_loop_test(c, a_table_that_somebody_changed_is_refused_by_name, 0, sizeof tables / sizeof *tables);
  tcase_add_loop_test(c, a_program_that_decodes_otherwise_than_the_manifest_says_is_refused, 0, sizeof edits / sizeof *edits);
  tcase_add_test(c, what_is_made_of_a_weight_is_not_taken_for_it);
  tcase_add_test(c, constants_that_are_no_tables_are_listed);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
