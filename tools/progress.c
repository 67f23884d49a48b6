/* SPDX-License-Identifier: MIT */
#include "tools/progress.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/json.h"
#include "tools/text.h"

static volatile sig_atomic_t pending;

static void on_signal(int number) { pending = number; }

void interrupt_watch(void) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART}, before;
    /* What nohup and background jobs of a shell ignore stays ignored. */
    if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
      sigaction(numbers[i], &action, NULL);
  }
}

bool interrupt_pending(void) { return pending != 0; }

void interrupt_obey(void) {
  int number = pending;
  if (!number)
    return;
  fflush(NULL);
  signal(number, SIG_DFL);
  raise(number);
}

double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void progress_sample(struct progress *p) {
  char buf[4096];
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  ssize_t n = read(fd, buf, sizeof buf - 1);
  close(fd);
  buf[n > 0 ? n : 0] = 0;
  const char *line = strstr(buf, "RssAnon:");
  uint64_t bytes = line ? strtoull(line + 8, NULL, 10) * 1024 : 0;
  if (bytes > p->peak_anon_bytes)
    p->peak_anon_bytes = bytes;
}

void progress_begin(struct progress *p, const struct args *args) {
  *p = (struct progress){.mode = args->progress, .start = seconds_now(), .width = 80};
  const char *term = getenv("TERM");
  bool terminal = isatty(STDERR_FILENO);
  if (args->quiet)
    p->mode = PROGRESS_NEVER;
  else if (p->mode == PROGRESS_AUTO)
    p->mode = terminal && term && strcmp(term, "dumb") != 0 ? PROGRESS_ALWAYS : PROGRESS_NEVER;
  struct winsize size;
  if (terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
    p->width = size.ws_col;
}

/* One line, written over the one before. No colours, no escape sequences: a carriage return is all it takes. */
static void draw(struct progress *p, double now, uint64_t done, uint64_t total, const char *tensor) {
  double passed = now - p->start, rate = passed > 0 ? (double)done / passed : 0, left = rate > 0 ? (double)(total - done) / rate : 0;
  char head[160];
  int n = snprintf(head, sizeof head, "\r%3.0f %%  %.1f of %.1f MB  %.2f GB/s  ETA %d:%02d  ", total ? 100.0 * (double)done / (double)total : 100,
                   (double)done / 1e6, (double)total / 1e6, rate / 1e9, (int)(left / 60), (int)left % 60);
  fputs(head, stderr);
  size_t used = (size_t)n - 1;
  if (used + 8 < p->width)
    used += text_fit(stderr, tensor, p->width - 1 - used);
  for (size_t i = used; i < p->used; i++)
    fputc(' ', stderr);
  p->used = used;
  fflush(stderr);
}

bool progress_step(void *user, uint64_t done, uint64_t total, const char *tensor) {
  struct progress *p = user;
  double now = seconds_now();
  if (now - p->sampled >= 0.005 || p->sampled == 0) {
    progress_sample(p);
    p->sampled = now;
  }
  if (p->mode != PROGRESS_NEVER && (p->shown == 0 || now - p->shown >= 0.1 || done == total)) {
    p->shown = now;
    if (p->mode == PROGRESS_JSON) {
      struct json j = {.f = stderr};
      json_begin(&j, NULL, '{');
      json_count(&j, "done_bytes", done);
      json_count(&j, "total_bytes", total);
      json_text(&j, "tensor", tensor);
      json_end(&j, '}');
      fputc('\n', stderr);
    } else {
      draw(p, now, done, total, tensor);
    }
  }
  return interrupt_pending();
}

void progress_end(struct progress *p) {
  if (p->used == 0)
    return;
  fprintf(stderr, "\r%*s\r", (int)p->used, "");
  p->used = 0;
}
