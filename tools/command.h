/* SPDX-License-Identifier: MIT */
/*
 * The commands. Each takes its own arguments (argv[0] is "mxquant NAME"), answers --help and --version itself, and returns the
 * exit code of the process.
 */
#ifndef MXQUANT_COMMAND_H
#define MXQUANT_COMMAND_H

/* Exit codes; scripts rely on them. A process ended by signal n shows 128 + n. */
enum exit_code {
  EXIT_DONE = 0,
  EXIT_USAGE = 1,     /* usage, unknown name, a pair of options that is refused, a rule that matches nothing, input = output */
  EXIT_INPUT = 2,     /* input missing, unreadable, malformed, NaN or Inf that must not be there */
  EXIT_OUTPUT = 3,    /* output exists, any failure to write, out of memory */
  EXIT_DAMAGE = 4,    /* verify found damage */
  EXIT_DIFFERENT = 5  /* compare found a difference, or one that is too large */
};

int cmd_quantize(int argc, char **argv);
int cmd_dequantize(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_bench(int argc, char **argv);

#endif
