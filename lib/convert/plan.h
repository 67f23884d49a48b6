/* SPDX-License-Identifier: MIT */
/* What the files of a plan share. */
#ifndef MXQ_CONVERT_PLAN_H
#define MXQ_CONVERT_PLAN_H

#include <mxq/program.h>

#include "lib/base/arena.h"
#include "lib/convert/job.h"

struct mxq_plan {
  mxq_reader *reader;
  struct mxq_quantize_options options;
  struct mxq_arena arena;
  struct mxq_plan_entry *entries;
  size_t *index;                     /* of each entry's tensor in the reader */
  size_t *leader;                    /* of each entry: the entry that decides for it and whose bytes count; itself unless it is tied */
  size_t count;
  size_t *items;                     /* the entry of each item of the job */
  const mxq_program *program;        /* of the source, NULL when it has none */
  bool inside;                       /* the program stays, and weights are quantized where they are */
  const char **metadata;             /* the reader's and the options' */
  size_t metadata_count;
  struct mxq_numerics numerics[MXQ_FORMAT_COUNT]; /* resolved, for formats in use */
  struct mxq_job job;
  mxq_writer *writer;                /* filled; used by the first run */
  uint64_t done, total;              /* bytes of a run inside a program, as the writer counts them */
  const char *working;               /* the tensor in work */
  struct mxq_plan_totals totals;
};

/* plan_tensors.c: fills entries, index, leader, count. */
enum mxq_status mxq_plan_tensors(struct mxq_plan *plan, struct mxq_error *err);

#endif
