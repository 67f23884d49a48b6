/* SPDX-License-Identifier: MIT */
/* Values of codes, and casts to the element types, as ml_dtypes, PyTorch and the CUDA headers have them. */
#include <math.h>

#include "tests/golden/golden.h"

static bool same(float a, float b) { return isnan(a) ? isnan(b) : memcmp(&a, &b, 4) == 0; }

START_TEST(codes_have_the_values_that_others_give_them) {
  for (int e = 0; e < MXQ_INT8; e++) {
    char name[64];
    size_t size;
    snprintf(name, sizeof name, "elements/%s.decode.f32", mxq_element_name((enum mxq_element)e));
    float *want = (float *)(void *)golden_load("testdata/golden", name, &size);
    ck_assert_uint_eq(size / 4, (size_t)1 << mxq_element_bits((enum mxq_element)e));
    for (size_t i = 0; i < size / 4; i++)
      ck_assert_msg(same(mxq_element_value((enum mxq_element)e, (uint8_t)i), want[i]), "%s, code %zu", name, i);
    free(want);
  }
}
END_TEST

START_TEST(scale_bytes_have_the_values_that_others_give_them) {
  size_t size;
  float *want = (float *)(void *)golden_load("testdata/golden", "elements/e8m0.decode.f32", &size);
  ck_assert_uint_eq(size, 1024);
  for (unsigned i = 0; i < 256; i++)
    ck_assert_msg(same(mxq_e8m0_value((uint8_t)i), want[i]), "byte %u", i);
  free(want);
}
END_TEST

/*
 * A value is cast in a block whose other values are 2^emax: under the floor rule the scale is then 1, so that the code is the cast's. Values of
 * twice 2^emax and more would move the scale and are left out, as are NaN, and peers' codes for what their casts do not saturate.
 */
static size_t compare_casts(enum mxq_element e, const char *who) {
  char name[64];
  size_t size, n, done = 0;
  snprintf(name, sizeof name, "elements/%s.encode.in.f32", mxq_element_name(e));
  float *in = (float *)(void *)golden_load("testdata/golden", name, &n);
  snprintf(name, sizeof name, "elements/%s.encode.%s.bin", mxq_element_name(e), who);
  unsigned char *want = golden_load("testdata/golden", name, &size);
  ck_assert_uint_eq(size, n / 4);
  float anchor = ldexpf(1, mxq_element_emax(e));
  for (size_t i = 0; i < size; i++) {
    if (!(fabsf(in[i]) < 2 * anchor) || !isfinite(mxq_element_value(e, want[i])))
      continue;
    float block[MXQ_BLOCK];
    uint8_t packed[MXQ_BLOCK], codes[MXQ_BLOCK], scale;
    for (int k = 0; k < MXQ_BLOCK; k++)
      block[k] = k % 2 ? anchor : in[i];
    struct mxq_rows shape = {.rows = 1, .k = MXQ_BLOCK};
    struct mxq_numerics numerics = {.scale_rule = MXQ_SCALE_FLOOR};
    FOR_EACH_LEVEL(level) {
      ck_assert_int_eq(mxq_encode(golden_format(e), MXQ_F32, block, &shape, packed, &scale, &numerics, NULL, NULL, NULL), MXQ_OK);
      ck_assert_uint_eq(scale, 127);
      golden_unpack(e, packed, MXQ_BLOCK, codes);
      for (int k = 0; k < MXQ_BLOCK; k += 2)
        ck_assert_msg(codes[k] == want[i], "%s: %a gives %02x, %s has %02x (row %s)", name, (double)in[i], codes[k], who, want[i], mxq_cpu_name((enum mxq_cpu)level));
    }
    done++;
  }
  free(in);
  free(want);
  return done;
}

START_TEST(casts_to_element_types_equal_those_of_others) {
  static const struct {
    enum mxq_element e;
    const char *who;
  } casts[] = {{MXQ_E2M1, "ml_dtypes"}, {MXQ_E2M1, "cuda-rn"}, {MXQ_E2M3, "ml_dtypes"}, {MXQ_E2M3, "cuda-rn"},
               {MXQ_E3M2, "ml_dtypes"}, {MXQ_E3M2, "cuda-rn"}, {MXQ_E4M3, "ml_dtypes"}, {MXQ_E4M3, "torch"},
               {MXQ_E4M3, "cuda-rn-sat"}, {MXQ_E5M2, "ml_dtypes"}, {MXQ_E5M2, "torch"}, {MXQ_E5M2, "cuda-rn-sat"}};
  for (size_t i = 0; i < sizeof casts / sizeof *casts; i++) {
    size_t n = compare_casts(casts[i].e, casts[i].who);
    printf("# %s casts to %s: %zu equal\n", casts[i].who, mxq_element_name(casts[i].e), n);
    ck_assert_uint_ge(n, 1000);
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("elements");
  TCase *c = tcase_create("elements");
  tcase_set_timeout(c, 60);
  tcase_add_test(c, codes_have_the_values_that_others_give_them);
  tcase_add_test(c, scale_bytes_have_the_values_that_others_give_them);
  tcase_add_test(c, casts_to_element_types_equal_those_of_others);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
