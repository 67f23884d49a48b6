/* SPDX-License-Identifier: MIT */
/* The values of options. Names are the library's; what is allowed is listed when something else is given. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/args.h"
#include "tools/report.h"

static const char *scale_rule_name(int i) { return mxq_scale_rule_name((enum mxq_scale_rule)i); }
static const char *round_name(int i) { return i == MXQ_ROUND_STOCHASTIC ? "stochastic:SEED" : mxq_round_name((enum mxq_round)i); }
static const char *compat_name(int i) { return mxq_compat_name((enum mxq_compat)i); }
static const char *nonfinite_name(int i) { return mxq_nonfinite_name((enum mxq_nonfinite)i); }
static const char *format_name(int i) { return mxq_format_name((enum mxq_format)i); }
static const char *cpu_name(int i) { return (enum mxq_cpu)i <= mxq_cpu_best() ? mxq_cpu_name((enum mxq_cpu)i) : NULL; }
static const char *ragged_name(int i) { return i == MXQ_RAGGED_PAD ? "pad" : "keep"; }
static const char *graph_name(int i) { return i == MXQ_GRAPH_EACH ? "each" : "none"; }
static const char *target_name(int i) { return i == MXQ_TARGET_TORCH_2_12 ? "torch-2.12" : "torch-2.11"; }
static const char *dtype_name(int i) { return i == MXQ_DTYPE_NONE ? "source" : mxq_dtype_name((enum mxq_dtype)i); }
static const char *progress_name(int i) { return (const char *[]){"auto", "always", "never", "json"}[i]; }
static const char *as_name(int i) { return (const char *[]){"auto", "zip", "json", "npy", "safetensors", "pt2"}[i]; }

/* Finds value among the names of first...last; -1 after having said which are allowed. */
static int choose(const struct args *args, enum option_id id, const char *value, const char *(*name)(int), int first, int last) {
  char list[400] = "";
  size_t used = 0;
  for (int i = first; i <= last; i++) {
    const char *s = name(i);
    if (!s)
      continue;
    if (strcmp(s, value) == 0)
      return i;
    used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", s);
  }
  complain_usage(args, "unknown value '%s' for --%s; allowed: %s", value, option_rows[id].name, list);
  return -1;
}

/* A whole decimal number from first to last. */
static bool whole(const struct args *args, enum option_id id, const char *value, unsigned long first, unsigned long last, unsigned *out) {
  char *end = NULL;
  errno = 0;
  unsigned long n = value[0] >= '0' && value[0] <= '9' ? strtoul(value, &end, 10) : 0;
  if (!end || *end || errno || n < first || n > last) {
    complain_usage(args, "'%s' for --%s is not a whole number from %lu to %lu", value, option_rows[id].name, first, last);
    return false;
  }
  *out = (unsigned)n;
  return true;
}

static bool take_format(struct args *args, const char *value) {
  args->quantizes = true;
  if (mxq_format_parse(value, &args->quantize.format))
    return true;
  /* The short forms are no names of their own, so that `choose` only words the error. */
  return choose(args, OPT_FORMAT, value, format_name, 0, MXQ_FORMAT_COUNT - 1) >= 0;
}

static bool take_cpu(const struct args *args, const char *value) {
  int level = choose(args, OPT_CPU, value, cpu_name, 0, MXQ_CPU_COUNT - 1);
  return level >= 0 && mxq_cpu_set((enum mxq_cpu)level) == MXQ_OK;
}

static bool take_align(struct args *args, const char *value) {
  unsigned n = 0;
  if (!whole(args, OPT_ALIGN, value, 1, 32768, &n))
    return false;
  if (n & (n - 1)) {
    complain_usage(args, "'%s' for --align is not a power of two", value);
    return false;
  }
  args->quantize.archive.align = n;
  return true;
}

/* A whole number that ends at `end`; false when there is none or no tensor has so many axes. */
static bool axis(const char *text, char end, const char **rest, int32_t *out) {
  char *stop = NULL;
  const char *digits = text + (*text == '-');
  long n = *digits >= '0' && *digits <= '9' ? strtol(text, &stop, 10) : 0;
  if (!stop || *stop != end || n < -MXQ_MAX_NDIM || n >= MXQ_MAX_NDIM)
    return false;
  *rest = stop + (end != 0);
  *out = (int32_t)n;
  return true;
}

static bool take_axes(struct args *args, const char *value) {
  struct mxq_quantize_options *q = &args->quantize;
  const char *rest = NULL;
  q->has_axes = true;
  if (axis(value, ':', &rest, &q->axis_first) && axis(rest, 0, &rest, &q->axis_last))
    return true;
  complain_usage(args, "'%s' for --axes is not a pair FIRST:LAST of axes, such as 1:3, or -1:-1 for the last one", value);
  return false;
}

static bool take_min_sqnr(struct args *args, const char *value) {
  char *end = NULL;
  args->min_sqnr = strtod(value, &end);
  args->has_min_sqnr = true;
  if (end != value && *end == 0 && !isnan(args->min_sqnr))
    return true;
  complain_usage(args, "'%s' for --min-sqnr is not a number of decibels", value);
  return false;
}

bool option_take(struct args *args, enum option_id id, const char *value) {
  struct mxq_quantize_options *q = &args->quantize;
  int i = 0;
#define CHOOSE(name, first, last) ((i = choose(args, id, value, name, first, last)) >= 0)
  switch (id) {
  case OPT_OUTPUT: args->output = value; break;
  case OPT_FORMAT: return take_format(args, value);
  case OPT_SCALE_RULE:
    if (CHOOSE(scale_rule_name, 1, MXQ_SCALE_RULE_COUNT - 1))
      q->numerics.scale_rule = (enum mxq_scale_rule)i;
    break;
  case OPT_ROUND:
    if (mxq_rounding_parse(value, &q->numerics.round, &q->numerics.seed))
      break;
    if (strncmp(value, "stochastic", 10) == 0)
      complain_usage(args, "'%s' for --round: it takes a seed, as stochastic:42, 0 to 18446744073709551615", value);
    else
      choose(args, id, value, round_name, 1, MXQ_ROUND_COUNT - 1);
    return false;
  case OPT_COMPAT:
    if (CHOOSE(compat_name, 1, MXQ_COMPAT_COUNT - 1))
      q->numerics.compat = (enum mxq_compat)i;
    break;
  case OPT_NONFINITE:
    if (CHOOSE(nonfinite_name, 0, MXQ_NONFINITE_SATURATE))
      q->numerics.nonfinite = (enum mxq_nonfinite)i;
    break;
  case OPT_RAGGED:
    if (CHOOSE(ragged_name, MXQ_RAGGED_PAD, MXQ_RAGGED_KEEP))
      q->ragged = (enum mxq_ragged)i;
    break;
  case OPT_GRAPH:
    args->graph_given = true;
    if (CHOOSE(graph_name, MXQ_GRAPH_EACH, MXQ_GRAPH_NONE))
      q->archive.graph = (enum mxq_graph)i;
    break;
  case OPT_TARGET:
    args->target_given = true;
    if (CHOOSE(target_name, MXQ_TARGET_TORCH_2_12, MXQ_TARGET_TORCH_2_11))
      q->archive.target = (enum mxq_target)i;
    break;
  case OPT_AXES: return take_axes(args, value);
  case OPT_WEIGHTS_ONLY: q->weights_only = true; break;
  case OPT_ROOT:
    args->root_given = true;
    q->archive.root = value;
    break;
  case OPT_ALIGN: return take_align(args, value);
  case OPT_DTYPE:
    if (CHOOSE(dtype_name, MXQ_DTYPE_NONE, MXQ_F16))
      args->dtype = (enum mxq_dtype)i;
    break;
  case OPT_TENSOR: args->tensor = value; break;
  case OPT_MODEL: args->model = value; break;
  case OPT_AS:
    if (CHOOSE(as_name, AS_ZIP, AS_PT2))
      args->as = (enum as)i;
    break;
  case OPT_MIN_SQNR: return take_min_sqnr(args, value);
  case OPT_FORCE: args->force = true; break;
  case OPT_JOBS: return whole(args, id, value, 1, 1024, &args->jobs);
  case OPT_CPU: return take_cpu(args, value);
  case OPT_QUIET: args->quiet = true; break;
  case OPT_VERBOSE: args->verbose = true; break;
  case OPT_JSON: args->json = true; break;
  case OPT_PROGRESS:
    if (CHOOSE(progress_name, PROGRESS_AUTO, PROGRESS_JSON))
      args->progress = (enum progress_mode)i;
    break;
  case OPT_RULE:
  case OPT_RULES:
  case OPT_HELP:
  case OPT_VERSION:
  case OPT_COUNT: break; /* args.c sees to them */
  }
#undef CHOOSE
  return i >= 0;
}
