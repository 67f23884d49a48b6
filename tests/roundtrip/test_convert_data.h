/* SPDX-License-Identifier: MIT */
/* For tests of conversions: tensors in memory, files in memory, readers on them. */
#ifndef TEST_CONVERT_DATA_H
#define TEST_CONVERT_DATA_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <mxq/mxq.h>

struct given {
  const char *name;
  enum mxq_dtype dtype;
  uint32_t ndim;
  uint64_t shape[8];
  const void *data;
  enum mxq_format format;            /* MX: data holds codes, then scales */
  uint32_t axis_first, axis_last;
};

static inline void ok_(enum mxq_status status, const struct mxq_error *err, const char *file, int line) {
  if (status != MXQ_OK)
    ck_abort_msg("%s:%d: %s: %s: %s", file, line, mxq_status_name(status), err->subject, err->text);
}
#define OK(call) ok_((call), &err, __FILE__, __LINE__)

static inline uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

/* n scalars shaped like weights: sums of uniforms, with a scale that changes along the way. */
static inline void *weights(enum mxq_dtype dtype, size_t n, uint64_t seed) {
  size_t scalar = mxq_dtype_bits(dtype) / 8;
  unsigned char *data = malloc(n * scalar + 1);
  ck_assert_ptr_nonnull(data);
  for (size_t i = 0; i < n; i++) {
    uint64_t r = next_random(&seed);
    float x = (float)((int)(r & 0xFFFF) + (int)(r >> 16 & 0xFFFF) - (int)(r >> 32 & 0xFFFF) - (int)(r >> 48)) / 65536.0f;
    x = ldexpf(x, (int)(i / 1000 % 9) - 6);
    if (dtype == MXQ_F32) {
      memcpy(data + 4 * i, &x, 4);
    } else if (dtype == MXQ_BF16) {
      uint32_t u;
      memcpy(&u, &x, 4);
      memcpy(data + 2 * i, (unsigned char *)&u + 2, 2);
    } else { /* f16: any bits with a moderate exponent */
      uint16_t h = (uint16_t)((r & 0x83FF) | ((5 + (r >> 20) % 16) << 10));
      memcpy(data + 2 * i, &h, 2);
    }
  }
  return data;
}

struct giving {
  const struct given *given;
  size_t pos, last;
  enum mxq_part part;
};

static inline uint64_t count_of(const struct given *g) {
  uint64_t n = 1;
  for (uint32_t a = 0; a < g->ndim; a++)
    n *= g->shape[a];
  return n;
}

static inline enum mxq_status give(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  struct giving *s = user;
  (void)err;
  if (s->last != tensor) {
    s->last = tensor;
    s->pos = 0;
  }
  s->part = part; /* codes and scales follow one another in `data` */
  memcpy(buf, (const char *)s->given[tensor].data + s->pos, n);
  s->pos += n;
  return MXQ_OK;
}

struct box {
  void *data;
  size_t size;
};

/* A file of the given tensors, in memory. */
static inline struct box file_of(enum mxq_container container, const struct given *given, size_t count, const char *const *metadata,
                                 size_t metadata_count) {
  struct mxq_error err = {0};
  struct mxq_write_options options = {.metadata = metadata, .metadata_count = metadata_count};
  mxq_writer *w = NULL;
  struct box box = {0};
  struct mxq_sink sink;
  OK(mxq_writer_open(container, &options, &w, &err));
  for (size_t i = 0; i < count; i++) {
    const struct given *g = &given[i];
    struct mxq_tensor t = {.name = g->name, .dtype = g->dtype, .ndim = g->ndim, .shape = g->shape, .elements = count_of(g),
                           .format = g->format, .axis_first = g->axis_first, .axis_last = g->axis_last};
    t.bytes = t.elements * mxq_dtype_bits(t.dtype) / 8;
    if (t.format != MXQ_FORMAT_NONE) {
      t.k = 1;
      for (uint32_t a = t.axis_first; a <= t.axis_last; a++)
        t.k *= t.shape[a];
      t.rows = t.elements / t.k;
      t.bytes = t.rows * (mxq_row_code_bytes(t.format, t.k) + mxq_row_blocks(t.k));
      t.scale_rule = "auto", t.compat = "-", t.round = "rne", t.neg_zero = "keep", t.nonfinite = "error";
    }
    OK(mxq_writer_add(w, &t, &err));
  }
  struct giving giving = {.given = given, .last = SIZE_MAX};
  OK(mxq_sink_to_memory(&box.data, &box.size, &sink, &err));
  OK(mxq_writer_run(w, &sink, give, &giving, &err));
  OK(sink.commit(sink.ctx, &err));
  mxq_writer_free(w);
  return box;
}

static inline mxq_reader *open_box(struct box box) {
  struct mxq_error err = {0};
  struct mxq_source source;
  mxq_reader *reader = NULL;
  mxq_source_from_memory(box.data, box.size, &source);
  OK(mxq_reader_open_source(&source, NULL, &reader, &err));
  return reader;
}

/* A memory source that does not show its memory, so that reading goes through read_at. */
struct hidden {
  struct box box;
  uint64_t bytes_read;
};
static inline enum mxq_status hidden_read(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct hidden *h = ctx;
  (void)err;
  ck_assert(offset <= h->box.size && n <= h->box.size - offset);
  memcpy(buf, (char *)h->box.data + offset, n);
  h->bytes_read += n;
  return MXQ_OK;
}
static inline mxq_reader *open_hidden(struct hidden *h) {
  struct mxq_error err = {0};
  struct mxq_source source = {.ctx = h, .name = "hidden", .size = h->box.size, .read_at = hidden_read};
  mxq_reader *reader = NULL;
  OK(mxq_reader_open_source(&source, NULL, &reader, &err));
  return reader;
}

/* Quantizes what the reader has, into memory. */
static inline struct box quantized(mxq_reader *reader, const struct mxq_quantize_options *options, struct mxq_summary *summary) {
  struct mxq_error err = {0};
  struct box box = {0};
  struct mxq_sink sink;
  mxq_plan *plan = NULL;
  OK(mxq_plan_quantize(reader, options, &plan, &err));
  OK(mxq_sink_to_memory(&box.data, &box.size, &sink, &err));
  OK(mxq_plan_run(plan, &sink, summary, &err));
  OK(sink.commit(sink.ctx, &err));
  mxq_plan_free(plan);
  return box;
}

#endif
