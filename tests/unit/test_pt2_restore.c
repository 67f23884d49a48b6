/* SPDX-License-Identifier: MIT */
/* The way back of programs whose manifests say what is not so, and of records that others read. */
#include "formats/pt2/write.h"
#include "tests/unit/edit_program.h"
#include "tests/unit/hand_program.h"

#define FINE(call)                                                                                              \
  do {                                                                                                          \
    enum mxq_status status_ = (call);                                                                           \
    ck_assert_msg(status_ == MXQ_OK, "%s: status %d (%s: %s)", #call, status_, err.subject, err.text);           \
  } while (0)

static const struct mxq_pt2_reader *pt2(const mxq_reader *r) { return (const struct mxq_pt2_reader *)r; }

/* The texts of a program with eleven MXFP8 weights, four of them of one shape. */
static char *model, *weights_text, *constants_text;

static char *text_of(const mxq_reader *r, const char *name) {
  struct mxq_error err = {0};
  char *text;
  size_t n;
  FINE(mxq_pt2_load((struct mxq_pt2_reader *)pt2(r), mxq_zip_find(pt2(r)->zip, name, strlen(name)), &text, &n, &err));
  return text;
}

static void setup(void) {
  struct mxq_error err = {0};
  size_t n, count;
  struct edited mx;
  mxq_reader *r;
  void *data = edit_load("testdata/pt2/programs/products.pt2", &n);
  FINE(edit_forward(data, n, MXQ_MXFP8_E4M3, NULL, &mx, &count, &err));
  ck_assert_uint_ge(count, 11);
  FINE(edit_open(mx.data, mx.size, &r, &err));
  model = strdup(pt2(r)->program->text);
  weights_text = text_of(r, "archive/data/weights/model_weights_config.json");
  constants_text = text_of(r, "archive/data/constants/model_constants_config.json");
  mxq_reader_close(r);
  free(mx.data);
  free(data);
}

static void teardown(void) {
  free(model);
  free(weights_text);
  free(constants_text);
}

static enum mxq_status back(const char *program, const char *weights_there, const char *constants_there, struct edited *plain, struct mxq_error *err) {
  struct hand_zip *z = hand_archive(program, weights_there, 40, constants_there, 4, 3072);
  enum mxq_status status = edit_back(z->data, z->size, plain, err);
  free(z);
  return status;
}

/* In the manifest; what it becomes; the error, or NULL: the program comes back as if nothing had been said. */
static const struct { const char *from, *to, *error; } lies[] = {
    {"\\\"value\\\":\\\"p_linear\\\"", "\\\"value\\\":\\\"p_left\\\"", NULL},
    {"\\\"value\\\":\\\"p_linear\\\"", "\\\"value\\\":\\\"x\\\"", NULL},
    {"\\\"value\\\":\\\"p_linear\\\"", "\\\"value\\\":\\\"\\\"", NULL},
    {"\\\"value\\\":\\\"p_linear\\\"", "\\\"value\\\":\\\"a b\\\"", NULL},
    {"\\\"record\\\":\\\"weight_0\\\"", "\\\"record\\\":\\\"model_weights_config.json\\\"", NULL},
    {"\\\"record\\\":\\\"weight_0\\\"", "\\\"record\\\":\\\"..\\\"", NULL},
    {"\\\"record\\\":\\\"weight_0\\\"", "\\\"record\\\":\\\"WEIGHT_1\\\"", NULL},
    {"\\\"record\\\":\\\"weight_0\\\"", "\\\"record\\\":\\\"MODEL_weights_config.json\\\"", NULL},
    {"\\\"record\\\":\\\"weight_0\\\"", "\\\"device\\\":{\\\"type\\\":\\\"\\\"},\\\"record\\\":\\\"weight_0\\\"", NULL},
    {"\\\"record\\\":\\\"weight_0\\\"", "\\\"device\\\":{\\\"type\\\":\\\"cuda\\\",\\\"index\\\":1},\\\"record\\\":\\\"weight_0\\\"", NULL},
    {"\\\"record\\\":\\\"weight_0\\\"", "\\\"device\\\":{\\\"type\\\":\\\"nowhere\\\",\\\"index\\\":1e300},\\\"record\\\":\\\"weight_0\\\"", NULL},
    {"\\\"codes\\\":\\\"linear_codes\\\"", "\\\"codes\\\":\\\"left_codes\\\"", "the program"},
    {"\\\"scales\\\":\\\"linear_scales\\\"", "\\\"scales\\\":\\\"left_scales\\\"", "the program"},
};

START_TEST(manifests_that_lie_change_no_program) {
  struct mxq_error err = {0};
  struct edited plain;
  mxq_reader *r;
  char *edited = hand_edit(model, lies[_i].from, lies[_i].to, 0);
  enum mxq_status status = back(edited, weights_text, constants_text, &plain, &err);
  if (lies[_i].error) {
    ck_assert_int_eq(status, MXQ_ERR_MALFORMED);
    ck_assert_msg(strstr(err.text, lies[_i].error) != NULL, "%s", err.text);
  } else {
    ck_assert_msg(status == MXQ_OK, "%s: %s", err.subject, err.text);
    FINE(edit_open(plain.data, plain.size, &r, &err));
    const struct mxq_pt2_program *p = pt2(r)->program;
    const struct mxq_pt2_subgraph *g = &p->graphs[0];
    const struct mxq_pt2_taken *taken = &g->taken[g->nodes[node_of(p, "torch.ops.aten.linear.default")].first_taken];
    const struct mxq_pt2_value *weight = &g->values[taken[1].value];
    ck_assert_uint_eq(weight->node, MXQ_NO_NUMBER); /* an input again, and that of this weight */
    const struct mxq_pt2_stored *stored = &pt2(r)->stored[p->inputs[weight->input].stored];
    ck_assert_str_eq(stored->name, "linear");
    ck_assert_ptr_null(stored->device);
    for (uint32_t i = 0; i < g->node_count; i++)
      ck_assert(!mxq_pt2_span_is(p, g->nodes[i].target, "torch.ops.aten.reshape.default") || g->nodes[i].taken_count == 0 ||
                g->values[g->taken[g->nodes[i].first_taken].value].node != MXQ_NO_NUMBER);
    mxq_reader_close(r);
    free(plain.data);
  }
  free(edited);
}
END_TEST

START_TEST(codes_that_are_constants_are_not_taken_out) {
  struct mxq_error err = {0};
  struct edited plain;
  static const char *const parts[] = {"codes", "scales"};
  for (int k = 0; k < 2; k++) {
    char from[200], to[200];
    snprintf(from, sizeof from, "{\"buffer\": {\"arg\": {\"name\": \"b_linear_%s\"}, \"buffer_name\": \"linear_%s\", \"persistent\": true}}", parts[k], parts[k]);
    snprintf(to, sizeof to, "{\"buffer\": {\"arg\": {\"name\": \"b_linear_%s\"}, \"buffer_name\": \"linear_%s\", \"persistent\": false}}", parts[k], parts[k]);
    char *edited = hand_edit(model, from, to, 0);
    snprintf(from, sizeof from, "\"linear_%s\": {", parts[k]);
    char *begin = strstr(weights_text, from), *end = strstr(begin, "\"layout\": 7}}, ") + 15;
    char *entry = strndup(begin, (size_t)(end - begin)), *less = hand_edit(weights_text, entry, "", 0);
    char *record = strstr(entry, "weight_");
    size_t digits = strspn(record + 7, "0123456789");
    char *moved = malloc(strlen(entry) + 40), *more;
    sprintf(moved, "\"config\": {%.*stensor_3%s", (int)(record - entry), entry, record + 7 + digits);
    if (strstr(constants_text, "\"config\": {}"))
      moved[strlen(moved) - 2] = 0;
    more = hand_edit(constants_text, "\"config\": {", moved, 0);
    enum mxq_status status = back(edited, less, more, &plain, &err);
    ck_assert_int_eq(status, MXQ_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "constants of the program") != NULL, "%s", err.text);
    free(edited);
    free(entry);
    free(less);
    free(moved);
    free(more);
  }
}
END_TEST

/* Values that are neither inputs nor results: an entry that nothing uses, and a constant object that the last decoding node takes, which therefore stays. */
START_TEST(values_that_come_from_nowhere_are_understood) {
  struct mxq_error err = {0};
  struct edited plain;
  char *entry = hand_edit(model, "\"tensor_values\": {", "\"tensor_values\": {\"not_used\": {\"dtype\": 7, \"sizes\": [], \"requires_grad\": false, "
                          "\"device\": {\"type\": \"cpu\", \"index\": null}, \"strides\": [], \"storage_offset\": {\"as_int\": 0}, \"layout\": 7}, ", 0);
  FINE(back(entry, weights_text, constants_text, &plain, &err));
  free(plain.data);
  free(entry);
  char *taken = hand_edit(model, "], \"outputs\": [{\"as_tensor\": {\"name\": \"p_linear\"}}]", ", {\"name\": \"o\", \"arg\": {\"as_custom_obj\": "
                          "{\"name\": \"obj\", \"class_fqn\": \"x.Y\"}}, \"kind\": 1}], \"outputs\": [{\"as_tensor\": {\"name\": \"p_linear\"}}]", 0);
  char *all = hand_edit(taken, "\"custom_obj_values\": {}", "\"custom_obj_values\": {\"obj\": {\"name\": \"obj\", \"class_fqn\": \"x.Y\"}}", 0);
  FINE(back(all, weights_text, constants_text, &plain, &err));
  free(plain.data);
  free(taken);
  free(all);
}
END_TEST

/* The index told the first name twice when the second of tied ones was added. */
START_TEST(any_of_tied_weights_may_be_taken_back) {
  struct mxq_error err = {0};
  struct mxq_source memory;
  struct mxq_verify_result result = {0};
  struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
  struct edited mx, plain;
  size_t n, count;
  mxq_reader *r;
  mxq_writer *w;
  void *data = edit_load("testdata/pt2/programs/tied.pt2", &n);
  FINE(edit_forward(data, n, MXQ_MXFP4, NULL, &mx, &count, &err));
  FINE(edit_open(mx.data, mx.size, &r, &err));
  FINE(mxq_writer_open_program(r, NULL, NULL, NULL, &w, &err));
  size_t followed = 0;
  for (size_t i = mxq_reader_count(r); i-- > 0;) {
    struct mxq_tensor t = *mxq_reader_tensor(r, i);
    if (t.format == MXQ_FORMAT_NONE)
      continue;
    t.format = MXQ_FORMAT_NONE;
    enum mxq_status status = mxq_writer_add(w, &t, &err);
    ck_assert(status == MXQ_OK || status == MXQ_ERR_USAGE);
    followed += status == MXQ_ERR_USAGE;
  }
  ck_assert_uint_gt(followed, 0);
  FINE(edit_run(w, edit_pull, &plain, &err));
  mxq_reader_close(r);
  mxq_source_from_memory(plain.data, plain.size, &memory);
  FINE(mxq_pt2_verify(&memory, "memory", &options, NULL, NULL, &result, &err));
  ck_assert_uint_eq(result.findings, 0);
  free(mx.data);
  free(plain.data);
  free(data);
}
END_TEST

/* PyTorch writes weights as they are now, and the graph as it was exported: requires_grad_(False) in between is enough. */
START_TEST(what_the_graph_says_otherwise_than_the_config_comes_back) {
  static const char grad[] = "\"requires_grad\": true", other_grad[] = "\"requires_grad\": false", offset[] = "\"storage_offset\": {\"as_int\": 0}",
                    other_offset[] = "\"storage_offset\": {\"as_int\": 7}", stride[] = "\"strides\": [{\"as_int\": ",
                    other_stride[] = "\"strides\": [{\"as_int\": 9";
  static const struct { const char *from, *to; } edits[] = {{grad, other_grad}, {offset, other_offset}, {stride, other_stride}};
  struct mxq_error err = {0};
  size_t n, count;
  mxq_reader *r;
  void *data = edit_load("testdata/pt2/programs/dynamic.pt2", &n);
  FINE(edit_open(data, n, &r, &err));
  char *old_weights = text_of(r, "archive/data/weights/model_weights_config.json");
  char *old_constants = text_of(r, "archive/data/constants/model_constants_config.json");
  for (unsigned which = 1; which < 8; which++) {
    const char *text = pt2(r)->program->text, *begin = strstr(text, "\"p_w\": {\"dtype\": "), *end = strstr(begin, "\"layout\": 7}");
    char *entry = strndup(begin, (size_t)(end - begin)), *changed = strdup(entry), *program;
    struct edited mx, plain;
    mxq_reader *b;
    for (int i = 0; i < 3; i++)
      if (which >> i & 1) {
        char *next = hand_edit(changed, edits[i].from, edits[i].to, 0);
        free(changed);
        changed = next;
      }
    program = hand_edit(text, entry, changed, 0);
    struct hand_zip *z = hand_archive(program, old_weights, 4, old_constants, 4, 6144);
    FINE(edit_forward(z->data, z->size, MXQ_MXFP6_E2M3, NULL, &mx, &count, &err));
    FINE(edit_back(mx.data, mx.size, &plain, &err));
    FINE(edit_open(plain.data, plain.size, &b, &err));
    ck_assert_msg(strcmp(pt2(b)->program->text, program) == 0, "edits %u", which);
    char *new_weights = text_of(b, "m/data/weights/model_weights_config.json");
    ck_assert_str_eq(new_weights, old_weights);
    mxq_reader_close(b);
    free(new_weights);
    free(mx.data);
    free(plain.data);
    free(z);
    free(program);
    free(changed);
    free(entry);
  }
  mxq_reader_close(r);
  free(old_weights);
  free(old_constants);
  free(data);
}
END_TEST

START_TEST(a_record_that_another_program_reads_is_not_written_into) {
  struct mxq_error err = {0};
  struct mxq_read_options options = {.container = MXQ_PT2, .model = "encoder"};
  struct mxq_source memory;
  struct edited mx, plain;
  size_t n;
  mxq_reader *r;
  mxq_writer *w;
  void *data = edit_load("testdata/pt2/models/shared_record.pt2", &n);
  FINE(edit_open(data, n, &r, &err));
  FINE(mxq_writer_open_program(r, NULL, NULL, NULL, &w, &err));
  FINE(edit_add(w, r, mxq_reader_find(r, "fc.weight"), MXQ_MXFP8_E5M2, &err));
  FINE(edit_run(w, edit_pull, &mx, &err));
  mxq_reader_close(r);
  FINE(edit_back(mx.data, mx.size, &plain, &err));
  const void *archives[] = {data, mx.data, plain.data};
  size_t sizes[] = {n, mx.size, plain.size};
  float first[32], now[32];
  for (int i = 0; i < 3; i++) {
    mxq_source_from_memory(archives[i], sizes[i], &memory);
    FINE(mxq_reader_open_source(&memory, &options, &r, &err));
    FINE(mxq_reader_read(r, mxq_reader_find(r, "fc.weight"), MXQ_PART_DATA, 0, i ? now : first, sizeof now, &err));
    ck_assert(i == 0 || memcmp(now, first, sizeof now) == 0);
    mxq_reader_close(r);
  }
  free(mx.data);
  free(plain.data);
  free(data);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 way back");
  TCase *c = tcase_create("restore");
  tcase_add_checked_fixture(c, setup, teardown);
  tcase_add_loop_test(c, manifests_that_lie_change_no_program, 0, sizeof lies / sizeof *lies);
  tcase_add_test(c, codes_that_are_constants_are_not_taken_out);
  tcase_add_test(c, values_that_come_from_nowhere_are_understood);
  tcase_add_test(c, any_of_tied_weights_may_be_taken_back);
  tcase_add_test(c, what_the_graph_says_otherwise_than_the_config_comes_back);
  tcase_add_test(c, a_record_that_another_program_reads_is_not_written_into);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
