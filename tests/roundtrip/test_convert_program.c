/* SPDX-License-Identifier: MIT */
/* Programs there, back, and there again: the programs of testdata/pt2/programs in every format, and what a caller sees of a run. */
#include <dirent.h>
#include <stdio.h>
#include "tests/roundtrip/test_convert_data.h"

#define FOLDER "testdata/pt2/programs/"
static char names[64][80];
static size_t count;

static void find_programs(void) {
  DIR *dir = opendir(FOLDER);
  for (struct dirent *e; dir && (e = readdir(dir)) && count < 64;)
    if (strlen(e->d_name) > 4 && strcmp(e->d_name + strlen(e->d_name) - 4, ".pt2") == 0 && strcmp(e->d_name, "decoded.pt2") != 0) /* MX already */
      snprintf(names[count++], sizeof names[0], "%s%.50s", FOLDER, e->d_name);
  if (dir)
    closedir(dir);
}

static mxq_reader *open_file(const char *path) {
  struct mxq_error err = {0};
  mxq_reader *reader = NULL;
  OK(mxq_reader_open(path, NULL, &reader, &err));
  return reader;
}

static struct box decoded(mxq_reader *reader, struct mxq_summary *summary) {
  struct mxq_error err = {0};
  struct mxq_sink sink;
  struct box box = {0};
  struct mxq_dequantize_options o = {.container = MXQ_PT2};
  uint64_t size = 0;
  OK(mxq_dequantize_size(reader, &o, &size, &err));
  OK(mxq_sink_to_memory(&box.data, &box.size, &sink, &err));
  OK(mxq_dequantize(reader, &o, &sink, summary, &err));
  OK(sink.commit(sink.ctx, &err));
  ck_assert_uint_eq(box.size, size);
  ck_assert_uint_eq(summary->totals.file_bytes, size);
  return box;
}

static void same_tensors(mxq_reader *a, mxq_reader *b, bool decoded) {
  ck_assert_uint_eq(mxq_reader_count(a), mxq_reader_count(b));
  for (size_t i = 0; i < mxq_reader_count(a); i++) {
    const struct mxq_tensor *x = mxq_reader_tensor(a, i);
    size_t j = mxq_reader_find(b, x->name);
    ck_assert_msg(j != SIZE_MAX, "%s is lost", x->name);
    const struct mxq_tensor *y = mxq_reader_tensor(b, j);
    ck_assert_int_eq(x->dtype, y->dtype);
    ck_assert_int_eq(x->kind, y->kind);
    ck_assert_int_eq(x->requires_grad, y->requires_grad);
    ck_assert_uint_eq(x->ndim, y->ndim);
    ck_assert_uint_eq(x->elements, y->elements);
    ck_assert(!decoded || y->format == MXQ_FORMAT_NONE);
  }
}

START_TEST(a_program_goes_there_and_back_and_there_again_to_the_same_bytes) {
  uint64_t tensors = 0;
  for (size_t i = 0; i < count; i++)
    for (int f = MXQ_MXFP4; f < MXQ_FORMAT_COUNT; f++) {
      struct mxq_quantize_options o = {.format = (enum mxq_format)f, .archive.target = i % 2 ? MXQ_TARGET_TORCH_2_11 : MXQ_TARGET_TORCH_2_12};
      struct mxq_summary first, second, way_back;
      mxq_reader *source = open_file(names[i]);
      struct box there = quantized(source, &o, &first);
      ck_assert(first.totals.program);
      ck_assert_uint_eq(first.totals.file_bytes, there.size);
      mxq_reader *reader = open_box(there);
      same_tensors(source, reader, false);
      struct box back = decoded(reader, &way_back);
      ck_assert(way_back.totals.program);
      ck_assert_msg(way_back.totals.quantized == first.totals.quantized, "%s", names[i]);
      mxq_reader_close(reader);
      reader = open_box(back);
      same_tensors(source, reader, true);
      struct box again = quantized(reader, &o, &second);
      /* Two weights of tied.pt2 overlap in one record; on the way back each gets its own. */
      if (!strstr(names[i], "tied"))
        ck_assert_msg(again.size == there.size && memcmp(again.data, there.data, there.size) == 0, "%s", names[i]);
      tensors += first.totals.quantized;
      mxq_reader_close(reader);
      mxq_reader_close(source);
      free(there.data);
      free(back.data);
      free(again.data);
    }
  printf("%zu programs, %llu tensors\n", count, (unsigned long long)tensors);
  ck_assert_uint_ge(count, 14);
  ck_assert_uint_ge(tensors, 300);
}
END_TEST

struct watch {
  uint64_t calls, last, total, stop_at;
  bool named;
};
static bool watch(void *user, uint64_t done, uint64_t total, const char *tensor) {
  struct watch *w = user;
  ck_assert_uint_ge(done, w->last);
  ck_assert_uint_le(done, total);
  w->calls++;
  w->last = done;
  w->total = total;
  w->named |= *tensor != 0;
  return w->stop_at && done >= w->stop_at;
}

START_TEST(progress_counts_what_is_copied_too_and_can_cancel) {
  mxq_reader *source = open_file(FOLDER "products.pt2");
  struct watch w = {0};
  struct mxq_error err = {0};
  struct mxq_sink sink;
  struct box out = {0};
  struct mxq_quantize_options o = {.format = MXQ_MXFP8_E4M3, .progress = watch, .user = &w};
  struct box there = quantized(source, &o, NULL);
  ck_assert_uint_gt(w.calls, 1);
  ck_assert_uint_eq(w.last, w.total);
  ck_assert(w.named);
  w = (struct watch){.stop_at = 1};
  mxq_plan *plan = NULL;
  OK(mxq_plan_quantize(source, &o, &plan, &err));
  OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
  ck_assert_int_eq(mxq_plan_run(plan, &sink, NULL, &err), MXQ_ERR_CANCELLED);
  sink.abort(sink.ctx);
  w = (struct watch){0};
  OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
  OK(mxq_plan_run(plan, &sink, NULL, &err)); /* a plan can be run again */
  OK(sink.commit(sink.ctx, &err));
  ck_assert(out.size == there.size && memcmp(out.data, there.data, out.size) == 0);
  mxq_plan_free(plan);
  mxq_reader_close(source);
  free(out.data);
  source = open_box(there);
  w = (struct watch){.stop_at = 1};
  struct mxq_dequantize_options d = {.container = MXQ_PT2, .progress = watch, .user = &w};
  OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
  ck_assert_int_eq(mxq_dequantize(source, &d, &sink, NULL, &err), MXQ_ERR_CANCELLED);
  sink.abort(sink.ctx);
  mxq_reader_close(source);
  free(there.data);
}
END_TEST

START_TEST(a_program_keeps_the_dtypes_that_it_computes_with) {
  mxq_reader *source = open_file(FOLDER "tied.pt2");
  struct mxq_quantize_options o = {.format = MXQ_MXFP8_E4M3};
  struct box there = quantized(source, &o, NULL), out = {0};
  mxq_reader_close(source);
  source = open_box(there);
  struct mxq_error err = {0};
  struct mxq_sink sink;
  uint64_t size = 0;
  struct mxq_dequantize_options d = {.container = MXQ_PT2, .dtype = MXQ_F16};
  OK(mxq_sink_to_memory(&out.data, &out.size, &sink, &err));
  ck_assert_int_eq(mxq_dequantize(source, &d, &sink, NULL, &err), MXQ_ERR_USAGE);
  ck_assert_msg(strstr(err.text, "as f32") != NULL, "%s", err.text);
  sink.abort(sink.ctx);
  d.dtype = MXQ_F32;
  OK(mxq_dequantize_size(source, &d, &size, &err));
  d.container = MXQ_NPZ;
  ck_assert_int_eq(mxq_dequantize_size(source, &d, &size, &err), MXQ_ERR_USAGE);
  mxq_reader_close(source);
  free(there.data);
}
END_TEST

START_TEST(a_weights_archive_decodes_to_one_of_plain_weights) {
  struct given g[] = {{.name = "a", .dtype = MXQ_BF16, .ndim = 2, .shape = {40, 100}}, {.name = "b", .dtype = MXQ_F32, .ndim = 1, .shape = {7}}};
  g[0].data = weights(MXQ_BF16, 4000, 1);
  g[1].data = weights(MXQ_F32, 7, 2);
  struct box file = file_of(MXQ_SAFETENSORS, g, 2, NULL, 0);
  mxq_reader *reader = open_box(file);
  struct mxq_quantize_options o = {.format = MXQ_MXFP6_E2M3};
  struct mxq_summary summary;
  struct box there = quantized(reader, &o, &summary);
  ck_assert(!summary.totals.program);
  mxq_reader_close(reader);
  reader = open_box(there);
  struct box back = decoded(reader, &summary);
  ck_assert(!summary.totals.program);
  mxq_reader *plain = open_box(back);
  static unsigned char x[8000], y[8000];
  struct mxq_error err = {0};
  size_t i = mxq_reader_find(plain, "a");
  ck_assert_int_eq(mxq_reader_tensor(plain, i)->dtype, MXQ_BF16);
  ck_assert_int_eq(mxq_reader_tensor(plain, i)->format, MXQ_FORMAT_NONE);
  OK(mxq_reader_decode(reader, mxq_reader_find(reader, "a"), MXQ_BF16, x, 8000, NULL, &err));
  OK(mxq_reader_read(plain, i, MXQ_PART_DATA, 0, y, 8000, &err));
  ck_assert(memcmp(x, y, 8000) == 0);
  mxq_reader_close(plain);
  mxq_reader_close(reader);
  free(back.data);
  free(there.data);
  free(file.data);
  free((void *)g[0].data);
  free((void *)g[1].data);
}
END_TEST

int main(void) {
  find_programs();
  Suite *s = suite_create("convert programs");
  TCase *t = tcase_create("convert programs");
  tcase_set_timeout(t, 120);
  tcase_add_test(t, a_program_goes_there_and_back_and_there_again_to_the_same_bytes);
  tcase_add_test(t, progress_counts_what_is_copied_too_and_can_cancel);
  tcase_add_test(t, a_program_keeps_the_dtypes_that_it_computes_with);
  tcase_add_test(t, a_weights_archive_decodes_to_one_of_plain_weights);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
