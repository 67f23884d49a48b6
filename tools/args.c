/* SPDX-License-Identifier: MIT */
/* From argv to struct args. */
#include "tools/args.h"

#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

static unsigned cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return 1;
  int n = CPU_COUNT(&set);
  return n > 0 ? (unsigned)n : 1;
}

/* The argument as it was typed that getopt_long has just taken: behind it may stand its value. */
static const char *typed(char **argv) {
  const char *last = argv[optind - 1];
  return optarg && optarg == last && optind >= 2 ? argv[optind - 2] : last;
}

/* True when a long option was shortened, which getopt_long allows: a script that does it breaks with the next option that is added. */
static bool shortened(const char *word, const char *name) {
  if (word[0] != '-' || word[1] != '-')
    return false;
  size_t n = strcspn(word + 2, "=");
  return n < strlen(name);
}

static int wrong_option(struct args *args, int kind, char **argv) {
  const char *word = argv[optind - 1];
  bool is_long = word[0] == '-' && word[1] == '-';
  if (kind == ':')
    return complain_usage(args, "option %s needs a value", word);
  if (is_long && strchr(word, '=') && optopt)
    return complain_usage(args, "option --%.*s takes no value", (int)strcspn(word + 2, "="), word + 2);
  if (is_long)
    return complain_usage(args, "unknown option '%s'", word);
  return complain_usage(args, "unknown option '-%c'", optopt);
}

static int take_operands(struct args *args, int argc, char **argv) {
  const struct command_row *c = command_row(args->command);
  args->operands = argv + optind;
  int given = argc - optind;
  if (given < c->operands)
    return complain_usage(args, given == 0 ? "no input file is named" : "a second file is missing");
  if (given > c->operands)
    return complain_usage(args, "unexpected argument '%s'", args->operands[c->operands]);
  for (int i = 0; i < c->operands; i++)
    if (strcmp(args->operands[i], "-") == 0)
      return complain_usage(args, "input from standard input is not possible, files are read at random: name a file");
  return -1;
}

static int check(struct args *args) {
  if (args->command == QUANTIZE || args->command == PLAN) {
    if (!args->quantizes)
      return complain_usage(args, "say what the weights are to become: --format mxfp4, or --rule, or --rules");
    args->quantize.rules = args->rules;
  }
  if (args->command != QUANTIZE && args->command != DEQUANTIZE)
    return -1;
  if (!args->output)
    return complain_usage(args, "no output file is named: use -o");
  bool to_stdout = strcmp(args->output, "-") == 0;
  if (to_stdout && args->command == QUANTIZE)
    return complain_usage(args, "an archive cannot go to standard output, because writing it seeks back: name a file");
  if (to_stdout && args->json)
    return complain_usage(args, "-o - and --json would both write to standard output");
  return -1;
}

int args_parse(enum command command, int argc, char **argv, struct args *args) {
  *args = (struct args){.command = command, .name = command_row(command)->name, .jobs = cores(),
                        .quantize = {.numerics = {.nonfinite = MXQ_NONFINITE_ERROR}}};
  struct option longs[OPT_COUNT + 1];
  char shorts[2 * OPT_COUNT + 2] = ":";
  enum option_id by_letter[128] = {0};
  size_t n = 0, s = 1;
  for (int i = 0; i < OPT_COUNT; i++) {
    const struct option_row *o = &option_rows[i];
    if (!(o->commands & command))
      continue;
    longs[n++] = (struct option){o->name, o->value ? required_argument : no_argument, NULL, 256 + i};
    if (!o->letter)
      continue;
    by_letter[(unsigned char)o->letter] = (enum option_id)i;
    shorts[s++] = o->letter;
    if (o->value)
      shorts[s++] = ':';
  }
  shorts[s] = 0;
  longs[n] = (struct option){0};
  opterr = 0;
  optind = 1;
  for (int got; (got = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
    if (got == '?' || got == ':')
      return wrong_option(args, got, argv);
    enum option_id id = got >= 256 ? (enum option_id)(got - 256) : by_letter[got];
    if (got >= 256 && shortened(typed(argv), option_rows[id].name))
      return complain_usage(args, "unknown option '%s'; the nearest is --%s", typed(argv), option_rows[id].name);
    if (id == OPT_HELP) {
      help_command(stdout, command);
      return finish_stdout(EXIT_DONE);
    }
    if (id == OPT_VERSION) {
      printf("mxquant %s\n", mxq_version());
      return finish_stdout(EXIT_DONE);
    }
    int code = id == OPT_RULE ? rules_add(args, optarg) : id == OPT_RULES ? rules_add_file(args, optarg)
               : option_take(args, id, optarg)                            ? -1
                                                                          : EXIT_USAGE;
    if (code >= 0)
      return code;
  }
  int code = take_operands(args, argc, argv);
  args->quantize.threads = args->jobs;
  return code >= 0 ? code : check(args);
}

void args_free(struct args *args) {
  for (size_t i = 0; i < args->block_count; i++)
    free(args->blocks[i]);
  free(args->blocks);
  free(args->rules);
}
