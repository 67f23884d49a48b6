/* SPDX-License-Identifier: MIT */
/* mxquant dequantize: MX tensors back to floats, in a safetensors file or where they are in a program. */
#include <string.h>
#include <strings.h>

#include "tools/conversion.h"
#include "tools/json.h"
#include "tools/report.h"
#include "tools/text.h"

static const char *dtype_word(const struct args *args) {
  return args->dtype == MXQ_DTYPE_NONE ? "source" : mxq_dtype_name(args->dtype);
}

static void list(const struct conversion *c) {
  for (size_t i = 0; i < mxq_reader_count(c->reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(c->reader, i);
    if (!is_users(c->reader, t))
      continue;
    char shape[20];
    bool mx = t->format != MXQ_FORMAT_NONE;
    fputs("  ", stderr);
    text_cell(stderr, t->name, 34);
    fprintf(stderr, " %-19s %-11s %s\n", text_shape(shape, sizeof shape, t->ndim, t->shape),
            mx ? mxq_format_name(t->format) : "kept", mx && c->args->dtype ? dtype_word(c->args) : mxq_dtype_name(t->dtype));
  }
}

static void print_json(const struct conversion *c, const struct mxq_summary *s) {
  struct json j = {.f = stdout};
  json_begin(&j, NULL, '{');
  json_count(&j, "schema", 1);
  json_text(&j, "input", c->in);
  json_text(&j, "output", c->out);
  json_text(&j, "dtype", dtype_word(c->args));
  json_count(&j, "tensors", s->totals.tensors);
  json_count(&j, "decoded", s->totals.quantized);
  json_count(&j, "kept", s->totals.kept);
  json_count(&j, "became_inf", s->to_inf);
  json_count(&j, "bytes_in", c->bytes_in);
  json_count(&j, "bytes_out", c->bytes_out);
  json_real(&j, "seconds", c->seconds);
  json_real(&j, "mb_per_s", conversion_mb_per_s(c));
  json_count(&j, "peak_anon_bytes", c->progress.peak_anon_bytes);
  json_flag(&j, "program", s->totals.program);
  json_flag(&j, "unverified", s->unverified);
  json_end(&j, '}');
  putchar('\n');
}

static void print_text(const struct conversion *c, const struct mxq_summary *s) {
  char n[TEXT_THINGS], m[TEXT_NUMBER];
  text_print(stderr, c->in);
  fputs(" -> ", stderr);
  text_print(stderr, c->out);
  fprintf(stderr, "\n  decoded    %s to %s; %s copied\n", text_things(n, s->totals.quantized, "tensor"),
          c->args->dtype != MXQ_DTYPE_NONE ? dtype_word(c->args) : s->totals.quantized == 1 ? "the dtype of its source" : "the dtype of their source",
          text_count(m, s->totals.kept));
  if (s->to_inf)
    fprintf(stderr, "  overflow   %s beyond the range of %s became Inf; f32 holds more\n", text_things(n, s->to_inf, "value"),
            c->args->dtype == MXQ_DTYPE_NONE ? "their dtype" : dtype_word(c->args));
  if (s->totals.program)
    fprintf(stderr, "  program    kept: inputs, outputs and operators as they were%s\n", s->totals.quantized ? ";\n             nodes that decoded weights taken out" : "");
  conversion_print(c);
}

/* What the name of the output says; a pipe gets the format that is written in order. */
static enum mxq_container container_of(const struct conversion *c) {
  size_t n = strlen(c->out);
  return !c->to_stdout && n >= 4 && strcasecmp(c->out + n - 4, ".pt2") == 0 ? MXQ_PT2 : MXQ_SAFETENSORS;
}

static int run(struct conversion *c) {
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  struct mxq_dequantize_options options = {.container = container_of(c), .dtype = c->args->dtype, .threads = c->args->jobs, .progress = progress_step,
                                           .user = &c->progress};
  struct mxq_summary summary = {0};
  uint64_t bytes = 0;
  if (mxq_dequantize_size(c->reader, &options, &bytes, &err) != MXQ_OK)
    return conversion_failed(c, &err);
  int code = conversion_output(c, bytes);
  if (code >= 0)
    return code;
  if (c->args->verbose && !c->args->quiet)
    list(c);
  enum mxq_status status = mxq_dequantize(c->reader, &options, &c->sink, &summary, &err);
  code = conversion_commit(c, status, &err);
  if (code != EXIT_DONE)
    return code;
  if (c->args->json)
    print_json(c, &summary);
  else if (!c->args->quiet)
    print_text(c, &summary);
  return c->to_stdout ? code : finish_stdout(code);
}

int cmd_dequantize(int argc, char **argv) {
  struct args args;
  int code = args_parse(DEQUANTIZE, argc, argv, &args);
  if (code < 0) {
    struct conversion c;
    code = conversion_begin(&c, &args);
    if (code < 0)
      code = run(&c);
    conversion_end(&c);
    interrupt_obey();
  }
  args_free(&args);
  return code;
}
