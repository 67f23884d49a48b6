/* SPDX-License-Identifier: MIT */
/* Rules from the command line and from files, in the order in which they are given. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/args.h"
#include "tools/report.h"

#define MOST_BYTES ((size_t)100 << 20)

static int no_memory(void) {
  complain("out of memory");
  return EXIT_OUTPUT;
}

/* Puts a block of memory under the care of args, also when that fails. */
static bool own(struct args *args, void *block) {
  void **more = realloc(args->blocks, (args->block_count + 1) * sizeof *more);
  if (!more) {
    free(block);
    return false;
  }
  args->blocks = more;
  more[args->block_count++] = block;
  return true;
}

static bool append(struct args *args, const struct mxq_rule *rules, size_t count) {
  size_t had = args->quantize.rule_count;
  struct mxq_rule *more = realloc(args->rules, (had + count + 1) * sizeof *more);
  if (!more)
    return false;
  args->rules = more;
  if (count)
    memcpy(more + had, rules, count * sizeof *more);
  args->quantize.rule_count += count;
  return true;
}

int rules_add(struct args *args, const char *text) {
  args->quantizes = true;
  const char *equals = strrchr(text, '=');
  if (!equals)
    return complain_usage(args, "rule '%s' has no '=': a rule is REGEX=FORMAT, such as 'mlp=mxfp4'", text);
  struct mxq_rule rule = {.format = MXQ_FORMAT_NONE};
  if (!mxq_format_parse(equals + 1, &rule.format))
    return complain_usage(args, "unknown format '%s' in rule '%s'; allowed: mxfp4, mxfp6-e2m3, mxfp6-e3m2, mxfp8-e4m3, mxfp8-e5m2, mxint8, none",
                          equals + 1, text);
  char *regex = strndup(text, (size_t)(equals - text));
  if (!regex || !own(args, regex))
    return no_memory();
  rule.regex = regex;
  return append(args, &rule, 1) ? -1 : no_memory();
}

/* The whole of a file, which may be a pipe. Returns -1, or the exit code of what was reported. */
static int read_text(const char *path, char **text, size_t *n) {
  FILE *f = fopen(path, "rb");
  size_t room = 0;
  int code = -1;
  *text = NULL;
  *n = 0;
  if (!f) {
    complain("%s: cannot open the rules: %s", path, strerror(errno));
    return EXIT_INPUT;
  }
  for (;;) {
    if (*n == room) {
      char *more = realloc(*text, room = room ? 2 * room : 4096);
      if (!more) {
        code = no_memory();
        break;
      }
      *text = more;
    }
    size_t got = fread(*text + *n, 1, room - *n, f);
    *n += got;
    if (got == 0 || *n > MOST_BYTES)
      break;
  }
  if (code < 0 && (ferror(f) || *n > MOST_BYTES)) {
    complain("%s: cannot read the rules: %s", path, ferror(f) ? strerror(errno) : "the file has more than 100 MiB");
    code = EXIT_INPUT;
  }
  fclose(f);
  return code;
}

int rules_add_file(struct args *args, const char *path) {
  args->quantizes = true;
  char *text = NULL;
  size_t n = 0, count = 0;
  int code = read_text(path, &text, &n);
  struct mxq_rule *rules = NULL;
  if (code < 0) {
    struct mxq_error err = {.offset = MXQ_NO_OFFSET};
    if (mxq_rules_parse(text, n, &rules, &count, &err) != MXQ_OK)
      code = report_failure(args->command, path, NULL, &err);
    else if (!append(args, rules, count))
      code = no_memory();
  }
  free(text);
  if (rules && !own(args, rules) && code < 0)
    code = no_memory();
  return code;
}
