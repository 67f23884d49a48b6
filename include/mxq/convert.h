/* SPDX-License-Identifier: MIT */
/*
 * Conversions of whole files: plan from metadata, then run. Memory in flight is bounded by a budget, not by the largest tensor.
 */
#ifndef MXQ_CONVERT_H
#define MXQ_CONVERT_H

#include <mxq/archive.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An ordered rule: the first whose regular expression (PCRE2, searched, not anchored) matches a tensor's name wins. */
struct mxq_rule {
  const char *regex;
  enum mxq_format format;       /* NONE keeps the tensor */
  bool has_axes;                /* the blocked run of the tensors it matches; negative numbers count from the end */
  int32_t axis_first, axis_last;
};

/*
 * Parses the text of a rules file: a JSON array whose items are texts "REGEX=FORMAT" (split at the last '=') or objects {"regex": ..., "format": ..., "axes": [first, last]} (axes may be missing).
 * *rules is one block for free(), texts included. MXQ_ERR_MALFORMED with the byte, MXQ_ERR_USAGE (unknown format), MXQ_ERR_NOMEM.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_rules_parse(const char *json, size_t n, struct mxq_rule **rules, size_t *count,
                                                       struct mxq_error *err);

enum mxq_ragged { MXQ_RAGGED_PAD = 0, MXQ_RAGGED_KEEP };

/* All zero: nothing is quantized, numerics by default, one thread, 64 MiB. Pointers must live until the plan is freed. */
struct mxq_quantize_options {
  enum mxq_format format;       /* of tensors that no rule names; NONE keeps them */
  const struct mxq_rule *rules;
  size_t rule_count;
  struct mxq_numerics numerics;
  enum mxq_ragged ragged;
  bool has_axes;                /* the blocked run of every tensor that no rule with axes names; negative numbers count from the end */
  int32_t axis_first, axis_last;
  bool weights_only;            /* of a pt2 program: write a weights archive, without the program */
  unsigned threads;             /* of a pool that lives as long as a run; 0 = 1 */
  const struct mxq_runner *runner; /* not NULL: works instead, and threads is not looked at */
  struct mxq_write_options archive;
  /* Called now and then during a run, from the calling thread; returns true to cancel. tensor is the name in work. May be NULL. */
  bool (*progress)(void *user, uint64_t done_bytes, uint64_t total_bytes, const char *tensor);
  void *user;
};

typedef struct mxq_plan mxq_plan;

/* What happens to one tensor. Texts belong to the plan or the reader. */
struct mxq_plan_entry {
  const struct mxq_tensor *tensor;  /* as the reader has it */
  enum mxq_format format;           /* what it will be; NONE = kept as it is */
  uint32_t axis_first, axis_last;   /* the blocked run, when quantized */
  size_t rule;                      /* index of the rule that named it, SIZE_MAX when the default did */
  const char *reason;               /* one phrase: why kept, or how it is blocked */
  bool warn;                        /* kept although somebody may expect otherwise (f64, fp8, not smaller); named in reports */
  uint64_t bytes_in, bytes_out;     /* data bytes */
};
struct mxq_plan_totals {
  uint64_t tensors, quantized, kept;
  uint64_t bytes_in, bytes_out;     /* tensor data */
  uint64_t file_bytes;              /* of the finished archive */
  uint64_t peak_bytes;              /* anonymous memory that the run will need for its buffers */
  double bits_per_weight;           /* contract: 8 * (codes + scales) / elements over quantized tensors; 0 when there are none */
  bool graph_each;                  /* the program of the archive decodes each tensor */
  bool program;                     /* the source's own program is kept, and decodes its weights */
};

/*
 * Decides from metadata alone what a quantization of everything in `reader` does. The reader must outlive the plan.
 * In a pt2 program (unless weights_only) weights are quantized where they are: a tensor whose use no axis follows from (mxq_program_axes) is kept
 * unless a rule names it or axes are given; one that the program changes is always kept. Tied tensors are quantized once.
 * MXQ_ERR_USAGE: a rule that matches no tensor, a bad regular expression, a scale rule that a format does not take, a rule that names another format for a
 * tensor that is MX already, rules that name different formats for tied tensors, axes that a tensor does not have. MXQ_ERR_NOMEM.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_plan_quantize(mxq_reader *reader, const struct mxq_quantize_options *options,
                                                         mxq_plan **plan, struct mxq_error *err);
MXQ_API size_t mxq_plan_count(const mxq_plan *plan);
MXQ_API const struct mxq_plan_entry *mxq_plan_entry(const mxq_plan *plan, size_t i);
MXQ_API void mxq_plan_totals(const mxq_plan *plan, struct mxq_plan_totals *totals);

/* What a run did. */
struct mxq_summary {
  struct mxq_plan_totals totals;
  struct mxq_stats stats;           /* over all quantized tensors */
  uint64_t to_inf;                  /* dequantize: values that became Inf in the target dtype */
  bool unverified;                  /* some of the input was not checked */
};
/*
 * Carries the plan out, writing a weights archive, or the edited program, to the sink; the caller commits or aborts the sink. Each source byte is read once.
 * MXQ_ERR_NONFINITE: subject is the tensor, offset its flat index in C order. MXQ_ERR_CANCELLED. Reader and writer errors.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_plan_run(mxq_plan *plan, const struct mxq_sink *sink, struct mxq_summary *summary,
                                                    struct mxq_error *err);
MXQ_API void mxq_plan_free(mxq_plan *plan); /* NULL is accepted */

struct mxq_dequantize_options {
  enum mxq_container container;     /* MXQ_SAFETENSORS (the default) or MXQ_PT2 */
  enum mxq_dtype dtype;             /* MXQ_F32, MXQ_BF16, MXQ_F16; MXQ_DTYPE_NONE = each tensor's source dtype */
  unsigned threads;                 /* both as in mxq_quantize_options */
  const struct mxq_runner *runner;
  bool (*progress)(void *user, uint64_t done_bytes, uint64_t total_bytes, const char *tensor);
  void *user;
};
/*
 * Writes every tensor of the reader to a safetensors file: MX tensors decoded, others as they are (kept F4 / F6 tensors with their own dtype again).
 * container MXQ_PT2: of a program the program with plain weights, the decoding nodes taken out (dtype must be NONE or the source's: MXQ_ERR_USAGE
 * otherwise); of other files a weights archive of plain tensors.
 * The caller commits or aborts the sink. `file_bytes` of the summary's totals is the size written.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_dequantize(mxq_reader *reader, const struct mxq_dequantize_options *options,
                                                      const struct mxq_sink *sink, struct mxq_summary *summary, struct mxq_error *err);
/* Size of the file that mxq_dequantize would write. */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_dequantize_size(mxq_reader *reader, const struct mxq_dequantize_options *options,
                                                           uint64_t *bytes, struct mxq_error *err);

/* How two tensors of the same name and shape differ; both are decoded to f32 (other dtypes: compared as bytes). */
struct mxq_difference {
  const char *name;
  bool identical;                   /* the values are bit-identical after decoding, dtype and shape equal */
  bool only_a, only_b;              /* the other file has no such tensor */
  bool shape_differs, dtype_differs;
  /* All three are NaN when not comparable. Where only one of two values is finite, max_abs is +inf, sqnr_db -inf and cosine NaN. */
  double max_abs;
  double sqnr_db;                   /* signal = a, noise = a - b; +inf when equal */
  double cosine;                    /* NaN also when just one of the tensors is all zero */
  /* Of b against a: |b| < |a| where |a| exceeds the largest value that b's block can hold (0 unless b is MX); b = 0 where a is not. */
  uint64_t clipped, zeroed;
};
/* Calls on_tensor for every tensor of a, then for those only in b. Errors as mxq_reader_read; MXQ_ERR_CANCELLED when on_tensor returns true. */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_compare(mxq_reader *a, mxq_reader *b, const struct mxq_runner *runner,
                                                   bool (*on_tensor)(void *user, const struct mxq_difference *difference), void *user,
                                                   struct mxq_error *err);

#ifdef __cplusplus
}
#endif
#endif
