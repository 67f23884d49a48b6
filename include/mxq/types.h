/* SPDX-License-Identifier: MIT */
/*
 * Dtypes, element types, MX formats: identifiers, names, sizes.
 *
 * An MX format is an element type, an E8M0 scale byte and a block of 32 (OCP Microscaling Formats v1.0, 5.2).
 * All functions here are pure, thread-safe and accept any value of their enum argument.
 */
#ifndef MXQ_TYPES_H
#define MXQ_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxq/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Elements that share one scale (OCP MX v1.0, 5.2). */
#define MXQ_BLOCK 32

/* Host scalars. F4 and F6 are packed with no gaps, low bits first; their tensors have a whole number of bytes. */
enum mxq_dtype {
  MXQ_DTYPE_NONE = 0,
  MXQ_F32, MXQ_BF16, MXQ_F16, MXQ_F64,
  MXQ_U8, MXQ_I8, MXQ_U16, MXQ_I16, MXQ_U32, MXQ_I32, MXQ_U64, MXQ_I64, MXQ_BOOL,
  MXQ_F8_E4M3, MXQ_F8_E5M2, MXQ_F8_E4M3FNUZ, MXQ_F8_E5M2FNUZ, MXQ_F8_E8M0,
  MXQ_C32, MXQ_C64, MXQ_C128, /* complex of two f16, f32, f64 */
  MXQ_F4, MXQ_F6_E2M3, MXQ_F6_E3M2,
  MXQ_DTYPE_COUNT
};

/* The small number inside a block. */
enum mxq_element { MXQ_E2M1 = 0, MXQ_E2M3, MXQ_E3M2, MXQ_E4M3, MXQ_E5M2, MXQ_INT8, MXQ_ELEMENT_COUNT };

/* MX formats; NONE marks a tensor that is not quantized. */
enum mxq_format {
  MXQ_FORMAT_NONE = 0,
  MXQ_MXFP4, MXQ_MXFP6_E2M3, MXQ_MXFP6_E3M2, MXQ_MXFP8_E4M3, MXQ_MXFP8_E5M2, MXQ_MXINT8,
  MXQ_FORMAT_COUNT
};

/* "f32", "bf16", "f8_e4m3", ...; NULL for values that are no dtype. */
MXQ_API const char *mxq_dtype_name(enum mxq_dtype dtype);
/* The dtype of that name (as mxq_dtype_name writes it), MXQ_DTYPE_NONE when there is none. */
MXQ_API enum mxq_dtype mxq_dtype_parse(const char *name);
/* Bits of one scalar, 4 to 128; 0 for values that are no dtype. */
MXQ_API unsigned mxq_dtype_bits(enum mxq_dtype dtype);

/* "e2m1", "e2m3", "e3m2", "e4m3", "e5m2", "int8"; NULL for other values. */
MXQ_API const char *mxq_element_name(enum mxq_element element);
/* Bits of one packed code: 4, 6 or 8. */
MXQ_API unsigned mxq_element_bits(enum mxq_element element);
/* Exponent of the largest normal element (OCP MX v1.0, table 1): 2, 2, 4, 8, 15, 0. */
MXQ_API int mxq_element_emax(enum mxq_element element);

/* "mxfp4", "mxfp6-e2m3", "mxfp6-e3m2", "mxfp8-e4m3", "mxfp8-e5m2", "mxint8"; "none" for MXQ_FORMAT_NONE; else NULL. */
MXQ_API const char *mxq_format_name(enum mxq_format format);
/* Parses those names and the short forms "mxfp6" (e2m3) and "mxfp8" (e4m3). False when unknown; *format is then untouched. */
MXQ_API bool mxq_format_parse(const char *name, enum mxq_format *format);
/* The element type of a format other than NONE. */
MXQ_API enum mxq_element mxq_format_element(enum mxq_format format);
/* How codes lie in their bytes: "even-low" (mxfp4), "le24" (mxfp6), "bytes" (8-bit elements). */
MXQ_API const char *mxq_format_layout(enum mxq_format format);

/* Blocks in a row of k elements: ceil(k / 32). */
MXQ_API uint64_t mxq_row_blocks(uint64_t k);
/* Bytes of the codes of one row of k elements, the last block padded to 32; also the bytes of its scales is mxq_row_blocks(k). */
MXQ_API uint64_t mxq_row_code_bytes(enum mxq_format format, uint64_t k);
/*
 * Bytes of codes and of scales for `rows` rows of k elements. False when a size would not fit in 63 bits;
 * the results are then untouched.
 */
MXQ_API bool mxq_sizes(enum mxq_format format, uint64_t rows, uint64_t k, uint64_t *code_bytes, uint64_t *scale_bytes);

#ifdef __cplusplus
}
#endif
#endif
