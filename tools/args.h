/* SPDX-License-Identifier: MIT */
/* Arguments of the commands: one table says which command takes which option, and --help is printed from it. */
#ifndef MXQUANT_ARGS_H
#define MXQUANT_ARGS_H

#include <mxq/mxq.h>
#include <stdio.h>

#include "tools/command.h"

enum command { QUANTIZE = 1, DEQUANTIZE = 2, INSPECT = 4, VERIFY = 8, COMPARE = 16, PLAN = 32 };

enum progress_mode { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER, PROGRESS_JSON };
/* How inspect and verify read a file; AS_AUTO looks at its first bytes. */
enum as { AS_AUTO, AS_ZIP, AS_JSON, AS_NPY, AS_SAFETENSORS, AS_PT2 };

struct args {
  enum command command;
  const char *name;               /* of the command */
  char **operands;                /* as many as the command takes */

  const char *output;
  unsigned jobs;
  bool force, quiet, verbose, json;
  enum progress_mode progress;

  bool quantizes;                 /* --format, --rule or --rules was given */
  struct mxq_quantize_options quantize; /* format, rules, numerics, ragged, threads, archive */
  bool root_given, graph_given, target_given;
  struct mxq_rule *rules;         /* what quantize.rules points to */
  void **blocks;                  /* memory that rules' texts live in */
  size_t block_count;

  enum mxq_dtype dtype;
  enum as as;
  const char *tensor;
  const char *model;              /* which program of an archive */
  bool has_min_sqnr;
  double min_sqnr;
};

/*
 * Parses the arguments of a command. Returns -1 when the command is to go on, else the exit code with which it ends: after --help
 * and --version, or after a wrong argument, which was reported. args_free in either case.
 */
int args_parse(enum command command, int argc, char **argv, struct args *args);
void args_free(struct args *args);

/* ---- options.c, args.c ---- */

enum option_id {
  OPT_OUTPUT, OPT_FORMAT, OPT_RULE, OPT_RULES, OPT_AXES, OPT_SCALE_RULE, OPT_ROUND, OPT_COMPAT, OPT_NONFINITE, OPT_RAGGED, OPT_ROOT, OPT_GRAPH,
  OPT_TARGET, OPT_WEIGHTS_ONLY,
  OPT_ALIGN, OPT_DTYPE, OPT_TENSOR, OPT_MODEL, OPT_AS, OPT_MIN_SQNR, OPT_FORCE, OPT_JOBS, OPT_CPU, OPT_QUIET, OPT_VERBOSE, OPT_JSON,
  OPT_PROGRESS, OPT_HELP, OPT_VERSION, OPT_COUNT
};
struct option_row {
  const char *name;
  char letter;                    /* 0: none */
  const char *value;              /* what the argument is called, NULL when there is none */
  unsigned commands;              /* that take it */
  const char *help;               /* lines separated by newlines */
};
extern const struct option_row option_rows[OPT_COUNT];

/* What a command is called, what it does in one line, and its operands. */
struct command_row {
  enum command id;
  const char *name;
  int operands;
  const char *usage, *about, *examples;
};
extern const struct command_row command_rows[6];
const struct command_row *command_row(enum command id);
void help_command(FILE *f, enum command id);

/* Takes the value of an option; false when it is wrong, which was reported. */
bool option_take(struct args *args, enum option_id id, const char *value);
/* rules.c: appends one rule, or the rules of a file. Returns -1, or the exit code of what was reported. */
int rules_add(struct args *args, const char *text);
int rules_add_file(struct args *args, const char *path);

#endif
