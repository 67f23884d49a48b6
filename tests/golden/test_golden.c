/* SPDX-License-Identifier: MIT */
/* Packed bytes that other stacks made, and the worked cases of a model, against every row of the kernel table. */
#include "tests/golden/golden.h"

/* Packed bytes of a peer: codes and scales of [rows, k] under a rule. */
static void compare_layout(const char *codes_file, const char *scales_file, enum mxq_format format, enum mxq_scale_rule rule, size_t k) {
  size_t n, codes_n, scales_n;
  unsigned char *in = golden_load("testdata/golden", "inputs/layout.f32", &n);
  unsigned char *codes = golden_load("testdata/golden", codes_file, &codes_n), *scales = golden_load("testdata/golden", scales_file, &scales_n);
  struct mxq_rows shape = {.rows = 160, .k = k};
  struct mxq_numerics numerics = {.scale_rule = rule};
  ck_assert_uint_eq(codes_n, shape.rows * mxq_row_code_bytes(format, k));
  ck_assert_uint_eq(scales_n, shape.rows * mxq_row_blocks(k));
  unsigned char *c = malloc(codes_n), *s = malloc(scales_n);
  FOR_EACH_LEVEL(level) {
    ck_assert_int_eq(mxq_encode(format, MXQ_F32, in, &shape, c, s, &numerics, NULL, NULL, NULL), MXQ_OK);
    ck_assert_msg(memcmp(c, codes, codes_n) == 0, "%s, row %s", codes_file, mxq_cpu_name((enum mxq_cpu)level));
    ck_assert_msg(memcmp(s, scales, scales_n) == 0, "%s, row %s", scales_file, mxq_cpu_name((enum mxq_cpu)level));
  }
  printf("# layout: %s equal\n", codes_file);
  free(in);
  free(codes);
  free(scales);
  free(c);
  free(s);
}

START_TEST(packed_bytes_equal_those_of_peers) {
  compare_layout("torchao/layout.e2m1.rceil.160x128.qdata.bin", "torchao/layout.e2m1.rceil.160x128.scale.bin", MXQ_MXFP4, MXQ_SCALE_RCEIL, 128);
  compare_layout("torchao/layout.e4m3.rceil.160x128.qdata.bin", "torchao/layout.e4m3.rceil.160x128.scale.bin", MXQ_MXFP8_E4M3, MXQ_SCALE_RCEIL, 128);
  compare_layout("compressed-tensors/layout.e2m1.160x128.weight_packed.bin", "compressed-tensors/layout.e2m1.160x128.weight_scale.bin", MXQ_MXFP4, MXQ_SCALE_EVEN, 128);
  compare_layout("compressed-tensors/layout.e2m3.160x128.weight_packed.bin", "compressed-tensors/layout.e2m3.160x128.weight_scale.bin", MXQ_MXFP6_E2M3, MXQ_SCALE_EVEN, 128);
}
END_TEST

START_TEST(blocks_equal_the_model_s_worked_cases) {
  size_t size, cases = 0;
  char *text = (char *)golden_load("testdata/golden", "mx_model.tsv", &size);
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    char element_name[16], rule_name[24], words[400], codes_text[128];
    unsigned scale;
    ck_assert_int_eq(sscanf(line, "%15[^\t]\t%23[^\t]\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%399[^\t]\t%u\t%127s", element_name, rule_name, words, &scale, codes_text), 5);
    enum mxq_element element = golden_element(element_name);
    struct mxq_numerics numerics = {0};
    ck_assert(mxq_scale_rule_parse(rule_name, &numerics.scale_rule));
    uint32_t in[MXQ_BLOCK];
    uint8_t packed[MXQ_BLOCK], codes[MXQ_BLOCK], got;
    for (int i = 0; i < MXQ_BLOCK; i++)
      in[i] = (uint32_t)strtoul(words + 9 * i, NULL, 16);
    FOR_EACH_LEVEL(level) {
      struct mxq_rows shape = {.rows = 1, .k = MXQ_BLOCK};
      ck_assert_int_eq(mxq_encode(golden_format(element), MXQ_F32, in, &shape, packed, &got, &numerics, NULL, NULL, NULL), MXQ_OK);
      ck_assert_msg(got == scale, "%s %s: scale %d, the model has %u (%.60s)", element_name, rule_name, got, scale, line);
      golden_unpack(element, packed, MXQ_BLOCK, codes);
      for (int i = 0; scale != 255 && i < MXQ_BLOCK; i++)
        ck_assert_msg(codes[i] == strtoul(codes_text + 3 * i, NULL, 16), "%s %s, element %d: code %02x (%.60s)", element_name, rule_name, i, codes[i], line);
    }
    cases++;
  }
  free(text);
  printf("# own model: %zu cases equal\n", cases);
  ck_assert_uint_eq(cases, 609);
}
END_TEST

int main(void) {
  Suite *s = suite_create("golden");
  TCase *c = tcase_create("blocks");
  tcase_set_timeout(c, 60);
  tcase_add_test(c, packed_bytes_equal_those_of_peers);
  tcase_add_test(c, blocks_equal_the_model_s_worked_cases);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
