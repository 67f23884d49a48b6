/* SPDX-License-Identifier: MIT */
/* Arm, 128 bits. */
#include "lib/kernels/kernels.h"

#if !defined(__aarch64__)
const struct mxq_kernels mxq_kernels_neon = {0};
#else
#define MXQ_ROW neon
#include "lib/kernels/template.h"
#endif
