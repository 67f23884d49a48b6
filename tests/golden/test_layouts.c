/* SPDX-License-Identifier: MIT */
/* Containers that other tools made: their bytes out of ours, and ours out of theirs. */
#include "tests/golden/golden.h"

/* The files of a container, and how this library makes the same codes: `rows` x 128 of inputs/layout.f32 (x k). */
static const struct container {
  const char *peer, *codes, *scales;
  enum mxq_format format;
  enum mxq_layout layout;
  enum mxq_compat compat;
  enum mxq_scale_rule rule;
  size_t rows, k;
  bool large; /* in the large set as well */
} containers[] = {
  {"ggml", "ggml/layout.block_mxfp4.bin", NULL, MXQ_MXFP4, MXQ_LAYOUT_GGML, MXQ_COMPAT_GGML, 0, 160, 128, true},
  {"fbgemm", "fbgemm/layout.ref-even.160x128.bin", NULL, MXQ_MXFP4, MXQ_LAYOUT_FBGEMM, MXQ_COMPAT_FBGEMM, MXQ_SCALE_EVEN_STRICT_LOG2F, 160, 128, false},
  {"torchao", "torchao/layout.e2m1.rceil.160x128.qdata.bin", "torchao/layout.e2m1.rceil.160x128.scale.bin", MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW,
   MXQ_COMPAT_TORCHAO, MXQ_SCALE_RCEIL, 160, 128, true},
  {"torchao", "torchao/layout.e4m3.rceil.160x128.qdata.bin", "torchao/layout.e4m3.rceil.160x128.scale.bin", MXQ_MXFP8_E4M3, MXQ_LAYOUT_BYTES,
   MXQ_COMPAT_TORCHAO, MXQ_SCALE_RCEIL, 160, 128, true},
  {"torchao-0.12", "torchao-0.12/layout.e2m1.160x128.pack_uint4.bin", "torchao/layout.e2m1.rceil.160x128.scale.bin", MXQ_MXFP4, MXQ_LAYOUT_EVEN_HIGH,
   MXQ_COMPAT_TORCHAO, MXQ_SCALE_RCEIL, 160, 128, false},
  {"torchao-0.12", "torchao-0.12/layout.e2m3.160x128.pack_uint6.bin", "compressed-tensors/layout.e2m3.160x128.weight_scale.bin", MXQ_MXFP6_E2M3,
   MXQ_LAYOUT_PLANES, MXQ_COMPAT_COMPRESSED_TENSORS, 0, 160, 128, false},
  {"torchao-0.12", "torchao-0.12/layout.e3m2.32x128.pack_uint6.bin", "quark/layout.e3m2.32x128.weight_scale.bin", MXQ_MXFP6_E3M2, MXQ_LAYOUT_PLANES,
   MXQ_COMPAT_QUARK, 0, 32, 128, false},
  {"compressed-tensors", "compressed-tensors/layout.e2m1.160x128.weight_packed.bin", "compressed-tensors/layout.e2m1.160x128.weight_scale.bin", MXQ_MXFP4,
   MXQ_LAYOUT_EVEN_LOW, MXQ_COMPAT_COMPRESSED_TENSORS, 0, 160, 128, true},
  {"compressed-tensors", "compressed-tensors/layout.e2m3.160x128.weight_packed.bin", "compressed-tensors/layout.e2m3.160x128.weight_scale.bin",
   MXQ_MXFP6_E2M3, MXQ_LAYOUT_LE24, MXQ_COMPAT_COMPRESSED_TENSORS, 0, 160, 128, true},
  {"compressed-tensors", "compressed-tensors/layout.e4m3.160x128.weight.bin", "compressed-tensors/layout.e4m3.160x128.weight_scale.bin", MXQ_MXFP8_E4M3,
   MXQ_LAYOUT_BYTES, MXQ_COMPAT_COMPRESSED_TENSORS, 0, 160, 128, true},
  {"quark", "quark/layout.e2m1.32x128.weight.bin", "quark/layout.e2m1.32x128.weight_scale.bin", MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, MXQ_COMPAT_QUARK, 0, 32,
   128, true},
  {"quark", "quark/layout.e2m3.32x128.weight.bin", "quark/layout.e2m3.32x128.weight_scale.bin", MXQ_MXFP6_E2M3, MXQ_LAYOUT_LE24, MXQ_COMPAT_QUARK, 0, 32,
   128, true},
  {"quark", "quark/layout.e3m2.32x128.weight.bin", "quark/layout.e3m2.32x128.weight_scale.bin", MXQ_MXFP6_E3M2, MXQ_LAYOUT_LE24, MXQ_COMPAT_QUARK, 0, 32,
   128, true},
  {"mlx", "mlx/layout.e2m1.160x128.weight.bin", "mlx/layout.e2m1.160x128.scales.bin", MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, MXQ_COMPAT_MLX, 0, 160, 128, false},
  {"mlx", "mlx/layout.e4m3.160x128.weight.bin", "mlx/layout.e4m3.160x128.scales.bin", MXQ_MXFP8_E4M3, MXQ_LAYOUT_BYTES, MXQ_COMPAT_MLX, 0, 160, 128, false},
};

/* Scales in rows, and swizzled. */
static const struct swizzled {
  const char *peer, *scales, *swizzled;
  enum mxq_swizzle swizzle;
  size_t rows, columns;
  bool large;
} swizzles[] = {
  {"torchao", "torchao/layout.e2m1.rceil.160x128.scale.bin", "torchao/layout.e2m1.rceil.160x128.swizzled.bin", MXQ_SWIZZLE_NVIDIA, 160, 4, true},
  {"torchao", "torchao/layout.e2m1.rceil.160x96.scale.bin", "torchao/layout.e2m1.rceil.160x96.swizzled.bin", MXQ_SWIZZLE_NVIDIA, 160, 3, true},
  {"torchao", "torchao/layout.e4m3.rceil.160x128.scale.bin", "torchao/layout.e4m3.rceil.160x128.swizzled.bin", MXQ_SWIZZLE_NVIDIA, 160, 4, true},
  {"torchao", "torchao/layout.e4m3.rceil.160x96.scale.bin", "torchao/layout.e4m3.rceil.160x96.swizzled.bin", MXQ_SWIZZLE_NVIDIA, 160, 3, true},
  {"torchao-0.18", "inputs/layout.f32", "torchao-0.18/layout.scale.300x21.to_blocked.bin", MXQ_SWIZZLE_NVIDIA, 300, 21, false},
  {"torchao-0.18", "inputs/layout.f32", "torchao-0.18/layout.scale.128x64.to_blocked.bin", MXQ_SWIZZLE_NVIDIA, 128, 64, false},
  {"torchao-0.18", "inputs/layout.f32", "torchao-0.18/layout.scale.1x90.to_blocked.bin", MXQ_SWIZZLE_NVIDIA, 1, 90, false},
  {"aiter", "inputs/layout.f32", "aiter/layout.scale.256x16.shuffled.bin", MXQ_SWIZZLE_AMD, 256, 16, false},
  {"aiter", "inputs/layout.f32", "aiter/layout.scale.96x88.shuffled.bin", MXQ_SWIZZLE_AMD, 96, 88, false},
  {"quark", "inputs/layout.f32", "quark/layout.scale.256x16.shuffled.bin", MXQ_SWIZZLE_AMD, 256, 16, false},
  {"quark", "inputs/layout.f32", "quark/layout.scale.96x88.shuffled.bin", MXQ_SWIZZLE_AMD, 96, 88, false},
};
enum { CONTAINERS = sizeof containers / sizeof *containers, SWIZZLES = sizeof swizzles / sizeof *swizzles };

/* What testdata has of each peer, and what the large set has: files of codes and of swizzled scales, blocks, scales swizzled. */
static const struct { const char *peer; size_t containers, blocks, swizzles, scales, large_containers, large_swizzles; } peers[] = {
  {"ggml", 1, 640, 0, 0, 1, 0}, {"fbgemm", 1, 640, 0, 0, 0, 0}, {"torchao", 2, 1280, 4, 2240, 2, 4}, {"torchao-0.12", 3, 1408, 0, 0, 0, 0},
  {"torchao-0.18", 0, 0, 3, 14582, 0, 0}, {"compressed-tensors", 3, 1920, 0, 0, 3, 0}, {"quark", 3, 384, 2, 12544, 3, 0}, {"mlx", 2, 1280, 0, 0, 0, 0},
  {"aiter", 0, 0, 2, 12544, 0, 0},
};
enum { PEERS = sizeof peers / sizeof *peers };

static void compare_container(const char *dir, const struct container *c) {
  size_t in_n, codes_n, scales_n = 0;
  uint64_t code_bytes, scale_bytes, want_bytes, want_scale_bytes;
  unsigned char *in = golden_load(dir, "inputs/layout.f32", &in_n), *want = golden_load(dir, c->codes, &codes_n), *want_scales = NULL;
  ck_assert(mxq_sizes(c->format, c->rows, c->k, &code_bytes, &scale_bytes) && mxq_layout_sizes(c->layout, c->rows, c->k, &want_bytes, &want_scale_bytes));
  ck_assert_uint_ge(in_n, c->rows * c->k * 4);
  ck_assert_uint_eq(codes_n, want_bytes);
  if (c->scales) want_scales = golden_load(dir, c->scales, &scales_n);
  ck_assert_uint_eq(scales_n, want_scale_bytes);
  const struct mxq_rows shape = {.rows = c->rows, .k = c->k};
  const struct mxq_relayout_rows moved = {.rows = c->rows, .k = c->k};
  const struct mxq_numerics numerics = {.compat = c->compat, .scale_rule = c->rule};
  const enum mxq_layout own = mxq_layout_of(c->format);
  unsigned char *codes = malloc(code_bytes), *scales = malloc(scale_bytes), *made = malloc(want_bytes), *made_scales = malloc(scale_bytes);
  mxq_pool *pool = mxq_pool_create(2);
  FOR_EACH_LEVEL(level) {
    const char *row = mxq_cpu_name((enum mxq_cpu)level);
    struct mxq_error err = {0};
    ck_assert_msg(mxq_encode(c->format, MXQ_F32, in, &shape, codes, scales, &numerics, NULL, NULL, &err) == MXQ_OK, "%s: %s", c->codes, err.text);
    memset(made, 0xa5, want_bytes);
    memset(made_scales, 0xa5, scale_bytes);
    ck_assert_int_eq(mxq_relayout(c->format, own, codes, scales, &moved, c->layout, made, made_scales, NULL, NULL), MXQ_OK);
    ck_assert_msg(memcmp(made, want, want_bytes) == 0, "%s, row %s: not what %s makes", c->codes, row, c->peer);
    if (want_scales) ck_assert_msg(memcmp(made_scales, want_scales, scale_bytes) == 0, "%s, row %s: not what %s makes", c->scales, row, c->peer);
    /* and theirs becomes ours */
    memset(made, 0xa5, want_bytes);
    memset(made_scales, 0xa5, scale_bytes);
    ck_assert_int_eq(mxq_relayout(c->format, c->layout, want, want_scales, &moved, own, made, made_scales, mxq_pool_runner(pool), NULL), MXQ_OK);
    ck_assert_msg(memcmp(made, codes, code_bytes) == 0 && memcmp(made_scales, scales, scale_bytes) == 0, "%s, row %s: read otherwise than made", c->codes, row);
  }
  mxq_pool_free(pool);
  free(in);
  free(want);
  free(want_scales);
  free(codes);
  free(scales);
  free(made);
  free(made_scales);
}

static void compare_swizzled(const char *dir, const struct swizzled *s) {
  size_t n, m;
  uint64_t bytes;
  unsigned char *scales = golden_load(dir, s->scales, &n), *want = golden_load(dir, s->swizzled, &m);
  const size_t all = s->rows * s->columns;
  ck_assert_int_eq(mxq_swizzle_bytes(s->swizzle, s->rows, s->columns, &bytes, NULL), MXQ_OK);
  ck_assert_uint_eq(m, bytes);
  ck_assert_uint_ge(n, all);
  unsigned char *made = malloc(bytes), *back = malloc(all);
  memset(made, 0xa5, bytes);
  ck_assert_int_eq(mxq_scales_swizzle(s->swizzle, s->rows, s->columns, scales, 0, made, NULL, NULL), MXQ_OK);
  ck_assert_msg(memcmp(made, want, bytes) == 0, "%s: not what %s makes", s->swizzled, s->peer);
  ck_assert_int_eq(mxq_scales_unswizzle(s->swizzle, s->rows, s->columns, want, back, 0, NULL, NULL), MXQ_OK);
  ck_assert_msg(memcmp(back, scales, all) == 0, "%s: read otherwise than made", s->swizzled);
  free(scales);
  free(want);
  free(made);
  free(back);
}

static void compare_peer(const char *dir, size_t p, bool large) {
  size_t files = 0, blocks = 0, swizzled = 0, scales = 0;
  for (size_t i = 0; i < CONTAINERS; i++) {
    if (strcmp(containers[i].peer, peers[p].peer) != 0 || (large && !containers[i].large)) continue;
    compare_container(dir, &containers[i]);
    files++;
    blocks += containers[i].rows * (size_t)mxq_row_blocks(containers[i].k);
  }
  for (size_t i = 0; i < SWIZZLES; i++) {
    if (strcmp(swizzles[i].peer, peers[p].peer) != 0 || (large && !swizzles[i].large)) continue;
    compare_swizzled(dir, &swizzles[i]);
    swizzled++;
    scales += swizzles[i].rows * swizzles[i].columns;
  }
  printf("# layouts of %s%s: %zu containers, %zu blocks; %zu swizzled, %zu scales equal\n", peers[p].peer, large ? " in the large set" : "", files, blocks,
         swizzled, scales);
  ck_assert_uint_ge(files, large ? peers[p].large_containers : peers[p].containers);
  ck_assert_uint_ge(swizzled, large ? peers[p].large_swizzles : peers[p].swizzles);
  if (!large) ck_assert(blocks >= peers[p].blocks && scales >= peers[p].scales);
}

START_TEST(containers_are_what_the_peer_makes) { compare_peer("testdata/golden", (size_t)_i, false); }
END_TEST

START_TEST(containers_are_what_the_peer_makes_in_the_large_set) {
  if (golden_shared() && (peers[_i].large_containers || peers[_i].large_swizzles)) compare_peer(golden_shared(), (size_t)_i, true);
}
END_TEST

/* Every container of testdata's index has its line above. */
static size_t unknown;
static void look_up(const char *dir, const struct golden_line *l) {
  (void)dir;
  if (!strstr(l->file, "/layout.") || strncmp(l->file, "inputs/", 7) == 0) return;
  for (size_t i = 0; i < CONTAINERS; i++)
    if (strcmp(l->file, containers[i].codes) == 0 || (containers[i].scales && strcmp(l->file, containers[i].scales) == 0)) return;
  for (size_t i = 0; i < SWIZZLES; i++)
    if (strcmp(l->file, swizzles[i].scales) == 0 || strcmp(l->file, swizzles[i].swizzled) == 0) return;
  printf("# not compared: %s\n", l->file);
  unknown++;
}
START_TEST(no_container_of_testdata_is_left_out) {
  golden_each("testdata/golden", look_up);
  ck_assert_uint_eq(unknown, 0);
}
END_TEST

int main(void) {
  Suite *s = suite_create("layouts");
  TCase *c = tcase_create("layouts");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, containers_are_what_the_peer_makes, 0, PEERS);
  tcase_add_loop_test(c, containers_are_what_the_peer_makes_in_the_large_set, 0, PEERS);
  tcase_add_test(c, no_container_of_testdata_is_left_out);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
