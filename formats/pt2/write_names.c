/* SPDX-License-Identifier: MIT */
/* Under which names tensors are stored: their own, unless PyTorch cannot hold it as the path of a module's parameter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/torch_names.h"
#include "formats/pt2/write.h"
#include "lib/base/fail.h"
#include "lib/io/io.h"

struct word {
  const char *s;
  size_t n;
};

static int order(const void *key, const void *entry) {
  const struct word *w = key;
  const char *e = *(const char *const *)entry;
  size_t n = strlen(e);
  int c = memcmp(w->s, e, w->n < n ? w->n : n);
  return c ? c : (w->n > n) - (w->n < n);
}

#define LISTED(word, list) (bsearch(&(word), list, sizeof list / sizeof *list, sizeof *list, order) != NULL)

/* A component that is a keyword or an attribute: ep.module() could not set it. */
static bool taken_by_torch(const char *s, size_t n, bool first) {
  struct word w = {s, n};
  return LISTED(w, mxq_python_keywords) || LISTED(w, mxq_torch_module) || (first && LISTED(w, mxq_torch_graph_module));
}

/* Whether all characters stay as they are when Python normalises an identifier. s is valid UTF-8. */
static bool normalised(const char *s) {
  const unsigned char *p = (const unsigned char *)s;
  while (*p) {
    uint32_t c = *p++;
    if (c < 0x80)
      continue;
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    for (c &= 0x3Fu >> more; more > 0; more--)
      c = c << 6 | (*p++ & 0x3Fu);
    size_t lo = 0, hi = sizeof mxq_unstable_characters / sizeof *mxq_unstable_characters;
    while (lo < hi) {
      size_t mid = lo + (hi - lo) / 2;
      if (c < mxq_unstable_characters[mid][0])
        hi = mid;
      else if (c > mxq_unstable_characters[mid][1])
        lo = mid + 1;
      else
        return false;
    }
  }
  return true;
}

bool mxq_pt2_naming_take(struct mxq_pt2_naming *n, const char *s) {
  uint32_t number = 0;
  enum mxq_names_put r = mxq_names_put(&n->taken, s, strlen(s), &number);
  n->nomem |= r == MXQ_NAMES_NOMEM;
  return r == MXQ_NAMES_NEW;
}

/* Whether some tensor's name begins with s and a dot, so that s is a module. */
static bool is_parent(const struct mxq_pt2_naming *n, const char *s, size_t len) {
  size_t lo = 0, hi = n->count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = strncmp(n->sorted[mid], s, len);
    if (c == 0)
      c = (unsigned char)n->sorted[mid][len] - '.';
    if (c == 0)
      return true;
    if (c < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return false;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

bool mxq_pt2_can_hold(const struct mxq_pt2_naming *n, const char *name) {
  size_t len = strlen(name);
  if (len == 0 || name[len - 1] == '.' || strpbrk(name, "\"\\\n\r") || is_parent(n, name, len) || !normalised(name))
    return false;
  bool first = true;
  for (const char *s = name; s; first = false) {
    const char *dot = strchr(s, '.');
    if (taken_by_torch(s, dot ? (size_t)(dot - s) : strlen(s), first))
      return false;
    s = dot ? dot + 1 : NULL;
  }
  return true;
}

const char *mxq_pt2_stored_name(struct mxq_pt2_naming *n, const char *base, const char *ending) {
  size_t room = strlen(base) + strlen(ending) + 24;
  char *s = mxq_arena_alloc(n->arena, room);
  if (!s) {
    n->nomem = true;
    return NULL;
  }
  int len = snprintf(s, room, "%s%s", base, ending);
  for (unsigned suffix = 1; !n->nomem; suffix++) {
    if (!is_parent(n, s, (size_t)len) && mxq_pt2_naming_take(n, s))
      return s;
    len = snprintf(s, room, "%s%s_%u", base, ending, suffix);
  }
  return NULL;
}

void mxq_pt2_naming_sort(struct mxq_pt2_naming *n) { qsort(n->sorted, n->count, sizeof *n->sorted, by_bytes); }

static void name_kept(struct mxq_pt2_writer *w, struct mxq_pt2_naming *n) {
  char number[24];
  for (size_t i = 0; i < w->count && !n->nomem; i++) {
    struct mxq_pt2_item *item = &w->items[i];
    item->own_name = mxq_pt2_can_hold(n, item->t.name);
    /* A buffer of that very name: the code that ep.module() generates would say `self = self.self`. */
    if (item->t.format == MXQ_FORMAT_NONE && strcmp(item->t.name, "self") == 0)
      item->own_name = false;
    if (item->t.format != MXQ_FORMAT_NONE || !item->own_name)
      continue;
    mxq_pt2_naming_take(n, item->t.name);
    item->stored[0] = item->t.name;
  }
  for (size_t i = 0; i < w->count && !n->nomem; i++) {
    struct mxq_pt2_item *item = &w->items[i];
    snprintf(number, sizeof number, "t%zu", i);
    if (item->t.format == MXQ_FORMAT_NONE && !item->own_name)
      item->stored[0] = mxq_pt2_stored_name(n, number, "");
  }
}

static void name_quantized(struct mxq_pt2_writer *w, struct mxq_pt2_naming *n) {
  char number[24];
  for (size_t i = 0; i < w->count && !n->nomem; i++) {
    struct mxq_pt2_item *item = &w->items[i];
    if (item->t.format == MXQ_FORMAT_NONE)
      continue;
    snprintf(number, sizeof number, "t%zu", i);
    const char *base = item->own_name ? item->t.name : number;
    item->stored[0] = mxq_pt2_stored_name(n, base, "_codes");
    item->stored[1] = mxq_pt2_stored_name(n, base, "_scales");
  }
}

enum mxq_status mxq_pt2_name(struct mxq_pt2_writer *w, struct mxq_error *err) {
  struct mxq_pt2_naming n = {.arena = &w->plan_arena, .count = w->count};
  n.sorted = malloc((w->count + 1) * sizeof *n.sorted);
  if (!n.sorted)
    return mxq_fail_nomem(err, "");
  for (size_t i = 0; i < w->count; i++)
    n.sorted[i] = w->items[i].t.name;
  mxq_pt2_naming_sort(&n);
  name_kept(w, &n);
  name_quantized(w, &n);
  for (int table = 0; table < MXQ_TABLE_COUNT && !n.nomem; table++) {
    bool used = false;
    for (size_t i = 0; i < w->count && mxq_pt2_each(w); i++)
      used |= mxq_pt2_table_used(table, w->items[i].t.format);
    w->table_name[table] = used ? mxq_pt2_stored_name(&n, mxq_pt2_table_fqn(table), "") : NULL;
  }
  free(n.sorted);
  mxq_names_free(&n.taken);
  return n.nomem ? mxq_fail_nomem(err, "") : MXQ_OK;
}

bool mxq_pt2_root_valid(const char *root, size_t n) {
  if (n == 0 || n > MXQ_PT2_LONGEST_ROOT || !mxq_utf8_valid(root, n) || strcmp(root, ".") == 0 || strcmp(root, "..") == 0)
    return false;
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)root[i] < 0x20 || root[i] == 0x7F || root[i] == '/' || root[i] == '\\' || root[i] == ':')
      return false;
  return true;
}
