/* SPDX-License-Identifier: MIT */
/* Work in numbered parts, on all processors. */
#ifndef TESTS_SLOW_PARTS_H
#define TESTS_SLOW_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_PROCESSORS = 64 };

struct parts {
  bool (*good)(const void *context, unsigned part, void *memory);
  const void *context;
  size_t memory; /* bytes for each thread, aligned for vectors */
  unsigned count;
  atomic_uint next, lowest_bad;
};

static void *parts_work(void *context) {
  struct parts *p = context;
  void *memory = aligned_alloc(64, (p->memory + 63) / 64 * 64);
  if (!memory) abort();
  for (unsigned part; (part = atomic_fetch_add(&p->next, 1)) < p->count;) {
    if (p->good(p->context, part, memory)) continue;
    unsigned lowest = atomic_load(&p->lowest_bad);
    while (part < lowest && !atomic_compare_exchange_weak(&p->lowest_bad, &lowest, part)) continue;
  }
  free(memory);
  return NULL;
}

/* The lowest part that is not good, or `count`. */
static unsigned parts_run(unsigned count, bool (*good)(const void *context, unsigned part, void *memory), const void *context, size_t memory) {
  struct parts p = {.good = good, .context = context, .memory = memory, .count = count};
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  pthread_t others[MOST_PROCESSORS];
  long started = 0;
  atomic_init(&p.next, 0);
  atomic_init(&p.lowest_bad, count);
  while (started + 1 < processors && started < MOST_PROCESSORS && pthread_create(&others[started], NULL, parts_work, &p) == 0) started++;
  parts_work(&p);
  while (started > 0) pthread_join(others[--started], NULL);
  return atomic_load(&p.lowest_bad);
}

#endif
