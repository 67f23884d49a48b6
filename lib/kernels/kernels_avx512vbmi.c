/* SPDX-License-Identifier: MIT */
/* x86, 512 bits, with tables of bytes. */
#include "lib/kernels/kernels.h"

#if !defined(__AVX512VBMI__)
const struct mxq_kernels mxq_kernels_avx512vbmi = {0};
#else
#define MXQ_ROW avx512vbmi
#include "lib/kernels/ops_avx2.h"
#include "lib/kernels/decode_avx512.h"
#include "lib/kernels/encode_avx512.h"
#include "lib/kernels/template.h"
#endif
