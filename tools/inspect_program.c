/* SPDX-License-Identifier: MIT */
#include "tools/inspect_program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/text.h"

enum { COLUMNS = 80, INDENT = 12, MOST_OPERATORS = 12 };

/* A paragraph under a heading: items that stay whole where they can, lines that begin under the first. */
struct paragraph {
  const char *heading;
  size_t column;   /* 0: nothing printed yet */
};

static void item(struct paragraph *p, const char *text) {
  size_t n = text_columns(text);
  if (p->column == 0) {
    printf("%-*s", INDENT, p->heading);
    p->column = INDENT;
  } else if (p->column + 2 + n > COLUMNS - 1) { /* a comma may follow */
    printf(",\n%*s", INDENT, "");
    p->column = INDENT;
  } else {
    fputs(", ", stdout);
    p->column += 2;
  }
  p->column += text_fit(stdout, text, COLUMNS - 1 - INDENT);
}

/* Ends it, with a hint (may be NULL) behind. */
static void end(struct paragraph *p, const char *hint) {
  if (p->column == 0)
    return;
  if (hint && p->column + 3 + strlen(hint) > COLUMNS)
    printf("\n%*s(%s)", INDENT, "", hint);
  else if (hint)
    printf(" (%s)", hint);
  putchar('\n');
}

/* ---- what goes in and out ---- */

static void value_words(const struct mxq_value *value, char *buf, size_t size) {
  if (value->type != MXQ_VALUE_TENSOR) {
    const char *type = mxq_value_type_name(value->type);
    snprintf(buf, size, strcmp(value->name, type) == 0 ? "%.200s" : "%.200s %s", value->name, type);
    return;
  }
  size_t used = (size_t)snprintf(buf, size, "%.200s %s [", value->name, value->dtype == MXQ_DTYPE_NONE ? "?" : mxq_dtype_name(value->dtype));
  for (uint32_t i = 0; i < value->ndim && used < size - 1; i++)
    used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "", value->shape[i]);
  if (used < size - 1)
    snprintf(buf + used, size - used, "]");
}

/* One value a line: shapes are what one looks for. */
static void print_values(const char *heading, const struct mxq_value *values, size_t count) {
  char words[1600];
  for (size_t i = 0; i < count; i++) {
    printf("%-*s", INDENT, i ? "" : heading);
    value_words(&values[i], words, sizeof words);
    text_fit(stdout, words, COLUMNS - INDENT);
    putchar('\n');
  }
  if (count == 0)
    printf("%-*snone\n", INDENT, heading);
}

static void print_symbols(const mxq_program *program) {
  size_t count;
  const struct mxq_symbol *s = mxq_program_symbols(program, &count);
  struct paragraph p = {.heading = "sizes"};
  for (size_t i = 0; i < count; i++) {
    char words[160], low[24] = "", high[24] = "";
    if (s[i].has_min)
      snprintf(low, sizeof low, "%" PRId64, s[i].min);
    if (s[i].has_max)
      snprintf(high, sizeof high, "%" PRId64, s[i].max);
    if (s[i].has_min || s[i].has_max)
      snprintf(words, sizeof words, "%.90s in %s..%s", s[i].name, low, high);
    else
      snprintf(words, sizeof words, "%.90s of any size", s[i].name);
    item(&p, words);
  }
  end(&p, NULL);
}

/* ---- operators ---- */

static void print_operators(const struct view_operator *ops, size_t count, bool verbose) {
  char words[OPERATOR_SHORT + 2 * TEXT_NUMBER], name[OPERATOR_SHORT], number[TEXT_NUMBER];
  size_t shown = verbose || count <= MOST_OPERATORS + 1 ? count : MOST_OPERATORS;
  struct paragraph p = {.heading = "operators"};
  for (size_t i = 0; i < shown; i++) {
    snprintf(words, sizeof words, "%s %s", text_count(number, ops[i].count), operator_short(name, ops[i].target));
    item(&p, words);
  }
  if (shown < count) {
    snprintf(words, sizeof words, "%zu more kinds (-v)", count - shown);
    item(&p, words);
  }
  if (count == 0)
    item(&p, "none");
  end(&p, NULL);
}

/* ---- what weights feed ---- */

static void print_uses(const struct view *v) {
  char words[USE_WORDS];
  const char *heading = "weights";
  for (size_t i = 0; i < mxq_reader_count(v->reader); i++) {
    size_t count;
    const struct mxq_use *uses = mxq_program_uses(v->program, i, &count);
    for (size_t u = 0; u < count || u == 0; u++) {
      printf("%-*s", INDENT, heading);
      heading = "";
      text_print(stdout, mxq_reader_tensor(v->reader, i)->name);
      fputs(" -> ", stdout);
      text_print(stdout, count ? use_words(words, v->program, &uses[u]) : "nothing");
      putchar('\n');
    }
  }
}

static bool is_returned(const struct mxq_use *use, size_t op_count) { return use->kind == MXQ_USE_RETURNS || use->op >= op_count; }

/* How many uses of weights each kind of operator has. */
static bool print_use_counts(const struct view *v) {
  size_t op_count, unused = 0, returned = 0, used = 0;
  const struct mxq_operator *ops = mxq_program_operators(v->program, &op_count);
  struct paragraph p = {.heading = "weights"};
  char words[OPERATOR_SHORT + 2 * TEXT_NUMBER], name[OPERATOR_SHORT], number[TEXT_NUMBER];
  for (size_t i = 0; i < mxq_reader_count(v->reader); i++) {
    size_t n;
    const struct mxq_use *uses = mxq_program_uses(v->program, i, &n);
    unused += n == 0;
    used += n;
    for (size_t u = 0; u < n; u++)
      returned += is_returned(&uses[u], op_count);
  }
  const char **targets = malloc((used + 1) * sizeof *targets);
  if (!targets)
    return false;
  used = 0;
  for (size_t i = 0; i < mxq_reader_count(v->reader); i++) {
    size_t n;
    const struct mxq_use *uses = mxq_program_uses(v->program, i, &n);
    for (size_t u = 0; u < n; u++)
      if (!is_returned(&uses[u], op_count))
        targets[used++] = ops[uses[u].op].target;
  }
  size_t all;
  struct view_operator *counts = view_count_texts(targets, used, &all);
  free(targets);
  if (!counts)
    return false;
  for (size_t i = 0; i < all && i < MOST_OPERATORS; i++) {
    snprintf(words, sizeof words, "%s feed%s %s", text_count(number, counts[i].count), counts[i].count == 1 ? "s" : "", operator_short(name, counts[i].target));
    item(&p, words);
  }
  free(counts);
  if (returned) {
    snprintf(words, sizeof words, "%s returned", text_count(number, returned));
    item(&p, words);
  }
  if (unused) {
    snprintf(words, sizeof words, "%s unused", text_count(number, unused));
    item(&p, words);
  }
  end(&p, "-v lists each");
  return true;
}

bool print_program(const struct view *v, bool verbose) {
  size_t count, kinds;
  if (!v->program)
    return true;
  struct view_operator *ops = view_operators(v->program, &kinds);
  if (!ops)
    return false;
  putchar('\n');
  const struct mxq_value *values = mxq_program_inputs(v->program, &count);
  print_values("inputs", values, count);
  values = mxq_program_outputs(v->program, &count);
  print_values("outputs", values, count);
  print_symbols(v->program);
  print_operators(ops, kinds, verbose);
  free(ops);
  if (!verbose)
    return print_use_counts(v);
  print_uses(v);
  return true;
}

/* ---- what else is in the archive ---- */

void print_archive(const struct view *v, bool verbose) {
  const struct mxq_archive_info *a = &v->info;
  char n[TEXT_NUMBER], words[700];
  if (a->weights)
    return;
  if (a->sample_inputs)
    printf("%-*s%s bytes, a pickle that is not opened\n", INDENT, "samples", text_count(n, a->sample_inputs));
  size_t shown = verbose || a->object_count <= MOST_OPERATORS ? a->object_count : MOST_OPERATORS;
  for (size_t i = 0; i < shown; i++) {
    const struct mxq_archive_object *o = &a->objects[i];
    snprintf(words, sizeof words, "%.200s%s%.300s", o->name, o->class_name ? " of class " : "", o->class_name ? o->class_name : "");
    printf("%-*s", INDENT, i ? "" : "objects");
    text_fit(stdout, words, COLUMNS - INDENT);
    snprintf(words, sizeof words, "%s bytes in %.300s, not opened", text_count(n, o->bytes), o->record);
    printf("\n%*s", INDENT + 2, "");
    text_fit(stdout, words, COLUMNS - INDENT - 2);
    putchar('\n');
  }
  if (shown < a->object_count)
    printf("%*s%zu more (-v)\n", INDENT, "", a->object_count - shown);
  if (a->model_count > 1) {
    struct paragraph p = {.heading = "programs"};
    for (size_t i = 0; i < a->model_count && (verbose || i < MOST_OPERATORS); i++) {
      snprintf(words, sizeof words, "%.300s%s", a->models[i], strcmp(a->models[i], a->model) == 0 ? " (this one)" : "");
      item(&p, words);
    }
    end(&p, "--model NAME shows another");
  }
}
