/* SPDX-License-Identifier: MIT */
/* Blocks that other stacks made, under the options that index.tsv gives for them, against every row of the kernel table. */
#include <math.h>

#include "tests/golden/golden.h"

enum { PEERS = 16 };
static struct {
  char name[40];
  size_t files, blocks, outside;
} compared[PEERS];

static const char *option(const char *args, const char *name, char buf[64]) {
  const char *p = strstr(args, name);
  buf[0] = 0;
  if (p)
    sscanf(p + strlen(name), " %63s", buf);
  return buf;
}

static size_t peer_number(const char *name) {
  for (size_t i = 0; i < PEERS; i++)
    if (!compared[i].name[0] || strcmp(compared[i].name, name) == 0) {
      snprintf(compared[i].name, sizeof compared[i].name, "%s", name);
      return i;
    }
  ck_abort_msg("too many peers");
  return 0;
}

/* Where a preset has to be exact: finite blocks whose amax is zero or in (2^-110, 2^120). */
static bool counts(const unsigned char *block, bool bf16, bool everywhere) {
  float most = 0;
  for (int i = 0; i < MXQ_BLOCK; i++) {
    uint32_t u = bf16 ? (uint32_t)(block[2 * i] | block[2 * i + 1] << 8) << 16 : 0;
    float x;
    if (!bf16)
      memcpy(&u, block + 4 * i, 4);
    memcpy(&x, &u, 4);
    if (!isfinite(x))
      return everywhere;
    most = fabsf(x) > most ? fabsf(x) : most;
  }
  return everywhere || most == 0 || (most > 0x1p-110f && most < 0x1p120f);
}

/* What the peer has: 33 bytes a block, or 32 values. */
static void compare_line(const char *dir, const struct golden_line *l) {
  char text[64], input[80];
  const char *ending = l->file + strlen(l->file) - 4;
  if (strcmp(l->args, "-") == 0)
    return;
  bool values = strcmp(ending, ".f32") == 0, bf16 = strstr(l->input, ".bf16") != NULL, f16 = strstr(l->input, ".f16") != NULL;
  enum mxq_format format;
  struct mxq_numerics numerics = {.nonfinite = MXQ_NONFINITE_BLOCK};
  ck_assert_msg(mxq_format_parse(option(l->args, "--format", text), &format), "%s", l->args);
  ck_assert_msg(mxq_compat_parse(option(l->args, "--compat", text), &numerics.compat), "%s", l->args);
  ck_assert_msg(mxq_scale_rule_parse(option(l->args, "--scale-rule", text), &numerics.scale_rule), "%s", l->args);
  ck_assert_msg(mxq_rounding_parse(option(l->args, "--round", text), &numerics.round, &numerics.seed), "%s", l->args);
  bool everywhere = numerics.compat == MXQ_COMPAT_TORCHAO;
  size_t in_size, out_size, k = (size_t)l->blocks * MXQ_BLOCK, size = bf16 || f16 ? 2 : 4;
  snprintf(input, sizeof input, "inputs/%s%s", l->input, size == 2 ? "" : ".f32");
  unsigned char *in = golden_load(dir, input, &in_size), *want = golden_load(dir, l->file, &out_size);
  ck_assert_uint_ge(in_size, k * size);
  ck_assert_uint_eq(out_size, (size_t)l->blocks * (values ? 128 : 33));
  enum mxq_element element = mxq_format_element(format);
  uint8_t *packed = malloc(k), *codes = malloc(k), *scales = malloc((size_t)l->blocks), *y = malloc(k * 4);
  size_t peer = peer_number(l->peer);
  FOR_EACH_LEVEL(level) {
    struct mxq_rows shape = {.rows = 1, .k = k};
    struct mxq_error err = {0};
    ck_assert_msg(mxq_encode(format, bf16 ? MXQ_BF16 : f16 ? MXQ_F16 : MXQ_F32, in, &shape, packed, scales, &numerics, NULL, NULL, &err) == MXQ_OK, "%s: %s",
                  l->file, err.text);
    ck_assert_int_eq(mxq_decode(format, MXQ_F32, packed, scales, &shape, y, NULL, NULL, &err), MXQ_OK);
    golden_unpack(element, packed, k, codes);
    for (long b = 0; b < l->blocks; b++) {
      const unsigned char *w = want + (values ? 128 : 33) * b;
      if (!counts(in + (size_t)b * MXQ_BLOCK * size, size == 2, everywhere)) {
        compared[peer].outside += level == 0;
        continue;
      }
      if (values) {
        for (int i = 0; i < MXQ_BLOCK; i++) {
          float a, c;
          memcpy(&a, w + 4 * i, 4);
          memcpy(&c, y + 128 * b + 4 * i, 4);
          ck_assert_msg((isnan(a) && isnan(c)) || memcmp(&a, &c, 4) == 0 || (element == MXQ_INT8 && a == c) /* it has one zero */, "%s, row %s, block %ld, element %d: %a, the peer has %a", l->file,
                        mxq_cpu_name((enum mxq_cpu)level), b, i, (double)c, (double)a);
        }
        continue;
      }
      ck_assert_msg(scales[b] == w[0], "%s, row %s, block %ld: scale %d, the peer has %d", l->file, mxq_cpu_name((enum mxq_cpu)level), b, scales[b], w[0]);
      for (int i = 0; w[0] != 255 && i < MXQ_BLOCK; i++)
        ck_assert_msg(codes[MXQ_BLOCK * b + i] == w[1 + i], "%s, row %s, block %ld, element %d: code %02x, the peer has %02x", l->file,
                      mxq_cpu_name((enum mxq_cpu)level), b, i, codes[MXQ_BLOCK * b + i], w[1 + i]);
    }
  }
  compared[peer].files++;
  compared[peer].blocks += (size_t)l->blocks;
  free(in);
  free(want);
  free(packed);
  free(codes);
  free(scales);
  free(y);
}

static const char *only;
static void compare_peer(const char *dir, const struct golden_line *l) {
  if (strcmp(l->peer, only) == 0)
    compare_line(dir, l);
}

/* Peers of the presets, and how many files of each testdata has, and the large set at least. */
static const struct { const char *name; size_t here, large; } peers[] = {
  {"torchao", 88, 100}, {"torchao-0.18", 20, 20}, {"ggml", 1, 3}, {"gguf-py", 1, 2}, {"compressed-tensors", 3, 12}, {"microxcaling", 18, 54},
  {"fbgemm", 8, 16}, {"quark", 9, 18}, {"mlx", 2, 4}, {"modelopt", 2, 6}, {"auto-round", 11, 22},
};

static void compare_set(const char *dir, size_t least) {
  memset(compared, 0, sizeof compared);
  golden_each(dir, compare_peer);
  size_t i = peer_number(only);
  printf("# %s: %zu files, %zu blocks, %zu outside the range of presets\n", only, compared[i].files, compared[i].blocks, compared[i].outside);
  ck_assert_uint_ge(compared[i].files, least);
}

START_TEST(blocks_equal_what_the_peer_makes) {
  only = peers[_i].name;
  compare_set("testdata/golden", peers[_i].here);
}
END_TEST

START_TEST(blocks_equal_what_the_peer_makes_in_the_large_set) {
  only = peers[_i].name;
  if (golden_shared())
    compare_set(golden_shared(), peers[_i].large);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("peers");
  TCase *c = tcase_create("peers");
  tcase_set_timeout(c, 60);
  tcase_add_loop_test(c, blocks_equal_what_the_peer_makes, 0, sizeof peers / sizeof *peers);
  tcase_add_loop_test(c, blocks_equal_what_the_peer_makes_in_the_large_set, 0, sizeof peers / sizeof *peers);
  suite_add_tcase(suite, c);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
