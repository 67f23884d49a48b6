/* SPDX-License-Identifier: MIT */
/*
 * Status codes and error details.
 *
 * Every function of this library that can fail returns enum mxq_status and delivers results through pointers.
 * Most of them take a last argument `struct mxq_error *err`, which may be NULL; on failure it is filled in, on
 * success it is left as it was. The library never prints, exits or reads the environment.
 */
#ifndef MXQ_STATUS_H
#define MXQ_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MXQ_API __attribute__((visibility("default")))
#define MXQ_MUST_CHECK __attribute__((warn_unused_result))
#else
#define MXQ_API
#define MXQ_MUST_CHECK
#endif

/* The values are pinned: they never change and are never reused. */
enum mxq_status {
  MXQ_OK = 0,
  MXQ_ERR_USAGE = 1,       /* an argument or option that cannot be obeyed (unknown name, rule refused for a format) */
  MXQ_ERR_NOMEM = 2,       /* an allocation failed; the objects involved stay usable */
  MXQ_ERR_IO = 3,          /* the system failed to open or read an input; see sys_errno */
  MXQ_ERR_WRITE = 4,       /* the system failed to write an output; see sys_errno */
  MXQ_ERR_EXISTS = 5,      /* the output exists and must not be replaced */
  MXQ_ERR_NOT_FOUND = 6,   /* no tensor or member of that name */
  MXQ_ERR_FORMAT = 7,      /* not a file format that is read here */
  MXQ_ERR_MALFORMED = 8,   /* the bytes break the rules of their format */
  MXQ_ERR_UNSUPPORTED = 9, /* well-formed, but uses something that is not supported */
  MXQ_ERR_DAMAGED = 10,    /* a checksum, digest or canonical form does not hold */
  MXQ_ERR_NONFINITE = 11,  /* NaN or Inf where none may be */
  MXQ_ERR_LIMIT = 12,      /* beyond a resource limit; limits are options */
  MXQ_ERR_CANCELLED = 13   /* the caller's cancel callback asked to stop */
};

/* No byte offset is known. */
#define MXQ_NO_OFFSET UINT64_MAX

/* What went wrong, and where. Plain data: no ownership, may be copied. Texts are NUL-terminated UTF-8, cut to fit. */
struct mxq_error {
  enum mxq_status code;
  int sys_errno;      /* errno of the failed system call, 0 when there was none */
  uint64_t offset;    /* byte in the file (or in the member that subject names), or MXQ_NO_OFFSET */
  char subject[256];  /* the file, member or tensor concerned, or "" */
  char text[512];     /* one sentence without a final newline: what is wrong and what to do */
};

/* The name of a status in lower case, such as "malformed"; "unknown" for other values. Static storage. */
MXQ_API const char *mxq_status_name(enum mxq_status status);

#ifdef __cplusplus
}
#endif
#endif
