/* SPDX-License-Identifier: MIT */
/* Names of temporary files, and the removal of those whose writers were killed. */
#include "lib/io/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* NAME_MAX is 255: longer targets are cut and told apart by a hash. */
enum { LONGEST = 180, ROOM = 256 };

char *mxq_place_name(const char *target, long pid, long n) {
  char *name = malloc(ROOM);
  if (!name)
    return NULL;
  size_t length = strlen(target);
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ (unsigned char)target[i]) * 1099511628211u;
  int used = length <= LONGEST ? snprintf(name, ROOM, ".%s.mxq-tmp.", target)
                               : snprintf(name, ROOM, ".%.*s~%016llx.mxq-tmp.", LONGEST - 17, target, (unsigned long long)hash);
  if (n >= 0)
    snprintf(name + used, (size_t)(ROOM - used), "%ld.%ld", pid, n);
  return name;
}

/* "123.4" -> 123; 0 when the text is anything else. */
static long owner(const char *s) {
  char *end;
  if (*s < '1' || *s > '9')
    return 0;
  errno = 0;
  long pid = strtol(s, &end, 10);
  if (errno || *end != '.' || end[1] < '0' || end[1] > '9' || strspn(end + 1, "0123456789") != strlen(end + 1))
    return 0;
  return pid;
}

static void remove_if_dead(int dir, const char *name, long pid) {
  int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return;
  struct stat held, named;
  bool dead = false;
  if (fstat(fd, &held) == 0 && S_ISREG(held.st_mode)) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
      dead = true;
    else if (errno != EWOULDBLOCK) /* a file system without locks: ask for the process */
      dead = kill((pid_t)pid, 0) != 0 && errno == ESRCH;
    /* The name may have passed on to another file since it was opened. */
    if (dead && fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == held.st_ino && named.st_dev == held.st_dev)
      unlinkat(dir, name, 0);
  }
  close(fd);
}

void mxq_place_sweep(int dir, const char *target) {
  char *prefix = mxq_place_name(target, 0, -1);
  int fd = prefix ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
  if (d) {
    size_t n = strlen(prefix);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
      long pid = strncmp(e->d_name, prefix, n) == 0 ? owner(e->d_name + n) : 0;
      if (pid > 0)
        remove_if_dead(dir, e->d_name, pid);
    }
    closedir(d);
  } else if (fd >= 0) {
    close(fd);
  }
  free(prefix);
}
