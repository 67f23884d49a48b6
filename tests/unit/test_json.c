/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mxq/archive.h>
#include "formats/json/json.h"

static char *slurp(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  ck_assert_msg(f, "%s", path);
  fseek(f, 0, SEEK_END);
  *n = (size_t)ftell(f);
  rewind(f);
  char *s = malloc(*n ? *n : 1); /* no byte more: reading too far is seen by sanitizers */
  ck_assert_uint_eq(fread(s, 1, *n, f), *n);
  fclose(f);
  return s;
}

/* Checks all files of a folder; by the first letter, or by labels. Returns how many there were. */
static size_t check_folder(const char *folder) {
  DIR *d = opendir(folder);
  size_t count = 0;
  if (!d)
    return 0;
  for (struct dirent *e; (e = readdir(d));) {
    char path[700];
    size_t n;
    if (!strstr(e->d_name, ".json"))
      continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    char *text = slurp(path, &n);
    struct mxq_error err = {0};
    enum mxq_status status = mxq_json_check(text, n, &err);
    if (e->d_name[0] == 'y')
      ck_assert_msg(status == MXQ_OK, "%s: %s", e->d_name, err.text);
    if (e->d_name[0] == 'n') {
      ck_assert_msg(status == MXQ_ERR_MALFORMED || status == MXQ_ERR_LIMIT, "%s: status %d", e->d_name, status);
      ck_assert_msg(strlen(err.text) > 10 && err.offset <= n, "%s: %s", e->d_name, err.text);
    }
    free(text);
    count++;
  }
  closedir(d);
  return count;
}

START_TEST(the_test_suite_of_others_is_judged_as_its_names_say) {
  const char *shared = getenv("MXQ_SHARED");
  char folder[600];
  ck_assert_uint_ge(check_folder("testdata/json"), 18);
  snprintf(folder, sizeof folder, "%s/corpora/json", shared ? shared : "../shared");
  size_t n = check_folder(folder);
  ck_assert_msg(!shared || n == 212, "%zu of 212 files", n);
  printf("JSONTestSuite: %zu texts\n", n);
}
END_TEST

START_TEST(fuzzed_texts_are_judged_as_their_labels_say) {
  const char *shared = getenv("MXQ_SHARED");
  char path[700], line[1000];
  size_t count = 0;
  snprintf(path, sizeof path, "%s/corpora/json-fuzz/labels.tsv", shared ? shared : "../shared");
  FILE *f = fopen(path, "r");
  if (!f) {
    ck_assert_msg(!shared, "%s is missing", path);
    return;
  }
  ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
  for (; fgets(line, sizeof line, f); count++) {
    char *rest = line, *field[6];
    size_t n;
    for (int i = 0; i < 6; i++)
      field[i] = strsep(&rest, "\t\n");
    snprintf(path, sizeof path, "%s/corpora/json-fuzz/%s", shared ? shared : "../shared", field[0]);
    char *text = slurp(path, &n);
    struct mxq_error err = {0};
    enum mxq_status status = mxq_json_check(text, n, &err);
    if (strcmp(field[2], "valid") != 0)
      ck_assert_msg(status != MXQ_OK, "%s is not valid", field[0]);
    else if (atoi(field[4]) <= 64 && !strstr(field[5], "lone-surrogate"))
      ck_assert_msg(status == MXQ_OK, "%s: %s", field[0], err.text);
    free(text);
  }
  fclose(f);
  ck_assert_uint_eq(count, 400);
}
END_TEST

static enum mxq_status parse(const char *text, size_t n, struct mxq_error *err) {
  mxq_json *j;
  char *exact = malloc(n ? n : 1);
  memcpy(exact, text, n);
  ck_assert_int_eq(mxq_json_open(exact, n, 0, &j, err), MXQ_OK);
  enum mxq_json_type type;
  while ((type = mxq_json_next(j, NULL, NULL)) != MXQ_JSON_DONE && type != MXQ_JSON_ERROR)
    ;
  enum mxq_status status = mxq_json_end(j, "doc", err);
  mxq_json_close(j);
  free(exact);
  return status;
}
#define PARSE(text, err) parse(text, sizeof(text) - 1, err)

START_TEST(readers_of_formats_refuse_keys_that_stand_twice_and_nul_characters) {
  struct mxq_error err = {0};
  ck_assert_int_eq(PARSE("{\"a\":1,\"b\":{\"a\":1},\"c\":{\"a\":2}}", &err), MXQ_OK);
  ck_assert_int_eq(PARSE("{\"a\":1,\"b\":2,\"a\":3}", &err), MXQ_ERR_MALFORMED);
  ck_assert_uint_eq(err.offset, 13);
  ck_assert_str_eq(err.subject, "doc");
  ck_assert_int_eq(PARSE("{\"a\":1,\"\\u0061\":3}", &err), MXQ_ERR_MALFORMED);
  ck_assert_int_eq(PARSE("{\"\\u0061b\":1,\"\\u0062\":2,\"a\\u0062\":3}", &err), MXQ_ERR_MALFORMED);
  ck_assert_int_eq(PARSE("[\"a\\u0000b\"]", &err), MXQ_ERR_MALFORMED);
}
END_TEST

START_TEST(a_key_that_stands_twice_is_found_among_any_number_of_keys) {
  for (int count = 1; count < 80; count++) {
    for (int again = 0; again < count; again++) {
      char text[80 * 16], *p = text;
      struct mxq_error err = {0};
      p += sprintf(p, "{");
      for (int i = 0; i < count; i++)
        p += sprintf(p, i % 3 ? "\"k%d\":%d," : "\"\\u006b%d\":%d,", i, i);
      size_t at = (size_t)(p - text);
      p += sprintf(p, "\"k%d\":0}", again);
      ck_assert_int_eq(parse(text, (size_t)(p - text), &err), MXQ_ERR_MALFORMED);
      ck_assert_uint_eq(err.offset, at);
      strcpy(text + at, "\"new\":0}");
      ck_assert_msg(parse(text, strlen(text), &err) == MXQ_OK, "%d keys: %s", count, err.text);
    }
  }
}
END_TEST

START_TEST(events_come_in_order_with_decoded_texts) {
  static const char text[] = " {\"k\\n\" : [1, -2.5e3, \"\\ud83d\\ude00\\\"\", true, false, null], \"o\":{}} ";
  mxq_json *j;
  const char *s;
  size_t n;
  ck_assert_int_eq(mxq_json_open(text, sizeof text - 1, 0, &j, NULL), MXQ_OK);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_OBJECT);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_KEY);
  ck_assert(n == 2 && memcmp(s, "k\n", 2) == 0);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_ARRAY);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_NUMBER);
  ck_assert(n == 1 && *s == '1');
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_NUMBER);
  ck_assert(n == 6 && memcmp(s, "-2.5e3", 6) == 0);
  ck_assert_uint_eq(mxq_json_offset(j), 14);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_STRING);
  ck_assert(n == 5 && memcmp(s, "\xF0\x9F\x98\x80\"", 5) == 0);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_TRUE);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_FALSE);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_NULL);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_ARRAY_END);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_KEY);
  mxq_json_skip(j, MXQ_JSON_KEY);
  ck_assert_int_eq(mxq_json_next(j, &s, &n), MXQ_JSON_OBJECT_END);
  ck_assert_int_eq(mxq_json_end(j, "", NULL), MXQ_OK);
  mxq_json_close(j);
}
END_TEST

START_TEST(decoding_in_place_gives_the_same_texts_and_they_stay) {
  static const char text[] = "{\"a\\nb\":\"\\u20ac\\\\ \\ud83d\\ude00 tail\",\"plain\":[\"\",\"\\\"\",\"x\\ty\"],\"a\\u000ab2\":1,\"\\u0061\\nb\":2}";
  char copy[sizeof text];
  mxq_json *a, *b;
  const char *s, *t, *kept[16];
  size_t n, m, size[16], count = 0;
  char was[16][32];
  memcpy(copy, text, sizeof text);
  ck_assert_int_eq(mxq_json_open(text, sizeof text - 1, 0, &a, NULL), MXQ_OK);
  ck_assert_int_eq(mxq_json_open_in_place(copy, sizeof text - 1, 0, &b, NULL), MXQ_OK);
  for (;;) {
    enum mxq_json_type type = mxq_json_next(a, &s, &n);
    ck_assert_int_eq(mxq_json_next(b, &t, &m), type);
    ck_assert_uint_eq(mxq_json_offset(a), mxq_json_offset(b));
    if (type == MXQ_JSON_ERROR)
      break; /* the last key stands twice */
    if (type != MXQ_JSON_KEY && type != MXQ_JSON_STRING)
      continue;
    ck_assert(n == m && n < 32 && memcmp(s, t, n) == 0);
    memcpy(was[count], s, n);
    size[count] = n;
    kept[count++] = t;
  }
  ck_assert_uint_eq(count, 7);
  for (size_t i = 0; i < count; i++)
    ck_assert(memcmp(kept[i], was[i], size[i]) == 0);
  struct mxq_error ea = {0}, eb = {0};
  ck_assert_int_eq(mxq_json_end(a, "", &ea), MXQ_ERR_MALFORMED);
  ck_assert_int_eq(mxq_json_end(b, "", &eb), MXQ_ERR_MALFORMED);
  ck_assert_uint_eq(ea.offset, eb.offset);
  ck_assert_ptr_nonnull(strstr(ea.text, "stands twice"));
  mxq_json_close(a);
  mxq_json_close(b);
}
END_TEST

START_TEST(typed_reading_delivers_exact_integers_and_refuses_everything_else) {
  static const char text[] = "[18446744073709551615, -9223372036854775808, 9007199254740993, true, \"x\"]";
  struct mxq_arena arena = {0};
  mxq_json *j;
  uint64_t u;
  int64_t i;
  bool b;
  const char *s;
  ck_assert_int_eq(mxq_json_open(text, sizeof text - 1, 0, &j, NULL), MXQ_OK);
  ck_assert(mxq_json_expect(j, MXQ_JSON_ARRAY) && mxq_json_u64(j, &u) && mxq_json_i64(j, &i));
  ck_assert(u == UINT64_MAX && i == INT64_MIN);
  ck_assert(mxq_json_u64(j, &u) && u == 9007199254740993u && mxq_json_bool(j, &b) && b);
  ck_assert(mxq_json_text(j, &arena, &s) && strcmp(s, "x") == 0 && mxq_json_expect(j, MXQ_JSON_ARRAY_END));
  ck_assert_int_eq(mxq_json_end(j, "", NULL), MXQ_OK);
  mxq_json_close(j);
  mxq_arena_free(&arena);
  static const char *const wrong[] = {"1.0", "1e0", "-1", "18446744073709551616", "\"1\"", "true", "null", "[]"};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    struct mxq_error err = {0};
    ck_assert_int_eq(mxq_json_open(wrong[k], strlen(wrong[k]), 0, &j, NULL), MXQ_OK);
    ck_assert_msg(!mxq_json_u64(j, &u) && mxq_json_failed(j), "%s", wrong[k]);
    ck_assert_int_eq(mxq_json_next(j, NULL, NULL), MXQ_JSON_ERROR);
    ck_assert_int_eq(mxq_json_end(j, "d", &err), MXQ_ERR_MALFORMED);
    mxq_json_close(j);
  }
}
END_TEST

START_TEST(depth_and_number_of_values_are_limited) {
  char text[300];
  struct mxq_error err = {0};
  memset(text, '[', 64);
  memset(text + 64, ']', 64);
  ck_assert_int_eq(parse(text, 128, &err), MXQ_OK);
  memset(text, '[', 65);
  memset(text + 65, ']', 65);
  ck_assert_int_eq(parse(text, 130, &err), MXQ_ERR_LIMIT);
  mxq_json *j;
  for (size_t most = 1; most < 5; most++) {
    ck_assert_int_eq(mxq_json_open("[1,2,3]", 7, most, &j, NULL), MXQ_OK);
    mxq_json_skip(j, mxq_json_next(j, NULL, NULL));
    ck_assert_int_eq(mxq_json_end(j, "", &err), most < 4 ? MXQ_ERR_LIMIT : MXQ_OK);
    mxq_json_close(j);
  }
}
END_TEST

START_TEST(a_text_that_is_composed_is_read_back_as_it_was) {
  static const char text[] = "a\"b\\c\n\t\x01\x7f/é\xE2\x82\xAC\xF0\x9F\x98\x80";
  struct mxq_text t = {0};
  struct mxq_arena arena = {0};
  const char *s;
  mxq_json *j;
  mxq_text_quote(&t, text, sizeof text - 1);
  ck_assert(!t.failed);
  ck_assert_str_eq(t.data, "\"a\\\"b\\\\c\\n\\t\\u0001\x7f/\\u00e9\\u20ac\\ud83d\\ude00\"");
  ck_assert_int_eq(mxq_json_open(t.data, t.size, 0, &j, NULL), MXQ_OK);
  ck_assert(mxq_json_text(j, &arena, &s));
  ck_assert_str_eq(s, text);
  mxq_json_close(j);
  mxq_arena_free(&arena);
  mxq_text_free(&t);
  for (int i = 0; i < 1000; i++)
    mxq_text_addf(&t, "%d,", i);
  ck_assert_uint_eq(t.size, 10 * 2 + 90 * 3 + 900 * 4);
  mxq_text_free(&t);
}
END_TEST

START_TEST(many_keys_take_time_in_proportion) {
  enum { N = 200000 };
  struct mxq_text t = {0};
  struct mxq_error err = {0};
  mxq_text_add(&t, "{", 1);
  for (int i = 0; i < N; i++)
    mxq_text_addf(&t, "%s\"k%d\":{\"dtype\":7,\"sizes\":[{\"as_int\":3}]}", i ? "," : "", i);
  mxq_text_add(&t, "}", 1);
  clock_t begin = clock();
  ck_assert_int_eq(parse(t.data, t.size, &err), MXQ_OK);
  ck_assert_msg(clock() - begin < 5 * CLOCKS_PER_SEC, "%d keys in %g s", N, (double)(clock() - begin) / CLOCKS_PER_SEC);
  mxq_text_free(&t);
}
END_TEST

int main(void) {
  Suite *s = suite_create("json");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, the_test_suite_of_others_is_judged_as_its_names_say);
  tcase_add_test(t, fuzzed_texts_are_judged_as_their_labels_say);
  tcase_add_test(t, readers_of_formats_refuse_keys_that_stand_twice_and_nul_characters);
  tcase_add_test(t, a_key_that_stands_twice_is_found_among_any_number_of_keys);
  tcase_add_test(t, events_come_in_order_with_decoded_texts);
  tcase_add_test(t, decoding_in_place_gives_the_same_texts_and_they_stay);
  tcase_add_test(t, typed_reading_delivers_exact_integers_and_refuses_everything_else);
  tcase_add_test(t, depth_and_number_of_values_are_limited);
  tcase_add_test(t, a_text_that_is_composed_is_read_back_as_it_was);
  tcase_add_test(t, many_keys_take_time_in_proportion);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
