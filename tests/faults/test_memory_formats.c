/* SPDX-License-Identifier: MIT */
/* Readers, writers, sources and sinks of lib/io, safetensors and npy while each allocation in turn fails: a clean status, nothing leaked. */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mxq/archive.h>

#include "tests/faults/allocations.h"

#if OWN_MALLOC
static enum mxq_status read_all(const char *path, struct mxq_error *err) {
  static unsigned char buf[1 << 16];
  mxq_reader *r;
  enum mxq_status s = mxq_reader_open(path, NULL, &r, err);
  for (size_t i = 0; s == MXQ_OK && i < mxq_reader_count(r); i++) {
    uint64_t n = mxq_reader_part_bytes(r, i, MXQ_PART_DATA);
    s = mxq_reader_read(r, i, MXQ_PART_DATA, 0, buf, n < sizeof buf ? n : sizeof buf, err);
    if (s == MXQ_OK) /* also after a failure the reader is usable */
      continue;
    resting = true;
    enum mxq_status again = mxq_reader_read(r, i, MXQ_PART_DATA, 0, buf, n < sizeof buf ? n : sizeof buf, NULL);
    resting = false;
    if (again != MXQ_OK)
      s = again;
  }
  mxq_reader_close(r);
  return s;
}

static enum mxq_status op_safetensors(struct mxq_error *err) {
  return read_all("testdata/safetensors/good_reference.safetensors", err);
}
static enum mxq_status op_unordered(struct mxq_error *err) {
  return read_all("testdata/safetensors/good_offset_order_differs_from_key_order.safetensors", err);
}
static enum mxq_status op_index(struct mxq_error *err) {
  return read_all("testdata/safetensors/good_sharded.safetensors.index.json", err);
}
static enum mxq_status op_npy(struct mxq_error *err) {
  return read_all("testdata/npy/good_fortran_3d.npy", err);
}
static enum mxq_status op_npz(struct mxq_error *err) {
  return read_all("testdata/npy/good_fortran_savez.npz", err);
}
static enum mxq_status op_verify(struct mxq_error *err) {
  struct mxq_verify_result result;
  enum mxq_status s = mxq_verify("testdata/safetensors/good_reference.safetensors", NULL, NULL, NULL, &result, err);
  return s == MXQ_OK && result.findings ? MXQ_ERR_DAMAGED : s; /* no assertion here: Check allocates itself */
}

static enum mxq_status zeros(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  (void)user, (void)tensor, (void)part, (void)err;
  memset(buf, 0, n);
  return MXQ_OK;
}

static enum mxq_status write_to(struct mxq_sink *sink, struct mxq_error *err) {
  static const char *const metadata[] = {"format", "pt"};
  struct mxq_write_options options = {.metadata = metadata, .metadata_count = 1};
  const uint64_t shape[] = {100, 100};
  mxq_writer *w;
  enum mxq_status s = mxq_writer_open(MXQ_SAFETENSORS, &options, &w, err);
  for (int i = 0; s == MXQ_OK && i < 100; i++) {
    char name[16];
    snprintf(name, sizeof name, "t%d", i);
    struct mxq_tensor t = {.name = name, .dtype = MXQ_F32, .ndim = 2, .shape = shape};
    s = mxq_writer_add(w, &t, err);
  }
  if (s == MXQ_OK)
    s = mxq_writer_run(w, sink, zeros, NULL, err);
  mxq_writer_free(w);
  if (s == MXQ_OK)
    return sink->commit(sink->ctx, err);
  sink->abort(sink->ctx);
  return s;
}
static enum mxq_status op_write_memory(struct mxq_error *err) {
  void *data;
  size_t size;
  struct mxq_sink sink;
  enum mxq_status s = mxq_sink_to_memory(&data, &size, &sink, err);
  if (s == MXQ_OK)
    s = write_to(&sink, err);
  free(data);
  return s;
}
static char target[64];
static enum mxq_status op_write_file(struct mxq_error *err) {
  struct mxq_file_sink_options options = {.replace = true};
  struct mxq_sink sink;
  enum mxq_status s = mxq_sink_open_file(target, &options, &sink, err);
  return s == MXQ_OK ? write_to(&sink, err) : s;
}

static void sweep(const char *name, enum mxq_status (*op)(struct mxq_error *)) {
  struct mxq_error err = {0};
  enum mxq_status s;
  op(&err); /* what libc allocates once */
  watch_allocations(0, false);
  s = op(&err);
  watching = false;
  ck_assert_msg(s == MXQ_OK, "%s: %s", name, err.text);
  ck_assert_int_eq(live, 0);
  long most = calls;
  for (int ever = 0; ever < 2; ever++) {
    for (long n = 1; n <= most; n++) {
      err = (struct mxq_error){0};
      watch_allocations(n, ever);
      s = op(&err);
      watching = false;
      /* Only what is done without may fail in silence: the sweep of leftovers, a shrinking realloc. */
      bool silent = op == op_write_file || op == op_write_memory;
      ck_assert_msg((s == MXQ_ERR_NOMEM && err.code == MXQ_ERR_NOMEM) || (s == MXQ_OK && silent), "%s, allocation %ld: status %d: %s", name, n, s,
                    err.text);
      ck_assert_msg(live == 0, "%s, allocation %ld: %ld blocks leak", name, n, live);
    }
  }
  printf("%s: %ld allocations, each failing once and from then on\n", name, most);
}

START_TEST(every_allocation_may_fail) {
  snprintf(target, sizeof target, "/tmp/mxq-memory-%ld", (long)getpid());
  sweep("safetensors", op_safetensors);
  sweep("safetensors, unordered", op_unordered);
  sweep("safetensors index", op_index);
  sweep("npy", op_npy);
  sweep("npz", op_npz);
  sweep("verify", op_verify);
  sweep("write to memory", op_write_memory);
  sweep("write to a file", op_write_file);
  unlink(target);
}
END_TEST
#endif

int main(void) {
  return RUN_ALLOCATION_TESTS("no memory for formats", every_allocation_may_fail, 1);
}
