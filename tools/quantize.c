/* SPDX-License-Identifier: MIT */
/* mxquant quantize: weights to an archive of MX blocks. */
#include <string.h>

#include "tools/quantize_report.h"
#include "tools/report.h"
#include "tools/text.h"

static void widen(size_t *width, size_t columns) { *width = columns > *width ? columns : *width; }

static const char *what(const struct mxq_plan_entry *e) { return e->format ? mxq_format_name(e->format) : "kept"; }

/* One line for each tensor, or two where the reason does not fit beside. */
static void list(const mxq_plan *plan) {
  enum { COLUMNS = 80, MOST_NAME = 34, INDENT = 6 };
  size_t name = 0, dtype = 0, format = 0;
  for (size_t i = 0; i < mxq_plan_count(plan); i++) {
    const struct mxq_plan_entry *e = mxq_plan_entry(plan, i);
    widen(&name, text_columns(e->tensor->name));
    widen(&dtype, strlen(mxq_dtype_name(e->tensor->dtype)));
    widen(&format, strlen(what(e)));
  }
  name = name < MOST_NAME ? name : MOST_NAME;
  for (size_t i = 0; i < mxq_plan_count(plan); i++) {
    const struct mxq_plan_entry *e = mxq_plan_entry(plan, i);
    bool beside = 2 + name + 1 + dtype + 1 + format + 1 + text_columns(e->reason) <= COLUMNS;
    fputs("  ", stderr);
    text_cell(stderr, e->tensor->name, name);
    fprintf(stderr, " %-*s %-*s", (int)dtype, mxq_dtype_name(e->tensor->dtype), beside ? (int)format : 0, what(e));
    if (beside)
      fputc(' ', stderr);
    else
      fprintf(stderr, "\n%*s", INDENT, "");
    text_fit(stderr, e->reason, COLUMNS - INDENT);
    fputc('\n', stderr);
  }
}

static int finish(struct conversion *c, enum mxq_status status, struct mxq_error *err, const mxq_plan *plan,
                  const struct mxq_summary *summary) {
  int code = conversion_commit(c, status, err);
  if (code != EXIT_DONE)
    return code;
  if (c->args->json)
    quantize_print_json(c, plan, summary);
  else if (!c->args->quiet)
    quantize_print_text(c, plan, summary);
  return finish_stdout(code);
}

/* Bytes that the copy will have at least: padding and headers differ a little, inflated members only add. */
static uint64_t least_copy_size(const struct conversion *c) {
  uint64_t sum = 0;
  for (size_t i = 0; i < mxq_reader_count(c->reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(c->reader, i);
    if (__builtin_add_overflow(sum, t->part[0].size, &sum) || __builtin_add_overflow(sum, t->part[1].size, &sum))
      return c->bytes_in;
  }
  return sum < c->bytes_in ? sum : c->bytes_in; /* tensors may share their bytes */
}

static bool copy_step(void *user, uint64_t done, uint64_t total) { return progress_step(user, done, total, ""); }

static int copy(struct conversion *c) {
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  struct mxq_write_options options = {.align = c->args->quantize.archive.align};
  struct mxq_summary summary = {0};
  struct mxq_archive_info info;
  for (size_t i = 0; i < mxq_reader_count(c->reader); i++)
    summary.totals.tensors += is_users(c->reader, mxq_reader_tensor(c->reader, i));
  summary.totals.kept = summary.totals.tensors;
  mxq_reader_archive_info(c->reader, &info);
  summary.totals.program = !info.weights; /* only archives are copied */
  if (c->args->root_given || c->args->graph_given || c->args->target_given)
    complain("%s: note: --format none copies the archive; it keeps its folder and its program", c->in);
  int code = conversion_output(c, least_copy_size(c));
  if (code >= 0)
    return code;
  enum mxq_status status = mxq_archive_copy(c->reader, &options, &c->sink, copy_step, &c->progress, &err);
  return finish(c, status, &err, NULL, &summary);
}

static int convert(struct conversion *c) {
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  struct mxq_quantize_options options = c->args->quantize;
  struct mxq_plan_totals totals;
  struct mxq_summary summary = {0};
  mxq_plan *plan = NULL;
  options.progress = progress_step;
  options.user = &c->progress;
  if (mxq_plan_quantize(c->reader, &options, &plan, &err) != MXQ_OK)
    return conversion_failed(c, &err);
  mxq_plan_totals(plan, &totals);
  if (totals.program && (c->args->root_given || c->args->graph_given))
    complain("%s: note: the program stays what it is, in its folder: --root and --graph are for archives of weights (--weights-only)", c->in);
  int code = conversion_output(c, totals.file_bytes);
  if (code < 0) {
    if (c->args->verbose && !c->args->quiet)
      list(plan);
    enum mxq_status status = mxq_plan_run(plan, &c->sink, &summary, &err);
    code = finish(c, status, &err, plan, &summary);
  }
  mxq_plan_free(plan);
  return code;
}

int cmd_quantize(int argc, char **argv) {
  struct args args;
  int code = args_parse(QUANTIZE, argc, argv, &args);
  if (code < 0) {
    struct conversion c;
    code = conversion_begin(&c, &args);
    if (code < 0)
      code = is_copy(&args, c.reader) ? copy(&c) : convert(&c);
    conversion_end(&c);
    interrupt_obey();
  }
  args_free(&args);
  return code;
}
