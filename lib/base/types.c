/* SPDX-License-Identifier: MIT */
/* Host scalars: names and sizes. */
#include <mxq/types.h>

#include <string.h>

static const struct { const char *name; unsigned bits; } dtypes[MXQ_DTYPE_COUNT] = {
  [MXQ_F32] = {"f32", 32}, [MXQ_BF16] = {"bf16", 16}, [MXQ_F16] = {"f16", 16}, [MXQ_F64] = {"f64", 64},
  [MXQ_U8] = {"u8", 8}, [MXQ_I8] = {"i8", 8}, [MXQ_U16] = {"u16", 16}, [MXQ_I16] = {"i16", 16},
  [MXQ_U32] = {"u32", 32}, [MXQ_I32] = {"i32", 32}, [MXQ_U64] = {"u64", 64}, [MXQ_I64] = {"i64", 64}, [MXQ_BOOL] = {"bool", 8},
  [MXQ_F8_E4M3] = {"f8_e4m3", 8}, [MXQ_F8_E5M2] = {"f8_e5m2", 8},
  [MXQ_F8_E4M3FNUZ] = {"f8_e4m3fnuz", 8}, [MXQ_F8_E5M2FNUZ] = {"f8_e5m2fnuz", 8}, [MXQ_F8_E8M0] = {"f8_e8m0", 8},
  [MXQ_C32] = {"c32", 32}, [MXQ_C64] = {"c64", 64}, [MXQ_C128] = {"c128", 128},
  [MXQ_F4] = {"f4", 4}, [MXQ_F6_E2M3] = {"f6_e2m3", 6}, [MXQ_F6_E3M2] = {"f6_e3m2", 6},
};

const char *mxq_dtype_name(enum mxq_dtype dtype) { return (unsigned)dtype < MXQ_DTYPE_COUNT ? dtypes[dtype].name : NULL; }

enum mxq_dtype mxq_dtype_parse(const char *name) {
  for (int i = MXQ_DTYPE_NONE + 1; i < MXQ_DTYPE_COUNT; i++)
    if (strcmp(name, dtypes[i].name) == 0) return (enum mxq_dtype)i;
  return MXQ_DTYPE_NONE;
}

unsigned mxq_dtype_bits(enum mxq_dtype dtype) { return (unsigned)dtype < MXQ_DTYPE_COUNT ? dtypes[dtype].bits : 0; }
