/* SPDX-License-Identifier: MIT */
/* x86, 512 bits. */
#include "lib/kernels/kernels.h"

#if !defined(__AVX512BW__) || !defined(__AVX512DQ__)
const struct mxq_kernels mxq_kernels_avx512 = {0};
#else
#define MXQ_ROW avx512
#include "lib/kernels/ops_avx2.h"
#include "lib/kernels/decode_avx512.h"
#include "lib/kernels/encode_avx512.h"
#include "lib/kernels/template.h"
#endif
