/* SPDX-License-Identifier: MIT */
/*
 * All 2^31 magnitudes that amax can have, through the scale function of every rule and element type.
 *
 * Bytes never fall as amax grows, the reference's by its definition: so its function is known from its steps, which are found by halving, and
 * it is asked again around each step and at amax by the hundred thousand, and so are all rows. All magnitudes are given to the two scale
 * functions that rows are made from, and, for plain rules, to the strongest row's encoder, whose vectors have the same in another form.
 * (MSE is FLOOR or the next, by the codes.)
 */
#define MXQ_ROW of_sweep /* for mxq_scale_byte and any_byte as rows have them; comes before <math.h> and its NAN */
#include "lib/kernels/template.h"

#include "tests/check/rows.h"
#include "tests/slow/parts.h"

enum { PARTS = 128, PART = 1 << 24, BATCH = 128, INFINITE = 0x7f800000, AROUND = 64, STRIDE = 16381 };

struct function { /* byte_of(u) for u >= from[i] */
  unsigned steps;
  uint32_t from[300];
  uint8_t byte[300];
};

struct rule {
  int element;
  struct mxq_recipe recipe;
  struct function want;
  const struct mxq_kernels *row; /* NULL: the functions */
};

/* Scale bytes of n blocks with nothing but amax u, u + step, ...; `plain`: by the encoder of plain recipes. */
static void ask(const struct mxq_kernels *row, bool plain, const struct rule *r, uint32_t u, uint32_t step, size_t n, uint8_t *bytes) {
  static const struct mxq_place place = {0, 32, 1};
  uint32_t block[BATCH * 32] = {0};
  uint8_t codes[BATCH * 32];
  for (size_t i = 0; i < n; i++) block[32 * i + i % 32] = (u + (uint32_t)i * step) | (uint32_t)(i & 1) << 31;
  if (plain) row->encode[r->element][MXQ_LANE_F32](block, n, codes, bytes, &r->recipe);
  else row->encode_any[r->element][MXQ_LANE_F32](block, n, codes, bytes, &r->recipe, &place);
}
static uint8_t ask_one(const struct rule *r, uint32_t u) {
  uint8_t byte;
  ask(&mxq_kernels_reference, false, r, u, 0, 1, &byte);
  return byte;
}

static unsigned step_at(const struct function *f, uint32_t u) {
  unsigned low = 0, high = f->steps; /* from[low] <= u < from[high] */
  while (high - low > 1) {
    unsigned middle = (low + high) / 2;
    if (f->from[middle] <= u) low = middle;
    else high = middle;
  }
  return low;
}

/* Zero apart, whose byte is a preset's affair. */
static void find_steps(struct rule *r) {
  struct function *f = &r->want;
  const uint8_t last = ask_one(r, INFINITE - 1);
  *f = (struct function){.steps = 1, .from = {1}, .byte = {ask_one(r, 1)}};
  while (f->byte[f->steps - 1] != last) {
    uint32_t low = f->from[f->steps - 1], high = INFINITE - 1; /* the byte of low, another at high */
    while (high - low > 1) {
      uint32_t middle = low + (high - low) / 2;
      if (ask_one(r, middle) == f->byte[f->steps - 1]) low = middle;
      else high = middle;
    }
    ck_assert_uint_lt(f->steps, 299);
    f->from[f->steps] = high;
    f->byte[f->steps] = ask_one(r, high);
    ck_assert_msg(f->byte[f->steps] > f->byte[f->steps - 1], "the reference's byte falls at %08x", high);
    f->steps++;
  }
}

static void expect(const struct rule *r, uint32_t u, int got, const char *who) {
  const int want = r->want.byte[step_at(&r->want, u)];
  ck_assert_msg(got == want, "%s, %s, %s: amax %08x gets byte %d, not %d", who, mxq_element_name((enum mxq_element)r->element),
                mxq_scale_rule_name(r->recipe.rule), u, got, want);
}

static bool part_is_good(const void *context, unsigned part, void *memory) {
  const struct rule *r = context;
  const struct function *f = &r->want;
  const struct mxq_recipe recipe = r->recipe;
  const uint32_t first = (uint32_t)part * PART, end = first + PART < INFINITE ? first + PART : INFINITE;
  uint32_t *block = memory, u = first ? first : 1;
  uint8_t codes[BATCH * 32], bytes[BATCH];
  unsigned wrong = 0;
  memset(block, 0, BATCH * 128);
  for (unsigned step = step_at(f, u); u < end; step++) {
    const int want = f->byte[step];
    const uint32_t from = u, until = step + 1 < f->steps && f->from[step + 1] < end ? f->from[step + 1] : end;
    if (r->row == NULL) {
      for (; u < until; u++) wrong |= (unsigned)(any_byte(&recipe, u) != want);
      for (u = from; u < until && recipe.plain; u++) wrong |= (unsigned)(mxq_scale_byte(&recipe.plan, u) != want);
    } else {
      for (; u < until; u += BATCH) {
        const size_t n = until - u < BATCH ? until - u : BATCH;
        for (uint32_t i = 0; i < n; i++) block[32 * i + i % 32] = (u + i) | i << 31;
        r->row->encode[r->element][MXQ_LANE_F32](block, n, codes, bytes, &recipe);
        for (size_t i = 0; i < n; i++) wrong |= (unsigned)(bytes[i] != want);
      }
    }
    u = until;
  }
  return wrong == 0;
}

/* All magnitudes by one row's encoder, or by the functions. */
static void run(struct rule *r, const struct mxq_kernels *row, const char *who) {
  r->row = row;
  const unsigned bad = parts_run(PARTS, part_is_good, r, BATCH * 128);
  ck_assert_msg(bad == PARTS, "%s, %s, %s: another byte than the reference's for an amax in %02x......", who, mxq_element_name((enum mxq_element)r->element),
                mxq_scale_rule_name(r->recipe.rule), bad);
}

/* One row by one of its slots: around the steps, and here and there. */
static void look_around(const struct rule *r, const struct mxq_kernels *row, bool plain, const char *who) {
  uint8_t bytes[BATCH];
  for (unsigned i = 0; i < r->want.steps; i++) {
    const uint32_t u = r->want.from[i] > AROUND ? r->want.from[i] - AROUND : 1;
    ask(row, plain, r, u, 1, BATCH, bytes);
    for (uint32_t k = 0; k < BATCH; k++)
      if (u + k < INFINITE) expect(r, u + k, bytes[k], who);
  }
  for (uint64_t u = 1; u + (uint64_t)BATCH * STRIDE < INFINITE; u += (uint64_t)BATCH * STRIDE) {
    ask(row, plain, r, (uint32_t)u, STRIDE, BATCH, bytes);
    for (uint32_t k = 0; k < BATCH; k++) expect(r, (uint32_t)u + k * STRIDE, bytes[k], who);
  }
}

START_TEST(all_amax_of_every_rule_get_the_reference_s_byte) {
  unsigned rules = 0, whole = 0;
  for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_RULE_COUNT; rule++) {
    static struct rule r;
    struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)rule};
    if (rule == MXQ_SCALE_MSE) continue;
    if (mxq_numerics_resolve(format_of(_i), &n, NULL) != MXQ_OK) {
      n = (struct mxq_numerics){.scale_rule = (enum mxq_scale_rule)rule, .compat = MXQ_COMPAT_QUARK}; /* has some for MXINT8 that others have not */
      if (mxq_numerics_resolve(format_of(_i), &n, NULL) != MXQ_OK) continue;
    }
    r.element = _i;
    mxq_recipe_make(&r.recipe, (enum mxq_element)_i, &n);
    find_steps(&r);
    int strongest = MXQ_CPU_REFERENCE;
    for (int row = MXQ_CPU_REFERENCE; row < MXQ_CPU_COUNT; row++) {
      if (row != MXQ_CPU_REFERENCE && !row_runs(row)) continue;
      if (mxq_kernel_rows[row]->encode_any[_i][MXQ_LANE_F32]) look_around(&r, mxq_kernel_rows[row], false, mxq_cpu_name((enum mxq_cpu)row));
      if (r.recipe.plain) look_around(&r, mxq_kernel_rows[row], true, mxq_cpu_name((enum mxq_cpu)row));
      strongest = row;
    }
    run(&r, NULL, "the function");
    if (r.recipe.plain) run(&r, mxq_kernel_rows[strongest], mxq_cpu_name((enum mxq_cpu)strongest));
    whole += r.recipe.plain;
    rules++;
  }
  printf("# %s: %u rules, 2^31 amax each, %u of them by the strongest row too\n", mxq_element_name((enum mxq_element)_i), rules, whole);
  fflush(stdout);
  ck_assert_uint_ge(rules, 5);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sweep of scales");
  TCase *c = tcase_create("sweep of scales");
  tcase_set_timeout(c, 600);
  tcase_add_loop_test(c, all_amax_of_every_rule_get_the_reference_s_byte, 0, MXQ_ELEMENT_COUNT);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
