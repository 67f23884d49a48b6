/* SPDX-License-Identifier: MIT */
/* Unaligned little-endian integers. */
#ifndef MXQ_BASE_BYTES_H
#define MXQ_BASE_BYTES_H

#include <stdint.h>

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
/* A byte a statement: compilers make one store of that. */
static inline void mxq_put32(void *p, uint32_t v) {
  uint8_t *b = p;
  b[0] = (uint8_t)v;
  b[1] = (uint8_t)(v >> 8);
  b[2] = (uint8_t)(v >> 16);
  b[3] = (uint8_t)(v >> 24);
}
static inline void mxq_put64(void *p, uint64_t v) {
  uint8_t *b = p;
  b[0] = (uint8_t)v;
  b[1] = (uint8_t)(v >> 8);
  b[2] = (uint8_t)(v >> 16);
  b[3] = (uint8_t)(v >> 24);
  b[4] = (uint8_t)(v >> 32);
  b[5] = (uint8_t)(v >> 40);
  b[6] = (uint8_t)(v >> 48);
  b[7] = (uint8_t)(v >> 56);
}

#endif
