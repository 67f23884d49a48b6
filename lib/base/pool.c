/* SPDX-License-Identifier: MIT */
#include "lib/base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MAX_THREADS = 256 };

struct mxq_pool {
  struct mxq_runner runner;
  pthread_mutex_t lock;
  pthread_cond_t begin, end;
  void (*work)(void *);
  void *context;
  unsigned invited, inside;  /* threads that may still join the work, that are in it */
  bool busy, over;
  unsigned others;           /* threads of ours */
  pthread_t ids[MAX_THREADS];
};

static void *live(void *arg) {
  struct mxq_pool *p = arg;
  pthread_mutex_lock(&p->lock);
  while (!p->over) {
    if (p->invited == 0) {
      pthread_cond_wait(&p->begin, &p->lock);
      continue;
    }
    p->invited--;
    p->inside++;
    pthread_mutex_unlock(&p->lock);
    p->work(p->context); /* stays what it is while anybody is inside */
    pthread_mutex_lock(&p->lock);
    if (--p->inside == 0) pthread_cond_signal(&p->end);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

static void run(void *self, unsigned threads, void (*work)(void *context), void *context) {
  struct mxq_pool *p = self;
  if (threads == 0) threads = 1;
  pthread_mutex_lock(&p->lock);
  const bool mine = !p->busy;
  if (mine) {
    p->busy = true;
    p->work = work;
    p->context = context;
    p->invited = threads - 1 < p->others ? threads - 1 : p->others;
    for (unsigned i = 0; i < p->invited; i++) pthread_cond_signal(&p->begin);
  }
  pthread_mutex_unlock(&p->lock);
  work(context);
  if (!mine) return;
  pthread_mutex_lock(&p->lock);
  p->invited = 0; /* nothing is left for who has not woken yet */
  while (p->inside > 0) pthread_cond_wait(&p->end, &p->lock);
  p->busy = false;
  pthread_mutex_unlock(&p->lock);
}

mxq_pool *mxq_pool_create(unsigned threads) {
  struct mxq_pool *p = calloc(1, sizeof *p);
  sigset_t all, before;
  if (!p) return NULL;
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->begin, NULL);
  pthread_cond_init(&p->end, NULL);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (p->others + 1 < threads && pthread_create(&p->ids[p->others], NULL, live, p) == 0) p->others++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  p->runner = (struct mxq_runner){p->others + 1, run, p};
  return p;
}

const struct mxq_runner *mxq_pool_runner(const mxq_pool *pool) { return pool ? &pool->runner : NULL; }

void mxq_pool_free(mxq_pool *p) {
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->over = true;
  pthread_cond_broadcast(&p->begin);
  pthread_mutex_unlock(&p->lock);
  for (unsigned i = 0; i < p->others; i++) pthread_join(p->ids[i], NULL);
  pthread_cond_destroy(&p->end);
  pthread_cond_destroy(&p->begin);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

void mxq_run(const struct mxq_runner *runner, size_t pieces, void (*work)(void *context), void *context) {
  unsigned threads = runner ? runner->threads : 1;
  if (threads > pieces) threads = (unsigned)pieces;
  if (threads > 1) runner->run(runner->self, threads, work, context);
  else work(context);
}

bool mxq_runner_own(const struct mxq_runner **runner, unsigned threads, mxq_pool **own) {
  *own = NULL;
  if (*runner || threads < 2) return true;
  *own = mxq_pool_create(threads);
  *runner = mxq_pool_runner(*own);
  return *own != NULL;
}
