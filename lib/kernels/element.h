/* SPDX-License-Identifier: MIT */
/* What follows from E, M and the meaning of the top codes. Constant expressions, also for tables and preprocessor-made names. */
#ifndef MXQ_KERNELS_ELEMENT_H
#define MXQ_KERNELS_ELEMENT_H

#ifdef __FAST_MATH__
#error "the bits are the contract: build without -ffast-math"
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "values, codes and archives are little-endian, and so must the machine be"
#endif

enum mxq_top { MXQ_TOP_FINITE, MXQ_TOP_NAN, MXQ_TOP_IEEE, MXQ_TOP_INTEGER };

#define MXQ_EL_BITS(E, M, TOP) (1 + (E) + (M) + ((TOP) == MXQ_TOP_INTEGER))
#define MXQ_EL_BIAS(E) ((E) == 0 ? 0 : (1 << ((E) > 0 ? (E) - 1 : 0)) - 1)
/* Exponents of the smallest and the largest normal. */
#define MXQ_EL_EMIN(E) ((E) == 0 ? 0 : 1 - MXQ_EL_BIAS(E))
#define MXQ_EL_EMAX(E, TOP) ((E) == 0 ? 0 : (1 << (E)) - 1 - ((TOP) == MXQ_TOP_IEEE) - MXQ_EL_BIAS(E))
/* The code of the largest number, its mantissa with the leading bit, and 2^k. */
#define MXQ_EL_MAX_CODE(E, M, TOP) \
  ((TOP) == MXQ_TOP_IEEE ? (((1 << (E)) - 1) << (M)) - 1 : (1 << ((E) + (M) + ((TOP) == MXQ_TOP_INTEGER))) - 1 - ((TOP) == MXQ_TOP_NAN))
#define MXQ_EL_MAX_MANTISSA(E, M, TOP) \
  ((TOP) == MXQ_TOP_INTEGER ? (2 << (M)) - 1 : (1 << (M)) | (MXQ_EL_MAX_CODE(E, M, TOP) & ((1 << (M)) - 1)))
#define MXQ_POW2(k) ((k) >= 0 ? (float)(1u << ((k) >= 0 ? (k) : 0)) : 1.0f / (float)(1u << ((k) < 0 ? -(k) : 0)))
#define MXQ_EL_MAX(E, M, TOP) ((float)MXQ_EL_MAX_MANTISSA(E, M, TOP) * MXQ_POW2(MXQ_EL_EMAX(E, TOP) - (M)))

#endif
