/* SPDX-License-Identifier: MIT */
/* What mxquant bench prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench.h"
#include "lib/base/cpu.h"
#include "tools/report.h"

static void list_line(struct json *j, bool json, const char *name, const char *row) {
  if (json) {
    json_begin(j, NULL, '{');
    json_text(j, "name", name);
    json_text(j, "row", row);
    json_end(j, '}');
  } else {
    printf("%-28s %s\n", name, row ? row : "-");
  }
}

/* The level that serves the one slot that is of no element type. */
static const char *measure_row(void) {
  int row = MXQ_CPU_COUNT - 1;
  while (row > 0 && (mxq_kernel_rows[row]->measure == NULL || mxq_kernel_rows[row]->measure != mxq_kernels_now()->measure)) row--;
  return mxq_cpu_name((enum mxq_cpu)row);
}

int bench_list(const struct bench_args *a) {
  struct json j = {.f = stdout};
  struct bench_slot *slots;
  size_t n = bench_collect(a, &slots), printed = n;
  if (!slots) {
    complain("bench: out of memory");
    return EXIT_OUTPUT;
  }
  if (a->json) {
    json_begin(&j, NULL, '{');
    json_count(&j, "schema", 1);
    json_begin(&j, "kernels", '[');
  }
  for (size_t i = 0; i < n; i++)
    list_line(&j, a->json, slots[i].name, mxq_cpu_name(slots[i].row));
  free(slots);
  if (!a->special) {
    if (!a->filter || strstr("measure", a->filter)) list_line(&j, a->json, "measure", measure_row()), printed++;
    for (size_t i = 0; bench_layout_name(i); i++)
      if (!a->filter || strstr(bench_layout_name(i), a->filter)) list_line(&j, a->json, bench_layout_name(i), NULL), printed++;
  }
  if (a->json) {
    json_end(&j, ']');
    json_end(&j, '}');
    putchar('\n');
  }
  if (printed == 0)
    return bench_usage("no kernel's name contains", a->filter ? a->filter : "", "see 'mxquant bench --list'");
  return finish_stdout(EXIT_DONE);
}

static long cache(int which) {
#ifdef _SC_LEVEL2_CACHE_SIZE
  long n = sysconf(which == 1 ? _SC_LEVEL1_DCACHE_SIZE : _SC_LEVEL2_CACHE_SIZE);
  return n > 0 ? n : 0;
#else
  (void)which;
  return 0;
#endif
}

void bench_begin(struct bench *bench) {
  char line[256], model[256] = "";
  struct json *j = &bench->j;
  FILE *f = fopen("/proc/cpuinfo", "r");
  while (f && !model[0] && fgets(line, sizeof line, f))
    if (strncmp(line, "model name", 10) == 0 && strchr(line, ':'))
      snprintf(model, sizeof model, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
  if (f)
    fclose(f);
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  const char *level = mxq_cpu_name(mxq_cpu_current());
  j->f = stdout;
  if (bench->args->json) {
    json_begin(j, NULL, '{');
    json_count(j, "schema", 1);
    json_begin(j, "machine", '{');
    json_text(j, "cpu", model[0] ? model : NULL);
    json_count(j, "cores", (uint64_t)cores);
    json_text(j, "level", level);
    json_count(j, "l1_bytes", (uint64_t)cache(1));
    json_count(j, "l2_bytes", (uint64_t)cache(2));
    json_count(j, "l3_bytes", mxq_cpu_cache());
    json_count(j, "large_pages_percent", bench->b.huge);
    json_end(j, '}');
    json_begin(j, "results", '[');
  } else {
    printf("%s, %ld cores, %s; caches %ldK, %ldK, %zuM; %u %% in 2 MiB pages; %u thread%s\n", model[0] ? model : "unknown processor", cores, level, cache(1) >> 10,
           cache(2) >> 10, mxq_cpu_cache() >> 20, bench->b.huge, bench->args->threads, bench->args->threads == 1 ? "" : "s");
  }
}

void bench_size(struct bench *bench, const struct bench_size *size) {
  bench->size = size;
  bench->b.size = size->bytes;
  if (!bench->args->json) printf("%s, %zu KiB of f32:\n", size->name, size->bytes >> 10);
}

void bench_print(struct bench *bench, const struct bench_result *r) {
  const double too_fast = 1.02; /* then the yardstick is to blame */
  struct json *j = &bench->j;
  for (int i = 0; bench->args->json && i < 2; i++) {
    if (!r->against[i].name && (i > 0 || r->against[1].name)) continue;
    json_begin(j, NULL, '{');
    json_text(j, "name", r->name);
    json_text(j, "row", r->row);
    json_text(j, "size", bench->size->name);
    json_count(j, "threads", bench->args->threads);
    json_count(j, "rounds", r->rounds);
    json_count(j, "bytes", r->bytes);
    json_real(j, "seconds", r->seconds);
    json_real(j, "gbps", r->gbps);
    json_text(j, "against", r->against[i].name);
    if (r->against[i].name) json_real(j, "ratio", r->against[i].ratio);
    else json_null(j, "ratio");
    json_text(j, "how", r->how);
    json_end(j, '}');
  }
  if (!bench->args->json) {
    printf("%-*s %-10s %7.2f GB/s", bench->width, r->name, r->row ? r->row : "-", r->gbps);
    bool fast = false;
    for (int i = 0; i < 2; i++)
      if (r->against[i].name) {
        printf(r->against[i].ratio < 10 ? "  %5.3f %s" : "  %5.1f %s", r->against[i].ratio, r->against[i].name);
        fast |= r->against[i].ratio > too_fast && strcmp(r->against[i].name, "ggml") != 0;
      }
    puts(fast ? " !" : "");
  }
  fflush(stdout);
}

void bench_end(struct bench *bench) {
  if (!bench->args->json) return;
  json_end(&bench->j, ']');
  json_end(&bench->j, '}');
  putchar('\n');
}
