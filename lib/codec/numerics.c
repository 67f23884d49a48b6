/* SPDX-License-Identifier: MIT */
/* The numeric choices: names, and which go together. */
#include <stdio.h>
#include <string.h>
#include <mxq/codec.h>
#include "lib/base/fail.h"

static const char *const rules[MXQ_SCALE_RULE_COUNT] = {
  [MXQ_SCALE_DEFAULT] = "default", [MXQ_SCALE_AUTO] = "auto", [MXQ_SCALE_FLOOR] = "floor", [MXQ_SCALE_CEIL] = "ceil",
  [MXQ_SCALE_EVEN] = "even", [MXQ_SCALE_RCEIL] = "rceil", [MXQ_SCALE_RCEIL_725] = "rceil-725", [MXQ_SCALE_MSE] = "mse",
  [MXQ_SCALE_EVEN_175] = "even-175", [MXQ_SCALE_EVEN_STRICT] = "even-strict", [MXQ_SCALE_FLOOR_LOG2F] = "floor-log2f",
  [MXQ_SCALE_CEIL_LOG2F] = "ceil-log2f", [MXQ_SCALE_RCEIL_LOG2F] = "rceil-log2f", [MXQ_SCALE_RCEIL_725_LOG2F] = "rceil-725-log2f",
  [MXQ_SCALE_EVEN_STRICT_LOG2F] = "even-strict-log2f", [MXQ_SCALE_NEAREST_LOG2F] = "nearest-log2f",
};
static const char *const rounds[MXQ_ROUND_COUNT] = {[MXQ_ROUND_DEFAULT] = "default", [MXQ_ROUND_RNE] = "rne",
  [MXQ_ROUND_HALF_AWAY] = "half-away", [MXQ_ROUND_HALF_ZERO] = "half-zero", [MXQ_ROUND_TRUNC] = "trunc", [MXQ_ROUND_STOCHASTIC] = "stochastic"};
static const char *const compats[MXQ_COMPAT_COUNT] = {
  [MXQ_COMPAT_NONE] = "-", [MXQ_COMPAT_OCP] = "ocp", [MXQ_COMPAT_TORCHAO] = "torchao",
  [MXQ_COMPAT_TORCHAO_018] = "torchao-0.18", [MXQ_COMPAT_GGML] = "ggml", [MXQ_COMPAT_COMPRESSED_TENSORS] = "compressed-tensors",
  [MXQ_COMPAT_MICROXCALING] = "microxcaling", [MXQ_COMPAT_FBGEMM] = "fbgemm", [MXQ_COMPAT_QUARK] = "quark", [MXQ_COMPAT_MLX] = "mlx",
  [MXQ_COMPAT_MODELOPT] = "modelopt", [MXQ_COMPAT_AUTO_ROUND] = "auto-round",
};
static const char *const policies[MXQ_NONFINITE_COUNT] = {
  [MXQ_NONFINITE_BLOCK] = "block", [MXQ_NONFINITE_ERROR] = "error", [MXQ_NONFINITE_SATURATE] = "saturate",
  [MXQ_NONFINITE_PEER] = "peer",
};

static const char *const zeros[MXQ_NEG_ZERO_COUNT] = {
  [MXQ_NEG_ZERO_DEFAULT] = "default", [MXQ_NEG_ZERO_KEEP] = "keep", [MXQ_NEG_ZERO_DROP] = "drop", [MXQ_NEG_ZERO_EXACT] = "mx",
  [MXQ_NEG_ZERO_SCALED] = "mx-scaled", [MXQ_NEG_ZERO_MODELOPT] = "modelopt",
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

const char *mxq_neg_zero_name(enum mxq_neg_zero value) { return (unsigned)value < MXQ_NEG_ZERO_COUNT ? zeros[value] : NULL; }

bool mxq_rounding_parse(const char *text, enum mxq_round *round, uint64_t *seed) {
  static const char word[] = "stochastic:";
  const size_t n = sizeof word - 1;
  if (strncmp(text, word, n) != 0) return strcmp(text, "stochastic") != 0 && mxq_round_parse(text, round);
  uint64_t value = 0;
  for (const char *s = text + n; *s || s == text + n; s++)
    if (*s < '0' || *s > '9' || __builtin_mul_overflow(value, (uint64_t)10, &value) || __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
      return false;
  *round = MXQ_ROUND_STOCHASTIC;
  *seed = value;
  return true;
}

#define ON(ID) (1u << MXQ_##ID)
enum { FLOATS = ON(E2M1) | ON(E2M3) | ON(E3M2) | ON(E4M3) | ON(E5M2), ALL = FLOATS | ON(INT8) };

/* The element types of a rule: those that the standard's rules make sense for, and those that other tools use theirs for. */
static const unsigned char rule_elements[MXQ_SCALE_RULE_COUNT] = {
  [MXQ_SCALE_AUTO] = ALL, [MXQ_SCALE_FLOOR] = ALL, [MXQ_SCALE_CEIL] = ALL, [MXQ_SCALE_MSE] = ALL, [MXQ_SCALE_EVEN] = FLOATS,
  [MXQ_SCALE_RCEIL] = FLOATS, [MXQ_SCALE_RCEIL_725] = ON(E2M1), [MXQ_SCALE_EVEN_175] = ON(E4M3), [MXQ_SCALE_EVEN_STRICT] = ON(E2M1),
  [MXQ_SCALE_FLOOR_LOG2F] = ALL, [MXQ_SCALE_CEIL_LOG2F] = ON(E2M1) | ON(E2M3) | ON(E3M2), [MXQ_SCALE_RCEIL_LOG2F] = FLOATS,
  [MXQ_SCALE_RCEIL_725_LOG2F] = ON(E2M1), [MXQ_SCALE_EVEN_STRICT_LOG2F] = ON(E2M1), [MXQ_SCALE_NEAREST_LOG2F] = ON(E2M1),
};

/* What a preset puts in place of DEFAULT. MXFP4 may have a rounding and zeros of its own. */
struct preset {
  unsigned char elements;
  enum mxq_scale_rule rule;
  enum mxq_round round, round_e2m1;
  enum mxq_neg_zero neg_zero, neg_zero_e2m1;
};
static const struct preset presets[MXQ_COMPAT_COUNT] = {
  [MXQ_COMPAT_NONE] = {ALL, MXQ_SCALE_AUTO, MXQ_ROUND_RNE, MXQ_ROUND_RNE, MXQ_NEG_ZERO_KEEP, MXQ_NEG_ZERO_KEEP},
  [MXQ_COMPAT_OCP] = {ALL, MXQ_SCALE_FLOOR, MXQ_ROUND_RNE, MXQ_ROUND_RNE, MXQ_NEG_ZERO_KEEP, MXQ_NEG_ZERO_KEEP},
  [MXQ_COMPAT_TORCHAO] = {FLOATS, MXQ_SCALE_FLOOR, MXQ_ROUND_RNE, MXQ_ROUND_RNE, MXQ_NEG_ZERO_KEEP, MXQ_NEG_ZERO_KEEP},
  [MXQ_COMPAT_TORCHAO_018] = {FLOATS, MXQ_SCALE_FLOOR, MXQ_ROUND_RNE, MXQ_ROUND_RNE, MXQ_NEG_ZERO_KEEP, MXQ_NEG_ZERO_KEEP},
  [MXQ_COMPAT_GGML] = {ON(E2M1), MXQ_SCALE_FLOOR_LOG2F, MXQ_ROUND_HALF_ZERO, MXQ_ROUND_HALF_ZERO, MXQ_NEG_ZERO_DROP, MXQ_NEG_ZERO_DROP},
  [MXQ_COMPAT_COMPRESSED_TENSORS] = {ON(E2M1) | ON(E2M3) | ON(E4M3), MXQ_SCALE_EVEN, MXQ_ROUND_RNE, MXQ_ROUND_RNE, MXQ_NEG_ZERO_KEEP,
                                     MXQ_NEG_ZERO_SCALED},
  [MXQ_COMPAT_MICROXCALING] = {ALL, MXQ_SCALE_FLOOR_LOG2F, MXQ_ROUND_HALF_AWAY, MXQ_ROUND_HALF_AWAY, MXQ_NEG_ZERO_EXACT, MXQ_NEG_ZERO_EXACT},
  [MXQ_COMPAT_FBGEMM] = {ON(E2M1), MXQ_SCALE_EVEN_STRICT, MXQ_ROUND_HALF_AWAY, MXQ_ROUND_HALF_AWAY, MXQ_NEG_ZERO_KEEP, MXQ_NEG_ZERO_KEEP},
  [MXQ_COMPAT_QUARK] = {ON(E2M1) | ON(E2M3) | ON(E3M2) | ON(INT8), MXQ_SCALE_EVEN, MXQ_ROUND_RNE, MXQ_ROUND_RNE, MXQ_NEG_ZERO_DROP,
                        MXQ_NEG_ZERO_DROP},
  [MXQ_COMPAT_MLX] = {ON(E2M1) | ON(E4M3), MXQ_SCALE_RCEIL, MXQ_ROUND_RNE, MXQ_ROUND_HALF_ZERO, MXQ_NEG_ZERO_KEEP, MXQ_NEG_ZERO_DROP},
  [MXQ_COMPAT_MODELOPT] = {ON(E2M1) | ON(E4M3), MXQ_SCALE_RCEIL_LOG2F, MXQ_ROUND_RNE, MXQ_ROUND_HALF_ZERO, MXQ_NEG_ZERO_KEEP,
                           MXQ_NEG_ZERO_MODELOPT},
  [MXQ_COMPAT_AUTO_ROUND] = {FLOATS, MXQ_SCALE_FLOOR_LOG2F, MXQ_ROUND_RNE, MXQ_ROUND_RNE, MXQ_NEG_ZERO_EXACT, MXQ_NEG_ZERO_EXACT},
};

static bool offered(enum mxq_element element, enum mxq_scale_rule rule, enum mxq_compat compat) {
  if (compat == MXQ_COMPAT_QUARK && element == MXQ_INT8) /* it alone has these for MXINT8 */
    return rule == MXQ_SCALE_EVEN || rule == MXQ_SCALE_FLOOR_LOG2F || rule == MXQ_SCALE_CEIL_LOG2F;
  return rule_elements[rule] >> element & 1;
}

static bool has(enum mxq_compat compat, enum mxq_element element) { return presets[compat].elements >> element & 1; }

enum mxq_status mxq_numerics_resolve(enum mxq_format format, struct mxq_numerics *numerics, struct mxq_error *err) {
  struct mxq_numerics n = *numerics;
  enum mxq_element element = mxq_format_element(format);
  char allowed[256] = "";
  size_t used = 0;
  if ((unsigned)element >= MXQ_ELEMENT_COUNT) return mxq_fail(err, MXQ_ERR_USAGE, NULL, "There is nothing to quantize to: the format is none.");
  if ((unsigned)n.scale_rule >= MXQ_SCALE_RULE_COUNT || (unsigned)n.round >= MXQ_ROUND_COUNT || (unsigned)n.compat >= MXQ_COMPAT_COUNT ||
      (unsigned)n.nonfinite >= MXQ_NONFINITE_COUNT || (unsigned)n.neg_zero >= MXQ_NEG_ZERO_COUNT)
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "Unknown scale rule, rounding, preset or policy for zeros, NaN and Inf.");
  if (!has(n.compat, element)) {
    for (int i = MXQ_MXFP4; i < MXQ_FORMAT_COUNT; i++)
      if (has(n.compat, mxq_format_element((enum mxq_format)i)))
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "", mxq_format_name((enum mxq_format)i));
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "%s has no %s; it has %s.", compats[n.compat], mxq_format_name(format), allowed);
  }
  const struct preset *p = &presets[n.compat];
  if (n.scale_rule == MXQ_SCALE_DEFAULT)
    n.scale_rule = n.compat == MXQ_COMPAT_COMPRESSED_TENSORS && element == MXQ_E4M3 ? MXQ_SCALE_EVEN_175 : p->rule;
  if (n.round == MXQ_ROUND_DEFAULT) n.round = element == MXQ_E2M1 ? p->round_e2m1 : p->round;
  if (n.neg_zero == MXQ_NEG_ZERO_DEFAULT) n.neg_zero = element == MXQ_E2M1 ? p->neg_zero_e2m1 : p->neg_zero;
  if (!offered(element, n.scale_rule, n.compat)) {
    for (int i = MXQ_SCALE_AUTO; i < MXQ_SCALE_RULE_COUNT; i++)
      if (offered(element, (enum mxq_scale_rule)i, n.compat))
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "", rules[i]);
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "Scale rule %s is not offered for %s; use one of %s.", rules[n.scale_rule],
                    mxq_format_name(format), allowed);
  }
  *numerics = n;
  return MXQ_OK;
}
