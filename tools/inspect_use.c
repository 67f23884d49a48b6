/* SPDX-License-Identifier: MIT */
/* The words for operators and uses. */
#include "tools/inspect_program.h"

#include <stdio.h>
#include <string.h>

const char *operator_short(char buf[OPERATOR_SHORT], const char *target) {
  static const char *const prefixes[] = {"torch.ops.aten.", "torch.ops."};
  static const char ending[] = ".default";
  for (size_t i = 0; i < 2; i++)
    if (strncmp(target, prefixes[i], strlen(prefixes[i])) == 0) {
      target += strlen(prefixes[i]);
      break;
    }
  size_t n = strlen(target), e = sizeof ending - 1;
  if (n > e && strcmp(target + n - e, ending) == 0)
    n -= e;
  snprintf(buf, OPERATOR_SHORT, "%.*s", n < OPERATOR_SHORT ? (int)n : OPERATOR_SHORT - 1, target);
  return buf;
}

const char *use_words(char buf[USE_WORDS], const mxq_program *program, const struct mxq_use *use) {
  size_t n;
  const struct mxq_operator *ops = mxq_program_operators(program, &n);
  char name[OPERATOR_SHORT], axes[40];
  if (use->kind == MXQ_USE_RETURNS || use->op >= n) {
    snprintf(buf, USE_WORDS, "returned by the program");
    return buf;
  }
  if (use->axis_first == use->axis_last)
    snprintf(axes, sizeof axes, "axis %u", use->axis_first);
  else
    snprintf(axes, sizeof axes, "axes %u to %u", use->axis_first, use->axis_last);
  const char *before = "", *after = "";
  switch (use->kind) {
  case MXQ_USE_CONTRACTS: before = ", ", after = " summed"; break;
  case MXQ_USE_LOOKS_UP: before = ", rows along ", after = " looked up"; break;
  case MXQ_USE_WRITES: before = ", which changes it", axes[0] = 0; break;
  case MXQ_USE_OTHER:
  case MXQ_USE_RETURNS: axes[0] = 0; break;
  }
  snprintf(buf, USE_WORDS, "%s (%.60s)%s%s%s", operator_short(name, ops[use->op].target), use->argument, before, axes, after);
  return buf;
}
