/* SPDX-License-Identifier: MIT */
/* Small matrices turned in the first cache. */
#ifndef MXQ_CODEC_TURN_H
#define MXQ_CODEC_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Lines of `columns` scalars to columns of `lines` scalars; steps in bytes from one line of src and one column of dst to the next, any alignment.
 * Two orders: ALONG reads the lines of src in long pieces, DOWN writes the columns of dst so.
 */
enum mxq_turn_order { MXQ_TURN_ALONG, MXQ_TURN_DOWN, MXQ_TURN_ORDERS };
typedef void mxq_turn_fn(const uint8_t *src, size_t src_step, size_t lines, size_t columns, uint8_t *dst, size_t dst_step);

/* The best of the kernel level in use, for scalars of 2 or 4 bytes. */
mxq_turn_fn *mxq_turn(size_t scalar, enum mxq_turn_order order);

/* By log2(scalar) - 1; NULL where a build has no better one. */
struct mxq_turns { mxq_turn_fn *turn[2][MXQ_TURN_ORDERS]; };
extern const struct mxq_turns mxq_turns_avx2;

#endif
