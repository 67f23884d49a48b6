/* SPDX-License-Identifier: MIT */
/* Recipes: what the scale rules (<mxq/codec.h>) ask of every exponent, and what is special about presets. Integers but for one division. */
#include "lib/kernels/recipe.h"

enum { NEVER = 1 << 23, MANTISSA_175 = 0x600000, SQRT_2 = 0x3504f3 };

struct type { int e, m, top; };
static const struct type types[] = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = {E, M, MXQ_TOP_##TOP},
#include "lib/kernels/element_types.def"
#undef X
};
static const float largest[] = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = MXQ_EL_MAX(E, M, MXQ_TOP_##TOP),
#include "lib/kernels/element_types.def"
#undef X
};

static int bits_of(int j) {
  int n = 0;
  for (; j > 0; j >>= 1) n++;
  return n;
}

/*
 * An f32 log2 that is rounded to nearest is k itself for this many numbers just below 2^k, and just above it: they differ from k by less
 * than half an ulp of k. Counted over all f32 with glibc's log2f, which is correctly rounded there.
 */
static const unsigned char hazards[] = {0, 0, 1, 2, 5, 11, 22, 44};
static uint32_t hazard(int n) { return hazards[n < 0 ? 0 : n > 7 ? 7 : n]; } /* beyond: exponents that no f32 has */
static uint32_t below(int k) { return hazard(bits_of((k > 0 ? k : 1 - k) - 1)); }
static uint32_t above(int k) { return hazard(bits_of(k >= 0 ? k : -k - 1) - 1); }

/* Whether ceil(log2f(x)) is more than k. */
static bool ceil_passes(float x, int k) {
  const bool subnormal = x < 0x1p-126f;
  uint32_t u;
  if (subnormal) x *= 0x1p32f;
  memcpy(&u, &x, 4);
  int e = (int)(u >> 23) - 127 - (subnormal ? 32 : 0);
  return e > k || (e == k && (u & 0x7fffff) > above(k));
}

/*
 * The mantissa from which ceil(log2f(amax / max)) is one more than the exponent of amax less emax; max = mantissa * 2^emax. The quotient is an
 * f32, as peers compute it.
 */
static uint32_t quotient_bump(int field, int emax, float max) {
  uint32_t low = 0, high = NEVER; /* not yet at low - 1, passes from high on */
  while (low < high) {
    uint32_t middle = (low + high) / 2, u = (uint32_t)field << 23 | middle;
    float amax;
    memcpy(&amax, &u, 4);
    if (ceil_passes(amax / max, field - 127 - emax)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/* field: the exponent field of amax, k its exponent. Of a subnormal amax the standard's rules take the bits for a mantissa at exponent -127. */
static uint32_t bump_of(enum mxq_scale_rule rule, enum mxq_element element, int field) {
  const struct type *t = &types[element];
  const bool subnormal = field == 0; /* its steps are twice those of a normal number just below 2^-126 */
  const int k = field - 127, n = bits_of(k >= 0 ? k : -k - 1), emax = MXQ_EL_EMAX(t->e, t->top);
  switch (rule) {
    case MXQ_SCALE_CEIL: return 1;
    case MXQ_SCALE_EVEN: /* half of the last of m mantissa bits carries; MXINT8 is Quark's, which takes m = 8 */
      return NEVER - (1u << (22 - (t->top == MXQ_TOP_INTEGER ? 8 : t->m)));
    case MXQ_SCALE_RCEIL: return (((uint32_t)MXQ_EL_MAX_MANTISSA(t->e, t->m, t->top) << (23 - t->m)) & 0x7fffff) + 1;
    case MXQ_SCALE_RCEIL_725: return 0x680001;
    case MXQ_SCALE_EVEN_175: return MANTISSA_175;
    case MXQ_SCALE_EVEN_STRICT: return MANTISSA_175 + 1;
    case MXQ_SCALE_EVEN_STRICT_LOG2F: return MANTISSA_175 + 1 - below(k + 1); /* what is added first reaches the numbers just below 2^(k+1) */
    case MXQ_SCALE_FLOOR_LOG2F: return NEVER - below(k + 1) / (subnormal ? 2 : 1);
    case MXQ_SCALE_CEIL_LOG2F: return subnormal ? 0x400000 + above(k) / 2 + 1 : above(k) + 1;
    case MXQ_SCALE_RCEIL_LOG2F: return quotient_bump(field, emax, largest[element]);
    case MXQ_SCALE_RCEIL_725_LOG2F: return quotient_bump(field, emax, 7.25f);
    case MXQ_SCALE_NEAREST_LOG2F: return SQRT_2 - ((n > 2 ? 1u << (n - 2) : 1) - 1);
    default: return NEVER;
  }
}

/* The byte of a block of zeros. */
static uint8_t zero_byte(enum mxq_compat compat, enum mxq_scale_rule rule, int emax) {
  switch (compat) {
    case MXQ_COMPAT_QUARK: return rule == MXQ_SCALE_EVEN ? 1 : 104;
    case MXQ_COMPAT_MLX: return 127;
    case MXQ_COMPAT_AUTO_ROUND: return (uint8_t)(rule == MXQ_SCALE_RCEIL_LOG2F || rule == MXQ_SCALE_RCEIL_725_LOG2F ? 128 : 128 - emax);
    default: return 0;
  }
}

void mxq_recipe_make(struct mxq_recipe *r, enum mxq_element element, const struct mxq_numerics *n) {
  const struct type *t = &types[element];
  enum mxq_scale_rule rule = n->scale_rule;
  *r = (struct mxq_recipe){
    .rule = rule, .round = n->round, .neg_zero = n->neg_zero, .seed = n->seed, .emax = MXQ_EL_EMAX(t->e, t->top), .top = 254,
    .plan = mxq_scale_plan_of(t->e, t->m, t->top, rule == MXQ_SCALE_MSE || rule <= MXQ_SCALE_RCEIL_725 ? rule : MXQ_SCALE_FLOOR),
  };
  if (rule == MXQ_SCALE_AUTO) {
    r->top = r->plan.top;
    rule = t->top == MXQ_TOP_INTEGER ? MXQ_SCALE_FLOOR : element == MXQ_E2M1 ? MXQ_SCALE_RCEIL_725 : element == MXQ_E2M3 ? MXQ_SCALE_EVEN : MXQ_SCALE_RCEIL;
  }
  /* Presets of other tools keep the byte in 0...254, whatever those do at the end of f32. */
  if (element == MXQ_INT8 || (n->compat != MXQ_COMPAT_NONE && n->compat != MXQ_COMPAT_OCP && n->compat != MXQ_COMPAT_TORCHAO)) r->plan.overflows = false;
  if (rule == MXQ_SCALE_RCEIL) { /* where amax * (1/max) is a subnormal f32: scale.h */
    const uint32_t half = 0x00400000;
    r->low_end = r->plan.reciprocal_below;
    uint32_t low = 0, high = r->low_end; /* the first amax whose product is above 2^-127 */
    while (low < high) {
      uint32_t middle = (low + high) / 2, product;
      float f;
      memcpy(&f, &middle, 4);
      f *= r->plan.reciprocal;
      memcpy(&product, &f, 4);
      if (product > half) high = middle;
      else low = middle + 1;
    }
    r->low_zero = low;
  }
  for (int field = 0; field < 256; field++) r->bump[field] = bump_of(rule, element, field);
  r->zero_byte = zero_byte(n->compat, rule, r->emax);
  r->half_trap = n->compat == MXQ_COMPAT_MICROXCALING || n->compat == MXQ_COMPAT_AUTO_ROUND;
  r->log2f_grid = n->compat == MXQ_COMPAT_MICROXCALING;
  if (n->nonfinite == MXQ_NONFINITE_PEER) {
    r->bad = n->compat == MXQ_COMPAT_GGML ? MXQ_BAD_IGNORED : n->compat == MXQ_COMPAT_TORCHAO_018 ? MXQ_BAD_BYTES : n->compat != MXQ_COMPAT_MODELOPT ? MXQ_BAD_BLOCK :
             element == MXQ_E2M1 ? MXQ_BAD_EIGHTS : MXQ_BAD_BYTES;
    r->nan_byte = n->compat == MXQ_COMPAT_TORCHAO_018 ? 255 : 0;
    r->inf_byte = (uint8_t)(n->compat == MXQ_COMPAT_TORCHAO_018 && rule != MXQ_SCALE_RCEIL_LOG2F ? 255 - r->emax : 254);
  }
  r->plain = (rule <= MXQ_SCALE_MSE) && n->round == MXQ_ROUND_RNE && n->neg_zero == MXQ_NEG_ZERO_KEEP && r->zero_byte == 0 && !r->half_trap &&
             r->bad == MXQ_BAD_BLOCK && (n->compat != MXQ_COMPAT_QUARK);
}
