/* SPDX-License-Identifier: MIT */
/* Which kernels run: levels of instruction sets, detected once, maskable so that a bug report can bisect itself. */
#ifndef MXQ_CPU_H
#define MXQ_CPU_H

#include <mxq/status.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Weakest to strongest. REFERENCE is written from the standard and slow; SCALAR is portable C. */
enum mxq_cpu { MXQ_CPU_REFERENCE = 0, MXQ_CPU_SCALAR, MXQ_CPU_NEON, MXQ_CPU_AVX2, MXQ_CPU_AVX512, MXQ_CPU_AVX512VBMI, MXQ_CPU_COUNT };

/* "reference", "scalar", "neon", "avx2", "avx512", "avx512vbmi"; NULL for other values. */
MXQ_API const char *mxq_cpu_name(enum mxq_cpu level);
MXQ_API bool mxq_cpu_parse(const char *name, enum mxq_cpu *level);
/* The strongest level that this machine has and this build contains. */
MXQ_API enum mxq_cpu mxq_cpu_best(void);
/* The strongest level in use now. */
MXQ_API enum mxq_cpu mxq_cpu_current(void);
/*
 * Uses no kernels above `level` from now on, in all threads; levels above mxq_cpu_best() give MXQ_ERR_UNSUPPORTED.
 * Thread-safe: the table of kernels is swapped atomically, a call in progress ends with the kernels it began with.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_cpu_set(enum mxq_cpu level);

#ifdef __cplusplus
}
#endif
#endif
