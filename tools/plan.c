/* SPDX-License-Identifier: MIT */
/* mxquant plan: what quantize would do, and why, from the metadata alone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/json.h"
#include "tools/report.h"
#include "tools/text.h"

enum { COLUMNS = 80, NAME = 28, DTYPE = 8, SHAPE = 13, FORMAT = 10, WHY = COLUMNS - NAME - DTYPE - SHAPE - FORMAT - 4 };

static char *rule_text(char *buf, size_t size, const struct args *args, size_t rule) {
  if (rule == SIZE_MAX)
    snprintf(buf, size, "default");
  else
    snprintf(buf, size, "%s=%s", args->rules[rule].regex, mxq_format_name(args->rules[rule].format));
  return buf;
}

static void print_json(const struct args *args, const mxq_reader *reader, const mxq_plan *plan, const struct mxq_plan_totals *t) {
  struct json j = {.f = stdout};
  char rule[8192];
  json_begin(&j, NULL, '{');
  json_count(&j, "schema", 1);
  json_text(&j, "file", args->operands[0]);
  json_text(&j, "container", mxq_container_name(mxq_reader_container(reader)));
  json_text(&j, "format", mxq_format_name(args->quantize.format));
  json_begin(&j, "tensors", '[');
  for (size_t i = 0; i < mxq_plan_count(plan); i++) {
    const struct mxq_plan_entry *e = mxq_plan_entry(plan, i);
    json_begin(&j, NULL, '{');
    json_text(&j, "name", e->tensor->name);
    json_text(&j, "source_dtype", mxq_dtype_name(e->tensor->dtype));
    json_counts(&j, "shape", e->tensor->ndim, e->tensor->shape);
    if (e->format != MXQ_FORMAT_NONE) {
      uint64_t axes[2] = {e->axis_first, e->axis_last};
      json_text(&j, "format", mxq_format_name(e->format));
      json_counts(&j, "axes", 2, axes);
    } else {
      json_text(&j, "keep", e->reason);
      json_flag(&j, "warn", e->warn);
    }
    json_text(&j, "reason", e->reason);
    json_text(&j, "rule", rule_text(rule, sizeof rule, args, e->rule));
    if (e->rule == SIZE_MAX)
      json_null(&j, "rule_index");
    else
      json_count(&j, "rule_index", e->rule);
    json_count(&j, "bytes_in", e->bytes_in);
    json_count(&j, "bytes_out", e->bytes_out);
    json_end(&j, '}');
  }
  json_end(&j, ']');
  json_begin(&j, "totals", '{');
  json_count(&j, "tensors", t->tensors);
  json_count(&j, "quantized", t->quantized);
  json_count(&j, "kept", t->kept);
  json_count(&j, "bytes_in", t->bytes_in);
  json_count(&j, "bytes_out", t->bytes_out);
  json_count(&j, "file_bytes_in", mxq_reader_file_bytes(reader));
  json_count(&j, "file_bytes", t->file_bytes);
  if (t->quantized)
    json_real(&j, "bits_per_weight", t->bits_per_weight);
  else
    json_null(&j, "bits_per_weight");
  json_text(&j, "graph", t->graph_each ? "each" : "none");
  json_end(&j, '}');
  json_count(&j, "peak_bytes", t->peak_bytes);
  json_end(&j, '}');
  putchar('\n');
}

static void print_row(const struct mxq_plan_entry *e, bool rules) {
  char shape[SHAPE + 1], in[TEXT_NUMBER], out[TEXT_NUMBER], why[80];
  bool kept = e->format == MXQ_FORMAT_NONE;
  text_cell(stdout, e->tensor->name, NAME);
  printf(" %-*s %-*s %-*s ", DTYPE, mxq_dtype_name(e->tensor->dtype), SHAPE,
         text_shape(shape, sizeof shape, e->tensor->ndim, e->tensor->shape), FORMAT, kept ? "keep" : mxq_format_name(e->format));
  /* What does not fit beside, and how an unusual shape is blocked, stands on a line of its own. */
  bool beside = kept && text_columns(e->reason) <= WHY;
  if (beside)
    text_print(stdout, e->reason);
  else if (!kept && snprintf(why, sizeof why, "%s > %s", text_count(in, e->bytes_in), text_count(out, e->bytes_out)) <= WHY)
    fputs(why, stdout);
  putchar('\n');
  bool usual = !kept && strcmp(e->reason, "last axis") == 0;
  if (!beside && !usual) {
    fputs("    ", stdout);
    text_fit(stdout, e->reason, COLUMNS - 4);
    putchar('\n');
  }
  if (rules && e->rule != SIZE_MAX)
    printf("    rule %zu\n", e->rule + 1);
}

/* Each rule, and how many tensors it decided. */
static int print_rules(const struct args *args, const mxq_plan *plan) {
  size_t count = args->quantize.rule_count;
  uint64_t *hits = calloc(count + 1, sizeof *hits);
  if (!hits)
    return EXIT_OUTPUT;
  for (size_t i = 0; i < mxq_plan_count(plan); i++) {
    size_t rule = mxq_plan_entry(plan, i)->rule;
    hits[rule == SIZE_MAX ? count : rule]++;
  }
  for (size_t i = 0; i < count; i++) {
    char rule[8192], n[TEXT_NUMBER];
    printf("rule %zu: ", i + 1);
    text_fit(stdout, rule_text(rule, sizeof rule, args, i), 50);
    printf(": %s tensors\n", text_count(n, hits[i]));
  }
  free(hits);
  return EXIT_DONE;
}

static int print_text(const struct args *args, const mxq_reader *reader, const mxq_plan *plan, const struct mxq_plan_totals *t) {
  char a[TEXT_NUMBER], b[TEXT_NUMBER], c[TEXT_NUMBER];
  text_cell(stdout, "tensor", NAME);
  printf(" %-*s %-*s %-*s %s\n", DTYPE, "from", SHAPE, "shape", FORMAT, "to", "bytes, or why");
  for (size_t i = 0; i < mxq_plan_count(plan); i++)
    print_row(mxq_plan_entry(plan, i), args->quantize.rule_count > 0);
  int code = print_rules(args, plan);
  printf("%s tensors: %s quantized, %s kept", text_count(a, t->tensors), text_count(b, t->quantized), text_count(c, t->kept));
  if (t->quantized)
    printf("; %.2f bits per weight", t->bits_per_weight);
  printf("\ndata    %s -> %s bytes\n", text_count(a, t->bytes_in), text_count(b, t->bytes_out));
  printf("file    %s -> %s bytes\n", text_count(a, mxq_reader_file_bytes(reader)), text_count(b, t->file_bytes));
  printf("memory  %.1f MiB for buffers while it runs\n", (double)t->peak_bytes / (1 << 20));
  printf("program %s\n", t->graph_each ? "returns every tensor, decoded" : "returns nothing; --graph each makes it decode every tensor");
  return code;
}

static int plan_file(const struct args *args) {
  const char *path = args->operands[0];
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  mxq_reader *reader = NULL;
  mxq_plan *plan = NULL;
  int code = EXIT_DONE;
  if (mxq_reader_open(path, NULL, &reader, &err) != MXQ_OK)
    return report_failure(PLAN, path, NULL, &err);
  if (mxq_plan_quantize(reader, &args->quantize, &plan, &err) != MXQ_OK) {
    code = report_failure(PLAN, path, NULL, &err);
  } else {
    struct mxq_plan_totals totals;
    mxq_plan_totals(plan, &totals);
    if (args->json)
      print_json(args, reader, plan, &totals);
    else
      code = print_text(args, reader, plan, &totals);
  }
  mxq_plan_free(plan);
  mxq_reader_close(reader);
  return code;
}

int cmd_plan(int argc, char **argv) {
  struct args args;
  int code = args_parse(PLAN, argc, argv, &args);
  if (code < 0)
    code = finish_stdout(plan_file(&args));
  args_free(&args);
  return code;
}
