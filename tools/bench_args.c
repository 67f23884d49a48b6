/* SPDX-License-Identifier: MIT */
/* The arguments of mxquant bench. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench.h"
#include "lib/base/cpu.h"
#include "tools/report.h"

enum { STEP = 65536 }; /* sizes are multiples of it */

static void help(void) {
  fputs("Usage: mxquant bench [OPTION]...\n\n"
        "Times every kernel in turns with the machine's own yardsticks: streaming read\n"
        "for encoders, non-temporal write for decoders, and 'traffic', which moves the\n"
        "same bytes without arithmetic, each in the best of many ways. GB/s counts the\n"
        "bytes of the f32, bf16 or f16 side; of layouts, and where 16-bit sources are\n"
        "compared with read, all bytes moved. Outputs are checked before they are timed.\n\n"
        "      --list             which row serves which kernel, without timing\n"
        "      --filter TEXT      only results whose name contains TEXT: e2m1, decode,\n"
        "                         bf16, layout\n"
        "      --size SIZE,...    of an f32 buffer: bytes with K, M or G, or l2 or l3 for\n"
        "                         data that stays in that cache (default 1G)\n"
        "      --rounds N         rounds of each, 1 to 64 (default 5); medians are shown\n"
        "  -j, --jobs N           threads (default 1)\n"
        "      --cpu LEVEL        reference, scalar, neon, avx2, avx512,\n"
        "                         avx512vbmi: no kernels above it\n"
        "      --scale-rule RULE  encoders with this rule, or with all\n"
        "      --round RULE       encoders with this rounding\n"
        "      --compat PEER      encoders with the numbers of that tool\n"
        "      --ggml PATH        against ggml's own MXFP4 instead; PATH is its library,\n"
        "                         or a folder that has it\n"
        "      --json             one JSON document on standard output\n"
        "      --help, --version\n\n"
        "Without options: the strongest row and the portable one, within 240 seconds.\n\n"
        "  mxquant bench --filter e2m1/f32 --size l2,l3,256M,1G --rounds 9\n",
        stdout);
}

int bench_usage(const char *what, const char *value, const char *hint) {
  complain("bench: %s '%s'%s%s", what, value, hint[0] ? ": " : "", hint);
  fputs("Try 'mxquant bench --help'.\n", stderr);
  return EXIT_USAGE;
}

static bool take_number(const char *s, unsigned long least, unsigned long most, bool suffix, size_t *value) {
  char *end;
  if (*s < '0' || *s > '9')
    return false;
  unsigned long n = strtoul(s, &end, 10), unit = 1;
  if (suffix && *end)
    unit = *end == 'K' ? 1ul << 10 : *end == 'M' ? 1ul << 20 : *end == 'G' ? 1ul << 30 : 0, end++;
  if (*end || !unit || n > most / unit || n * unit < least)
    return false;
  *value = n * unit;
  return true;
}

/* A buffer of each side stays in the cache with the codes. */
static size_t cache_bytes(const char *name) {
  size_t bytes = mxq_cpu_cache() / 4;
  if (strcmp(name, "l2") == 0) {
    long l2 = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    bytes = l2 > 0 ? (size_t)l2 / 2 : (size_t)256 << 10;
  }
  return bytes < STEP ? STEP : bytes;
}

static bool take_sizes(const char *s, struct bench_args *a) {
  a->size_count = 0;
  for (const char *end; *s; s = *end ? end + 1 : end) {
    struct bench_size *size = &a->sizes[a->size_count];
    size_t n = strcspn(s, ",");
    end = s + n;
    if (n == 0 || n >= sizeof size->name || a->size_count == BENCH_SIZES || (*end && !end[1]))
      return false;
    memcpy(size->name, s, n);
    size->name[n] = '\0';
    if (strcmp(size->name, "l2") == 0 || strcmp(size->name, "l3") == 0)
      size->bytes = cache_bytes(size->name);
    else if (!take_number(size->name, STEP, 1ul << 36, true, &size->bytes))
      return false;
    size->bytes = size->bytes / STEP * STEP;
    a->size_count++;
  }
  return a->size_count > 0;
}

enum {
  BENCH_LIST = 256, BENCH_FILTER, BENCH_SIZE_OPTION, BENCH_ROUNDS_OPTION, BENCH_CPU, BENCH_JSON, BENCH_HELP, BENCH_VERSION, BENCH_SCALE_RULE, BENCH_ROUND,
  BENCH_COMPAT, BENCH_GGML
};
static const struct option options[] = {
    {"list", no_argument, NULL, BENCH_LIST},
    {"filter", required_argument, NULL, BENCH_FILTER},
    {"size", required_argument, NULL, BENCH_SIZE_OPTION},
    {"rounds", required_argument, NULL, BENCH_ROUNDS_OPTION},
    {"jobs", required_argument, NULL, 'j'},
    {"cpu", required_argument, NULL, BENCH_CPU},
    {"scale-rule", required_argument, NULL, BENCH_SCALE_RULE},
    {"round", required_argument, NULL, BENCH_ROUND},
    {"compat", required_argument, NULL, BENCH_COMPAT},
    {"ggml", required_argument, NULL, BENCH_GGML},
    {"json", no_argument, NULL, BENCH_JSON},
    {"help", no_argument, NULL, BENCH_HELP},
    {"version", no_argument, NULL, BENCH_VERSION},
    {0},
};

int bench_parse(int argc, char **argv, struct bench_args *a) {
  size_t n;
  enum mxq_cpu level;
  optind = 1;
  opterr = 0;
  *a = (struct bench_args){.sizes = {{(size_t)1 << 30, "1G"}}, .size_count = 1, .rounds = 5, .threads = 1};
  for (int c; (c = getopt_long(argc, argv, ":j:h", options, NULL)) != -1;) {
    switch (c) {
    case BENCH_LIST: a->list = true; break;
    case BENCH_JSON: a->json = true; break;
    case BENCH_FILTER: a->filter = optarg; break;
    case BENCH_GGML: a->ggml = optarg; break;
    case BENCH_SIZE_OPTION:
      if (!take_sizes(optarg, a))
        return bench_usage("bad --size", optarg, "up to 8 of 64K to 64G, l2, l3, with commas");
      break;
    case BENCH_ROUNDS_OPTION:
      if (!take_number(optarg, 1, BENCH_ROUNDS, false, &n))
        return bench_usage("bad --rounds", optarg, "1 to 64");
      a->rounds = (unsigned)n;
      break;
    case 'j':
      if (!take_number(optarg, 1, 64, false, &n))
        return bench_usage("bad --jobs", optarg, "1 to 64");
      a->threads = (unsigned)n;
      break;
    case BENCH_CPU:
      if (!mxq_cpu_parse(optarg, &level))
        return bench_usage("unknown --cpu", optarg, "reference, scalar, neon, avx2, avx512, avx512vbmi");
      if (mxq_cpu_set(level) != MXQ_OK)
        return bench_usage("this machine or build has no --cpu", optarg, "see 'mxquant bench --list'");
      break;
    case BENCH_SCALE_RULE:
      a->special = true;
      a->all_rules = strcmp(optarg, "all") == 0;
      if (!a->all_rules && !mxq_scale_rule_parse(optarg, &a->numerics.scale_rule))
        return bench_usage("unknown --scale-rule", optarg, "auto, floor, ..., or all; see 'mxquant help quantize'");
      break;
    case BENCH_ROUND:
      a->special = true;
      if (!mxq_rounding_parse(optarg, &a->numerics.round, &a->numerics.seed))
        return bench_usage("unknown --round", optarg, "rne, half-away, half-zero, trunc, stochastic:SEED");
      break;
    case BENCH_COMPAT:
      a->special = true;
      if (!mxq_compat_parse(optarg, &a->numerics.compat))
        return bench_usage("unknown --compat", optarg, "see 'mxquant help quantize'");
      break;
    case 'h':
    case BENCH_HELP: help(); return finish_stdout(EXIT_DONE);
    case BENCH_VERSION: printf("mxquant %s\n", mxq_version()); return finish_stdout(EXIT_DONE);
    case ':': return bench_usage("a value is missing after", argv[optind - 1], "");
    default: return bench_usage("unknown option", argv[optind - 1], "");
    }
  }
  return optind < argc ? bench_usage("unexpected argument", argv[optind], "") : -1;
}
