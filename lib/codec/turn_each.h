/* SPDX-License-Identifier: MIT */
/* Turning one scalar at a time: for what is smaller than a group. */
#ifndef MXQ_CODEC_TURN_EACH_H
#define MXQ_CODEC_TURN_EACH_H

#include <string.h>
#include "lib/codec/turn.h"

/* gcc keeps short loops of constant length at -O2, and their arrays in memory; clang does not. */
#if defined(__clang__)
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

static inline void turn_each(const uint8_t *src, size_t src_step, size_t lines, size_t columns, uint8_t *dst, size_t dst_step, size_t scalar) {
  for (size_t i = 0; i < columns; i++)
    for (size_t j = 0; j < lines; j++) memcpy(dst + i * dst_step + j * scalar, src + j * src_step + i * scalar, scalar);
}

#endif
