/* SPDX-License-Identifier: MIT */
/* Unaligned little-endian integers. */
#ifndef MXQ_BASE_BYTES_H
#define MXQ_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t mxq_get16(const void *p) {
  const uint8_t *b = p;
  return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t mxq_get32(const void *p) {
  const uint8_t *b = p;
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t mxq_get64(const void *p) {
  return mxq_get32(p) | (uint64_t)mxq_get32((const uint8_t *)p + 4) << 32;
}
static inline void mxq_put16(void *p, uint16_t v) {
  uint8_t *b = p;
  b[0] = (uint8_t)v;
  b[1] = (uint8_t)(v >> 8);
}
static inline void mxq_put32(void *p, uint32_t v) {
  mxq_put16(p, (uint16_t)v);
  mxq_put16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}
/* Written as one store: out of a row of byte stores gcc 12 makes a vector, a byte at a time. */
static inline void mxq_put64(void *p, uint64_t v) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(p, &v, 8);
#else
  mxq_put32(p, (uint32_t)v);
  mxq_put32((uint8_t *)p + 4, (uint32_t)(v >> 32));
#endif
}

#endif
