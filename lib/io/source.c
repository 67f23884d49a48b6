/* SPDX-License-Identifier: MIT */
/* Sources: a file by pread, the same file mapped, and memory. */
#include "lib/io/io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fail.h"

/* Linux reads at most 0x7ffff000 bytes a call; a round number below. */
enum { MOST = 1 << 30 };

struct file {
  int fd;
  uint64_t size;
  void *map;     /* NULL when not mapped */
  char name[];
};

static enum mxq_status file_read_at(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  const struct file *f = ctx;
  assert(offset <= f->size && n <= f->size - offset);
  /* Also for mapped files: a lost page is an error here, not a signal. */
  for (char *p = buf; n > 0;) {
    ssize_t got = pread(f->fd, p, n < MOST ? n : MOST, (off_t)offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      enum mxq_status s = got < 0 ? mxq_fail_errno(err, MXQ_ERR_IO, errno, f->name, "cannot read at byte %llu", (unsigned long long)offset)
                                  : mxq_fail(err, MXQ_ERR_IO, f->name,
                                             "the file became shorter while it was read: it had %llu bytes, now it ends at byte %llu",
                                             (unsigned long long)f->size, (unsigned long long)offset);
      if (err)
        err->offset = offset;
      return s;
    }
    p += got;
    n -= (size_t)got;
    offset += (uint64_t)got;
  }
  return MXQ_OK;
}

static const void *file_map(void *ctx) {
  return ((const struct file *)ctx)->map;
}

static void file_close(void *ctx) {
  struct file *f = ctx;
  if (f->map && f->size > 0)
    munmap(f->map, (size_t)f->size);
  close(f->fd);
  free(f);
}

static const char *kind(mode_t mode) {
  return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

/* An open descriptor becomes a source. Takes fd over, also on failure. */
static enum mxq_status adopt(int fd, const char *name, bool map, struct mxq_source *source, struct mxq_error *err) {
  struct stat st;
  if (fstat(fd, &st) != 0) {
    int e = errno;
    close(fd);
    return mxq_fail_errno(err, MXQ_ERR_IO, e, name, "cannot inspect the file");
  }
  if (!S_ISREG(st.st_mode)) {
    close(fd);
    enum mxq_status s = mxq_fail(err, MXQ_ERR_IO, name, "is %s, not a regular file: it cannot be read at random", kind(st.st_mode));
    if (err)
      err->sys_errno = S_ISDIR(st.st_mode) ? EISDIR : ESPIPE;
    return s;
  }
  size_t length = strlen(name);
  struct file *f = malloc(sizeof *f + length + 1);
  if (!f) {
    close(fd);
    return mxq_fail_nomem(err, name);
  }
  f->fd = fd;
  f->size = (uint64_t)st.st_size;
  f->map = NULL;
  memcpy(f->name, name, length + 1);
  if (map) {
    if (f->size == 0) {
      f->map = f->name + length; /* nothing to map, but a place that is not NULL */
    } else {
      f->map = f->size <= SIZE_MAX ? mmap(NULL, (size_t)f->size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
      if (f->map == MAP_FAILED) {
        int e = f->size <= SIZE_MAX ? errno : EOVERFLOW;
        f->map = NULL;
        enum mxq_status s = mxq_fail_errno(err, e == ENOMEM ? MXQ_ERR_NOMEM : MXQ_ERR_IO, e, name, "cannot map the file into memory");
        file_close(f);
        return s;
      }
    }
  }
  *source = (struct mxq_source){.ctx = f, .name = f->name, .size = f->size, .read_at = file_read_at, .map = file_map, .close = file_close};
  return MXQ_OK;
}

/* O_NONBLOCK: a pipe without a writer must not hang us; it changes nothing for regular files. */
static int open_at(int dir, const char *name, int flags) {
  int fd;
  do
    fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
  while (fd < 0 && errno == EINTR);
  return fd;
}

static enum mxq_status open_path(const char *path, bool map, struct mxq_source *source, struct mxq_error *err) {
  assert(path && source);
  memset(source, 0, sizeof *source);
  int fd = open_at(AT_FDCWD, path, 0);
  return fd < 0 ? mxq_fail_errno(err, MXQ_ERR_IO, errno, path, "cannot open the file") : adopt(fd, path, map, source, err);
}

enum mxq_status mxq_source_open_file(const char *path, struct mxq_source *source, struct mxq_error *err) {
  return open_path(path, false, source, err);
}

enum mxq_status mxq_source_open_mmap(const char *path, struct mxq_source *source, struct mxq_error *err) {
  return open_path(path, true, source, err);
}

enum mxq_status mxq_source_open_beside(const char *path, const char *name, struct mxq_source *source, struct mxq_error *err) {
  memset(source, 0, sizeof *source);
  size_t folder = (size_t)(mxq_path_base(path) - path), length = strlen(name);
  char *joined = malloc(folder + length + 2);
  if (!joined)
    return mxq_fail_nomem(err, name);
  /* First the folder alone ("." when the path has none), then the joined name for messages. */
  memcpy(joined, folder ? path : ".", folder ? folder : 1);
  joined[folder ? folder : 1] = 0;
  enum mxq_status s = MXQ_OK;
  int fd = -1, dir = open_at(AT_FDCWD, joined, O_DIRECTORY | O_PATH);
  int e = errno;
  memcpy(joined, path, folder);
  memcpy(joined + folder, name, length + 1);
  struct stat st;
  if (dir < 0) {
    s = mxq_fail_errno(err, MXQ_ERR_IO, e, joined, "cannot open the folder of the file");
  } else if ((fd = open_at(dir, name, O_NOFOLLOW)) < 0) {
    e = errno;
    s = e == ELOOP ? mxq_fail_errno(err, MXQ_ERR_IO, e, joined, "is a symbolic link, which is not followed here; put the file itself in its place (cp -L)")
                   : mxq_fail_errno(err, MXQ_ERR_IO, e, joined, "cannot open the file");
  } else if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1) {
    s = mxq_fail(err, MXQ_ERR_IO, joined, "is a hard link (%llu names), which is not followed here; put a copy in its place",
                 (unsigned long long)st.st_nlink);
    close(fd);
  } else {
    s = adopt(fd, joined, false, source, err);
  }
  if (dir >= 0)
    close(dir);
  free(joined);
  return s;
}

static enum mxq_status memory_read_at(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  (void)err;
  if (n > 0)
    memcpy(buf, (const char *)ctx + offset, n);
  return MXQ_OK;
}

static const void *memory_map(void *ctx) {
  return ctx;
}

void mxq_source_from_memory(const void *data, size_t size, struct mxq_source *source) {
  *source = (struct mxq_source){
      .ctx = (void *)(uintptr_t)data, .name = "", .size = size, .read_at = memory_read_at, .map = memory_map};
}

void mxq_source_close(struct mxq_source *source) {
  if (source->close)
    source->close(source->ctx);
  memset(source, 0, sizeof *source);
}
