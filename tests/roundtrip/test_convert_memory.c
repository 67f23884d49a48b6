/* SPDX-License-Identifier: MIT */
/* Conversions while each allocation in turn fails: a clean status, nothing lost, and never another result. */
#include <errno.h>
#include <stdio.h>
#include "tests/roundtrip/test_convert_data.h"

#include "tests/faults/allocations.h"

#if OWN_MALLOC
static struct box file, archive, back;

static enum mxq_status open_quietly(struct box box, mxq_reader **reader, struct mxq_error *err) {
  struct mxq_source source;
  mxq_source_from_memory(box.data, box.size, &source);
  return mxq_reader_open_source(&source, NULL, reader, err);
}

/* Ends a sink, and says whether the bytes are those of a run without failures. */
static enum mxq_status finish(enum mxq_status status, struct mxq_sink *sink, const struct box *out, const struct box *expected, struct mxq_error *err) {
  if (status != MXQ_OK) {
    sink->abort(sink->ctx);
    return status;
  }
  status = sink->commit(sink->ctx, err);
  if (status == MXQ_OK && expected->data && (out->size != expected->size || memcmp(out->data, expected->data, out->size)))
    status = MXQ_ERR_DAMAGED;
  return status;
}

static enum mxq_status op_quantize(struct mxq_error *err) {
  static const struct mxq_rule rules[] = {{.regex = "^c$", .format = MXQ_MXINT8}, {.regex = "b", .format = MXQ_MXFP8_E4M3}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .rules = rules, .rule_count = 2};
  mxq_reader *reader = NULL;
  mxq_plan *plan = NULL;
  struct mxq_sink sink;
  struct box out = {0};
  enum mxq_status status = open_quietly(file, &reader, err);
  if (status == MXQ_OK)
    status = mxq_plan_quantize(reader, &o, &plan, err);
  if (status == MXQ_OK)
    status = mxq_sink_to_memory(&out.data, &out.size, &sink, err);
  if (status == MXQ_OK)
    status = finish(mxq_plan_run(plan, &sink, NULL, err), &sink, &out, &archive, err);
  free(out.data);
  mxq_plan_free(plan);
  mxq_reader_close(reader);
  return status;
}
static enum mxq_status op_dequantize(struct mxq_error *err) {
  mxq_reader *reader = NULL;
  struct mxq_sink sink;
  struct box out = {0};
  enum mxq_status status = open_quietly(archive, &reader, err);
  if (status == MXQ_OK)
    status = mxq_sink_to_memory(&out.data, &out.size, &sink, err);
  if (status == MXQ_OK)
    status = finish(mxq_dequantize(reader, NULL, &sink, NULL, err), &sink, &out, &back, err);
  free(out.data);
  mxq_reader_close(reader);
  return status;
}
static bool count_identical(void *user, const struct mxq_difference *d) {
  *(int *)user += d->identical;
  return false;
}
static enum mxq_status op_compare(struct mxq_error *err) {
  mxq_reader *a = NULL, *b = NULL;
  int identical = 0;
  enum mxq_status status = open_quietly(archive, &a, err);
  if (status == MXQ_OK)
    status = open_quietly(back, &b, err);
  if (status == MXQ_OK)
    status = mxq_compare(a, b, NULL, count_identical, &identical, err);
  mxq_reader_close(a);
  mxq_reader_close(b);
  return status == MXQ_OK && identical != 4 ? MXQ_ERR_DAMAGED : status;
}
/* A program there, and back from the archive that the first run made. */
static struct box program, inside, outside;
static enum mxq_status op_program(struct mxq_error *err) {
  static const struct mxq_rule rules[] = {{.regex = "^twice$", .format = MXQ_MXINT8, .has_axes = true, .axis_first = -1, .axis_last = -1}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .rules = rules, .rule_count = 1};
  mxq_reader *reader = NULL;
  mxq_plan *plan = NULL;
  struct mxq_sink sink;
  struct box out = {0};
  enum mxq_status status = open_quietly(program, &reader, err);
  if (status == MXQ_OK)
    status = mxq_plan_quantize(reader, &o, &plan, err);
  if (status == MXQ_OK)
    status = mxq_sink_to_memory(&out.data, &out.size, &sink, err);
  if (status == MXQ_OK)
    status = finish(mxq_plan_run(plan, &sink, NULL, err), &sink, &out, &inside, err);
  if (inside.data)
    free(out.data);
  else
    inside = out;
  mxq_plan_free(plan);
  mxq_reader_close(reader);
  return status;
}
static enum mxq_status op_program_back(struct mxq_error *err) {
  struct mxq_dequantize_options o = {.container = MXQ_PT2};
  mxq_reader *reader = NULL;
  struct mxq_sink sink;
  struct box out = {0};
  enum mxq_status status = open_quietly(inside, &reader, err);
  if (status == MXQ_OK)
    status = mxq_sink_to_memory(&out.data, &out.size, &sink, err);
  if (status == MXQ_OK)
    status = finish(mxq_dequantize(reader, &o, &sink, NULL, err), &sink, &out, &outside, err);
  if (outside.data)
    free(out.data);
  else
    outside = out;
  mxq_reader_close(reader);
  return status;
}
static enum mxq_status op_rules(struct mxq_error *err) {
  static const char text[] = "[\"a=mxfp4\", {\"regex\": \"b\", \"format\": \"none\"}]";
  struct mxq_rule *rules = NULL;
  size_t count = 0;
  enum mxq_status status = mxq_rules_parse(text, sizeof text - 1, &rules, &count, err);
  free(rules);
  return status == MXQ_OK && count != 2 ? MXQ_ERR_DAMAGED : status;
}

static const struct {
  const char *name;
  enum mxq_status (*run)(struct mxq_error *err);
  long most_lost;
} ops[] = {{"quantize", op_quantize, 2}, {"dequantize", op_dequantize, 0}, {"compare", op_compare, 0}, {"rules", op_rules, 0},
          {"program", op_program, 2}, {"program back", op_program_back, 2}};

static enum mxq_status attempt(size_t op, long at, struct mxq_error *err) {
  fail_at = at;
  calls = live = 0;
  memset(err, 0, sizeof *err);
  watching = true;
  enum mxq_status status = ops[op].run(err);
  watching = false;
  return status;
}

static struct box read_whole(const char *path) {
  struct box box = {0};
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
  box.size = (size_t)ftell(f);
  rewind(f);
  box.data = malloc(box.size);
  ck_assert_uint_eq(fread(box.data, 1, box.size, f), box.size);
  fclose(f);
  return box;
}

START_TEST(each_allocation_may_fail) {
  struct given g[] = {{.name = "a", .dtype = MXQ_F32, .ndim = 2, .shape = {40, 100}}, {.name = "b", .dtype = MXQ_BF16, .ndim = 2, .shape = {64, 64}},
                      {.name = "c", .dtype = MXQ_F32, .ndim = 1, .shape = {64}},      {.name = "d", .dtype = MXQ_F16, .ndim = 1, .shape = {5}}};
  static const char *const metadata[] = {"format", "pt"};
  struct mxq_error err = {0};
  for (size_t i = 0; i < 4; i++)
    g[i].data = weights(g[i].dtype, (size_t)count_of(&g[i]), i);
  file = file_of(MXQ_SAFETENSORS, g, 4, metadata, 1);
  static const struct mxq_rule rules[] = {{.regex = "^c$", .format = MXQ_MXINT8}, {.regex = "b", .format = MXQ_MXFP8_E4M3}};
  struct mxq_quantize_options o = {.format = MXQ_MXFP4, .rules = rules, .rule_count = 2};
  mxq_reader *reader = open_box(file);
  archive = quantized(reader, &o, NULL);
  mxq_reader_close(reader);
  reader = open_box(archive);
  struct mxq_sink sink;
  OK(mxq_sink_to_memory(&back.data, &back.size, &sink, &err));
  OK(mxq_dequantize(reader, NULL, &sink, NULL, &err));
  OK(sink.commit(sink.ctx, &err));
  mxq_reader_close(reader);
  program = read_whole("testdata/pt2/programs/tied.pt2");
  OK(op_program(&err));
  OK(op_program_back(&err));
  OK(ops[_i].run(&err)); /* libraries set themselves up once */
  long at = 1, unneeded = 0;
  for (;; at++) {
    enum mxq_status status = attempt((size_t)_i, at, &err);
    if (live) /* libcrypto's and libc's own first times are no loss the second time */
      status = attempt((size_t)_i, at, &err);
    /* libzip 1.7.3 forgets its CRC source's context when an allocation behind it fails. */
    ck_assert_msg(live >= 0 && live <= ops[_i].most_lost, "%s, allocation %ld: %ld blocks are lost", ops[_i].name, at, live);
    if (calls < at) {
      ck_assert_int_eq(status, MXQ_OK);
      break;
    }
    unneeded += status == MXQ_OK; /* done without it, and the outcome was compared */
    ck_assert_msg(status == MXQ_OK || (status == MXQ_ERR_NOMEM && err.code == status), "%s, allocation %ld: %s: %s: %s", ops[_i].name, at,
                  mxq_status_name(status), err.subject, err.text);
  }
  printf("%s: each of %ld allocations failed, %ld were not needed\n", ops[_i].name, at - 1, unneeded);
  ck_assert_int_gt(at, 10);
  ck_assert_int_lt(unneeded, at / 4); /* else this test tests nothing */
  free(file.data);
  free(archive.data);
  free(back.data);
  free(program.data);
  free(inside.data);
  free(outside.data);
  for (size_t i = 0; i < 4; i++)
    free((void *)g[i].data);
}
END_TEST
#endif

int main(void) {
  return RUN_ALLOCATION_TESTS("convert memory", each_allocation_may_fail, sizeof ops / sizeof *ops);
}
