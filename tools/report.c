/* SPDX-License-Identifier: MIT */
#include "tools/report.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/text.h"

static void complain_v(const char *fmt, va_list list) {
  char buf[16384];
  vsnprintf(buf, sizeof buf, fmt, list);
  fputs("mxquant: ", stderr);
  text_print(stderr, buf);
  fputc('\n', stderr);
}

void complain(const char *fmt, ...) {
  va_list list;
  va_start(list, fmt);
  complain_v(fmt, list);
  va_end(list);
}

int complain_usage(const struct args *args, const char *fmt, ...) {
  va_list list;
  va_start(list, fmt);
  complain_v(fmt, list);
  va_end(list);
  fprintf(stderr, "Try 'mxquant %s --help'.\n", args->name);
  return EXIT_USAGE;
}

int exit_code_of(enum command command, enum mxq_status status) {
  switch (status) {
  case MXQ_OK: return EXIT_DONE;
  case MXQ_ERR_USAGE:
  case MXQ_ERR_NOT_FOUND: return EXIT_USAGE;
  case MXQ_ERR_NOMEM:
  case MXQ_ERR_WRITE:
  case MXQ_ERR_EXISTS:
  case MXQ_ERR_CANCELLED: return EXIT_OUTPUT; /* a cancelled run ends by its signal, so that nobody sees this code */
  case MXQ_ERR_MALFORMED:
  case MXQ_ERR_DAMAGED:
  case MXQ_ERR_UNSUPPORTED:
  case MXQ_ERR_LIMIT: return command == VERIFY ? EXIT_DAMAGE : EXIT_INPUT;
  case MXQ_ERR_IO:
  case MXQ_ERR_FORMAT:
  case MXQ_ERR_NONFINITE: break;
  }
  return EXIT_INPUT;
}

/* Whether the subject of an error, which is cut to fit, is that path. */
static bool names_file(const char *subject, const char *path) {
  size_t n = strlen(subject);
  return path && n > 0 && strncmp(subject, path, n) == 0 && (path[n] == 0 || n + 4 >= sizeof((struct mxq_error *)0)->subject);
}

int report_failure(enum command command, const char *in, const char *out, const struct mxq_error *err) {
  int code = exit_code_of(command, err->code);
  if (err->code == MXQ_ERR_CANCELLED || (err->code == MXQ_ERR_WRITE && err->sys_errno == EPIPE))
    return code;
  bool writing = err->code == MXQ_ERR_WRITE || err->code == MXQ_ERR_EXISTS;
  const char *file = writing && out ? out : in, *subject = err->subject;
  if (names_file(subject, in) || names_file(subject, out)) {
    file = names_file(subject, in) ? in : out;
    subject = "";
  }
  char at[40] = "";
  if (err->offset != MXQ_NO_OFFSET && !writing && err->code != MXQ_ERR_NONFINITE && err->code != MXQ_ERR_USAGE && !strstr(err->text, "byte "))
    snprintf(at, sizeof at, " (byte %" PRIu64 ")", err->offset);
  const char *what = *subject && err->code == MXQ_ERR_NONFINITE ? "tensor " : "", *quote = *subject ? "'" : "";
  const char *hint = err->code == MXQ_ERR_NONFINITE ? " (option --nonfinite)" : err->code == MXQ_ERR_EXISTS ? "; -f replaces it" : "";
  complain("%s%s%s%s%s%s%s%s%s%s", file ? file : "", file ? ": " : "", what, quote, subject, quote, *subject ? ": " : "", err->text, at, hint);
  return code;
}

bool is_users(const mxq_reader *reader, const struct mxq_tensor *tensor) {
  struct mxq_archive_info info = {0};
  if (mxq_reader_container(reader) != MXQ_PT2 || tensor->kind != MXQ_KIND_CONSTANT)
    return true;
  mxq_reader_archive_info(reader, &info);
  return !info.weights;
}

bool is_copy(const struct args *args, const mxq_reader *reader) {
  return mxq_reader_container(reader) == MXQ_PT2 && args->quantize.format == MXQ_FORMAT_NONE && args->quantize.rule_count == 0 &&
         !args->quantize.weights_only;
}

int finish_stdout(int code) {
  int failed = ferror(stdout), number = 0;
  struct pollfd reader = {.fd = STDOUT_FILENO, .events = POLLOUT};
  if (fflush(stdout) != 0) {
    number = errno;
    failed = 1;
  }
  if (!failed)
    return code;
  /* An earlier write may have met the broken pipe: its errno is gone, but the pipe still tells. */
  bool gone = number == EPIPE || (number == 0 && poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR));
  if (!gone)
    complain("standard output: %s; what was printed is not complete", number ? strerror(number) : "a write failed");
  return code == EXIT_DONE ? EXIT_OUTPUT : code;
}
