/* SPDX-License-Identifier: MIT */
/*
 * Random values by the million, as this build makes of the kernels: every row against the reference, for plain recipes and for others, and
 * back. 2^24 values for each element type; MXQ_RANDOM=20 in the environment asks for 2^20.
 */
#include "tests/check/rows.h"

enum { BLOCKS = 1024, VALUES = BLOCKS * 32 };

static struct {
  uint32_t u[VALUES];
  uint8_t src[BLOCKS * 128], want[BLOCKS * 128], got[BLOCKS * 128];
} *m;

/* Random bits, mantissas below a wandering exponent, sums like those of weights. */
static void fill(int lane, unsigned kind, uint64_t *seed) {
  for (size_t i = 0; i < VALUES; i++) {
    uint32_t r = next_random(seed);
    if (kind == 0) {
      m->u[i] = r;
    } else if (kind == 1) {
      uint32_t e = (uint32_t)(i / 32 * 37 % 256), down = r >> 23 & 15;
      m->u[i] = (r & 0x807fffff) | (e > down ? e - down : 0) << 23;
    } else {
      float v = (float)(int32_t)r + (float)(int32_t)next_random(seed) + (float)(int32_t)next_random(seed);
      v *= 0x1p-36f;
      memcpy(&m->u[i], &v, 4);
    }
  }
  if (kind == 0) memcpy(m->src, m->u, sizeof m->u); /* all patterns of the dtype, NaN and Inf among them */
  else for (size_t i = 0; i < VALUES; i++) put_scalar(m->src, i, lane, m->u[i]);
}

/* Whether all of it is offered together; then *recipe is for that. */
static bool choose(int element, bool plain, unsigned number, uint64_t *seed, struct mxq_recipe *recipe) {
  struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)(number % MXQ_SCALE_RULE_COUNT)};
  if (!plain) {
    n.round = (enum mxq_round)(next_random(seed) % MXQ_ROUND_COUNT);
    n.neg_zero = (enum mxq_neg_zero)(next_random(seed) % MXQ_NEG_ZERO_COUNT);
    n.compat = (enum mxq_compat)(next_random(seed) % MXQ_COMPAT_COUNT);
    n.nonfinite = next_random(seed) % 2 ? MXQ_NONFINITE_BLOCK : MXQ_NONFINITE_PEER;
    n.seed = (uint64_t)next_random(seed) << 32 | number;
  }
  return recipe_make(recipe, element, n) && recipe->plain == plain;
}

static void compare_both_ways(const struct question *q) {
  const int e = q->element, l = q->lane;
  struct answer a = ask_reference(q);
  compare_rows(q, &a);
  size_t lost = mxq_kernels_reference.decode[e][l](a.codes, a.scales, BLOCKS, m->want, false);
  for (int row = 1; row < MXQ_CPU_COUNT; row++) {
    if (!row_runs(row) || mxq_kernel_rows[row]->decode[e][l] == NULL) continue;
    size_t row_lost = mxq_kernel_rows[row]->decode[e][l](a.codes, a.scales, BLOCKS, m->got, false);
    expect_same("values", row, e, l, NULL, m->got, m->want, BLOCKS * 32 * lane_size(l), 32 * lane_size(l));
    ck_assert_uint_eq(row_lost, lost);
  }
  answer_free(&a);
}

static void name_rows(void) {
  printf("# rows compared with the reference:");
  for (int row = 1; row < MXQ_CPU_COUNT; row++)
    if (row_runs(row)) printf(" %s", mxq_cpu_name((enum mxq_cpu)row));
  printf("\n");
  fflush(stdout);
}

START_TEST(random_values_are_encoded_and_decoded_to_the_reference_s_bits) {
  const char *asked = getenv("MXQ_RANDOM");
  const int log2_values = asked ? atoi(asked) : 24;
  uint64_t seed = 0x5eed + (uint64_t)_i;
  size_t done[2] = {0};
  ck_assert(log2_values >= 20 && log2_values < 40); /* fewer may have no rare recipe */
  ck_assert_ptr_nonnull(m = aligned_alloc(64, (sizeof *m + 63) / 64 * 64));
  for (unsigned number = 0; (done[0] + done[1]) >> log2_values == 0; number++) {
    const bool plain = number / MXQ_SCALE_RULE_COUNT % 4 != 3;
    const int lane = (int)(next_random(&seed) % MXQ_LANES);
    struct mxq_recipe recipe;
    if (!choose(_i, plain, number, &seed, &recipe)) continue;
    fill(lane, next_random(&seed) % 3, &seed);
    compare_both_ways(&(struct question){_i, lane, m->src, BLOCKS, &recipe, {next_random(&seed), 32, number % 3 ? 1 : 5}});
    done[plain] += VALUES;
  }
  printf("# %s: %zu random values, %zu by rare recipes\n", mxq_element_name((enum mxq_element)_i), done[0] + done[1], done[0]);
  fflush(stdout);
  ck_assert(done[0] > 0 && done[1] > 0);
  free(m);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("random values");
  TCase *c = tcase_create("random values");
  tcase_set_timeout(c, 600);
  name_rows();
  tcase_add_loop_test(c, random_values_are_encoded_and_decoded_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
