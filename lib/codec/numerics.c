/* SPDX-License-Identifier: MIT */
/* The numeric choices: names, and which go together. */
#include <stdio.h>
#include <string.h>
#include <mxq/codec.h>
#include "lib/base/fail.h"

static const char *const rules[MXQ_SCALE_RULE_COUNT] = {
  [MXQ_SCALE_DEFAULT] = "default", [MXQ_SCALE_AUTO] = "auto", [MXQ_SCALE_FLOOR] = "floor", [MXQ_SCALE_CEIL] = "ceil",
  [MXQ_SCALE_EVEN] = "even", [MXQ_SCALE_RCEIL] = "rceil", [MXQ_SCALE_RCEIL_725] = "rceil-725", [MXQ_SCALE_MSE] = "mse",
};
static const char *const rounds[MXQ_ROUND_COUNT] = {[MXQ_ROUND_DEFAULT] = "default", [MXQ_ROUND_RNE] = "rne"};
static const char *const compats[MXQ_COMPAT_COUNT] = {
  [MXQ_COMPAT_NONE] = "-", [MXQ_COMPAT_OCP] = "ocp", [MXQ_COMPAT_TORCHAO] = "torchao",
};
static const char *const policies[MXQ_NONFINITE_COUNT] = {
  [MXQ_NONFINITE_BLOCK] = "block", [MXQ_NONFINITE_ERROR] = "error", [MXQ_NONFINITE_SATURATE] = "saturate",
};

static int find(const char *const *names, int first, int count, const char *name) {
  for (int i = first; i < count; i++)
    if (strcmp(names[i], name) == 0) return i;
  return -1;
}

/* DEFAULT has a name to be shown, and is none of the values that can be asked for. */
#define NAMES(kind, names, first, COUNT)                                                                          \
  const char *mxq_##kind##_name(enum mxq_##kind value) { return (unsigned)value < COUNT ? names[value] : NULL; } \
  bool mxq_##kind##_parse(const char *name, enum mxq_##kind *value) {                                             \
    int i = find(names, first, COUNT, name);                                                                      \
    if (i >= 0) *value = (enum mxq_##kind)i;                                                                      \
    return i >= 0;                                                                                                \
  }
NAMES(scale_rule, rules, MXQ_SCALE_AUTO, MXQ_SCALE_RULE_COUNT)
NAMES(round, rounds, MXQ_ROUND_RNE, MXQ_ROUND_COUNT)
NAMES(compat, compats, MXQ_COMPAT_NONE, MXQ_COMPAT_COUNT)
NAMES(nonfinite, policies, MXQ_NONFINITE_BLOCK, MXQ_NONFINITE_COUNT)

static bool offered(enum mxq_element element, enum mxq_scale_rule rule) {
  if (element == MXQ_INT8)
    return rule == MXQ_SCALE_AUTO || rule == MXQ_SCALE_FLOOR || rule == MXQ_SCALE_CEIL || rule == MXQ_SCALE_MSE;
  return rule != MXQ_SCALE_RCEIL_725 || element == MXQ_E2M1;
}

static bool has(enum mxq_compat compat, enum mxq_element element) { return compat != MXQ_COMPAT_TORCHAO || element != MXQ_INT8; }

enum mxq_status mxq_numerics_resolve(enum mxq_format format, struct mxq_numerics *numerics, struct mxq_error *err) {
  struct mxq_numerics n = *numerics;
  enum mxq_element element = mxq_format_element(format);
  char allowed[128] = "";
  size_t used = 0;
  if ((unsigned)element >= MXQ_ELEMENT_COUNT) return mxq_fail(err, MXQ_ERR_USAGE, NULL, "There is nothing to quantize to: the format is none.");
  if ((unsigned)n.scale_rule >= MXQ_SCALE_RULE_COUNT || (unsigned)n.round >= MXQ_ROUND_COUNT ||
      (unsigned)n.compat >= MXQ_COMPAT_COUNT || (unsigned)n.nonfinite >= MXQ_NONFINITE_COUNT)
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "Unknown scale rule, rounding, preset or policy for NaN and Inf.");
  if (!has(n.compat, element)) {
    for (int i = MXQ_MXFP4; i < MXQ_FORMAT_COUNT; i++)
      if (has(n.compat, mxq_format_element((enum mxq_format)i)))
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "", mxq_format_name((enum mxq_format)i));
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "%s has no %s; it has %s.", compats[n.compat], mxq_format_name(format), allowed);
  }
  if (n.scale_rule == MXQ_SCALE_DEFAULT) n.scale_rule = n.compat == MXQ_COMPAT_NONE ? MXQ_SCALE_AUTO : MXQ_SCALE_FLOOR;
  if (n.round == MXQ_ROUND_DEFAULT) n.round = MXQ_ROUND_RNE;
  if (!offered(element, n.scale_rule)) {
    for (int i = MXQ_SCALE_AUTO; i < MXQ_SCALE_RULE_COUNT; i++)
      if (offered(element, (enum mxq_scale_rule)i))
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "", rules[i]);
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "Scale rule %s is not offered for %s; use one of %s.", rules[n.scale_rule],
                    mxq_format_name(format), allowed);
  }
  *numerics = n;
  return MXQ_OK;
}
