/* SPDX-License-Identifier: MIT */
/* mxquant inspect: what is in a file, from its metadata. */
#include <inttypes.h>
#include <string.h>

#include "tools/inspect_json.h"
#include "tools/report.h"
#include "tools/text.h"
#include "tools/whole.h"

enum { COLUMNS = 80, MOST_SHAPE = 24 };

static const char *kind_of(const struct mxq_tensor *t) {
  return t->format != MXQ_FORMAT_NONE ? mxq_format_name(t->format) : mxq_dtype_name(t->dtype);
}

/* ---- everything about one tensor ---- */

static void detail(const char *what, const char *value) {
  if (!value)
    return;
  printf("  %-13s ", what);
  text_print(stdout, value);
  putchar('\n');
}

static void detail_extent(const char *what, const char *name, const struct mxq_extent *e) {
  char n[TEXT_NUMBER];
  printf("  %-13s ", what);
  if (name) {
    text_print(stdout, name);
    fputs(e->size ? ", " : "", stdout);
  }
  if (e->size)
    printf("%s bytes at byte %" PRIu64 " of the file", text_count(n, e->size), e->offset);
  putchar('\n');
}

static void print_tensor(const struct mxq_tensor *t) {
  char shape[1400], n[TEXT_NUMBER];
  bool mx = t->format != MXQ_FORMAT_NONE;
  text_print(stdout, t->name);
  putchar('\n');
  detail(mx ? "format" : "dtype", kind_of(t));
  detail("shape", text_shape(shape, sizeof shape, t->ndim, t->shape));
  detail("elements", text_count(n, t->elements));
  detail("bytes", text_count(n, t->bytes));
  detail("kind", mxq_kind_name(t->kind));
  if (!mx) {
    if (t->strides)
      detail("strides", "not contiguous: read into C order");
    if (t->part[0].size)
      detail_extent("data", NULL, &t->part[0]);
    return;
  }
  detail("source dtype", mxq_dtype_name(t->dtype));
  snprintf(shape, sizeof shape, "%" PRIu32 " to %" PRIu32 ", blocks of %d", t->axis_first, t->axis_last, MXQ_BLOCK);
  detail("axes", shape);
  snprintf(shape, sizeof shape, "%" PRIu64 " of %" PRIu64 " elements, %" PRIu64 " blocks each", t->rows, t->k, mxq_row_blocks(t->k));
  detail("rows", shape);
  detail("layout", t->layout);
  detail("scale rule", t->scale_rule);
  detail("compat", t->compat);
  detail("round", t->round);
  detail("negative zero", t->neg_zero);
  detail("nonfinite", t->nonfinite);
  detail_extent("codes", t->codes_name, &t->part[0]);
  detail_extent("scales", t->scales_name, &t->part[1]);
}

/* ---- the table ---- */

static void print_head(const mxq_reader *reader) {
  struct mxq_archive_info info = {0};
  mxq_reader_archive_info(reader, &info);
  text_print(stdout, mxq_reader_path(reader));
  printf(": %s", mxq_container_name(mxq_reader_container(reader)));
  if (mxq_reader_container(reader) == MXQ_PT2) {
    printf(", %s archive", info.weights ? "weights" : "program");
    if (info.tool) {
      fputs(" by ", stdout);
      text_print(stdout, info.tool);
    } else if (info.torch_version) {
      fputs(" by PyTorch ", stdout);
      text_print(stdout, info.torch_version);
    }
    printf(",\n  %s, %s", info.has_digests ? "digests" : info.resaved ? "re-saved: its digests are stale" : "no digests",
           info.has_index ? "index for small readers" : "no index");
  }
  putchar('\n');
}

/* Widths of the columns: names get what the others leave. */
struct widths { size_t name, kind, shape, bytes; };

static void widen(size_t *width, size_t columns) { *width = columns > *width ? columns : *width; }

static struct widths measure(const mxq_reader *reader) {
  struct widths w = {6, 6, 5, 5};
  for (size_t i = 0; i < mxq_reader_count(reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
    char shape[MOST_SHAPE + 1], bytes[TEXT_NUMBER];
    widen(&w.name, text_columns(t->name));
    widen(&w.kind, strlen(kind_of(t)));
    widen(&w.shape, strlen(text_shape(shape, sizeof shape, t->ndim, t->shape)));
    widen(&w.bytes, strlen(text_count(bytes, t->bytes)));
  }
  size_t left = COLUMNS - w.kind - w.shape - w.bytes - 3;
  w.name = w.name < left ? w.name : left;
  return w;
}

static void print_row(const struct widths *w, const char *name, const char *kind, const char *shape, const char *bytes) {
  text_cell(stdout, name, w->name);
  printf(" %-*s %-*s %*s\n", (int)w->kind, kind, (int)w->shape, shape, (int)w->bytes, bytes);
}

static void print_table(const mxq_reader *reader, bool verbose) {
  char a[TEXT_THINGS], b[TEXT_NUMBER], c[TEXT_NUMBER];
  uint64_t tensors = 0, bytes = 0, tables = 0;
  print_head(reader);
  struct widths w = measure(reader);
  if (!verbose)
    print_row(&w, "tensor", "format", "shape", "bytes");
  for (size_t i = 0; i < mxq_reader_count(reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
    if (!is_users(reader, t)) {
      tables++;
      continue;
    }
    tensors++;
    bytes += t->bytes;
    char shape[MOST_SHAPE + 1];
    if (verbose)
      print_tensor(t);
    else
      print_row(&w, t->name, kind_of(t), text_shape(shape, sizeof shape, t->ndim, t->shape), text_count(a, t->bytes));
  }
  printf("%s, %s bytes of data in a file of %s bytes\n", text_things(a, tensors, "tensor"), text_count(b, bytes),
         text_count(c, mxq_reader_file_bytes(reader)));
  if (tables)
    printf("%s of the archive's own program not listed\n", text_things(a, tables, "table"));
}

/* ---- zip and JSON ---- */

static void print_member(void *user, const struct mxq_zip_entry *e) {
  char size[TEXT_NUMBER], packed[TEXT_NUMBER];
  (void)user;
  text_cell(stdout, e->name, 36);
  printf(" %-8s %08" PRIx32 " %12s %12s\n", e->method == 0 ? "stored" : "deflate", e->crc, text_count(size, e->size),
         text_count(packed, e->compressed));
}

static int inspect_whole(const struct args *args) {
  const char *path = args->operands[0];
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  struct json j = {.f = stdout};
  struct whole w = {.on_entry = args->json ? inspect_json_member : print_member, .user = &j};
  if (args->json)
    inspect_json_begin(&j, path, args->as == AS_ZIP ? "zip" : "json");
  if (args->json && args->as == AS_ZIP)
    json_begin(&j, "members", '[');
  if (args->as == AS_ZIP && !args->json)
    printf("%-36s %-8s %-8s %12s %12s\n", "member", "method", "CRC-32", "size", "in the file");
  enum mxq_status status = whole_check(path, args->as, &w, &err);
  if (args->json) {
    if (args->as == AS_ZIP)
      json_end(&j, ']');
    json_flag(&j, "valid", status == MXQ_OK);
    if (status != MXQ_OK)
      json_text(&j, "error", err.text);
    json_count(&j, "bytes", w.bytes);
    json_end(&j, '}');
    putchar('\n');
  }
  if (status != MXQ_OK)
    return report_failure(INSPECT, path, NULL, &err);
  if (!args->json) {
    char n[TEXT_THINGS], m[TEXT_NUMBER];
    if (args->as == AS_JSON)
      puts("valid");
    else
      printf("%s, every byte of a file of %s bytes checked\n", text_things(n, w.members, "member"), text_count(m, w.bytes));
  }
  return EXIT_DONE;
}

/* The first access to a tensor checks its data. */
static enum mxq_status check_data(mxq_reader *reader, struct mxq_error *err) {
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; status == MXQ_OK && i < mxq_reader_count(reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
    status = mxq_reader_read(reader, i, MXQ_PART_DATA, 0, NULL, 0, err);
    if (status == MXQ_OK && t->format != MXQ_FORMAT_NONE)
      status = mxq_reader_read(reader, i, MXQ_PART_SCALES, 0, NULL, 0, err);
  }
  return status;
}

static int inspect(const struct args *args) {
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  struct mxq_read_options options = whole_read_options(args);
  mxq_reader *reader = NULL;
  if (mxq_reader_open(args->operands[0], &options, &reader, &err) != MXQ_OK)
    return report_failure(INSPECT, args->operands[0], NULL, &err);
  int code = EXIT_DONE;
  if (args->as != AS_AUTO && check_data(reader, &err) != MXQ_OK) {
    mxq_reader_close(reader);
    return report_failure(INSPECT, args->operands[0], NULL, &err);
  }
  size_t one = args->tensor ? mxq_reader_find(reader, args->tensor) : SIZE_MAX;
  if (args->tensor && one == SIZE_MAX)
    code = complain_usage(args, "%s: there is no tensor '%s'; mxquant inspect without --tensor lists them all", args->operands[0], args->tensor);
  else if (args->json)
    inspect_json(reader, args->operands[0], one);
  else if (args->tensor)
    print_tensor(mxq_reader_tensor(reader, one));
  else
    print_table(reader, args->verbose);
  mxq_reader_close(reader);
  return code;
}

int cmd_inspect(int argc, char **argv) {
  struct args args;
  int code = args_parse(INSPECT, argc, argv, &args);
  if (code < 0) {
    if (args.tensor && (args.as == AS_ZIP || args.as == AS_JSON))
      code = complain_usage(&args, "--tensor does not go with --as zip or --as json");
    else
      code = finish_stdout(args.as == AS_ZIP || args.as == AS_JSON ? inspect_whole(&args) : inspect(&args));
  }
  args_free(&args);
  return code;
}
