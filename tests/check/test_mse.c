/* SPDX-License-Identifier: MIT */
/*
 * MSE where its two candidates are nearly equal: in random blocks one scalar is moved until the reference changes its mind, and every row is
 * asked there and one step to either side. Rows decide most blocks by sums in f32; only here is it seen that they know when to look closer.
 */
#include "tests/check/rows.h"

enum { BLOCKS = 300, STEPS = 48 };
static const enum mxq_round roundings[] = {MXQ_ROUND_RNE, MXQ_ROUND_HALF_AWAY, MXQ_ROUND_HALF_ZERO, MXQ_ROUND_TRUNC};

static uint8_t chosen(int element, const uint32_t u[32], const struct mxq_recipe *r) {
  uint8_t codes[32], scale;
  const struct mxq_place place = {0, MXQ_BLOCK, 1};
  mxq_kernels_reference.encode_any[element][MXQ_LANE_F32](u, 1, codes, &scale, r, &place);
  return scale;
}

static void every_row(int element, const uint32_t u[32], const struct mxq_recipe *r) {
  uint8_t want[32], codes[32], scale, s;
  const struct mxq_place place = {0, MXQ_BLOCK, 1};
  mxq_kernels_reference.encode_any[element][MXQ_LANE_F32](u, 1, want, &scale, r, &place);
  for (int row = 1; row < MXQ_CPU_COUNT; row++) {
    if (!row_runs(row)) continue;
    for (int any = 0; any < 2; any++) {
      if (any && mxq_kernel_rows[row]->encode_any[element][MXQ_LANE_F32])
        mxq_kernel_rows[row]->encode_any[element][MXQ_LANE_F32](u, 1, codes, &s, r, &place);
      else if (!any && r->plain && mxq_kernel_rows[row]->encode[element][MXQ_LANE_F32])
        mxq_kernel_rows[row]->encode[element][MXQ_LANE_F32](u, 1, codes, &s, r);
      else
        continue;
      if (s != scale || memcmp(codes, want, mxq_block_bytes((enum mxq_element)element)))
        ck_abort_msg("row %s, %s: scale %u, not %u", mxq_cpu_name((enum mxq_cpu)row), mxq_element_name((enum mxq_element)element), s, scale);
    }
  }
}

START_TEST(rows_choose_as_the_reference_where_both_candidates_nearly_tie) {
  uint64_t seed = 1 + (uint64_t)_i;
  size_t turns = 0;
  for (size_t round = 0; round < sizeof roundings / sizeof *roundings; round++) {
    struct mxq_recipe r;
    ck_assert(recipe_make(&r, _i, (struct mxq_numerics){.scale_rule = MXQ_SCALE_MSE, .round = roundings[round]}));
    for (int block = 0; block < BLOCKS; block++) {
      uint32_t u[32], spread = 1 + next_random(&seed) % 6, top = 100 + next_random(&seed) % 40, largest;
      for (int i = 0; i < 32; i++) u[i] = (next_random(&seed) & 0x807fffff) | (top - next_random(&seed) % spread) << 23;
      if (block % 10 == 9) /* few scalars that are no code: ties of nothing against nothing are near */
        for (int i = 1; i < 32; i++) u[i] &= i % 3 ? 0xff800000 : 0xffe00000;
      largest = (next_random(&seed) & 0x7fffff) | top << 23;
      for (int i = 0; i < 32; i++)
        if ((u[i] & 0x7fffffff) > largest) u[i] = (u[i] & 0x80000000) | largest;
      /* Most often the largest one decides: how much of it a scale cuts off. */
      const int moved = block % 4 ? 31 : (int)(next_random(&seed) % 31);
      u[31] = largest;
      uint32_t low = (moved == 31 ? top : top - 7) << 23, width = ((moved == 31 ? (top + 1) << 23 : largest) - low) / STEPS;
      u[moved] = low;
      uint8_t before = chosen(_i, u, &r);
      for (int k = 1; k <= STEPS; k++) {
        u[moved] = low + width;
        const uint8_t after = chosen(_i, u, &r);
        if (after != before) {
          uint32_t a = low, b = low + width;
          while (b - a > 1) {
            u[moved] = a + (b - a) / 2;
            if (chosen(_i, u, &r) == before) a = u[moved];
            else b = u[moved];
          }
          for (uint32_t v = a - 2; v != b + 3; v++) {
            u[moved] = v;
            every_row(_i, u, &r);
          }
          turns++;
        }
        before = after;
        low += width;
      }
    }
  }
  printf("# %s: %zu turning points of mse\n", mxq_element_name((enum mxq_element)_i), turns);
  ck_assert_uint_gt(turns, 50);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mse");
  TCase *t = tcase_create("mse");
  tcase_set_timeout(t, 120);
  tcase_add_loop_test(t, rows_choose_as_the_reference_where_both_candidates_nearly_tie, 0, MXQ_ELEMENT_COUNT);
  suite_add_tcase(suite, t);
  return run_suite(suite);
}
