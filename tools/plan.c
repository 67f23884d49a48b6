/* SPDX-License-Identifier: MIT */
/* mxquant plan: what quantize would do, and why, from the metadata alone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <mxq/program.h>

#include "tools/json.h"
#include "tools/report.h"
#include "tools/text.h"

enum { COLUMNS = 80, MOST_SHAPE = 20, MOST_WHY = 24 };

/* A plan, or, where an archive would only be copied, the list of its tensors. */
struct view {
  const struct args *args;
  mxq_reader *reader;
  mxq_plan *plan;                /* NULL for a copy */
  struct mxq_plan_totals totals; /* of a copy: without sizes of files */
  struct mxq_plan_entry *copied;
  size_t count;
  const mxq_program *program;    /* that stays, NULL when there is none */
};

static const struct mxq_plan_entry *entry(const struct view *v, size_t i) { return v->plan ? mxq_plan_entry(v->plan, i) : &v->copied[i]; }

/* What `--format none` does with an archive. */
static enum mxq_status plan_copy(struct view *v, struct mxq_error *err) {
  struct mxq_archive_info info;
  v->copied = calloc(mxq_reader_count(v->reader) + 1, sizeof *v->copied);
  if (!v->copied) {
    err->code = MXQ_ERR_NOMEM;
    snprintf(err->text, sizeof err->text, "out of memory");
    return MXQ_ERR_NOMEM;
  }
  for (size_t i = 0; i < mxq_reader_count(v->reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(v->reader, i);
    if (!is_users(v->reader, t))
      continue;
    v->copied[v->count++] =
        (struct mxq_plan_entry){.tensor = t, .rule = SIZE_MAX, .reason = "copied", .bytes_in = t->bytes, .bytes_out = t->bytes};
    v->totals.bytes_in += t->bytes;
  }
  v->totals.tensors = v->totals.kept = v->count;
  v->totals.bytes_out = v->totals.bytes_in;
  mxq_reader_archive_info(v->reader, &info);
  v->totals.program = !info.weights; /* only archives are copied */
  return MXQ_OK;
}

static char *rule_text(char *buf, size_t size, const struct args *args, size_t rule) {
  if (rule == SIZE_MAX)
    snprintf(buf, size, "default");
  else
    snprintf(buf, size, "%s=%s", args->rules[rule].regex, mxq_format_name(args->rules[rule].format));
  return buf;
}

/* The operators that use a tensor. */
static void json_uses(struct json *j, const struct view *v, const struct mxq_tensor *t) {
  size_t count = 0, operators = 0;
  const struct mxq_use *uses = mxq_program_uses(v->program, mxq_reader_find(v->reader, t->name), &count);
  const struct mxq_operator *list = mxq_program_operators(v->program, &operators);
  json_begin(j, "uses", '[');
  for (size_t i = 0; i < count; i++) {
    const struct mxq_use *u = &uses[i];
    json_begin(j, NULL, '{');
    json_text(j, "operator", u->op < operators ? list[u->op].target : NULL);
    json_text(j, "node", u->op < operators ? list[u->op].name : NULL);
    json_text(j, "argument", u->argument);
    if (u->kind == MXQ_USE_CONTRACTS || u->kind == MXQ_USE_LOOKS_UP) {
      uint64_t axes[2] = {u->axis_first, u->axis_last};
      json_counts(j, "axes", 2, axes);
    }
    json_end(j, '}');
  }
  json_end(j, ']');
}

static void print_json(const struct view *v) {
  struct json j = {.f = stdout};
  char rule[8192];
  const struct mxq_plan_totals *t = &v->totals;
  json_begin(&j, NULL, '{');
  json_count(&j, "schema", 1);
  json_text(&j, "file", v->args->operands[0]);
  json_text(&j, "container", mxq_container_name(mxq_reader_container(v->reader)));
  json_text(&j, "format", mxq_format_name(v->args->quantize.format));
  json_begin(&j, "tensors", '[');
  for (size_t i = 0; i < v->count; i++) {
    const struct mxq_plan_entry *e = entry(v, i);
    bool kept = e->format == MXQ_FORMAT_NONE;
    json_begin(&j, NULL, '{');
    json_text(&j, "name", e->tensor->name);
    json_text(&j, "source_dtype", mxq_dtype_name(e->tensor->dtype));
    json_counts(&j, "shape", e->tensor->ndim, e->tensor->shape);
    json_text(&j, "format", kept ? "keep" : mxq_format_name(e->format));
    json_flag(&j, "keep", kept);
    if (kept) {
      json_flag(&j, "warn", e->warn);
    } else {
      uint64_t axes[2] = {e->axis_first, e->axis_last};
      json_counts(&j, "axes", 2, axes);
    }
    json_text(&j, "reason", e->reason);
    if (v->program)
      json_uses(&j, v, e->tensor);
    json_text(&j, "rule", rule_text(rule, sizeof rule, v->args, e->rule));
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
  json_count(&j, "file_bytes_in", mxq_reader_file_bytes(v->reader));
  if (v->plan)
    json_count(&j, "file_bytes", t->file_bytes);
  else
    json_null(&j, "file_bytes");
  if (t->quantized)
    json_real(&j, "bits_per_weight", t->bits_per_weight);
  else
    json_null(&j, "bits_per_weight");
  json_text(&j, "graph", !v->plan || t->program ? NULL : t->graph_each ? "each" : "none");
  json_flag(&j, "program", t->program);
  json_end(&j, '}');
  json_count(&j, "peak_bytes", t->peak_bytes);
  json_end(&j, '}');
  putchar('\n');
}

/* Widths of the columns: names get what the others leave. */
struct widths { size_t name, dtype, shape, format, why; };

static void widen(size_t *width, size_t columns) { *width = columns > *width ? columns : *width; }

/* Quantized with another tensor, whose bytes are its own. */
static bool is_tied(const struct mxq_plan_entry *e) { return e->bytes_in == 0 && e->tensor->elements > 0; }

/* What stands in the last column: sizes, or why a tensor is kept where that is short; else "". */
static const char *why(char buf[2 * TEXT_NUMBER + 4], const struct mxq_plan_entry *e) {
  char in[TEXT_NUMBER], out[TEXT_NUMBER];
  if (e->format == MXQ_FORMAT_NONE || is_tied(e))
    return text_columns(e->reason) <= MOST_WHY ? e->reason : "";
  snprintf(buf, 2 * TEXT_NUMBER + 4, "%s > %s", text_count(in, e->bytes_in), text_count(out, e->bytes_out));
  return strlen(buf) <= MOST_WHY ? buf : "";
}

static const char *what(const struct mxq_plan_entry *e) { return e->format == MXQ_FORMAT_NONE ? "keep" : mxq_format_name(e->format); }

static struct widths measure(const struct view *v) {
  struct widths w = {6, 4, 5, 4, 13};
  for (size_t i = 0; i < v->count; i++) {
    const struct mxq_plan_entry *e = entry(v, i);
    char shape[MOST_SHAPE + 1], buf[2 * TEXT_NUMBER + 4];
    widen(&w.name, text_columns(e->tensor->name));
    widen(&w.dtype, strlen(mxq_dtype_name(e->tensor->dtype)));
    widen(&w.shape, strlen(text_shape(shape, sizeof shape, e->tensor->ndim, e->tensor->shape)));
    widen(&w.format, strlen(what(e)));
    widen(&w.why, text_columns(why(buf, e)));
  }
  size_t left = COLUMNS - w.dtype - w.shape - w.format - w.why - 4;
  w.name = w.name < left ? w.name : left;
  return w;
}

static void print_row(const struct widths *w, const struct mxq_plan_entry *e, bool rules) {
  char shape[MOST_SHAPE + 1], buf[2 * TEXT_NUMBER + 4];
  const char *last = why(buf, e);
  text_cell(stdout, e->tensor->name, w->name);
  printf(" %-*s %-*s %-*s%s%s\n", (int)w->dtype, mxq_dtype_name(e->tensor->dtype), (int)w->shape,
         text_shape(shape, sizeof shape, e->tensor->ndim, e->tensor->shape), *last ? (int)w->format : 0, what(e), *last ? " " : "", last);
  /* What does not fit beside, and how an unusual shape is blocked, stands on a line of its own. */
  if (last != e->reason && (e->format == MXQ_FORMAT_NONE || strcmp(e->reason, "last axis") != 0)) {
    fputs("    ", stdout);
    text_fit(stdout, e->reason, COLUMNS - 4);
    putchar('\n');
  }
  if (rules && e->rule != SIZE_MAX)
    printf("    rule %zu\n", e->rule + 1);
}

/* Each rule, and how many tensors it decided. */
static void print_rules(const struct view *v) {
  for (size_t r = 0; r < v->args->quantize.rule_count; r++) {
    char rule[8192], n[TEXT_THINGS];
    uint64_t hits = 0;
    for (size_t i = 0; i < v->count; i++)
      hits += entry(v, i)->rule == r;
    printf("rule %zu: ", r + 1);
    text_fit(stdout, rule_text(rule, sizeof rule, v->args, r), 50);
    printf(": %s\n", text_things(n, hits, "tensor"));
  }
}

static void print_text(const struct view *v) {
  char a[TEXT_THINGS], b[TEXT_NUMBER], c[TEXT_NUMBER];
  const struct mxq_plan_totals *t = &v->totals;
  struct widths w = measure(v);
  text_cell(stdout, "tensor", w.name);
  printf(" %-*s %-*s %-*s %s\n", (int)w.dtype, "from", (int)w.shape, "shape", (int)w.format, "to", "bytes, or why");
  for (size_t i = 0; i < v->count; i++)
    print_row(&w, entry(v, i), v->args->quantize.rule_count > 0);
  print_rules(v);
  printf("%s: %s quantized, %s kept", text_things(a, t->tensors, "tensor"), text_count(b, t->quantized), text_count(c, t->kept));
  if (t->quantized)
    printf("; %.2f bits per weight", t->bits_per_weight);
  printf("\ndata    %s -> %s bytes\n", text_count(a, t->bytes_in), text_count(b, t->bytes_out));
  text_count(a, mxq_reader_file_bytes(v->reader));
  if (!v->plan) {
    printf("file    %s bytes, copied member by member; digests and index are added\n", a);
    return;
  }
  printf("file    %s -> %s bytes\n", a, text_count(b, t->file_bytes));
  printf("memory  %.1f MiB for buffers while it runs\n", (double)t->peak_bytes / (1 << 20));
  if (t->program)
    printf("program kept: inputs, outputs and operators as they are%s\n", t->quantized ? ";\n        nodes that decode weights are added" : "");
  else
    printf("program %s\n", t->graph_each ? "returns every tensor, decoded" : "returns nothing; --graph each makes it decode every tensor");
}

static int plan_file(const struct args *args) {
  struct view v = {.args = args};
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  struct mxq_read_options options = {.model = args->model};
  enum mxq_status status = mxq_reader_open(args->operands[0], &options, &v.reader, &err);
  if (status == MXQ_OK && is_copy(args, v.reader)) {
    status = plan_copy(&v, &err);
  } else if (status == MXQ_OK) {
    status = mxq_plan_quantize(v.reader, &args->quantize, &v.plan, &err);
    if (status == MXQ_OK) {
      v.count = mxq_plan_count(v.plan);
      mxq_plan_totals(v.plan, &v.totals);
      if (v.totals.program)
        status = mxq_reader_program(v.reader, &v.program, &err);
    }
  }
  if (status == MXQ_OK && args->json)
    print_json(&v);
  else if (status == MXQ_OK)
    print_text(&v);
  free(v.copied);
  mxq_plan_free(v.plan);
  mxq_reader_close(v.reader);
  return status == MXQ_OK ? EXIT_DONE : report_failure(PLAN, args->operands[0], NULL, &err);
}

int cmd_plan(int argc, char **argv) {
  struct args args;
  int code = args_parse(PLAN, argc, argv, &args);
  if (code < 0)
    code = finish_stdout(plan_file(&args));
  args_free(&args);
  return code;
}
