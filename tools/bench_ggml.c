/* SPDX-License-Identifier: MIT */
/*
 * Against a peer in the same process: ggml's MXFP4, from its shared library. Its blocks and values are first compared with ours. Nothing of it is
 * here but what two of its functions take: blocks of 17 bytes, k values in all.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <mxq/layout.h>
#include "tools/bench.h"
#include "tools/report.h"

enum { BLOCK = 17 };

struct ggml {
  void *library;
  void (*quantize)(const float *x, void *blocks, int64_t k);
  void (*dequantize)(const void *blocks, float *y, int64_t k);
};

/* What all passes share. Theirs lie at the front of the codes, ours in the second half. */
struct match {
  struct ggml ggml;
  size_t half;
};

static bool take(void *library, struct ggml *g) {
  void *quantize = dlsym(library, "quantize_row_mxfp4_ref"), *dequantize = dlsym(library, "dequantize_row_mxfp4");
  if (!quantize || !dequantize) return false;
  g->library = library;
  memcpy(&g->quantize, &quantize, sizeof quantize);
  memcpy(&g->dequantize, &dequantize, sizeof dequantize);
  return true;
}

/* PATH itself, or what in the folder PATH looks like the library. The exit code. */
static int load(const char *path, struct ggml *g) {
  char file[PATH_MAX], *why = NULL, kept[256] = "";
  struct stat st;
  bool opened = false;
  if (stat(path, &st) != 0) {
    complain("bench: --ggml '%s': no such file or folder", path);
    return EXIT_INPUT;
  }
  DIR *dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
  for (struct dirent *e = NULL; (!dir || (e = readdir(dir)) != NULL);) {
    if (e && (strncmp(e->d_name, "libggml", 7) != 0 || !strstr(e->d_name, ".so"))) continue;
    int n = e ? snprintf(file, sizeof file, "%s/%s", path, e->d_name) : snprintf(file, sizeof file, "%s%s", strchr(path, '/') ? "" : "./", path);
    void *library = n < (int)sizeof file ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    opened |= library != NULL;
    if (!library && (why = dlerror()) != NULL) snprintf(kept, sizeof kept, "%s", why);
    if (library && take(library, g)) break; /* stays: it may have threads */
    if (!e) break;
  }
  if (dir) closedir(dir);
  if (g->library) return EXIT_DONE;
  if (opened)
    complain("bench: --ggml '%s': this ggml has no MXFP4 (no quantize_row_mxfp4_ref and dequantize_row_mxfp4); it came in August 2025", path);
  else
    complain("bench: --ggml '%s': %s", path, kept[0] ? kept : "no libggml*.so in this folder");
  return EXIT_INPUT;
}

/* ---- passes; each over the blocks of [begin, end) ---- */

static const struct mxq_numerics as_ggml = {.compat = MXQ_COMPAT_GGML};

static void theirs_encode(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  const struct match *m = what;
  m->ggml.quantize((const float *)(const void *)(b->wide + begin), b->codes + begin / 128 * BLOCK, (int64_t)((end - begin) / 4));
}

static void theirs_decode(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  const struct match *m = what;
  m->ggml.dequantize(b->codes + begin / 128 * BLOCK, (float *)(void *)(b->copy + begin), (int64_t)((end - begin) / 4));
}

static void encode(const struct bench_buffers *b, size_t begin, size_t end, const void *what, const struct mxq_numerics *numerics) {
  const struct match *m = what;
  const struct mxq_rows shape = {.rows = 1, .k = (end - begin) / 4};
  (void)!mxq_encode(MXQ_MXFP4, MXQ_F32, b->wide + begin, &shape, b->codes + m->half + begin / 8, b->scales + begin / 128, numerics, NULL, NULL, NULL);
}

static void ours_encode(const struct bench_buffers *b, size_t begin, size_t end, const void *what) { encode(b, begin, end, what, NULL); }

static void ours_decode(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  const struct match *m = what;
  const struct mxq_rows shape = {.rows = 1, .k = (end - begin) / 4};
  (void)!mxq_decode(MXQ_MXFP4, MXQ_F32, b->codes + m->half + begin / 8, b->scales + begin / 128, &shape, b->copy + begin, NULL, NULL, NULL);
}

/* ggml's bits in ggml's blocks. */
static void blocks_encode(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  const struct match *m = what;
  const struct mxq_relayout_rows shape = {.rows = 1, .k = (end - begin) / 4};
  encode(b, begin, end, what, &as_ggml);
  (void)!mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_EVEN_LOW, b->codes + m->half + begin / 8, b->scales + begin / 128, &shape, MXQ_LAYOUT_GGML,
                      b->codes + begin / 128 * BLOCK, NULL, NULL, NULL);
}

static void blocks_decode(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {
  const struct match *m = what;
  const struct mxq_relayout_rows shape = {.rows = 1, .k = (end - begin) / 4};
  (void)!mxq_relayout(MXQ_MXFP4, MXQ_LAYOUT_GGML, b->codes + begin / 128 * BLOCK, NULL, &shape, MXQ_LAYOUT_EVEN_LOW, b->codes + m->half + begin / 8,
                      b->scales + begin / 128, NULL, NULL);
  ours_decode(b, begin, end, what);
}

/* ---- */

static uint64_t hash(const unsigned char *p, size_t n) { /* a multiple of 8 */
  uint64_t h = 0, w;
  for (size_t i = 0; i < n; i += 8) {
    memcpy(&w, p + i, 8);
    h = (h ^ w) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
  }
  return h;
}

/* Their blocks and values against ours, part by part, so that the first that differs can be named. */
static bool equal(const struct bench *bench, const struct match *m, const char *path) {
  const struct bench_buffers *b = &bench->b;
  enum { PART = 65536 }; /* bytes of f32 */
  static unsigned char blocks[PART / 128 * BLOCK];
  for (size_t at = 0; at < b->size; at += PART) {
    const unsigned char *now = b->codes + at / 128 * BLOCK;
    theirs_encode(b, at, at + PART, m);
    memcpy(blocks, now, sizeof blocks);
    blocks_encode(b, at, at + PART, m);
    for (size_t i = 0; i < PART / 128; i++)
      if (memcmp(blocks + i * BLOCK, now + i * BLOCK, BLOCK) != 0) {
        complain("bench: --ggml '%s': quantize_row_mxfp4_ref and --compat ggml differ in block %zu; nothing is timed", path, at / 128 + i);
        return false;
      }
    theirs_decode(b, at, at + PART, m);
    uint64_t theirs = hash(b->copy + at, PART);
    blocks_decode(b, at, at + PART, m);
    if (hash(b->copy + at, PART) != theirs) {
      complain("bench: --ggml '%s': dequantize_row_mxfp4 decodes blocks %zu to %zu to other values; nothing is timed", path, at / 128, (at + PART) / 128 - 1);
      return false;
    }
  }
  return true;
}

static const struct {
  const char *name;
  bench_fn *fn;
  int peer; /* the pass it is compared with, or -1 */
} passes[] = {
    {"ggml/quantize", theirs_encode, -1}, {"encode/e2m1/f32", ours_encode, 0},      {"encode/e2m1/f32/ggml", blocks_encode, 0},
    {"ggml/dequantize", theirs_decode, -1}, {"decode/e2m1/f32", ours_decode, 3}, {"decode/e2m1/f32/ggml", blocks_decode, 3},
};
enum { PASSES = sizeof passes / sizeof *passes };

static void measure(struct bench *bench, const struct match *m, double end) {
  double times[PASSES][BENCH_ROUNDS], ratios[PASSES][BENCH_ROUNDS];
  unsigned n = 0;
  for (; n < bench->args->rounds && (n == 0 || bench_now() < end); n++) {
    for (int i = 0; i < PASSES; i++) times[i][n] = bench_time(bench, passes[i].fn, bench->b.size, m);
    for (int i = 0; i < PASSES; i++) ratios[i][n] = passes[i].peer < 0 ? 1 : times[passes[i].peer][n] / times[i][n];
  }
  for (int i = 0; i < PASSES; i++) {
    struct bench_result r = {.row = passes[i].peer < 0 ? "ggml" : mxq_cpu_name(mxq_cpu_current()), .rounds = n, .bytes = bench->b.size};
    snprintf(r.name, sizeof r.name, "%s", passes[i].name);
    if (passes[i].peer >= 0) {
      r.against[0].name = "ggml";
      r.against[0].ratio = bench_median(ratios[i], n);
    }
    r.seconds = bench_median(times[i], n);
    r.gbps = (double)r.bytes / r.seconds / 1e9;
    bench_print(bench, &r);
  }
}

int bench_ggml(struct bench *bench, const char *path) {
  const struct bench_args *a = bench->args;
  struct match m = {.half = bench->b.size / 4};
  int code = load(path, &m.ggml);
  if (code != EXIT_DONE) return code;
  bench_fill(&bench->b, MXQ_LANE_F32, bench->b.size); /* the largest; others are parts of it */
  if (equal(bench, &m, path)) {
    bench->width = 20;
    bench_begin(bench);
    for (unsigned i = 0; i < a->size_count; i++) {
      bench_size(bench, &a->sizes[i]);
      measure(bench, &m, bench_now() + (bench->end - bench_now()) / (a->size_count - i));
    }
    bench_end(bench);
  } else {
    code = EXIT_INPUT;
  }
  return code;
}
