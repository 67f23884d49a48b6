/* SPDX-License-Identifier: MIT */
/* Edits of programs by hand: names that are taken, tied weights, strides, manifests of others, and what is refused. */
#include "formats/pt2/write.h"
#include "tests/unit/edit_program.h"
#include "tests/unit/hand_program.h"

/* w and v are one view; t lies transposed; names that codes and nodes would get are taken. */
#define WEIGHT META("7", I(4) ", " I(64), I(64) ", " I(1))
#define TURNED META("7", I(64) ", " I(4), I(1) ", " I(64))
#define SMALL META("8", I(4), I(1))
#define RESULT META("7", I(2) ", " I(4), I(4) ", " I(1))
#define PARAMETER(value, fqn) "{\"parameter\": {\"arg\": {\"name\": \"" value "\"}, \"parameter_name\": \"" fqn "\"}}"
#define BUFFER(value, fqn) "{\"buffer\": {\"arg\": {\"name\": \"" value "\"}, \"buffer_name\": \"" fqn "\", \"persistent\": true}}"
#define NAMES                                                                                                                                \
  "{\"graph_module\": {\"graph\": "                                                                                                          \
  GRAPH(T("p_w") ", " T("p_v") ", " T("p_t") ", " T("b_w_codes") ", " T("x"), T("add") ", " T("p_v"),                                         \
        NODE("torch.ops.aten.linear.default", ARG("input", T("x")) ", " ARG("weight", T("p_w")) ", " ARG("bias", T("b_w_codes")),             \
             T("p_w_blocks"), "p_w_blocks") ", "                                                                                             \
        NODE("torch.ops.aten.matmul.default", ARG("self", T("x")) ", " ARG("other", T("p_t")), T("matmul"), "matmul") ", "                    \
        NODE("torch.ops.aten.add.Tensor", ARG("self", T("p_w_blocks")) ", " ARG("other", T("matmul")), T("add"), "add"),                      \
        VALUE("p_w", WEIGHT) ", " VALUE("p_v", WEIGHT) ", " VALUE("p_t", TURNED) ", " VALUE("b_w_codes", SMALL) ", "                          \
        VALUE("x", META("7", I(2) ", " I(64), I(64) ", " I(1))) ", " VALUE("p_w_blocks", RESULT) ", " VALUE("matmul", RESULT) ", "            \
        VALUE("add", RESULT), "")                                                                                                            \
  ", \"signature\": {\"input_specs\": [" PARAMETER("p_w", "w") ", " PARAMETER("p_v", "v") ", " PARAMETER("p_t", "t") ", "                     \
  BUFFER("b_w_codes", "w_codes") ", {\"user_input\": {\"arg\": " T("x") "}}], "                                                              \
  "\"output_specs\": [{\"user_output\": {\"arg\": " T("add") "}}, {\"user_output\": {\"arg\": " T("p_v") "}}]}, "                             \
  "\"module_call_graph\": [{\"fqn\": \"\", \"signature\": {\"inputs\": [" T("x") "], \"outputs\": [], \"in_spec\": \"\", \"out_spec\": \"\"}}, " \
  "{\"fqn\": \"a\", \"signature\": null}], \"metadata\": {}, \"treespec_namedtuple_fields\": {}}, "                                          \
  "\"opset_version\": {\"aten\": 10}, \"range_constraints\": {}, \"schema_version\": {\"major\": 8, \"minor\": 20}, "                         \
  "\"verifiers\": [\"TRAINING\"], \"torch_version\": \"2.13.0\", \"guards_code\": [], \"unknown\": [18446744073709551615, 1.50e+3, \"\xC3\xA9\"]}"
static const char names_weights[] = "{\"config\": {" STORED("w", "weight_0", "true", WEIGHT) ", " STORED("w_codes", "weight_1", "false", SMALL) ", "
                                    STORED("v", "weight_0", "true", WEIGHT) ", " STORED("t", "weight_2", "true", TURNED) "}}";
static const char no_constants[] = "{\"config\": {}}";

#define FINE(call)                                                                                              \
  do {                                                                                                          \
    enum mxq_status status_ = (call);                                                                           \
    ck_assert_msg(status_ == MXQ_OK, "%s: status %d (%s: %s)", #call, status_, err.subject, err.text);           \
  } while (0)

static const struct mxq_pt2_reader *pt2(const mxq_reader *r) { return (const struct mxq_pt2_reader *)r; }

static const char *config = names_weights;

static struct hand_zip *names_archive(const char *program) { return hand_archive(program, config, 3, no_constants, 0, 1024); }

/* There and back; the program in between is handed out, and must be what it was in the end when `same` is set. */
static void there_and_back(const char *program, enum mxq_format format, bool same, mxq_reader **between) {
  static struct edited mx;
  struct edited plain;
  struct mxq_error err = {0};
  struct hand_zip *z = names_archive(program);
  mxq_reader *b;
  size_t count;
  free(mx.data);
  FINE(edit_forward(z->data, z->size, format, NULL, &mx, &count, &err));
  FINE(edit_back(mx.data, mx.size, &plain, &err));
  FINE(edit_open(plain.data, plain.size, &b, &err));
  ck_assert(!same || strcmp(pt2(b)->program->text, program) == 0);
  ck_assert_uint_eq(mxq_zip_find(pt2(b)->zip, "m/data/weights/weight_0", 23), 0);
  mxq_reader_close(b);
  free(plain.data);
  free(z);
  FINE(edit_open(mx.data, mx.size, between, &err));
}

static bool holds(const mxq_reader *r, const char *text) { return strstr(pt2(r)->program->text, text) != NULL; }

START_TEST(names_that_are_taken_get_numbers_and_tied_weights_one_pair) {
  mxq_reader *r;
  there_and_back(NAMES, MXQ_MXFP4, true, &r);
  const struct mxq_tensor *w = mxq_reader_tensor(r, mxq_reader_find(r, "w")), *v = mxq_reader_tensor(r, mxq_reader_find(r, "v"));
  ck_assert_str_eq(w->codes_name, "w_codes_1");
  ck_assert_str_eq(w->scales_name, "w_scales");
  ck_assert_str_eq(v->codes_name, "w_codes_1");
  ck_assert_uint_eq(w->storage, v->storage);
  ck_assert_uint_eq(pt2(r)->stored_count, 2 + 2 + 1 + 1); /* two pairs, the buffer, a table */
  ck_assert_uint_eq(mxq_reader_count(r), 4);
  ck_assert_uint_ne(find(pt2(r)->program, 0, "b_w_codes_1"), UINT32_MAX);
  ck_assert_uint_ne(find(pt2(r)->program, 0, "p_w_blocks_1"), UINT32_MAX);
  ck_assert(holds(r, "torch.ops.aten.alias.default"));
  ck_assert(holds(r, "\"unknown\": [18446744073709551615, 1.50e+3, \"\xC3\xA9\"]"));
  mxq_reader_close(r);
}
END_TEST

START_TEST(a_transposed_weight_comes_out_transposed) {
  mxq_reader *r;
  int64_t sizes[MXQ_MAX_NDIM], strides[MXQ_MAX_NDIM];
  uint32_t ndim;
  there_and_back(NAMES, MXQ_MXFP6_E3M2, true, &r);
  const struct mxq_pt2_program *p = pt2(r)->program;
  const struct mxq_pt2_value *v = &p->graphs[0].values[find(p, 0, "p_t")];
  mxq_pt2_value_meta(p, v, &ndim, sizes, strides);
  ck_assert(ndim == 2 && sizes[0] == 64 && sizes[1] == 4 && strides[0] == 1 && strides[1] == 64);
  ck_assert(mxq_pt2_span_is(p, p->graphs[0].nodes[v->node].target, "torch.ops.aten.permute.default"));
  const struct mxq_tensor *t = mxq_reader_tensor(r, mxq_reader_find(r, "t"));
  ck_assert(t->axis_first == 0 && t->axis_last == 0 && t->rows == 4 && t->k == 64); /* what matmul sums */
  mxq_reader_close(r);
}
END_TEST

static char *on_device(const char *text) {
  char *edited = strdup(text);
  while (strstr(edited, "\"cpu\", \"index\": null")) {
    char *next = hand_edit(edited, "\"cpu\", \"index\": null", "\"cuda\", \"index\": 1", 0);
    free(edited);
    edited = next;
  }
  return edited;
}

START_TEST(all_that_a_weight_becomes_is_on_its_device) {
  char *text = on_device(NAMES), *weights_there = on_device(names_weights);
  mxq_reader *r;
  config = weights_there;
  there_and_back(text, MXQ_MXFP6_E2M3, true, &r);
  ck_assert(!holds(r, "\"cpu\""));
  ck_assert_str_eq(mxq_reader_tensor(r, mxq_reader_find(r, "t"))->device, "cuda:1");
  for (size_t i = 0; i < pt2(r)->stored_count; i++)
    ck_assert_str_eq(pt2(r)->stored[i].device, "cuda:1");
  mxq_reader_close(r);
  config = names_weights;
  free(text);
  free(weights_there);
}
END_TEST

START_TEST(what_nothing_uses_disappears_from_the_graph_and_comes_back) {
  char *unused = hand_edit(NAMES, T("add") ", " T("p_v") "]", T("add") "]", 0), *text;
  mxq_reader *r;
  text = hand_edit(unused, ", {\"user_output\": {\"arg\": " T("p_v") "}}", "", 0);
  there_and_back(text, MXQ_MXINT8, true, &r);
  ck_assert_uint_eq(find(pt2(r)->program, 0, "p_v"), UINT32_MAX);
  ck_assert(!holds(r, "torch.ops.aten.alias.default"));
  ck_assert_uint_ne(mxq_reader_find(r, "v"), SIZE_MAX);
  mxq_reader_close(r);
  free(unused);
  free(text);
}
END_TEST

START_TEST(weights_of_modules_that_keep_their_signature_are_decoded_inside) {
  char *a = hand_edit(NAMES, "{\"fqn\": \"a\", \"signature\": null}",
                      "{\"fqn\": \"a\", \"signature\": {\"inputs\": [], \"outputs\": [], \"in_spec\": \"\", \"out_spec\": \"\"}}", 0);
  char *text = hand_edit(a, "\"stack_trace\": \"a\\n\\\"b\\\"\"", "\"nn_module_stack\": \"L__self__,,M;L__self___a,a,M\"", 1);
  mxq_reader *r;
  there_and_back(text, MXQ_MXFP8_E5M2, true, &r);
  const struct mxq_pt2_program *p = pt2(r)->program;
  uint32_t t = p->graphs[0].values[find(p, 0, "p_t")].node, w = p->graphs[0].values[find(p, 0, "p_w")].node;
  ck_assert_uint_lt(w, node_of(p, "torch.ops.aten.linear.default"));
  ck_assert_uint_gt(t, node_of(p, "torch.ops.aten.linear.default"));
  ck_assert_uint_eq(t + 1, node_of(p, "torch.ops.aten.matmul.default"));
  ck_assert(holds(r, "\"metadata\": {\"nn_module_stack\": \"L__self__,,M;L__self___a,a,M\"}, \"is_hop_single_tensor_return\": null, \"name\": \"p_t\"}"));
  mxq_reader_close(r);
  free(a);
  free(text);
}
END_TEST

/* metadata of graph_module; whether the way back gives the same text; what the program then holds */
static const struct { const char *metadata; bool same; const char *holds; } manifests[] = {
    {"\"metadata\": {}, ", true, "\"metadata\": {\"custom\": \"{"},
    {"", false, "\"metadata\": {\"custom\": \"{"},
    {"\"metadata\": {\"a\": 1}, ", true, "\"metadata\": {\"a\": 1, \"custom\": \"{"},
    {"\"metadata\": {\"custom\": \"{\\\"k\\\": 1.50}\", \"z\": 1}, ", true, "\"custom\": \"{\\\"k\\\": 1.50, \\\"mx\\\""},
    {"\"metadata\": {\"custom\": \"{\\\"\xC3\xA9\\u00e9\\/\\ud83d\\ude00\\\" : 1}\"}, ", true, "\"{\\\"\xC3\xA9\\u00e9\\/\\ud83d\\ude00\\\" : 1, "},
    {"\"metadata\": {\"custom\": \"{\\\"mx\\\": {}, \\\"k\\\": 1}\"}, ", false, "\\\"k\\\": 1}"},
    {"\"metadata\": {\"custom\": \"{\\\"mx\\\": {\\\"version\\\": 1, \\\"mine\\\": [2]}}\"}, ", false, "\\\"mine\\\": [2]"},
    {"\"metadata\": {\"custom\": \"{\\\"mx\\\": {\\\"tensors\\\": {}, \\\"mine\\\": 2}}\"}, ", false, "\\\"mine\\\": 2"},
    {"\"metadata\": {\"custom\": \"{\\\"mx\\\": {\\\"version\\\": 1, \\\"tensors\\\": {\\\"w\\\": {\\\"codes\\\": \\\"c\\\", \\\"scales\\\": \\\"s\\\"}}}}\"}, ",
     false, "\\\"version\\\": 1, \\\"tensors\\\": {\\\"w\\\":{\\\"format\\\""},
    {"\"metadata\": {\"custom\": \"{\\\"mx\\\": {\\\"w\\\": {\\\"codes\\\": \\\"c\\\", \\\"scales\\\": \\\"s\\\"}, \\\"gone\\\": {\\\"codes\\\": \\\"c\\\", \\\"scales\\\": \\\"s\\\"}}}\"}, ",
     false, "\\\"gone\\\": {"},
};

START_TEST(the_manifest_finds_a_place_beside_what_was_there) {
  for (size_t i = 0; i < sizeof manifests / sizeof *manifests; i++) {
    char *text = hand_edit(NAMES, "\"metadata\": {}, \"treespec", "\"treespec", 0), *with = hand_edit(text, "\"treespec", "@", 0);
    char *put = malloc(strlen(with) + 400);
    char *at = strchr(with, '@');
    sprintf(put, "%.*s%s\"treespec%s", (int)(at - with), with, manifests[i].metadata, at + 1);
    mxq_reader *r;
    there_and_back(put, MXQ_MXFP4, manifests[i].same, &r);
    ck_assert_msg(holds(r, manifests[i].holds), "%zu: %s", i, strstr(pt2(r)->program->text, "\"metadata\": {\"custom"));
    ck_assert_int_eq(mxq_reader_tensor(r, mxq_reader_find(r, "v"))->format, MXQ_MXFP4);
    mxq_reader_close(r);
    free(text);
    free(with);
    free(put);
  }
}
END_TEST

START_TEST(a_manifest_that_has_no_place_is_an_error) {
  static const char *const custom[] = {"5", "\"[1]\"", "\"{\\\"mx\\\": 1}\"", "{\"mx\": {}}"};
  for (size_t i = 0; i < sizeof custom / sizeof *custom; i++) {
    char metadata[100];
    struct edited out;
    struct mxq_error err = {0};
    size_t count;
    snprintf(metadata, sizeof metadata, "\"metadata\": {\"custom\": %s}, \"treespec", custom[i]);
    char *text = hand_edit(NAMES, "\"metadata\": {}, \"treespec", metadata, 0);
    struct hand_zip *z = names_archive(text);
    ck_assert_int_eq(edit_forward(z->data, z->size, MXQ_MXFP4, NULL, &out, &count, &err), MXQ_ERR_UNSUPPORTED);
    ck_assert_str_eq(err.subject, "m/models/model.json");
    ck_assert_ptr_null(out.data);
    free(text);
    free(z);
  }
}
END_TEST

START_TEST(texts_of_the_caller_become_metadata) {
  static const char *const texts[] = {"license", "MIT", "a \"b\"", "\xC3\xA9"};
  struct mxq_write_options options = {.metadata = texts, .metadata_count = 2};
  struct hand_zip *z = names_archive(NAMES);
  struct edited mx;
  struct mxq_error err = {0};
  mxq_reader *r;
  size_t count;
  const char *key, *value;
  FINE(edit_forward(z->data, z->size, MXQ_MXFP4, &options, &mx, &count, &err));
  FINE(edit_open(mx.data, mx.size, &r, &err));
  ck_assert_uint_eq(mxq_reader_metadata_count(r), 2);
  mxq_reader_metadata(r, 1, &key, &value);
  ck_assert_str_eq(key, texts[2]);
  ck_assert_str_eq(value, texts[3]);
  mxq_reader_close(r);
  free(mx.data);
  free(z);
}
END_TEST

START_TEST(what_cannot_be_replaced_is_refused_and_the_writer_goes_on) {
  struct hand_zip *z = hand_archive(PROGRAM, weights, 2, constants, 2, 64);
  struct mxq_error err = {0};
  struct edited out;
  mxq_reader *r;
  mxq_writer *w;
  uint64_t shape[] = {4, 3}, other[] = {3, 4};
  struct mxq_tensor t = {.name = "w", .format = MXQ_MXFP4, .dtype = MXQ_F32, .ndim = 2, .shape = shape, .axis_first = 1, .axis_last = 1};
  FINE(edit_open(z->data, z->size, &r, &err));
  FINE(mxq_writer_open_program(r, NULL, NULL, NULL, &w, &err));
  struct mxq_tensor bad[6] = {t, t, t, t, t, t};
  bad[0].name = "nosuch";
  bad[1].shape = other;
  bad[2].dtype = MXQ_BF16;
  bad[3].format = MXQ_FORMAT_NONE;
  bad[4].axis_last = 2;
  bad[5].ndim = 1;
  for (size_t i = 0; i < 6; i++) {
    ck_assert_int_eq(mxq_writer_add(w, &bad[i], &err), MXQ_ERR_USAGE);
    ck_assert_str_eq(err.subject, bad[i].name);
  }
  for (size_t i = 0; i < mxq_reader_count(r); i++) {
    const struct mxq_tensor *x = mxq_reader_tensor(r, i);
    if (strcmp(x->name, "run") == 0 || strcmp(x->name, "k") == 0) { /* changed by the program; a constant */
      ck_assert_int_eq(edit_add(w, r, i, MXQ_MXFP4, &err), MXQ_ERR_USAGE);
      ck_assert_str_eq(err.subject, x->name);
    }
  }
  FINE(mxq_writer_add(w, &t, &err));
  ck_assert_int_eq(mxq_writer_add(w, &t, &err), MXQ_ERR_USAGE);
  FINE(edit_run(w, edit_pull, &out, &err));
  mxq_reader_close(r);
  FINE(edit_open(out.data, out.size, &r, &err));
  FINE(mxq_writer_open_program(r, NULL, NULL, NULL, &w, &err));
  ck_assert_int_eq(mxq_writer_add(w, &t, &err), MXQ_ERR_USAGE); /* it is MX already */
  mxq_writer_free(w);
  mxq_reader_close(r);
  free(out.data);
  free(z);
}
END_TEST

START_TEST(records_that_another_program_uses_stay) {
  static const char *const files[] = {"several", "with_default"};
  for (int f = 0; f < 2; f++) {
    char path[80];
    size_t n, count;
    struct mxq_error err = {0};
    struct mxq_source source;
    struct mxq_verify_result result = {0};
    struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
    struct edited mx;
    snprintf(path, sizeof path, "testdata/pt2/models/%s.pt2", files[f]);
    void *data = edit_load(path, &n);
    enum mxq_status status = edit_forward(data, n, MXQ_MXFP4, NULL, &mx, &count, &err);
    if (status == MXQ_OK) { /* "several" has none called model */
      mxq_source_from_memory(mx.data, mx.size, &source);
      FINE(mxq_pt2_verify(&source, "memory", &options, NULL, NULL, &result, &err));
      ck_assert_uint_eq(result.findings, 0);
      ck_assert_uint_eq(result.tensors, 8);
      ck_assert_uint_gt(count, 0);
    } else {
      ck_assert_int_eq(f, 0);
    }
    free(mx.data);
    free(data);
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 edits by hand");
  TCase *c = tcase_create("cases");
  tcase_add_test(c, names_that_are_taken_get_numbers_and_tied_weights_one_pair);
  tcase_add_test(c, a_transposed_weight_comes_out_transposed);
  tcase_add_test(c, all_that_a_weight_becomes_is_on_its_device);
  tcase_add_test(c, what_nothing_uses_disappears_from_the_graph_and_comes_back);
  tcase_add_test(c, weights_of_modules_that_keep_their_signature_are_decoded_inside);
  tcase_add_test(c, the_manifest_finds_a_place_beside_what_was_there);
  tcase_add_test(c, a_manifest_that_has_no_place_is_an_error);
  tcase_add_test(c, texts_of_the_caller_become_metadata);
  tcase_add_test(c, what_cannot_be_replaced_is_refused_and_the_writer_goes_on);
  tcase_add_test(c, records_that_another_program_uses_stay);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
