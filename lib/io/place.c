/* SPDX-License-Identifier: MIT */
/* Opening, publishing and discarding the file that a file sink writes. */
#include "lib/io/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/io/io.h"

static int open_retry(int dir, const char *name, int flags, mode_t mode) {
  int fd;
  do
    fd = openat(dir, name, flags | O_CLOEXEC | O_NOCTTY, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

/*
 * Follows symbolic links from `path` to a name that is none (it need not exist): malloced, NULL with errno on failure. Unlike realpath
 * this also follows a link whose target is missing, so that writing through it creates the target.
 */
static char *follow(const char *path) {
  char *here = strdup(path);
  char link[PATH_MAX];
  for (int hops = 0; here; hops++) {
    ssize_t n = readlink(here, link, sizeof link - 1);
    if (n < 0) /* not a link, or not there */
      return here;
    size_t folder = link[0] == '/' ? 0 : (size_t)(mxq_path_base(here) - here);
    char *next = hops < 40 && n > 0 && (size_t)n < sizeof link - 1 ? malloc(folder + (size_t)n + 1) : NULL;
    if (!next) {
      int e = hops >= 40 ? ELOOP : n == 0 ? ENOENT : (size_t)n >= sizeof link - 1 ? ENAMETOOLONG : ENOMEM;
      free(here);
      errno = e;
      return NULL;
    }
    memcpy(next, here, folder);
    memcpy(next + folder, link, (size_t)n);
    next[folder + (size_t)n] = 0;
    free(here);
    here = next;
  }
  errno = ENOMEM;
  return NULL;
}

/* Opens the directory part of `path` and keeps its name part. */
static enum mxq_status open_folder(struct mxq_place *p, const char *path, const char *resolved, struct mxq_error *err) {
  const char *base = mxq_path_base(resolved);
  size_t n = (size_t)(base - resolved);
  p->target = strdup(base);
  char *folder = n ? strndup(resolved, n) : strdup(".");
  enum mxq_status s = MXQ_OK;
  if (!p->target || !folder) {
    s = mxq_fail_nomem(err, path);
  } else if (*base == 0 || strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
    s = mxq_fail_errno(err, MXQ_ERR_WRITE, *resolved ? EISDIR : ENOENT, path, "names no file that could be written");
  } else {
    p->dir = open_retry(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
    p->may_sync_dir = p->dir >= 0;
    if (p->dir < 0 && errno == EACCES) /* writable though not readable: all works but the sync */
      p->dir = open_retry(AT_FDCWD, folder, O_PATH | O_DIRECTORY, 0);
    if (p->dir < 0)
      s = mxq_fail_errno(err, MXQ_ERR_WRITE, errno, path, "cannot open the folder '%s' (the output's folder must be there)", folder);
  }
  free(folder);
  return s;
}

static enum mxq_status check_space(const struct mxq_place *p, const char *path, uint64_t needed, struct mxq_error *err) {
  struct statvfs fs;
  if (needed == 0 || fstatvfs(p->dir, &fs) != 0 || fs.f_blocks == 0)
    return MXQ_OK; /* unknown: the writes will tell */
  uint64_t blocks = geteuid() == 0 ? fs.f_bfree : fs.f_bavail, unit = fs.f_frsize ? fs.f_frsize : fs.f_bsize, free_bytes;
  if (__builtin_mul_overflow(blocks, unit, &free_bytes) || free_bytes >= needed)
    return MXQ_OK;
  return mxq_fail_errno(err, MXQ_ERR_WRITE, ENOSPC, path, "the output needs %llu bytes, its file system has %llu free",
                        (unsigned long long)needed, (unsigned long long)free_bytes);
}

static enum mxq_status create_temp(struct mxq_place *p, const char *path, mode_t mode, struct mxq_error *err) {
  for (long n = 0;; n++) {
    free(p->temp);
    p->temp = mxq_place_name(p->target, (long)getpid(), n);
    if (!p->temp)
      return mxq_fail_nomem(err, path);
    p->fd = open_retry(p->dir, p->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (p->fd < 0 && errno == EEXIST && n < LONG_MAX)
      continue;
    if (p->fd < 0) {
      int e = errno;
      free(p->temp);
      p->temp = NULL;
      return mxq_fail_errno(err, MXQ_ERR_WRITE, e, path, "cannot create a temporary file in its folder");
    }
    /* Between creation and lock another run may have taken it for a leftover. Without locks (ENOLCK, ...) nobody does. */
    struct stat st;
    while (flock(p->fd, LOCK_EX) != 0 && errno == EINTR)
      ;
    if (fstat(p->fd, &st) == 0 && st.st_nlink > 0)
      return MXQ_OK;
    close(p->fd);
    p->fd = -1;
  }
}

static enum mxq_status open_direct(struct mxq_place *p, const char *path, const struct stat *st, bool replace, struct mxq_error *err) {
  if (S_ISDIR(st->st_mode))
    return mxq_fail_errno(err, MXQ_ERR_WRITE, EISDIR, path, "cannot write a file there");
  if (S_ISBLK(st->st_mode) && !replace)
    return mxq_fail(err, MXQ_ERR_EXISTS, path, "is a block device, whose content would be replaced");
  p->direct = true;
  p->fd = open_retry(AT_FDCWD, path, O_WRONLY, 0);
  return p->fd < 0 ? mxq_fail_errno(err, MXQ_ERR_WRITE, errno, path, "cannot open it for writing") : MXQ_OK;
}

enum mxq_status mxq_place_open(const char *path, const struct mxq_file_sink_options *options, struct mxq_place *place, struct mxq_error *err) {
  *place = (struct mxq_place){.fd = -1, .dir = -1, .replace = options && options->replace};
  struct stat st;
  bool there = stat(path, &st) == 0;
  if (there && !S_ISREG(st.st_mode))
    return open_direct(place, path, &st, place->replace, err);
  if (there && !place->replace)
    return mxq_fail(err, MXQ_ERR_EXISTS, path, "the file exists");
  char *resolved = follow(path);
  if (!resolved)
    return errno == ENOMEM ? mxq_fail_nomem(err, path) : mxq_fail_errno(err, MXQ_ERR_WRITE, errno, path, "cannot follow the symbolic link");
  enum mxq_status s = open_folder(place, path, resolved, err);
  free(resolved);
  if (s == MXQ_OK) {
    mxq_place_sweep(place->dir, place->target);
    s = check_space(place, path, options ? options->expected_size : 0, err);
  }
  if (s == MXQ_OK)
    s = create_temp(place, path, there ? st.st_mode & 0777 : 0666, err);
  if (s == MXQ_OK && there) {
    /* Owner as far as we may (root keeps another's file his), then the mode past the umask. */
    (void)!fchown(place->fd, st.st_uid, st.st_gid);
    if (fchmod(place->fd, st.st_mode & 0777) != 0)
      s = mxq_fail_errno(err, MXQ_ERR_WRITE, errno, path, "cannot give the temporary file the permissions of the file that it replaces");
  }
  if (s != MXQ_OK)
    mxq_place_discard(place);
  return s;
}

void mxq_place_discard(struct mxq_place *place) {
  if (place->temp)
    unlinkat(place->dir, place->temp, 0);
  if (place->fd >= 0)
    close(place->fd);
  if (place->dir >= 0)
    close(place->dir);
  free(place->target);
  free(place->temp);
  *place = (struct mxq_place){.fd = -1, .dir = -1};
}

static int sync_retry(int fd) {
  int rc;
  do
    rc = fsync(fd);
  while (rc != 0 && errno == EINTR);
  return rc;
}

/* Gives the temporary file the target's name, over an existing file only with `replace`. 0 or an errno. */
static int rename_to_target(struct mxq_place *p) {
  if (p->replace)
    return renameat(p->dir, p->temp, p->dir, p->target) == 0 ? 0 : errno;
  if (renameat2(p->dir, p->temp, p->dir, p->target, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return errno;
  if (linkat(p->dir, p->temp, p->dir, p->target, 0) == 0)
    return unlinkat(p->dir, p->temp, 0) == 0 ? 0 : errno;
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
    return errno;
  /* A file system with neither: the look before the rename is the best there is. */
  struct stat st;
  if (fstatat(p->dir, p->target, &st, AT_SYMLINK_NOFOLLOW) == 0)
    return EEXIST;
  return renameat(p->dir, p->temp, p->dir, p->target) == 0 ? 0 : errno;
}

enum mxq_status mxq_place_publish(struct mxq_place *place, const char *path, struct mxq_error *err) {
  enum mxq_status s = MXQ_OK;
  if (sync_retry(place->fd) != 0 && !(place->direct && (errno == EINVAL || errno == EROFS || errno == ENOTSUP)))
    s = mxq_fail_errno(err, MXQ_ERR_WRITE, errno, path, "cannot sync the file to disk");
  /* The lock belongs to the open file: a duplicate keeps it past the close, whose result counts, until the new name stands. */
  int lock = -1;
  if (s == MXQ_OK && !place->direct && (lock = fcntl(place->fd, F_DUPFD_CLOEXEC, 0)) < 0)
    s = mxq_fail_errno(err, MXQ_ERR_WRITE, errno, path, "cannot close the file");
  if (s == MXQ_OK) {
    int rc = close(place->fd);
    place->fd = -1; /* closed, whatever close says */
    if (rc != 0 && errno != EINTR)
      s = mxq_fail_errno(err, MXQ_ERR_WRITE, errno, path, "cannot close the file");
  }
  if (s == MXQ_OK && !place->direct) {
    int e = rename_to_target(place);
    if (e == EEXIST && !place->replace)
      s = mxq_fail(err, MXQ_ERR_EXISTS, path, "the file exists: it was made by another while this one was written");
    else if (e)
      s = mxq_fail_errno(err, MXQ_ERR_WRITE, e, path, "cannot give the finished file its name");
    if (s == MXQ_OK) {
      free(place->temp);
      place->temp = NULL; /* nothing to remove any more */
      if (place->may_sync_dir && sync_retry(place->dir) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        s = mxq_fail_errno(err, MXQ_ERR_WRITE, errno, path,
                           "the file is complete and in its place, but a power cut may still undo that: cannot sync its folder");
    }
  }
  mxq_place_discard(place);
  if (lock >= 0)
    close(lock);
  return s;
}
