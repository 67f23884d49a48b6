/* SPDX-License-Identifier: MIT */
/* What an exported program computes, and the same program with MXFP4 weights.  program IN.pt2 OUT.pt2 */
#include <inttypes.h>
#include <stdio.h>
#include <mxq/convert.h>
#include <mxq/program.h>

int main(int argc, char **argv) {
  mxq_reader *reader = NULL;
  const mxq_program *program = NULL;
  mxq_plan *plan = NULL;
  struct mxq_sink sink = {0};
  struct mxq_summary summary = {0};
  struct mxq_quantize_options options = {.format = MXQ_MXFP4, .threads = 2};
  struct mxq_error err = {.text = "usage: program IN.pt2 OUT.pt2"};
  enum mxq_status status = argc == 3 ? mxq_reader_open(argv[1], NULL, &reader, &err) : MXQ_ERR_USAGE;
  if (status == MXQ_OK)
    status = mxq_reader_program(reader, &program, &err);
  size_t count = 0;
  const struct mxq_operator *operators = status == MXQ_OK ? mxq_program_operators(program, &count) : NULL;
  for (size_t i = 0; i < count; i++) /* operators of inner graphs (torch.cond) stand behind the node that holds them */
    printf("%*s%s = %s\n", 2 * (int)operators[i].depth, "", operators[i].name, operators[i].target);
  if (status == MXQ_OK)
    status = mxq_plan_quantize(reader, &options, &plan, &err);
  for (size_t i = 0; plan && i < mxq_plan_count(plan); i++) {
    const struct mxq_plan_entry *e = mxq_plan_entry(plan, i);
    printf("%s: %s, %s\n", e->tensor->name, e->format ? mxq_format_name(e->format) : "kept", e->reason);
  }
  if (status == MXQ_OK)
    status = mxq_sink_open_file(argv[2], NULL, &sink, &err);
  if (status == MXQ_OK) {
    status = mxq_plan_run(plan, &sink, &summary, &err);
    if (status == MXQ_OK)
      status = sink.commit(sink.ctx, &err); /* the file appears now, whole */
    else
      sink.abort(sink.ctx);
  }
  if (status == MXQ_OK)
    printf("%" PRIu64 " weights quantized, %" PRIu64 " bytes\n", summary.totals.quantized, summary.totals.file_bytes);
  else
    fprintf(stderr, "%s\n", err.text);
  mxq_plan_free(plan);
  mxq_reader_close(reader);
  return status != MXQ_OK;
}
