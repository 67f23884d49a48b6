/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "tests/roundtrip/test_convert_data.h"

static const enum mxq_format formats[] = {MXQ_MXFP4, MXQ_MXFP6_E2M3, MXQ_MXFP6_E3M2, MXQ_MXFP8_E4M3, MXQ_MXFP8_E5M2, MXQ_MXINT8};

/* Shapes around every way of cutting: whole blocks, ragged rows, rows wider than a chunk (with and without padding), runs of axes. */
static const struct { enum mxq_dtype dtype; uint32_t ndim; uint64_t shape[4]; uint64_t k; } shapes[] = {
  {MXQ_F32, 2, {7, 64}, 64},           {MXQ_F32, 2, {5, 100}, 100},        {MXQ_BF16, 2, {3, 33}, 33},
  {MXQ_F16, 3, {2, 3, 96}, 96},        {MXQ_F32, 4, {6, 5, 3, 3}, 45},     {MXQ_F32, 2, {2, 700001}, 700001},
  {MXQ_BF16, 2, {2, 1600000}, 1600000}, {MXQ_F32, 2, {30011, 37}, 37},     {MXQ_F16, 2, {40001, 40}, 40},
  {MXQ_F32, 2, {40000, 32}, 32},
};
#define SHAPES (sizeof shapes / sizeof *shapes)

static struct given given_shape(size_t i, const void *data) {
  struct given g = {.name = "x", .dtype = shapes[i].dtype, .ndim = shapes[i].ndim, .data = data};
  memcpy(g.shape, shapes[i].shape, sizeof shapes[i].shape);
  return g;
}

START_TEST(codes_and_scales_of_a_conversion_are_those_of_one_call_of_the_codec) {
  struct mxq_error err = {0};
  for (size_t i = 0; i < SHAPES; i++) {
    struct given g = given_shape(i, NULL);
    size_t n = (size_t)count_of(&g), k = (size_t)shapes[i].k;
    g.data = weights(g.dtype, n, i);
    struct box file = file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0);
    enum mxq_format format = formats[i % 6];
    struct mxq_numerics numerics = {.nonfinite = MXQ_NONFINITE_ERROR};
    uint64_t code_bytes = 0, scale_bytes = 0;
    ck_assert(mxq_sizes(format, n / k, k, &code_bytes, &scale_bytes));
    unsigned char *codes = malloc(code_bytes), *scales = malloc(scale_bytes), *got = malloc(code_bytes);
    struct mxq_rows rows = {.rows = n / k, .k = k};
    struct mxq_stats stats = {0};
    OK(mxq_encode(format, g.dtype, g.data, &rows, codes, scales, &numerics, NULL, &stats, &err));
    for (unsigned threads = 0; threads < 4; threads += 3) {
      struct mxq_quantize_options o = {.format = format, .numerics = numerics, .threads = threads};
      struct hidden hidden = {.box = file};
      mxq_reader *reader = threads ? open_box(file) : open_hidden(&hidden);
      struct mxq_summary summary = {0};
      uint64_t before = hidden.bytes_read;
      struct box archive = quantized(reader, &o, &summary);
      if (!threads)
        ck_assert_uint_eq(hidden.bytes_read - before, n * (mxq_dtype_bits(g.dtype) / 8)); /* each source byte once */
      mxq_reader_close(reader);
      reader = open_box(archive);
      size_t x = mxq_reader_find(reader, "x");
      ck_assert_uint_ne(x, SIZE_MAX);
      const struct mxq_tensor *t = mxq_reader_tensor(reader, x);
      ck_assert_int_eq(t->format, format);
      ck_assert_int_eq(t->dtype, g.dtype);
      ck_assert_uint_eq(t->k, k);
      ck_assert_uint_eq(mxq_reader_part_bytes(reader, x, MXQ_PART_CODES), code_bytes);
      ck_assert_uint_eq(mxq_reader_part_bytes(reader, x, MXQ_PART_SCALES), scale_bytes);
      OK(mxq_reader_read(reader, x, MXQ_PART_CODES, 0, got, code_bytes, &err));
      ck_assert_msg(memcmp(got, codes, code_bytes) == 0, "codes of shape %zu differ", i);
      OK(mxq_reader_read(reader, x, MXQ_PART_SCALES, 0, got, scale_bytes, &err));
      ck_assert_msg(memcmp(got, scales, scale_bytes) == 0, "scales of shape %zu differ", i);
      ck_assert_uint_eq(summary.stats.elements, stats.elements);
      ck_assert_uint_eq(summary.stats.blocks, stats.blocks);
      ck_assert_uint_eq(summary.stats.clipped, stats.clipped);
      ck_assert_uint_eq(summary.stats.zeroed, stats.zeroed);
      ck_assert_double_eq_tol(summary.stats.noise, stats.noise, 1e-9 * stats.noise);
      mxq_reader_close(reader);
      free(archive.data);
    }
    free(codes);
    free(scales);
    free(got);
    free(file.data);
    free((void *)g.data);
  }
}
END_TEST

START_TEST(the_archive_and_its_statistics_do_not_depend_on_the_number_of_threads) {
  struct given g[] = {{.name = "a", .dtype = MXQ_F32, .ndim = 2, .shape = {900, 1500}}, {.name = "b", .dtype = MXQ_BF16, .ndim = 2, .shape = {64, 4096}}};
  g[0].data = weights(MXQ_F32, 900 * 1500, 1);
  g[1].data = weights(MXQ_BF16, 64 * 4096, 2);
  struct box file = file_of(MXQ_SAFETENSORS, g, 2, NULL, 0), first = {0};
  struct mxq_summary expected = {0};
  for (unsigned threads = 1; threads <= 5; threads++) {
    mxq_reader *reader = open_box(file);
    struct mxq_quantize_options o = {.format = MXQ_MXFP8_E4M3, .threads = threads};
    struct mxq_summary summary = {0};
    struct box archive = quantized(reader, &o, &summary);
    mxq_reader_close(reader);
    if (threads == 1) {
      first = archive;
      expected = summary;
      continue;
    }
    ck_assert_uint_eq(archive.size, first.size);
    ck_assert(memcmp(archive.data, first.data, first.size) == 0);
    ck_assert(memcmp(&summary.stats, &expected.stats, sizeof summary.stats) == 0);
    free(archive.data);
  }
  free(first.data);
  free(file.data);
  free((void *)g[0].data);
  free((void *)g[1].data);
}
END_TEST

START_TEST(what_is_kept_comes_back_bit_for_bit_with_its_dtype_shape_and_metadata) {
  static unsigned char bytes[4096];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)(i * 7 % 2); /* bool too */
  struct given g[MXQ_DTYPE_COUNT];
  char names[MXQ_DTYPE_COUNT][16];
  size_t count = 0;
  for (int d = MXQ_F32; d < MXQ_DTYPE_COUNT; d++) {
    if (d == MXQ_C32 || d == MXQ_C128)
      continue; /* safetensors has no such dtype */
    snprintf(names[count], sizeof names[count], "t.%s", mxq_dtype_name((enum mxq_dtype)d));
    g[count] = (struct given){.name = names[count], .dtype = (enum mxq_dtype)d, .ndim = 2, .shape = {3, 8}, .data = bytes};
    count++;
  }
  static const char *const metadata[] = {"format", "pt", "caf\xc3\xa9", "\n\"x\""};
  struct box file = file_of(MXQ_SAFETENSORS, g, count, metadata, 2);
  mxq_reader *reader = open_box(file);
  struct mxq_quantize_options o = {0};
  struct box archive = quantized(reader, &o, NULL);
  mxq_reader_close(reader);
  reader = open_box(archive);
  struct mxq_error err = {0};
  struct box back = {0};
  struct mxq_sink sink;
  struct mxq_summary summary = {0};
  uint64_t size = 0;
  OK(mxq_dequantize_size(reader, NULL, &size, &err));
  OK(mxq_sink_to_memory(&back.data, &back.size, &sink, &err));
  OK(mxq_dequantize(reader, NULL, &sink, &summary, &err));
  OK(sink.commit(sink.ctx, &err));
  mxq_reader_close(reader);
  ck_assert_uint_eq(size, back.size);
  ck_assert_uint_eq(summary.totals.file_bytes, back.size);
  ck_assert_uint_eq(back.size, file.size);
  ck_assert(memcmp(back.data, file.data, file.size) == 0);
  free(back.data);
  free(archive.data);
  free(file.data);
}
END_TEST

START_TEST(nan_in_a_source_is_an_error_that_names_tensor_and_element) {
  struct given g[] = {{.name = "fine", .dtype = MXQ_F32, .ndim = 2, .shape = {4, 64}}, {.name = "sick", .dtype = MXQ_F32, .ndim = 3, .shape = {100, 81, 101}}};
  g[0].data = weights(MXQ_F32, 256, 1);
  float *sick = weights(MXQ_F32, 100 * 81 * 101, 2);
  g[1].data = sick;
  size_t index = (97 * 81 + 80) * 101 + 99;
  static const float values[] = {NAN, INFINITY, -INFINITY};
  static const char *const names[] = {" NaN;", " Inf;", " -Inf;"};
  for (int i = 0; i < 3; i++) {
    sick[index] = values[i];
    sick[index + 300] = values[i];
    struct box file = file_of(MXQ_SAFETENSORS, g, 2, NULL, 0);
    mxq_reader *reader = open_box(file);
    struct mxq_quantize_options o = {.format = MXQ_MXFP4, .numerics.nonfinite = MXQ_NONFINITE_ERROR, .threads = 2};
    struct mxq_error err = {0};
    struct mxq_sink sink;
    struct box out = {0};
    mxq_plan *plan = NULL;
    OK(mxq_plan_quantize(reader, &o, &plan, &err));
    OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
    ck_assert_int_eq(mxq_plan_run(plan, &sink, NULL, &err), MXQ_ERR_NONFINITE);
    sink.abort(sink.ctx);
    ck_assert_str_eq(err.subject, "sick");
    ck_assert_uint_eq(err.offset, index);
    ck_assert_msg(strstr(err.text, "[97, 80, 99]") != NULL && strstr(err.text, names[i]) != NULL, "%s", err.text);
    mxq_plan_free(plan);
    mxq_reader_close(reader);
    free(file.data);
  }
  free((void *)g[0].data);
  free(sick);
}
END_TEST

struct counted {
  uint64_t calls, last, total, stop_at;
};
static bool count_calls(void *user, uint64_t done, uint64_t total, const char *tensor) {
  struct counted *c = user;
  ck_assert_ptr_nonnull(tensor);
  ck_assert_uint_ge(done, c->last);
  ck_assert_uint_le(done - c->last, 4 << 20);
  c->calls++;
  c->last = done;
  c->total = total;
  return c->stop_at && done >= c->stop_at;
}

START_TEST(progress_is_told_every_few_mebibytes_and_can_cancel) {
  struct given g = {.name = "x", .dtype = MXQ_F32, .ndim = 2, .shape = {4096, 1024}, .data = weights(MXQ_F32, 4096 * 1024, 3)};
  struct box file = file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0);
  for (int kept = 0; kept < 2; kept++) {
    mxq_reader *reader = open_box(file);
    struct counted counted = {0};
    struct mxq_quantize_options o = {.format = kept ? MXQ_FORMAT_NONE : MXQ_MXFP4, .progress = count_calls, .user = &counted};
    struct box archive = quantized(reader, &o, NULL);
    ck_assert_uint_ge(counted.calls, 4);
    ck_assert_uint_eq(counted.last, 16 << 20);
    ck_assert_uint_eq(counted.total, 16 << 20);
    counted = (struct counted){.stop_at = 6 << 20};
    struct mxq_error err = {0};
    struct mxq_sink sink;
    struct box out = {0};
    mxq_plan *plan = NULL;
    OK(mxq_plan_quantize(reader, &o, &plan, &err));
    OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
    ck_assert_int_eq(mxq_plan_run(plan, &sink, NULL, &err), MXQ_ERR_CANCELLED);
    sink.abort(sink.ctx);
    counted = (struct counted){0};
    OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
    OK(mxq_plan_run(plan, &sink, NULL, &err)); /* a plan can be run again */
    OK(sink.commit(sink.ctx, &err));
    ck_assert_uint_eq(out.size, archive.size);
    ck_assert(memcmp(out.data, archive.data, out.size) == 0);
    free(out.data);
    mxq_plan_free(plan);
    mxq_reader_close(reader);
    free(archive.data);
  }
  free(file.data);
  free((void *)g.data);
}
END_TEST

START_TEST(an_mx_tensor_is_carried_into_another_archive_as_it_is) {
  struct given g[] = {{.name = "a", .dtype = MXQ_BF16, .ndim = 2, .shape = {6, 100}}, {.name = "b", .dtype = MXQ_F32, .ndim = 2, .shape = {8, 64}}};
  g[0].data = weights(MXQ_BF16, 600, 1);
  g[1].data = weights(MXQ_F32, 512, 2);
  struct box file = file_of(MXQ_SAFETENSORS, g, 2, NULL, 0);
  static const struct mxq_rule rules[] = {{.regex = "a", .format = MXQ_MXFP6_E3M2}};
  struct mxq_quantize_options o = {.rules = rules, .rule_count = 1, .numerics = {.scale_rule = MXQ_SCALE_CEIL, .nonfinite = MXQ_NONFINITE_SATURATE}};
  mxq_reader *first = open_box(file);
  struct box once = quantized(first, &o, NULL);
  mxq_reader_close(first);
  first = open_box(once);
  struct mxq_quantize_options again = {.format = MXQ_MXFP4};
  struct mxq_summary summary = {0};
  struct box twice = quantized(first, &again, &summary);
  ck_assert_uint_eq(summary.totals.quantized, 1);
  mxq_reader *second = open_box(twice);
  size_t ia = mxq_reader_find(first, "a"), ja = mxq_reader_find(second, "a"), jb = mxq_reader_find(second, "b");
  const struct mxq_tensor *x = mxq_reader_tensor(first, ia), *y = mxq_reader_tensor(second, ja);
  ck_assert_int_eq(y->format, MXQ_MXFP6_E3M2);
  ck_assert_int_eq(y->dtype, MXQ_BF16);
  ck_assert_str_eq(y->scale_rule, "ceil");
  ck_assert_str_eq(y->nonfinite, "saturate");
  ck_assert_str_eq(y->round, x->round);
  ck_assert_str_eq(y->compat, x->compat);
  ck_assert_int_eq(mxq_reader_tensor(second, jb)->format, MXQ_MXFP4);
  ck_assert_str_eq(mxq_reader_tensor(second, jb)->scale_rule, "auto");
  struct mxq_error err = {0};
  for (int part = 0; part < 2; part++) {
    size_t n = mxq_reader_part_bytes(first, ia, (enum mxq_part)part);
    char *p = malloc(n), *q = malloc(n);
    ck_assert_uint_eq(mxq_reader_part_bytes(second, ja, (enum mxq_part)part), n);
    OK(mxq_reader_read(first, ia, (enum mxq_part)part, 0, p, n, &err));
    OK(mxq_reader_read(second, ja, (enum mxq_part)part, 0, q, n, &err));
    ck_assert(memcmp(p, q, n) == 0);
    free(p);
    free(q);
  }
  mxq_reader_close(first);
  mxq_reader_close(second);
  free(once.data);
  free(twice.data);
  free(file.data);
  free((void *)g[0].data);
  free((void *)g[1].data);
}
END_TEST

int main(void) {
  Suite *s = suite_create("convert");
  TCase *t = tcase_create("convert");
  tcase_set_timeout(t, 120);
  tcase_add_test(t, codes_and_scales_of_a_conversion_are_those_of_one_call_of_the_codec);
  tcase_add_test(t, the_archive_and_its_statistics_do_not_depend_on_the_number_of_threads);
  tcase_add_test(t, what_is_kept_comes_back_bit_for_bit_with_its_dtype_shape_and_metadata);
  tcase_add_test(t, nan_in_a_source_is_an_error_that_names_tensor_and_element);
  tcase_add_test(t, an_mx_tensor_is_carried_into_another_archive_as_it_is);
  tcase_add_test(t, progress_is_told_every_few_mebibytes_and_can_cancel);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
