/* SPDX-License-Identifier: MIT */
/*
 * What the files of lib/convert share: deciding what becomes of a tensor, and carrying a list of such decisions out.
 */
#ifndef MXQ_CONVERT_JOB_H
#define MXQ_CONVERT_JOB_H

#include <mxq/convert.h>

/* Source bytes that are in work at a time. Fixed: the order in which statistics are summed must not depend on anything else. */
#define MXQ_CHUNK ((size_t)4 << 20)
/* Scale bytes of one tensor that are held in memory until its codes are written; more go to an unlinked file. */
#define MXQ_SCALES_IN_MEMORY ((uint64_t)8 << 20)

/* ---- decide.c: metadata only ---- */

enum mxq_because {
  MXQ_QUANTIZED, MXQ_KEEP_UNNAMED, MXQ_KEEP_RULE, MXQ_KEEP_MX, MXQ_KEEP_EMPTY, MXQ_KEEP_DTYPE, MXQ_KEEP_0D, MXQ_KEEP_1D,
  MXQ_KEEP_RAGGED, MXQ_KEEP_NOT_SMALLER,
  MXQ_KEEP_CONSTANT, MXQ_KEEP_NONPERSISTENT, MXQ_KEEP_CHANGED, MXQ_KEEP_USE, /* of programs; the last two for program_reason */
  MXQ_BAD_AXES                      /* the pair that was asked for is none of the tensor's */
};
/* What is wanted of a tensor. */
struct mxq_wish {
  enum mxq_format format;
  bool named;                       /* a rule or the caller names this very tensor, so that one of one dimension is quantized too */
  enum mxq_ragged ragged;
  bool has_axes;                    /* the blocked run; negative numbers count from the end */
  int32_t axis_first, axis_last;
  bool program;                     /* a weight of a program, whose constants stay as they are */
  enum mxq_because keep;            /* not MXQ_QUANTIZED: where the tensor could be quantized, it is kept for this reason nevertheless */
  const char *program_reason;       /* what follows from its uses, NULL when nothing does */
};
struct mxq_decision {
  enum mxq_because because;
  enum mxq_format format;           /* NONE: kept */
  uint32_t axis_first, axis_last;
  uint64_t rows, k, code_bytes, scale_bytes;
  bool warn;
};
void mxq_decide(const struct mxq_tensor *tensor, const struct mxq_wish *wish, struct mxq_decision *decision);
/* One phrase for people. Returns what snprintf does. */
int mxq_decision_text(char *buf, size_t size, const struct mxq_tensor *tensor, const struct mxq_wish *wish,
                      const struct mxq_decision *decision);
/* True for the tables that a weights archive's own program carries: they are no tensors of the user's. */
bool mxq_is_program_table(const mxq_reader *reader, const struct mxq_tensor *tensor);

/*
 * tied.c: tensors over one view of the same stored bytes share a leader, a parameter or buffer if there is one. leader[i] is its number, i itself
 * for a leader; next links each leader to the others, in order, and SIZE_MAX ends that. Both have room for `count`. False: out of memory.
 */
bool mxq_tie(const struct mxq_tensor *const *tensors, size_t count, size_t *leader, size_t *next);

/* ---- rules.c ---- */

struct mxq_matcher;
/* Compiles rules, which must live as long. MXQ_ERR_USAGE (bad expression), MXQ_ERR_NOMEM. */
enum mxq_status mxq_matcher_open(const struct mxq_rule *rules, size_t count, struct mxq_matcher **matcher, struct mxq_error *err);
/* The first rule that matches, SIZE_MAX when none does. Rules behind it that match too count as having matched. */
enum mxq_status mxq_matcher_find(struct mxq_matcher *matcher, const char *name, size_t *rule, struct mxq_error *err);
/* The first rule that never matched, SIZE_MAX when there is none. */
size_t mxq_matcher_unused(const struct mxq_matcher *matcher);
void mxq_matcher_close(struct mxq_matcher *matcher); /* NULL is accepted */

/* ---- buffer.c: memory that grows and is used again ---- */

struct mxq_buffer {
  unsigned char *data;
  size_t size;
};
/* At least n bytes, their contents lost. False: out of memory, the buffer is as it was. */
bool mxq_buffer_need(struct mxq_buffer *buffer, size_t n);
void mxq_buffer_free(struct mxq_buffer *buffer);

/* Bytes that are written once and then read once, in order, `total` of them: in memory up to MXQ_SCALES_IN_MEMORY, else in a file without a name. */
struct mxq_spill {
  struct mxq_buffer memory;
  int fd;                            /* one more than the descriptor, so that zero means none */
  bool in_file;
  uint64_t total, written, taken;
};
enum mxq_status mxq_spill_start(struct mxq_spill *spill, uint64_t total, struct mxq_error *err);
/* Where the next n bytes may be put (in memory only; NULL when the file is in use), then mxq_spill_put(spill, that place, n). */
unsigned char *mxq_spill_place(struct mxq_spill *spill);
enum mxq_status mxq_spill_put(struct mxq_spill *spill, const void *data, size_t n, struct mxq_error *err);
enum mxq_status mxq_spill_take(struct mxq_spill *spill, void *buf, size_t n, struct mxq_error *err);
void mxq_spill_free(struct mxq_spill *spill);

/* ---- job.c: pull, encode, push ---- */

struct mxq_job_item {
  struct mxq_tensor out;             /* what the writer is told; format NONE or an MX format */
  bool encode;                       /* the source is f32, bf16 or f16 and becomes out.format; else its parts are copied */
  enum mxq_dtype source_dtype;
  const void *data;                  /* the source's values when they are in memory, else NULL: tensor `index` of the reader */
  size_t index;
  struct mxq_numerics numerics;      /* resolved */
  char round_text[32];               /* what out.round is, where it has a seed */
  uint64_t bytes_in;
};
struct mxq_job {
  mxq_reader *reader;                /* NULL when every item has data */
  /* Describes item i. Items are made when they are needed: a hundred thousand of them at once would fill the memory that a run may take. */
  void (*describe)(const void *context, size_t i, struct mxq_job_item *item);
  const void *context;
  size_t count;
  unsigned threads;                  /* of a pool of the run's own, unless there is a runner */
  const struct mxq_runner *runner;
  bool (*progress)(void *user, uint64_t done_bytes, uint64_t total_bytes, const char *tensor);
  void *user;
};
/* Adds all items to the writer, in order. */
enum mxq_status mxq_job_add(const struct mxq_job *job, mxq_writer *writer, struct mxq_error *err);
/* Runs the writer, adding to *stats. */
enum mxq_status mxq_job_run(const struct mxq_job *job, mxq_writer *writer, const struct mxq_sink *sink, struct mxq_stats *stats,
                            struct mxq_error *err);
/* Bytes of the buffers that a run uses. */
uint64_t mxq_job_peak(const struct mxq_job *job);
/* Makes of an item's ordinary tensor what the writer is told of its MX form: blocked run, sizes, the options in force (item->numerics) by name. The item
   may not move afterwards. */
void mxq_block_item(struct mxq_job_item *item, enum mxq_format format, uint32_t axis_first, uint32_t axis_last);

/* Progress: counts bytes and asks the caller now and then. */
struct mxq_progress {
  bool (*call)(void *user, uint64_t done_bytes, uint64_t total_bytes, const char *tensor);
  void *user;
  uint64_t done, total, told;
};
/* MXQ_ERR_CANCELLED when the caller wants to stop. */
enum mxq_status mxq_progress_add(struct mxq_progress *progress, uint64_t n, const char *tensor, struct mxq_error *err);

#endif
