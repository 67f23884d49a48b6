/* SPDX-License-Identifier: MIT */
/* Blocks along an axis that is not the last: against a transposed copy and the codec of rows. */
#include <check.h>
#include <mxq/mxq.h>
#include <stdlib.h>
#include <string.h>

enum { FILL = 0xa5 };
static const enum mxq_dtype dtypes[] = {MXQ_F32, MXQ_BF16, MXQ_F16};

static uint64_t seed;
static uint32_t any(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 32);
}

/* Bytes that are watched: all of them hold FILL at first, some more lie on either side. */
struct room { uint8_t *base, *data; size_t n; };
enum { MARGIN = 96 };
static struct room room(size_t n, size_t off) {
  struct room r = {.base = malloc(n + 2 * MARGIN), .n = n};
  ck_assert_ptr_nonnull(r.base);
  memset(r.base, FILL, n + 2 * MARGIN);
  r.data = r.base + MARGIN / 2 + off;
  return r;
}
static void check_rows(const struct room *r, size_t rows, size_t stride, size_t bytes, const uint8_t *expected, const char *what) {
  struct room want = room(r->n, (size_t)(r->data - r->base) - MARGIN / 2);
  for (size_t i = 0; i < rows; i++) memcpy(want.data + i * stride, expected + i * bytes, bytes);
  ck_assert_msg(memcmp(r->base, want.base, r->n + 2 * MARGIN) == 0, "%s differ, or something beside them was written", what);
  free(want.base);
}

struct job {
  enum mxq_format format;
  enum mxq_dtype dtype;
  struct mxq_columns shape;
  size_t gap, off;          /* between lines and rows, in bytes; of buffers from alignment */
  struct mxq_numerics numerics;
};
static size_t size_of(const struct job *j) { return j->dtype == MXQ_F32 ? 4 : 2; }
static size_t count(const struct job *j) { return j->shape.outer * j->shape.k * j->shape.inner; }

/* Values of all magnitudes, zeros, subnormals; specials if the policy allows. */
static uint8_t *values_of(const struct job *j) {
  const size_t n = count(j), size = size_of(j);
  uint8_t *v = malloc(n * size + 1);
  ck_assert_ptr_nonnull(v);
  for (size_t i = 0; i < n; i++) {
    uint32_t u = any(), pick = u >> 8 & 63;
    const uint32_t exponent = j->dtype == MXQ_F16 ? 0x7c00 : j->dtype == MXQ_BF16 ? 0x7f80 : 0x7f800000;
    uint32_t sign = size == 4 ? 0x80000000 : 0x8000, x = size == 4 ? any() : any() & 0xffff;
    if (pick > 3) x = (x & ~exponent) | (exponent / 2 & exponent) | (x & exponent & (exponent >> 2)); /* one size */
    if (pick == 0) x &= sign;
    if (pick == 1) x &= ~exponent;
    if ((x & exponent) == exponent && (j->numerics.nonfinite == MXQ_NONFINITE_ERROR || any() % 4)) x ^= exponent / 2 & exponent;
    if ((x & exponent) == exponent && j->numerics.nonfinite == MXQ_NONFINITE_SATURATE) x &= sign | exponent;
    memcpy(v + i * size, &x, size);
  }
  return v;
}

/* [outer, k, inner] to [outer, inner, k]. */
static uint8_t *transposed(const struct job *j, const uint8_t *v) {
  const struct mxq_columns *s = &j->shape;
  const size_t size = size_of(j);
  uint8_t *t = malloc(count(j) * size + 1);
  for (size_t o = 0; o < s->outer; o++)
    for (size_t c = 0; c < s->k; c++)
      for (size_t i = 0; i < s->inner; i++) memcpy(t + ((o * s->inner + i) * s->k + c) * size, v + ((o * s->k + c) * s->inner + i) * size, size);
  return t;
}

static void same_stats(const struct mxq_stats *a, const struct mxq_stats *b) {
  ck_assert_uint_eq(a->elements, b->elements);
  ck_assert_uint_eq(a->blocks, b->blocks);
  ck_assert_uint_eq(a->clipped, b->clipped);
  ck_assert_uint_eq(a->zeroed, b->zeroed);
  ck_assert_uint_eq(a->overflowed, b->overflowed);
  ck_assert_uint_eq(a->nonfinite, b->nonfinite);
  ck_assert(a->signal == b->signal || (a->signal - b->signal < 1e-9 * a->signal && b->signal - a->signal < 1e-9 * a->signal));
  ck_assert(a->noise == b->noise || (a->noise - b->noise < 1e-9 * a->noise && b->noise - a->noise < 1e-9 * a->noise));
}

/* What the codec of rows makes of rows * k scalars. */
struct made { uint8_t *codes, *scales; struct mxq_stats stats; enum mxq_status status; uint64_t bad; };
static struct made rows_made(const struct job *j, const uint8_t *v, size_t rows, size_t k, uint64_t inner) {
  struct made m = {0};
  struct mxq_error err = {0};
  struct mxq_rows shape = {.rows = rows, .k = k, .first = j->shape.first, .inner = inner};
  m.codes = malloc(rows * (size_t)mxq_row_code_bytes(j->format, k) + 1);
  m.scales = malloc(rows * (size_t)mxq_row_blocks(k) + 1);
  m.status = mxq_encode(j->format, j->dtype, v, &shape, m.codes, m.scales, &j->numerics, NULL, &m.stats, &err);
  m.bad = err.offset;
  return m;
}
static void made_free(struct made *m) { free(m->codes), free(m->scales); }

static void check_job(const struct job *j) {
  const struct mxq_columns *s = &j->shape;
  const size_t size = size_of(j), rows = s->outer * s->inner, lines = s->outer * s->k;
  const size_t code_bytes = (size_t)mxq_row_code_bytes(j->format, s->k), scale_bytes = (size_t)mxq_row_blocks(s->k);
  const size_t line_code_bytes = (size_t)mxq_row_code_bytes(j->format, s->inner), line_scale_bytes = (size_t)mxq_row_blocks(s->inner);
  uint8_t *v = values_of(j), *t = transposed(j, v);
  struct made columns = rows_made(j, t, rows, s->k, s->inner), straight = rows_made(j, v, lines, s->inner, 1);
  struct mxq_columns strided = *s;
  if (j->gap) {
    strided.line_stride = s->inner * size + j->gap;
    strided.matrix_stride = s->k * strided.line_stride + 3 * j->gap;
    strided.codes_stride = code_bytes + j->gap;
    strided.scales_stride = scale_bytes + j->gap;
    strided.line_codes_stride = line_code_bytes + j->gap;
    strided.line_scales_stride = line_scale_bytes + j->gap;
  }
  const size_t line_stride = s->inner * size + j->gap, matrix_stride = s->k * line_stride + 3 * j->gap;
  struct room source = room(s->outer * matrix_stride, j->off);
  for (size_t i = 0; i < lines; i++) memcpy(source.data + i / s->k * matrix_stride + i % s->k * line_stride, v + i * s->inner * size, s->inner * size);

  mxq_pool *pool = mxq_pool_create(3);
  for (unsigned threads = 1; threads <= 3; threads += 2)
    for (int both = 0; both < 2; both++) {
      struct room codes = room(rows * (code_bytes + j->gap), j->off), scales = room(rows * (scale_bytes + j->gap), j->off);
      struct room line_codes = room(lines * (line_code_bytes + j->gap), j->off), line_scales = room(lines * (line_scale_bytes + j->gap), j->off);
      struct mxq_stats stats[2] = {{0}, {0}};
      struct mxq_error err = {0};
      enum mxq_status status;
      if (both)
        status = mxq_encode_both(j->format, j->dtype, source.data, &strided, line_codes.data, line_scales.data, codes.data, scales.data, &j->numerics,
                                 threads == 1 ? NULL : mxq_pool_runner(pool), threads == 1 ? stats : NULL, &err);
      else
        status = mxq_encode_columns(j->format, j->dtype, source.data, &strided, codes.data, scales.data, &j->numerics,
                                    threads == 1 ? NULL : mxq_pool_runner(pool), threads == 1 ? &stats[1] : NULL, &err);
      ck_assert_int_eq(status, columns.status);
      if (status == MXQ_ERR_NONFINITE) {
        ck_assert_uint_eq(err.offset, straight.bad);
      } else {
        check_rows(&codes, rows, code_bytes + j->gap, code_bytes, columns.codes, "codes");
        check_rows(&scales, rows, scale_bytes + j->gap, scale_bytes, columns.scales, "scales");
        if (threads == 1) same_stats(&stats[1], &columns.stats);
        if (both) {
          check_rows(&line_codes, lines, line_code_bytes + j->gap, line_code_bytes, straight.codes, "codes of lines");
          check_rows(&line_scales, lines, line_scale_bytes + j->gap, line_scale_bytes, straight.scales, "scales of lines");
          if (threads == 1) same_stats(&stats[0], &straight.stats);
        }
      }
      free(codes.base), free(scales.base), free(line_codes.base), free(line_scales.base);
    }


  /* And back, of codes with something in the padding. */
  if (columns.status == MXQ_OK && rows && s->k) {
    uint64_t lost = 5, lost_rows = 5;
    struct mxq_error err = {0};
    struct mxq_rows shape = {.rows = rows, .k = s->k};
    const size_t used = (s->k * mxq_element_bits(mxq_format_element(j->format)) + 7) / 8;
    for (size_t r = 0; r < rows; r++) {
      columns.scales[r * scale_bytes + any() % scale_bytes] = (uint8_t)(any() % 4 ? 254 : 255);
      for (size_t i = used; i < code_bytes; i++) columns.codes[r * code_bytes + i] = (uint8_t)any();
    }
    ck_assert_int_eq(mxq_decode(j->format, j->dtype, columns.codes, columns.scales, &shape, t, NULL, &lost_rows, &err), MXQ_OK);
    struct room codes = room(rows * (code_bytes + j->gap), j->off), scales = room(rows * (scale_bytes + j->gap), j->off);
    for (size_t r = 0; r < rows; r++) {
      memcpy(codes.data + r * (code_bytes + j->gap), columns.codes + r * code_bytes, code_bytes);
      memcpy(scales.data + r * (scale_bytes + j->gap), columns.scales + r * scale_bytes, scale_bytes);
    }
    struct room dst = room(source.n, j->off), want = room(source.n, j->off);
    for (size_t o = 0; o < s->outer; o++)
      for (size_t c = 0; c < s->k; c++)
        for (size_t i = 0; i < s->inner; i++)
          memcpy(want.data + o * matrix_stride + c * line_stride + i * size, t + ((o * s->inner + i) * s->k + c) * size, size);
    ck_assert_int_eq(mxq_decode_columns(j->format, j->dtype, codes.data, scales.data, &strided, dst.data, any() % 2 ? mxq_pool_runner(pool) : NULL, &lost, &err), MXQ_OK);
    ck_assert_msg(memcmp(dst.base, want.base, dst.n + 2 * MARGIN) == 0, "values differ, or something beside them was written");
    ck_assert_uint_eq(lost, lost_rows);
    free(codes.base), free(scales.base), free(dst.base), free(want.base);
  }
  mxq_pool_free(pool);
  made_free(&columns), made_free(&straight);
  free(source.base), free(v), free(t);
}

static const size_t inners[] = {1, 2, 3, 7, 8, 15, 16, 17, 33, 100, 300};
static const size_t ks[] = {1, 5, 31, 32, 33, 64, 100, 160, 257};

/* Where tests leave the shape open, a few of them in turn. */
static struct mxq_columns shape_of(size_t n) {
  static const size_t outers[] = {1, 3, 2, 40};
  return (struct mxq_columns){.outer = outers[n % 4], .k = ks[n % (sizeof ks / sizeof *ks)], .inner = inners[n % (sizeof inners / sizeof *inners)]};
}

START_TEST(every_shape_is_as_if_transposed) {
  const enum mxq_format format = (enum mxq_format)(MXQ_MXFP4 + _i / 3);
  for (size_t outer = 1; outer <= 3; outer += 2)
    for (size_t a = 0; a < sizeof ks / sizeof *ks; a++)
      for (size_t b = 0; b < sizeof inners / sizeof *inners; b++)
        for (size_t gap = 0; gap <= 5; gap += 5) {
          struct job j = {.format = format, .dtype = dtypes[_i % 3], .shape = {.outer = outer, .k = ks[a], .inner = inners[b]}, .gap = gap, .off = gap * 3};
          check_job(&j);
        }
}
END_TEST

START_TEST(long_runs_and_long_lines_are_as_if_transposed) {
  static const size_t shapes[][3] = {{1, 2100, 300}, {2, 40, 1100}, {1, 33, 2500}, {3, 4200, 5}, {700, 32, 9}, {1, 70, 1024}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    struct job j = {.format = (enum mxq_format)(MXQ_MXFP4 + _i / 3), .dtype = dtypes[_i % 3],
                    .shape = {.outer = shapes[i][0], .k = shapes[i][1], .inner = shapes[i][2]}};
    check_job(&j);
  }
}
END_TEST

START_TEST(every_rule_rounding_and_preset_is_as_if_transposed) {
  const enum mxq_format format = (enum mxq_format)(MXQ_MXFP4 + _i / 3);
  size_t n = 0;
  for (int rule = 0; rule < MXQ_SCALE_RULE_COUNT; rule++)
    for (int round = 0; round < MXQ_ROUND_COUNT; round++, n++) {
      struct job j = {.format = format, .dtype = dtypes[_i % 3], .shape = shape_of(n), .gap = n % 3,
                      .numerics = {.scale_rule = (enum mxq_scale_rule)rule, .round = (enum mxq_round)round, .seed = n,
                                   .nonfinite = (enum mxq_nonfinite)(n / 7 % MXQ_NONFINITE_COUNT)}};
      if (mxq_numerics_resolve(format, &j.numerics, &(struct mxq_error){0}) == MXQ_OK) check_job(&j);
    }
  for (int compat = 0; compat < MXQ_COMPAT_COUNT; compat++)
    for (int policy = 0; policy < MXQ_NONFINITE_COUNT; policy++, n++) {
      struct job j = {.format = format, .dtype = dtypes[_i % 3], .shape = shape_of(n), .gap = n % 2,
                      .numerics = {.compat = (enum mxq_compat)compat, .nonfinite = (enum mxq_nonfinite)policy}};
      if (mxq_numerics_resolve(format, &j.numerics, &(struct mxq_error){0}) == MXQ_OK) check_job(&j);
    }
}
END_TEST

/* Parts of a larger tensor that state their place get the whole's bits. */
START_TEST(stochastic_parts_have_the_bits_of_the_whole) {
  struct job j = {.format = MXQ_MXFP8_E4M3, .dtype = MXQ_F32, .shape = {.outer = 3, .k = 70, .inner = 50}, .numerics = {.round = MXQ_ROUND_STOCHASTIC, .seed = 99}};
  uint8_t *v = values_of(&j);
  struct mxq_error err = {0};
  const struct mxq_columns *s = &j.shape;
  const size_t row = (size_t)mxq_row_code_bytes(j.format, s->k);
  uint8_t whole[150 * 96], whole_scales[150 * 3], part[150 * 96], part_scales[150 * 3];
  mxq_pool *pool = mxq_pool_create(2);
  ck_assert_int_eq(mxq_encode_columns(j.format, j.dtype, v, s, whole, whole_scales, &j.numerics, mxq_pool_runner(pool), NULL, &err), MXQ_OK);
  mxq_pool_free(pool);
  for (size_t o = 0; o < s->outer; o++)
    for (size_t i = 0; i < s->inner; i += 20)
      for (size_t c = 0; c < s->k; c += 32) { /* some columns, some whole blocks of the run */
        const size_t left = s->inner - i < 20 ? s->inner - i : 20, lines = s->k - c < 32 ? s->k - c : 32, at = (o * s->k + c) * s->inner + i;
        struct mxq_columns some = {.outer = 1, .k = lines, .inner = left, .line_stride = s->inner * 4, .codes_stride = row, .scales_stride = 3, .first = at,
                                   .line_step = s->inner};
        ck_assert_int_eq(mxq_encode_columns(j.format, j.dtype, v + at * 4, &some, part + (o * s->inner + i) * row + c, part_scales + (o * s->inner + i) * 3 + c / 32,
                                            &j.numerics, NULL, NULL, &err), MXQ_OK);
      }
  ck_assert(memcmp(part, whole, sizeof whole) == 0 && memcmp(part_scales, whole_scales, sizeof whole_scales) == 0);
  /* Columns of all matrices, without the last lines. */
  struct mxq_columns some = {.outer = 3, .k = 64, .inner = 20, .line_stride = s->inner * 4, .matrix_stride = s->k * s->inner * 4, .first = 7,
                             .line_step = s->inner, .matrix_step = s->k * s->inner};
  ck_assert_int_eq(mxq_encode_columns(j.format, j.dtype, v + 7 * 4, &some, part, part_scales, &j.numerics, NULL, NULL, &err), MXQ_OK);
  for (size_t i = 0; i < 60; i++) ck_assert(memcmp(part + i * 64, whole + (i / 20 * s->inner + 7 + i % 20) * row, 64) == 0);
  free(v);
}
END_TEST

START_TEST(empty_shapes_are_nothing_to_do_and_huge_ones_are_refused) {
  static const struct mxq_columns empty[] = {{.outer = 0, .k = 9, .inner = 9}, {.outer = 9, .k = 0, .inner = 9}, {.outer = 9, .k = 9, .inner = 0}};
  static const struct mxq_columns huge[] = {{.outer = SIZE_MAX / 2, .k = 3, .inner = 1}, {.outer = 1, .k = SIZE_MAX / 4, .inner = 3}, {.outer = 2, .k = 1, .inner = SIZE_MAX / 4}};
  struct mxq_error err = {0};
  for (size_t i = 0; i < 3; i++) {
    ck_assert_int_eq(mxq_encode_columns(MXQ_MXFP4, MXQ_F32, NULL, &empty[i], NULL, NULL, NULL, NULL, NULL, &err), MXQ_OK);
    ck_assert_int_eq(mxq_encode_both(MXQ_MXFP4, MXQ_F32, NULL, &empty[i], NULL, NULL, NULL, NULL, NULL, NULL, NULL, &err), MXQ_OK);
    ck_assert_int_eq(mxq_decode_columns(MXQ_MXFP4, MXQ_F32, NULL, NULL, &empty[i], NULL, NULL, NULL, &err), MXQ_OK);
    ck_assert_int_eq(mxq_encode_columns(MXQ_MXFP4, MXQ_F32, NULL, &huge[i], NULL, NULL, NULL, NULL, NULL, &err), MXQ_ERR_USAGE);
    ck_assert_int_eq(mxq_encode_both(MXQ_MXFP4, MXQ_F32, NULL, &huge[i], NULL, NULL, NULL, NULL, NULL, NULL, NULL, &err), MXQ_ERR_USAGE);
    ck_assert_int_eq(mxq_decode_columns(MXQ_MXFP4, MXQ_F32, NULL, NULL, &huge[i], NULL, NULL, NULL, &err), MXQ_ERR_USAGE);
  }
  struct mxq_numerics n = {.scale_rule = MXQ_SCALE_RCEIL_725};
  ck_assert_int_eq(mxq_encode_columns(MXQ_MXFP8_E4M3, MXQ_F32, NULL, &huge[0], NULL, NULL, &n, NULL, NULL, &err), MXQ_ERR_USAGE);
}
END_TEST

int main(void) {
  Suite *s = suite_create("columns");
  TCase *t = tcase_create("columns");
  tcase_set_timeout(t, 600);
  tcase_add_loop_test(t, every_shape_is_as_if_transposed, 0, 18);
  tcase_add_loop_test(t, long_runs_and_long_lines_are_as_if_transposed, 0, 18);
  tcase_add_loop_test(t, every_rule_rounding_and_preset_is_as_if_transposed, 0, 18);
  tcase_add_test(t, stochastic_parts_have_the_bits_of_the_whole);
  tcase_add_test(t, empty_shapes_are_nothing_to_do_and_huge_ones_are_refused);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
