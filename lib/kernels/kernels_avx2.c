/* SPDX-License-Identifier: MIT */
/* x86, 256 bits. */
#include "lib/kernels/kernels.h"

#if !defined(__AVX2__) || !defined(__F16C__)
const struct mxq_kernels mxq_kernels_avx2 = {0};
#else
#define MXQ_ROW avx2
#include "lib/kernels/ops_avx2.h"
#include "lib/kernels/decode_avx2.h"
#include "lib/kernels/encode_avx2.h"
#include "lib/kernels/template.h"
#endif
