/* SPDX-License-Identifier: MIT */
/* Plans: from metadata alone, what happens to each tensor, and how big everything becomes. Running one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/convert/job.h"

struct mxq_plan {
  mxq_reader *reader;
  struct mxq_quantize_options options;
  struct mxq_arena arena;
  struct mxq_plan_entry *entries;
  size_t *index;                     /* of each entry's tensor in the reader */
  const char **metadata;             /* the reader's and the options' */
  size_t metadata_count;
  struct mxq_numerics numerics[MXQ_FORMAT_COUNT]; /* resolved, for formats in use */
  struct mxq_job job;
  mxq_writer *writer;                /* filled; used by the first run */
  struct mxq_plan_totals totals;
};

static enum mxq_status resolve(struct mxq_plan *p, enum mxq_format format, struct mxq_error *err) {
  if (format == MXQ_FORMAT_NONE)
    return MXQ_OK;
  p->numerics[format] = p->options.numerics;
  return mxq_numerics_resolve(format, &p->numerics[format], err);
}

static enum mxq_status resolve_all(struct mxq_plan *p, struct mxq_error *err) {
  enum mxq_status status = resolve(p, p->options.format, err);
  for (size_t i = 0; status == MXQ_OK && i < p->options.rule_count; i++)
    status = resolve(p, p->options.rules[i].format, err);
  return status;
}

static enum mxq_status refuse_program(const struct mxq_plan *p, struct mxq_error *err) {
  if (mxq_reader_container(p->reader) != MXQ_PT2)
    return MXQ_OK;
  struct mxq_archive_info info;
  mxq_reader_archive_info(p->reader, &info);
  if (info.weights)
    return MXQ_OK;
  return mxq_fail(err, MXQ_ERR_UNSUPPORTED, mxq_reader_path(p->reader),
                  "this archive holds a program, and quantizing inside a program is not available in this version: format none keeps the "
                  "program and adds digests; to quantize its weights, save them as safetensors first");
}

static const char *find_key(const char *const *metadata, size_t count, const char *key) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(metadata[2 * i], key) == 0)
      return metadata[2 * i + 1];
  return NULL;
}

/* The reader's metadata, replaced and completed by the caller's. */
static enum mxq_status join_metadata(struct mxq_plan *p, struct mxq_error *err) {
  const struct mxq_write_options *own = &p->options.archive;
  size_t most = mxq_reader_metadata_count(p->reader) + own->metadata_count;
  p->metadata = mxq_arena_calloc(&p->arena, most + 1, 2 * sizeof *p->metadata);
  if (!p->metadata)
    return mxq_fail_nomem(err, "metadata");
  size_t n = 0;
  for (size_t i = 0; i < mxq_reader_metadata_count(p->reader); i++) {
    const char *key, *value;
    mxq_reader_metadata(p->reader, i, &key, &value);
    if (find_key(own->metadata, own->metadata_count, key))
      continue;
    p->metadata[2 * n] = key;
    p->metadata[2 * n++ + 1] = value;
  }
  for (size_t i = 0; i < own->metadata_count; i++, n++) {
    p->metadata[2 * n] = own->metadata[2 * i];
    p->metadata[2 * n + 1] = own->metadata[2 * i + 1];
  }
  p->metadata_count = n;
  return MXQ_OK;
}

static void describe(const void *context, size_t i, struct mxq_job_item *item) {
  const struct mxq_plan *p = context;
  const struct mxq_plan_entry *e = &p->entries[i];
  *item = (struct mxq_job_item){.out = *e->tensor, .source_dtype = e->tensor->dtype, .index = p->index[i], .bytes_in = e->bytes_in};
  item->out.strides = NULL; /* what is read and written is in C order */
  item->out.storage_offset = 0;
  if (e->format == MXQ_FORMAT_NONE)
    return;
  item->encode = true;
  item->numerics = p->numerics[e->format];
  mxq_block_tensor(&item->out, e->format, e->axis_first, e->axis_last, &item->numerics);
}

static enum mxq_status plan_tensor(struct mxq_plan *p, size_t index, struct mxq_matcher *matcher, struct mxq_error *err) {
  const struct mxq_tensor *t = mxq_reader_tensor(p->reader, index);
  size_t rule = SIZE_MAX;
  enum mxq_status status = mxq_matcher_find(matcher, t->name, &rule, err);
  if (status != MXQ_OK)
    return status;
  bool named = rule != SIZE_MAX;
  enum mxq_format want = named ? p->options.rules[rule].format : p->options.format;
  if (t->format != MXQ_FORMAT_NONE && named && want != MXQ_FORMAT_NONE && want != t->format)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name,
                    "rule '%s' asks for %s, but the tensor is %s already and is never encoded again: dequantize the file first, or let "
                    "the rule say %s or none", p->options.rules[rule].regex, mxq_format_name(want), mxq_format_name(t->format),
                    mxq_format_name(t->format));
  struct mxq_decision d;
  mxq_decide(t, want, named, p->options.ragged, &d);
  char reason[160];
  int n = mxq_decision_text(reason, sizeof reason, t, want, &d);
  struct mxq_plan_entry *e = &p->entries[p->job.count];
  p->index[p->job.count++] = index;
  *e = (struct mxq_plan_entry){.tensor = t, .format = d.format, .rule = rule, .warn = d.warn, .bytes_in = t->bytes, .bytes_out = t->bytes};
  if (d.format != MXQ_FORMAT_NONE) {
    e->axis_first = d.axis_first;
    e->axis_last = d.axis_last;
    e->bytes_out = d.code_bytes + d.scale_bytes;
  }
  e->reason = mxq_arena_text(&p->arena, reason, (size_t)n < sizeof reason ? (size_t)n : sizeof reason - 1);
  return e->reason ? MXQ_OK : mxq_fail_nomem(err, t->name);
}

static enum mxq_status plan_tensors(struct mxq_plan *p, struct mxq_error *err) {
  size_t count = mxq_reader_count(p->reader);
  p->entries = mxq_arena_calloc(&p->arena, count + 1, sizeof *p->entries);
  p->index = mxq_arena_calloc(&p->arena, count + 1, sizeof *p->index);
  if (!p->entries || !p->index)
    return mxq_fail_nomem(err, "plan");
  struct mxq_matcher *matcher = NULL;
  enum mxq_status status = mxq_matcher_open(p->options.rules, p->options.rule_count, &matcher, err);
  if (status != MXQ_OK)
    return status;
  for (size_t i = 0; status == MXQ_OK && i < count; i++)
    if (!mxq_is_program_table(p->reader, mxq_reader_tensor(p->reader, i)))
      status = plan_tensor(p, i, matcher, err);
  size_t unused = status == MXQ_OK ? mxq_matcher_unused(matcher) : SIZE_MAX;
  if (unused != SIZE_MAX)
    status = mxq_fail(err, MXQ_ERR_USAGE, mxq_reader_path(p->reader), "rule '%s=%s' matches no tensor; names are searched, so check spelling and case",
                      p->options.rules[unused].regex, mxq_format_name(p->options.rules[unused].format));
  mxq_matcher_close(matcher);
  return status;
}

static enum mxq_status fill_writer(struct mxq_plan *p, struct mxq_error *err) {
  struct mxq_write_options options = p->options.archive;
  options.metadata = p->metadata;
  options.metadata_count = p->metadata_count;
  enum mxq_status status = mxq_writer_open(MXQ_PT2, &options, &p->writer, err);
  return status == MXQ_OK ? mxq_job_add(&p->job, p->writer, err) : status;
}

static enum mxq_status sum_up(struct mxq_plan *p, struct mxq_error *err) {
  struct mxq_plan_totals *t = &p->totals;
  uint64_t bits_bytes = 0, elements = 0;
  t->tensors = p->job.count;
  for (size_t i = 0; i < p->job.count; i++) {
    const struct mxq_plan_entry *e = &p->entries[i];
    t->bytes_in += e->bytes_in;
    t->bytes_out += e->bytes_out;
    if (e->format == MXQ_FORMAT_NONE)
      continue;
    t->quantized++;
    bits_bytes += e->bytes_out;
    elements += e->tensor->elements;
  }
  t->kept = t->tensors - t->quantized;
  t->bits_per_weight = elements ? 8.0 * (double)bits_bytes / (double)elements : 0;
  t->peak_bytes = mxq_job_peak(&p->job);
  t->graph_each = mxq_writer_graph_each(p->writer);
  return mxq_writer_size(p->writer, &t->file_bytes, err);
}

enum mxq_status mxq_plan_quantize(mxq_reader *reader, const struct mxq_quantize_options *options, mxq_plan **plan,
                                  struct mxq_error *err) {
  *plan = NULL;
  struct mxq_plan *p = calloc(1, sizeof *p);
  if (!p)
    return mxq_fail_nomem(err, "plan");
  p->reader = reader;
  if (options)
    p->options = *options;
  p->job.reader = reader;
  p->job.describe = describe;
  p->job.context = p;
  p->job.threads = p->options.threads;
  p->job.progress = p->options.progress;
  p->job.user = p->options.user;
  enum mxq_status status = resolve_all(p, err);
  if (status == MXQ_OK)
    status = refuse_program(p, err);
  if (status == MXQ_OK)
    status = join_metadata(p, err);
  if (status == MXQ_OK)
    status = plan_tensors(p, err);
  if (status == MXQ_OK)
    status = fill_writer(p, err);
  if (status == MXQ_OK)
    status = sum_up(p, err);
  if (status != MXQ_OK) {
    mxq_plan_free(p);
    return status;
  }
  *plan = p;
  return MXQ_OK;
}

size_t mxq_plan_count(const mxq_plan *plan) { return plan->job.count; }

const struct mxq_plan_entry *mxq_plan_entry(const mxq_plan *plan, size_t i) { return &plan->entries[i]; }

void mxq_plan_totals(const mxq_plan *plan, struct mxq_plan_totals *totals) { *totals = plan->totals; }

enum mxq_status mxq_plan_run(mxq_plan *p, const struct mxq_sink *sink, struct mxq_summary *summary, struct mxq_error *err) {
  enum mxq_status status = p->writer ? MXQ_OK : fill_writer(p, err);
  struct mxq_stats stats = {0};
  if (status == MXQ_OK)
    status = mxq_job_run(&p->job, p->writer, sink, &stats, err);
  mxq_writer_free(p->writer); /* a writer runs once; another run of the plan fills a new one */
  p->writer = NULL;
  if (status == MXQ_OK && summary)
    *summary = (struct mxq_summary){.totals = p->totals, .stats = stats, .unverified = mxq_reader_unverified(p->reader)};
  return status;
}

void mxq_plan_free(mxq_plan *p) {
  if (!p)
    return;
  mxq_writer_free(p->writer);
  mxq_arena_free(&p->arena);
  free(p);
}
