/* SPDX-License-Identifier: MIT */
/* What the tests of the kernel rows share: slots to compare, memory between guard pages, inputs. */
#ifndef TESTS_CHECK_ROWS_H
#define TESTS_CHECK_ROWS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "lib/base/cpu.h"
#include "lib/kernels/recipe.h"

static const enum mxq_dtype lane_dtype[MXQ_LANES] = {MXQ_F32, MXQ_BF16, MXQ_F16};
static inline size_t lane_size(int lane) { return lane == MXQ_LANE_F32 ? 4 : 2; }
static inline enum mxq_format format_of(int element) { return (enum mxq_format)(MXQ_MXFP4 + element); }
static inline bool rule_is_offered(int element, int rule) {
  struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)rule};
  return mxq_numerics_resolve(format_of(element), &n, NULL) == MXQ_OK;
}
/* What kernels are asked for, for a scale rule alone. */
static inline const struct mxq_recipe *recipe_of(int element, int rule) {
  static struct mxq_recipe recipes[MXQ_ELEMENT_COUNT][MXQ_SCALE_RULE_COUNT];
  struct mxq_recipe *r = &recipes[element][rule];
  struct mxq_numerics n = {.scale_rule = (enum mxq_scale_rule)rule};
  if (r->rule != (enum mxq_scale_rule)rule) {
    ck_assert_int_eq(mxq_numerics_resolve(format_of(element), &n, NULL), MXQ_OK);
    mxq_recipe_make(r, (enum mxq_element)element, &n);
  }
  return r;
}
/* A row that this build and this machine have, other than the reference. */
static inline bool row_runs(int row) {
  return row != MXQ_CPU_REFERENCE && mxq_cpu_machine_has((enum mxq_cpu)row) && mxq_kernel_rows[row]->encode[0][0] != NULL;
}

/* `bytes` writable bytes that end (at_end) or begin exactly at a page that must not be touched. */
struct guarded {
  uint8_t *data;
  void *map;
  size_t mapped;
};
static inline struct guarded guarded_alloc(size_t bytes, bool at_end) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
  struct guarded g = {.mapped = room + 2 * page};
  g.map = mmap(NULL, g.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(g.map, MAP_FAILED);
  uint8_t *inner = (uint8_t *)g.map + page;
  if (room) ck_assert_int_eq(mprotect(inner, room, PROT_READ | PROT_WRITE), 0);
  g.data = at_end ? inner + room - bytes : inner;
  return g;
}
static inline void guarded_free(struct guarded *g) { munmap(g->map, g->mapped); }

static inline uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 32);
}

/* One scalar of a lane from f32 bits: exact for what the tests ask, else cut off. */
static inline void put_scalar(void *at, size_t i, int lane, uint32_t u) {
  if (lane == MXQ_LANE_F32) memcpy((uint8_t *)at + 4 * i, &u, 4);
  else {
    uint16_t h = (uint16_t)(u >> 16);
    if (lane == MXQ_LANE_F16) {
      int e = (int)(u >> 23 & 255) - 112;
      h = (uint16_t)((u >> 16 & 0x8000) | (e <= 0 ? 0 : e >= 31 ? 0x7bff : (unsigned)e << 10 | (u >> 13 & 0x3ff)));
    }
    memcpy((uint8_t *)at + 2 * i, &h, 2);
  }
}

/* The reference's answer to one input, made once and compared with every row. */
struct answer {
  uint8_t *codes, *scales;
  size_t bad, blocks;
};
static inline struct answer ask_reference(int element, int lane, const void *src, size_t blocks, int rule) {
  struct answer a = {malloc(blocks * 32), malloc(blocks), 0, blocks};
  ck_assert(a.codes && a.scales);
  a.bad = mxq_kernels_reference.encode[element][lane](src, blocks, a.codes, a.scales, recipe_of(element, rule));
  return a;
}
static inline void answer_free(struct answer *a) {
  free(a->codes);
  free(a->scales);
}
static inline void expect_same(const char *what, int row, int element, int lane, int rule, const uint8_t *got, const uint8_t *want, size_t n,
                               size_t per_block) {
  if (memcmp(got, want, n) == 0) return;
  size_t i = 0;
  while (got[i] == want[i]) i++;
  ck_abort_msg("%s of row %s, %s, %s, rule %s: byte %zu (block %zu) is %02x, not %02x", what, mxq_cpu_name((enum mxq_cpu)row),
               mxq_element_name((enum mxq_element)element), mxq_dtype_name(lane_dtype[lane]),
               rule ? mxq_scale_rule_name((enum mxq_scale_rule)rule) : "-", i, i / per_block, got[i], want[i]);
}
/* All rows against the answer. */
static inline void compare_rows(const struct answer *a, int element, int lane, const void *src, int rule) {
  const size_t per_block = mxq_block_bytes((enum mxq_element)element), bytes = a->blocks * per_block;
  uint8_t *codes = malloc(bytes), *scales = malloc(a->blocks);
  ck_assert(codes && scales);
  for (int row = 1; row < MXQ_CPU_COUNT; row++) {
    if (!row_runs(row)) continue;
    memset(codes, 0xa5, bytes);
    memset(scales, 0xa5, a->blocks);
    size_t bad = mxq_kernel_rows[row]->encode[element][lane](src, a->blocks, codes, scales, recipe_of(element, rule));
    expect_same("scales", row, element, lane, rule, scales, a->scales, a->blocks, 1);
    expect_same("codes", row, element, lane, rule, codes, a->codes, bytes, per_block);
    ck_assert_uint_eq(bad, a->bad);
  }
  free(codes);
  free(scales);
}
static inline void compare_all_rules(int element, int lane, const void *src, size_t blocks) {
  for (int rule = MXQ_SCALE_AUTO; rule < MXQ_SCALE_RULE_COUNT; rule++) {
    if (!rule_is_offered(element, rule)) continue;
    struct answer a = ask_reference(element, lane, src, blocks, rule);
    compare_rows(&a, element, lane, src, rule);
    answer_free(&a);
  }
}

static inline int run_suite(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
