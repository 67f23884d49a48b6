/* SPDX-License-Identifier: MIT */
/* Every row x element type x dtype x direction against the reference, on chosen inputs. */
#include "tests/check/rows.h"

enum { BLOCKS = 512 };

START_TEST(every_level_that_this_machine_runs_has_every_slot_and_its_own_row_s) {
  int rows = 0;
  for (int row = 0; row < MXQ_CPU_COUNT; row++) {
    const struct mxq_kernels *k = mxq_kernel_rows[row];
    if (row != MXQ_CPU_REFERENCE && !row_runs(row)) continue;
    rows++;
    for (int e = 0; e < MXQ_ELEMENT_COUNT; e++)
      for (int l = 0; l < MXQ_LANES; l++) {
        ck_assert(row > MXQ_CPU_SCALAR || (k->encode[e][l] && k->encode_any[e][l] && k->decode[e][l]));
        /* the table of a level is full, and its slot is that of the strongest row which has one */
        ck_assert_int_eq(mxq_cpu_set((enum mxq_cpu)row), MXQ_OK);
        const struct mxq_kernels *now = mxq_kernels_now();
        ck_assert(now->encode[e][l] && now->encode_any[e][l] && now->decode[e][l] && now->measure);
        ck_assert(!k->encode[e][l] || now->encode[e][l] == k->encode[e][l]);
        ck_assert(!k->encode_any[e][l] || now->encode_any[e][l] == k->encode_any[e][l]);
        ck_assert(!k->decode[e][l] || now->decode[e][l] == k->decode[e][l]);
      }
  }
  printf("# rows compared with the reference:");
  for (int row = 1; row < MXQ_CPU_COUNT; row++)
    if (row_runs(row)) printf(" %s", mxq_cpu_name((enum mxq_cpu)row));
  printf("\n");
  fflush(stdout);
  ck_assert_int_ge(rows, 2);
}
END_TEST

START_TEST(all_codes_at_all_scales_decode_to_the_reference_s_bits) {
  const int e = _i;
  const size_t per_block = mxq_block_bytes((enum mxq_element)e);
  const unsigned bits = mxq_element_bits((enum mxq_element)e);
  const size_t groups = 8, blocks = 256 * groups; /* 8 x 32 = all codes of 8 bits; of fewer bits each one more often, at every place */
  uint8_t *codes = calloc(blocks, per_block), *scales = malloc(blocks);
  uint8_t *want = malloc(blocks * 128), *got = malloc(blocks * 128);
  ck_assert(codes && scales && want && got);
  for (size_t b = 0; b < blocks; b++) {
    scales[b] = (uint8_t)(b / groups);
    for (size_t i = 0; i < 32; i++) {
      unsigned code = (unsigned)(bits == 8 ? b % groups * 32 + i : (i + b % groups * 5 + b / 64) & ((1u << bits) - 1));
      for (unsigned k = 0; k < bits; k++) codes[b * per_block + (i * bits + k) / 8] |= (uint8_t)((code >> k & 1) << ((i * bits + k) % 8));
    }
  }
  for (int l = 0; l < MXQ_LANES; l++) {
    size_t lost = mxq_kernels_reference.decode[e][l](codes, scales, blocks, want, false), n = blocks * 32 * lane_size(l);
    for (int row = 1; row < MXQ_CPU_COUNT; row++) {
      if (!row_runs(row)) continue;
      for (int stream = 0; stream < 2; stream++) {
        memset(got, 0xa5, n);
        ck_assert_uint_eq(mxq_kernel_rows[row]->decode[e][l](codes, scales, blocks, got, stream), lost);
        expect_same("values", row, e, l, NULL, got, want, n, 32 * lane_size(l));
      }
    }
  }
  free(codes);
  free(scales);
  free(want);
  free(got);
}
END_TEST

/* Every representable value and every midpoint between neighbours, and one ulp to either side, at an amax that fixes the scale. */
START_TEST(every_value_and_midpoint_and_its_neighbours_encode_to_the_reference_s_bits) {
  const int e = _i;
  uint32_t list[4096];
  size_t n = values_and_midpoints(e, list);
  /* 31 of them a block, behind the anchor 2^emax; at a middle scale, and where subnormals begin and where f32 ends */
  const int shifts[] = {0, -90, 60, -126, 100};
  const size_t blocks = 2 * ((n + 30) / 31);
  uint32_t *f = malloc(blocks * 128);
  uint8_t *src = malloc(blocks * 128);
  ck_assert(f && src);
  for (size_t s = 0; s < sizeof shifts / sizeof *shifts; s++) {
    for (size_t b = 0, at = 0; b < blocks; b++)
      for (size_t i = 0; i < 32; i++) {
        uint32_t u = i == 0 ? (uint32_t)(127 + mxq_element_emax((enum mxq_element)e)) << 23 : list[at++ % n];
        int exponent = (int)(u >> 23) + shifts[s];
        u = u == 0 ? 0 : exponent <= 0 ? u & 0x7fffff : exponent >= 255 ? 0x7f7fffff : (u & 0x7fffff) | (uint32_t)exponent << 23;
        f[b * 32 + i] = u | (b >= blocks / 2 ? 0x80000000u : 0);
      }
    for (int l = 0; l < MXQ_LANES; l++) {
      for (size_t i = 0; i < blocks * 32; i++) put_scalar(src, i, l, f[i]);
      compare_all_rules(e, l, src, blocks);
    }
  }
  free(f);
  free(src);
}
END_TEST

/* kind 0: random bits; 1: random mantissas in a window of exponents that wanders over all; 2: weight-like; 3: few bits set */
static void fill(uint32_t *u, size_t n, int kind, uint64_t *seed) {
  for (size_t i = 0; i < n; i++) {
    uint32_t r = next_random(seed), block = (uint32_t)(i / 32);
    int e = (int)(block * 7 % 256);
    switch (kind) {
      case 0: u[i] = r; break;
      case 1: e -= (int)(r >> 24 & 31); u[i] = (r & 0x807fffff) | (uint32_t)(e < 0 ? 0 : e) << 23; break;
      case 2: {
        float v = 0;
        for (int k = 0; k < 6; k++) v += (float)(int32_t)next_random(seed) * 0x1p-38f;
        memcpy(&u[i], &v, 4);
        break;
      }
      default: u[i] = (r & 0x80000000) | (r & 3 ? 0 : 1u << (r >> 8 & 31)) | (r & 4 ? 1u << (r >> 16 & 31) : 0);
    }
  }
}

START_TEST(random_bits_wandering_scales_and_weights_encode_to_the_reference_s_bits) {
  uint32_t *f = malloc(BLOCKS * 128);
  uint8_t *src = malloc(BLOCKS * 128);
  uint64_t seed = 20 + (uint64_t)_i;
  ck_assert(f && src);
  for (int kind = 0; kind < 4; kind++)
    for (int l = 0; l < MXQ_LANES; l++) {
      fill(f, BLOCKS * 32, kind, &seed);
      if (kind == 0 && l != MXQ_LANE_F32) memcpy(src, f, BLOCKS * 64);
      else for (size_t i = 0; i < BLOCKS * 32; i++) put_scalar(src, i, l, f[i]);
      compare_all_rules(_i, l, src, BLOCKS);
    }
  free(f);
  free(src);
}
END_TEST

/* One block of a tile that needs the long way: NaN, Inf, zeros of both signs, subnormals, the ends of f32, at every place of it. */
START_TEST(odd_blocks_among_others_encode_to_the_reference_s_bits) {
  enum { TILES = 6, ODD = 9, N = ODD * 16 * TILES };
  static const uint32_t odd[ODD] = {0x7fc00001, 0xff800000, 0x00000000, 0x80000000, 0x80000001, 0x00400000, 0x01800000, 0x7f7fffff, 0x7e800000};
  uint32_t *f = malloc(N * 128);
  uint8_t *src = malloc(N * 128);
  uint64_t seed = 31;
  ck_assert(f && src);
  fill(f, N * 32, 2, &seed);
  for (size_t o = 0; o < ODD; o++)
    for (size_t at = 0; at < 16; at++)
      for (size_t i = 0; i < 32; i++) {
        uint32_t *u = &f[((o * 16 + at) * TILES + at * 7 % TILES) * 32 + i]; /* some tiles have one, some more, some none */
        *u = i % 5 == 0 || o == 2 || o == 3 ? odd[o] : *u & 0x807fffff;
      }
  for (int l = 0; l < MXQ_LANES; l++) {
    for (size_t i = 0; i < N * 32; i++) put_scalar(src, i, l, f[i]);
    if (l == MXQ_LANE_F16)
      for (size_t i = 0; i < N * 32; i += 97) memcpy(src + 2 * i, (uint16_t[]){i % 2 ? 0x8000 : 0x7c00}, 2);
    compare_all_rules(_i, l, src, N);
    if (l == MXQ_LANE_F16)
      for (size_t i = 0; i < N * 32; i += 97) memcpy(src + 2 * i, (uint16_t[]){i % 2 ? 0x8000 : 0x0001}, 2);
    compare_all_rules(_i, l, src, N);
  }
  free(f);
  free(src);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rows");
  TCase *c = tcase_create("rows");
  tcase_set_timeout(c, 60);
  tcase_add_test(c, every_level_that_this_machine_runs_has_every_slot_and_its_own_row_s);
  tcase_add_loop_test(c, all_codes_at_all_scales_decode_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, every_value_and_midpoint_and_its_neighbours_encode_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, random_bits_wandering_scales_and_weights_encode_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  tcase_add_loop_test(c, odd_blocks_among_others_encode_to_the_reference_s_bits, 0, MXQ_ELEMENT_COUNT);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
