/* SPDX-License-Identifier: MIT */
/* mxquant inspect: what is in a file, from its metadata. */
#include <inttypes.h>
#include <string.h>

#include "tools/inspect_json.h"
#include "tools/inspect_program.h"
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

static void detail_names(const char *what, const struct view *v, const uint32_t *others, size_t n) {
  for (size_t i = 0; i < n; i++)
    detail(i ? "" : what, mxq_reader_tensor(v->reader, others[i])->name);
  if (n == VIEW_OTHERS)
    detail("", "and perhaps more");
}

/* Where the program has it, what shares its bytes, and what takes it. */
static void detail_program(const struct view *v, size_t i, bool with_uses) {
  const struct mxq_tensor *t = mxq_reader_tensor(v->reader, i);
  uint32_t others[VIEW_OTHERS];
  char words[USE_WORDS];
  size_t n;
  if (v->info.weights)
    return;
  detail("requires grad", t->requires_grad ? "yes" : "no");
  detail("device", t->device ? t->device : "cpu");
  n = view_tied(v, i, others);
  detail_names("tied to", v, others, n);
  n = view_sharing(v, i, others);
  detail_names("shares with", v, others, n);
  if (!v->program || !with_uses)
    return;
  size_t op_count;
  const struct mxq_operator *ops = mxq_program_operators(v->program, &op_count);
  const struct mxq_use *uses = mxq_program_uses(v->program, i, &n);
  for (size_t u = 0; u < n; u++) {
    printf("  %-13s ", u ? "" : "used by");
    text_print(stdout, use_words(words, v->program, &uses[u]));
    if (uses[u].op < op_count && *ops[uses[u].op].name) {
      fputs("; node ", stdout);
      text_print(stdout, ops[uses[u].op].name);
    }
    putchar('\n');
  }
  if (n == 0)
    detail("used by", "nothing");
  struct mxq_axes_choice choice;
  mxq_program_axes(v->program, i, &choice);
  detail("blocking", choice.reason);
}

/* "8, 1" */
static const char *strides_text(char *buf, size_t size, const struct mxq_tensor *t) {
  int64_t strides[MXQ_MAX_NDIM];
  size_t used = 0;
  view_strides(t, strides);
  for (uint32_t i = 0; i < t->ndim; i++)
    used += (size_t)snprintf(buf + used, size - used, "%s%" PRId64, i ? ", " : "", strides[i]);
  snprintf(buf + used, size - used, "%s", t->strides ? "; not contiguous: read into C order" : "");
  return buf;
}

static void print_tensor(const struct view *v, size_t i, bool with_uses) {
  const struct mxq_tensor *t = mxq_reader_tensor(v->reader, i);
  char shape[1600], n[TEXT_NUMBER];
  bool mx = t->format != MXQ_FORMAT_NONE;
  text_print(stdout, t->name);
  putchar('\n');
  detail(mx ? "format" : "dtype", kind_of(t));
  detail("shape", text_shape(shape, sizeof shape, t->ndim, t->shape));
  detail("elements", text_count(n, t->elements));
  detail("bytes", text_count(n, t->bytes));
  detail("kind", mxq_kind_name(t->kind));
  if (!mx) {
    bool stored = mxq_reader_container(v->reader) == MXQ_PT2 && !v->info.weights;
    if (t->strides || (stored && t->ndim))
      detail("strides", strides_text(shape, sizeof shape, t));
    if (stored)
      detail("offset", text_count(n, t->storage_offset));
    if (t->part[0].size)
      detail_extent("data", NULL, &t->part[0]);
    detail_program(v, i, with_uses);
    return;
  }
  detail("source dtype", mxq_dtype_name(t->dtype));
  snprintf(shape, sizeof shape, "%" PRIu32 " to %" PRIu32 ", blocks of %d", t->axis_first, t->axis_last, MXQ_BLOCK);
  detail("axes", shape);
  snprintf(shape, sizeof shape, "%" PRIu64 " of %" PRIu64 " elements, %" PRIu64 " blocks each", t->rows, t->k, mxq_row_blocks(t->k));
  detail("rows", shape);
  snprintf(shape, sizeof shape, "%s%s", t->layout ? t->layout : "", t->recognised ? " (recognised)" : "");
  detail("layout", shape);
  detail("scale rule", t->scale_rule);
  detail("compat", t->compat);
  detail("round", t->round);
  detail("negative zero", t->neg_zero);
  detail("nonfinite", t->nonfinite);
  detail_extent("codes", t->codes_name, &t->part[0]);
  detail_extent("scales", t->scales_name, &t->part[1]);
  detail_program(v, i, with_uses);
}

/* ---- the table ---- */

static void print_head(const struct view *v) {
  const mxq_reader *reader = v->reader;
  struct mxq_archive_info info = v->info;
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

/* Widths of the columns: names get what the others leave. what: the kind, where a program tells it. */
struct widths { size_t name, kind, shape, bytes, what; };

static void widen(size_t *width, size_t columns) { *width = columns > *width ? columns : *width; }

static struct widths measure(const struct view *v) {
  struct widths w = {6, 6, 5, 5, v->program ? 4 : 0};
  for (size_t i = 0; i < mxq_reader_count(v->reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(v->reader, i);
    char shape[MOST_SHAPE + 1], bytes[TEXT_NUMBER];
    widen(&w.name, text_columns(t->name));
    widen(&w.kind, strlen(kind_of(t)));
    widen(&w.shape, strlen(text_shape(shape, sizeof shape, t->ndim, t->shape)));
    widen(&w.bytes, strlen(text_count(bytes, t->bytes)));
    if (v->program)
      widen(&w.what, strlen(mxq_kind_name(t->kind)));
  }
  size_t left = COLUMNS - w.kind - w.shape - w.bytes - 3 - (w.what ? w.what + 1 : 0);
  w.name = w.name < left ? w.name : left;
  return w;
}

static void print_row(const struct widths *w, const char *name, const char *kind, const char *shape, const char *bytes, const char *what) {
  text_cell(stdout, name, w->name);
  printf(" %-*s %-*s %*s%s%s\n", (int)w->kind, kind, (int)w->shape, shape, (int)w->bytes, bytes, w->what ? " " : "", w->what ? what : "");
}

/* A line under a tensor's row. */
static void print_note(const char *words, const char *name) {
  fputs("  ", stdout);
  fputs(words, stdout);
  text_fit(stdout, name ? name : "", COLUMNS - 2 - strlen(words));
  putchar('\n');
}

/* The first of the others, when it stands before tensor i. */
static const char *earlier(const struct view *v, size_t i, const uint32_t *others, size_t n) {
  size_t first = i;
  for (size_t k = 0; k < n; k++)
    first = others[k] < first ? others[k] : first;
  return first < i ? mxq_reader_tensor(v->reader, first)->name : NULL;
}

static void print_notes(const struct view *v, size_t i) {
  const struct mxq_tensor *t = mxq_reader_tensor(v->reader, i);
  uint32_t others[VIEW_OTHERS];
  if (t->recognised)
    print_note("(recognised) the program decodes ", t->codes_name);
  const char *name = earlier(v, i, others, view_tied(v, i, others));
  if (name) {
    print_note("tied: the same values as ", name);
    return;
  }
  name = earlier(v, i, others, view_sharing(v, i, others));
  if (name)
    print_note("shares its stored bytes with ", name);
}

/* False: out of memory. */
static bool print_table(const struct view *v, bool verbose) {
  const mxq_reader *reader = v->reader;
  char a[TEXT_THINGS], b[TEXT_NUMBER], c[TEXT_NUMBER];
  uint64_t tensors = 0, bytes = 0, tables = 0;
  print_head(v);
  struct widths w = measure(v);
  if (!verbose)
    print_row(&w, "tensor", "format", "shape", "bytes", "kind");
  for (size_t i = 0; i < mxq_reader_count(reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
    if (!is_users(reader, t)) {
      tables++;
      continue;
    }
    tensors++;
    bytes += t->bytes;
    char shape[MOST_SHAPE + 1];
    if (verbose) {
      print_tensor(v, i, false);
      continue;
    }
    print_row(&w, t->name, kind_of(t), text_shape(shape, sizeof shape, t->ndim, t->shape), text_count(a, t->bytes), mxq_kind_name(t->kind));
    if (v->program)
      print_notes(v, i);
  }
  printf("%s, %s bytes of data in a file of %s bytes\n", text_things(a, tensors, "tensor"), text_count(b, bytes),
         text_count(c, mxq_reader_file_bytes(reader)));
  if (tables)
    printf("%s of the archive's own program not listed\n", text_things(a, tables, "table"));
  if (!print_program(v, verbose))
    return false;
  print_archive(v, verbose);
  return true;
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
  static char buffer[1 << 16];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
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
  struct view v;
  bool enough = true;
  if (view_open(&v, reader, &err) != MXQ_OK) {
    view_close(&v);
    mxq_reader_close(reader);
    return report_failure(INSPECT, args->operands[0], NULL, &err);
  }
  size_t one = args->tensor ? mxq_reader_find(reader, args->tensor) : SIZE_MAX;
  if (args->tensor && one == SIZE_MAX)
    code = complain_usage(args, "%s: there is no tensor '%s'; mxquant inspect without --tensor lists them all", args->operands[0], args->tensor);
  else if (args->json)
    enough = inspect_json(&v, args->operands[0], one);
  else if (args->tensor)
    print_tensor(&v, one, true);
  else
    enough = print_table(&v, args->verbose);
  if (!enough) {
    complain("%s: out of memory", args->operands[0]);
    code = EXIT_OUTPUT;
  }
  view_close(&v);
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
