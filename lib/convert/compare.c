/* SPDX-License-Identifier: MIT */
/* Comparing two files, tensor by tensor, in bounded memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/convert/values.h"

/* Elements compared at a time. */
#define CHUNK ((size_t)128 << 10)

struct comparison {
  mxq_reader *a, *b;
  const struct mxq_runner *runner;
  struct mxq_values va, vb, limits;
  struct mxq_buffer buffer[3];
};

/* Sums over the elements whose difference is a number. */
struct sums {
  double signal_a, signal_b, product, noise, max_abs;
  uint64_t clipped, zeroed;
  bool different_bits, beyond;       /* beyond: one is a number, the other NaN or Inf */
};

static bool is_float(enum mxq_dtype dtype) {
  return dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16;
}

static bool decodes(const struct mxq_tensor *t) {
  return t->format != MXQ_FORMAT_NONE || is_float(t->dtype);
}

static void compare_values(struct sums *s, const float *a, const float *b, const float *limit, size_t n) {
  s->different_bits |= memcmp(a, b, n * sizeof *a) != 0;
  for (size_t i = 0; i < n; i++) {
    double x = a[i], y = b[i], d = x - y;
    if (isfinite(d)) {
      s->signal_a += x * x;
      s->signal_b += y * y;
      s->product += x * y;
      s->noise += d * d;
      s->max_abs = fabs(d) > s->max_abs ? fabs(d) : s->max_abs;
      s->zeroed += y == 0 && x != 0;
    } else if (!(x == y || (isnan(x) && isnan(y)))) {
      s->beyond = true;
    }
    if (limit)
      s->clipped += isfinite(x) && fabsf(b[i]) < fabsf(a[i]) && fabsf(a[i]) > limit[i];
  }
}

static void conclude(const struct sums *s, struct mxq_difference *d) {
  d->clipped = s->clipped;
  d->zeroed = s->zeroed;
  d->max_abs = s->beyond ? INFINITY : s->max_abs;
  double noise = s->beyond ? INFINITY : s->noise;
  d->sqnr_db = noise == 0 ? INFINITY : isinf(noise) ? -INFINITY : 10 * log10(s->signal_a / noise);
  if (s->beyond)
    d->cosine = NAN;
  else if (s->noise == 0)
    d->cosine = 1;
  else
    d->cosine = s->product / (sqrt(s->signal_a) * sqrt(s->signal_b)); /* NaN when one of them is all zero: there is no angle */
}

static enum mxq_status compare_floats(struct comparison *c, size_t ia, size_t ib, struct mxq_difference *d, struct mxq_error *err) {
  struct sums s = {0};
  bool limits = mxq_reader_tensor(c->b, ib)->format != MXQ_FORMAT_NONE;
  enum mxq_status status = mxq_values_start(&c->va, c->a, ia, MXQ_F32, c->runner, err);
  if (status == MXQ_OK)
    status = mxq_values_start(&c->vb, c->b, ib, MXQ_F32, c->runner, err);
  if (status == MXQ_OK && limits)
    status = mxq_values_start(&c->limits, c->b, ib, MXQ_F32, c->runner, err);
  if (status != MXQ_OK)
    return status;
  c->limits.limits = true;
  for (int i = 0; i < 2 + limits; i++)
    if (!mxq_buffer_need(&c->buffer[i], CHUNK * sizeof(float)))
      return mxq_fail_nomem(err, d->name);
  float *a = (float *)(void *)c->buffer[0].data, *b = (float *)(void *)c->buffer[1].data, *limit = (float *)(void *)c->buffer[2].data;
  for (uint64_t left = c->va.tensor->elements; left > 0;) {
    size_t n = left < CHUNK ? (size_t)left : CHUNK;
    status = mxq_values_read(&c->va, a, n * sizeof *a, err);
    if (status == MXQ_OK)
      status = mxq_values_read(&c->vb, b, n * sizeof *b, err);
    if (status == MXQ_OK && limits)
      status = mxq_values_read(&c->limits, limit, n * sizeof *limit, err);
    if (status != MXQ_OK)
      return status;
    compare_values(&s, a, b, limits ? limit : NULL, n);
    left -= n;
  }
  d->identical = !s.different_bits && !d->dtype_differs;
  conclude(&s, d);
  return MXQ_OK;
}

/* Other dtypes: the bytes are equal, or nothing can be said. */
static enum mxq_status compare_bytes(struct comparison *c, size_t ia, size_t ib, struct mxq_difference *d, struct mxq_error *err) {
  enum mxq_status status = mxq_values_start(&c->va, c->a, ia, mxq_reader_tensor(c->a, ia)->dtype, NULL, err);
  if (status == MXQ_OK)
    status = mxq_values_start(&c->vb, c->b, ib, mxq_reader_tensor(c->b, ib)->dtype, NULL, err);
  if (status == MXQ_OK && (!mxq_buffer_need(&c->buffer[0], CHUNK) || !mxq_buffer_need(&c->buffer[1], CHUNK)))
    status = mxq_fail_nomem(err, d->name);
  bool equal = status == MXQ_OK;
  for (uint64_t left = mxq_values_bytes(&c->va); status == MXQ_OK && equal && left > 0;) {
    size_t n = left < CHUNK ? (size_t)left : CHUNK;
    status = mxq_values_read(&c->va, c->buffer[0].data, n, err);
    if (status == MXQ_OK)
      status = mxq_values_read(&c->vb, c->buffer[1].data, n, err);
    equal = status == MXQ_OK && memcmp(c->buffer[0].data, c->buffer[1].data, n) == 0;
    left -= n;
  }
  if (equal) {
    d->identical = true;
    d->max_abs = 0;
    d->sqnr_db = INFINITY;
    d->cosine = 1;
  }
  return status;
}

static enum mxq_status compare_pair(struct comparison *c, size_t ia, size_t ib, struct mxq_difference *d, struct mxq_error *err) {
  const struct mxq_tensor *a = mxq_reader_tensor(c->a, ia), *b = mxq_reader_tensor(c->b, ib);
  d->shape_differs = a->ndim != b->ndim || (a->ndim > 0 && memcmp(a->shape, b->shape, a->ndim * sizeof *a->shape) != 0);
  d->dtype_differs = mxq_values_default(a) != mxq_values_default(b);
  if (d->shape_differs)
    return MXQ_OK;
  if (decodes(a) && decodes(b))
    return compare_floats(c, ia, ib, d, err);
  return d->dtype_differs ? MXQ_OK : compare_bytes(c, ia, ib, d, err);
}

/* The tensor of that name, SIZE_MAX when the reader has none that counts. */
static size_t find(mxq_reader *reader, const char *name) {
  size_t i = mxq_reader_find(reader, name);
  return i == SIZE_MAX || mxq_is_program_table(reader, mxq_reader_tensor(reader, i)) ? SIZE_MAX : i;
}

enum mxq_status mxq_compare(mxq_reader *a, mxq_reader *b, const struct mxq_runner *runner,
                            bool (*on_tensor)(void *user, const struct mxq_difference *difference), void *user, struct mxq_error *err) {
  struct comparison c = {.a = a, .b = b, .runner = runner};
  enum mxq_status status = MXQ_OK;
  size_t na = mxq_reader_count(a), nb = mxq_reader_count(b);
  for (size_t i = 0; status == MXQ_OK && i < na + nb; i++) {
    bool in_a = i < na;
    mxq_reader *reader = in_a ? a : b;
    const struct mxq_tensor *t = mxq_reader_tensor(reader, in_a ? i : i - na);
    if (mxq_is_program_table(reader, t))
      continue;
    struct mxq_difference d = {.name = t->name, .max_abs = NAN, .sqnr_db = NAN, .cosine = NAN};
    size_t other = find(in_a ? b : a, t->name);
    if (in_a && other != SIZE_MAX)
      status = compare_pair(&c, i, other, &d, err);
    else if (other != SIZE_MAX)
      continue;
    d.only_a = in_a && other == SIZE_MAX;
    d.only_b = !in_a;
    if (status == MXQ_OK && on_tensor(user, &d))
      status = mxq_fail(err, MXQ_ERR_CANCELLED, t->name, "cancelled");
  }
  mxq_values_free(&c.va);
  mxq_values_free(&c.vb);
  mxq_values_free(&c.limits);
  for (int i = 0; i < 3; i++)
    mxq_buffer_free(&c.buffer[i]);
  return status;
}
