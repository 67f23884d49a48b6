/* SPDX-License-Identifier: MIT */
/* A sink that grows a buffer. */
#include "lib/io/io.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"

struct memory {
  char *data;
  size_t size, capacity;
  void **out;
  size_t *out_size;
};

static enum mxq_status memory_write_at(void *ctx, uint64_t offset, const void *buf, size_t n, struct mxq_error *err) {
  struct memory *m = ctx;
  if (n == 0)
    return MXQ_OK;
  if (offset > SIZE_MAX / 2 || n > SIZE_MAX / 2 - offset)
    return mxq_fail_nomem(err, "");
  size_t begin = (size_t)offset, end = begin + n;
  if (end > m->capacity) {
    size_t room = m->capacity;
    while (room < end)
      room *= 2;
    char *grown = realloc(m->data, room);
    if (!grown)
      return mxq_fail_nomem(err, "");
    m->data = grown;
    m->capacity = room;
  }
  if (begin > m->size)
    memset(m->data + m->size, 0, begin - m->size);
  memcpy(m->data + begin, buf, n);
  if (end > m->size)
    m->size = end;
  return MXQ_OK;
}

static enum mxq_status memory_read_at(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  const struct memory *m = ctx;
  (void)err;
  assert(offset <= m->size && n <= m->size - offset);
  if (n > 0)
    memcpy(buf, m->data + offset, n);
  return MXQ_OK;
}

static enum mxq_status memory_commit(void *ctx, struct mxq_error *err) {
  struct memory *m = ctx;
  (void)err;
  char *fitted = realloc(m->data, m->size ? m->size : 1);
  *m->out = fitted ? fitted : m->data; /* shrinking may fail: then the block is only larger than needed */
  *m->out_size = m->size;
  free(m);
  return MXQ_OK;
}

static void memory_abort(void *ctx) {
  struct memory *m = ctx;
  *m->out = NULL;
  *m->out_size = 0;
  free(m->data);
  free(m);
}

enum mxq_status mxq_sink_to_memory(void **data, size_t *size, struct mxq_sink *sink, struct mxq_error *err) {
  assert(data && size && sink);
  *data = NULL;
  *size = 0;
  memset(sink, 0, sizeof *sink);
  struct memory *m = malloc(sizeof *m);
  char *first = malloc(4096);
  if (!m || !first) {
    free(m);
    free(first);
    return mxq_fail_nomem(err, "");
  }
  *m = (struct memory){.data = first, .capacity = 4096, .out = data, .out_size = size};
  *sink = (struct mxq_sink){.ctx = m,
                            .name = "",
                            .write_at = memory_write_at,
                            .read_at = memory_read_at,
                            .commit = memory_commit,
                            .abort = memory_abort};
  return MXQ_OK;
}
