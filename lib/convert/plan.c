/* SPDX-License-Identifier: MIT */
/* Plans: from metadata alone, what happens to each tensor, and how big everything becomes. Running one. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/convert/plan.h"

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

/* Whether there is a program whose weights these are. A weights archive's own program only returns them. */
static enum mxq_status find_program(struct mxq_plan *p, struct mxq_error *err) {
  if (mxq_reader_container(p->reader) != MXQ_PT2)
    return MXQ_OK;
  struct mxq_archive_info info;
  mxq_reader_archive_info(p->reader, &info);
  if (info.weights)
    return MXQ_OK;
  p->inside = !p->options.weights_only;
  return mxq_reader_program(p->reader, &p->program, err);
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
  const struct mxq_plan_entry *e = &p->entries[p->items[i]];
  *item = (struct mxq_job_item){.out = *e->tensor, .source_dtype = e->tensor->dtype, .index = p->index[p->items[i]], .bytes_in = e->bytes_in};
  item->out.strides = NULL; /* what is read and written is in C order */
  item->out.storage_offset = 0;
  if (e->format == MXQ_FORMAT_NONE)
    return;
  item->encode = true;
  item->numerics = p->numerics[e->format];
  mxq_block_item(item, e->format, e->axis_first, e->axis_last);
}

/* A weights archive gets every tensor, a program those that change. */
static enum mxq_status list_items(struct mxq_plan *p, struct mxq_error *err) {
  p->items = mxq_arena_calloc(&p->arena, p->count + 1, sizeof *p->items);
  if (!p->items)
    return mxq_fail_nomem(err, "plan");
  for (size_t i = 0; i < p->count; i++)
    if (!p->inside || (p->leader[i] == i && p->entries[i].format != MXQ_FORMAT_NONE))
      p->items[p->job.count++] = i;
  return MXQ_OK;
}

/* Inside a program the writer counts, because it copies what the job never sees; the job only asks whether to go on. */
static bool count_bytes(void *user, uint64_t done, uint64_t total) {
  struct mxq_plan *p = user;
  p->done = done;
  p->total = total;
  return p->options.progress && p->options.progress(p->options.user, done, total, p->working);
}

static bool go_on(void *user, uint64_t done, uint64_t total, const char *tensor) {
  struct mxq_plan *p = user;
  (void)done;
  (void)total;
  p->working = tensor;
  return p->options.progress && p->options.progress(p->options.user, p->done, p->total, tensor);
}

static enum mxq_status fill_writer(struct mxq_plan *p, struct mxq_error *err) {
  struct mxq_write_options options = p->options.archive;
  options.metadata = p->metadata;
  options.metadata_count = p->metadata_count;
  enum mxq_status status = p->inside ? mxq_writer_open_program(p->reader, &options, count_bytes, p, &p->writer, err)
                                     : mxq_writer_open(MXQ_PT2, &options, &p->writer, err);
  return status == MXQ_OK ? mxq_job_add(&p->job, p->writer, err) : status;
}

static enum mxq_status sum_up(struct mxq_plan *p, struct mxq_error *err) {
  struct mxq_plan_totals *t = &p->totals;
  uint64_t bits_bytes = 0, elements = 0;
  t->tensors = p->count;
  for (size_t i = 0; i < p->count; i++) {
    const struct mxq_plan_entry *e = &p->entries[i];
    t->bytes_in += e->bytes_in;
    t->bytes_out += e->bytes_out;
    if (e->format == MXQ_FORMAT_NONE)
      continue;
    t->quantized++;
    if (p->leader[i] != i)
      continue; /* the same bytes as its leader's */
    bits_bytes += e->bytes_out;
    elements += e->tensor->elements;
  }
  t->kept = t->tensors - t->quantized;
  t->bits_per_weight = elements ? 8.0 * (double)bits_bytes / (double)elements : 0;
  t->peak_bytes = mxq_job_peak(&p->job);
  t->program = p->inside;
  t->graph_each = p->inside || mxq_writer_graph_each(p->writer);
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
  p->job.runner = p->options.runner;
  p->job.progress = p->options.progress;
  p->job.user = p->options.user;
  enum mxq_status status = resolve_all(p, err);
  if (status == MXQ_OK)
    status = find_program(p, err);
  if (status == MXQ_OK)
    status = join_metadata(p, err);
  if (status == MXQ_OK)
    status = mxq_plan_tensors(p, err);
  if (status == MXQ_OK)
    status = list_items(p, err);
  if (p->inside) {
    p->job.progress = go_on;
    p->job.user = p;
  }
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

size_t mxq_plan_count(const mxq_plan *plan) { return plan->count; }

const struct mxq_plan_entry *mxq_plan_entry(const mxq_plan *plan, size_t i) { return &plan->entries[i]; }

void mxq_plan_totals(const mxq_plan *plan, struct mxq_plan_totals *totals) { *totals = plan->totals; }

enum mxq_status mxq_plan_run(mxq_plan *p, const struct mxq_sink *sink, struct mxq_summary *summary, struct mxq_error *err) {
  enum mxq_status status = p->writer ? MXQ_OK : fill_writer(p, err);
  struct mxq_stats stats = {0};
  p->done = p->total = 0;
  p->working = "";
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
