/* SPDX-License-Identifier: MIT */
/* The tables that a decoding program keeps as tensor constants: values of codes, and how four 6-bit codes lie in three bytes. */
#include "formats/pt2/write.h"
#include "lib/base/bytes.h"

enum { I32 = 4, F32 = 7 };

static const struct {
  const char *fqn, *node;
  int dtype;
  uint64_t rows, columns;            /* columns 0: one dimension */
  unsigned exponent, mantissa;       /* of the element type whose values these are */
} tables[MXQ_TABLE_COUNT] = {
    [MXQ_TABLE_E2M1] = {"mx_e2m1_pairs", "c_e2m1_pairs", F32, 256, 2, 2, 1},
    [MXQ_TABLE_E2M3] = {"mx_e2m3", "c_e2m3", F32, 64, 0, 2, 3},
    [MXQ_TABLE_E3M2] = {"mx_e3m2", "c_e3m2", F32, 64, 0, 3, 2},
    [MXQ_TABLE_PLACE] = {"mx_le24_place", "c_le24_place", I32, 3, 0, 0, 0},
    [MXQ_TABLE_SHIFT] = {"mx_le24_shift", "c_le24_shift", I32, 4, 0, 0, 0},
};

bool mxq_pt2_table_used(enum mxq_pt2_table table, enum mxq_format format) {
  switch (table) {
  case MXQ_TABLE_E2M1: return format == MXQ_MXFP4;
  case MXQ_TABLE_E2M3: return format == MXQ_MXFP6_E2M3;
  case MXQ_TABLE_E3M2: return format == MXQ_MXFP6_E3M2;
  default: return format == MXQ_MXFP6_E2M3 || format == MXQ_MXFP6_E3M2;
  }
}

const char *mxq_pt2_table_fqn(enum mxq_pt2_table table) { return tables[table].fqn; }
const char *mxq_pt2_table_node(enum mxq_pt2_table table) { return tables[table].node; }
int mxq_pt2_table_dtype(enum mxq_pt2_table table) { return tables[table].dtype; }

uint32_t mxq_pt2_table_shape(enum mxq_pt2_table table, uint64_t shape[2]) {
  shape[0] = tables[table].rows;
  shape[1] = tables[table].columns;
  return tables[table].columns ? 2 : 1;
}

size_t mxq_pt2_table_bytes(enum mxq_pt2_table table) {
  return (size_t)(tables[table].rows * (tables[table].columns ? tables[table].columns : 1) * 4);
}

/* The f32 pattern of a minifloat without Inf and NaN (OCP MX v1.0, 5.3): bias 2^(E-1) - 1, subnormals below exponent 1. */
static uint32_t value(uint32_t code, unsigned e, unsigned m) {
  int bias = (1 << (e - 1)) - 1, exponent = (int)(code >> m & ((1u << e) - 1));
  uint32_t mantissa = code & ((1u << m) - 1), sign = code >> (e + m) & 1;
  if (exponent == 0) {
    if (mantissa == 0)
      return sign << 31;
    exponent = 1;
    while (!(mantissa >> m)) {
      mantissa <<= 1;
      exponent--;
    }
    mantissa &= (1u << m) - 1;
  }
  return sign << 31 | (uint32_t)(exponent - bias + 127) << 23 | mantissa << (23 - m);
}

static uint32_t entry(enum mxq_pt2_table table, size_t i) {
  switch (table) {
  case MXQ_TABLE_E2M1: return value(i & 1 ? (uint32_t)i >> 5 : (uint32_t)i >> 1 & 15, 2, 1);
  case MXQ_TABLE_PLACE: return 1u << 8 * i;
  case MXQ_TABLE_SHIFT: return 6 * (uint32_t)i;
  default: return value((uint32_t)i, tables[table].exponent, tables[table].mantissa);
  }
}

void mxq_pt2_table_data(enum mxq_pt2_table table, void *buf) {
  for (size_t i = 0; i < mxq_pt2_table_bytes(table) / 4; i++)
    mxq_put32((unsigned char *)buf + 4 * i, entry(table, i));
}
