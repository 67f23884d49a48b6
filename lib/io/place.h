/* SPDX-License-Identifier: MIT */
/*
 * Where a file sink's bytes go until they are complete: a temporary file `.NAME.mxq-tmp.PID.N` beside the target. It is held by an
 * flock for as long as its writer lives, so that the next run for the same path can tell a leftover from a file in use.
 */
#ifndef MXQ_LIB_IO_PLACE_H
#define MXQ_LIB_IO_PLACE_H

#include <mxq/io.h>

struct mxq_place {
  int fd;          /* the open file to write to */
  bool direct;     /* fd is the target itself, no regular file; the fields below are unused then */
  bool replace;
  bool may_sync_dir;
  int dir;         /* the target's directory */
  char *target;    /* the target's name in it, after symbolic links */
  char *temp;      /* the temporary file's name in it */
};

/* On failure nothing is left behind, on disk or in *place. Errors as mxq_sink_open_file. */
enum mxq_status mxq_place_open(const char *path, const struct mxq_file_sink_options *options, struct mxq_place *place, struct mxq_error *err);
/*
 * Makes what was written durable and visible under the target's name, and releases everything. When it fails the target is as it was, with one
 * exception that the error names: the file is in its place, but the directory could not be synced.
 */
enum mxq_status mxq_place_publish(struct mxq_place *place, const char *path, struct mxq_error *err);
/* Removes the temporary file and releases everything. */
void mxq_place_discard(struct mxq_place *place);

/* Removes temporary files for `target` in `dir` that no living process holds. Best effort. */
void mxq_place_sweep(int dir, const char *target);
/* The name of temporary number n of process pid: malloced, NULL without memory. With n < 0: what the names for this target begin with. */
char *mxq_place_name(const char *target, long pid, long n);

#endif
