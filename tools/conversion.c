/* SPDX-License-Identifier: MIT */
#include "tools/conversion.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/report.h"
#include "tools/text.h"

/* ---- standard output as a sink: in order, not undone when it fails ---- */

static enum mxq_status stdout_failed(struct mxq_error *err, int number, const char *why) {
  if (!err)
    return MXQ_ERR_WRITE;
  *err = (struct mxq_error){.code = MXQ_ERR_WRITE, .sys_errno = number, .offset = MXQ_NO_OFFSET};
  snprintf(err->subject, sizeof err->subject, "standard output");
  snprintf(err->text, sizeof err->text, "%s", why);
  return MXQ_ERR_WRITE;
}

static enum mxq_status stdout_write(void *ctx, uint64_t offset, const void *buf, size_t n, struct mxq_error *err) {
  uint64_t *at = ctx;
  if (offset != *at)
    return stdout_failed(err, ESPIPE, "this output is not written in order and cannot go to standard output: name a file");
  for (const char *p = buf; n > 0;) {
    ssize_t done = write(STDOUT_FILENO, p, n);
    if (done < 0 && errno == EINTR && !interrupt_pending())
      continue;
    if (done <= 0)
      return stdout_failed(err, errno, strerror(errno));
    p += done;
    n -= (size_t)done;
    *at += (uint64_t)done;
  }
  return MXQ_OK;
}

static enum mxq_status stdout_commit(void *ctx, struct mxq_error *err) {
  (void)ctx;
  return close(STDOUT_FILENO) == 0 ? MXQ_OK : stdout_failed(err, errno, strerror(errno));
}

static void stdout_abort(void *ctx) { (void)ctx; }

/* ---- input and output ---- */

static bool same(const struct stat *a, const struct stat *b) { return a->st_dev == b->st_dev && a->st_ino == b->st_ino; }

/* True when the output is a file that we hold open for reading: the input itself or a shard of it, by whatever name. */
static bool is_input(const struct conversion *c) {
  struct stat out, in;
  if (c->to_stdout || stat(c->out, &out) != 0 || !S_ISREG(out.st_mode))
    return false;
  if (stat(c->in, &in) == 0 && same(&in, &out))
    return true;
  bool found = false;
  DIR *dir = opendir("/proc/self/fd");
  for (struct dirent *e; dir && !found && (e = readdir(dir));) {
    int fd = atoi(e->d_name);
    found = fd > 2 && fstat(fd, &in) == 0 && same(&in, &out);
  }
  if (dir)
    closedir(dir);
  return found;
}

/* An output whose name says that it is something else: nobody could open it by that name, this command included. NULL: it is right. */
static const char *misnamed(const char *out, enum command command) {
  static const char *const names[] = {".safetensors", ".npy", ".npz", ".safetensors.index.json", NULL};
  size_t n = strlen(out);
  for (size_t i = command == QUANTIZE ? 0 : 1; names[i]; i++) {
    size_t k = strlen(names[i]);
    if (n > k && strcasecmp(out + n - k, names[i]) == 0)
      return names[i];
  }
  return NULL;
}

static bool is_pipe(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

int conversion_begin(struct conversion *c, const struct args *args) {
  *c = (struct conversion){.args = args, .in = args->operands[0], .out = args->output, .start = seconds_now()};
  c->to_stdout = strcmp(c->out, "-") == 0;
  if (c->to_stdout)
    c->out = "standard output";
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  if (is_input(c))
    return complain_usage(args, "%s: input and output are the same file; name another output", c->out);
  size_t n = strlen(c->out);
  bool archive = args->command == QUANTIZE || (n >= 4 && strcasecmp(c->out + n - 4, ".pt2") == 0);
  if (!c->to_stdout && archive && is_pipe(c->out))
    return complain_usage(args, "%s: an archive cannot go to a pipe, because writing it seeks back: name a file", c->out);
  struct mxq_read_options options = {.model = args->model};
  if (mxq_reader_open(c->in, &options, &c->reader, &err) != MXQ_OK)
    return report_failure(args->command, c->in, c->out, &err);
  if (is_input(c))
    return complain_usage(args, "%s: the output is a part of the input %s; name another output", c->out, c->in);
  const char *ending = c->to_stdout ? NULL : misnamed(c->out, args->command);
  if (ending)
    return complain_usage(args, "%s: %s, not %s: give the output another name", c->out,
                          args->command == QUANTIZE ? "quantize writes a .pt2 archive" : "dequantize writes .safetensors or .pt2", ending);
  c->bytes_in = mxq_reader_file_bytes(c->reader);
  progress_begin(&c->progress, args);
  progress_sample(&c->progress);
  return -1;
}

int conversion_failed(struct conversion *c, const struct mxq_error *err) {
  progress_end(&c->progress);
  return report_failure(c->args->command, c->in, c->out, err);
}

int conversion_output(struct conversion *c, uint64_t expected) {
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  if (c->to_stdout) {
    if (isatty(STDOUT_FILENO))
      return complain_usage(c->args, "binary data is not written to a terminal: name a file with -o, or use a pipe");
    c->sink = (struct mxq_sink){.ctx = &c->bytes_out, .name = "standard output", .write_at = stdout_write, .commit = stdout_commit,
                                .abort = stdout_abort};
  }
  bool waits = !c->to_stdout && is_pipe(c->out); /* opening one waits for its reader: a signal then ends us at once, nothing was made yet */
  if (!waits)
    interrupt_watch();
  if (c->to_stdout)
    return -1;
  struct mxq_file_sink_options options = {.replace = c->args->force, .expected_size = expected};
  if (mxq_sink_open_file(c->out, &options, &c->sink, &err) != MXQ_OK)
    return conversion_failed(c, &err);
  if (waits)
    interrupt_watch();
  return -1;
}

int conversion_commit(struct conversion *c, enum mxq_status status, struct mxq_error *err) {
  progress_sample(&c->progress);
  progress_end(&c->progress);
  struct mxq_sink sink = c->sink;
  c->sink = (struct mxq_sink){0};
  if (status == MXQ_OK && !interrupt_pending()) {
    status = sink.commit(sink.ctx, err);
  } else {
    sink.abort(sink.ctx);
    interrupt_obey();
  }
  if (status != MXQ_OK)
    return report_failure(c->args->command, c->in, c->out, err);
  c->seconds = seconds_now() - c->start;
  struct stat out;
  if (!c->to_stdout && stat(c->out, &out) == 0)
    c->bytes_out = (uint64_t)out.st_size;
  return EXIT_DONE;
}

void conversion_end(struct conversion *c) {
  if (c->sink.abort)
    c->sink.abort(c->sink.ctx);
  mxq_reader_close(c->reader);
}

double conversion_mb_per_s(const struct conversion *c) {
  return c->seconds > 0 ? (double)c->bytes_in / 1e6 / c->seconds : 0;
}

void conversion_print(const struct conversion *c) {
  char in[TEXT_NUMBER], out[TEXT_NUMBER];
  fprintf(stderr, "  bytes      %s -> %s", text_count(in, c->bytes_in), text_count(out, c->bytes_out));
  if (c->bytes_in)
    fprintf(stderr, " (%.1f %%)", 100.0 * (double)c->bytes_out / (double)c->bytes_in);
  fprintf(stderr, "\n  time       %.2f s, %.*f MB/s of input\n", c->seconds, conversion_mb_per_s(c) < 10 ? 2 : 0,
          conversion_mb_per_s(c));
  if (mxq_reader_unverified(c->reader))
    fprintf(stderr, "  note       some of the input carries no checksum that could be checked\n");
}
