/* SPDX-License-Identifier: MIT */
/* Moving codes from one order to another: kernels on whole blocks. */
#ifndef MXQ_CODEC_LAYOUT_H
#define MXQ_CODEC_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The orders of the codes of one block. GGML and FBGEMM are SPLIT and LOW with other steps from block to block. */
enum mxq_order { MXQ_ORDER_LOW, MXQ_ORDER_HIGH, MXQ_ORDER_SPLIT, MXQ_ORDER_FOURS, MXQ_ORDERS_OF_4 };       /* FOURS: one a byte */
enum mxq_order_of_6 { MXQ_ORDER_LE24, MXQ_ORDER_PLANES, MXQ_ORDER_SIXES, MXQ_ORDERS_OF_6 };                 /* SIXES: one a byte */

/* Block b is read at src + b * src_step and written at dst + b * dst_step; exactly the bytes of its codes are touched. */
typedef void mxq_layout_fn(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step, size_t blocks);

/* By the orders read and written. NULL where a build has no better one. */
struct mxq_layout_kernels {
  mxq_layout_fn *fours[MXQ_ORDERS_OF_4][MXQ_ORDERS_OF_4];
  mxq_layout_fn *sixes[MXQ_ORDERS_OF_6][MXQ_ORDERS_OF_6];
};
extern const struct mxq_layout_kernels mxq_layout_portable, mxq_layout_avx2;

/* Results of at least that many bytes go past the caches: about half of a last-level cache. */
enum { MXQ_LAYOUT_STREAM_FROM = 16 << 20 };
/*
 * Copies past the caches, for results that are larger than these: whole lines, and what is before and after them as usual. Fastest where src
 * and dst are equal modulo 64. A thread that has called it calls _end before it lets others see the result.
 */
void mxq_layout_stream(uint8_t *dst, const uint8_t *src, size_t n);
void mxq_layout_stream_line(uint8_t *dst, const uint8_t *src); /* 64 bytes, dst a multiple of 64 */
void mxq_layout_stream_end(void);

#endif
