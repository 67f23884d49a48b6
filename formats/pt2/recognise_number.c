/* SPDX-License-Identifier: MIT */
/* Numbers as PyTorch's dtypes have them, in doubles and 64-bit integers, which hold all of them exactly. */
#include <math.h>

#include "formats/pt2/recognise.h"

bool mxq_probe_is_float(enum mxq_dtype dtype) { return dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16 || dtype == MXQ_F64; }

bool mxq_probe_is_int(enum mxq_dtype dtype) {
  return dtype == MXQ_BOOL || dtype == MXQ_U8 || dtype == MXQ_I8 || dtype == MXQ_I16 || dtype == MXQ_I32 || dtype == MXQ_I64;
}

enum mxq_dtype mxq_probe_promote(enum mxq_dtype a, enum mxq_dtype b) {
  bool fa = mxq_probe_is_float(a), fb = mxq_probe_is_float(b);
  if ((!fa && !mxq_probe_is_int(a)) || (!fb && !mxq_probe_is_int(b)))
    return MXQ_DTYPE_NONE;
  if (a == b)
    return a;
  if (fa && fb)
    return a == MXQ_F64 || b == MXQ_F64 ? MXQ_F64 : MXQ_F32;
  if (fa || fb)
    return fa ? a : b;
  if (a == MXQ_BOOL || b == MXQ_BOOL)
    return a == MXQ_BOOL ? b : a;
  if (mxq_dtype_bits(a) == mxq_dtype_bits(b)) /* u8 and i8 */
    return MXQ_I16;
  return mxq_dtype_bits(a) > mxq_dtype_bits(b) ? a : b;
}

/* The nearest number with `digits` binary digits and none below 2^least, ties to even. */
static double nearest(double x, int digits, int least, double most) {
  int e;
  if (x == 0 || isnan(x) || isinf(x))
    return x;
  frexp(x, &e);
  double unit = ldexp(1, e - digits < least ? least : e - digits), y = rint(x / unit) * unit;
  return fabs(y) > most ? copysign(INFINITY, x) : y;
}

double mxq_probe_round(double x, enum mxq_dtype dtype) {
  switch (dtype) {
  case MXQ_F32: return (float)x;
  case MXQ_BF16: return nearest((float)x, 8, -133, ldexp(255, 120)); /* operators compute in f32 */
  case MXQ_F16: return nearest((float)x, 11, -24, 65504);
  default: return x;
  }
}

int64_t mxq_probe_wrap(int64_t x, enum mxq_dtype dtype) {
  uint64_t u = (uint64_t)x;
  switch (dtype) {
  case MXQ_BOOL: return x != 0;
  case MXQ_U8: return (int64_t)(u & 0xFF);
  case MXQ_I8: return (int64_t)((u & 0xFF) ^ 0x80) - 0x80;
  case MXQ_I16: return (int64_t)((u & 0xFFFF) ^ 0x8000) - 0x8000;
  case MXQ_I32: return (int64_t)((u & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000;
  default: return x;
  }
}

struct mxq_probe_number mxq_probe_convert(struct mxq_probe_number x, enum mxq_dtype from, enum mxq_dtype to) {
  if (from == to || !x.ok)
    return x;
  double d = 0;
  switch (from) {
  case MXQ_F8_E4M3: d = mxq_element_value(MXQ_E4M3, (uint8_t)x.i); break;
  case MXQ_F8_E5M2: d = mxq_element_value(MXQ_E5M2, (uint8_t)x.i); break;
  case MXQ_F8_E8M0: d = mxq_e8m0_value((uint8_t)x.i); break;
  default:
    if (mxq_probe_is_float(from))
      d = x.d;
    else if (!mxq_probe_is_int(from))
      return (struct mxq_probe_number){.ok = false};
    else if (mxq_probe_is_int(to))
      return (struct mxq_probe_number){.i = mxq_probe_wrap(x.i, to), .ok = true};
    else
      d = (double)x.i;
  }
  if (mxq_probe_is_float(to))
    return (struct mxq_probe_number){.d = mxq_probe_round(d, to), .ok = true};
  if (to == MXQ_BOOL)
    return (struct mxq_probe_number){.i = d != 0, .ok = true};
  /* What C does not define, PyTorch does not either. */
  double least = to == MXQ_U8 ? 0 : -ldexp(1, (int)mxq_dtype_bits(to) - 1), most = ldexp(1, (int)mxq_dtype_bits(to) - (to != MXQ_U8));
  if (!mxq_probe_is_int(to) || !(trunc(d) >= least && trunc(d) < most))
    return (struct mxq_probe_number){.ok = false};
  return (struct mxq_probe_number){.i = (int64_t)trunc(d), .ok = true};
}
