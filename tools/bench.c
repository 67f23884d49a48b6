/* SPDX-License-Identifier: MIT */
/* mxquant bench: its arguments, the order of measurements, and what is printed. */
#include "tools/bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/json.h"
#include "tools/report.h"

#define BUDGET 190.0 /* seconds for everything without options */
static const char *const lanes[MXQ_LANES] = {"f32", "bf16", "f16"};

static void help(void) {
  fputs("Usage: mxquant bench [OPTION]...\n\n"
        "Times every kernel on buffers far larger than the caches, in turns with a\n"
        "yardstick of the same machine: streaming read for encoders, non-temporal write\n"
        "for decoders. GB/s counts the bytes of the f32, bf16 or f16 side. Outputs are\n"
        "compared with the reference before anything is timed.\n\n"
        "      --list          which row serves which kernel, without timing\n"
        "      --filter TEXT   only kernels whose name contains TEXT: e2m1, decode, bf16\n"
        "      --size BYTES    of an f32 buffer, with K, M or G (default 1G)\n"
        "      --rounds N      rounds of each, 1 to 64 (default 5); medians are shown\n"
        "  -j, --jobs N        threads (default 1)\n"
        "      --cpu LEVEL     reference, scalar, neon, avx2, avx512,\n"
        "                      avx512vbmi: no kernels above it\n"
        "      --json          one JSON document on standard output\n"
        "      --help, --version\n\n"
        "Without options: the strongest row and the portable one, within 240 seconds.\n\n"
        "  mxquant bench --filter e2m1/f32 --rounds 9\n",
        stdout);
}

static int usage(const char *what, const char *value, const char *hint) {
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

enum { BENCH_LIST = 256, BENCH_FILTER, BENCH_SIZE, BENCH_ROUNDS, BENCH_CPU, BENCH_JSON, BENCH_HELP, BENCH_VERSION };
static const struct option options[] = {
    {"list", no_argument, NULL, BENCH_LIST}, {"filter", required_argument, NULL, BENCH_FILTER}, {"size", required_argument, NULL, BENCH_SIZE},
    {"rounds", required_argument, NULL, BENCH_ROUNDS}, {"jobs", required_argument, NULL, 'j'}, {"cpu", required_argument, NULL, BENCH_CPU},
    {"json", no_argument, NULL, BENCH_JSON}, {"help", no_argument, NULL, BENCH_HELP}, {"version", no_argument, NULL, BENCH_VERSION}, {0}};

/* -1: go on. */
static int parse(int argc, char **argv, struct bench_args *a) {
  size_t n;
  optind = 1;
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, ":j:h", options, NULL)) != -1;) {
    switch (c) {
    case BENCH_LIST: a->list = true; break;
    case BENCH_JSON: a->json = true; break;
    case BENCH_FILTER: a->filter = optarg; break;
    case BENCH_SIZE:
      if (!take_number(optarg, 1ul << 20, 1ul << 36, true, &a->size))
        return usage("bad --size", optarg, "1M to 64G");
      a->size = a->size / (1ul << 20) << 20;
      break;
    case BENCH_ROUNDS:
      if (!take_number(optarg, 1, 64, false, &n))
        return usage("bad --rounds", optarg, "1 to 64");
      a->rounds = (unsigned)n;
      break;
    case 'j':
      if (!take_number(optarg, 1, 64, false, &n))
        return usage("bad --jobs", optarg, "1 to 64");
      a->threads = (unsigned)n;
      break;
    case BENCH_CPU:
      if (!mxq_cpu_parse(optarg, &a->level))
        return usage("unknown --cpu", optarg, "reference, scalar, neon, avx2, avx512, avx512vbmi");
      if (mxq_cpu_set(a->level) != MXQ_OK)
        return usage("this machine or build has no --cpu", optarg, "see 'mxquant bench --list'");
      break;
    case 'h':
    case BENCH_HELP: help(); return finish_stdout(EXIT_DONE);
    case BENCH_VERSION: printf("mxquant %s\n", mxq_version()); return finish_stdout(EXIT_DONE);
    case ':': return usage("a value is missing after", argv[optind - 1], "");
    default: return usage("unknown option", argv[optind - 1], "");
    }
  }
  return optind < argc ? usage("unexpected argument", argv[optind], "") : -1;
}

static void name_slot(char *buf, size_t size, const struct bench_slot *s) {
  snprintf(buf, size, "%s/%s/%s", s->decode ? "decode" : "encode", mxq_element_name(s->element), lanes[s->lane]);
}

/* All slots that are to be measured, lane by lane; returns how many. */
static size_t collect(const struct bench_args *a, struct bench_slot *slots) {
  size_t n = 0;
  for (int lane = 0; lane < MXQ_LANES; lane++)
    for (int e = 0; e < MXQ_ELEMENT_COUNT; e++)
      for (int decode = 0; decode < 2; decode++) {
        enum mxq_cpu best = mxq_kernel_level((enum mxq_element)e, (enum mxq_lane)lane, decode), rows[2] = {best, MXQ_CPU_SCALAR};
        for (int i = 0; i < (best > MXQ_CPU_SCALAR ? 2 : 1); i++) {
          char name[40];
          struct bench_slot s = {(enum mxq_element)e, (enum mxq_lane)lane, decode, rows[i]};
          name_slot(name, sizeof name, &s);
          if (!a->filter || strstr(name, a->filter))
            slots[n++] = s;
        }
      }
  return n;
}

static int list(const struct bench_args *a, const struct bench_slot *slots, size_t n) {
  struct json j = {.f = stdout};
  if (a->json) {
    json_begin(&j, NULL, '{');
    json_count(&j, "schema", 1);
    json_begin(&j, "kernels", '[');
  }
  for (size_t i = 0; i < n; i++) {
    char name[40];
    if (i > 0 && slots[i].element == slots[i - 1].element && slots[i].lane == slots[i - 1].lane && slots[i].decode == slots[i - 1].decode)
      continue; /* the portable row behind the one that serves */
    name_slot(name, sizeof name, &slots[i]);
    if (a->json) {
      json_begin(&j, NULL, '{');
      json_text(&j, "name", name);
      json_text(&j, "row", mxq_cpu_name(slots[i].row));
      json_end(&j, '}');
    } else {
      printf("%-18s %s\n", name, mxq_cpu_name(slots[i].row));
    }
  }
  if (a->json) {
    json_end(&j, ']');
    json_end(&j, '}');
    putchar('\n');
  }
  return finish_stdout(EXIT_DONE);
}

static void print_result(struct json *j, const struct bench_args *a, const struct bench_result *r) {
  if (a->json) {
    json_begin(j, NULL, '{');
    json_text(j, "name", r->name);
    json_text(j, "row", r->row);
    json_count(j, "threads", r->threads);
    json_count(j, "rounds", r->rounds);
    json_count(j, "bytes", r->bytes);
    json_real(j, "seconds", r->seconds);
    json_real(j, "gbps", r->gbps);
    json_text(j, "against", r->against);
    json_real(j, "ratio", r->ratio);
    json_end(j, '}');
  } else {
    printf("%-18s %-9s %7.2f GB/s  %5.3f of %s\n", r->name, r->row ? r->row : "-", r->gbps, r->ratio, r->against);
  }
  fflush(stdout);
}

static void yardsticks(const struct bench_args *a, const struct bench_buffers *b, struct json *j) {
  static const unsigned share[] = {8, 4};
  static const struct {
    const char *name;
    bench_fn *fn;
    const void *what;
  } yards[] = {{"read", bench_read, NULL}, {"nt-write", bench_nt_write, NULL}, {"memcpy", bench_memcpy, NULL},
               {"traffic/8", bench_traffic, &share[0]}, {"traffic/4", bench_traffic, &share[1]}};
  enum { YARDS = sizeof yards / sizeof *yards };
  double times[YARDS][64], ratios[64];
  for (unsigned n = 0; n < a->rounds; n++)
    for (int i = 0; i < YARDS; i++)
      times[i][n] = bench_time(yards[i].fn, b, b->size, a->threads, yards[i].what);
  for (int i = YARDS - 1; i >= 0; i--) { /* "read" last: its times are sorted by then */
    for (unsigned n = 0; n < a->rounds; n++)
      ratios[n] = times[0][n] / times[i][n];
    struct bench_result r = {.against = "read", .threads = a->threads, .rounds = a->rounds, .bytes = b->size};
    snprintf(r.name, sizeof r.name, "%s", yards[i].name);
    r.ratio = bench_median(ratios, a->rounds);
    r.seconds = bench_median(times[i], a->rounds);
    r.gbps = (double)b->size / r.seconds / 1e9;
    print_result(j, a, &r);
  }
}

static void print_machine(struct json *j) {
  char line[256], model[256] = "";
  FILE *f = fopen("/proc/cpuinfo", "r");
  while (f && !model[0] && fgets(line, sizeof line, f))
    if (strncmp(line, "model name", 10) == 0 && strchr(line, ':'))
      snprintf(model, sizeof model, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
  if (f)
    fclose(f);
  json_begin(j, "machine", '{');
  json_text(j, "cpu", model[0] ? model : NULL);
  json_count(j, "cores", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
  json_text(j, "level", mxq_cpu_name(mxq_cpu_current()));
  json_end(j, '}');
}

static int measure_all(const struct bench_args *a, const struct bench_buffers *b, const struct bench_slot *slots, size_t n, struct json *j) {
  double start = bench_now();
  int lane = -1;
  for (size_t i = 0; i < n; i++) {
    const struct bench_slot *s = &slots[i];
    size_t bytes = s->lane == MXQ_LANE_F32 ? b->size : b->size / 2; /* as many values */
    struct bench_result r = {0};
    name_slot(r.name, sizeof r.name, s);
    if ((int)s->lane != lane)
      bench_fill(b, s->lane, bytes);
    lane = (int)s->lane;
    if (s->decode)
      bench_prepare(b, s, bytes);
    if (!bench_check(b, s, bytes)) {
      complain("bench: %s of row %s differs from the reference; nothing is timed. Please report this", r.name, mxq_cpu_name(s->row));
      return EXIT_INPUT;
    }
    bench_measure(a, b, s, bytes, (BUDGET - (bench_now() - start)) / (double)(n - i), &r);
    print_result(j, a, &r);
  }
  return EXIT_DONE;
}

static int bench(const struct bench_args *a, const struct bench_slot *slots, size_t n) {
  struct bench_buffers b = {.size = a->size};
  int code = EXIT_OUTPUT;
  b.wide = aligned_alloc(4096, a->size + 16384);  /* the yardstick's prefetch runs ahead */
  b.copy = aligned_alloc(4096, a->size);
  b.codes = aligned_alloc(4096, a->size / 4 + 4096);
  b.scales = aligned_alloc(4096, a->size / 128 + 4096);
  if (b.wide && b.copy && b.codes && b.scales) {
    struct json j = {.f = stdout};
    memset(b.copy, 1, a->size); /* every page there before anything is timed */
    memset(b.codes, 1, a->size / 4 + 4096);
    memset(b.scales, 1, a->size / 128 + 4096);
    bench_fill(&b, MXQ_LANE_F32, a->size);
    if (a->json) {
      json_begin(&j, NULL, '{');
      json_count(&j, "schema", 1);
      print_machine(&j);
      json_begin(&j, "results", '[');
    }
    yardsticks(a, &b, &j);
    code = measure_all(a, &b, slots, n, &j);
    if (a->json) {
      json_end(&j, ']');
      json_end(&j, '}');
      putchar('\n');
    }
  } else {
    complain("bench: out of memory for buffers; choose a smaller --size");
  }
  free(b.wide);
  free(b.copy);
  free(b.codes);
  free(b.scales);
  return finish_stdout(code);
}

int cmd_bench(int argc, char **argv) {
  struct bench_args a = {.size = (size_t)1 << 30, .rounds = 5, .threads = 1};
  int code = parse(argc, argv, &a);
  if (code >= 0)
    return code;
  struct bench_slot slots[2 * 2 * MXQ_ELEMENT_COUNT * MXQ_LANES];
  size_t n = collect(&a, slots);
  if (n == 0)
    return usage("no kernel's name contains", a.filter, "see 'mxquant bench --list'");
  return a.list ? list(&a, slots, n) : bench(&a, slots, n);
}
