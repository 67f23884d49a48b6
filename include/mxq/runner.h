/* SPDX-License-Identifier: MIT */
/*
 * Who does the work: one thread, a pool of ours, or threads of the caller's own.
 *
 * Functions that can share their work out take a runner. NULL means the calling thread alone. Which runner it is, and how many threads it
 * has, never changes a result.
 */
#ifndef MXQ_RUNNER_H
#define MXQ_RUNNER_H

#include <mxq/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mxq_runner {
  unsigned threads; /* how many it can run at once, the calling one included; 0 is 1 */
  /*
   * Calls work(context) at least once and at most `threads` times, in any threads, at once or one after the other, and returns when all calls
   * have come back. The work is claimed piece by piece inside: a single call does all of it, and one that finds nothing left returns at once.
   * Threads of the caller's own need 256 KiB of stack.
   */
  void (*run)(void *self, unsigned threads, void (*work)(void *context), void *context);
  void *self;
};

/* Threads that sleep until there is work. They block all signals, which are the program's affair. */
typedef struct mxq_pool mxq_pool;

/*
 * A pool of `threads` threads, at most 256, the one that brings the work included. Where the system gives fewer, there are fewer.
 * NULL: no memory.
 */
MXQ_API mxq_pool *mxq_pool_create(unsigned threads);
/*
 * Its runner, which lives as long as it; NULL for NULL. Any thread may use it. It does one piece of work at a time: who comes while it is
 * busy, be it from inside that work, works alone.
 */
MXQ_API const struct mxq_runner *mxq_pool_runner(const mxq_pool *pool);
/* Ends its threads. It must not be at work. NULL is accepted. */
MXQ_API void mxq_pool_free(mxq_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
