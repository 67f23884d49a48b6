/* SPDX-License-Identifier: MIT */
/* Configs that lead to what is no record: refused with the tensor's name. */
#include "tests/unit/hand_program.h"

static enum mxq_status open_config(const char *weights_text, const char *constants_text, mxq_reader **r, struct mxq_error *err) {
  static struct hand_zip *z;         /* the reader reads from it */
  struct mxq_source source;
  free(z);
  z = hand_archive(PROGRAM, weights_text, 2, constants_text, 2, 64);
  mxq_source_from_memory(z->data, z->size, &source);
  memset(err, 0, sizeof *err);
  return mxq_reader_open_source(&source, NULL, r, err);
}

START_TEST(a_path_that_is_not_the_name_of_a_record_is_refused) {
  static const struct { const char *path, *word; } faults[] = {
      {"", "bare name"}, {".", "bare name"}, {"..", "bare name"}, {"../weights/weight_0", "bare name"}, {"weights\\\\weight_0", "bare name"},
      {"/weight_0", "bare name"}, {"weight_0/", "bare name"}, {"weight_2", "not in the archive"}, {"tensor_0", "not in the archive"}};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    struct mxq_error err;
    mxq_reader *r;
    char *text = hand_edit(weights, "weight_0", faults[i].path, 0);
    ck_assert_int_eq(open_config(text, constants, &r, &err), MXQ_ERR_MALFORMED);
    ck_assert_msg(strstr(err.text, "'w'") && strstr(err.text, faults[i].word), "%s: %s", faults[i].path, err.text);
    free(text);
  }
}
END_TEST

/* A weight that lay there took the config with it when it was replaced. */
START_TEST(no_tensor_lies_in_a_config) {
  struct mxq_error err;
  mxq_reader *r;
  char *text = hand_edit(weights, "weight_0", "model_weights_config.json", 0);
  ck_assert_int_eq(open_config(text, constants, &r, &err), MXQ_ERR_MALFORMED);
  ck_assert_msg(strstr(err.text, "'w'") && strstr(err.text, "config"), "%s", err.text);
  free(text);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 config faults");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_add_test(t, a_path_that_is_not_the_name_of_a_record_is_refused);
  tcase_add_test(t, no_tensor_lies_in_a_config);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
