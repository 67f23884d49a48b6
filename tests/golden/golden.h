/* SPDX-License-Identifier: MIT */
/* Reading golden files, and encoding with one row of the kernel table. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mxq/mxq.h>

struct golden_line { /* columns of index.tsv that are used here */
  char file[128], peer[40], element[16], rule[32], round[16], input[64], args[256];
  long blocks;
};

static inline unsigned char *golden_load(const char *dir, const char *name, size_t *size) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "rb");
  ck_assert_msg(f != NULL, "cannot open %s", path);
  ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
  long n = ftell(f);
  rewind(f);
  unsigned char *p = malloc((size_t)n + 1);
  ck_assert_ptr_nonnull(p);
  ck_assert_uint_eq(fread(p, 1, (size_t)n, f), (size_t)n);
  p[n] = 0;
  fclose(f);
  *size = (size_t)n;
  return p;
}

/* The directory of the large set, or NULL when it is not at hand. */
static inline const char *golden_shared(void) {
  static char dir[1024];
  const char *shared = getenv("MXQ_SHARED");
  if (!shared)
    return NULL;
  snprintf(dir, sizeof dir, "%s/golden", shared);
  return dir;
}

/* Calls f for each line of dir/index.tsv. */
static inline void golden_each(const char *dir, void (*f)(const char *dir, const struct golden_line *line)) {
  size_t size;
  char *text = (char *)golden_load(dir, "index.tsv", &size), *next = strchr(text, '\n');
  while (next && next[1]) {
    char *p = next + 1, *columns[12] = {0};
    next = strchr(p, '\n');
    if (next)
      *next = 0;
    for (int i = 0; i < 12 && p; i++) {
      columns[i] = p;
      p = strchr(p, '\t');
      if (p)
        *p++ = 0;
    }
    ck_assert_ptr_nonnull(columns[11]);
    struct golden_line l = {.blocks = atol(columns[9])};
    snprintf(l.file, sizeof l.file, "%s", columns[0]);
    snprintf(l.peer, sizeof l.peer, "%s", columns[1]);
    snprintf(l.element, sizeof l.element, "%s", columns[3]);
    snprintf(l.rule, sizeof l.rule, "%s", columns[4]);
    snprintf(l.round, sizeof l.round, "%s", columns[5]);
    snprintf(l.input, sizeof l.input, "%s", columns[8]);
    snprintf(l.args, sizeof l.args, "%s", columns[11]);
    f(dir, &l);
  }
  free(text);
}

static inline enum mxq_element golden_element(const char *name) {
  for (int e = 0; e < MXQ_ELEMENT_COUNT; e++)
    if (strcmp(mxq_element_name((enum mxq_element)e), name) == 0)
      return (enum mxq_element)e;
  ck_abort_msg("unknown element type %s", name);
  return MXQ_ELEMENT_COUNT;
}

static inline enum mxq_format golden_format(enum mxq_element element) { return (enum mxq_format)(element + 1); }

/* One code a byte out of packed ones. */
static inline void golden_unpack(enum mxq_element element, const uint8_t *packed, size_t n, uint8_t *codes) {
  unsigned bits = mxq_element_bits(element);
  for (size_t i = 0; i < n; i++) {
    size_t at = i * bits;
    unsigned two = packed[at / 8] | (at / 8 + 1 < (n * bits + 7) / 8 ? (unsigned)packed[at / 8 + 1] << 8 : 0);
    codes[i] = (uint8_t)(two >> at % 8 & ((1u << bits) - 1));
  }
}

/* Every level that this machine has. */
#define FOR_EACH_LEVEL(level) \
  for (int level = 0; level <= (int)mxq_cpu_best(); level++) \
    if (mxq_cpu_set((enum mxq_cpu)level) == MXQ_OK)

#endif
