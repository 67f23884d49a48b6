/* SPDX-License-Identifier: MIT */
/* Decoders in AVX-512 (F, BW, VL, DQ): a block is two vectors of 16 f32, which all lanes are made from. */
#ifndef MXQ_KERNELS_DECODE_AVX512_H
#define MXQ_KERNELS_DECODE_AVX512_H

#include <immintrin.h>
#include "lib/kernels/decode_tables.h"

struct pair {
  __m512 low, high;
};

/* Values of E2M1 with both signs. */
WORD __m512 e2m1_512(void) {
  __m512 t = _mm512_broadcast_f32x8(_mm256_load_ps(magnitudes_e2m1));
  return _mm512_mask_xor_ps(t, 0xff00, t, _mm512_set1_ps(-0.0f));
}

/* The upper halves of 32 words of 32 bits: bf16, where f32 has no more bits. */
WORD __m512i upper_words(void) {
  return _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
}

/* 16 f32 from the 16 nibbles that begin at 32-bit word `first` of x; vpermps takes four bits of an index and leaves the rest. */
WORD __m512 nibbles_512(__m512i x, int first, __m512 table) {
  const __m512i word = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const __m512i at = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
  __m512i i = _mm512_permutexvar_epi32(_mm512_add_epi32(word, _mm512_set1_epi32(first)), x);
  return _mm512_permutexvar_ps(_mm512_srlv_epi32(i, at), table);
}

/* 16 f32 from codes of six bits that begin at byte `skip` (even) of 16 bytes: the two 16-bit words that a code touches, moved down. */
WORD __m512 sixes_512(const uint8_t *p, int skip, __m512 table_low, __m512 table_high, __m512 scale) {
  const __m512i words = _mm512_setr_epi32(0x10000, 0x10000, 0x10000, 0x20001, 0x20001, 0x20001, 0x30002, 0x30002, 0x40003, 0x40003, 0x40003,
                                          0x50004, 0x50004, 0x50004, 0x60005, 0x60005);
  const __m512i at = _mm512_setr_epi32(0, 6, 12, 2, 8, 14, 4, 10, 0, 6, 12, 2, 8, 14, 4, 10);
  const __m512i sign = _mm512_set1_epi32((int)0x80000000);
  __m512i x = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)p));
  x = _mm512_permutexvar_epi16(_mm512_add_epi16(words, _mm512_set1_epi16((short)(skip / 2))), x);
  x = _mm512_srlv_epi32(x, at);
  __m512i v = _mm512_castps_si512(_mm512_permutex2var_ps(table_low, x, table_high)); /* five bits of an index */
  v = _mm512_ternarylogic_epi32(v, _mm512_slli_epi32(x, 26), sign, 0xf8);               /* v | (x & sign) */
  return _mm512_mul_ps(_mm512_castsi512_ps(v), scale);
}

/* Two vectors of f32 from 32 codes. E4M3 and E5M2 are moved to where f16 has its exponent, which the hardware widens, subnormals too. */
WORD struct pair values_512(const uint8_t *codes, int b, int e_bits, int m, int top) {
  __m512 scale = _mm512_castsi512_ps(_mm512_set1_epi32((int)scale_bits[b]));
  struct pair r;
  if (m == 1) {
    __m512 t = _mm512_mul_ps(e2m1_512(), scale);
    __m512i x = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)codes));
    r.low = nibbles_512(x, 0, t);
    r.high = nibbles_512(x, 2, t);
  } else if (top == MXQ_TOP_FINITE) {
    const float *table = e_bits == 2 ? magnitudes_e2m3 : magnitudes_e3m2;
    __m512 low = _mm512_load_ps(table), high = _mm512_load_ps(table + 16);
    r.low = sixes_512(codes, 0, low, high, scale);
    r.high = sixes_512(codes + 8, 4, low, high, scale); /* not + 12: a block has 24 bytes */
  } else if (top == MXQ_TOP_INTEGER) {
    const __m512 s = _mm512_mul_ps(scale, _mm512_set1_ps(1.0f / 64)); /* exact, also as a subnormal */
    r.low = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)codes))), s);
    r.high = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(codes + 16)))), s);
  } else {
    __m256i c = v_load(codes);
    __m512i h;
    if (top == MXQ_TOP_IEEE) {
      h = _mm512_slli_epi16(_mm512_cvtepu8_epi16(c), 8);
    } else {
      h = _mm512_and_si512(_mm512_slli_epi16(_mm512_cvtepi8_epi16(c), 7), _mm512_set1_epi16((short)0xbf80));
    }
    /* NaN of either sign, and whatever is in it, becomes the one NaN */
    __mmask32 nan = _mm256_cmpgt_epi8_mask(_mm256_and_si256(c, _mm256_set1_epi8(0x7f)), _mm256_set1_epi8(top == MXQ_TOP_IEEE ? 0x7c : 0x7e));
    h = _mm512_mask_mov_epi16(h, nan, _mm512_set1_epi16(0x7e00));
    r.low = _mm512_cvtph_ps(_mm512_castsi512_si256(h));
    r.high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(h, 1));
    if (top == MXQ_TOP_NAN) { /* f16's bias less E4M3's */
      const __m512 up = _mm512_set1_ps(256);
      if (__builtin_expect(scale_may_grow(b, 8), 1)) {
        scale = _mm512_mul_ps(scale, up);
      } else {
        r.low = _mm512_mul_ps(r.low, up);
        r.high = _mm512_mul_ps(r.high, up);
      }
    }
    r.low = _mm512_mul_ps(r.low, scale);
    r.high = _mm512_mul_ps(r.high, scale);
  }
  (void)m;
  return r;
}

#ifdef __AVX512VBMI__
/*
 * Two blocks of E4M3 or E5M2 by tables of bytes: what bf16 has for a magnitude, the upper bytes and the lower ones, which every value fits
 * into; both go to the upper half of an f32. vpermi2b takes seven bits of an index.
 */
#define LOG2_7(m) ((m) >= 4 ? 2 : (m) >= 2)
#define BF16_OF(E, M, c)                                                                                                          \
  ((c) >> (M) ? (((c) >> (M)) + 127 - MXQ_EL_BIAS(E)) << 7 | ((c) & ((1 << (M)) - 1)) << (7 - (M))                                 \
   : (c)      ? (127 + MXQ_EL_EMIN(E) - (M) + LOG2_7(c)) << 7 | ((c) << (7 - LOG2_7(c)) & 0x7f)                                    \
              : 0)
#define BF16_E4M3(c) ((c) == 0x7f ? 0x7fc0 : BF16_OF(4, 3, c))
#define BF16_E5M2(c) ((c) > 0x7c ? 0x7fc0 : (c) == 0x7c ? 0x7f80 : BF16_OF(5, 2, c))
#define UPPER_E4M3(c) BF16_E4M3(c) >> 8
#define LOWER_E4M3(c) BF16_E4M3(c) & 255
#define UPPER_E5M2(c) BF16_E5M2(c) >> 8
#define LOWER_E5M2(c) BF16_E5M2(c) & 255
#define BYTES_4(of, c) of((c)), of((c) + 1), of((c) + 2), of((c) + 3)
#define BYTES_16(of, c) BYTES_4(of, c), BYTES_4(of, (c) + 4), BYTES_4(of, (c) + 8), BYTES_4(of, (c) + 12)
#define BYTES_64(of, c) BYTES_16(of, c), BYTES_16(of, (c) + 16), BYTES_16(of, (c) + 32), BYTES_16(of, (c) + 48)
static const uint8_t e4m3_bytes[256] __attribute__((aligned(64))) = {
  BYTES_64(UPPER_E4M3, 0), BYTES_64(UPPER_E4M3, 64), BYTES_64(LOWER_E4M3, 0), BYTES_64(LOWER_E4M3, 64)};
static const uint8_t e5m2_bytes[256] __attribute__((aligned(64))) = {
  BYTES_64(UPPER_E5M2, 0), BYTES_64(UPPER_E5M2, 64), BYTES_64(LOWER_E5M2, 0), BYTES_64(LOWER_E5M2, 64)};

/* 16 f32 times a scale, of the codes that begin at byte 16 q. */
WORD __m512 join_512(__m512i upper, __m512i lower, int q, const uint32_t *scale_at) {
  const __m512i bytes = _mm512_set_epi32(0x4f0f0000, 0x4e0e0000, 0x4d0d0000, 0x4c0c0000, 0x4b0b0000, 0x4a0a0000, 0x49090000, 0x48080000,
                                         0x47070000, 0x46060000, 0x45050000, 0x44040000, 0x43030000, 0x42020000, 0x41010000, 0x40000000);
  __m512i at = _mm512_add_epi8(bytes, _mm512_set1_epi8((char)(16 * q)));
  __m512i v = _mm512_maskz_permutex2var_epi8(0xcccccccccccccccc, lower, at, upper);
  return _mm512_mul_ps(_mm512_castsi512_ps(v), _mm512_castsi512_ps(_mm512_set1_epi32((int)*scale_at)));
}

WORD void two_values_512(const uint8_t *codes, const uint32_t *scale_1, const uint32_t *scale_2, int top, struct pair *r1, struct pair *r2) {
  const uint8_t *t = top == MXQ_TOP_NAN ? e4m3_bytes : e5m2_bytes;
  const __m512i c = _mm512_loadu_si512(codes);
  __m512i upper = _mm512_permutex2var_epi8(_mm512_load_si512(t), c, _mm512_load_si512(t + 64));
  __m512i lower = _mm512_permutex2var_epi8(_mm512_load_si512(t + 128), c, _mm512_load_si512(t + 192));
  /* NaN has no sign */
  __mmask64 number = _mm512_cmple_epu8_mask(c, _mm512_set1_epi8((char)(top == MXQ_TOP_NAN ? 0xfe : 0xfc)));
  upper = _mm512_mask_add_epi8(upper, number, upper, _mm512_and_si512(c, _mm512_set1_epi8((char)0x80)));
  *r1 = (struct pair){join_512(upper, lower, 0, scale_1), join_512(upper, lower, 1, scale_1)};
  *r2 = (struct pair){join_512(upper, lower, 2, scale_2), join_512(upper, lower, 3, scale_2)};
}
#endif

/*
 * 32 results of 16 bits from codes of four or six bits, by a table of this block's results; for plain blocks other than NaN. vpermw takes
 * five bits of an index.
 */
WORD __m512i table_16(__m512 low, __m512 high, enum mxq_lane lane) {
  if (lane == MXQ_LANE_F16) {
    __m256i a = _mm512_cvtps_ph(low, _MM_FROUND_TO_NEAREST_INT), b = _mm512_cvtps_ph(high, _MM_FROUND_TO_NEAREST_INT);
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
  }
  return _mm512_permutex2var_epi16(_mm512_castps_si512(low), upper_words(), _mm512_castps_si512(high));
}

WORD __m512i words_512(const uint8_t *codes, const uint32_t *scale_at, int e_bits, int m, enum mxq_lane lane) {
  const __m512 scale = _mm512_castsi512_ps(_mm512_set1_epi32((int)*scale_at));
  if (m == 1) { /* the table twice, whatever the fifth bit is */
    const __m512i word = _mm512_set_epi16(7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    const __m512i at = _mm512_set1_epi64(0x000c000800040000);
    __m512 t = _mm512_mul_ps(e2m1_512(), scale);
    __m512i x = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)codes));
    x = _mm512_srlv_epi16(_mm512_permutexvar_epi16(word, x), at);
    return _mm512_permutexvar_epi16(x, table_16(t, t, lane));
  }
  /* six bytes to each lane of 128 bits, there the two bytes that a code touches to its word */
  const __m512i lanes = _mm512_set_epi16(0, 0, 0, 0, 0, 11, 10, 9, 0, 0, 0, 0, 0, 8, 7, 6, 0, 0, 0, 0, 0, 5, 4, 3, 0, 0, 0, 0, 0, 2, 1, 0);
  const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 1, 2, 2, 3, 3, 4, 3, 4, 4, 5, 5, -1));
  const __m512i at = _mm512_set1_epi64(0x0002000400060000);
  const float *table = e_bits == 2 ? magnitudes_e2m3 : magnitudes_e3m2;
  __m512i t = table_16(_mm512_mul_ps(_mm512_load_ps(table), scale), _mm512_mul_ps(_mm512_load_ps(table + 16), scale), lane);
  __m512i x = _mm512_castsi256_si512(_mm256_maskz_loadu_epi64(7, codes)); /* 24 bytes */
  x = _mm512_srlv_epi16(_mm512_shuffle_epi8(_mm512_permutexvar_epi16(lanes, x), bytes), at);
  __m512i v = _mm512_permutexvar_epi16(x, t);
  return _mm512_ternarylogic_epi32(v, _mm512_slli_epi16(x, 10), _mm512_set1_epi16((short)0x8000), 0xf8); /* v | (x & sign) */
}

/*
 * Where 64 bytes of result go. Past the caches only whole lines go; where the destination does not begin at one, a line is the end of the
 * vector before, which is kept, and the beginning of this one.
 */
enum way { TO_CACHE, TO_LINES, TO_SHIFTED_LINES };
struct sink {
  enum way way;
  size_t shift;      /* bytes of a line before the destination, even */
  __m512i kept, at;  /* at: words of the two vectors that are a line */
};

WORD void put_512(struct sink *k, uint8_t *out, __m512i v) {
  if (k->way == TO_CACHE) {
    _mm512_storeu_si512(out, v);
  } else if (k->way == TO_LINES) {
    _mm512_stream_si512((__m512i *)(void *)out, v);
  } else {
    _mm512_stream_si512((__m512i *)(void *)(out - k->shift), _mm512_permutex2var_epi16(k->kept, k->at, v));
    k->kept = v;
  }
}

/* Rounds one by one, and counts. */
static size_t __attribute__((noinline, unused)) round_odd_512(const struct pair *r, uint8_t out[64], bool f16) {
  float y[32] __attribute__((aligned(64)));
  _mm512_store_ps(y, r->low);
  _mm512_store_ps(y + 16, r->high);
  return f16 ? store_f16(out, y) : store_bf16(out, y);
}

/* A block of two vectors to its lane. */
WORD size_t store_512(struct sink *k, struct pair r, int b, uint8_t *out, int e_bits, int m, int top, enum mxq_lane lane) {
  size_t lost = 0;
  if (lane == MXQ_LANE_F32) {
    put_512(k, out, _mm512_castps_si512(r.low));
    put_512(k, out + 64, _mm512_castps_si512(r.high));
  } else if (__builtin_expect(lane == MXQ_LANE_BF16 ? !plain_bf16(b, e_bits, m) : !plain_f16(b, e_bits, top), 0)) {
    uint8_t odd[64] __attribute__((aligned(64)));
    lost = round_odd_512(&r, odd, lane == MXQ_LANE_F16);
    put_512(k, out, _mm512_load_si512(odd));
  } else {
    put_512(k, out, table_16(r.low, r.high, lane));
  }
  return lost;
}

WORD size_t decode_512(struct sink *k, const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top,
                       enum mxq_lane lane) {
  const size_t code_bytes = top == MXQ_TOP_FINITE ? 4 * (size_t)(1 + e_bits + m) : 32, wide_bytes = lane == MXQ_LANE_F32 ? 128 : 64;
  size_t lost = 0, i = 0;
#ifdef __AVX512VBMI__
  if (top == MXQ_TOP_NAN || top == MXQ_TOP_IEEE)
    for (; i + 2 <= blocks; i += 2) {
      struct pair first, second;
      two_values_512(codes + 32 * i, &scale_bits[scales[i]], &scale_bits[scales[i + 1]], top, &first, &second);
      lost += store_512(k, first, scales[i], out + wide_bytes * i, e_bits, m, top, lane);
      lost += store_512(k, second, scales[i + 1], out + wide_bytes * (i + 1), e_bits, m, top, lane);
    }
#endif
  for (; i < blocks; i++) {
    const uint8_t *in = codes + code_bytes * i;
    uint8_t *to = out + wide_bytes * i;
    const int b = scales[i];
    const bool plain = lane == MXQ_LANE_BF16 ? plain_bf16(b, e_bits, m) : lane == MXQ_LANE_F16 && plain_f16(b, e_bits, top);
    if (top == MXQ_TOP_FINITE && __builtin_expect(plain && b < 255, lane != MXQ_LANE_F32))
      put_512(k, to, words_512(in, &scale_bits[b], e_bits, m, lane));
    else
      lost += store_512(k, values_512(in, b, e_bits, m, top), b, to, e_bits, m, top, lane);
  }
  return lost;
}

WORD size_t decode_run(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top, enum mxq_lane lane) {
  struct sink k = {.way = TO_CACHE};
  return decode_512(&k, codes, scales, blocks, out, e_bits, m, top, lane);
}

WORD size_t decode_past(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top, enum mxq_lane lane,
                        decode_run_fn *run) {
  const size_t code_bytes = top == MXQ_TOP_FINITE ? 4 * (size_t)(1 + e_bits + m) : 32, wide_bytes = lane == MXQ_LANE_F32 ? 128 : 64;
  const size_t shift = (uintptr_t)out % 64;
  size_t lost;
  if (shift % 2 || blocks == 0) return run(codes, scales, blocks, out);
  if (shift == 0) {
    struct sink k = {.way = TO_LINES};
    lost = decode_512(&k, codes, scales, blocks, out, e_bits, m, top, lane);
  } else { /* the first block by itself: the line that it leaves unfinished is written again as a whole */
    struct sink k = {.way = TO_SHIFTED_LINES, .shift = shift};
    const __m512i words = _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    lost = run(codes, scales, 1, out);
    k.kept = _mm512_loadu_si512(out + wide_bytes - 64);
    k.at = _mm512_add_epi16(words, _mm512_set1_epi16((short)(32 - shift / 2)));
    lost += decode_512(&k, codes + code_bytes, scales + 1, blocks - 1, out + wide_bytes, e_bits, m, top, lane);
    _mm512_mask_storeu_epi8(out + wide_bytes * blocks - shift, ((__mmask64)1 << shift) - 1, _mm512_permutexvar_epi16(k.at, k.kept));
  }
  _mm_sfence();
  return lost;
}

#define MXQ_OPS_DECODE
#endif
