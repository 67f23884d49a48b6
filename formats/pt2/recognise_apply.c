/* SPDX-License-Identifier: MIT */
/* Recognised weights as tensors, with names of their own. */
#include "formats/pt2/recognise_apply.h"

#include <stdlib.h>
#include <string.h>

#include "formats/pt2/program.h"
#include "lib/base/fail.h"

static bool ends(const char *s, size_t n, const char *with, size_t *left) {
  size_t k = strlen(with);
  if (n < k || memcmp(s + n - k, with, k) != 0)
    return false;
  *left = n - k;
  return true;
}

/* fc.weight of fc.weight_q and fc.weight_s; fc of fc.qdata and fc.scale; fc.weight of fc.parametrizations.weight.original0 and 1. */
static char *common_name(struct mxq_arena *arena, const char *a, const char *b) {
  static const char word[] = "parametrizations.";
  size_t n = 0, left;
  while (a[n] && a[n] == b[n])
    n++;
  if (ends(a, n, ".original", &left)) {
    size_t from = left;
    while (from > 0 && a[from - 1] != '.')
      from--;
    if (ends(a, from, word, &n) && (n == 0 || a[n - 1] == '.')) {
      char *name = mxq_arena_text(arena, a, left - (sizeof word - 1));
      if (name)
        memcpy(name + n, a + from, left - from);
      return name;
    }
    n = left;
  }
  while (n > 0 && (a[n - 1] == '.' || a[n - 1] == '_'))
    n--;
  return mxq_arena_text(arena, a, n);
}

/* Format, shape and place; false when the sizes do not come out as those of an MX tensor. */
static bool describe(struct mxq_pt2_reader *r, const struct mxq_pt2_recognised *f, struct mxq_tensor *t, struct mxq_pt2_parts *parts, bool *nomem) {
  const struct mxq_pt2_stored *codes = &r->stored[f->codes], *scales = &r->stored[f->scales];
  const struct mxq_pt2_value *value = &r->program->graphs[0].values[f->value];
  int64_t size[MXQ_MAX_NDIM];
  uint64_t code_bytes, scale_bytes, *shape;
  *t = (struct mxq_tensor){.format = f->format, .dtype = mxq_pt2_dtype(value->dtype), .axis_first = f->axis_first, .axis_last = f->axis_last};
  mxq_pt2_value_meta(r->program, value, &t->ndim, size, NULL);
  shape = mxq_arena_calloc(&r->base.arena, t->ndim, sizeof *shape);
  if (!shape) {
    *nomem = true;
    return false;
  }
  t->elements = t->k = 1;
  for (uint32_t i = 0; i < t->ndim; i++) {
    shape[i] = (uint64_t)size[i];
    if (size[i] < 1 || __builtin_mul_overflow(t->elements, shape[i], &t->elements))
      return false;
    t->k *= i >= f->axis_first && i <= f->axis_last ? shape[i] : 1;
  }
  t->shape = shape;
  t->rows = t->elements / t->k;
  if (!mxq_sizes(f->format, t->rows, t->k, &code_bytes, &scale_bytes) || scale_bytes != scales->bytes ||
      codes->bytes != (f->unpacked ? scale_bytes * MXQ_BLOCK : code_bytes))
    return false;
  *parts = (struct mxq_pt2_parts){.part = {f->codes, f->scales}, .unpacked = f->unpacked};
  t->bytes = code_bytes + scale_bytes;
  t->kind = (enum mxq_kind)codes->kind;
  t->device = codes->device;
  t->storage = codes->member;
  if (!f->unpacked)
    t->part[0] = mxq_pt2_extent(r, codes);
  t->part[1] = mxq_pt2_extent(r, scales);
  t->codes_name = codes->name;
  t->scales_name = scales->name;
  t->recognised = true;
  t->layout = f->unpacked ? "unpacked" : mxq_format_layout(f->format);
  return true;
}

/* All names that are taken: tensors that stay as they are, and those of the manifest. False: out of memory. */
static bool put(struct mxq_names *names, const char *name, uint32_t number) {
  return mxq_names_put(names, name, strlen(name), &number) != MXQ_NAMES_NOMEM;
}
static bool taken_names(const struct mxq_pt2_reader *r, struct mxq_names *names) {
  bool ok = true;
  for (size_t i = 0; i < r->stored_count && ok; i++)
    ok = put(names, r->stored[i].name, 0);
  for (size_t i = 0; i < r->manifest.entry_count && ok; i++)
    ok = put(names, r->manifest.entries[i].name, 0);
  for (size_t i = 0; i < r->manifest.kept_count && ok; i++)
    ok = put(names, r->manifest.kept[i].name, 0);
  return ok;
}

static int by_codes(const void *a, const void *b) {
  const struct mxq_pt2_recognised_tensor *x = a, *y = b;
  return (x->parts.part[0] > y->parts.part[0]) - (x->parts.part[0] < y->parts.part[0]);
}

enum mxq_status mxq_pt2_recognised_open(struct mxq_pt2_reader *r, struct mxq_pt2_recognised_list *list, struct mxq_error *err) {
  struct mxq_pt2_recognised *found = NULL;
  struct mxq_names names = {.slots = NULL};
  size_t count = 0;
  bool nomem = false;
  if (!r->program)
    return MXQ_OK;
  enum mxq_status status = mxq_pt2_recognise(r, r->program, NULL, &found, &count, err);
  if (status != MXQ_OK || count == 0) {
    free(found);
    return status;
  }
  list->of = malloc(count * sizeof *list->of);
  nomem = !list->of || !taken_names(r, &names);
  for (size_t i = 0; i < count && !nomem; i++) {
    struct mxq_pt2_recognised_tensor *one = &list->of[list->count];
    if (!describe(r, &found[i], &one->tensor, &one->parts, &nomem))
      continue;
    const char *codes = one->tensor.codes_name, *name = common_name(&r->base.arena, codes, one->tensor.scales_name);
    uint32_t number = 0;
    enum mxq_names_put how = !name ? MXQ_NAMES_NOMEM : *name ? mxq_names_put(&names, name, strlen(name), &number) : MXQ_NAMES_THERE;
    nomem = how == MXQ_NAMES_NOMEM;
    one->tensor.name = how == MXQ_NAMES_NEW ? name : codes;
    r->stored[found[i].codes].hidden = r->stored[found[i].scales].hidden = true;
    list->count++;
  }
  free(found);
  mxq_names_free(&names);
  if (nomem)
    return mxq_fail_nomem(err, r->base.path);
  qsort(list->of, list->count, sizeof *list->of, by_codes);
  return MXQ_OK;
}

bool mxq_pt2_recognised_take(struct mxq_pt2_recognised_list *list, uint32_t stored, struct mxq_tensor *tensor, struct mxq_pt2_parts *parts) {
  if (list->next == list->count || list->of[list->next].parts.part[0] != stored)
    return false;
  *tensor = list->of[list->next].tensor;
  *parts = list->of[list->next++].parts;
  return true;
}

void mxq_pt2_recognised_close(struct mxq_pt2_recognised_list *list) {
  free(list->of);
  *list = (struct mxq_pt2_recognised_list){NULL, 0, 0};
}
