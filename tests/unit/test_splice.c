/* SPDX-License-Identifier: MIT */
/* Edits of JSON lists: every way of taking out, replacing and adding leaves valid JSON that holds the right elements. */
#include <check.h>
#include <string.h>

#include "formats/pt2/splice.h"

enum { MOST = 5 };

static struct mxq_text quoted(const char *s) {
  struct mxq_text t = {0};
  if (s)
    mxq_text_add(&t, s, strlen(s));
  return t;
}

/* Elements of an edited list, without white space. */
static void join(const char *text, char *out) {
  uint32_t at = 1;
  struct mxq_span e;
  struct mxq_error err;
  ck_assert_int_eq(mxq_json_check(text, strlen(text), &err), MXQ_OK);
  *out = 0;
  while (mxq_pt2_list_next(text, &at, &e)) {
    strncat(out, text + e.at, e.n);
    strcat(out, ";");
  }
}

/* fate of each element: 0 stays, 1 is taken out, 2 becomes two others. */
static void attempt(const char *list, unsigned n, const char *const *elements, const unsigned *fate, const char *front, const char *back) {
  const char *two = *list == '[' ? "11, 22" : "\"x\":1, \"y\":2", *joined = *list == '[' ? "11;22;" : "\"x\":1;\"y\":2;";
  struct mxq_pt2_splices s = {0};
  struct mxq_pt2_change changes[MOST];
  struct mxq_text f = quoted(front), b = quoted(back), out = {0};
  char want[256] = "", got[256];
  size_t count = 0;
  if (front)
    strcat(strcat(want, front), ";");
  uint32_t at = 1;
  struct mxq_span e;
  for (unsigned i = 0; i < n; i++) {
    ck_assert(mxq_pt2_list_next(list, &at, &e));
    ck_assert_msg(e.n == strlen(elements[i]) && memcmp(list + e.at, elements[i], e.n) == 0, "element %u of %s", i, list);
    if (fate[i] == 0)
      strcat(strcat(want, elements[i]), ";");
    else if (fate[i] == 2)
      strcat(want, joined);
    if (fate[i])
      changes[count++] = (struct mxq_pt2_change){e.at, mxq_pt2_splice_keep(&s, two, fate[i] == 2 ? strlen(two) : 0)};
  }
  ck_assert(!mxq_pt2_list_next(list, &at, &e));
  if (back)
    strcat(strcat(want, back), ";");
  mxq_pt2_splice_list(&s, list, (struct mxq_span){0, (uint32_t)strlen(list)}, changes, count, &f, &b);
  ck_assert(mxq_pt2_splice_apply(&s, list, strlen(list), &out));
  mxq_text_add(&out, "", 1);
  join(out.data, got);
  ck_assert_str_eq(got, want);
  mxq_pt2_splice_free(&s);
  mxq_text_free(&f);
  mxq_text_free(&b);
  mxq_text_free(&out);
}

static void all_fates(const char *list, unsigned n, const char *const *elements) {
  unsigned ways = 1;
  for (unsigned i = 0; i < n; i++)
    ways *= 3;
  for (unsigned way = 0; way < ways; way++) {
    unsigned fate[MOST], rest = way;
    for (unsigned i = 0; i < MOST; i++, rest /= 3)
      fate[i] = rest % 3;
    const char *front = *list == '[' ? "[0]" : "\"f\":0", *back = *list == '[' ? "\"b\"" : "\"b\":[]";
    for (unsigned ends = 0; ends < 4; ends++)
      attempt(list, n, elements, fate, ends & 1 ? front : NULL, ends & 2 ? back : NULL);
  }
}

START_TEST(lists_keep_their_commas) {
  static const char *const items[] = {"{\"a\": [1, 2]}", "\"],}\\\"\"", "3", "[]", "null"};
  all_fates("[]", 0, items);
  all_fates("[ ]", 0, items);
  all_fates("[{\"a\": [1, 2]}]", 1, items);
  all_fates("[ {\"a\": [1, 2]} ,\n\"],}\\\"\" ]", 2, items);
  all_fates("[{\"a\": [1, 2]}, \"],}\\\"\", 3, [], null]", 5, items);
  static const char *const members[] = {"\"k\\\"\": {\"a\": 1}", "\"\" :2"};
  all_fates("{}", 0, members);
  all_fates("{\"k\\\"\": {\"a\": 1}}", 1, members);
}
END_TEST

START_TEST(everything_else_stays_as_it_is) {
  const char *text = "{ \"n\": [1,2 , 3], \"big\":18446744073709551615 }";
  struct mxq_pt2_splices s = {0};
  struct mxq_text out = {0};
  struct mxq_pt2_change c = {.at = 10};
  mxq_pt2_splice(&s, (struct mxq_span){2, 3}, "\"m\"", 3);
  mxq_pt2_splice_list(&s, text, (struct mxq_span){7, 9}, &c, 1, NULL, NULL);
  mxq_pt2_splice(&s, (struct mxq_span){2, 0}, "\"first\":0,", 10);
  ck_assert(mxq_pt2_splice_apply(&s, text, strlen(text), &out));
  mxq_text_add(&out, "", 1);
  ck_assert_str_eq(out.data, "{ \"first\":0,\"m\": [1 , 3], \"big\":18446744073709551615 }");
  mxq_pt2_splice_free(&s);
  mxq_text_free(&out);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("splices");
  TCase *t = tcase_create("lists");
  tcase_add_test(t, lists_keep_their_commas);
  tcase_add_test(t, everything_else_stays_as_it_is);
  suite_add_tcase(suite, t);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
