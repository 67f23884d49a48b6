/* SPDX-License-Identifier: MIT */
#include "tools/quantize_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/json.h"
#include "tools/report.h"
#include "tools/text.h"

/* Signal to noise in decibels; inf when nothing was lost, undefined when nothing was measured. */
static double sqnr_db(const struct mxq_stats *s) {
  return s->signal > 0 ? s->noise > 0 ? 10 * log10(s->signal / s->noise) : INFINITY : NAN;
}

/* Quantized tensors of each format. */
static void count_formats(const mxq_plan *plan, uint64_t counts[MXQ_FORMAT_COUNT]) {
  memset(counts, 0, MXQ_FORMAT_COUNT * sizeof *counts);
  for (size_t i = 0; plan && i < mxq_plan_count(plan); i++)
    counts[mxq_plan_entry(plan, i)->format]++;
}

static void json_kept(struct json *j, const struct mxq_tensor *t, const char *reason, bool warn) {
  json_begin(j, NULL, '{');
  json_text(j, "name", t->name);
  json_text(j, "reason", reason);
  json_flag(j, "warn", warn);
  json_end(j, '}');
}

void quantize_print_json(const struct conversion *c, const mxq_plan *plan, const struct mxq_summary *s) {
  struct json j = {.f = stdout};
  uint64_t counts[MXQ_FORMAT_COUNT];
  count_formats(plan, counts);
  json_begin(&j, NULL, '{');
  json_count(&j, "schema", 1);
  json_text(&j, "input", c->in);
  json_text(&j, "output", c->out);
  json_text(&j, "format", mxq_format_name(c->args->quantize.format));
  json_count(&j, "tensors", s->totals.tensors);
  json_count(&j, "quantized", s->totals.quantized);
  json_count(&j, "kept", s->totals.kept);
  json_begin(&j, "formats", '{');
  for (int f = 1; f < MXQ_FORMAT_COUNT; f++)
    if (counts[f])
      json_count(&j, mxq_format_name((enum mxq_format)f), counts[f]);
  json_end(&j, '}');
  json_real(&j, "bits_per_weight", s->totals.quantized ? s->totals.bits_per_weight : NAN);
  json_real(&j, "sqnr_db", sqnr_db(&s->stats));
  json_count(&j, "clipped", s->stats.clipped);
  json_count(&j, "zeroed", s->stats.zeroed);
  json_count(&j, "overflowed", s->stats.overflowed);
  json_count(&j, "nonfinite", s->stats.nonfinite);
  json_count(&j, "elements", s->stats.elements);
  json_count(&j, "blocks", s->stats.blocks);
  json_count(&j, "bytes_in", c->bytes_in);
  json_count(&j, "bytes_out", c->bytes_out);
  json_real(&j, "seconds", c->seconds);
  json_real(&j, "mb_per_s", conversion_mb_per_s(c));
  json_count(&j, "peak_anon_bytes", c->progress.peak_anon_bytes);
  json_text(&j, "graph", !plan || s->totals.program ? NULL : s->totals.graph_each ? "each" : "none");
  json_flag(&j, "program", s->totals.program);
  json_flag(&j, "unverified", mxq_reader_unverified(c->reader));
  json_begin(&j, "kept_tensors", '[');
  for (size_t i = 0; plan && i < mxq_plan_count(plan); i++) {
    const struct mxq_plan_entry *e = mxq_plan_entry(plan, i);
    if (e->format == MXQ_FORMAT_NONE)
      json_kept(&j, e->tensor, e->reason, e->warn);
  }
  for (size_t i = 0; !plan && i < mxq_reader_count(c->reader); i++)
    if (is_users(c->reader, mxq_reader_tensor(c->reader, i)))
      json_kept(&j, mxq_reader_tensor(c->reader, i), "copied", false);
  json_end(&j, ']');
  json_end(&j, '}');
  putchar('\n');
}

/* ---- text: what was kept, grouped by the reason ---- */

struct group {
  const char *reason;
  uint64_t count;
  const char *name; /* of the first */
};
enum { GROUPS = 24, NAMED = 100, COLUMNS = 80, INDENT = 13 };

static size_t group_kept(const mxq_plan *plan, struct group groups[GROUPS + 1]) {
  size_t n = 0;
  for (size_t i = 0; i < mxq_plan_count(plan); i++) {
    const struct mxq_plan_entry *e = mxq_plan_entry(plan, i);
    if (e->format != MXQ_FORMAT_NONE || e->warn)
      continue;
    size_t g = 0;
    while (g < n && g < GROUPS && strcmp(groups[g].reason, e->reason) != 0)
      g++;
    if (g == n) {
      groups[g] = (struct group){g < GROUPS ? e->reason : "other reasons", 0, e->tensor->name};
      n++;
    }
    groups[g].count++;
  }
  return n;
}

/* Goes to a new line when `more` columns do not fit any more. */
static void wrap(size_t *column, size_t more) {
  if (*column + more <= COLUMNS)
    return;
  fprintf(stderr, "\n%*s", INDENT, "");
  *column = INDENT;
}

static void print_kept(const mxq_plan *plan, uint64_t kept) {
  struct group groups[GROUPS + 1];
  char n[TEXT_THINGS];
  size_t count = group_kept(plan, groups), column = INDENT;
  column += (size_t)fprintf(stderr, "  kept       %s", text_things(n, kept, "tensor")) - INDENT;
  for (size_t g = 0; g < count; g++) {
    const struct group *k = &groups[g];
    const char *name = k->count == 1 ? k->name : "";
    char number[TEXT_NUMBER];
    text_count(number, k->count);
    size_t name_columns = *name ? text_columns(name) + 2 : 0;
    name_columns = name_columns > 40 ? 40 : name_columns;
    fputs(g ? "," : ":", stderr);
    wrap(&column, 1 + 1 + text_columns(k->reason) + 2 + strlen(number) + 1 + name_columns + 1); /* the comma behind it */
    fputc(' ', stderr);
    text_print(stderr, k->reason);
    fprintf(stderr, " (%s", number);
    if (*name) {
      fputs(": ", stderr);
      text_fit(stderr, name, name_columns - 2);
    }
    fputc(')', stderr);
    column += 1 + 1 + text_columns(k->reason) + 2 + strlen(number) + 1 + name_columns;
  }
  fputc('\n', stderr);
  uint64_t warned = 0;
  for (size_t i = 0; i < mxq_plan_count(plan); i++) {
    const struct mxq_plan_entry *e = mxq_plan_entry(plan, i);
    if (!e->warn || ++warned > NAMED)
      continue;
    fputs("  kept too   ", stderr);
    text_print(stderr, e->tensor->name);
    fputs(":", stderr);
    column = INDENT + text_columns(e->tensor->name) + 1;
    wrap(&column, 1 + text_columns(e->reason));
    fputs(column == INDENT ? "" : " ", stderr);
    text_print(stderr, e->reason);
    fputc('\n', stderr);
  }
  if (warned > NAMED)
    fprintf(stderr, "             and %s more like these: -v lists every tensor\n", text_count(n, warned - NAMED));
}

static void print_formats(const mxq_plan *plan) {
  uint64_t counts[MXQ_FORMAT_COUNT];
  count_formats(plan, counts);
  int kinds = 0;
  for (int f = 1; f < MXQ_FORMAT_COUNT; f++)
    kinds += counts[f] > 0;
  const char *separator = kinds ? " to " : "";
  for (int f = 1; f < MXQ_FORMAT_COUNT; f++) {
    if (!counts[f])
      continue;
    char n[TEXT_NUMBER];
    fprintf(stderr, "%s%s", separator, mxq_format_name((enum mxq_format)f));
    if (kinds > 1)
      fprintf(stderr, " (%s)", text_count(n, counts[f]));
    separator = ", ";
  }
}

static void print_numbers(const mxq_plan *plan, const struct mxq_summary *s) {
  char a[TEXT_THINGS], b[TEXT_NUMBER], c[TEXT_NUMBER], d[TEXT_NUMBER];
  fprintf(stderr, "  quantized  %s", text_things(a, s->totals.quantized, "tensor"));
  print_formats(plan);
  fputc('\n', stderr);
  if (s->totals.quantized) {
    fprintf(stderr, "  quality    %.2f bits per weight, SQNR %s dB\n", s->totals.bits_per_weight, text_real(a, sqnr_db(&s->stats), 2));
    fprintf(stderr, "  values     %s clipped, %s zeroed, %s blocks overflowed, %s non-finite\n", text_count(a, s->stats.clipped),
            text_count(b, s->stats.zeroed), text_count(c, s->stats.overflowed), text_count(d, s->stats.nonfinite));
  }
  if (s->totals.kept)
    print_kept(plan, s->totals.kept);
  if (s->totals.program)
    fprintf(stderr, "  program    kept: inputs, outputs and operators as they were%s\n", s->totals.quantized ? ";\n             nodes that decode weights added" : "");
}

void quantize_print_text(const struct conversion *c, const mxq_plan *plan, const struct mxq_summary *s) {
  char n[TEXT_THINGS];
  text_print(stderr, c->in);
  fputs(" -> ", stderr);
  text_print(stderr, c->out);
  fputc('\n', stderr);
  if (plan)
    print_numbers(plan, s);
  else
    fprintf(stderr, "  copied     %s, digests and index added\n", text_things(n, s->totals.tensors, "tensor"));
  conversion_print(c);
  if (plan && !s->totals.graph_each)
    fputs("  note       The archive's program returns nothing: decoding each of many tensors\n"
          "             is slow to load in PyTorch. Its state_dict has codes and scales;\n"
          "             --graph each makes the program return the decoded tensors.\n", stderr);
}
