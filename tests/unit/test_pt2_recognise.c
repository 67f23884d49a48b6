/* SPDX-License-Identifier: MIT */
/* Weights that a program decodes without telling: which are found, and that those which are almost MX are not. */
#include <check.h>
#include <unistd.h>
#include <zlib.h>

#include "formats/pt2/recognise.h"
#include "tests/unit/hand_program.h"

struct want { char file[80], tensor[80], format[20], layout[20], dtype[8], shape[40], axes[8], crc[12]; };

static bool next_want(FILE *f, struct want *w) {
  return fscanf(f, "%79s %79s %19s %19s %7s %39s %7s %11s", w->file, w->tensor, w->format, w->layout, w->dtype, w->shape, w->axes, w->crc) == 8;
}

static FILE *open_wants(void) {
  FILE *f = fopen("testdata/pt2/decoders.tsv", "r");
  ck_assert_ptr_nonnull(f);
  return f;
}

/* The decoded values of tensor i, in C order, as PyTorch has them. */
static uint32_t crc_of(mxq_reader *r, size_t i) {
  const struct mxq_tensor *t = mxq_reader_tensor(r, i);
  struct mxq_error err = {0};
  struct mxq_rows rows = {.rows = t->rows, .k = t->k};
  uint64_t code_bytes = mxq_reader_part_bytes(r, i, MXQ_PART_CODES), scale_bytes = mxq_reader_part_bytes(r, i, MXQ_PART_SCALES);
  size_t unit = mxq_dtype_bits(t->dtype) / 8, n = (size_t)t->elements;
  unsigned char *codes = malloc(code_bytes), *scales = malloc(scale_bytes), *values = malloc(n * unit), *out = malloc(n * unit);
  ck_assert_msg(mxq_reader_read(r, i, MXQ_PART_CODES, 0, codes, code_bytes, &err) == MXQ_OK, "%s", err.text);
  ck_assert_msg(mxq_reader_read(r, i, MXQ_PART_SCALES, 0, scales, scale_bytes, &err) == MXQ_OK, "%s", err.text);
  ck_assert_msg(mxq_decode(t->format, t->dtype, codes, scales, &rows, values, NULL, NULL, &err) == MXQ_OK, "%s", err.text);
  uint64_t behind = 1;
  for (uint32_t d = t->axis_last + 1; d < t->ndim; d++)
    behind *= t->shape[d];
  for (uint64_t row = 0; row < t->rows; row++)
    for (uint64_t k = 0; k < t->k; k++)
      memcpy(out + ((row / behind * t->k + k) * behind + row % behind) * unit, values + (row * t->k + k) * unit, unit);
  uint32_t crc = (uint32_t)crc32(0, out, (uInt)(n * unit));
  free(codes);
  free(scales);
  free(values);
  free(out);
  return crc;
}

static mxq_reader *open_file(const char *file) {
  char path[200];
  struct mxq_error err = {0};
  mxq_reader *r;
  snprintf(path, sizeof path, "testdata/pt2/decoders/%s", file);
  ck_assert_msg(mxq_reader_open(path, NULL, &r, &err) == MXQ_OK, "%s: %s", file, err.text);
  return r;
}

static size_t recognised(const mxq_reader *r) {
  size_t n = 0;
  for (size_t i = 0; i < mxq_reader_count(r); i++)
    n += mxq_reader_tensor(r, i)->recognised;
  return n;
}

START_TEST(every_form_is_found_with_the_values_that_pytorch_decodes) {
  FILE *f = open_wants();
  struct want w;
  unsigned forms = 0;
  while (next_want(f, &w)) {
    if (w.format[0] == '-')
      continue;
    mxq_reader *r = open_file(w.file);
    size_t i = mxq_reader_find(r, w.tensor);
    ck_assert_msg(i != SIZE_MAX && recognised(r) == 1, "%s: %s", w.file, w.tensor);
    const struct mxq_tensor *t = mxq_reader_tensor(r, i);
    char shape[40] = "", axes[30], crc[12];
    for (uint32_t d = 0; d < t->ndim; d++)
      snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%u", d ? "x" : "", (unsigned)t->shape[d]);
    snprintf(axes, sizeof axes, "%u-%u", t->axis_first, t->axis_last);
    snprintf(crc, sizeof crc, "%08x", crc_of(r, i));
    ck_assert_msg(t->recognised && strcmp(mxq_format_name(t->format), w.format) == 0, "%s", w.file);
    ck_assert_msg(strcmp(t->layout, w.layout) == 0 && strcmp(mxq_dtype_name(t->dtype), w.dtype) == 0, "%s: %s", w.file, t->layout);
    ck_assert_msg(strcmp(shape, w.shape) == 0 && strcmp(axes, w.axes) == 0, "%s: %s, axes %s", w.file, shape, axes);
    ck_assert_msg(strcmp(crc, w.crc) == 0, "%s: values %s", w.file, crc);
    ck_assert(t->codes_name && t->scales_name && mxq_reader_find(r, t->scales_name) == SIZE_MAX && !t->scale_rule);
    mxq_reader_close(r);
    forms++;
  }
  fclose(f);
  ck_assert_uint_ge(forms, 40);
}
END_TEST

START_TEST(what_is_almost_mx_stays_what_it_is) {
  FILE *f = open_wants();
  struct want w;
  unsigned misses = 0;
  while (next_want(f, &w)) {
    if (w.format[0] != '-')
      continue;
    mxq_reader *r = open_file(w.file);
    ck_assert_msg(recognised(r) == 0, "%s", w.file);
    ck_assert_uint_ne(mxq_reader_find(r, "fc.weight_q"), SIZE_MAX);
    mxq_reader_close(r);
    misses++;
  }
  fclose(f);
  ck_assert_uint_ge(misses, 16);
}
END_TEST

/* ---- by hand: fp8 codes [1, 32] times one scale; edits of it ---- */

#define Q META("29", I(1) ", " I(32), I(32) ", " I(1))
#define F META("7", I(1) ", " I(32), I(32) ", " I(1))
#define E META("33", I(1) ", " I(1), I(1) ", " I(1))
#define G META("7", I(1) ", " I(1), I(1) ", " I(1))
#define TO7 ARG("dtype", "{\"as_scalar_type\": 7}")
#define HAND                                                                                                                                 \
  "{\"graph_module\": {\"graph\": "                                                                                                          \
  GRAPH(T("q") ", " T("s"), T("y"),                                                                                                          \
        NODE("torch.ops.aten.to.dtype", ARG("self", T("q")) ", " TO7, T("a"), "a") ", "                                                       \
        NODE("torch.ops.aten.to.dtype", ARG("self", T("s")) ", " TO7, T("b"), "b") ", "                                                       \
        NODE("torch.ops.aten.mul.Tensor", ARG("self", T("a")) ", " ARG("other", T("b")), T("y"), "y"),                                         \
        VALUE("q", Q) ", " VALUE("s", E) ", " VALUE("a", F) ", " VALUE("b", G) ", " VALUE("y", F), "")                                         \
  ", \"signature\": {\"input_specs\": [{\"buffer\": {\"arg\": {\"name\": \"q\"}, \"buffer_name\": \"CODES\", \"persistent\": true}}, "        \
  "{\"buffer\": {\"arg\": {\"name\": \"s\"}, \"buffer_name\": \"SCALES\", \"persistent\": true}}], "                                          \
  "\"output_specs\": [{\"user_output\": {\"arg\": " T("y") "}}]}, \"module_call_graph\": [], \"metadata\": {}, "                               \
  "\"treespec_namedtuple_fields\": {}}, \"opset_version\": {\"aten\": 10}, \"range_constraints\": {}, "                                       \
  "\"schema_version\": {\"major\": 8, \"minor\": 20}, \"verifiers\": [\"TRAINING\"], \"torch_version\": \"2.13.0\", \"guards_code\": []}"
#define HAND_CONFIG "{\"config\": {" STORED("CODES", "weight_0", "false", Q) ", " STORED("SCALES", "weight_1", "false", E) "}}"

static char *named(const char *text, const char *codes, const char *scales) {
  char *one = hand_edit(text, "CODES", codes, 0), *both = hand_edit(one, "SCALES", scales, 0);
  free(one);
  return both;
}

static mxq_reader *open_hand(const char *program, const char *codes, const char *scales, const char *more) {
  static struct hand_zip *z;         /* the reader reads from it */
  struct mxq_source source;
  struct mxq_error err = {0};
  mxq_reader *r;
  char *text = named(program, codes, scales), *config = named(HAND_CONFIG, codes, scales), *all = hand_edit(config, "{\"config\": {", more, 0);
  free(z);
  z = hand_archive(text, all, 2, "{\"config\": {}}", 0, 32);
  mxq_source_from_memory(z->data, z->size, &source);
  ck_assert_msg(mxq_reader_open_source(&source, NULL, &r, &err) == MXQ_OK, "%s", err.text);
  free(text);
  free(config);
  free(all);
  return r;
}

static const char nothing[] = "{\"config\": {";

START_TEST(names_are_what_codes_and_scales_have_in_common) {
  static const char *const names[][3] = {
      {"fc.weight_q", "fc.weight_s", "fc.weight"},
      {"fc.weight_qdata", "fc.weight_scale", "fc.weight"},
      {"fc.qdata", "fc.scale", "fc"},
      {"fc.weight.qdata", "fc.weight.scale", "fc.weight"},
      {"a.parametrizations.weight.original0", "a.parametrizations.weight.original1", "a.weight"},
      {"parametrizations.weight.original0", "parametrizations.weight.original1", "weight"},
      {"codes", "scales", "codes"},
  };
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    mxq_reader *r = open_hand(HAND, names[k][0], names[k][1], nothing);
    ck_assert_uint_eq(mxq_reader_count(r), 1);
    ck_assert_str_eq(mxq_reader_tensor(r, 0)->name, names[k][2]);
    ck_assert_str_eq(mxq_reader_tensor(r, 0)->codes_name, names[k][0]);
    mxq_reader_close(r);
  }
  /* Another tensor has that name. */
  mxq_reader *r = open_hand(HAND, "w_q", "w_s", "{\"config\": {" STORED("w", "weight_0", "false", Q) ", ");
  ck_assert_uint_eq(mxq_reader_count(r), 2);
  ck_assert(mxq_reader_tensor(r, mxq_reader_find(r, "w_q"))->recognised && !mxq_reader_tensor(r, mxq_reader_find(r, "w"))->recognised);
  mxq_reader_close(r);
}
END_TEST

START_TEST(edits_of_the_graph_that_make_it_something_else) {
  static const struct { const char *from, *to; } edits[] = {
      {"aten.mul.Tensor", "aten.add.Tensor"},
      {"aten.mul.Tensor", "mine.mul.Tensor"},
      {"aten.mul.Tensor", "aten.mul.out"},
      {"{\"as_scalar_type\": 7}", "{\"as_scalar_type\": 6}"},  /* the shape of things says f32 */
      {"{\"user_output\": {\"arg\": " T("y") "}}", "{\"buffer_mutation\": {\"arg\": {\"name\": \"y\"}, \"buffer_name\": \"CODES\"}}"},
      {"\"name\": \"a\"}}], \"metadata\"", "\"name\": \"a\"}}], \"metadata\": {}, \"more\""}, /* no difference: found */
  };
  for (size_t k = 0; k < sizeof edits / sizeof *edits; k++) {
    char *text = hand_edit(HAND, edits[k].from, edits[k].to, 0);
    mxq_reader *r = strstr(text, "buffer_mutation") ? NULL : open_hand(text, "w_q", "w_s", nothing);
    if (!r) {
      char *third = hand_edit(text, "\"buffer_name\": \"CODES\"}}", "\"buffer_name\": \"w_q\"}}", 0), *fourth;
      fourth = strstr(third, "\"buffer_name\": \"CODES\"}}") ? hand_edit(third, "\"buffer_name\": \"CODES\"}}", "\"buffer_name\": \"w_q\"}}", 0) : NULL;
      r = open_hand(fourth ? fourth : third, "w_q", "w_s", nothing);
      free(third);
      free(fourth);
    }
    ck_assert_msg(recognised(r) == (k == sizeof edits / sizeof *edits - 1), "edit %zu", k);
    mxq_reader_close(r);
    free(text);
  }
}
END_TEST

#define MANIFEST(entries) "\"metadata\": {\"custom\": \"{\\\"mx\\\": {\\\"version\\\": 1, \\\"tensors\\\": {" entries "}}}\"}"
#define ENTRY(name, format) "\\\"" name "\\\": {\\\"format\\\": \\\"" format "\\\", \\\"codes\\\": \\\"w_q\\\", \\\"scales\\\": \\\"w_s\\\", \\\"shape\\\": [1, 32]}"

START_TEST(the_manifest_wins_and_may_give_tied_weights_two_names) {
  char *one = hand_edit(HAND, "\"metadata\": {}, \"treespec", MANIFEST(ENTRY("mine", "mxfp8-e4m3")) ", \"treespec", 0);
  mxq_reader *r = open_hand(one, "w_q", "w_s", nothing);
  ck_assert_uint_eq(mxq_reader_count(r), 1);
  ck_assert_str_eq(mxq_reader_tensor(r, 0)->name, "mine");
  ck_assert(!mxq_reader_tensor(r, 0)->recognised);
  mxq_reader_close(r);
  free(one);
  one = hand_edit(HAND, "\"metadata\": {}, \"treespec", MANIFEST(ENTRY("a", "mxfp8-e4m3") ", " ENTRY("b", "mxfp8-e4m3")) ", \"treespec", 0);
  r = open_hand(one, "w_q", "w_s", nothing);
  ck_assert_uint_eq(mxq_reader_count(r), 2);
  ck_assert_str_eq(mxq_reader_tensor(r, 0)->name, "a");
  ck_assert_str_eq(mxq_reader_tensor(r, 1)->name, "b");
  ck_assert(mxq_reader_tensor(r, 0)->storage == mxq_reader_tensor(r, 1)->storage);
  mxq_reader_close(r);
  free(one);
}
END_TEST

/* ---- the shared samples, with their manifest out of sight ---- */

static const char *const samples[] = {"handwritten_experts", "handwritten_mxfp4_pairs", "handwritten_mxfp6_e2m3", "handwritten_mxfp6_e3m2_word",
    "handwritten_mxfp8_e5m2", "handwritten_mxint8", "handwritten_ragged_mxfp4", "handwritten_ragged_mxfp6_e2m3", "handwritten_ragged_mxfp8_e4m3",
    "handwritten_two_layers", "handwritten_weights_only", "pytorch_mxfp4_linear", "pytorch_mxfp6_e2m3_unpacked", "pytorch_mxfp6_e3m2_le24",
    "pytorch_mxfp8_e5m2_linear", "pytorch_mxfp8_linear", "pytorch_mxint8_linear"};

static unsigned char *load(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  ck_assert_msg(f != NULL, "%s", path);
  fseek(f, 0, SEEK_END);
  *n = (size_t)ftell(f);
  rewind(f);
  unsigned char *data = malloc(*n);
  ck_assert_uint_eq(fread(data, 1, *n, f), *n);
  fclose(f);
  return data;
}

static unsigned char *find_bytes(unsigned char *data, size_t n, const void *what, size_t k) { return memmem(data, n, what, k); }

/* The key "custom" gets another name, and the program's checksum what it is then, in both places that state it. */
static void hide_manifest(unsigned char *data, size_t n) {
  unsigned char *text = find_bytes(data, n, "{\"graph_module\"", 15), *end, *key, crc[2][4], *at;
  ck_assert_ptr_nonnull(text);
  end = find_bytes(text, n - (size_t)(text - data), "PK\7\10", 4);
  ck_assert_ptr_nonnull(end);
  for (int k = 0; k < 2; k++) {
    uint32_t sum = (uint32_t)crc32(0, text, (uInt)(end - text));
    for (int i = 0; i < 4; i++)
      crc[k][i] = (unsigned char)(sum >> 8 * i);
    if (k == 0) {
      key = find_bytes(text, (size_t)(end - text), "\"custom\"", 8);
      ck_assert_ptr_nonnull(key);
      key[1] = 'C';
    }
  }
  for (int k = 0; k < 2; k++) {
    at = find_bytes(k ? at + 4 : end, n - (size_t)((k ? at + 4 : end) - data), crc[0], 4);
    ck_assert_ptr_nonnull(at);
    memcpy(at, crc[1], 4);
  }
}

START_TEST(samples_are_the_same_tensors_with_and_without_their_manifest) {
  char path[4096];
  size_t n;
  struct mxq_error err = {0};
  struct mxq_source source;
  mxq_reader *told, *bare;
  const char *shared = getenv("MXQ_SHARED");
  snprintf(path, sizeof path, "%s/pt2/%s.pt2", shared ? shared : "../shared", samples[_i]);
  if (!shared && access(path, R_OK) != 0)
    return;
  unsigned char *data = load(path, &n);
  ck_assert_msg(mxq_reader_open(path, NULL, &told, &err) == MXQ_OK, "%s", err.text);
  hide_manifest(data, n);
  mxq_source_from_memory(data, n, &source);
  ck_assert_msg(mxq_reader_open_source(&source, NULL, &bare, &err) == MXQ_OK, "%s: %s", path, err.text);
  ck_assert_uint_eq(mxq_reader_count(told), mxq_reader_count(bare));
  ck_assert_uint_gt(recognised(bare), 0);
  for (size_t i = 0; i < mxq_reader_count(told); i++) {
    const struct mxq_tensor *a = mxq_reader_tensor(told, i), *b = mxq_reader_tensor(bare, i);
    ck_assert_str_eq(a->name, b->name);
    ck_assert_msg(b->recognised == (a->format != MXQ_FORMAT_NONE) && a->format == b->format && a->dtype == b->dtype && a->ndim == b->ndim, "%s", a->name);
    ck_assert(a->ndim == 0 || memcmp(a->shape, b->shape, a->ndim * sizeof *a->shape) == 0);
    if (a->format)
      ck_assert(a->axis_first == b->axis_first && a->axis_last == b->axis_last && strcmp(a->layout, b->layout) == 0 && crc_of(told, i) == crc_of(bare, i));
  }
  mxq_reader_close(told);
  mxq_reader_close(bare);
  free(data);
}
END_TEST

START_TEST(probes_have_all_bytes_and_all_codes_in_all_places) {
  bool byte[256] = {false}, code[4][64] = {{false}};
  unsigned seen = 0;
  for (uint32_t t = 0; t < MXQ_PROBES / 3; t++) {
    uint32_t word = mxq_probe_byte(3 * t) | mxq_probe_byte(3 * t + 1) << 8 | (uint32_t)mxq_probe_byte(3 * t + 2) << 16;
    for (int k = 0; k < 4; k++)
      code[k][word >> 6 * k & 63] = true;
    for (uint32_t i = 3 * t; i < 3 * t + 3; i++)
      byte[mxq_probe_byte(i)] = true;
  }
  for (int i = 0; i < 256; i++)
    seen += byte[i] + code[i / 64][i % 64];
  ck_assert_uint_eq(seen, 512);
}
END_TEST

int main(void) {
  Suite *s = suite_create("recognised weights");
  TCase *t = tcase_create("all");
  tcase_set_timeout(t, 120);
  tcase_add_test(t, every_form_is_found_with_the_values_that_pytorch_decodes);
  tcase_add_test(t, what_is_almost_mx_stays_what_it_is);
  tcase_add_test(t, names_are_what_codes_and_scales_have_in_common);
  tcase_add_test(t, edits_of_the_graph_that_make_it_something_else);
  tcase_add_test(t, the_manifest_wins_and_may_give_tied_weights_two_names);
  tcase_add_test(t, probes_have_all_bytes_and_all_codes_in_all_places);
  tcase_add_loop_test(t, samples_are_the_same_tensors_with_and_without_their_manifest, 0, sizeof samples / sizeof *samples);
  suite_add_tcase(s, t);
  SRunner *runner = srunner_create(s);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
