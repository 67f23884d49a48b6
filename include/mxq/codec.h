/* SPDX-License-Identifier: MIT */
/*
 * The numeric API: rows of f32, bf16 or f16 to MX blocks and back.
 *
 * A row is K consecutive scalars. It is cut into blocks of 32; the last block is padded with zeros. The codes of a
 * row are packed (layouts: mxq_format_layout), its scales are one E8M0 byte a block: byte b stands for 2^(b-127),
 * b = 0...254, and 255 for NaN (OCP MX v1.0, 5.4.1). Every step is exact or rounded once, whatever the caller's floating-point
 * environment, so that every platform, thread count and kernel gives the same bits. All functions are thread-safe.
 */
#ifndef MXQ_CODEC_H
#define MXQ_CODEC_H

#include <mxq/runner.h>
#include <mxq/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How the scale byte follows from the block's largest magnitude amax (u = f32 bits of amax, E = u >> 23, M = u & 0x7fffff;
 * emax: mxq_element_emax). Results below 0 become 0; MXINT8 CEIL is kept at 254 at the top.
 *   FLOOR      E - emax                                              (OCP MX v1.0, 6.3)
 *   CEIL       E + (M != 0) - emax
 *   EVEN       as FLOOR after rounding amax to the element's mantissa bits (half up)
 *   RCEIL      smallest power of two >= amax / max
 *   RCEIL_725  E + (M > 0x680000) - emax: as RCEIL with 7.25 for max; MXFP4 only
 *   MSE        of FLOOR and FLOOR + 1 the one with the smaller squared error
 *   AUTO       MXFP4 RCEIL_725, MXFP6-E2M3 EVEN, MXFP6-E3M2 and MXFP8 RCEIL, MXINT8 FLOOR, and the byte is clamped to
 *              254 - emax, so that no finite input decodes to a non-finite f32
 * MXINT8 takes AUTO, FLOOR, FLOOR_LOG2F, CEIL and MSE.
 *
 * Rules of other tools, for the element types where those have them:
 *   EVEN_175     EVEN with MXFP4's threshold: E + (M >= 0x600000) - emax; MXFP8-E4M3 only
 *   EVEN_STRICT  E + (M > 0x600000) - emax; MXFP4 only
 *   ..._LOG2F    the rule through an f32 log2 that is rounded to nearest, as tools have it that call log2f: just below a power of two
 *                FLOOR takes the higher exponent, just above one CEIL the lower. Worked out in integers, the same on every machine
 *   NEAREST_LOG2F  floor(log2 amax + 1/2) - emax, through such a log2; MXFP4 only
 */
enum mxq_scale_rule {
  MXQ_SCALE_DEFAULT = 0, /* the preset's rule, AUTO without a preset */
  MXQ_SCALE_AUTO, MXQ_SCALE_FLOOR, MXQ_SCALE_CEIL, MXQ_SCALE_EVEN, MXQ_SCALE_RCEIL, MXQ_SCALE_RCEIL_725, MXQ_SCALE_MSE,
  MXQ_SCALE_EVEN_175, MXQ_SCALE_EVEN_STRICT, MXQ_SCALE_FLOOR_LOG2F, MXQ_SCALE_CEIL_LOG2F, MXQ_SCALE_RCEIL_LOG2F,
  MXQ_SCALE_RCEIL_725_LOG2F, MXQ_SCALE_EVEN_STRICT_LOG2F, MXQ_SCALE_NEAREST_LOG2F,
  MXQ_SCALE_RULE_COUNT
};

/*
 * How a scaled value goes to the element grid. STOCHASTIC: the magnitude is rounded up if word < floor(2^32 * discarded fraction of the
 * grid's step), where word is number (index % 4) of Philox4x32-10 with key = mxq_numerics.seed (low word first) and counter = index / 4
 * (64 bits, upper half zero); index: of the scalar in the source tensor's C order. So the bits depend on seed and position only.
 */
enum mxq_round {
  MXQ_ROUND_DEFAULT = 0,
  MXQ_ROUND_RNE,       /* nearest, ties to even */
  MXQ_ROUND_HALF_AWAY, /* nearest, ties away from zero */
  MXQ_ROUND_HALF_ZERO, /* nearest, ties towards zero */
  MXQ_ROUND_TRUNC,     /* towards zero */
  MXQ_ROUND_STOCHASTIC,
  MXQ_ROUND_COUNT
};

/*
 * Whose numbers to reproduce: sets the scale rule, the rounding, the zeros and the byte of a zero block where those are DEFAULT. Exact for
 * f32 sources in every finite block whose amax is zero or in (2^-110, 2^120); outside, the preset follows its rule with the byte kept in
 * 0...254. OCP and TORCHAO are exact in every block.
 */
enum mxq_compat {
  MXQ_COMPAT_NONE = 0, MXQ_COMPAT_OCP /* FLOOR */, MXQ_COMPAT_TORCHAO /* FLOOR; other rules by scale_rule */,
  MXQ_COMPAT_TORCHAO_018, MXQ_COMPAT_GGML, MXQ_COMPAT_COMPRESSED_TENSORS, MXQ_COMPAT_MICROXCALING, MXQ_COMPAT_FBGEMM, MXQ_COMPAT_QUARK,
  MXQ_COMPAT_MLX, MXQ_COMPAT_MODELOPT, MXQ_COMPAT_AUTO_ROUND, MXQ_COMPAT_COUNT
};

/* What to do with NaN and Inf in the source. */
enum mxq_nonfinite {
  MXQ_NONFINITE_BLOCK = 0, /* the block gets scale byte 255 and zero codes */
  MXQ_NONFINITE_ERROR,     /* MXQ_ERR_NONFINITE; error.offset is the flat index (row * K + column) of the first one */
  MXQ_NONFINITE_SATURATE,  /* amax over the finite values; Inf becomes the largest code with its sign; NaN is an error as above */
  MXQ_NONFINITE_PEER,      /* as the preset's own tool does, where it defines it; else BLOCK */
  MXQ_NONFINITE_COUNT
};

/* Which zeros keep their sign. y: the value divided by the scale, in f32. MXINT8 has one zero. */
enum mxq_neg_zero {
  MXQ_NEG_ZERO_DEFAULT = 0,/* the preset's, KEEP without a preset */
  MXQ_NEG_ZERO_KEEP,       /* all */
  MXQ_NEG_ZERO_DROP,       /* none: every zero code is +0 */
  MXQ_NEG_ZERO_EXACT,      /* a source of -0 becomes +0; negative values that round to zero keep it */
  MXQ_NEG_ZERO_SCALED,     /* the same of y, which is -0 also where the division underflows */
  MXQ_NEG_ZERO_MODELOPT,   /* MXFP4: where y is a zero of either sign the code is 8 */
  MXQ_NEG_ZERO_COUNT
};

/* The numeric choices; all zero means: AUTO, nearest even, no preset, BLOCK, zeros keep their sign. */
struct mxq_numerics {
  enum mxq_scale_rule scale_rule;
  enum mxq_round round;
  enum mxq_compat compat;
  enum mxq_nonfinite nonfinite;
  enum mxq_neg_zero neg_zero;
  uint64_t seed;           /* of STOCHASTIC */
};

/* Option values by name, as the command takes them ("auto", "rceil-725", "rne", "ocp", "error", ...); "-" is COMPAT_NONE. */
MXQ_API const char *mxq_scale_rule_name(enum mxq_scale_rule rule);
MXQ_API const char *mxq_round_name(enum mxq_round round);
MXQ_API const char *mxq_compat_name(enum mxq_compat compat);
MXQ_API const char *mxq_nonfinite_name(enum mxq_nonfinite nonfinite);
MXQ_API const char *mxq_neg_zero_name(enum mxq_neg_zero neg_zero); /* "keep", "drop", "mx", "mx-scaled", "modelopt" */
MXQ_API bool mxq_scale_rule_parse(const char *name, enum mxq_scale_rule *rule);
/* "stochastic" needs its seed from elsewhere: mxq_rounding_parse takes "stochastic:SEED". */
MXQ_API bool mxq_round_parse(const char *name, enum mxq_round *round);
/* As the command takes it, a decimal seed of 64 bits included. Other names leave *seed alone. */
MXQ_API bool mxq_rounding_parse(const char *text, enum mxq_round *round, uint64_t *seed);
MXQ_API bool mxq_compat_parse(const char *name, enum mxq_compat *compat);
MXQ_API bool mxq_nonfinite_parse(const char *name, enum mxq_nonfinite *nonfinite);

/*
 * Replaces every DEFAULT by what is in force for `format` (AUTO stays AUTO). MXQ_ERR_USAGE when the scale rule is not
 * offered for the format's element type or the preset does not have it; the text lists the allowed ones.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_numerics_resolve(enum mxq_format format, struct mxq_numerics *numerics,
                                                            struct mxq_error *err);

/* Counts over everything encoded, added to what the struct already holds. */
struct mxq_stats {
  uint64_t elements;   /* source scalars, padding not counted */
  uint64_t blocks;
  uint64_t clipped;    /* finite scalars whose magnitude / scale lies above the largest element value */
  uint64_t zeroed;     /* finite non-zero scalars that became a zero code */
  uint64_t overflowed; /* blocks that got byte 255 because rounding a finite amax up left the range of f32 */
  uint64_t nonfinite;  /* NaN and Inf scalars in the source */
  double signal;       /* sum of x^2 over finite scalars of blocks that do not decode to NaN */
  double noise;        /* sum of (x - decoded)^2 over the same; SQNR in dB = 10 log10(signal / noise) */
};

/* Shape of a job. Strides are in bytes from one row to the next; 0 means densely packed. */
struct mxq_rows {
  size_t rows;
  size_t k;              /* scalars in a row */
  size_t value_stride;   /* of the f32 / bf16 / f16 side */
  size_t codes_stride;
  size_t scales_stride;
  /*
   * Where the scalars stand in the source tensor: only STOCHASTIC rounding asks. The tensor is matrices of k lines by `inner` columns, whose columns
   * are the rows here (inner 0 or 1: rows are rows). first: row * K + column of the first scalar, counted from the tensor's first row; where a call
   * takes a part of a row, or rows as one, inner must be 1. Scalar f in that order has index (r / inner * K + c) * inner + r % inner, r = f / K, c = f % K.
   */
  uint64_t first, inner;
};

/*
 * Encodes shape->rows rows of `dtype` (MXQ_F32, MXQ_BF16, MXQ_F16; any alignment) at src into codes and scales.
 * runner: who works (runner.h); NULL is the calling thread alone. It never changes the bits.
 * stats may be NULL (then nothing is measured, which is faster); on an error its contents are undefined.
 * Buffers do not overlap. Returns MXQ_OK, MXQ_ERR_USAGE (see mxq_numerics_resolve), MXQ_ERR_NONFINITE, MXQ_ERR_NOMEM.
 * On MXQ_ERR_NONFINITE codes and scales are undefined.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_encode(enum mxq_format format, enum mxq_dtype dtype, const void *src,
                                                  const struct mxq_rows *shape, void *codes, uint8_t *scales,
                                                  const struct mxq_numerics *numerics, const struct mxq_runner *runner,
                                                  struct mxq_stats *stats, struct mxq_error *err);

/*
 * Decodes rows into dtype f32, bf16 or f16 (any alignment): value = element * 2^(b-127), exact in f32 where it fits (rounded once to
 * nearest even and to infinity beyond, for b near 254), then one rounding to nearest even to bf16 or f16, overflow to infinity.
 * NaN results are the quiet NaN with sign 0 and payload 0 (f32 0x7fc00000), whatever the code. MXINT8 code 0x80 decodes to -2.0.
 * *to_inf, when not NULL, is increased by the number of results that are infinite though the f32 value was finite.
 * Returns MXQ_OK, or MXQ_ERR_USAGE when the shape is larger than any memory.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_decode(enum mxq_format format, enum mxq_dtype dtype, const void *codes,
                                                  const uint8_t *scales, const struct mxq_rows *shape, void *dst,
                                                  const struct mxq_runner *runner, uint64_t *to_inf, struct mxq_error *err);

/* The f32 value of an E8M0 byte: 2^(b-127); 0 is the subnormal 2^-127, 255 is NaN. */
MXQ_API float mxq_e8m0_value(uint8_t b);
/* The f32 value of a code (low bits of `code`). E4M3 and E5M2 have NaN and Inf codes. */
MXQ_API float mxq_element_value(enum mxq_element element, uint8_t code);

#ifdef __cplusplus
}
#endif
#endif
