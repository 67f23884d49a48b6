/* SPDX-License-Identifier: MIT */
/* Sharing work out. */
#ifndef MXQ_BASE_POOL_H
#define MXQ_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <mxq/runner.h>

/* Calls work(context), which claims from `pieces` pieces, through the runner where that is worth it; NULL is the caller alone. */
void mxq_run(const struct mxq_runner *runner, size_t pieces, void (*work)(void *context), void *context);

/* Where a caller gave a number of threads but no runner, *own becomes a pool to be freed, and *runner its runner. False: no memory. */
bool mxq_runner_own(const struct mxq_runner **runner, unsigned threads, mxq_pool **own);

#endif
