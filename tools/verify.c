/* SPDX-License-Identifier: MIT */
/* mxquant verify: is every byte of a file what it should be? */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/json.h"
#include "tools/report.h"
#include "tools/text.h"
#include "tools/whole.h"

struct verification {
  const struct args *args;
  const char *path;
  struct json j;
  bool begun;               /* of the JSON */
  uint64_t findings;
  bool damaged;             /* some finding is more than a thing that is not read here */
};

static void begin_json(struct verification *v) {
  if (v->begun)
    return;
  v->begun = true;
  json_begin(&v->j, NULL, '{');
  json_count(&v->j, "schema", 1);
  json_text(&v->j, "file", v->path);
  json_begin(&v->j, "findings", '[');
}

static void on_finding(void *user, const struct mxq_finding *f) {
  struct verification *v = user;
  v->damaged |= f->code != MXQ_ERR_UNSUPPORTED;
  if (v->args->json) {
    begin_json(v);
    json_begin(&v->j, NULL, '{');
    json_text(&v->j, "code", mxq_status_name(f->code));
    json_text(&v->j, "subject", f->subject);
    if (f->offset == MXQ_NO_OFFSET)
      json_null(&v->j, "offset");
    else
      json_count(&v->j, "offset", f->offset);
    json_text(&v->j, "text", f->text);
    json_end(&v->j, '}');
  }
  if (v->findings++ == 0) {
    struct mxq_error err = {.code = f->code, .offset = f->offset};
    snprintf(err.subject, sizeof err.subject, "%s", f->subject);
    snprintf(err.text, sizeof err.text, "%s", f->text);
    report_failure(VERIFY, v->path, NULL, &err);
  }
}

static void finding_from_error(struct verification *v, const struct mxq_error *err) {
  struct mxq_finding f = {err->code, err->subject, err->offset, err->text};
  on_finding(v, &f);
}

/* --as zip and --as json: the first defect is the only finding. */
static enum mxq_status verify_whole(struct verification *v, struct mxq_verify_result *result, struct mxq_error *err) {
  struct whole w = {0};
  enum mxq_status status = whole_check(v->path, v->args->as, &w, err);
  if (status == MXQ_OK) {
    result->bytes = w.bytes;
  } else if (status != MXQ_ERR_IO && status != MXQ_ERR_NOMEM) {
    finding_from_error(v, err);
    status = MXQ_OK;
  }
  return status;
}

static void end_json(struct verification *v, const struct mxq_verify_result *r, const char *container) {
  begin_json(v);
  json_end(&v->j, ']');
  json_flag(&v->j, "ok", v->findings == 0);
  json_text(&v->j, "container", container);
  json_flag(&v->j, "digests", r->digests);
  json_flag(&v->j, "resaved", r->resaved);
  json_count(&v->j, "bytes", r->bytes);
  json_count(&v->j, "tensors", r->tensors);
  json_end(&v->j, '}');
  putchar('\n');
}

static const char *checked(const struct verification *v, const struct mxq_verify_result *r) {
  if (v->args->as == AS_ZIP)
    return "structure and CRC of each member";
  if (v->args->as == AS_JSON)
    return "JSON syntax";
  if (r->digests)
    return "structure, CRC and SHA-256 digests";
  if (r->resaved)
    return "structure and CRC; re-saved, digests stale: CRC only";
  if (r->container == MXQ_PT2)
    return "structure and CRC only: no digests";
  if (r->container == MXQ_NPZ)
    return "structure and CRC";
  return "structure; this format has no checksums";
}

static void print_text(const struct verification *v, const struct mxq_verify_result *r) {
  char n[TEXT_THINGS], t[TEXT_THINGS];
  text_print(stdout, v->path);
  if (v->findings > 0) {
    printf(": %s, %s%s\n", v->damaged ? "DAMAGED" : "NOT READ HERE", text_things(n, v->findings, "finding"), v->findings == 1 ? "" : "; --json lists all");
    return;
  }
  printf(": ok\n  %s bytes", text_count(n, r->bytes));
  if (v->args->as != AS_ZIP && v->args->as != AS_JSON)
    printf(", %s", text_things(t, r->tensors, "tensor"));
  printf("\n  checked: %s\n", checked(v, r));
}

static int verify(const struct args *args) {
  struct verification v = {.args = args, .path = args->operands[0], .j = {.f = stdout}};
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  struct mxq_verify_result result = {0};
  bool whole = args->as == AS_ZIP || args->as == AS_JSON;
  struct mxq_read_options options = whole_read_options(args);
  enum mxq_status status = whole ? verify_whole(&v, &result, &err) : mxq_verify(v.path, &options, on_finding, &v, &result, &err);
  const char *container = whole ? args->as == AS_ZIP ? "zip" : "json" : result.container ? mxq_container_name(result.container) : NULL;
  if (args->json && (status == MXQ_OK || v.begun))
    end_json(&v, &result, container);
  if (status != MXQ_OK)
    return report_failure(VERIFY, v.path, NULL, &err);
  if (!args->json && !args->quiet)
    print_text(&v, &result);
  return v.findings ? EXIT_DAMAGE : EXIT_DONE;
}

int cmd_verify(int argc, char **argv) {
  struct args args;
  int code = args_parse(VERIFY, argc, argv, &args);
  if (code < 0)
    code = finish_stdout(verify(&args));
  args_free(&args);
  return code;
}
