/* SPDX-License-Identifier: MIT */
/*
 * Orders of codes with AVX2, whose flags the functions carry themselves: the file holds nothing else. Two blocks of fours are in the two
 * halves of a register, one block of sixes in both.
 */
#include "lib/codec/layout.h"

#if !defined(__x86_64__) || !defined(__GNUC__)
const struct mxq_layout_kernels mxq_layout_avx2 = {{{0}}, {{0}}};
#else
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline AVX2 __attribute__((always_inline))

INLINE __m256i both(const uint8_t *a, const uint8_t *b) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)a)), _mm_loadu_si128((const void *)b), 1);
}
INLINE void put_both(uint8_t *a, uint8_t *b, __m256i x) {
  _mm_storeu_si128((void *)a, _mm256_castsi256_si128(x));
  _mm_storeu_si128((void *)b, _mm256_extracti128_si256(x, 1));
}

/* ---- fours: p, q: the two blocks; between any two orders lies LOW ----------------------------------------------------------------- */

INLINE __m256i lower(__m256i x) { return _mm256_and_si256(x, _mm256_set1_epi8(15)); }
INLINE __m256i upper(__m256i x) { return lower(_mm256_srli_epi16(x, 4)); }
/* Elements 0...15 and 16...31, one a byte, to LOW. */
INLINE __m256i joined(__m256i a, __m256i b) {
  const __m256i weights = _mm256_set1_epi16(0x1001); /* even element + 16 * odd element */
  return _mm256_packus_epi16(_mm256_maddubs_epi16(a, weights), _mm256_maddubs_epi16(b, weights));
}
INLINE __m256i first_half(__m256i x) { return _mm256_unpacklo_epi8(lower(x), upper(x)); }
INLINE __m256i second_half(__m256i x) { return _mm256_unpackhi_epi8(lower(x), upper(x)); }
INLINE __m256i swapped(__m256i x) { return _mm256_or_si256(upper(x), _mm256_slli_epi16(lower(x), 4)); }

INLINE __m256i get_low(const uint8_t *p, const uint8_t *q) { return both(p, q); }
INLINE void put_low(uint8_t *p, uint8_t *q, __m256i x) { put_both(p, q, x); }
INLINE __m256i get_high(const uint8_t *p, const uint8_t *q) { return swapped(both(p, q)); }
INLINE void put_high(uint8_t *p, uint8_t *q, __m256i x) { put_both(p, q, swapped(x)); }
INLINE __m256i get_split(const uint8_t *p, const uint8_t *q) {
  __m256i x = both(p, q);
  return joined(lower(x), upper(x));
}
INLINE void put_split(uint8_t *p, uint8_t *q, __m256i x) {
  put_both(p, q, _mm256_or_si256(first_half(x), _mm256_slli_epi16(second_half(x), 4)));
}
INLINE __m256i get_fours(const uint8_t *p, const uint8_t *q) { return joined(lower(both(p, q)), lower(both(p + 16, q + 16))); }
INLINE void put_fours(uint8_t *p, uint8_t *q, __m256i x) {
  put_both(p, q, first_half(x));
  put_both(p + 16, q + 16, second_half(x));
}

#define KERNEL(from, to, FROM, TO)                                                                                    \
  AVX2 static void from##_to_##to(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step, size_t blocks) { \
    for (; blocks >= 2; blocks -= 2, src += 2 * src_step, dst += 2 * dst_step)                                          \
      put_##to(dst, dst + dst_step, get_##from(src, src + src_step));                                                   \
    if (blocks) mxq_layout_portable.fours[MXQ_ORDER_##FROM][MXQ_ORDER_##TO](src, src_step, dst, dst_step, blocks);      \
  }
KERNEL(low, low, LOW, LOW) KERNEL(low, high, LOW, HIGH) KERNEL(low, split, LOW, SPLIT) KERNEL(low, fours, LOW, FOURS)
KERNEL(high, low, HIGH, LOW) KERNEL(high, split, HIGH, SPLIT) KERNEL(high, fours, HIGH, FOURS)
KERNEL(split, low, SPLIT, LOW) KERNEL(split, high, SPLIT, HIGH) KERNEL(split, fours, SPLIT, FOURS)
KERNEL(fours, low, FOURS, LOW) KERNEL(fours, high, FOURS, HIGH) KERNEL(fours, split, FOURS, SPLIT) KERNEL(fours, fours, FOURS, FOURS)

/* ---- sixes: between any two orders lies one a byte -------------------------------------------------------------------------------- */

INLINE __m256i masked(__m256i x, int32_t mask) { return _mm256_and_si256(x, _mm256_set1_epi32(mask)); }

/* The 24 bytes of a block: bytes 0...15 and 8...23, so that bytes of group g (three each) are in 32-bit word g after a shuffle. */
INLINE __m256i load24(const uint8_t *p) { return both(p, p + 8); }
/*
 * Words of 24 bits, the bytes of a word in the order that the shuffle says, to 24 bytes. Unless it is the last, four bytes behind these are
 * written as well, which belong to the block that is written next.
 */
INLINE void store24(uint8_t *p, __m256i x, __m256i order, bool last) {
  x = _mm256_shuffle_epi8(x, order);
  if (!last) {
    put_both(p, p + 12, x);
    return;
  }
  x = _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
  _mm_storeu_si128((void *)p, _mm256_castsi256_si128(x));
  _mm_storel_epi64((void *)(p + 16), _mm256_extracti128_si256(x, 1));
}

INLINE __m256i get_sixes(const uint8_t *p) { return masked(_mm256_loadu_si256((const void *)p), 0x3f3f3f3f); }
INLINE void put_sixes(uint8_t *p, __m256i x, bool last) {
  (void)last;
  _mm256_storeu_si256((void *)p, x);
}
/* Shuffles of a block as load24 has it: bytes of a group by name, for all eight groups; z: zero. */
#define EVERY_GROUP(i, j, k, l)                                                                                              \
  _mm256_setr_epi8(AT(0, i), AT(0, j), AT(0, k), AT(0, l), AT(3, i), AT(3, j), AT(3, k), AT(3, l), AT(6, i), AT(6, j), AT(6, k), AT(6, l), \
                   AT(9, i), AT(9, j), AT(9, k), AT(9, l), AT(4, i), AT(4, j), AT(4, k), AT(4, l), AT(7, i), AT(7, j), AT(7, k), AT(7, l), \
                   AT(10, i), AT(10, j), AT(10, k), AT(10, l), AT(13, i), AT(13, j), AT(13, k), AT(13, l))
#define AT(first, byte) ((byte) < 0 ? -1 : (first) + (byte))
INLINE __m256i shuffled(__m256i x, __m256i order) { return _mm256_shuffle_epi8(x, order); }

/* Shifts by multiplication, each 16-bit half of a word by its own: left with mullo, right with mulhi. */
INLINE __m256i get_le24(const uint8_t *p) {
  __m256i x = load24(p);
  /* v0 at bit 8, v2 at bit 4 of their halves; v1 at bit 6, v3 at bit 2 */
  __m256i even = _mm256_mulhi_epu16(masked(shuffled(x, EVERY_GROUP(-1, 0, 1, 2)), 0x03f03f00), _mm256_set1_epi32(0x10000100));
  __m256i odd = _mm256_mullo_epi16(masked(shuffled(x, EVERY_GROUP(0, 1, 2, -1)), 0x00fc0fc0), _mm256_set1_epi32(0x00400004));
  return _mm256_or_si256(even, odd);
}
INLINE void put_le24(uint8_t *p, __m256i x, bool last) {
  x = _mm256_madd_epi16(_mm256_maddubs_epi16(x, _mm256_set1_epi16(0x4001)), _mm256_set1_epi32(0x10000001));
  store24(p, x, _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1), last);
}
INLINE __m256i get_planes(const uint8_t *p) {
  __m256i x = load24(p), h = shuffled(x, EVERY_GROUP(0, 0, 1, 1)), l = shuffled(x, EVERY_GROUP(-1, 2, -1, 2));
  h = _mm256_or_si256(masked(_mm256_srli_epi16(h, 2), 0x3c00003c), masked(_mm256_slli_epi16(h, 2), 0x003c3c00));
  /* b2 >> 6 and b2 << 4 in one half, the lower four bits of b2 and these << 6 in the other: neither pair overlaps */
  l = masked(_mm256_mulhi_epu16(masked(l, 0x0f00ff00), _mm256_set1_epi32(0x41001004)), 0x03030303);
  return _mm256_or_si256(h, l);
}
INLINE void put_planes(uint8_t *p, __m256i x, bool last) {
  /* byte 0: hi4(v0)<<4 | hi4(v1), byte 2: hi4(v3)<<4 | hi4(v2); then, in byte 1, the four lo2 */
  __m256i h = _mm256_maddubs_epi16(masked(_mm256_srli_epi16(x, 2), 0x0f0f0f0f), _mm256_set1_epi32(0x10010110));
  __m256i l = _mm256_madd_epi16(_mm256_maddubs_epi16(masked(x, 0x03030303), _mm256_set1_epi32(0x04011040)), _mm256_set1_epi16(0x100));
  store24(p, _mm256_or_si256(h, l),
          _mm256_setr_epi8(0, 2, 1, 4, 6, 5, 8, 10, 9, 12, 14, 13, -1, -1, -1, -1, 0, 2, 1, 4, 6, 5, 8, 10, 9, 12, 14, 13, -1, -1, -1, -1), last);
}

#define KERNEL6(from, to)                                                                                             \
  AVX2 static void from##_to_##to(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step, size_t blocks) { \
    for (; blocks > 1; blocks--, src += src_step, dst += dst_step) put_##to(dst, get_##from(src), false);               \
    if (blocks) put_##to(dst, get_##from(src), true);                                                                   \
  }
KERNEL6(le24, planes) KERNEL6(le24, sixes)
KERNEL6(planes, le24) KERNEL6(planes, sixes)
KERNEL6(sixes, le24) KERNEL6(sixes, planes) KERNEL6(sixes, sixes)

/* Copies of sixes are left to the portable kernel. */
const struct mxq_layout_kernels mxq_layout_avx2 = {
  .fours = {[MXQ_ORDER_LOW] = {low_to_low, low_to_high, low_to_split, low_to_fours},
            [MXQ_ORDER_HIGH] = {high_to_low, low_to_low, high_to_split, high_to_fours},
            [MXQ_ORDER_SPLIT] = {split_to_low, split_to_high, low_to_low, split_to_fours},
            [MXQ_ORDER_FOURS] = {fours_to_low, fours_to_high, fours_to_split, fours_to_fours}},
  .sixes = {[MXQ_ORDER_LE24] = {NULL, le24_to_planes, le24_to_sixes},
            [MXQ_ORDER_PLANES] = {planes_to_le24, NULL, planes_to_sixes},
            [MXQ_ORDER_SIXES] = {sixes_to_le24, sixes_to_planes, sixes_to_sixes}},
};
#endif
