/* SPDX-License-Identifier: MIT */
#include "lib/base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Copies s, cut at a UTF-8 boundary when it does not fit. */
static void copy_cut(char *dst, size_t size, const char *s) {
  size_t n = strlen(s);
  if (n >= size) {
    n = size - 1;
    while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80)
      n--;
  }
  memmove(dst, s, n);
  dst[n] = 0;
}

static void start(struct mxq_error *err, enum mxq_status code, int errnum, uint64_t offset, const char *subject) {
  err->code = code;
  err->sys_errno = errnum;
  err->offset = offset;
  copy_cut(err->subject, sizeof err->subject, subject ? subject : "");
}

enum mxq_status mxq_fail(struct mxq_error *err, enum mxq_status code, const char *subject, const char *fmt, ...) {
  if (err) {
    va_list ap;
    va_start(ap, fmt);
    start(err, code, 0, MXQ_NO_OFFSET, subject);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
  }
  return code;
}

enum mxq_status mxq_fail_at(struct mxq_error *err, enum mxq_status code, const char *subject, uint64_t offset, const char *fmt, ...) {
  if (err) {
    va_list ap;
    va_start(ap, fmt);
    start(err, code, 0, offset, subject);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
  }
  return code;
}

enum mxq_status mxq_fail_errno(struct mxq_error *err, enum mxq_status code, int errnum, const char *subject, const char *fmt, ...) {
  if (err) {
    char words[128];
    va_list ap;
    va_start(ap, fmt);
    start(err, code, errnum, MXQ_NO_OFFSET, subject);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text) {
#ifdef __GLIBC__
      const char *s = strerror_r(errnum, words, sizeof words);
#else
      const char *s = strerror_r(errnum, words, sizeof words) == 0 ? words : "system error";
#endif
      snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", s);
    }
  }
  return code;
}

enum mxq_status mxq_fail_nomem(struct mxq_error *err, const char *subject) {
  return mxq_fail(err, MXQ_ERR_NOMEM, subject, "out of memory");
}

enum mxq_status mxq_fail_name(struct mxq_error *err, enum mxq_status code, const char *subject) {
  if (err && err->code == code && err->subject[0] == 0)
    copy_cut(err->subject, sizeof err->subject, subject);
  return code;
}

const char *mxq_status_name(enum mxq_status status) {
  switch (status) {
  case MXQ_OK: return "ok";
  case MXQ_ERR_USAGE: return "usage";
  case MXQ_ERR_NOMEM: return "out of memory";
  case MXQ_ERR_IO: return "cannot read";
  case MXQ_ERR_WRITE: return "cannot write";
  case MXQ_ERR_EXISTS: return "exists";
  case MXQ_ERR_NOT_FOUND: return "not found";
  case MXQ_ERR_FORMAT: return "not a known format";
  case MXQ_ERR_MALFORMED: return "malformed";
  case MXQ_ERR_UNSUPPORTED: return "unsupported";
  case MXQ_ERR_DAMAGED: return "damaged";
  case MXQ_ERR_NONFINITE: return "not finite";
  case MXQ_ERR_LIMIT: return "beyond a limit";
  case MXQ_ERR_CANCELLED: return "cancelled";
  }
  return "unknown";
}
