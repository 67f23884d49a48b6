/* SPDX-License-Identifier: MIT */
/* What the rooms above need beyond <mxq/io.h>. */
#ifndef MXQ_LIB_IO_H
#define MXQ_LIB_IO_H

#include <mxq/io.h>

/*
 * Opens the file `name`, a plain base name, in the directory that holds `path`: neither a symbolic link nor a file with further
 * hard links is followed, so that a file that names others (a safetensors index) cannot point out of its directory.
 * MXQ_ERR_IO with the joined path as subject, MXQ_ERR_NOMEM.
 */
enum mxq_status mxq_source_open_beside(const char *path, const char *name, struct mxq_source *source, struct mxq_error *err);

/* The last component of a path: "b" of "a/b", "" of "a/". */
const char *mxq_path_base(const char *path);

/* Whether n bytes are well-formed UTF-8 (no surrogates, nothing overlong, at most U+10FFFF). */
bool mxq_utf8_valid(const char *s, size_t n);

/* Bytes of a UTF-8 text that an error text has room for, cut between characters: for "%.*s". */
int mxq_clip(const char *s);

#endif
