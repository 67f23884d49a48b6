/* SPDX-License-Identifier: MIT */
/* What this machine can do. */
#ifndef MXQ_BASE_CPU_H
#define MXQ_BASE_CPU_H

#include <stddef.h>
#include <mxq/cpu.h>

/* True when the machine (and its operating system) can run the kernels of that level. */
bool mxq_cpu_machine_has(enum mxq_cpu level);
/* Bytes of the largest cache that a core has (its share of a machine's is not known), or a guess. Asks the processor each time: a microsecond. */
size_t mxq_cpu_cache(void);

#endif
