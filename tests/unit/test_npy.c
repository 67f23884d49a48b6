/* SPDX-License-Identifier: MIT */
/* The readers of npy and npz. */
#include "tests/unit/corpus.h"

static struct mxq_error err;

START_TEST(every_good_file_has_the_values_that_numpy_reads) {
  size_t lines, n = corpus_values("npy", &lines);
  printf("numpy 2.4.6: %zu of %zu tensors compared\n", n, lines);
  ck_assert_uint_ge(n, getenv("MXQ_SHARED") ? lines : 40);
}
END_TEST

START_TEST(every_bad_file_is_refused_with_a_reason) {
  ck_assert_uint_ge(corpus_bad("npy"), 25);
}
END_TEST

START_TEST(every_verdict_of_the_full_set_holds) {
  size_t n = corpus_labels("npy");
  if (getenv("MXQ_SHARED"))
    ck_assert_uint_eq(n, 190);
}
END_TEST

/* An array in memory; the header is padded as numpy does. */
static enum mxq_status open_array(const char *dictionary, const void *data, size_t n, mxq_reader **r) {
  static unsigned char *bytes;
  size_t h = strlen(dictionary) + 1, pad = 64 - (10 + h) % 64;
  free(bytes);
  bytes = malloc(10 + h + pad + n);
  memcpy(bytes, "\x93NUMPY\1", 8);
  bytes[8] = (unsigned char)(h + pad);
  bytes[9] = (unsigned char)((h + pad) >> 8);
  memcpy(bytes + 10, dictionary, h - 1);
  memset(bytes + 10 + h - 1, ' ', pad);
  bytes[10 + h + pad - 1] = '\n';
  if (n)
    memcpy(bytes + 10 + h + pad, data, n);
  struct mxq_source source;
  mxq_source_from_memory(bytes, 10 + h + pad + n, &source);
  source.name = "some/where/weights.v1.npy";
  return mxq_reader_open_source(&source, NULL, r, &err);
}

START_TEST(a_tensor_is_named_after_the_file_and_lies_in_place) {
  static const float data[] = {1, 2, 3, 4, 5, 6};
  mxq_reader *r;
  ck_assert_int_eq(open_array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", data, sizeof data, &r), MXQ_OK);
  ck_assert_int_eq(mxq_reader_container(r), MXQ_NPY);
  const struct mxq_tensor *t = mxq_reader_tensor(r, 0);
  ck_assert_str_eq(t->name, "weights.v1");
  ck_assert_int_eq(t->kind, MXQ_KIND_PARAMETER);
  ck_assert_uint_eq(t->part[MXQ_PART_DATA].size, sizeof data);
  const void *place;
  ck_assert_int_eq(mxq_reader_in_place(r, 0, MXQ_PART_DATA, &place, &err), MXQ_OK);
  ck_assert_mem_eq(place, data, sizeof data);
  ck_assert(!mxq_reader_unverified(r));
  mxq_reader_close(r);
}
END_TEST

/* Fortran order against the plain definition, through requests of many sizes. */
static void gathers(const uint64_t *shape, uint32_t ndim, bool big_endian) {
  char dictionary[300];
  size_t elements = 1;
  int n = snprintf(dictionary, sizeof dictionary, "{'descr': '%ci4', 'fortran_order': True, 'shape': (", big_endian ? '>' : '<');
  for (uint32_t i = 0; i < ndim; i++) {
    elements *= shape[i];
    n += snprintf(dictionary + n, sizeof dictionary - (size_t)n, "%llu, ", (unsigned long long)shape[i]);
  }
  snprintf(dictionary + n, sizeof dictionary - (size_t)n, "), }");
  /* The value of an element is its number in C order. */
  uint32_t *file = malloc(elements * 4), *got = malloc(elements * 4);
  for (size_t e = 0; e < elements; e++) {
    size_t rest = e, place = 0, index[8];
    for (uint32_t i = ndim; i-- > 0; rest /= shape[i])
      index[i] = rest % shape[i];
    for (uint32_t i = ndim; i-- > 0;)
      place = place * shape[i] + index[i];
    file[place] = big_endian ? __builtin_bswap32((uint32_t)e) : (uint32_t)e;
  }
  mxq_reader *r;
  ck_assert_msg(open_array(dictionary, file, elements * 4, &r) == MXQ_OK, "%s", err.text);
  ck_assert_uint_eq(mxq_reader_tensor(r, 0)->part[MXQ_PART_DATA].size, 0);
  ck_assert_int_eq(mxq_reader_tensor(r, 0)->strides[0], 1);
  size_t sizes[] = {elements, elements / 2 + 1, 65536, 1000, 7};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    size_t step = sizes[k] < elements ? sizes[k] : elements;
    if (elements / step > 200000)
      continue;
    memset(got, 0xff, elements * 4);
    for (size_t at = 0; at < elements; at += step) {
      size_t count = elements - at < step ? elements - at : step;
      if (mxq_reader_read(r, 0, MXQ_PART_DATA, at * 4, got + at, count * 4, &err) != MXQ_OK)
        ck_abort_msg("%s", err.text);
    }
    for (size_t e = 0; e < elements; e++)
      if (got[e] != e)
        ck_abort_msg("ndim %u, pieces of %zu: element %zu is %u", ndim, step, e, got[e]);
  }
  char c;
  ck_assert_int_eq(mxq_reader_read(r, 0, MXQ_PART_DATA, 1, &c, 1, &err), MXQ_ERR_USAGE);
  mxq_reader_close(r);
  free(file);
  free(got);
}

START_TEST(fortran_order_is_gathered_into_c_order) {
  gathers((uint64_t[]){300, 500}, 2, false);
  gathers((uint64_t[]){2, 50000}, 2, false);
  gathers((uint64_t[]){200000, 2}, 2, false);   /* runs longer than the window */
  gathers((uint64_t[]){5000, 60}, 2, true);
  gathers((uint64_t[]){7, 1, 11, 13, 3}, 5, false);
  gathers((uint64_t[]){40, 30, 50}, 3, true);
}
END_TEST

START_TEST(what_fortran_order_does_not_change_lies_in_place) {
  static const char *const shapes[] = {"(6,)", "(1, 6, 1)", "(6, 1)", "(1, 6)"};
  static const float data[] = {1, 2, 3, 4, 5, 6};
  for (size_t i = 0; i < 4; i++) {
    char dictionary[100];
    snprintf(dictionary, sizeof dictionary, "{'descr': '<f4', 'fortran_order': True, 'shape': %s, }", shapes[i]);
    mxq_reader *r;
    ck_assert_int_eq(open_array(dictionary, data, sizeof data, &r), MXQ_OK);
    ck_assert_uint_eq(mxq_reader_tensor(r, 0)->part[MXQ_PART_DATA].size, sizeof data);
    ck_assert_ptr_null(mxq_reader_tensor(r, 0)->strides);
    mxq_reader_close(r);
  }
}
END_TEST

START_TEST(a_refusal_says_what_and_where) {
  static const struct { const char *dictionary, *text; enum mxq_status status; } cases[] = {
      {"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "object arrays are pickles, which can run code: they are never read (byte 20)", MXQ_ERR_UNSUPPORTED},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "descr and shape take 12 bytes, 8 follow the header (byte 128): the file is cut short or its header lies", MXQ_ERR_MALFORMED},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "descr and shape take 4 bytes, 8 follow the header (byte 128): there is more than the array", MXQ_ERR_MALFORMED},
      {"{'descr': '<f4', 'fortran_order': maybe, 'shape': (2,), }", "fortran_order is neither True nor False (byte 44)", MXQ_ERR_MALFORMED},
      {"{'descr': '<V2', 'fortran_order': False, 'shape': (4,), }",
       "descr '<V2' are bytes without a type (a bfloat16 array saved by numpy has lost it): they are not read (byte 20)", MXQ_ERR_UNSUPPORTED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    mxq_reader *r;
    ck_assert_int_eq(open_array(cases[i].dictionary, "12345678", 8, &r), cases[i].status);
    ck_assert_str_eq(err.text, cases[i].text);
    ck_assert_str_eq(err.subject, "some/where/weights.v1.npy");
  }
}
END_TEST

START_TEST(a_header_cut_or_changed_anywhere_never_crashes) {
  static const float data[] = {1, 2, 3, 4, 5, 6};
  static const char good[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  char text[sizeof good];
  unsigned read = 0;
  for (size_t at = 0; at < sizeof good - 1; at++) {
    for (int c = 1; c < 256; c++) {
      strcpy(text, good);
      text[at] = (char)c;
      mxq_reader *r;
      if (open_array(text, data, sizeof data, &r) == MXQ_OK) {
        corpus_crc(r, 0);
        read++;
      }
      mxq_reader_close(r);
    }
  }
  ck_assert_uint_gt(read, sizeof good);      /* the good one, and other white space, quotes no, other types of 4 bytes */
  ck_assert_uint_lt(read, 4 * sizeof good);
}
END_TEST

START_TEST(the_crc_of_a_member_is_checked_at_its_first_access_unless_told_otherwise) {
  mxq_reader *r;
  char value[24];
  const char *path = "testdata/npy/bad_member_bit_flip.npz";
  ck_assert_int_eq(mxq_reader_open(path, NULL, &r, &err), MXQ_OK);
  ck_assert_int_eq(mxq_reader_read(r, 0, MXQ_PART_DATA, 0, value, 4, &err), MXQ_ERR_DAMAGED);
  ck_assert_ptr_nonnull(strstr(err.subject, ".npy"));
  ck_assert_int_eq(mxq_reader_read(r, 0, MXQ_PART_DATA, 0, NULL, 0, &err), MXQ_ERR_DAMAGED);
  mxq_reader_close(r);
  struct mxq_read_options options = {.unverified = true};
  ck_assert_int_eq(mxq_reader_open(path, &options, &r, &err), MXQ_OK);
  ck_assert(!mxq_reader_unverified(r));
  ck_assert_int_eq(mxq_reader_read(r, 0, MXQ_PART_DATA, 0, value, 4, &err), MXQ_OK);
  ck_assert(mxq_reader_unverified(r));
  mxq_reader_close(r);
}
END_TEST

int main(void) {
  Suite *s = suite_create("npy and npz");
  TCase *t = tcase_create("all");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 120);
  tcase_add_test(t, every_good_file_has_the_values_that_numpy_reads);
  tcase_add_test(t, every_bad_file_is_refused_with_a_reason);
  tcase_add_test(t, every_verdict_of_the_full_set_holds);
  tcase_add_test(t, a_tensor_is_named_after_the_file_and_lies_in_place);
  tcase_add_test(t, fortran_order_is_gathered_into_c_order);
  tcase_add_test(t, what_fortran_order_does_not_change_lies_in_place);
  tcase_add_test(t, a_refusal_says_what_and_where);
  tcase_add_test(t, a_header_cut_or_changed_anywhere_never_crashes);
  tcase_add_test(t, the_crc_of_a_member_is_checked_at_its_first_access_unless_told_otherwise);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
