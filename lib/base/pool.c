/* SPDX-License-Identifier: MIT */
#include "lib/base/pool.h"

#include <pthread.h>
#include <signal.h>

enum { MAX_THREADS = 256 };

struct task {
  void (*work)(void *);
  void *context;
};

static void *start(void *arg) {
  const struct task *task = arg;
  task->work(task->context);
  return NULL;
}

void mxq_pool_run(unsigned threads, void (*work)(void *context), void *context) {
  struct task task = {work, context};
  pthread_t others[MAX_THREADS];
  unsigned n = 0, wanted = threads > MAX_THREADS ? MAX_THREADS : threads;
  if (wanted > 1) {
    /* Signals are the program's affair: its own threads take them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (n + 1 < wanted && pthread_create(&others[n], NULL, start, &task) == 0) n++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  work(context);
  while (n > 0) pthread_join(others[--n], NULL);
}
