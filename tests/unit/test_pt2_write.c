/* SPDX-License-Identifier: MIT */
/* What the writer of archives decides before it writes: names, places, index, refusals. */
#include <check.h>

#include "formats/pt2/canon.h"
#include "formats/pt2/write.h"
#include "formats/zip/zip.h"
#include "tests/roundtrip/test_pt2_sample.h"

static void ok(enum mxq_status status, const struct mxq_error *err) {
  ck_assert_msg(status == MXQ_OK, "%s: %s: %s", mxq_status_name(status), err->subject, err->text);
}

/* One member of an archive, NUL-terminated. */
static char *member(const void *data, size_t size, const char *name, size_t *n) {
  struct mxq_source source;
  struct mxq_error err = {0};
  struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
  mxq_zip *zip;
  char *text = NULL;
  mxq_source_from_memory(data, size, &source);
  ok(mxq_zip_open(&source, &options, &zip, &err), &err);
  size_t i = mxq_zip_find(zip, name, strlen(name));
  ck_assert_uint_ne(i, SIZE_MAX);
  ok(mxq_zip_load(zip, i, 1u << 24, &text, n, &err), &err);
  mxq_zip_close(zip);
  return text;
}

START_TEST(data_lies_at_multiples_of_the_alignment) {
  static const uint32_t aligns[] = {1, 2, 64, 4096, 32768};
  struct mxq_write_options options = {.align = aligns[_i], .root = "r\xC3\xA9"};
  struct mxq_error err = {0};
  struct mxq_source source;
  struct mxq_read_options read = {.max_text = 100000000, .max_tensors = 1u << 22};
  void *data;
  size_t size;
  mxq_zip *zip;
  ok(sample_write(sample_all, SAMPLE_ALL, &options, &data, &size, &err), &err);
  mxq_source_from_memory(data, size, &source);
  ok(mxq_zip_open(&source, &read, &zip, &err), &err);
  size_t count = mxq_zip_count(zip);
  for (size_t i = 0; i < count; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(zip, i);
    ck_assert_uint_eq(m->data_offset % aligns[_i], 0);
    ck_assert_uint_eq(m->date, 0x0021);
    ck_assert_uint_eq(m->time, 0);
    ck_assert_uint_eq(m->flags, 0x0800); /* the root's name is not ASCII */
    ck_assert_int_eq(strncmp(m->name, "r\xC3\xA9/", 4), 0);
  }
  ck_assert_str_eq(mxq_zip_member(zip, count - 2)->name, "r\xC3\xA9/extra/mxq_index.txt");
  ck_assert_str_eq(mxq_zip_member(zip, count - 1)->name, "r\xC3\xA9/extra/mxq_digests.json");
  mxq_zip_close(zip);
  free(data);
}
END_TEST

START_TEST(the_same_tensors_give_the_same_bytes_and_the_size_is_known) {
  struct mxq_error err = {0};
  void *a, *b;
  size_t a_n, b_n;
  mxq_writer *w;
  uint64_t size;
  ok(sample_write(sample_all, SAMPLE_ALL, NULL, &a, &a_n, &err), &err);
  ok(sample_write(sample_all, SAMPLE_ALL, NULL, &b, &b_n, &err), &err);
  ck_assert_uint_eq(a_n, b_n);
  ck_assert_mem_eq(a, b, a_n);
  ok(mxq_writer_open(MXQ_PT2, NULL, &w, &err), &err);
  for (size_t i = 0; i < SAMPLE_ALL; i++) {
    ok(sample_add(w, &sample_all[i], &err), &err);
    ok(mxq_writer_size(w, &size, &err), &err); /* also between two adds */
  }
  ck_assert_uint_eq(size, a_n);
  mxq_writer_free(w);
  free(a);
  free(b);
}
END_TEST

START_TEST(names_that_pytorch_cannot_hold_are_stored_under_numbers) {
  static const struct {
    const char *name;
    bool mx;
    const char *stored;
  } cases[] = {
      {"plain.w", true, "plain.w_codes"}, {"w", true, "w_codes_1"},      {"w_codes", false, NULL},  {"", true, "t3_codes"},
      {"end.", true, "t4_codes"},         {"q\"", true, "t5_codes"},     {"b\\s", true, "t6_codes"}, {"n\nl", true, "t7_codes"},
      {"pre", true, "t8_codes"},          {"pre.fix", true, "pre.fix_codes"}, {"a.half", true, "t10_codes"}, {"class.w", true, "t11_codes"},
      {"graph", true, "t12_codes"},       {"a.graph", true, "a.graph_codes"}, {"a..b", true, "a..b_codes"}, {"1/ 2", true, "1/ 2_codes"},
      {"t17_codes.x", false, NULL},       {"forward", true, "t17_codes_1"}, {"halfway", true, "halfway_codes"}, {"e\xCC\x81", true, "t19_codes"},
      {"\xC3\xA9", true, "\xC3\xA9_codes"}, {"type", false, NULL},       {"t21.y", false, NULL},
  };
  enum { COUNT = sizeof cases / sizeof *cases };
  struct sample_tensor list[COUNT];
  struct mxq_error err = {0};
  struct mxq_source source;
  struct mxq_read_options options = {.container = MXQ_PT2};
  mxq_reader *r;
  void *data;
  size_t size, n;
  for (size_t i = 0; i < COUNT; i++)
    list[i] = (struct sample_tensor){cases[i].name, cases[i].mx ? MXQ_MXFP8_E4M3 : MXQ_FORMAT_NONE, MXQ_F32, 2, {1, 32}, 1, 1, MXQ_KIND_PARAMETER};
  ok(sample_write(list, COUNT, NULL, &data, &size, &err), &err);
  mxq_source_from_memory(data, size, &source);
  ok(mxq_reader_open_source(&source, &options, &r, &err), &err);
  ck_assert_uint_eq(mxq_reader_count(r), COUNT);
  for (size_t i = 0; i < COUNT; i++) {
    size_t found = mxq_reader_find(r, cases[i].name);
    ck_assert_msg(found != SIZE_MAX, "%s", cases[i].name);
    if (cases[i].mx)
      ck_assert_str_eq(mxq_reader_tensor(r, found)->codes_name, cases[i].stored);
  }
  mxq_reader_close(r);
  char *config = member(data, size, "model/data/weights/model_weights_config.json", &n);
  ck_assert_ptr_nonnull(strstr(config, "\"t21_1\":"));    /* "type", beside the folder t21 */
  ck_assert_ptr_null(strstr(config, "\"type\":{"));
  free(config);
  free(data);
}
END_TEST

START_TEST(the_index_spells_names_and_sorts_by_their_spelling) {
  static const struct sample_tensor list[] = {
      {"b", MXQ_FORMAT_NONE, MXQ_U8, 1, {3}, 0, 0, MXQ_KIND_BUFFER}, {"", MXQ_FORMAT_NONE, MXQ_U8, 0, {0}, 0, 0, MXQ_KIND_BUFFER},
      {"a b%\xC3\xA9", MXQ_MXFP4, MXQ_F32, 2, {1, 32}, 1, 1, MXQ_KIND_PARAMETER}, {" ", MXQ_FORMAT_NONE, MXQ_F16, 2, {0, 2}, 0, 0, MXQ_KIND_BUFFER}};
  struct mxq_error err = {0};
  void *data;
  size_t size, n;
  ok(sample_write(list, 4, NULL, &data, &size, &err), &err);
  char *text = member(data, size, "model/extra/mxq_index.txt", &n), *line = text;
  static const char *const begins[] = {"% u8 - - ", "%20 f16 0x2 - ", "a%20b%25%C3%A9 mxfp4 1x32 1:1 ", "b u8 3 - "};
  static const char *const ends[] = {" 1 0 0 ", " 0 0 0 00000000 00000000", " 16 ", " 3 0 0 "};
  for (int i = 0; i < 4; i++) {
    char *lf = strchr(line, '\n');
    ck_assert_ptr_nonnull(lf);
    *lf = 0;
    ck_assert_msg(strncmp(line, begins[i], strlen(begins[i])) == 0, "%s", line);
    ck_assert_msg(strstr(line, ends[i]) != NULL, "%s", line);
    line = lf + 1;
  }
  ck_assert_ptr_eq(line, text + n);
  free(text);
  free(data);
}
END_TEST

START_TEST(wrong_options_and_tensors_are_refused) {
  static const uint32_t aligns[] = {3, 65536, 0x80000000};
  static const char *const roots[] = {"", "a/b", "a\\b", ".", "..", "c:", "a\nb", "\xFF"};
  struct mxq_error err = {0};
  mxq_writer *w;
  for (int i = 0; i < 3; i++) {
    struct mxq_write_options options = {.align = aligns[i]};
    ck_assert_int_eq(mxq_writer_open(MXQ_PT2, &options, &w, &err), MXQ_ERR_USAGE);
    ck_assert_ptr_null(w);
  }
  for (int i = 0; i < 8; i++) {
    struct mxq_write_options options = {.root = roots[i]};
    ck_assert_int_eq(mxq_writer_open(MXQ_PT2, &options, &w, &err), MXQ_ERR_USAGE);
  }
  static const char *const twice[] = {"k", "1", "k", "2"};
  struct mxq_write_options options = {.metadata = twice, .metadata_count = 2};
  ck_assert_int_eq(mxq_writer_open(MXQ_PT2, &options, &w, &err), MXQ_ERR_USAGE);
  ok(mxq_writer_open(MXQ_PT2, NULL, &w, &err), &err);
  ok(sample_add(w, &sample_all[0], &err), &err);
  ck_assert_int_eq(sample_add(w, &sample_all[0], &err), MXQ_ERR_USAGE);
  struct sample_tensor t = sample_all[0];
  t.name = "other";
  t.last = 2;
  ck_assert_int_eq(sample_add(w, &t, &err), MXQ_ERR_USAGE);
  t = (struct sample_tensor){"f4", MXQ_FORMAT_NONE, MXQ_F4, 1, {3}, 0, 0, MXQ_KIND_BUFFER};
  ck_assert_int_eq(sample_add(w, &t, &err), MXQ_ERR_USAGE);
  t = (struct sample_tensor){"huge", MXQ_FORMAT_NONE, MXQ_F32, 2, {1ull << 32, 1ull << 31}, 0, 0, MXQ_KIND_BUFFER};
  ck_assert_int_eq(sample_add(w, &t, &err), MXQ_ERR_USAGE);
  t = (struct sample_tensor){"int", MXQ_MXFP4, MXQ_I32, 1, {32}, 0, 0, MXQ_KIND_BUFFER};
  ck_assert_int_eq(sample_add(w, &t, &err), MXQ_ERR_USAGE);
  mxq_writer_free(w);
}
END_TEST

START_TEST(more_than_512_quantized_tensors_are_not_decoded_one_by_one) {
  struct mxq_error err = {0};
  mxq_writer *w;
  char name[16];
  ok(mxq_writer_open(MXQ_PT2, NULL, &w, &err), &err);
  ck_assert(!mxq_writer_graph_each(w)); /* nothing to return */
  for (int i = 0; i < 513; i++) {
    struct sample_tensor t = sample_all[0];
    snprintf(name, sizeof name, "t%d.w", i);
    t.name = name;
    ok(sample_add(w, &t, &err), &err);
    ck_assert_int_eq(mxq_writer_graph_each(w), i < 512);
  }
  mxq_writer_free(w);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 writer");
  TCase *c = tcase_create("plan");
  tcase_add_loop_test(c, data_lies_at_multiples_of_the_alignment, 0, 5);
  tcase_add_test(c, the_same_tensors_give_the_same_bytes_and_the_size_is_known);
  tcase_add_test(c, names_that_pytorch_cannot_hold_are_stored_under_numbers);
  tcase_add_test(c, the_index_spells_names_and_sorts_by_their_spelling);
  tcase_add_test(c, wrong_options_and_tensors_are_refused);
  tcase_add_test(c, more_than_512_quantized_tensors_are_not_decoded_one_by_one);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
