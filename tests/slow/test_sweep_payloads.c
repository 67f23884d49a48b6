/* SPDX-License-Identifier: MIT */
/*
 * All 2^32 f32 patterns beside one anchor, for each element type, by every row of this machine.
 *
 * A block is the largest value of the element type, whose scale byte is 127, and 31 patterns in a row; the anchor's place moves on from block
 * to block. Patterns up to the anchor are encoded at its scale, larger ones move it, NaN and Inf give byte 255. What the reference makes
 * of 2^24 patterns is one hash in testdata/sweep-payloads.txt: a line for each upper byte of the patterns. The lines are made by
 * `test_sweep_payloads --make FIRST LAST` (upper bytes in hexadecimal), which asks the reference and nothing else.
 */
#include "tests/check/rows.h"
#include "tests/slow/parts.h"

enum { PARTS = 256, PART = 1 << 24, FREE = 31, PART_BLOCKS = (PART + FREE - 1) / FREE, SLICE = 1024 };
#define HASHES "testdata/sweep-payloads.txt"

static uint64_t wanted[PARTS][MXQ_ELEMENT_COUNT];

static uint64_t hash(uint64_t h, const uint8_t *p, size_t n) {
  for (; n > 0; p += 8) {
    uint64_t word = 0;
    size_t now = n < 8 ? n : 8;
    memcpy(&word, p, now);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    n -= now;
  }
  return h;
}

static uint32_t anchor_of(int element) {
  float most = 0;
  uint32_t u;
  for (unsigned c = 0; c < 1u << (mxq_element_bits((enum mxq_element)element) - 1); c++) {
    float v = mxq_element_value((enum mxq_element)element, (uint8_t)c);
    if (v > most && v < 1e30f) most = v;
  }
  memcpy(&u, &most, 4);
  return u;
}

/* Blocks `first`, ... of a part; behind its last pattern anchors fill the block. */
static void fill(uint32_t *u, unsigned part, size_t first, size_t blocks, uint32_t anchor) {
  for (size_t b = first; b < first + blocks; b++, u += 32) {
    const uint32_t at = (uint32_t)b * FREE, place = b % 32;
    for (uint32_t i = 0; i < 32; i++) {
      const uint32_t pattern = at + i - (i > place);
      u[i] = i == place || pattern >= PART ? anchor : (uint32_t)part << 24 | pattern;
    }
  }
}

struct memory {
  uint32_t u[SLICE * 32];
  uint8_t codes[SLICE * 32], scales[SLICE];
};
static uint64_t hash_of_part(const struct mxq_kernels *row, int element, unsigned part, struct memory *m) {
  const uint32_t anchor = anchor_of(element);
  const size_t per_block = mxq_block_bytes((enum mxq_element)element);
  struct mxq_numerics n = {.scale_rule = MXQ_SCALE_AUTO};
  struct mxq_recipe recipe;
  uint64_t h = 0;
  if (mxq_numerics_resolve(format_of(element), &n, NULL) != MXQ_OK) abort();
  mxq_recipe_make(&recipe, (enum mxq_element)element, &n);
  for (size_t first = 0; first < PART_BLOCKS; first += SLICE) {
    const size_t blocks = PART_BLOCKS - first < SLICE ? PART_BLOCKS - first : SLICE;
    fill(m->u, part, first, blocks, anchor);
    row->encode[element][MXQ_LANE_F32](m->u, blocks, m->codes, m->scales, &recipe);
    h = hash(hash(h, m->codes, blocks * per_block), m->scales, blocks);
  }
  return h;
}

struct sweep {
  const struct mxq_kernels *row;
  int element;
};
static bool part_is_good(const void *context, unsigned part, void *memory) {
  const struct sweep *s = context;
  return hash_of_part(s->row, s->element, part, memory) == wanted[part][s->element];
}

/* Names the first block of a part where the row and the reference part; if there is none, the file of hashes is wrong. */
static void explain(int row, int element, unsigned part) {
  static uint32_t u[SLICE * 32];
  static uint8_t got[SLICE * 32], want[SLICE * 32], got_scales[SLICE], want_scales[SLICE];
  const size_t per_block = mxq_block_bytes((enum mxq_element)element);
  for (size_t first = 0; first < PART_BLOCKS; first += SLICE) {
    const size_t blocks = PART_BLOCKS - first < SLICE ? PART_BLOCKS - first : SLICE;
    fill(u, part, first, blocks, anchor_of(element));
    mxq_kernel_rows[row]->encode[element][MXQ_LANE_F32](u, blocks, got, got_scales, recipe_of(element, MXQ_SCALE_AUTO));
    mxq_kernels_reference.encode[element][MXQ_LANE_F32](u, blocks, want, want_scales, recipe_of(element, MXQ_SCALE_AUTO));
    for (size_t b = 0; b < blocks; b++)
      ck_assert_msg(memcmp(got + b * per_block, want + b * per_block, per_block) == 0 && got_scales[b] == want_scales[b],
                    "row %s, %s: the block of patterns from %08x on has other bits than the reference's", mxq_cpu_name((enum mxq_cpu)row),
                    mxq_element_name((enum mxq_element)element), u[32 * b + (b + first == 0)]);
  }
  ck_abort_msg("row %s, %s, patterns %02x......: as the reference, but the hash in " HASHES " is another", mxq_cpu_name((enum mxq_cpu)row),
               mxq_element_name((enum mxq_element)element), part);
}

static void load_hashes(void) {
  FILE *f = fopen(HASHES, "r");
  ck_assert_msg(f != NULL, "cannot open " HASHES);
  for (unsigned part = 0, read; part < PARTS; part++) {
    ck_assert_msg(fscanf(f, "%x", &read) == 1 && read == part, HASHES ": no line for %02x", part);
    for (int e = 0; e < MXQ_ELEMENT_COUNT; e++) {
      unsigned long long h;
      ck_assert_int_eq(fscanf(f, "%llx", &h), 1);
      wanted[part][e] = h;
    }
  }
  fclose(f);
}

START_TEST(all_f32_patterns_beside_an_anchor_encode_to_the_reference_s_bits) {
  int rows = 0;
  load_hashes();
  for (int row = 1; row < MXQ_CPU_COUNT; row++) {
    if (!row_runs(row)) continue;
    const struct sweep s = {mxq_kernel_rows[row], _i};
    const unsigned bad = parts_run(PARTS, part_is_good, &s, sizeof(struct memory));
    if (bad < PARTS) explain(row, _i, bad);
    printf("# %s, row %s: 2^32 patterns\n", mxq_element_name((enum mxq_element)_i), mxq_cpu_name((enum mxq_cpu)row));
    fflush(stdout);
    rows++;
  }
  ck_assert_int_gt(rows, 0);
}
END_TEST

static int make(unsigned first, unsigned last) {
  static struct memory memory;
  for (unsigned part = first; part <= last && part < PARTS; part++) {
    printf("%02x", part);
    for (int e = 0; e < MXQ_ELEMENT_COUNT; e++) printf(" %016llx", (unsigned long long)hash_of_part(&mxq_kernels_reference, e, part, &memory));
    printf("\n");
    fflush(stdout);
  }
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--make") == 0) return make((unsigned)strtoul(argv[2], NULL, 16), (unsigned)strtoul(argv[3], NULL, 16));
  Suite *suite = suite_create("sweep of payloads");
  TCase *c = tcase_create("sweep of payloads");
  tcase_set_timeout(c, 600);
  tcase_add_loop_test(c, all_f32_patterns_beside_an_anchor_encode_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
