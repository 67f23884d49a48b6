/* SPDX-License-Identifier: MIT */
/* mxquant: main() and the table of commands. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/report.h"

static const struct {
  const char *name, *call;
  int (*run)(int argc, char **argv);
  const char *about;
} commands[] = {
    {"quantize", "mxquant quantize", cmd_quantize, "IN -o OUT.pt2 --format F  weights to MX blocks"},
    {"dequantize", "mxquant dequantize", cmd_dequantize, "IN -o OUT.safetensors     and back to f32, bf16 or f16"},
    {"inspect", "mxquant inspect", cmd_inspect, "FILE                      what is in it"},
    {"verify", "mxquant verify", cmd_verify, "FILE                      is every byte of it right"},
    {"compare", "mxquant compare", cmd_compare, "A B                       how far apart are two files"},
    {"plan", "mxquant plan", cmd_plan, "IN --format F             what quantize would do, and why"},
    {"bench", "mxquant bench", cmd_bench, "                          how fast are the kernels here"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(FILE *f) {
  fputs("Usage: mxquant COMMAND ...\n\n", f);
  for (int i = 0; i < COMMANDS; i++)
    fprintf(f, "  mxquant %-11s%s\n", commands[i].name, commands[i].about);
  fputs("\n"
        "  mxquant quantize model.safetensors -o model.pt2 --format mxfp4\n"
        "  python -c 'import torch; print(torch.export.load(\"model.pt2\").module()())'\n"
        "\n"
        "'mxquant help COMMAND' tells the options. 'mxquant --version' tells the version.\n"
        "Reads .safetensors (also sharded), .npy, .npz and .pt2; formats are mxfp4,\n"
        "mxfp6-e2m3, mxfp6-e3m2, mxfp8-e4m3, mxfp8-e5m2 and mxint8 (OCP Microscaling).\n",
        f);
}

static int find(const char *name) {
  for (int i = 0; i < COMMANDS; i++)
    if (strcmp(commands[i].name, name) == 0)
      return i;
  return -1;
}

static int unknown(const char *name) {
  complain("unknown command '%s'; commands: quantize, dequantize, inspect, verify, compare, plan, bench", name);
  fputs("Try 'mxquant --help'.\n", stderr);
  return EXIT_USAGE;
}

/* Makes 0, 1 and 2 taken, so that no file we open gets one of them and is printed into. What was closed stays unusable. */
static void guard_descriptors(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static int run(int i, int argc, char **argv) {
  argv[0] = (char *)commands[i].call;
  return commands[i].run(argc, argv);
}

int main(int argc, char **argv) {
  guard_descriptors();
  setvbuf(stderr, NULL, _IOLBF, 8192);
  /* A write fails instead, with EPIPE or EFBIG, and the output is cleaned up. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  if (argc < 2) {
    help(stderr);
    return EXIT_USAGE;
  }
  const char *word = argv[1];
  bool helps = strcmp(word, "help") == 0;
  if (helps && argc > 2) {
    int i = find(argv[2]);
    char option[] = "--help", *args[] = {NULL, option, NULL};
    return i < 0 ? unknown(argv[2]) : run(i, 2, args);
  }
  if (helps || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
    help(stdout);
    return finish_stdout(EXIT_DONE);
  }
  if (strcmp(word, "--version") == 0) {
    printf("mxquant %s\n", mxq_version());
    return finish_stdout(EXIT_DONE);
  }
  if (word[0] == '-') {
    complain("unknown option '%s'", word);
    fputs("Try 'mxquant --help'.\n", stderr);
    return EXIT_USAGE;
  }
  int i = find(word);
  return i < 0 ? unknown(word) : run(i, argc - 1, argv + 1);
}
