/* SPDX-License-Identifier: MIT */
/* Temporary files that no other process sees and that no crash leaves behind. */
#include "lib/base/nameless.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A file without a name: on disk in /var/tmp (meant for big ones), else in /tmp; a system without either gets one in memory that does not
 * belong to the process. The environment is not asked: the library does not read it.
 */
int mxq_nameless(void) {
  static const char *const dirs[] = {"/var/tmp", "/tmp"};
  int fd = -1;
  for (size_t i = 0; fd < 0 && i < sizeof dirs / sizeof *dirs; i++) {
    fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd < 0 && errno != ENOENT && errno != EACCES && errno != EROFS) { /* file systems without O_TMPFILE */
      char path[32];
      memcpy(path, dirs[i], strlen(dirs[i]) + 1);
      strcat(path, "/mxq-XXXXXX");
      fd = mkostemp(path, O_CLOEXEC);
      if (fd >= 0)
        unlink(path);
    }
  }
  return fd >= 0 ? fd : memfd_create("mxq", MFD_CLOEXEC);
}
