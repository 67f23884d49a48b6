/* SPDX-License-Identifier: MIT */
/* Programs whose weights become MX inside them, and plain again: what changes, and that nothing else does. */
#include <check.h>
#include <inttypes.h>

#include "formats/pt2/write.h"
#include "tests/unit/edit_program.h"

static const char *const files[] = {"branches", "changed",  "changed_core", "convolutions", "convolutions_core", "dynamic", "elementwise",
                                    "norm_train", "products", "products_core", "quiet", "recurrent", "sums", "tables", "tied", "views"};
enum { FILES = sizeof files / sizeof *files };

static void load(const char *name, void **data, size_t *n) {
  char path[200];
  snprintf(path, sizeof path, "testdata/pt2/programs/%s.pt2", name);
  *data = edit_load(path, n);
  ck_assert_msg(*n > 0, "%s cannot be read", path);
}

#define FINE(call)                                                                                                        \
  do {                                                                                                                    \
    enum mxq_status status_ = (call);                                                                                     \
    ck_assert_msg(status_ == MXQ_OK, "%s: %s: status %d (%s: %s)", name, #call, status_, err.subject, err.text);           \
  } while (0)

static void verify(const char *name, const struct edited *e) {
  struct mxq_source source;
  struct mxq_error err = {0};
  struct mxq_verify_result result = {0};
  struct mxq_read_options options = {.max_text = 100000000, .max_tensors = 1u << 22};
  mxq_source_from_memory(e->data, e->size, &source);
  FINE(mxq_pt2_verify(&source, "memory", &options, NULL, NULL, &result, &err));
  ck_assert_msg(result.findings == 0 && result.digests, "%s: %" PRIu64 " findings", name, result.findings);
}

static const struct mxq_pt2_reader *pt2(const mxq_reader *r) { return (const struct mxq_pt2_reader *)r; }

static struct mxq_span inside(struct mxq_span list) { return (struct mxq_span){list.at + 1, list.n - 2}; }

static bool ends_with(const char *a, struct mxq_span x, const char *b, struct mxq_span y) {
  return x.n >= y.n && memcmp(a + x.at + (x.n - y.n), b + y.at, y.n) == 0;
}

static bool same_text(const char *a, struct mxq_span x, const char *b, struct mxq_span y) { return x.n == y.n && memcmp(a + x.at, b + y.at, y.n) == 0; }

/* Members of `b` that `a` does not have with the same bytes; records of weights only count when `records` is set. */
static size_t differing(const mxq_reader *a, const mxq_reader *b, bool records) {
  mxq_zip *x = pt2(a)->zip, *y = pt2(b)->zip;
  struct mxq_error err;
  size_t n = 0;
  for (size_t i = 0; i < mxq_zip_count(y); i++) {
    const struct mxq_zip_member *m = mxq_zip_member(y, i);
    char *p = NULL, *q = NULL;
    size_t pn, qn, at = mxq_zip_find(x, m->name, m->name_len);
    if (strstr(m->name, "/extra/mxq_") || (!records && strstr(m->name, "/data/weights/weight_")))
      continue;
    if (at == SIZE_MAX || mxq_zip_load(x, at, 1 << 20, &p, &pn, &err) != MXQ_OK || mxq_zip_load(y, i, 1 << 20, &q, &qn, &err) != MXQ_OK || pn != qn ||
        memcmp(p, q, pn) != 0)
      n++;
    free(p);
    free(q);
  }
  return n;
}

static bool same_members(const mxq_reader *a, const mxq_reader *b) {
  mxq_zip *x = pt2(a)->zip, *y = pt2(b)->zip;
  size_t i = 0, j = 0;
  for (;; i++, j++) {
    while (i < mxq_zip_count(x) && strstr(mxq_zip_member(x, i)->name, "/extra/mxq_"))
      i++;
    while (j < mxq_zip_count(y) && strstr(mxq_zip_member(y, j)->name, "/extra/mxq_"))
      j++;
    if (i == mxq_zip_count(x) || j == mxq_zip_count(y))
      return i == mxq_zip_count(x) && j == mxq_zip_count(y);
    if (strcmp(mxq_zip_member(x, i)->name, mxq_zip_member(y, j)->name) != 0)
      return false;
  }
}

START_TEST(a_program_keeps_all_that_it_had_and_comes_back_byte_for_byte) {
  size_t tensors = 0;
  for (int f = 0; f < FILES; f++)
    for (int format = MXQ_MXFP4; format <= MXQ_MXINT8; format++) {
      const char *name = files[f];
      struct mxq_error err = {0};
      struct edited mx, plain;
      mxq_reader *r, *m, *b;
      size_t n, count;
      void *data;
      load(name, &data, &n);
      FINE(edit_forward(data, n, (enum mxq_format)format, NULL, &mx, &count, &err));
      verify(name, &mx);
      FINE(edit_open(data, n, &r, &err));
      FINE(edit_open(mx.data, mx.size, &m, &err));
      const struct mxq_pt2_program *p = pt2(r)->program, *q = pt2(m)->program;
      ck_assert(ends_with(q->text, inside(q->graphs[0].nodes_span), p->text, inside(p->graphs[0].nodes_span)));
      ck_assert(same_text(q->text, q->graphs[0].outputs, p->text, p->graphs[0].outputs));
      ck_assert(same_text(q->text, q->output_specs, p->text, p->output_specs));
      ck_assert(same_text(q->text, q->range_constraints, p->text, p->range_constraints));
      size_t found = 0;
      ck_assert_uint_eq(mxq_reader_count(m), mxq_reader_count(r));
      for (size_t i = 0; i < mxq_reader_count(m); i++) {
        const struct mxq_tensor *t = mxq_reader_tensor(m, i);
        const struct mxq_tensor *old = mxq_reader_tensor(r, mxq_reader_find(r, t->name));
        ck_assert_int_eq(t->dtype, old->dtype);
        ck_assert_int_eq(t->kind, old->kind);
        ck_assert_int_eq(t->requires_grad, old->requires_grad);
        ck_assert_uint_eq(t->elements, old->elements);
        found += t->format == (enum mxq_format)format;
        ck_assert(t->format == (enum mxq_format)format || t->format == MXQ_FORMAT_NONE);
      }
      ck_assert_uint_ge(found, count);
      tensors += found;
      FINE(edit_back(mx.data, mx.size, &plain, &err));
      verify(name, &plain);
      FINE(edit_open(plain.data, plain.size, &b, &err));
      ck_assert_msg(same_members(r, b), "%s: other members", name);
      ck_assert_msg(differing(r, b, false) == 0, "%s: %zu members differ", name, differing(r, b, false));
      mxq_reader_close(r);
      mxq_reader_close(m);
      mxq_reader_close(b);
      free(mx.data);
      free(plain.data);
      free(data);
    }
  printf("edits: %zu weights there and back\n", tensors);
  ck_assert_uint_gt(tensors, 100);
}
END_TEST

START_TEST(without_an_add_the_archive_is_copied) {
  for (int f = 0; f < FILES; f++) {
    const char *name = files[f];
    struct mxq_error err = {0};
    struct edited copy, again;
    mxq_reader *r, *c;
    mxq_writer *w;
    size_t n;
    void *data;
    load(name, &data, &n);
    FINE(edit_open(data, n, &r, &err));
    FINE(mxq_writer_open_program(r, NULL, NULL, NULL, &w, &err));
    FINE(edit_run(w, edit_pull, &copy, &err));
    verify(name, &copy);
    FINE(edit_open(copy.data, copy.size, &c, &err));
    ck_assert(same_members(r, c));
    ck_assert_uint_eq(differing(r, c, true), 0);
    FINE(mxq_writer_open_program(c, NULL, NULL, NULL, &w, &err));
    FINE(edit_run(w, edit_pull, &again, &err));
    ck_assert(again.size == copy.size && memcmp(again.data, copy.data, copy.size) == 0);
    mxq_reader_close(r);
    mxq_reader_close(c);
    free(copy.data);
    free(again.data);
    free(data);
  }
}
END_TEST

static bool cancel(void *user, uint64_t done, uint64_t total) {
  uint64_t *seen = user;
  ck_assert_uint_le(done, total);
  *seen = done;
  return done > total / 2;
}

START_TEST(damage_that_appears_after_opening_is_not_copied_and_a_copy_can_be_cancelled) {
  const char *name = "products";
  struct mxq_error err = {0};
  struct edited copy, out;
  mxq_reader *r;
  mxq_writer *w;
  size_t n;
  uint64_t seen = 0;
  void *data;
  load(name, &data, &n);
  FINE(edit_open(data, n, &r, &err));
  FINE(mxq_writer_open_program(r, NULL, NULL, NULL, &w, &err));
  FINE(edit_run(w, edit_pull, &copy, &err));
  mxq_reader_close(r);
  FINE(edit_open(copy.data, copy.size, &r, &err));
  FINE(mxq_writer_open_program(r, NULL, cancel, &seen, &w, &err));
  ck_assert_int_eq(edit_run(w, edit_pull, &out, &err), MXQ_ERR_CANCELLED);
  ck_assert_uint_gt(seen, 0);
  const struct mxq_zip_member *m = mxq_zip_member(pt2(r)->zip, 0);
  ((unsigned char *)copy.data)[m->data_offset] ^= 1;
  FINE(mxq_writer_open_program(r, NULL, NULL, NULL, &w, &err));
  ck_assert_int_eq(edit_run(w, edit_pull, &out, &err), MXQ_ERR_DAMAGED);
  ck_assert_str_eq(err.subject, m->name);
  ck_assert_ptr_null(out.data);
  mxq_reader_close(r);
  free(copy.data);
  free(data);
}
END_TEST

static enum mxq_status nan_pull(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  enum mxq_status status = edit_pull(user, tensor, part, buf, n, err);
  if (part == MXQ_PART_SCALES && n)
    ((unsigned char *)buf)[n - 1] = 255;
  return status;
}

START_TEST(for_older_pytorch_scales_are_bytes_and_255_is_refused) {
  const char *name = "products";
  struct mxq_write_options options = {.target = MXQ_TARGET_TORCH_2_11};
  struct mxq_error err = {0};
  struct edited mx;
  mxq_reader *m;
  size_t n, count, bytes = 0;
  void *data;
  load(name, &data, &n);
  FINE(edit_forward(data, n, MXQ_MXFP8_E4M3, &options, &mx, &count, &err));
  verify(name, &mx);
  FINE(edit_open(mx.data, mx.size, &m, &err));
  for (size_t i = 0; i < pt2(m)->stored_count; i++) {
    ck_assert_int_ne(pt2(m)->stored[i].dtype, MXQ_F8_E8M0);
    bytes += pt2(m)->stored[i].dtype == MXQ_U8;
  }
  ck_assert_uint_ge(bytes, count);
  ck_assert_ptr_nonnull(strstr(pt2(m)->program->text, "torch.ops.aten.exp2.default"));
  mxq_reader_close(m);
  free(mx.data);
  for (int target = MXQ_TARGET_TORCH_2_12; target <= MXQ_TARGET_TORCH_2_11; target++) {
    mxq_writer *w;
    options.target = (enum mxq_target)target;
    FINE(edit_open(data, n, &m, &err));
    FINE(mxq_writer_open_program(m, &options, NULL, NULL, &w, &err));
    const struct mxq_tensor *t = mxq_reader_tensor(m, 0);
    FINE(edit_add(w, m, 0, MXQ_MXFP4, &err));
    enum mxq_status status = edit_run(w, nan_pull, &mx, &err);
    ck_assert_int_eq(status, target == MXQ_TARGET_TORCH_2_11 ? MXQ_ERR_UNSUPPORTED : MXQ_OK);
    if (status != MXQ_OK)
      ck_assert_str_eq(err.subject, t->name);
    free(mx.data);
    mxq_reader_close(m);
  }
  free(data);
}
END_TEST

int main(void) {
  Suite *s = suite_create("pt2 edits");
  TCase *c = tcase_create("edits");
  tcase_set_timeout(c, 60);
  tcase_add_test(c, a_program_keeps_all_that_it_had_and_comes_back_byte_for_byte);
  tcase_add_test(c, without_an_add_the_archive_is_copied);
  tcase_add_test(c, damage_that_appears_after_opening_is_not_copied_and_a_copy_can_be_cancelled);
  tcase_add_test(c, for_older_pytorch_scales_are_bytes_and_255_is_refused);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
