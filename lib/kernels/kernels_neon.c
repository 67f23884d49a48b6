/* SPDX-License-Identifier: MIT */
/* Arm, 128 bits: AArch64, where they are always there. */
#include "lib/kernels/kernels.h"

#if !defined(__aarch64__) || !defined(__ARM_NEON)
const struct mxq_kernels mxq_kernels_neon = {0};
#else
#define MXQ_ROW neon
#include "lib/kernels/ops_neon.h"
#include "lib/kernels/decode_neon.h"
#include "lib/kernels/encode_neon.h"
#include "lib/kernels/template.h"
#endif
