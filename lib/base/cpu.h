/* SPDX-License-Identifier: MIT */
/* What this machine can do. */
#ifndef MXQ_BASE_CPU_H
#define MXQ_BASE_CPU_H

#include <mxq/cpu.h>

/* True when the machine (and its operating system) can run the kernels of that level. */
bool mxq_cpu_machine_has(enum mxq_cpu level);

#endif
