/* SPDX-License-Identifier: MIT */
/* Threads for the length of one call. */
#ifndef MXQ_BASE_POOL_H
#define MXQ_BASE_POOL_H

/*
 * Calls work(context) in up to `threads` threads at once, the caller's own included, and returns when all have come back. Work that
 * is to be shared out is claimed inside `work` (an atomic counter), so fewer threads, also when the system gives none, do it all.
 */
void mxq_pool_run(unsigned threads, void (*work)(void *context), void *context);

#endif
