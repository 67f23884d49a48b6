/* SPDX-License-Identifier: MIT */
/*
 * Sources and sinks: where bytes come from and go to. Files, memory, or your own: fill in the struct.
 * One source or sink is used by one thread at a time, except that read_at of the sources made here may be called from several.
 */
#ifndef MXQ_IO_H
#define MXQ_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <mxq/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes to read at random. `name` is used in error messages and belongs to the implementation; it may be "". */
struct mxq_source {
  void *ctx;
  const char *name;
  uint64_t size;
  /* Reads exactly n bytes at offset (offset + n <= size holds). A file that became shorter is MXQ_ERR_IO. */
  enum mxq_status (*read_at)(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err);
  /* All `size` bytes in memory, valid until close; or NULL when the source has no such thing (the member may be NULL too). */
  const void *(*map)(void *ctx);
  /* Releases ctx; may be NULL. */
  void (*close)(void *ctx);
};

/*
 * A regular file, read with pread: a file that is cut short by others while it is read gives an error, never a signal.
 * MXQ_ERR_IO (missing, unreadable, not a regular file; with sys_errno and the path as subject) or MXQ_ERR_NOMEM.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_source_open_file(const char *path, struct mxq_source *source, struct mxq_error *err);
/*
 * The same file mapped into memory, so that map() works. Opt-in, because a file that is cut short while it is mapped
 * raises SIGBUS in whoever touches the lost pages: use it for files that nobody changes.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_source_open_mmap(const char *path, struct mxq_source *source, struct mxq_error *err);
/* Bytes that the caller keeps alive and unchanged until close. Cannot fail. */
MXQ_API void mxq_source_from_memory(const void *data, size_t size, struct mxq_source *source);
/* Closes and zeroes the struct; a zeroed struct is accepted. */
MXQ_API void mxq_source_close(struct mxq_source *source);

/*
 * Bytes to write. Nothing is visible to others before commit succeeds. After the last write exactly one of commit and abort is called; both
 * release ctx, commit also when it fails (what was there before is then still there; only when the folder cannot be synced after the new
 * file got its name, the error says so and the new file is there). After a write that failed, commit fails too.
 */
struct mxq_sink {
  void *ctx;
  const char *name;
  /* Writes n bytes at offset. Bytes never written are zero. Short writes and EINTR are dealt with inside. */
  enum mxq_status (*write_at)(void *ctx, uint64_t offset, const void *buf, size_t n, struct mxq_error *err);
  /* Reads back n bytes that were written before; may be NULL. */
  enum mxq_status (*read_at)(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err);
  enum mxq_status (*commit)(void *ctx, struct mxq_error *err);
  void (*abort)(void *ctx);
};

/* How a file sink treats what is there. */
struct mxq_file_sink_options {
  bool replace;            /* replace an existing file; else MXQ_ERR_EXISTS */
  uint64_t expected_size;  /* if > 0: MXQ_ERR_WRITE with ENOSPC at once when the file system has less free space */
};

/*
 * A file that appears whole or not at all: a temporary file in the same directory, fsync, rename over `path` (or link, when it must not exist),
 * fsync of the directory. Permissions: 0666 less the umask, or those of the file that is replaced. A symbolic link is followed: its target is replaced.
 * Leftovers of killed runs with the same path are removed. A path that is no regular file (a device such as /dev/full, a pipe) is
 * opened and written directly, in order only. options may be NULL.
 * MXQ_ERR_EXISTS, MXQ_ERR_WRITE (sys_errno, path as subject), MXQ_ERR_NOMEM.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_sink_open_file(const char *path, const struct mxq_file_sink_options *options,
                                                          struct mxq_sink *sink, struct mxq_error *err);
/*
 * A growing buffer. On commit *data (allocated with malloc, the caller frees it) and *size are set; on abort both become NULL and 0.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_sink_to_memory(void **data, size_t *size, struct mxq_sink *sink, struct mxq_error *err);

#ifdef __cplusplus
}
#endif
#endif
