/* SPDX-License-Identifier: MIT */
/* Element types and MX formats: names, sizes, values; all from the one list. */
#include <string.h>
#include "lib/kernels/kernels.h"

static const struct { const char *name; unsigned bits; int emax; } elements[MXQ_ELEMENT_COUNT] = {
#define X(ID, name, E, M, TOP) \
  [MXQ_##ID] = {#name, MXQ_EL_BITS(E, M, MXQ_TOP_##TOP), MXQ_EL_EMAX(E, MXQ_TOP_##TOP)},
#include "lib/kernels/element_types.def"
#undef X
};

static const struct { const char *name; enum mxq_element element; } formats[MXQ_FORMAT_COUNT] = {
  [MXQ_FORMAT_NONE] = {"none", MXQ_ELEMENT_COUNT},
  [MXQ_MXFP4] = {"mxfp4", MXQ_E2M1},
  [MXQ_MXFP6_E2M3] = {"mxfp6-e2m3", MXQ_E2M3},
  [MXQ_MXFP6_E3M2] = {"mxfp6-e3m2", MXQ_E3M2},
  [MXQ_MXFP8_E4M3] = {"mxfp8-e4m3", MXQ_E4M3},
  [MXQ_MXFP8_E5M2] = {"mxfp8-e5m2", MXQ_E5M2},
  [MXQ_MXINT8] = {"mxint8", MXQ_INT8},
};

static bool known(enum mxq_element element) { return (unsigned)element < MXQ_ELEMENT_COUNT; }

const char *mxq_element_name(enum mxq_element element) { return known(element) ? elements[element].name : NULL; }
unsigned mxq_element_bits(enum mxq_element element) { return known(element) ? elements[element].bits : 0; }
int mxq_element_emax(enum mxq_element element) { return known(element) ? elements[element].emax : 0; }

const char *mxq_format_name(enum mxq_format format) { return (unsigned)format < MXQ_FORMAT_COUNT ? formats[format].name : NULL; }

bool mxq_format_parse(const char *name, enum mxq_format *format) {
  if (strcmp(name, "mxfp6") == 0) name = formats[MXQ_MXFP6_E2M3].name;
  if (strcmp(name, "mxfp8") == 0) name = formats[MXQ_MXFP8_E4M3].name;
  for (int i = 0; i < MXQ_FORMAT_COUNT; i++)
    if (strcmp(name, formats[i].name) == 0) {
      *format = (enum mxq_format)i;
      return true;
    }
  return false;
}

enum mxq_element mxq_format_element(enum mxq_format format) {
  return (unsigned)format < MXQ_FORMAT_COUNT ? formats[format].element : MXQ_ELEMENT_COUNT;
}

const char *mxq_format_layout(enum mxq_format format) {
  switch (mxq_element_bits(mxq_format_element(format))) {
    case 4: return "even-low";
    case 6: return "le24";
    case 8: return "bytes";
    default: return NULL;
  }
}

uint64_t mxq_row_blocks(uint64_t k) { return k / MXQ_BLOCK + (k % MXQ_BLOCK != 0); }

uint64_t mxq_row_code_bytes(enum mxq_format format, uint64_t k) {
  return mxq_row_blocks(k) * (MXQ_BLOCK / 8 * mxq_element_bits(mxq_format_element(format)));
}

bool mxq_sizes(enum mxq_format format, uint64_t rows, uint64_t k, uint64_t *code_bytes, uint64_t *scale_bytes) {
  uint64_t codes, scales, per_block = MXQ_BLOCK / 8 * mxq_element_bits(mxq_format_element(format));
  if (__builtin_mul_overflow(rows, mxq_row_blocks(k), &scales) || __builtin_mul_overflow(scales, per_block, &codes) ||
      codes > INT64_MAX || scales > INT64_MAX)
    return false;
  *code_bytes = codes;
  *scale_bytes = scales;
  return true;
}

float mxq_e8m0_value(uint8_t b) {
  uint32_t u = b == 0 ? 0x00400000u : b == 255 ? 0x7fc00000u : (uint32_t)b << 23;
  float f;
  memcpy(&f, &u, 4);
  return f;
}

float mxq_element_value(enum mxq_element element, uint8_t code) {
  if (!known(element)) return mxq_e8m0_value(255);
  uint8_t codes[32] = {(uint8_t)(code & ((1u << elements[element].bits) - 1))};
  const uint8_t one = 127;
  float values[32];
  mxq_kernels_scalar.decode[element][MXQ_LANE_F32](codes, &one, 1, values, false);
  return values[0];
}
