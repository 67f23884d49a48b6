/* SPDX-License-Identifier: MIT */
/* From what the walk found to the lists that callers see, and to the axes that follow. */
#include <stdio.h>
#include <string.h>

#include "formats/pt2/uses.h"

/* "add.Tensor", "linear", "cond": an operator as reasons name it. */
static void named(const char *target, bool overload, char out[static 100]) {
  static const char prefix[] = "torch.ops.", aten[] = "aten.", inner[] = "higher_order.";
  const char *s = target;
  if (strncmp(s, prefix, sizeof prefix - 1) == 0)
    s += sizeof prefix - 1;
  if (strncmp(s, aten, sizeof aten - 1) == 0)
    s += sizeof aten - 1;
  else if (strncmp(s, inner, sizeof inner - 1) == 0)
    s += sizeof inner - 1;
  snprintf(out, 100, "%s", s);
  char *dot = strrchr(out, '.');
  if (dot && strcmp(s, target) != 0 && (!overload || strcmp(dot, ".default") == 0))
    *dot = 0;
}

static const char *target_of(const struct mxq_pt2_walk *w, const struct mxq_use *u) {
  return u->op == SIZE_MAX ? "the program's outputs" : w->operators[u->op].target;
}

static void axes_text(uint32_t first, uint32_t last, char out[static 40]) {
  if (first == last)
    snprintf(out, 40, "axis %u", first);
  else
    snprintf(out, 40, "axes %u-%u", first, last);
}

/* The first use of each kind that decides. */
struct tally {
  const struct mxq_pt2_use *sums, *differs, *looks_up, *writes, *other, *bytes, *lost;
};

static void count(struct tally *t, const struct mxq_pt2_use *u) {
  const struct mxq_pt2_use **slot = u->use.kind == MXQ_USE_CONTRACTS  ? &t->sums
                                    : u->use.kind == MXQ_USE_LOOKS_UP ? &t->looks_up
                                    : u->use.kind == MXQ_USE_WRITES   ? &t->writes
                                    : u->use.kind == MXQ_USE_RETURNS  ? NULL
                                    : u->bytes                        ? &t->bytes
                                    : u->lost                         ? &t->lost
                                                                      : &t->other;
  if (!slot)
    return;
  if (!*slot)
    *slot = u;
  else if (u->use.kind == MXQ_USE_CONTRACTS && !t->differs &&
           (u->use.axis_first != (*slot)->use.axis_first || u->use.axis_last != (*slot)->use.axis_last))
    t->differs = u;
}

static void choose(const struct mxq_pt2_walk *w, const struct tally *t, struct mxq_axes_choice *c, char reason[static 400]) {
  char op[100], other[100], axes[40], other_axes[40];
  const struct mxq_pt2_use *u = t->bytes ? NULL : t->sums ? t->sums : t->looks_up;
  if (u) {
    c->understood = true;
    c->axis_first = u->use.axis_first;
    c->axis_last = u->use.axis_last;
  }
  if (c->changed) {
    if (t->writes)
      named(target_of(w, &t->writes->use), true, op);
    if (t->writes)
      snprintf(reason, 400, t->writes->perhaps ? "a buffer that %s may write to" : "written by %s", op);
    else
      snprintf(reason, 400, "the program writes to bytes that it shares with another tensor");
  } else if (c->unreferenced) {
    snprintf(reason, 400, "no operator uses it");
  } else if (t->bytes) {
    named(target_of(w, &t->bytes->use), true, op);
    snprintf(reason, 400, "%s reads its storage, whatever its axes are", op);
  } else if (t->sums) {
    named(target_of(w, &t->sums->use), false, op);
    axes_text(c->axis_first, c->axis_last, axes);
    if (t->differs) {
      named(target_of(w, &t->differs->use), false, other);
      axes_text(t->differs->use.axis_first, t->differs->use.axis_last, other_axes);
      snprintf(reason, 400, "%s, summed by %s (%s sums %s)", axes, op, other, other_axes);
    } else {
      snprintf(reason, 400, "%s, summed by %s", axes, op);
    }
  } else if (t->looks_up) {
    named(target_of(w, &t->looks_up->use), false, op);
    snprintf(reason, 400, "rows, looked up by %s", op);
  } else if (t->lost) {
    named(target_of(w, &t->lost->use), false, op);
    snprintf(reason, 400, "used by %s, over axes that cannot be followed", op);
  } else if (t->other) {
    named(target_of(w, &t->other->use), true, op);
    snprintf(reason, 400, "used by %s, which has no axis to block along", op);
  } else {
    snprintf(reason, 400, "returned as it is");
  }
}

bool mxq_pt2_lists(struct mxq_pt2_walk *w) {
  struct mxq_arena *arena = &w->r->base.arena;
  size_t *first = mxq_arena_calloc(arena, (size_t)w->groups + 1, sizeof *first);
  struct mxq_use *uses = mxq_arena_calloc(arena, w->found_count, sizeof *uses);
  struct mxq_axes_choice *choices = mxq_arena_calloc(arena, w->groups, sizeof *choices);
  size_t *next = mxq_arena_calloc(&w->scratch, w->groups, sizeof *next);
  struct tally *tallies = mxq_arena_calloc(&w->scratch, w->groups, sizeof *tallies);
  if (!first || !uses || !choices || !next || !tallies)
    return false;
  for (size_t i = 0; i < w->found_count; i++)
    first[w->found[i].use.tensor + 1]++;
  for (uint32_t g = 0; g < w->groups; g++) {
    first[g + 1] += first[g];
    next[g] = first[g];
  }
  for (size_t i = 0; i < w->found_count; i++) {
    const struct mxq_pt2_use *u = &w->found[i];
    struct mxq_use *to = &uses[next[u->use.tensor]++];
    count(&tallies[u->use.tensor], u);
    *to = u->use;
    to->tensor = w->of_group[u->use.tensor];
  }
  for (uint32_t g = 0; g < w->groups; g++) {
    const struct mxq_pt2_parts *parts = &w->r->parts[w->of_group[g]];
    char reason[400];
    choices[g].changed = w->changed[w->r->stored[parts->part[0]].member] || w->changed[w->r->stored[parts->part[1]].member];
    choices[g].unreferenced = first[g] == first[g + 1];
    choose(w, &tallies[g], &choices[g], reason);
    choices[g].reason = mxq_pt2_text_once(&w->texts, arena, reason, strlen(reason));
    if (!choices[g].reason)
      return false;
  }
  w->out->first_use = first;
  w->out->uses = uses;
  w->out->choices = choices;
  w->out->group = w->group_of;
  w->out->operators = w->operators;
  w->out->operator_count = w->operator_count;
  return true;
}
