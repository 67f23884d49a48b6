/* SPDX-License-Identifier: MIT */
/* The pieces that following weights is made of: reshapes, equations, the table of operators, symbolic sizes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/uses.h"

enum { NO = -1 };

START_TEST(symbolic_sizes_read_as_people_write_them) {
  static const char *const texts[][2] = {
      {"Symbol('s77', positive=True, integer=True)", "s77"},
      {"Symbol(\"s0\")", "s0"},
      {"s0", "s0"},
      {"64", "64"},
      {"Integer(-3)", "-3"},
      {"Add(Integer(1), Mul(Integer(2), Symbol('s0', integer=True)))", "2*s0 + 1"},
      {"Add(Symbol('s0'), Integer(-1))", "s0 - 1"},
      {"Add(Symbol('s0'), Mul(Integer(-1), Symbol('s1')))", "s0 - s1"},
      {"Mul(Integer(-1), Symbol('s1'))", "-s1"},
      {"Mul(Integer(3), Add(Symbol('s0'), Integer(1)))", "3*(s0 + 1)"},
      {"Mul(Integer(2), FloorDiv(Symbol('s0'), Integer(2)))", "2*(s0//2)"},
      {"FloorDiv(Add(Symbol('s0'), Integer(-1)), Integer(2))", "(s0 - 1)//2"},
      {"FloorDiv(Symbol('a'), FloorDiv(Symbol('b'), Integer(2)))", "a//(b//2)"},
      {"Mod(Symbol('s0'), Integer(4))", "s0 % 4"},
      {"PythonMod(Symbol('s0'), Integer(4))", "s0 % 4"},
      {"Pow(Symbol('s0'), Integer(2))", "s0**2"},
      {"Pow(Symbol('s0'), Integer(-1))", "s0**(-1)"},
      {"Pow(Add(Symbol('s0'), Integer(1)), Integer(2))", "(s0 + 1)**2"},
      {"Max(Integer(1), Symbol('s0'))", "max(1, s0)"},
      {"Min(Symbol('s0'), Symbol('s1'), Integer(7))", "min(s0, s1, 7)"},
      {"CleanDiv(Symbol('s0'), Integer(8))", "s0//8"},
      /* Not known, or not whole: as they are. */
      {"Frobnicate(Symbol('s0'))", "Frobnicate(Symbol('s0'))"},
      {"Symbol('s0'", "Symbol('s0'"},
      {"Add(Symbol('s0'),", "Add(Symbol('s0'),"},
      {"Symbol('s0') x", "Symbol('s0') x"},
      {"Add()", "Add()"},
      {"", ""}};
  struct mxq_arena arena = {0};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    ck_assert_str_eq(mxq_pt2_symbolic(&arena, texts[i][0], strlen(texts[i][0])), texts[i][1]);
  /* Depth and length end somewhere. */
  char *deep = malloc(400001);
  for (int i = 0; i < 100000; i++)
    memcpy(deep + 4 * i, "Add(", 4);
  deep[400000] = 0;
  ck_assert_str_eq(mxq_pt2_symbolic(&arena, deep, 400000), deep);
  free(deep);
  mxq_arena_free(&arena);
}
END_TEST

START_TEST(equations_are_taken_apart) {
  static const struct { const char *equation; uint32_t operands, i, ndim; uint64_t dims; } rows[] = {
      {"ij,jk->ik", 2, 0, 2, 2}, {"ij,jk->ik", 2, 1, 2, 1}, {"ij,jk", 2, 1, 2, 1}, {"...d,hd->...h", 2, 1, 2, 2}, {"...d,hd->...h", 2, 0, 3, 4},
      {"bhd,hde->be", 2, 1, 3, 3}, {"ij->i", 1, 0, 2, 0} /* a sum with nobody else */, {"ii,ij->j", 2, 0, 2, 0} /* a diagonal */,
      {"i,i->", 2, 1, 1, 1}, {"ab,cb,db->acd", 3, 2, 2, 2}, {"ij,jk->ik", 3, 0, 2, 0}, {"ij,jk->ik", 2, 0, 3, 0}, {"i1,jk->ik", 2, 0, 2, 0},
      {"", 1, 0, 2, 0}, {",", 2, 0, 2, 0}, {"..i,ij->j", 2, 0, 3, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    ck_assert_msg(mxq_pt2_einsum(rows[i].equation, rows[i].operands, rows[i].i, rows[i].ndim) == rows[i].dims, "%s, operand %u", rows[i].equation, rows[i].i);
}
END_TEST

START_TEST(reshapes_keep_what_they_can) {
  static const struct { uint32_t n; int64_t from[5]; uint32_t m; int64_t to[5]; uint32_t dim; int first, last; } rows[] = {
      {2, {6, 8}, 2, {6, 8}, 1, 1, 1}, {3, {6, 2, 4}, 2, {6, 8}, 1, 1, 2}, {3, {6, 2, 4}, 2, {12, 4}, 0, 0, 1}, {2, {6, 8}, 3, {6, 2, 4}, 2, NO, 0},
      {2, {6, 8}, 3, {6, 2, 4}, 0, 0, 0}, {2, {6, 8}, 4, {1, 6, 1, 8}, 3, 1, 1}, {3, {6, 1, 8}, 2, {6, 8}, 1, 2, 2}, {3, {6, 1, 8}, 4, {1, 6, 1, 8}, 2, 1, 1},
      {2, {6, 8}, 3, {6, 1, 8}, 1, NO, 0}, {3, {6, 8, 1}, 2, {6, 8}, 1, 1, 1}, {3, {1, 1, 8}, 4, {1, 1, 4, 2}, 1, 1, 1}, {3, {4, 3, 2}, 2, {6, 4}, 0, NO, 0},
      {3, {4, 3, 2}, 1, {24}, 0, 0, 2}, {4, {2, 3, 4, 5}, 3, {6, 4, 5}, 1, 2, 2}, {4, {2, 3, 4, 5}, 3, {2, 12, 5}, 1, 1, 2}, {2, {0, 8}, 2, {8, 0}, 0, NO, 0},
      {2, {-1, 8}, 2, {-1, 8}, 1, 1, 1}, {2, {6, 8}, 2, {8, 6}, 0, NO, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct mxq_pt2_view whole, out;
    uint64_t source[5];
    uint32_t first = 99, last = 99;
    for (uint32_t d = 0; d < rows[i].n; d++)
      source[d] = rows[i].from[d] < 0 ? 7 : (uint64_t)rows[i].from[d];
    mxq_pt2_view_whole(&whole, 0, rows[i].n);
    mxq_pt2_view_reshape(&out, &whole, source, rows[i].from, rows[i].m, rows[i].to);
    ck_assert_uint_eq(out.ndim, rows[i].m);
    bool run = mxq_pt2_view_run(&out, UINT64_C(1) << rows[i].dim, source, &first, &last);
    ck_assert_msg(run == (rows[i].first >= 0), "row %zu", i);
    if (run)
      ck_assert_msg(first == (uint32_t)rows[i].first && last == (uint32_t)rows[i].last, "row %zu: %u-%u", i, first, last);
  }
}
END_TEST

START_TEST(the_table_of_operators_is_sorted) {
  static const char *const some[] = {"__rmatmul__", "_to_copy", "add", "linear", "matmul", "view", "where", "zeros_like", "t", "mm", "addmm", "lstm", "unbind"};
  for (size_t i = 0; i < sizeof some / sizeof *some; i++) { /* found by halving, from end to end */
    static const char *const arguments[] = {"", "self", "weight", "other", "mat2", "params", "input"};
    bool known = false;
    for (size_t k = 0; k < sizeof arguments / sizeof *arguments; k++)
      known |= mxq_pt2_action(some[i], arguments[k], true) != MXQ_DOES_OTHER;
    ck_assert_msg(known, "%s", some[i]);
  }
  ck_assert_int_eq(mxq_pt2_action("linear", "bias", false), MXQ_DOES_OTHER);
  ck_assert_int_eq(mxq_pt2_action("linear_", "weight", false), MXQ_DOES_OTHER);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("pt2 views");
  TCase *tc = tcase_create("pieces");
  tcase_add_test(tc, symbolic_sizes_read_as_people_write_them);
  tcase_add_test(tc, equations_are_taken_apart);
  tcase_add_test(tc, reshapes_keep_what_they_can);
  tcase_add_test(tc, the_table_of_operators_is_sorted);
  suite_add_tcase(suite, tc);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
