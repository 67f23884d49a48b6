/* SPDX-License-Identifier: MIT */
/* mxquant compare: how far apart two files are, tensor by tensor. */
#include <math.h>
#include <string.h>

#include "tools/json.h"
#include "tools/report.h"
#include "tools/text.h"

enum { COLUMNS = 80, NAME = 38 };

struct comparison {
  const struct args *args;
  struct json j;
  uint64_t tensors, identical, different, missing, below, other_dtype;
};

/* Without a threshold only equality is good enough. */
static bool good_enough(const struct args *args, const struct mxq_difference *d) {
  if (d->identical)
    return true;
  return args->has_min_sqnr && !d->only_a && !d->only_b && !d->shape_differs && d->sqnr_db >= args->min_sqnr;
}

static void print_json(struct json *j, const struct mxq_difference *d) {
  json_begin(j, NULL, '{');
  json_text(j, "name", d->name);
  json_flag(j, "identical", d->identical);
  json_real(j, "max_abs", d->max_abs);
  json_real(j, "sqnr_db", d->sqnr_db);
  json_real(j, "cosine", d->cosine);
  json_count(j, "clipped", d->clipped);
  json_count(j, "zeroed", d->zeroed);
  if (d->only_a || d->only_b)
    json_text(j, "only", d->only_a ? "a" : "b");
  json_flag(j, "shape_differs", d->shape_differs);
  json_flag(j, "dtype_differs", d->dtype_differs);
  json_end(j, '}');
}

static void print_row(const struct mxq_difference *d) {
  char max_abs[TEXT_NUMBER], sqnr[TEXT_NUMBER], cosine[TEXT_NUMBER], clipped[TEXT_NUMBER], zeroed[TEXT_NUMBER];
  const char *words = d->only_a           ? "only in the first file"
                      : d->only_b         ? "only in the second file"
                      : d->shape_differs  ? "the shapes differ"
                      : d->identical      ? "identical"
                      : isnan(d->max_abs) ? d->dtype_differs ? "the dtypes differ" : "the bytes differ"
                                          : NULL;
  if (words) {
    /* A name may have the room that numbers would take. */
    for (size_t used = text_fit(stdout, d->name, COLUMNS - 1 - strlen(words)); used < NAME; used++)
      putchar(' ');
    printf(" %s\n", words);
    return;
  }
  text_cell(stdout, d->name, NAME);
  if (isfinite(d->max_abs))
    snprintf(max_abs, sizeof max_abs, "%.2e", d->max_abs);
  else
    text_real(max_abs, d->max_abs, 2);
  printf("%c%8s %7s %8s %7s %7s\n", d->dtype_differs ? '*' : ' ', max_abs, text_real(sqnr, d->sqnr_db, 2), text_real(cosine, d->cosine, 6),
         text_short(clipped, d->clipped), text_short(zeroed, d->zeroed));
}

static bool on_tensor(void *user, const struct mxq_difference *d) {
  struct comparison *c = user;
  c->tensors++;
  c->other_dtype += d->dtype_differs;
  if (d->identical)
    c->identical++;
  else if (d->only_a || d->only_b)
    c->missing++;
  else
    c->different++;
  c->below += !good_enough(c->args, d);
  if (c->args->json)
    print_json(&c->j, d);
  else if (!c->args->quiet)
    print_row(d);
  return ferror(stdout) != 0; /* nobody listens any more */
}

static void print_sum(const struct comparison *c) {
  char a[TEXT_THINGS], b[TEXT_NUMBER], m[TEXT_NUMBER], n[TEXT_NUMBER], db[TEXT_NUMBER];
  printf("%s: %s identical, %s different, %s in one file only", text_things(a, c->tensors, "tensor"), text_count(b, c->identical),
         text_count(m, c->different), text_count(n, c->missing));
  if (c->args->has_min_sqnr)
    printf("\n%s below %s dB or missing", text_count(a, c->below), text_real(db, c->args->min_sqnr, 2));
  putchar('\n');
  if (c->other_dtype)
    printf("* the dtypes differ (%s)\n", text_things(a, c->other_dtype, "tensor"));
}

/* --model is about archives: the other file may be of a kind that has no programs. */
static enum mxq_status open_one(const char *path, const struct args *args, mxq_reader **reader, struct mxq_error *err) {
  struct mxq_read_options options = {.model = args->model};
  struct mxq_error ignored;
  enum mxq_status status = mxq_reader_open(path, &options, reader, err);
  if (status != MXQ_ERR_USAGE || !args->model)
    return status;
  options.model = NULL;
  if (mxq_reader_open(path, &options, reader, &ignored) == MXQ_OK && mxq_reader_container(*reader) != MXQ_PT2)
    return MXQ_OK;
  mxq_reader_close(*reader);
  *reader = NULL;
  return status;
}

static int compare(const struct args *args) {
  struct comparison c = {.args = args, .j = {.f = stdout}};
  struct mxq_error err = {.offset = MXQ_NO_OFFSET};
  mxq_reader *a = NULL, *b = NULL;
  const char *path = args->operands[0];
  enum mxq_status status = open_one(path, args, &a, &err);
  if (status == MXQ_OK) {
    path = args->operands[1];
    status = open_one(path, args, &b, &err);
  }
  bool open = status == MXQ_OK;
  if (open && args->json) {
    json_begin(&c.j, NULL, '{');
    json_count(&c.j, "schema", 1);
    json_text(&c.j, "a", args->operands[0]);
    json_text(&c.j, "b", args->operands[1]);
    json_begin(&c.j, "tensors", '[');
  } else if (open && !args->quiet) {
    text_cell(stdout, "tensor", NAME);
    printf(" %8s %7s %8s %7s %7s\n", "max abs", "SQNR dB", "cosine", "clipped", "zeroed");
  }
  if (open) {
    mxq_pool *pool = mxq_pool_create(args->jobs); /* without memory for it one thread does */
    status = mxq_compare(a, b, mxq_pool_runner(pool), on_tensor, &c, &err);
    mxq_pool_free(pool);
  }
  if (open && args->json) {
    json_end(&c.j, ']');
    json_flag(&c.j, "identical", status == MXQ_OK && c.identical == c.tensors);
    json_flag(&c.j, "ok", status == MXQ_OK && c.below == 0);
    if (status != MXQ_OK)
      json_text(&c.j, "error", err.text);
    json_end(&c.j, '}');
    putchar('\n');
  } else if (status == MXQ_OK && !args->quiet) {
    print_sum(&c);
  }
  mxq_reader_close(a);
  mxq_reader_close(b);
  if (status != MXQ_OK)
    return report_failure(COMPARE, strcmp(err.subject, args->operands[0]) == 0 ? args->operands[0] : path, NULL, &err);
  return c.below ? EXIT_DIFFERENT : EXIT_DONE;
}

int cmd_compare(int argc, char **argv) {
  struct args args;
  int code = args_parse(COMPARE, argc, argv, &args);
  if (code < 0)
    code = finish_stdout(compare(&args));
  args_free(&args);
  return code;
}
