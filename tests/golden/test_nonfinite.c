/* SPDX-License-Identifier: MIT */
/* Blocks with NaN and Inf as the tools of presets make them, whose answers PEER gives; against every row of the kernel table. */
#include <math.h>

#include "tests/golden/golden.h"

/* Tools that define what becomes of NaN and Inf otherwise than by marking the block, and how many files testdata and the large set have. */
static const struct {
  const char *name;
  enum mxq_compat compat;
  size_t here, large;
} peers[] = {{"ggml", MXQ_COMPAT_GGML, 1, 1}, {"modelopt", MXQ_COMPAT_MODELOPT, 2, 2}, {"torchao-0.18", MXQ_COMPAT_TORCHAO_018, 5, 20}};

static size_t peer, files, marked, blocks_with[2];

/* Amax of the finite values, and whether there are others. */
static float amax_of(const float *x, bool *nonfinite) {
  float most = 0;
  *nonfinite = false;
  for (int i = 0; i < MXQ_BLOCK; i++) {
    if (!isfinite(x[i])) *nonfinite = true;
    else if (fabsf(x[i]) > most) most = fabsf(x[i]);
  }
  return most;
}

static void compare_line(const char *dir, const struct golden_line *l) {
  if (strcmp(l->peer, peers[peer].name) != 0 || strcmp(l->input, "nonfinite") != 0) return;
  size_t in_size, out_size, n = (size_t)l->blocks;
  float *in = (float *)(void *)golden_load(dir, "inputs/nonfinite.f32", &in_size);
  unsigned char *want = golden_load(dir, l->file, &out_size);
  enum mxq_element element = golden_element(l->element);
  struct mxq_numerics numerics = {.compat = peers[peer].compat, .nonfinite = MXQ_NONFINITE_PEER};
  uint8_t *packed = malloc(n * 32), *codes = malloc(n * 32), *scales = malloc(n);
  struct mxq_rows shape = {.rows = 1, .k = n * MXQ_BLOCK};
  ck_assert(in_size >= n * 128 && out_size == n * 33 && packed && codes && scales);
  ck_assert_msg(mxq_scale_rule_parse(l->rule, &numerics.scale_rule) && mxq_round_parse(l->round, &numerics.round), "%s: %s %s", l->file, l->rule, l->round);
  FOR_EACH_LEVEL(level) {
    ck_assert_int_eq(mxq_encode(golden_format(element), MXQ_F32, in, &shape, packed, scales, &numerics, NULL, NULL, NULL), MXQ_OK);
    golden_unpack(element, packed, n * MXQ_BLOCK, codes);
    for (size_t b = 0; b < n; b++) {
      bool nonfinite;
      float amax = amax_of(in + b * 32, &nonfinite);
      if (amax != 0 && !(amax > 0x1p-110f && amax < 0x1p120f)) continue; /* presets promise nothing there */
      blocks_with[nonfinite] += level == 0;
      ck_assert_msg(scales[b] == want[b * 33], "%s, row %s, block %zu: scale %d, the peer has %d", l->file, mxq_cpu_name((enum mxq_cpu)level), b, scales[b], want[b * 33]);
      marked += level == 0 && scales[b] == 255;
      for (int i = 0; scales[b] != 255 && i < MXQ_BLOCK; i++)
        /* ggml's codes of Inf blocks fall out of a conversion that C leaves undefined; all but of the tiniest values are zero, and zero they are here */
        if (!(peers[peer].compat == MXQ_COMPAT_GGML && scales[b] == 0 && nonfinite && fabsf(in[b * 32 + (size_t)i]) < 0x1p-100f))
          ck_assert_msg(codes[b * 32 + (size_t)i] == want[b * 33 + 1 + (size_t)i], "%s, row %s, block %zu, element %d (%a): code %02x, the peer has %02x", l->file,
                        mxq_cpu_name((enum mxq_cpu)level), b, i, (double)in[b * 32 + (size_t)i], codes[b * 32 + (size_t)i], want[b * 33 + 1 + (size_t)i]);
    }
  }
  files++;
  free(in);
  free(want);
  free(packed);
  free(codes);
  free(scales);
}

static void compare_set(const char *dir, size_t least) {
  files = marked = blocks_with[0] = blocks_with[1] = 0;
  golden_each(dir, compare_line);
  printf("# NaN and Inf as %s: %zu files, %zu blocks with them and %zu without, %zu with byte 255\n", peers[peer].name, files, blocks_with[1], blocks_with[0], marked);
  ck_assert_uint_ge(files, least);
  ck_assert_uint_ge(blocks_with[1], 20 * least);
}

START_TEST(nan_and_inf_give_what_the_peer_makes_of_them) {
  peer = (size_t)_i;
  compare_set("testdata/golden", peers[peer].here);
}
END_TEST

START_TEST(nan_and_inf_give_what_the_peer_makes_of_them_in_the_large_set) {
  peer = (size_t)_i;
  if (golden_shared()) compare_set(golden_shared(), peers[peer].large);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nonfinite");
  TCase *c = tcase_create("nonfinite");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, nan_and_inf_give_what_the_peer_makes_of_them, 0, sizeof peers / sizeof *peers);
  tcase_add_loop_test(c, nan_and_inf_give_what_the_peer_makes_of_them_in_the_large_set, 0, sizeof peers / sizeof *peers);
  suite_add_tcase(suite, c);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
