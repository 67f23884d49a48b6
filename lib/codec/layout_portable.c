/* SPDX-License-Identifier: MIT */
/* Orders of codes in plain C, eight bytes at a time. */
#include <string.h>
#include "lib/base/bytes.h"
#include "lib/codec/layout.h"

/* ---- fours: between any two orders lies LOW, in two words ---------------------------------------------------------------- */

struct block { uint64_t w[2]; };

static const uint64_t NIBBLES = 0x0f0f0f0f0f0f0f0f;

/* Eight bytes below 16 to eight nibbles, and back. */
static inline uint64_t narrow(uint64_t x) {
  x = (x | x >> 4) & 0x00ff00ff00ff00ff;
  x = (x | x >> 8) & 0x0000ffff0000ffff;
  return (x | x >> 16) & 0xffffffff;
}
static inline uint64_t widen(uint64_t x) {
  x = (x | x << 16) & 0x0000ffff0000ffff;
  x = (x | x << 8) & 0x00ff00ff00ff00ff;
  return (x | x << 4) & NIBBLES;
}
static inline uint64_t swapped(uint64_t x) { return (x & NIBBLES) << 4 | (x >> 4 & NIBBLES); }

static inline struct block get_low(const uint8_t *p) { return (struct block){{mxq_get64(p), mxq_get64(p + 8)}}; }
static inline void put_low(uint8_t *p, struct block b) {
  mxq_put64(p, b.w[0]);
  mxq_put64(p + 8, b.w[1]);
}
static inline struct block get_high(const uint8_t *p) { return (struct block){{swapped(mxq_get64(p)), swapped(mxq_get64(p + 8))}}; }
static inline void put_high(uint8_t *p, struct block b) { put_low(p, (struct block){{swapped(b.w[0]), swapped(b.w[1])}}); }
static inline struct block get_split(const uint8_t *p) {
  uint64_t x = mxq_get64(p), y = mxq_get64(p + 8);
  return (struct block){{narrow(x & NIBBLES) | narrow(y & NIBBLES) << 32, narrow(x >> 4 & NIBBLES) | narrow(y >> 4 & NIBBLES) << 32}};
}
static inline void put_split(uint8_t *p, struct block b) {
  mxq_put64(p, widen(b.w[0] & 0xffffffff) | widen(b.w[1] & 0xffffffff) << 4);
  mxq_put64(p + 8, widen(b.w[0] >> 32) | widen(b.w[1] >> 32) << 4);
}
static inline struct block get_fours(const uint8_t *p) {
  struct block b;
  for (int i = 0; i < 2; i++) b.w[i] = narrow(mxq_get64(p + 16 * i) & NIBBLES) | narrow(mxq_get64(p + 16 * i + 8) & NIBBLES) << 32;
  return b;
}
static inline void put_fours(uint8_t *p, struct block b) {
  for (int i = 0; i < 2; i++) {
    mxq_put64(p + 16 * i, widen(b.w[i] & 0xffffffff));
    mxq_put64(p + 16 * i + 8, widen(b.w[i] >> 32));
  }
}

/* The order stays. */
static void copy16(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step, size_t blocks) {
  for (; blocks; blocks--, src += src_step, dst += dst_step) memcpy(dst, src, 16);
}
static void copy24(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step, size_t blocks) {
  for (; blocks; blocks--, src += src_step, dst += dst_step) memcpy(dst, src, 24);
}

#define KERNEL(from, to)                                                                                          \
  static void from##_to_##to(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step, size_t blocks) { \
    for (; blocks; blocks--, src += src_step, dst += dst_step) put_##to(dst, get_##from(src));                    \
  }
KERNEL(low, high) KERNEL(low, split) KERNEL(low, fours)
KERNEL(high, low) KERNEL(high, split) KERNEL(high, fours)
KERNEL(split, low) KERNEL(split, high) KERNEL(split, fours)
KERNEL(fours, low) KERNEL(fours, high) KERNEL(fours, split) KERNEL(fours, fours)

/* ---- sixes: between any two orders lies one a byte, eight codes in a word ------------------------------------------------------ */

struct block6 { uint64_t w[4]; };

static const uint64_t SIXES = 0x3f3f3f3f3f3f3f3f;

/* 48 bits that lie one behind the other to the lower three bytes of each half of a word, and back. */
static inline uint64_t apart(uint64_t x) { return (x & 0xffffff) | (x & 0xffffff000000) << 8; }
static inline uint64_t together(uint64_t x) { return (x & 0xffffff) | (x >> 8 & 0xffffff000000); }
/* The 24 bytes of a block, and words with two groups of three bytes each. */
static inline struct block6 get_groups(const uint8_t *p) {
  const uint64_t a = mxq_get64(p), b = mxq_get64(p + 8), c = mxq_get64(p + 16);
  return (struct block6){{apart(a), apart(a >> 48 | b << 16), apart(b >> 32 | c << 32), apart(c >> 16)}};
}
static inline void put_groups(uint8_t *p, struct block6 x) {
  const uint64_t b = together(x.w[1]), c = together(x.w[2]);
  mxq_put64(p, together(x.w[0]) | b << 48);
  mxq_put64(p + 8, b >> 16 | c << 32);
  mxq_put64(p + 16, c >> 32 | together(x.w[3]) << 16);
}

static inline uint64_t of_le24(uint64_t x) {
  x = (x & 0x00000fff00000fff) | (x & 0x00fff00000fff000) << 4;
  return (x & 0x003f003f003f003f) | (x & 0x0fc00fc00fc00fc0) << 2;
}
static inline uint64_t to_le24(uint64_t x) {
  x = (x & 0x003f003f003f003f) | (x & 0x3f003f003f003f00) >> 2;
  return (x & 0x00000fff00000fff) | (x & 0x0fff00000fff0000) >> 4;
}
/* A mask for both groups. */
#define BOTH(mask) ((uint64_t)(mask) << 32 | (mask))
static inline uint64_t of_planes(uint64_t t) {
  return (t >> 2 & BOTH(0x3cu)) | (t & BOTH(0x0f0fu)) << 10 | (t & BOTH(0xf000u)) << 14 |                  /* hi4 of v0; v1, v2; v3 */
         (t >> 22 & BOTH(3u)) | (t >> 12 & BOTH(0x300u)) | (t & BOTH(0x30000u)) | (t & BOTH(0xc0000u)) << 6; /* lo2 of v0, v1, v2, v3 */
}
static inline uint64_t to_planes(uint64_t x) {
  return (x << 2 & BOTH(0xf0u)) | (x >> 10 & BOTH(0x0f0fu)) | (x >> 14 & BOTH(0xf000u)) | (x & BOTH(3u)) << 22 | (x & BOTH(0x300u)) << 12 |
         (x & BOTH(0x30000u)) | (x >> 6 & BOTH(0xc0000u));
}

static inline struct block6 get_sixes(const uint8_t *p) {
  return (struct block6){{mxq_get64(p) & SIXES, mxq_get64(p + 8) & SIXES, mxq_get64(p + 16) & SIXES, mxq_get64(p + 24) & SIXES}};
}
static inline void put_sixes(uint8_t *p, struct block6 x) {
  mxq_put64(p, x.w[0]);
  mxq_put64(p + 8, x.w[1]);
  mxq_put64(p + 16, x.w[2]);
  mxq_put64(p + 24, x.w[3]);
}
#define ORDER6(order)                                                                                                              \
  static inline struct block6 get_##order(const uint8_t *p) {                                                                      \
    struct block6 x = get_groups(p);                                                                                               \
    return (struct block6){{of_##order(x.w[0]), of_##order(x.w[1]), of_##order(x.w[2]), of_##order(x.w[3])}};                      \
  }                                                                                                                                \
  static inline void put_##order(uint8_t *p, struct block6 x) {                                                                    \
    put_groups(p, (struct block6){{to_##order(x.w[0]), to_##order(x.w[1]), to_##order(x.w[2]), to_##order(x.w[3])}});              \
  }
ORDER6(le24)
ORDER6(planes)

KERNEL(le24, planes) KERNEL(le24, sixes)
KERNEL(planes, le24) KERNEL(planes, sixes)
KERNEL(sixes, le24) KERNEL(sixes, planes) KERNEL(sixes, sixes)

const struct mxq_layout_kernels mxq_layout_portable = {
  .fours = {[MXQ_ORDER_LOW] = {copy16, low_to_high, low_to_split, low_to_fours},
            [MXQ_ORDER_HIGH] = {high_to_low, copy16, high_to_split, high_to_fours},
            [MXQ_ORDER_SPLIT] = {split_to_low, split_to_high, copy16, split_to_fours},
            [MXQ_ORDER_FOURS] = {fours_to_low, fours_to_high, fours_to_split, fours_to_fours}},
  .sixes = {[MXQ_ORDER_LE24] = {copy24, le24_to_planes, le24_to_sixes},
            [MXQ_ORDER_PLANES] = {planes_to_le24, copy24, planes_to_sixes},
            [MXQ_ORDER_SIXES] = {sixes_to_le24, sixes_to_planes, sixes_to_sixes}},
};
