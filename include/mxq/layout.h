/* SPDX-License-Identifier: MIT */
/*
 * Layouts: how the codes and scales of MX tensors lie in memory, here and in other tools, and lossless conversion between them.
 *
 * A conversion never changes a code or a scale, whatever they are: from one layout to any other and back is the identity, through any
 * chain. No floating-point arithmetic happens here. All functions are thread-safe, allocate nothing and keep nothing. Sizes and strides
 * are in bytes unless said otherwise; buffers belong to the caller, may have any alignment and must not overlap.
 */
#ifndef MXQ_LAYOUT_H
#define MXQ_LAYOUT_H

#include <mxq/runner.h>
#include <mxq/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Layouts of codes. A row of k elements is ceil(k / 32) blocks, one behind the other, in every layout; elements that pad the last block
 * are zero codes in what is written, whatever they were in what is read. i: number of an element in its row; n: of an element in its
 * block; j: of a byte in its block; v0...v3: four neighbouring codes, hi4(v) = v >> 2, lo2(v) = v & 3.
 *
 * MXFP4, 16 bytes a block; the scales lie elsewhere, one byte a block:
 *   EVEN_LOW   byte i/2: low nibble = the even element, high = the odd one. What mxq_encode writes; torchao since October 2025,
 *              compressed-tensors, vLLM, gpt-oss, Triton, MLX (its uint32 words are little-endian), Quark, Model-Optimizer, auto-round, ONNX
 *   EVEN_HIGH  byte i/2: high nibble = the even element, low = the odd one. torchao before that (pack_uint4), FBGEMM's former CUDA operator
 *   SPLIT_16   byte j of a block: low nibble = element j, high = element j + 16
 * MXFP4, 17 bytes a block, the scale byte among the codes:
 *   GGML       the scale, then 16 bytes as SPLIT_16. block_mxfp4 of ggml-common.h, GGUF type 39
 *   FBGEMM     16 bytes as EVEN_LOW, then the scale. py_quantize_mx4 and triton_quantize_mx4 of fbgemm_gpu; their group size is 32
 * MXFP6 (both), 24 bytes a block:
 *   LE24       v0 | v1<<6 | v2<<12 | v3<<18 as three bytes, lowest first. What mxq_encode writes; Quark, compressed-tensors, vLLM
 *   PLANES     hi4(v0)<<4 | hi4(v1), then hi4(v3)<<4 | hi4(v2), then lo2(v0)<<6 | lo2(v1)<<4 | lo2(v3)<<2 | lo2(v2): v2 and v3 do
 *              change places. torchao in 2025 (pack_uint6)
 * MXFP4 and MXFP6:
 *   UNPACKED   one code a byte, 32 bytes a block; bits above the code are ignored when read and zero when written. torchao's MXFP6 today,
 *              ml_dtypes' arrays
 * MXFP8 and MXINT8:
 *   BYTES      one code a byte
 */
enum mxq_layout {
  MXQ_LAYOUT_NONE = 0,
  MXQ_LAYOUT_EVEN_LOW, MXQ_LAYOUT_EVEN_HIGH, MXQ_LAYOUT_SPLIT_16, MXQ_LAYOUT_GGML, MXQ_LAYOUT_FBGEMM,
  MXQ_LAYOUT_LE24, MXQ_LAYOUT_PLANES, MXQ_LAYOUT_UNPACKED, MXQ_LAYOUT_BYTES,
  MXQ_LAYOUT_COUNT
};

/* "even-low", "even-high", "split-16", "ggml", "fbgemm", "le24", "torchao-planes", "unpacked", "bytes"; NULL for other values. */
MXQ_API const char *mxq_layout_name(enum mxq_layout layout);
/* Parses those names. False when unknown; *layout is then untouched. */
MXQ_API bool mxq_layout_parse(const char *name, enum mxq_layout *layout);
/* The layout that mxq_encode writes and mxq_decode reads (mxq_format_layout gives its name); NONE for MXQ_FORMAT_NONE. */
MXQ_API enum mxq_layout mxq_layout_of(enum mxq_format format);
/* Whether codes of that format can lie so. */
MXQ_API bool mxq_layout_fits(enum mxq_layout layout, enum mxq_format format);
/* Whether the scales lie among the codes (GGML, FBGEMM). */
MXQ_API bool mxq_layout_has_scales(enum mxq_layout layout);
/*
 * Bytes of the codes of one block: 16, 17 (with the scale), 24 or 32; 0 for other values. A row of k elements takes
 * mxq_row_blocks(k) times as much.
 */
MXQ_API size_t mxq_layout_block_bytes(enum mxq_layout layout);
/*
 * Bytes of `rows` densely packed rows of k elements: of the codes, and of the scales that lie elsewhere (0 when they lie among the
 * codes). False when a size would not fit in 63 bits; the results are then untouched.
 */
MXQ_API bool mxq_layout_sizes(enum mxq_layout layout, uint64_t rows, uint64_t k, uint64_t *code_bytes, uint64_t *scale_bytes);

/* Shape of a conversion. Strides are in bytes from one row to the next; 0 means densely packed. */
struct mxq_relayout_rows {
  size_t rows;
  size_t k;                   /* elements in a row */
  size_t from_codes_stride;
  size_t from_scales_stride;  /* of scales that lie elsewhere; else not looked at */
  size_t to_codes_stride;
  size_t to_scales_stride;
};

/*
 * Converts shape->rows rows of codes from one layout to another, reading codes and scales and writing to_codes and to_scales. A pointer to
 * scales is not looked at where the layout has them among the codes. Where both sides have them elsewhere they are copied, unless either
 * pointer is NULL. from == to is a copy.
 * runner: who works (runner.h); NULL is the calling thread alone. It never changes the bytes.
 * Returns MXQ_OK, or MXQ_ERR_USAGE: a layout does not fit the format, scales among the codes have nowhere to go or to come from, or the
 * shape is larger than any memory.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_relayout(enum mxq_format format, enum mxq_layout from, const void *codes, const uint8_t *scales,
                                                    const struct mxq_relayout_rows *shape, enum mxq_layout to, void *to_codes,
                                                    uint8_t *to_scales, const struct mxq_runner *runner, struct mxq_error *err);

/*
 * Swizzles: the order of scale bytes that matrix units read, of any MX format. The scales are a matrix, rows x columns (columns = blocks of a
 * row); r, c: row and column of a byte.
 *
 *   NVIDIA  tiles of 128 x 4 bytes, byte (r/128 * ceil(columns/4) + c/4) * 512 + r%32 * 16 + r%128/32 * 4 + c%4. Rows are padded to 128
 *           and columns to 4, with zeros. cuBLAS block scaling (its documentation, "1D block scaling factors layout"), CUTLASS
 *           Sm1xxBlockScaledConfig, torchao's to_blocked
 *   AMD     tiles of 32 x 8 bytes, byte ((((r/32 * columns/8 + c/8) * 4 + c%4) * 16 + r%16) * 2 + c%8/4) * 2 + r%32/16. Only rows that
 *           are a multiple of 32 and columns that are one of 8. e8m0_shuffle of aiter (which pads rows to 256 first), Quark
 */
enum mxq_swizzle { MXQ_SWIZZLE_NONE = 0, MXQ_SWIZZLE_NVIDIA, MXQ_SWIZZLE_AMD, MXQ_SWIZZLE_COUNT };

/* "none", "nvidia-128x4", "amd-32x8"; NULL for other values. */
MXQ_API const char *mxq_swizzle_name(enum mxq_swizzle swizzle);
/* Parses those names. False when unknown; *swizzle is then untouched. */
MXQ_API bool mxq_swizzle_parse(const char *name, enum mxq_swizzle *swizzle);
/*
 * Bytes of a swizzled matrix, padding included (NONE: rows * columns). MXQ_ERR_USAGE: AMD's sizes are no multiples, or the size would not
 * fit in 63 bits; *bytes is then untouched.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_swizzle_bytes(enum mxq_swizzle swizzle, uint64_t rows, uint64_t columns, uint64_t *bytes,
                                                         struct mxq_error *err);
/*
 * Scales in rows, `stride` bytes apart (0: densely packed), to swizzled ones and back. mxq_scales_swizzle writes all of mxq_swizzle_bytes,
 * mxq_scales_unswizzle ignores the padding. NONE copies. Runner and errors as in mxq_relayout and mxq_swizzle_bytes.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_scales_swizzle(enum mxq_swizzle swizzle, size_t rows, size_t columns, const uint8_t *scales,
                                                          size_t stride, uint8_t *swizzled, const struct mxq_runner *runner,
                                                          struct mxq_error *err);
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_scales_unswizzle(enum mxq_swizzle swizzle, size_t rows, size_t columns, const uint8_t *swizzled,
                                                            uint8_t *scales, size_t stride, const struct mxq_runner *runner,
                                                            struct mxq_error *err);

#ifdef __cplusplus
}
#endif
#endif
