/* SPDX-License-Identifier: MIT */
/* Blocked runs that are not the last axes: against a permutation of the whole tensor and one call of the codec. */
#include <malloc.h>
#include <stdio.h>
#include "tests/roundtrip/test_convert_data.h"

static const enum mxq_format formats[] = {MXQ_MXFP4, MXQ_MXFP6_E2M3, MXQ_MXFP6_E3M2, MXQ_MXFP8_E4M3, MXQ_MXFP8_E5M2, MXQ_MXINT8};
static const enum mxq_dtype dtypes[] = {MXQ_F32, MXQ_BF16, MXQ_F16};

/* Small matrices in one chunk, in several; lines longer than a tile, a group, a chunk; columns longer than a group; ragged everywhere. */
static const struct { uint32_t ndim, first, last; uint64_t shape[5]; } shapes[] = {
  {2, 0, 0, {64, 48}},        {2, 0, 0, {33, 7}},          {3, 1, 1, {5, 40, 3}},        {4, 1, 2, {3, 5, 9, 2}},
  {3, 0, 1, {6, 11, 17}},     {5, 1, 2, {2, 3, 31, 2, 5}}, {3, 1, 1, {70001, 32, 2}},    {3, 1, 1, {3, 1025, 1201}},
  {2, 0, 0, {37, 131071}},    {2, 0, 0, {2100, 1999}},     {2, 0, 0, {300007, 37}},      {2, 0, 0, {32, 1500001}},
};
#define SHAPES (sizeof shapes / sizeof *shapes)

static struct given given_shape(size_t i, enum mxq_dtype dtype) {
  struct given g = {.name = "x", .dtype = dtype, .ndim = shapes[i].ndim};
  memcpy(g.shape, shapes[i].shape, sizeof shapes[i].shape);
  g.data = weights(dtype, (size_t)count_of(&g), i);
  return g;
}

static size_t product(const struct given *g, uint32_t first, uint32_t end) {
  size_t n = 1;
  for (uint32_t a = first; a < end; a++)
    n *= (size_t)g->shape[a];
  return n;
}

/* The other axes first, the run last. */
static void *permuted(const struct given *g, uint32_t first, uint32_t last) {
  size_t scalar = mxq_dtype_bits(g->dtype) / 8, outer = product(g, 0, first), k = product(g, first, last + 1), inner = product(g, last + 1, g->ndim);
  char *to = malloc(outer * k * inner * scalar);
  ck_assert_ptr_nonnull(to);
  for (size_t o = 0; o < outer; o++)
    for (size_t j = 0; j < k; j++)
      for (size_t i = 0; i < inner; i++)
        memcpy(to + ((o * inner + i) * k + j) * scalar, (const char *)g->data + ((o * k + j) * inner + i) * scalar, scalar);
  return to;
}

static void check_part(mxq_reader *reader, size_t x, enum mxq_part part, const void *expected, size_t n, size_t shape) {
  struct mxq_error err = {0};
  char *got = malloc(n);
  ck_assert_uint_eq(mxq_reader_part_bytes(reader, x, part), n);
  OK(mxq_reader_read(reader, x, part, 0, got, n, &err));
  ck_assert_msg(memcmp(got, expected, n) == 0, "part %d of shape %zu differs", (int)part, shape);
  free(got);
}

static void check_values(mxq_reader *reader, size_t x, const struct given *g, size_t s, const unsigned char *codes, const unsigned char *scales,
                         const struct mxq_rows *rows) {
  struct mxq_error err = {0};
  size_t n = rows->rows * rows->k, outer = product(g, 0, shapes[s].first), inner = n / rows->k / outer;
  float *decoded = malloc(n * 4), *got = malloc(n * 4);
  uint64_t wrong = 0;
  OK(mxq_decode(mxq_reader_tensor(reader, x)->format, MXQ_F32, codes, scales, rows, decoded, NULL, NULL, &err));
  mxq_pool *pool = mxq_pool_create(2);
  OK(mxq_reader_decode(reader, x, MXQ_F32, got, n * 4, mxq_pool_runner(pool), &err));
  mxq_pool_free(pool);
  for (size_t o = 0; o < outer; o++)
    for (size_t j = 0; j < rows->k; j++)
      for (size_t i = 0; i < inner; i++)
        wrong += memcmp(&got[(o * rows->k + j) * inner + i], &decoded[(o * inner + i) * rows->k + j], 4) != 0;
  ck_assert_msg(wrong == 0, "shape %zu: %llu values of %zu come back elsewhere", s, (unsigned long long)wrong, n);
  struct box back = {0}; /* the same in pieces */
  struct mxq_sink sink;
  struct mxq_dequantize_options o = {.dtype = MXQ_F32};
  OK(mxq_sink_to_memory(&back.data, &back.size, &sink, &err));
  OK(mxq_dequantize(reader, &o, &sink, NULL, &err));
  OK(sink.commit(sink.ctx, &err));
  ck_assert(back.size > n * 4 && memcmp((char *)back.data + back.size - n * 4, got, n * 4) == 0);
  free(back.data);
  free(decoded);
  free(got);
}

static void check_shape(size_t s, enum mxq_format format, enum mxq_dtype dtype) {
  struct mxq_error err = {0};
  struct given g = given_shape(s, dtype);
  struct box file = file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0);
  size_t k = product(&g, shapes[s].first, shapes[s].last + 1), n = (size_t)count_of(&g);
  struct mxq_rows rows = {.rows = n / k, .k = k};
  struct mxq_numerics numerics = {.nonfinite = MXQ_NONFINITE_ERROR};
  struct mxq_stats stats = {0};
  uint64_t code_bytes = 0, scale_bytes = 0;
  ck_assert(mxq_sizes(format, rows.rows, k, &code_bytes, &scale_bytes));
  unsigned char *codes = malloc(code_bytes), *scales = malloc(scale_bytes);
  void *values = permuted(&g, shapes[s].first, shapes[s].last);
  OK(mxq_encode(format, dtype, values, &rows, codes, scales, &numerics, NULL, &stats, &err));
  free(values);
  struct box first = {0};
  struct mxq_summary summaries[2];
  for (unsigned hide = 0; hide < 2; hide++) {
    /* Axes as they are in one case, from the end in the other. */
    int32_t back = hide ? (int32_t)shapes[s].ndim : 0;
    struct mxq_quantize_options o = {.format = format, .numerics = numerics, .threads = 1 + 2 * hide, .has_axes = true,
                                     .axis_first = (int32_t)shapes[s].first - back, .axis_last = (int32_t)shapes[s].last - back};
    struct hidden hidden = {.box = file};
    mxq_reader *reader = hide ? open_hidden(&hidden) : open_box(file);
    uint64_t before = hidden.bytes_read;
    struct box archive = quantized(reader, &o, &summaries[hide]);
    if (hide)
      ck_assert_uint_eq(hidden.bytes_read - before, n * (mxq_dtype_bits(dtype) / 8)); /* each source byte once */
    mxq_reader_close(reader);
    ck_assert_uint_eq(summaries[hide].stats.elements, n);
    ck_assert_uint_eq(summaries[hide].stats.blocks, scale_bytes);
    ck_assert_uint_eq(summaries[hide].stats.clipped, stats.clipped);
    ck_assert_uint_eq(summaries[hide].stats.zeroed, stats.zeroed);
    ck_assert_double_eq_tol(summaries[hide].stats.noise, stats.noise, 1e-9 * stats.noise);
    if (!hide) {
      first = archive;
      continue;
    }
    ck_assert_uint_eq(archive.size, first.size);
    ck_assert(memcmp(archive.data, first.data, first.size) == 0);
    ck_assert(memcmp(&summaries[0].stats, &summaries[1].stats, sizeof summaries[0].stats) == 0); /* also with other threads */
    free(archive.data);
  }
  mxq_reader *reader = open_box(first);
  size_t x = mxq_reader_find(reader, "x");
  ck_assert_uint_ne(x, SIZE_MAX);
  const struct mxq_tensor *t = mxq_reader_tensor(reader, x);
  ck_assert_uint_eq(t->axis_first, shapes[s].first);
  ck_assert_uint_eq(t->axis_last, shapes[s].last);
  ck_assert_uint_eq(t->k, k);
  check_part(reader, x, MXQ_PART_CODES, codes, code_bytes, s);
  check_part(reader, x, MXQ_PART_SCALES, scales, scale_bytes, s);
  check_values(reader, x, &g, s, codes, scales, &rows);
  mxq_reader_close(reader);
  free(first.data);
  free(file.data);
  free(codes);
  free(scales);
  free((void *)g.data);
}

START_TEST(codes_are_those_of_the_permuted_tensor_and_values_come_back_in_their_order) {
  check_shape((size_t)_i, formats[_i % 6], dtypes[_i % 3]);
}
END_TEST

START_TEST(every_format_and_dtype_takes_any_run) {
  for (int f = 0; f < 6; f++)
    for (int d = 0; d < 3; d++)
      check_shape(2 + (size_t)((f + d) % 4), formats[f], dtypes[d]);
}
END_TEST

START_TEST(values_beyond_the_range_of_the_target_are_counted_once) {
  struct given g = {.name = "x", .dtype = MXQ_F32, .ndim = 2, .shape = {70, 600000}}; /* 13 lines at a time */
  size_t n = (size_t)count_of(&g);
  float *values = weights(MXQ_F32, n, 5);
  for (size_t i = 0; i < n; i += 1000)
    values[i] = 1e6f;
  g.data = values;
  struct box file = file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0);
  mxq_reader *reader = open_box(file);
  struct mxq_quantize_options o = {.format = MXQ_MXFP8_E4M3, .has_axes = true};
  struct box archive = quantized(reader, &o, NULL), back = {0};
  mxq_reader_close(reader);
  reader = open_box(archive);
  struct mxq_error err = {0};
  struct mxq_sink sink;
  struct mxq_summary summary = {0};
  struct mxq_dequantize_options d = {.dtype = MXQ_F16, .threads = 2};
  OK(mxq_sink_to_memory(&back.data, &back.size, &sink, &err));
  OK(mxq_dequantize(reader, &d, &sink, &summary, &err));
  OK(sink.commit(sink.ctx, &err));
  ck_assert_uint_eq(summary.to_inf, n / 1000);
  mxq_reader_close(reader);
  free(back.data);
  free(archive.data);
  free(file.data);
  free(values);
}
END_TEST

START_TEST(a_value_that_is_not_finite_is_named_by_its_place_in_the_source) {
  static const struct { uint64_t shape[3], at[3]; const char *where; } cases[] = {
    {{40, 50, 60}, {39, 17, 58}, "[39, 17, 58]"}, {{2, 3001, 1000}, {1, 2999, 997}, "[1, 2999, 997]"}};
  for (size_t i = 0; i < 2; i++) {
    const uint64_t *shape = cases[i].shape, *at = cases[i].at;
    struct given g = {.name = "sick", .dtype = MXQ_F32, .ndim = 3, .shape = {shape[0], shape[1], shape[2]}};
    float *values = weights(MXQ_F32, (size_t)count_of(&g), 1);
    uint64_t flat = (at[0] * shape[1] + at[1]) * shape[2] + at[2];
    values[flat] = -INFINITY;
    g.data = values;
    struct box file = file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0), out = {0};
    mxq_reader *reader = open_box(file);
    struct mxq_quantize_options o = {.format = MXQ_MXFP4, .numerics.nonfinite = MXQ_NONFINITE_ERROR, .threads = 2, .has_axes = true, .axis_first = 1, .axis_last = 1};
    struct mxq_error err = {0};
    struct mxq_sink sink;
    mxq_plan *plan = NULL;
    OK(mxq_plan_quantize(reader, &o, &plan, &err));
    OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
    ck_assert_int_eq(mxq_plan_run(plan, &sink, NULL, &err), MXQ_ERR_NONFINITE);
    sink.abort(sink.ctx);
    ck_assert_str_eq(err.subject, "sick");
    ck_assert_uint_eq(err.offset, flat);
    ck_assert_msg(strstr(err.text, cases[i].where) && strstr(err.text, " -Inf;"), "%s", err.text);
    mxq_plan_free(plan);
    mxq_reader_close(reader);
    free(file.data);
    free(values);
  }
}
END_TEST

/* ---- memory ---- */

static enum mxq_status drop(void *ctx, uint64_t offset, const void *buf, size_t n, struct mxq_error *err) {
  (void)ctx, (void)offset, (void)buf, (void)n, (void)err;
  return MXQ_OK;
}
static enum mxq_status drop_commit(void *ctx, struct mxq_error *err) {
  (void)ctx, (void)err;
  return MXQ_OK;
}
static void drop_abort(void *ctx) { (void)ctx; }

struct heap {
  size_t most;
  uint64_t done, calls, stop_at;
};
static size_t in_use(void) {
  struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
}
static bool look(void *user, uint64_t done, uint64_t total, const char *tensor) {
  struct heap *h = user;
  size_t now = in_use();
  ck_assert_str_eq(tensor, "x");
  ck_assert_uint_le(done, total);
  ck_assert_uint_ge(done, h->done);
  h->most = now > h->most ? now : h->most;
  h->done = done;
  h->calls++;
  return h->stop_at && done >= h->stop_at;
}

START_TEST(memory_is_bounded_by_32_columns_and_progress_is_told_on_the_way) {
  /* Lines of 2^20 and more, and columns so long that 32 of them are more than all other buffers. */
  static const struct { uint64_t shape[2]; size_t most; } cases[] = {
    {{48, 1 << 20}, 40 << 20}, {{6000, 9000}, 40 << 20}, {{1200000, 40}, (40 << 20) + (size_t)2 * 32 * 1200000 * 4}};
  for (size_t i = 0; i < 3; i++) {
    struct given g = {.name = "x", .dtype = MXQ_F32, .ndim = 2, .shape = {cases[i].shape[0], cases[i].shape[1]}};
    g.data = weights(MXQ_F32, (size_t)count_of(&g), i);
    struct box file = file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0);
    struct hidden hidden = {.box = file};
    mxq_reader *reader = open_hidden(&hidden);
    struct heap heap = {0};
    struct mxq_quantize_options o = {.format = MXQ_MXFP8_E4M3, .has_axes = true, .threads = 2, .progress = look, .user = &heap};
    struct mxq_sink sink = {.name = "nowhere", .write_at = drop, .commit = drop_commit, .abort = drop_abort};
    struct mxq_error err = {0};
    struct mxq_plan_totals totals;
    mxq_plan *plan = NULL;
    OK(mxq_plan_quantize(reader, &o, &plan, &err));
    mxq_plan_totals(plan, &totals);
    size_t before = in_use();
    OK(mxq_plan_run(plan, &sink, NULL, &err));
    printf("%llux%llu: %.1f MiB at most, %.1f planned\n", (unsigned long long)g.shape[0], (unsigned long long)g.shape[1],
           (double)(heap.most - before) / 1048576, (double)totals.peak_bytes / 1048576);
    ck_assert_uint_le(totals.peak_bytes, cases[i].most);
    ck_assert_uint_le(heap.most - before, totals.peak_bytes + (8 << 20));
    ck_assert_uint_eq(heap.done, count_of(&g) * 4);
    ck_assert_uint_ge(heap.calls, count_of(&g) * 4 / (8 << 20));
    heap = (struct heap){.stop_at = 20 << 20};
    ck_assert_int_eq(mxq_plan_run(plan, &sink, NULL, &err), MXQ_ERR_CANCELLED);
    ck_assert_uint_le(heap.done, (20 << 20) + (5 << 20));
    mxq_plan_free(plan);
    mxq_reader_close(reader);
    free(file.data);
    free((void *)g.data);
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("convert across");
  TCase *t = tcase_create("convert across");
  tcase_set_timeout(t, 120);
  tcase_add_loop_test(t, codes_are_those_of_the_permuted_tensor_and_values_come_back_in_their_order, 0, SHAPES);
  tcase_add_test(t, every_format_and_dtype_takes_any_run);
  tcase_add_test(t, values_beyond_the_range_of_the_target_are_counted_once);
  tcase_add_test(t, a_value_that_is_not_finite_is_named_by_its_place_in_the_source);
  tcase_add_test(t, memory_is_bounded_by_32_columns_and_progress_is_told_on_the_way);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
