/* SPDX-License-Identifier: MIT */
/* Every recipe that can be asked for, out of the lists of rules, roundings, zeros, presets and policies: all rows against the reference. */
#include "tests/check/rows.h"

enum { RANDOM_BLOCKS = 24, MOST_BLOCKS = RANDOM_BLOCKS + 128 };

/*
 * Random bits, with NaN and Inf; weight-like values, one block of zeros of either sign among them; values on and beside the grid of the element
 * type and its midpoints, behind an anchor that fixes the scale, of both signs. Returns the number of blocks.
 */
static size_t fill(uint32_t *u, int element, uint64_t *seed) {
  static uint32_t list[4096];
  const size_t n = values_and_midpoints(element, list);
  size_t b = 0, at = next_random(seed) % n;
  for (; b < RANDOM_BLOCKS; b++)
    for (size_t i = 0; i < 32; i++) {
      uint32_t r = next_random(seed), e = 100 + (uint32_t)(b * 5 % 60);
      if (b >= 8 && b < 12) e = 16 + (uint32_t)(b - 8) * 70; /* all, some Inf; one NaN; both; where a scale that Inf asks for leaves something */
      if (b >= 8 && b < 12 && (b == 8 || r % 8 == b - 8)) r = (r & 0x80000000) | (b == 10 || (b == 11 && i % 2) ? 0x7fc00000 : 0x7f800000);
      else r = b >= 8 && b < 12 ? (r & 0x807fffff) | (e + (r >> 24 & 31)) << 23 : r;
      u[b * 32 + i] = b >= 8 && b < 12 ? r : b == 17 ? r & 0x80000000 : b % 2 ? (r & 0x807fffff) | (e - (r >> 24 & 7)) << 23 : r;
    }
  for (size_t end = b + (2 * n + 30) / 31; b < end; b++) {
    const uint32_t e = b % 3 ? 0 : next_random(seed) % 40; /* another scale, the same codes */
    for (size_t i = 0; i < 32; i++, at += i > 0) {
      uint32_t v = i == 0 ? (uint32_t)(127 + mxq_element_emax((enum mxq_element)element)) << 23 : list[at % n];
      if (v >> 23) v += e << 23;
      else if (e) v = 0;
      u[b * 32 + i] = v | (at / n % 2 ? 0x80000000 : 0);
    }
  }
  return b;
}

static size_t compared;
/* Recipes differ by fewer numbers than there are ways to ask for them: each of them once. */
static bool is_new(const struct mxq_recipe *recipe) {
  static struct mxq_recipe *seen;
  static size_t room;
  for (size_t i = 0; i < compared; i++)
    if (memcmp(&seen[i], recipe, sizeof *recipe) == 0) return false;
  if (compared == room) {
    room += 1024;
    seen = realloc(seen, room * sizeof *seen);
    ck_assert_ptr_nonnull(seen);
  }
  seen[compared++] = *recipe;
  return true;
}

static void ask(int element, struct mxq_numerics n, uint64_t *seed) {
  static const struct mxq_place places[] = {{0, 32, 1}, {1000000007, 32, 1}, {3, 1, 77}, {0xfffffffffffff002u, 32, 1}, {0x3fffffffcu, 96, 3}};
  static uint32_t f[MOST_BLOCKS * 32];
  static uint8_t src[MOST_BLOCKS * 128];
  struct mxq_recipe recipe;
  if (!recipe_make(&recipe, element, n) || !is_new(&recipe)) return;
  const size_t blocks = fill(f, element, seed);
  ck_assert_uint_le(blocks, MOST_BLOCKS);
  for (int l = 0; l < MXQ_LANES; l++) {
    for (size_t i = 0; i < blocks * 32; i++) put_scalar(src, i, l, f[i]);
    if (l == MXQ_LANE_F16) memcpy(src, f, 32 * 64); /* NaN, Inf and subnormals, which put_scalar makes none of */
    compare(&(struct question){element, l, src, blocks, &recipe, places[compared % (sizeof places / sizeof *places)]});
  }
}

START_TEST(every_rule_rounding_zero_preset_and_policy_encodes_to_the_reference_s_bits) {
  uint64_t seed = 77 + (uint64_t)_i;
  for (int compat = MXQ_COMPAT_NONE; compat < MXQ_COMPAT_COUNT; compat++)
    for (int rule = 0; rule < MXQ_SCALE_RULE_COUNT; rule++)
      for (int round = 0; round < MXQ_ROUND_COUNT; round++)
        for (int zero = 0; zero < MXQ_NEG_ZERO_COUNT; zero++)
          for (int bad = 0; bad < MXQ_NONFINITE_COUNT; bad += MXQ_NONFINITE_PEER)
            ask(_i, (struct mxq_numerics){(enum mxq_scale_rule)rule, (enum mxq_round)round, (enum mxq_compat)compat, (enum mxq_nonfinite)bad,
                                          (enum mxq_neg_zero)zero, round == MXQ_ROUND_STOCHASTIC ? 0x9e3779b97f4a7c15u : 0}, &seed);
  printf("# %s: %zu recipes\n", mxq_element_name((enum mxq_element)_i), compared);
  ck_assert_uint_ge(compared, 100);
}
END_TEST

/*
 * Thresholds at each exponent, and where others have theirs: as far to either side as a rounded log2 takes a power of two for its neighbours.
 * The reference goes through a real log2, and takes amax in the range of presets.
 */
START_TEST(thresholds_of_every_rule_are_where_the_reference_has_them) {
  static const uint32_t marks[] = {0, 0x200000, 0x3504f3, 0x400000, 0x600000, 0x680000, 0x700000, 0x780000, 0x7fc000};
  enum { AROUND = 48, MARKS = sizeof marks / sizeof *marks };
  uint32_t(*block)[32] = calloc((MARKS + 1) * 2 * AROUND, sizeof *block);
  ck_assert_ptr_nonnull(block);
  for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_RULE_COUNT; rule++)
    for (int compat = MXQ_COMPAT_NONE; compat <= MXQ_COMPAT_QUARK; compat += MXQ_COMPAT_QUARK) { /* which alone has some for MXINT8 */
      struct mxq_recipe recipe;
      const struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)rule, .compat = (enum mxq_compat)compat};
      if (!recipe_make(&recipe, _i, n) || (compat && _i != MXQ_INT8)) continue;
      const bool own = rule <= MXQ_SCALE_MSE && !(_i == MXQ_INT8 && rule == MXQ_SCALE_EVEN);
      for (uint32_t e = own ? 0 : 17; e < (own ? 255u : 247u); e++) {
        size_t blocks = 0;
        for (int m = 0; m <= MARKS; m++)
          for (int d = -AROUND; d < AROUND; d += abs(d) < 6 || m == 0 || own == false ? 1 : 5) {
            uint32_t u = (e << 23) + (m < MARKS ? marks[m] : recipe.bump[e]) + (uint32_t)d;
            if (u > 0x7f7fffff) continue;
            block[blocks][0] = u;
            block[blocks++][31] = 0x80000000 | u / 2;
          }
        compare(&(struct question){_i, MXQ_LANE_F32, block, blocks, &recipe, {0, 32, 1}});
      }
    }
  free(block);
}
END_TEST

/* ---- stochastic rounding -------------------------------------------------------------------------------------------- */

/* Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11. */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t c[4]) {
  uint32_t k0 = key[0], k1 = key[1];
  memcpy(c, counter, 16);
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = 0xd2511f53ull * c[0], p1 = 0xcd9e8d57ull * c[2];
    const uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k1, (uint32_t)p0};
    memcpy(c, next, 16);
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
}

/* All rows that Random123 (tests/kat_vectors) has for philox4x32 with ten rounds: counter, key, result. */
START_TEST(this_test_s_philox_gives_the_published_answers) {
  static const uint32_t known[][10] = {
    {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
    {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
    {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint32_t c[4];
    philox(known[i], known[i] + 4, c);
    ck_assert_mem_eq(c, known[i] + 6, 16);
  }
}
END_TEST

/*
 * A part f of a step above zero rounds up where word < f * 2^32, so f = word / 2^32 or just above it show the word; an f32 holds 24 bits of it.
 * Every row and the reference, at indices whose quarter passes 2^32 and 2^62, in steps as rows and columns have them.
 */
START_TEST(stochastic_rounding_takes_philox_s_words_by_seed_and_index) {
  static const struct mxq_place places[] = {{0, 32, 1}, {1, 32, 1}, {2, 32, 1}, {3, 32, 1}, {0x3fffffff0u, 32, 1}, {0xfffffffffffff000u, 32, 1},
                                            {7, 1, 12345}, {0x400000000u - 40, 3, 5}, {5, 160, 5}};
  static const uint64_t seeds[] = {0, 1, 0x100000000u, 0xffffffffffffffffu, 0x299f31d0a4093822u};
  enum { BLOCKS = 40 };
  for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++)
    for (size_t p = 0; p < sizeof places / sizeof *places; p++)
      for (uint32_t above = 0; above < 2; above++) {
        struct mxq_recipe recipe;
        float x[BLOCKS * 32];
        uint8_t codes[BLOCKS * 32], scales[BLOCKS];
        ck_assert(recipe_make(&recipe, MXQ_INT8, (struct mxq_numerics){.scale_rule = MXQ_SCALE_FLOOR, .round = MXQ_ROUND_STOCHASTIC, .seed = seeds[s]}));
        for (size_t i = 0; i < BLOCKS * 32; i++) {
          const uint64_t index = places[p].first + i / 32 * places[p].block_step + i % 32 * places[p].element_step;
          uint32_t c[4];
          philox((uint32_t[]){(uint32_t)(index / 4), (uint32_t)(index / 4 >> 32), 0, 0}, (uint32_t[]){(uint32_t)seeds[s], (uint32_t)(seeds[s] >> 32)}, c);
          x[i] = (float)((double)((c[index % 4] >> 8) + above) * 0x1p-30);
          if (i % 32 == (p * 7 + s) % 32) x[i] = 1;
        }
        for (int row = 0; row < MXQ_CPU_COUNT; row++) {
          if ((row > 0 && !row_runs(row)) || !mxq_kernel_rows[row]->encode_any[MXQ_INT8][MXQ_LANE_F32]) continue;
          mxq_kernel_rows[row]->encode_any[MXQ_INT8][MXQ_LANE_F32](x, BLOCKS, codes, scales, &recipe, &places[p]);
          for (size_t i = 0; i < BLOCKS * 32; i++) {
            unsigned want = i % 32 == (p * 7 + s) % 32 ? 64 : above;
            if (codes[i] != want)
              ck_abort_msg("row %s, place %zu, seed %zu, scalar %zu: %u, not %u", mxq_cpu_name((enum mxq_cpu)row), p, s, i, codes[i], want);
          }
        }
      }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("any");
  TCase *c = tcase_create("any");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, every_rule_rounding_zero_preset_and_policy_encodes_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, thresholds_of_every_rule_are_where_the_reference_has_them, 0, MXQ_ELEMENT_COUNT);
  tcase_add_test(c, this_test_s_philox_gives_the_published_answers);
  tcase_add_test(c, stochastic_rounding_takes_philox_s_words_by_seed_and_index);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
