/* SPDX-License-Identifier: MIT */
/* The probe bytes, and the comparison with the definition. */
#include <math.h>
#include <string.h>

#include "formats/pt2/recognise.h"

/* Four 6-bit codes of triple t: each goes through all 64 in every run of 64 triples, each time with other neighbours. The first byte has all values. */
static uint32_t triple(uint32_t t) {
  uint32_t run = t / 64, j = t % 64;
  return j | ((j * 5 + run) & 63) << 6 | ((j * 11 + run * 13 + 3) & 63) << 12 | ((j * 29 + run * 37 + 17) & 63) << 18;
}

unsigned char mxq_probe_byte(uint32_t i) { return (unsigned char)(triple(i / 3) >> 8 * (i % 3)); }

static bool same(struct mxq_probe_number x, enum mxq_dtype dtype, double want, enum mxq_probe_how how) {
  bool about = how == MXQ_PROBE_ABOUT;
  if (!mxq_probe_is_float(dtype))
    return false;
  if (about && (!isfinite(want) || !x.ok))
    return true;
  if (!x.ok)
    return false;
  if (about)
    return x.d == mxq_probe_round(want, dtype); /* f16 has few scales */
  return isnan(want) ? isnan(x.d) : x.d == want && signbit(x.d) == signbit(want);
}

/* Each scale, by 2^less smaller, `times` times. */
static bool scales_match(const struct mxq_probe_value *v, uint32_t times, bool exponent, int less, enum mxq_probe_how how) {
  if (v->uniform || times % v->period || v->n != MXQ_PROBES * times || (exponent && how == MXQ_PROBE_EXACT))
    return false;
  for (uint32_t i = 0; i < v->n; i++) {
    unsigned b = mxq_probe_byte(i / times);
    if ((b == 255 && how >= MXQ_PROBE_NO_NAN) || (b == 0 && how >= MXQ_PROBE_NO_ENDS))
      continue;
    if (exponent ? !v->e[i].ok || (mxq_probe_is_float(v->dtype) ? v->e[i].d != (double)b - 127 - less : v->e[i].i != (int64_t)b - 127 - less)
                 : !same(v->e[i], v->dtype, ldexp(mxq_e8m0_value((uint8_t)b), -less), how))
      return false;
  }
  return true;
}

static unsigned code_at(enum mxq_format format, bool unpacked, uint32_t i) {
  unsigned bits = unpacked ? 8 : mxq_element_bits(mxq_format_element(format));
  return bits == 8 ? mxq_probe_byte(i) : bits == 4 ? mxq_probe_byte(i / 2) >> 4 * (i % 2) & 15 : triple(i / 4) >> 6 * (i % 4) & 63;
}

/* The value of each code, times 2^more. */
static bool codes_match(const struct mxq_probe_value *v, uint64_t bytes, enum mxq_format format, bool unpacked, int more, enum mxq_probe_how how) {
  enum mxq_element element = mxq_format_element(format);
  unsigned bits = mxq_element_bits(element), stored = unpacked ? 8 : bits, natural = stored == 8 ? 1 : stored == 4 ? 2 : 4;
  uint64_t elements;
  if (v->uniform || natural % v->period || v->n != MXQ_PROBES * 8 / stored || bytes % (stored == 6 ? 3 : 1) ||
      __builtin_mul_overflow(bytes, 8, &elements) || elements / stored != v->total)
    return false;
  for (uint32_t i = 0; i < v->n; i++) {
    unsigned code = code_at(format, unpacked, i);
    if (how == MXQ_PROBE_ABOUT && format == MXQ_MXINT8 && code == 0x80)
      continue;
    if (code >> bits == 0 && !same(v->e[i], v->dtype, ldexp(mxq_element_value(element, (uint8_t)code), more), how))
      return false;
  }
  return true;
}

bool mxq_probe_match(const struct mxq_pt2_reader *r, const struct mxq_probe_value *codes, const struct mxq_probe_value *scales, bool exponent,
                     enum mxq_probe_how how, struct mxq_probe_match *match) {
  static const struct mxq_probe_match forms[] = {{MXQ_MXFP4, false},      {MXQ_MXFP6_E2M3, false}, {MXQ_MXFP6_E3M2, false}, {MXQ_MXFP8_E4M3, false},
                                                 {MXQ_MXFP8_E5M2, false}, {MXQ_MXINT8, false},     {MXQ_MXFP4, true},       {MXQ_MXFP6_E2M3, true},
                                                 {MXQ_MXFP6_E3M2, true}};
  const struct mxq_pt2_stored *q = &r->stored[codes->source], *s = &r->stored[scales->source];
  uint32_t last = codes->ndim - 1;
  if (codes->ndim == 0 || scales->ndim != codes->ndim || memcmp(codes->size, scales->size, last * sizeof *codes->size) != 0)
    return false;
  /* One scale for 32 neighbours: as blocks along the last dimension, or spread out. */
  uint32_t times = scales->size[last] == codes->size[last] ? MXQ_BLOCK : 1;
  if (times == 1 && (scales->size[last] != 1 || codes->size[last] != MXQ_BLOCK))
    return false;
  if (s->bytes * times != scales->total || codes->total != s->bytes * MXQ_BLOCK)
    return false;
  /* MXINT8's 1/64 may stand in the codes or in the scales: all of it is exact, and the product is rounded once. */
  for (int shift = 0; shift <= 6; shift += 6)
    if (scales_match(scales, times, exponent, shift, how))
      for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if ((shift == 0 || forms[i].format == MXQ_MXINT8) && codes_match(codes, q->bytes, forms[i].format, forms[i].unpacked, shift, how)) {
          *match = forms[i];
          return true;
        }
  return false;
}
