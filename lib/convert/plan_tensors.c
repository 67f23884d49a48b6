/* SPDX-License-Identifier: MIT */
/* The entries of a plan: which rule names a tensor, what its uses in the program say, and what becomes of it. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/convert/plan.h"

static const struct mxq_rule *rule_of(const struct mxq_plan *p, const struct mxq_plan_entry *e) {
  return e->rule == SIZE_MAX ? NULL : &p->options.rules[e->rule];
}

static enum mxq_status find_rule(const struct mxq_plan *p, struct mxq_plan_entry *e, struct mxq_matcher *matcher, struct mxq_error *err) {
  const struct mxq_tensor *t = e->tensor;
  enum mxq_status status = mxq_matcher_find(matcher, t->name, &e->rule, err);
  const struct mxq_rule *rule = status == MXQ_OK ? rule_of(p, e) : NULL;
  if (rule && t->format != MXQ_FORMAT_NONE && rule->format != MXQ_FORMAT_NONE && rule->format != t->format)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name,
                    "rule '%s' asks for %s, but the tensor is %s already and is never encoded again: dequantize the file first, or let "
                    "the rule say %s or none", rule->regex, mxq_format_name(rule->format), mxq_format_name(t->format),
                    mxq_format_name(t->format));
  return status;
}

static bool axes_differ(const struct mxq_rule *a, const struct mxq_rule *b) {
  return a->has_axes && b->has_axes && (a->axis_first != b->axis_first || a->axis_last != b->axis_last);
}

/* The rule of all tensors that are tied to entry i: a rule that names one of them decides, two must agree. One with axes is taken first. */
static enum mxq_status agree(const struct mxq_plan *p, size_t i, const size_t *next, size_t *rule, struct mxq_error *err) {
  const struct mxq_plan_entry *deciding = NULL;
  *rule = SIZE_MAX;
  for (size_t m = i; m != SIZE_MAX; m = next[m]) {
    const struct mxq_plan_entry *e = &p->entries[m];
    const struct mxq_rule *mine = rule_of(p, e), *other = deciding ? rule_of(p, deciding) : NULL;
    if (!mine)
      continue;
    if (other && (mine->format != other->format || axes_differ(mine, other)))
      return mxq_fail(err, MXQ_ERR_USAGE, e->tensor->name,
                      "rule '%s=%s' names this tensor, but rule '%s=%s' names '%.200s', which is the same weight: let one rule name both",
                      mine->regex, mxq_format_name(mine->format), other->regex, mxq_format_name(other->format), deciding->tensor->name);
    if (!other || (mine->has_axes && !other->has_axes))
      deciding = e;
  }
  if (deciding)
    *rule = deciding->rule;
  return MXQ_OK;
}

/* What the program does with the tensors tied to entry i: one that is used speaks for those that are not. */
static void choose(const struct mxq_plan *p, size_t i, const size_t *next, struct mxq_axes_choice *choice) {
  mxq_program_axes(p->program, p->index[i], choice);
  for (size_t m = next[i]; m != SIZE_MAX && !choice->changed; m = next[m]) {
    struct mxq_axes_choice other;
    mxq_program_axes(p->program, p->index[m], &other);
    if (other.changed || choice->unreferenced)
      *choice = other;
  }
}

static void wish_axes(struct mxq_wish *w, int32_t first, int32_t last) {
  w->has_axes = true;
  w->axis_first = first;
  w->axis_last = last;
}

/* Completes a wish by what follows from the uses. */
static void follow_uses(const struct mxq_plan *p, const struct mxq_tensor *t, const struct mxq_axes_choice *choice, struct mxq_wish *w) {
  w->program = p->inside;
  if (choice->changed && (p->inside || !w->named)) {
    w->keep = MXQ_KEEP_CHANGED;
    w->program_reason = choice->reason;
  } else if (!p->inside && !w->named && t->kind == MXQ_KIND_CONSTANT) {
    w->keep = MXQ_KEEP_CONSTANT;
  } else if (!p->inside && !w->named && t->kind == MXQ_KIND_NONPERSISTENT) {
    w->keep = MXQ_KEEP_NONPERSISTENT;
  } else if (w->has_axes) {
    return;
  } else if (choice->understood) {
    wish_axes(w, (int32_t)choice->axis_first, (int32_t)choice->axis_last);
    w->program_reason = choice->reason;
  } else if (p->inside && !w->named) {
    w->keep = MXQ_KEEP_USE;
    w->program_reason = choice->reason;
  }
}

static enum mxq_status refuse_axes(const struct mxq_tensor *t, const struct mxq_wish *w, struct mxq_error *err) {
  return mxq_fail(err, MXQ_ERR_USAGE, t->name, "it has %u axes, 0 to %u, and no run from %d to %d: give others, or a rule with axes of its own or none",
                  (unsigned)t->ndim, (unsigned)t->ndim - 1, (int)w->axis_first, (int)w->axis_last);
}

static enum mxq_status decide(struct mxq_plan *p, size_t i, const size_t *next, struct mxq_error *err) {
  struct mxq_plan_entry *e = &p->entries[i];
  const struct mxq_tensor *t = e->tensor;
  size_t number = SIZE_MAX;
  enum mxq_status status = agree(p, i, next, &number, err);
  if (status != MXQ_OK)
    return status;
  const struct mxq_rule *rule = number == SIZE_MAX ? NULL : &p->options.rules[number];
  struct mxq_wish w = {.format = rule ? rule->format : p->options.format, .named = rule != NULL, .ragged = p->options.ragged};
  if (rule && rule->has_axes)
    wish_axes(&w, rule->axis_first, rule->axis_last);
  else if (p->options.has_axes)
    wish_axes(&w, p->options.axis_first, p->options.axis_last);
  if (p->program) {
    struct mxq_axes_choice choice;
    choose(p, i, next, &choice);
    follow_uses(p, t, &choice, &w);
  }
  struct mxq_decision d;
  mxq_decide(t, &w, &d);
  if (d.because == MXQ_BAD_AXES)
    return refuse_axes(t, &w, err);
  char reason[300];
  int n = mxq_decision_text(reason, sizeof reason, t, &w, &d);
  *e = (struct mxq_plan_entry){.tensor = t, .format = d.format, .rule = number, .warn = d.warn, .bytes_in = t->bytes, .bytes_out = t->bytes};
  if (d.format != MXQ_FORMAT_NONE) {
    e->axis_first = d.axis_first;
    e->axis_last = d.axis_last;
    e->bytes_out = d.code_bytes + d.scale_bytes;
  }
  e->reason = mxq_arena_text(&p->arena, reason, (size_t)n < sizeof reason ? (size_t)n : sizeof reason - 1);
  return e->reason ? MXQ_OK : mxq_fail_nomem(err, t->name);
}

/* What is tied goes with its leader, whose bytes are counted once. */
static enum mxq_status follow(struct mxq_plan *p, size_t i, struct mxq_error *err) {
  const struct mxq_plan_entry *leader = &p->entries[p->leader[i]];
  struct mxq_plan_entry *e = &p->entries[i];
  const struct mxq_tensor *t = e->tensor;
  *e = *leader;
  e->tensor = t;
  e->bytes_in = e->bytes_out = 0;
  if (e->format == MXQ_FORMAT_NONE)
    return MXQ_OK;
  size_t n = strlen(leader->tensor->name), used = strlen("tied to ");
  char *reason = mxq_arena_alloc(&p->arena, used + n + 1);
  if (!reason)
    return mxq_fail_nomem(err, t->name);
  memcpy(reason, "tied to ", used);
  memcpy(reason + used, leader->tensor->name, n + 1);
  e->reason = reason;
  return MXQ_OK;
}

static enum mxq_status find_rules(struct mxq_plan *p, struct mxq_error *err) {
  struct mxq_matcher *matcher = NULL;
  enum mxq_status status = mxq_matcher_open(p->options.rules, p->options.rule_count, &matcher, err);
  if (status != MXQ_OK)
    return status;
  for (size_t i = 0; status == MXQ_OK && i < p->count; i++)
    status = find_rule(p, &p->entries[i], matcher, err);
  size_t unused = status == MXQ_OK ? mxq_matcher_unused(matcher) : SIZE_MAX;
  if (unused != SIZE_MAX)
    status = mxq_fail(err, MXQ_ERR_USAGE, mxq_reader_path(p->reader), "rule '%s=%s' matches no tensor; names are searched, so check spelling and case",
                      p->options.rules[unused].regex, mxq_format_name(p->options.rules[unused].format));
  mxq_matcher_close(matcher);
  return status;
}

/* Links tied tensors, where there is a program for which they are one. */
static bool tie(struct mxq_plan *p, size_t *next) {
  const struct mxq_tensor **tensors = malloc((p->count + 1) * sizeof *tensors);
  for (size_t i = 0; tensors && i < p->count; i++)
    tensors[i] = p->entries[i].tensor;
  bool done = tensors && mxq_tie(tensors, p->count, p->leader, next);
  free(tensors);
  return done;
}

enum mxq_status mxq_plan_tensors(struct mxq_plan *p, struct mxq_error *err) {
  size_t most = mxq_reader_count(p->reader) + 1;
  p->entries = mxq_arena_calloc(&p->arena, most, sizeof *p->entries);
  p->index = mxq_arena_calloc(&p->arena, most, sizeof *p->index);
  p->leader = mxq_arena_calloc(&p->arena, most, sizeof *p->leader);
  size_t *next = mxq_arena_calloc(&p->arena, most, sizeof *next);
  if (!p->entries || !p->index || !p->leader || !next)
    return mxq_fail_nomem(err, "plan");
  for (size_t i = 0; i < mxq_reader_count(p->reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(p->reader, i);
    if (mxq_is_program_table(p->reader, t))
      continue;
    p->leader[p->count] = p->count;
    next[p->count] = SIZE_MAX;
    p->entries[p->count].tensor = t;
    p->index[p->count++] = i;
  }
  enum mxq_status status = find_rules(p, err);
  if (status == MXQ_OK && p->inside && !tie(p, next))
    status = mxq_fail_nomem(err, "plan");
  for (size_t i = 0; status == MXQ_OK && i < p->count; i++)
    if (p->leader[i] == i)
      status = decide(p, i, next, err);
  for (size_t i = 0; status == MXQ_OK && i < p->count; i++)
    if (p->leader[i] != i)
      status = follow(p, i, err);
  return status;
}
