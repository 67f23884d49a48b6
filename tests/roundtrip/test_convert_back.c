/* SPDX-License-Identifier: MIT */
#include "lib/convert/values.h"
#include "tests/roundtrip/test_convert_data.h"

static const enum mxq_format formats[] = {MXQ_MXFP4, MXQ_MXFP6_E2M3, MXQ_MXFP6_E3M2, MXQ_MXFP8_E4M3, MXQ_MXFP8_E5M2, MXQ_MXINT8};

/* Runs of axes at every place, also where pieces do not fit in one step. */
static const struct { uint32_t ndim; uint64_t shape[4]; uint32_t first, last; } placed[] = {
  {2, {64, 5}, 0, 0},      {2, {100, 33}, 0, 0},     {3, {3, 70, 4}, 1, 1},      {4, {2, 3, 40, 5}, 1, 2},  {4, {3, 4, 5, 6}, 0, 1},
  {2, {90, 40000}, 0, 0},  {2, {5000, 300}, 0, 0},   {3, {2, 33, 20000}, 1, 1},  {3, {5, 6, 64}, 2, 2},     {3, {7, 20, 10}, 1, 2},
  {2, {1, 700000}, 1, 1},  {1, {100}, 0, 0},
};

/* Codes and scales of values in C order, the run brought to the end by hand. */
static unsigned char *encode_placed(const struct given *g, enum mxq_format format, const float *values, float *expected) {
  struct mxq_error err = {0};
  uint64_t k = 1, inner = 1, n = count_of(g);
  for (uint32_t a = g->axis_first; a <= g->axis_last; a++)
    k *= g->shape[a];
  for (uint32_t a = g->axis_last + 1; a < g->ndim; a++)
    inner *= g->shape[a];
  uint64_t rows = n / k, code_bytes = 0, scale_bytes = 0;
  ck_assert(mxq_sizes(format, rows, k, &code_bytes, &scale_bytes));
  float *turned = malloc(n * sizeof *turned);
  unsigned char *out = malloc(code_bytes + scale_bytes);
  ck_assert(turned && out);
  for (uint64_t i = 0; i < n; i++)
    turned[(i / (k * inner) * inner + i % inner) * k + i / inner % k] = values[i];
  struct mxq_rows shape = {.rows = rows, .k = k};
  OK(mxq_encode(format, MXQ_F32, turned, &shape, out, out + code_bytes, NULL, NULL, NULL, &err));
  OK(mxq_decode(format, MXQ_F32, out, out + code_bytes, &shape, turned, NULL, NULL, &err));
  for (uint64_t i = 0; i < n; i++)
    expected[i] = turned[(i / (k * inner) * inner + i % inner) * k + i / inner % k];
  free(turned);
  return out;
}

START_TEST(tensors_blocked_along_any_run_of_axes_come_back_in_their_own_order) {
  struct mxq_error err = {0};
  for (size_t i = 0; i < sizeof placed / sizeof *placed; i++) {
    enum mxq_format format = formats[i % 6];
    struct given g = {.name = "x", .dtype = MXQ_F32, .ndim = placed[i].ndim, .format = format, .axis_first = placed[i].first, .axis_last = placed[i].last};
    memcpy(g.shape, placed[i].shape, sizeof g.shape / 2);
    size_t n = (size_t)count_of(&g);
    float *values = weights(MXQ_F32, n, i), *expected = malloc(n * 4), *got = malloc(n * 4);
    unsigned char *parts = encode_placed(&g, format, values, expected);
    g.data = parts;
    struct box archive = file_of(MXQ_PT2, &g, 1, NULL, 0);
    for (int hide = 0; hide < 2; hide++) {
      struct hidden hidden = {.box = archive};
      mxq_reader *reader = hide ? open_hidden(&hidden) : open_box(archive);
      size_t x = mxq_reader_find(reader, "x");
      mxq_pool *pool = mxq_pool_create(2);
      OK(mxq_reader_decode(reader, x, MXQ_F32, got, n * 4, mxq_pool_runner(pool), &err));
      mxq_pool_free(pool);
      ck_assert_msg(memcmp(got, expected, n * 4) == 0, "shape %zu", i);
      /* and in small steps of odd sizes */
      struct mxq_values v = {0};
      memset(got, 0xEE, n * 4);
      OK(mxq_values_start(&v, reader, x, MXQ_F32, NULL, &err));
      for (size_t at = 0, step = 1; at < n * 4; at += step, step = step * 3 % 100003 + 1) {
        step = step < n * 4 - at ? step : n * 4 - at;
        OK(mxq_values_read(&v, (char *)got + at, step, &err));
      }
      mxq_values_free(&v);
      ck_assert_msg(memcmp(got, expected, n * 4) == 0, "shape %zu in steps", i);
      ck_assert_int_eq(mxq_reader_decode(reader, x, MXQ_F32, got, n * 4 - 1, NULL, &err), MXQ_ERR_USAGE);
      ck_assert_int_eq(mxq_reader_decode(reader, x, MXQ_I32, got, n * 4, NULL, &err), MXQ_ERR_USAGE);
      mxq_reader_close(reader);
    }
    free(archive.data);
    free(parts);
    free(values);
    free(expected);
    free(got);
  }
}
END_TEST

START_TEST(dequantizing_gives_each_source_dtype_again_or_the_one_that_is_asked_for) {
  struct given g[] = {{.name = "a", .dtype = MXQ_F32, .ndim = 2, .shape = {9, 100}}, {.name = "b", .dtype = MXQ_BF16, .ndim = 2, .shape = {9, 64}},
                      {.name = "c", .dtype = MXQ_F16, .ndim = 3, .shape = {9, 10, 7}}, {.name = "kept", .dtype = MXQ_F32, .ndim = 1, .shape = {4}}};
  static const enum mxq_dtype targets[] = {MXQ_DTYPE_NONE, MXQ_F32, MXQ_BF16, MXQ_F16};
  for (size_t i = 0; i < 4; i++)
    g[i].data = weights(g[i].dtype, (size_t)count_of(&g[i]), i);
  struct box file = file_of(MXQ_SAFETENSORS, g, 4, NULL, 0);
  mxq_reader *reader = open_box(file);
  struct mxq_quantize_options o = {.format = MXQ_MXFP8_E4M3};
  struct box archive = quantized(reader, &o, NULL);
  mxq_reader_close(reader);
  reader = open_box(archive);
  for (size_t d = 0; d < 4; d++) {
    struct mxq_dequantize_options options = {.dtype = targets[d], .threads = 2};
    struct mxq_error err = {0};
    struct mxq_sink sink;
    struct box out = {0};
    OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
    OK(mxq_dequantize(reader, &options, &sink, NULL, &err));
    OK(sink.commit(sink.ctx, &err));
    mxq_reader *back = open_box(out);
    ck_assert_uint_eq(mxq_reader_count(back), 4);
    for (size_t i = 0; i < 4; i++) {
      size_t x = mxq_reader_find(back, g[i].name);
      const struct mxq_tensor *t = mxq_reader_tensor(back, x);
      enum mxq_dtype expected = i == 3 || d == 0 ? g[i].dtype : targets[d];
      ck_assert_int_eq(t->dtype, expected);
      ck_assert_uint_eq(t->ndim, g[i].ndim);
      ck_assert(memcmp(t->shape, g[i].shape, g[i].ndim * 8) == 0);
      unsigned char *got = malloc(t->bytes), *want = malloc(t->bytes);
      OK(mxq_reader_read(back, x, MXQ_PART_DATA, 0, got, t->bytes, &err));
      OK(mxq_reader_decode(reader, mxq_reader_find(reader, g[i].name), expected, want, t->bytes, NULL, &err));
      ck_assert(memcmp(got, want, t->bytes) == 0);
      if (i == 3)
        ck_assert(memcmp(got, g[i].data, t->bytes) == 0);
      free(got);
      free(want);
    }
    mxq_reader_close(back);
    free(out.data);
  }
  mxq_reader_close(reader);
  free(archive.data);
  free(file.data);
  for (size_t i = 0; i < 4; i++)
    free((void *)g[i].data);
}
END_TEST

START_TEST(values_that_become_infinite_in_a_narrow_dtype_are_counted) {
  static const float big[64] = {1e30f, -70000.0f, 65504.0f, 1.0f, [32] = 65536.0f};
  struct given g = {.name = "x", .dtype = MXQ_F32, .ndim = 2, .shape = {1, 64}, .data = big};
  struct box file = file_of(MXQ_SAFETENSORS, &g, 1, NULL, 0);
  mxq_reader *reader = open_box(file);
  struct mxq_quantize_options o = {.format = MXQ_MXINT8};
  struct box archive = quantized(reader, &o, NULL);
  mxq_reader_close(reader);
  reader = open_box(archive);
  struct mxq_dequantize_options options = {.dtype = MXQ_F16};
  struct mxq_error err = {0};
  struct mxq_sink sink;
  struct box out = {0};
  struct mxq_summary summary = {0};
  OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
  OK(mxq_dequantize(reader, &options, &sink, &summary, &err));
  sink.abort(sink.ctx);
  ck_assert_uint_eq(summary.to_inf, 2); /* -70000 vanishes beside 1e30; 65536 does not fit */
  options.dtype = MXQ_BF16;
  OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
  OK(mxq_dequantize(reader, &options, &sink, &summary, &err));
  sink.abort(sink.ctx);
  ck_assert_uint_eq(summary.to_inf, 0);
  options.dtype = MXQ_F64;
  ck_assert_int_eq(mxq_dequantize(reader, &options, &sink, &summary, &err), MXQ_ERR_USAGE);
  mxq_reader_close(reader);
  free(archive.data);
  free(file.data);
}
END_TEST

/* The value of an f16, from its definition. */
static double half_value(uint16_t h) {
  int e = h >> 10 & 31, m = h & 0x3FF;
  double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
  return h & 0x8000 ? -v : v;
}

/* The f16 value nearest to x, ties to even, by the floating-point unit. */
static double nearest_half(float x) {
  if (isnan(x) || isinf(x) || x == 0)
    return x;
  int e = ilogb(x) < -14 ? -14 : ilogb(x);
  double v = ldexp(nearbyint(ldexp(x, 10 - e)), e - 10);
  return fabs(v) >= 65536 ? copysign(INFINITY, v) : v;
}

START_TEST(every_half_float_becomes_the_f32_of_its_value_and_comes_back) {
  for (uint32_t h = 0; h < 65536; h++) {
    uint16_t half = (uint16_t)h, again = 0, bf = 0;
    uint32_t u = 0;
    uint64_t inf = 0;
    mxq_convert_scalars(MXQ_F16, &half, MXQ_F32, &u, 1, &inf);
    float got, f;
    memcpy(&got, &u, 4);
    double value = half_value(half);
    ck_assert_msg(isnan(value) ? isnan(got) : value == got && !signbit(value) == !signbit(got), "%04x", h);
    mxq_convert_scalars(MXQ_F32, &u, MXQ_F16, &again, 1, &inf);
    ck_assert_msg(again == half || (isnan(value) && again == (half | 0x200)), "%04x", h);
    u = h << 16;
    mxq_convert_scalars(MXQ_F32, &u, MXQ_BF16, &bf, 1, &inf);
    memcpy(&f, &u, 4);
    ck_assert_msg(bf == h || (isnan(f) && bf == (h | 0x40)), "%04x", h);
    ck_assert_uint_eq(inf, 0);
  }
}
END_TEST

START_TEST(f32_is_rounded_to_the_nearest_half_float) {
  uint64_t seed = 5, infinite = 0, counted = 0;
  for (int i = 0; i < 1000000; i++) {
    uint64_t r = next_random(&seed);
    uint32_t u = (uint32_t)r;
    if (i % 2) /* near the range of f16, often on or just beside a midpoint */
      u = (u & 0x80000000u) | (uint32_t)((0x65 + (r >> 40) % 44) << 23) | (uint32_t)(r >> 32 & 0x3FF) << 13 |
          (r >> 50 & 1 ? 0x1000u + (uint32_t)(r >> 51) % 3 - 1 : u & 0x1FFF);
    float f;
    uint16_t got = 0;
    memcpy(&f, &u, 4);
    double want = nearest_half(f), value;
    mxq_convert_scalars(MXQ_F32, &u, MXQ_F16, &got, 1, &counted);
    value = half_value(got);
    ck_assert_msg(isnan(f) ? isnan(value) : value == want && !signbit(value) == !signbit(f), "%08x: %04x", u, got);
    infinite += isfinite(f) && isinf(want);
  }
  ck_assert_uint_eq(counted, infinite);
  static const struct { uint32_t f; uint16_t b; } bf16[] = {{0x3F808000, 0x3F80}, {0x3F818000, 0x3F82}, {0x3F808001, 0x3F81},
    {0x7F7FFFFF, 0x7F80}, {0x7F800000, 0x7F80}, {0xFF7F7FFF, 0xFF7F}, {0x7F800001, 0x7FC0}, {0x00008000, 0}, {0x00018000, 2}};
  for (size_t i = 0; i < sizeof bf16 / sizeof *bf16; i++) {
    uint16_t got = 0;
    mxq_convert_scalars(MXQ_F32, &bf16[i].f, MXQ_BF16, &got, 1, &counted);
    ck_assert_msg(got == bf16[i].b, "%08x: %04x", bf16[i].f, got);
  }
  ck_assert_uint_eq(counted, infinite + 1);
}
END_TEST

START_TEST(ordinary_tensors_are_decoded_to_any_float_dtype_and_others_only_copied) {
  float f[] = {1.5f, -2, 1e-3f};
  int32_t i32[] = {1, 2, 3};
  struct given g[] = {{.name = "f", .dtype = MXQ_F32, .ndim = 1, .shape = {3}, .data = f}, {.name = "i", .dtype = MXQ_I32, .ndim = 1, .shape = {3}, .data = i32}};
  struct box file = file_of(MXQ_SAFETENSORS, g, 2, NULL, 0);
  mxq_reader *reader = open_box(file);
  struct mxq_error err = {0};
  uint16_t h[3];
  int32_t copy[3];
  size_t fi = mxq_reader_find(reader, "f"), ii = mxq_reader_find(reader, "i");
  OK(mxq_reader_decode(reader, fi, MXQ_BF16, h, 6, NULL, &err));
  ck_assert_uint_eq(h[0], 0x3FC0);
  ck_assert_uint_eq(h[2], 0x3A83);
  OK(mxq_reader_decode(reader, ii, MXQ_I32, copy, 12, NULL, &err));
  ck_assert(memcmp(copy, i32, 12) == 0);
  ck_assert_int_eq(mxq_reader_decode(reader, ii, MXQ_F32, copy, 12, NULL, &err), MXQ_ERR_USAGE);
  ck_assert_str_eq(err.subject, "i");
  mxq_reader_close(reader);
  free(file.data);
}
END_TEST

int main(void) {
  Suite *s = suite_create("convert back");
  TCase *t = tcase_create("convert back");
  tcase_set_timeout(t, 120);
  tcase_add_test(t, tensors_blocked_along_any_run_of_axes_come_back_in_their_own_order);
  tcase_add_test(t, dequantizing_gives_each_source_dtype_again_or_the_one_that_is_asked_for);
  tcase_add_test(t, values_that_become_infinite_in_a_narrow_dtype_are_counted);
  tcase_add_test(t, every_half_float_becomes_the_f32_of_its_value_and_comes_back);
  tcase_add_test(t, f32_is_rounded_to_the_nearest_half_float);
  tcase_add_test(t, ordinary_tensors_are_decoded_to_any_float_dtype_and_others_only_copied);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
