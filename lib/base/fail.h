/* SPDX-License-Identifier: MIT */
/* Filling in struct mxq_error: one call per failure, at the place that knows what is wrong. */
#ifndef MXQ_BASE_FAIL_H
#define MXQ_BASE_FAIL_H

#include <mxq/status.h>

/* Each fills *err when err is not NULL, and returns code. subject may be NULL. The text is one sentence, printf style. */
enum mxq_status mxq_fail(struct mxq_error *err, enum mxq_status code, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
enum mxq_status mxq_fail_at(struct mxq_error *err, enum mxq_status code, const char *subject, uint64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* For a failed system call: appends ": " and the system's words for errnum. */
enum mxq_status mxq_fail_errno(struct mxq_error *err, enum mxq_status code, int errnum, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* MXQ_ERR_NOMEM, without allocating. */
enum mxq_status mxq_fail_nomem(struct mxq_error *err, const char *subject);
/* Sets the subject of an error that has none yet (a layer above knows the name); returns err->code or `code` when err is NULL. */
enum mxq_status mxq_fail_name(struct mxq_error *err, enum mxq_status code, const char *subject);

#endif
