/* SPDX-License-Identifier: MIT */
/*
 * Every bf16 and f16 pattern at every scale byte that a block can give it, for auto and floor, and for every rounding but the random one; every
 * pattern as amax for the other rules.
 *
 * The reference is asked for the scale byte of every amax, and for the code of every scaled value once: what a code is depends on
 * the value divided by the scale alone. Blocks then hold the largest amax of their byte and 31 patterns not above it.
 */
#include <math.h>
#include "tests/check/rows.h"

enum { LOWEST = -24, HIGHEST = 15, STEPS = HIGHEST - LOWEST + 1, PATTERNS = 32768, BATCH = 4096 };

struct split { int16_t exponent; uint16_t mantissa; }; /* of a magnitude: 2^exponent (1 + mantissa / 2^bits) */

struct sweep {
  int element, lane, mantissa_bits;
  unsigned bits;
  size_t per_block;
  struct split split[PATTERNS];
  uint8_t code[2][STEPS][1024], byte_of[PATTERNS];
  struct mxq_recipe recipe;
  uint8_t *src, *want, *got, *scales;
};

static struct split split_of(const struct sweep *w, unsigned pattern) {
  int exponent_bits = 15 - w->mantissa_bits, bias = (1 << (exponent_bits - 1)) - 1;
  int e = (int)(pattern >> w->mantissa_bits);
  unsigned m = pattern & ((1u << w->mantissa_bits) - 1);
  if (pattern == 0) return (struct split){INT16_MIN, 0};
  if (e > 0) return (struct split){(int16_t)(e - bias), (uint16_t)m};
  for (e = 1 - bias; m < 1u << w->mantissa_bits; e--) m *= 2;
  return (struct split){(int16_t)e, (uint16_t)(m & ((1u << w->mantissa_bits) - 1))};
}

static unsigned unpacked(const struct sweep *w, const uint8_t *codes, unsigned i) {
  const unsigned at = i * w->bits, next = at / 8 + 1 < w->per_block ? codes[at / 8 + 1] : 0;
  return (codes[at / 8] | next << 8) >> at % 8 & ((1u << w->bits) - 1);
}

/* The codes of all scaled values, from the reference, in f32 behind the anchor 2^emax, which makes the byte 127 under FLOOR. */
static void ask_codes(struct sweep *w, enum mxq_round round) {
  const unsigned count = 1u << w->mantissa_bits;
  const int emax = mxq_element_emax((enum mxq_element)w->element);
  const struct mxq_place place = {0, 32, 1};
  struct mxq_recipe recipe;
  ck_assert(recipe_make(&recipe, w->element, (struct mxq_numerics){.scale_rule = MXQ_SCALE_FLOOR, .round = round}));
  for (int sign = 0; sign < 2; sign++)
    for (int d = LOWEST; d <= emax; d++)
      for (unsigned m = 0; m < count; m += 31) {
        float block[32] = {ldexpf(1, emax)};
        uint8_t codes[32], scale;
        for (unsigned i = 0; i < 31 && m + i < count; i++) block[1 + i] = (float)(sign ? -1 : 1) * ldexpf(1 + ldexpf((float)(m + i), -w->mantissa_bits), d);
        mxq_kernels_reference.encode_any[w->element][MXQ_LANE_F32](block, 1, codes, &scale, &recipe, &place);
        ck_assert_uint_eq(scale, 127);
        for (unsigned i = 0; i < 31 && m + i < count; i++) w->code[sign][d - LOWEST][m + i] = (uint8_t)unpacked(w, codes, 1 + i);
      }
}

static unsigned code_of(const struct sweep *w, unsigned pattern, int b) {
  const struct split s = w->split[pattern & 0x7fff];
  const unsigned sign = pattern >> 15;
  const int d = s.exponent - (b - 127);
  if (d < LOWEST) return w->element == MXQ_INT8 ? 0 : sign << (w->bits - 1);
  return w->code[sign][d - LOWEST][s.mantissa];
}

/* All rows; bytes: of the blocks, one after the other. */
static uint64_t run_batch(struct sweep *w, size_t blocks, const uint8_t *bytes) {
  const struct mxq_place place = {0, 32, 1};
  for (int row = 1; row < MXQ_CPU_COUNT; row++)
    for (int any = w->recipe.plain ? 0 : 1; row_runs(row) && any < 2; any++) {
      const struct mxq_kernels *k = mxq_kernel_rows[row];
      size_t bad;
      if (any ? !k->encode_any[w->element][w->lane] : !k->encode[w->element][w->lane]) continue;
      if (any) bad = k->encode_any[w->element][w->lane](w->src, blocks, w->got, w->scales, &w->recipe, &place);
      else bad = k->encode[w->element][w->lane](w->src, blocks, w->got, w->scales, &w->recipe);
      if (bad) ck_abort_msg("%zu blocks are bad", bad);
      expect_same("scales", row, w->element, w->lane, &w->recipe, w->scales, bytes, blocks, 1);
      expect_same("codes", row, w->element, w->lane, &w->recipe, w->got, w->want, blocks * w->per_block, w->per_block);
    }
  return blocks * 31;
}

static void put_block(struct sweep *w, size_t block, const uint16_t p[32], int b) {
  memcpy(w->src + block * 64, p, 64);
  uint8_t *out = w->want + block * w->per_block;
  for (int i = 0; i < 32; i += 8) {
    uint64_t word = 0;
    for (unsigned j = 0; j < 8; j++) word |= (uint64_t)code_of(w, p[i + (int)j], b) << (j * w->bits);
    for (unsigned j = 0; j < w->bits; j++) *out++ = (uint8_t)(word >> 8 * j);
  }
}

static unsigned infinite_of(const struct sweep *w) { return ((1u << (15 - w->mantissa_bits)) - 1) << w->mantissa_bits; }

/* The reference's byte for every amax. */
static void ask_bytes(struct sweep *w) {
  uint8_t codes[32];
  for (unsigned p = 0; p < infinite_of(w); p++)
    mxq_kernels_reference.encode[w->element][w->lane]((uint16_t[32]){(uint16_t)p}, 1, codes, &w->byte_of[p], &w->recipe);
}

/* Every pattern as amax, with patterns below it from all exponents. */
static uint64_t sweep_amax(struct sweep *w) {
  uint8_t bytes[BATCH];
  size_t n = 0;
  uint64_t pairs = 0, seed = 1;
  for (unsigned p = 0; p < infinite_of(w); p++) {
    uint16_t block[32];
    /* a byte of 255 leaves no codes: EVEN at the end of bf16, compared elsewhere */
    if (w->byte_of[p] == 255) continue;
    for (int i = 0; i < 32; i++) block[i] = (uint16_t)(next_random(&seed) % (p + 1) | (next_random(&seed) & 0x8000));
    block[p % 32] = (uint16_t)(p | (next_random(&seed) & 0x8000));
    put_block(w, n, block, w->byte_of[p]);
    bytes[n++] = w->byte_of[p];
    if (n < BATCH && p + 1 < infinite_of(w)) continue;
    pairs += run_batch(w, n, bytes);
    n = 0;
  }
  return pairs + (n ? run_batch(w, n, bytes) : 0);
}

/* Every pattern under every byte. */
static uint64_t sweep_pairs(struct sweep *w) {
  unsigned anchor[256] = {0};
  uint8_t bytes[BATCH];
  uint64_t pairs = 0;
  for (unsigned p = 0; p < infinite_of(w); p++) anchor[w->byte_of[p]] = p;
  for (int b = 0; b < 255; b++) {
    if (anchor[b] == 0) continue;
    uint16_t block[32];
    size_t n = 0, filled = 1;
    memset(bytes, b, sizeof bytes);
    block[0] = (uint16_t)anchor[b];
    for (unsigned i = 0; i <= 2 * anchor[b] + 1; i++) {
      block[filled++] = (uint16_t)(i >> 1 | (i & 1) << 15);
      while (i == 2 * anchor[b] + 1 && filled < 32) block[filled++] = 0;
      if (filled < 32) continue;
      put_block(w, n++, block, b);
      filled = 1;
      if (n == BATCH) {
        pairs += run_batch(w, n, bytes);
        n = 0;
      }
    }
    pairs += run_batch(w, n, bytes);
  }
  return pairs;
}

static void sweep(int element, int lane) {
  struct sweep *w = calloc(1, sizeof *w);
  ck_assert(w != NULL);
  w->element = element;
  w->lane = lane;
  w->mantissa_bits = lane == MXQ_LANE_BF16 ? 7 : 10;
  w->bits = mxq_element_bits((enum mxq_element)element);
  w->per_block = mxq_block_bytes((enum mxq_element)element);
  w->src = malloc(BATCH * 64);
  w->want = malloc(BATCH * 32);
  w->got = malloc(BATCH * 32);
  w->scales = malloc(BATCH);
  ck_assert(w->src && w->want && w->got && w->scales);
  for (unsigned p = 0; p < PATTERNS; p++) w->split[p] = split_of(w, p);
  uint64_t pairs = 0, amax = 0;
  for (int round = MXQ_ROUND_RNE; round < MXQ_ROUND_STOCHASTIC; round++) {
    ask_codes(w, (enum mxq_round)round);
    for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_MSE; rule++) {
      if (round != MXQ_ROUND_RNE && rule != MXQ_SCALE_FLOOR) continue;
      if (!recipe_make(&w->recipe, element, (struct mxq_numerics){.scale_rule = (enum mxq_scale_rule)rule, .round = (enum mxq_round)round})) continue;
      ask_bytes(w);
      if (round == MXQ_ROUND_RNE) amax += sweep_amax(w);
      if (rule <= MXQ_SCALE_FLOOR) pairs += sweep_pairs(w);
    }
  }
  ck_assert_uint_gt(pairs, lane == MXQ_LANE_BF16 ? 40000000 : 4000000);
  ck_assert_uint_gt(amax, 3 * 30000 * 31);
  printf("# %s of %s: %llu pairs of pattern and scale, %llu of pattern and amax\n", mxq_element_name((enum mxq_element)element),
         mxq_dtype_name(lane_dtype[lane]), (unsigned long long)pairs, (unsigned long long)amax);
  fflush(stdout);
  free(w->src);
  free(w->want);
  free(w->got);
  free(w->scales);
  free(w);
}

START_TEST(every_bf16_pattern_at_every_scale_encodes_to_the_reference_s_bits) { sweep(_i, MXQ_LANE_BF16); }
END_TEST

START_TEST(every_f16_pattern_at_every_scale_encodes_to_the_reference_s_bits) { sweep(_i, MXQ_LANE_F16); }
END_TEST

int main(void) {
  Suite *suite = suite_create("sweep");
  TCase *c = tcase_create("sweep");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, every_bf16_pattern_at_every_scale_encodes_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, every_f16_pattern_at_every_scale_encodes_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
