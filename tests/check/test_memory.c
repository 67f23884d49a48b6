/* SPDX-License-Identifier: MIT */
/*
 * Every row between pages that must not be touched: any count of blocks, at any place in a line, exactly the bytes of the blocks.
 * Kernels take blocks in tiles and streams write whole lines only, so counts go past several of both, and few blocks are odd ones.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "tests/check/rows.h"

enum { MOST = 112, LINE = 64, PLACES = 8 };
static const size_t further_counts[] = {47, 48, 49, 63, 64, 65, 72, 79, 80, 81, 95, 96, 97, 111, MOST};
enum { FEW = 42, COUNTS = FEW + sizeof further_counts / sizeof *further_counts };

/* Room between two guard pages; blocks stand at its beginning or its end, less than a line away. */
struct guarded {
  uint8_t *data;
  size_t room;
};
static struct guarded guarded_alloc(size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + 3 * LINE + page - 1) / page * page;
  uint8_t *map = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert(map != MAP_FAILED && mprotect(map + page, room, PROT_READ | PROT_WRITE) == 0);
  return (struct guarded){map + page, room};
}
static void guarded_free(struct guarded *g) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  munmap(g->data - page, g->room + 2 * page);
}
static uint8_t *place(const struct guarded *g, size_t bytes, size_t slack, bool at_end) { return at_end ? g->data + g->room - bytes - slack : g->data + slack; }
/* Fills the place and a line to either side, or what there is of it. */
static void mark(const struct guarded *g, uint8_t *at, size_t bytes) {
  uint8_t *from = at - g->data < LINE ? g->data : at - LINE, *to = g->data + g->room - (at + bytes) < LINE ? g->data + g->room : at + bytes + LINE;
  memset(from, 0xa5, (size_t)(to - from));
}
static void expect_marks(const struct guarded *g, const uint8_t *at, size_t bytes, int row, const char *what) {
  size_t touched = 0;
  for (const uint8_t *p = at - g->data < LINE ? g->data : at - LINE; p < at; p++) touched += *p != 0xa5;
  for (const uint8_t *p = at + bytes; p < g->data + g->room && p < at + bytes + LINE; p++) touched += *p != 0xa5;
  if (touched) ck_abort_msg("row %s writes %zu bytes outside %s", mxq_cpu_name((enum mxq_cpu)row), touched, what);
}

static size_t count_of(size_t c) { return c < FEW ? c : further_counts[c - FEW]; }
/* Places of a count: next to the guard page first, then others, all 64 of them over the counts; of each buffer another. */
static size_t slack_of(size_t c, size_t p, size_t buffer) { return p == 0 ? 0 : (c * 7 + p * 9 * (2 * buffer + 1) + buffer * 5) % LINE; }

/* The reference's answer block by block: a smaller count's is the beginning of it. */
struct whole {
  struct mxq_recipe recipe;
  uint8_t codes[MOST * 32], scales[MOST];
  size_t bad[MOST + 1];
};
static void ask(struct whole *w, int element, int lane, const uint8_t *src, struct mxq_numerics n, const struct mxq_place *at) {
  const size_t per_block = mxq_block_bytes((enum mxq_element)element);
  ck_assert(recipe_make(&w->recipe, element, n));
  for (size_t i = 0; i < MOST; i++) {
    const struct mxq_place here = {at->first + i * at->block_step, at->block_step, at->element_step};
    w->bad[i + 1] = w->bad[i] + mxq_kernels_reference.encode_any[element][lane](src + i * 32 * lane_size(lane), 1, w->codes + i * per_block,
                                                                                w->scales + i, &w->recipe, &here);
  }
}

START_TEST(encoders_touch_exactly_their_blocks_at_any_place) {
  static const struct mxq_numerics asked[] = {{.scale_rule = MXQ_SCALE_AUTO}, {.scale_rule = MXQ_SCALE_FLOOR}, {.scale_rule = MXQ_SCALE_MSE},
                                              {.round = MXQ_ROUND_STOCHASTIC, .seed = 5}, {.round = MXQ_ROUND_HALF_ZERO, .neg_zero = MXQ_NEG_ZERO_DROP}};
  enum { ASKED = sizeof asked / sizeof *asked };
  static struct whole want[ASKED];
  const struct mxq_place at = {77, 32, 1};
  const size_t per_block = mxq_block_bytes((enum mxq_element)_i);
  struct guarded src = guarded_alloc(MOST * 128), codes = guarded_alloc(MOST * 32), scales = guarded_alloc(MOST);
  uint64_t seed = 5;
  size_t touched_places = 0;
  for (int l = 0; l < MXQ_LANES; l++) {
    static uint8_t values[MOST * 128];
    for (size_t i = 0; i < MOST * 32; i++) {
      uint32_t r = next_random(&seed), u = (r & 0x807fffff) | (110 + (r >> 24 & 7) + (uint32_t)(i / 32 % 9)) << 23;
      if (i / 32 == 21) u = i % 32 == 9 ? 0x7f800000 : u; /* of f16 the largest number */
      if (i / 32 == 38 || i / 32 == 98) u = r & 0x80000000;
      put_scalar(values, i, l, u);
      if (i / 32 == 40 && i % 32 == 30) memcpy(values + i * lane_size(l), l == MXQ_LANE_F32 ? (uint8_t[]){1, 0, 0x80, 0xff} : (uint8_t[]){1, 0x7f}, lane_size(l));
    }
    for (size_t a = 0; a < ASKED; a++) ask(&want[a], _i, l, values, asked[a], &at);
    for (size_t c = 0; c < COUNTS; c++)
      for (size_t p = 0; p < PLACES * 2; p++) {
        const bool at_end = p % 2;
        const size_t n = count_of(c), wide = n * 32 * lane_size(l), narrow = n * per_block;
        uint8_t *s = place(&src, wide, slack_of(c, p / 2, 0), at_end), *k = place(&codes, narrow, slack_of(c, p / 2, 1), at_end),
                *b = place(&scales, n, slack_of(c, p / 2, 2), at_end);
        memcpy(s, values, wide);
        for (int row = 1; row < MXQ_CPU_COUNT; row++)
          for (size_t slot = 0; row_runs(row) && slot < 4; slot++) { /* plain, streamed, any */
            struct whole *w = slot < 2 ? &want[(c + p) % 3] : &want[slot == 2 ? (c + p) % 3 : 3 + (c + p) % 2];
            size_t bad;
            if (slot < 2 ? !mxq_kernel_rows[row]->encode[_i][l] : !mxq_kernel_rows[row]->encode_any[_i][l]) continue;
            mark(&codes, k, narrow);
            mark(&scales, b, n);
            w->recipe.stream = slot == 1;
            if (slot < 2) bad = mxq_kernel_rows[row]->encode[_i][l](s, n, k, b, &w->recipe);
            else bad = mxq_kernel_rows[row]->encode_any[_i][l](s, n, k, b, &w->recipe, &at);
            expect_same("scales", row, _i, l, &w->recipe, b, w->scales, n, 1);
            expect_same("codes", row, _i, l, &w->recipe, k, w->codes, narrow, per_block);
            if (bad != w->bad[n]) ck_abort_msg("row %s: %zu bad of %zu blocks, not %zu", mxq_cpu_name((enum mxq_cpu)row), bad, n, w->bad[n]);
            expect_marks(&codes, k, narrow, row, "the codes");
            expect_marks(&scales, b, n, row, "the scales");
            touched_places++;
          }
      }
  }
  ck_assert_uint_ge(touched_places, (size_t)MXQ_LANES * COUNTS * PLACES * 2 * 4);
  guarded_free(&src);
  guarded_free(&codes);
  guarded_free(&scales);
}
END_TEST

/*
 * Decoders that stream write whole lines of 64 bytes, put together from two vectors where no block begins at a line. Codes and scales are
 * random, so that there are Inf, NaN, and results that leave the dtype, which are counted.
 */
START_TEST(decoders_touch_exactly_their_blocks_at_any_place) {
  const size_t per_block = mxq_block_bytes((enum mxq_element)_i);
  struct guarded codes = guarded_alloc(MOST * 32), scales = guarded_alloc(MOST), back = guarded_alloc(MOST * 128);
  static uint8_t all_codes[MOST * 32], all_scales[MOST], want[MOST * 128];
  uint64_t seed = 11;
  for (size_t i = 0; i < MOST * per_block; i++) all_codes[i] = (uint8_t)next_random(&seed);
  for (size_t i = 0; i < MOST; i++) all_scales[i] = (uint8_t)(i % 4 ? 104 + next_random(&seed) % 40 : i % 8 ? next_random(&seed) : 248 + next_random(&seed) % 8);
  for (int l = 0; l < MXQ_LANES; l++) {
    const size_t per_wide = 32 * lane_size(l);
    size_t lost[MOST + 1] = {0};
    for (size_t i = 0; i < MOST; i++)
      lost[i + 1] = lost[i] + mxq_kernels_reference.decode[_i][l](all_codes + i * per_block, all_scales + i, 1, want + i * per_wide, false);
    ck_assert(l != MXQ_LANE_F16 || lost[MOST] > 0); /* bf16 has room for every code */
    for (size_t c = 0; c < COUNTS; c++)
      for (size_t p = 0; p < (c % 5 == 0 ? LINE : PLACES) * 2; p++) {
        const bool at_end = p % 2;
        const size_t n = count_of(c), wide = n * per_wide, narrow = n * per_block;
        uint8_t *k = place(&codes, narrow, slack_of(c, p / 2, 0), at_end), *b = place(&scales, n, slack_of(c, p / 2, 1), at_end),
                *d = place(&back, wide, slack_of(c, p / 2, 2), at_end);
        memcpy(k, all_codes, narrow);
        memcpy(b, all_scales, n);
        for (int row = 1; row < MXQ_CPU_COUNT; row++)
          for (int stream = 0; row_runs(row) && mxq_kernel_rows[row]->decode[_i][l] && stream < 2; stream++) {
            mark(&back, d, wide);
            const size_t got = mxq_kernel_rows[row]->decode[_i][l](k, b, n, d, stream);
            expect_same("values", row, _i, l, NULL, d, want, wide, per_wide);
            if (got != lost[n]) ck_abort_msg("row %s: %zu of %zu blocks' values left the dtype, not %zu", mxq_cpu_name((enum mxq_cpu)row), got, n, lost[n]);
            expect_marks(&back, d, wide, row, "the values");
          }
      }
  }
  guarded_free(&codes);
  guarded_free(&scales);
  guarded_free(&back);
}
END_TEST

/* Sums of statistics are the same bits in every row, and right: against sums in double, one scalar at a time. */
START_TEST(measures_read_exactly_their_scalars_and_are_the_same_in_every_row) {
  static float x[MOST * 32], y[MOST * 32];
  static uint8_t scales[MOST];
  struct guarded gx = guarded_alloc(sizeof x), gy = guarded_alloc(sizeof y), gs = guarded_alloc(MOST);
  const float most = mxq_element_value((enum mxq_element)_i, (uint8_t[]){7, 31, 31, 0x7e, 0x7b, 127}[_i]);
  uint64_t seed = 3;
  for (size_t i = 0; i < MOST * 32; i++) {
    uint32_t r = next_random(&seed), e = 118 + (uint32_t)(i / 32 % 7);
    float error = (float)(r >> 8 & 255) * 0x1p-12f;
    scales[i / 32] = (uint8_t)(i / 32 == 30 ? 255 : i / 32 == 31 ? 255 : e - 8u * (_i == MXQ_E5M2));
    r = (r & 0x807fffff) | (e + (r >> 24) % 12) << 23;
    memcpy(&x[i], &r, 4);
    y[i] = r % 7 ? x[i] - x[i] * error : 0;
    if (i % 67 == 0) x[i] = r % 2 ? -0.0f : 0;
    if (i / 32 == 31 || (i / 32 == 40 && i % 32 == 3)) x[i] = r % 2 ? (float)1e39 : -(float)1e39;
    if (i / 32 == 41 && i % 32 == 31) x[i] = (float)1e39 - (float)1e39;
    if (scales[i / 32] == 255) y[i] = (float)1e39 - (float)1e39;
  }
  for (size_t c = 0; c < 130; c++)
    for (int at_end = 0; at_end < 2; at_end++) {
      const size_t n = c < 100 ? c : c * 27 - (c % 3), blocks = (n + 31) / 32;
      struct mxq_stats want = {0}, first = {0};
      for (size_t i = 0; i < n; i++) {
        const float scale = mxq_e8m0_value(scales[i / 32]);
        const bool bad = !(x[i] - x[i] == 0);
        want.nonfinite += bad;
        if (scales[i / 32] == 255) {
          bool any_bad = false;
          for (size_t j = i / 32 * 32; j < n && j < i / 32 * 32 + 32; j++) any_bad = any_bad || !(x[j] - x[j] == 0);
          want.overflowed += i % 32 == 0 && !any_bad;
          want.zeroed += !bad && x[i] != 0;
          continue;
        }
        if (bad) continue;
        want.clipped += x[i] > most * scale || x[i] < -most * scale;
        want.zeroed += x[i] != 0 && y[i] == 0;
        want.signal += (double)x[i] * x[i];
        want.noise += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
      }
      float *px = (float *)(void *)place(&gx, n * 4, c % 16 * 4, at_end), *py = (float *)(void *)place(&gy, n * 4, c % 13 * 4, at_end);
      uint8_t *ps = place(&gs, blocks, c % 7, at_end);
      memcpy(px, x, n * 4);
      memcpy(py, y, n * 4);
      memcpy(ps, scales, blocks);
      for (int row = 1; row < MXQ_CPU_COUNT; row++) {
        struct mxq_stats got = {0};
        if (!row_runs(row) || !mxq_kernel_rows[row]->measure) continue;
        mxq_kernel_rows[row]->measure(px, py, ps, n, (enum mxq_element)_i, &got);
        if (first.elements == 0) first = got;
        ck_assert_mem_eq(&got, &first, sizeof got);
      }
      ck_assert(first.elements == n && first.blocks == blocks && first.clipped == want.clipped && first.zeroed == want.zeroed);
      ck_assert(first.nonfinite == want.nonfinite && first.overflowed == want.overflowed);
      ck_assert_double_eq_tol(first.signal, want.signal, want.signal * 1e-5 + 1e-300);
      ck_assert_double_eq_tol(first.noise, want.noise, want.noise * 1e-5 + 1e-300);
    }
  guarded_free(&gx);
  guarded_free(&gy);
  guarded_free(&gs);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("memory");
  TCase *c = tcase_create("memory");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, encoders_touch_exactly_their_blocks_at_any_place, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, decoders_touch_exactly_their_blocks_at_any_place, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, measures_read_exactly_their_scalars_and_are_the_same_in_every_row, 0, MXQ_ELEMENT_COUNT);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
