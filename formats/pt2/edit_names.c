/* SPDX-License-Identifier: MIT */
/* What codes, scales and tables are called: in the configs, in the graph, and as records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats/pt2/edit.h"
#include "lib/base/fail.h"

/* ---- records ---- */

uint64_t mxq_pt2_edit_next_record(const struct mxq_pt2_edit *e, const char *folder, const char *word) {
  const struct mxq_pt2_reader *r = e->reader;
  size_t before = r->root_len + 1, f = strlen(folder), w = strlen(word), count = mxq_zip_count(r->zip);
  uint64_t next = 0, number;
  for (size_t i = 0; i < count; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    if (m->name_len <= before + f + w)
      continue;
    /* Whatever the case of its letters: PyTorch does not tell them apart. */
    const char *s = m->name + before, *digits = s + f + w;
    if (strncasecmp(s, folder, f) == 0 && strncasecmp(s + f, word, w) == 0 && mxq_json_text_to_u64(digits, strlen(digits), &number) &&
        number < UINT64_MAX / 2 && number >= next)
      next = number + 1;
  }
  return next;
}

static const char *record_name(struct mxq_pt2_edit *e, const char *word, uint64_t number) {
  char s[48];
  int n = snprintf(s, sizeof s, "%s%llu", word, (unsigned long long)number);
  return mxq_arena_text(&e->plan_arena, s, (size_t)n);
}

/* ---- devices ---- */

static bool is_cpu(const char *text, size_t n) {
  static const char cpu[] = "{\"type\": \"cpu\", \"index\": null}";
  return n == sizeof cpu - 1 && memcmp(text, cpu, n) == 0;
}

/* Puts the item's device into the list. One pass over the text of the weight's description. */
static bool add_device(struct mxq_pt2_edit *e, struct mxq_names *devices, struct mxq_pt2_edit_item *item) {
  const struct mxq_pt2_program *p = e->program;
  struct mxq_span meta, device;
  const char *text;
  uint32_t input = e->input_of[item->stored[0]];
  if (input != MXQ_NO_NUMBER) {
    text = p->text;
    meta = p->graphs[0].values[p->graphs[0].inputs_values[input]].meta;
  } else {
    const struct mxq_pt2_config_entry *entry = mxq_pt2_config_find(&e->weights_index, e->reader->stored[item->stored[0]].name);
    struct mxq_span value = entry->span;
    text = e->weights.text;
    while (text[value.at] != '{') { /* behind the key, which may hold one */
      if (text[value.at] == '"')
        for (value.at++, value.n--; text[value.at] != '"'; value.at++, value.n--)
          if (text[value.at] == '\\') {
            value.at++;
            value.n--;
          }
      value.at++;
      value.n--;
    }
    if (!mxq_pt2_field(text, value, "tensor_meta", &meta))
      return false;
  }
  if (!mxq_pt2_field(text, meta, "device", &device))
    return false;
  struct mxq_text style = {0};
  mxq_pt2_python_style(&style, text + device.at, device.n);
  uint32_t number = (uint32_t)e->device_count;
  char *copy = style.failed ? NULL : mxq_arena_text(&e->plan_arena, style.data, style.size);
  mxq_text_free(&style);
  enum mxq_names_put put = copy ? mxq_names_put(devices, copy, strlen(copy), &number) : MXQ_NAMES_NOMEM;
  if (put == MXQ_NAMES_NOMEM)
    return false;
  item->device = number;
  if (put == MXQ_NAMES_THERE)
    return true;
  if (!(e->device_count & (e->device_count - 1))) { /* 0, 1, 2, 4, ... */
    struct mxq_pt2_edit_device *list = realloc(e->devices, (e->device_count ? 2 * e->device_count : 1) * sizeof *list);
    if (!list)
      return false;
    e->devices = list;
  }
  e->devices[e->device_count++] = (struct mxq_pt2_edit_device){.text = is_cpu(copy, strlen(copy)) ? NULL : copy};
  return true;
}

/* ---- names ---- */

/* The part of a value's name behind PyTorch's p_, b_, c_. */
static const char *stem(const char *name) { return strlen(name) > 2 && strchr("pbc", name[0]) && name[1] == '_' ? name + 2 : name; }

static bool name_inputs(struct mxq_pt2_edit *e, struct mxq_names *taken, struct mxq_pt2_edit_item *item) {
  const struct mxq_pt2_subgraph *g = &e->program->graphs[0];
  uint32_t input = e->input_of[item->stored[0]];
  if (input == MXQ_NO_NUMBER)
    return true;
  const struct mxq_pt2_value *v = &g->values[g->inputs_values[input]];
  char *base = mxq_arena_alloc(&e->plan_arena, v->name_n + 3u), *name = mxq_arena_text(&e->plan_arena, v->name, v->name_n);
  if (!base || !name)
    return false;
  snprintf(base, v->name_n + 3u, "b_%s", stem(name));
  item->input[0] = mxq_pt2_unused_name(taken, &e->plan_arena, base, "_codes");
  item->input[1] = mxq_pt2_unused_name(taken, &e->plan_arena, base, "_scales");
  return item->input[0] && item->input[1];
}

static bool name_item(struct mxq_pt2_edit *e, struct mxq_pt2_naming *n, struct mxq_names *taken, uint32_t i, uint64_t *record) {
  struct mxq_pt2_edit_item *item = &e->items[i];
  const char *own = e->reader->stored[item->stored[0]].name;
  char number[24];
  snprintf(number, sizeof number, "t%u", (unsigned)item->stored[0]);
  const char *base = mxq_pt2_can_hold(n, own) ? own : number;
  item->fqn[0] = mxq_pt2_stored_name(n, base, "_codes");
  item->fqn[1] = mxq_pt2_stored_name(n, base, "_scales");
  item->record[0] = record_name(e, "weight_", (*record)++);
  item->record[1] = record_name(e, "weight_", (*record)++);
  return item->fqn[0] && item->fqn[1] && item->record[0] && item->record[1] && name_inputs(e, taken, item);
}

/* Tables of a device that decoding nodes on it use. */
static bool name_tables(struct mxq_pt2_edit *e, struct mxq_pt2_naming *n, struct mxq_names *taken, struct mxq_pt2_edit_item *item,
                        uint64_t *record) {
  struct mxq_pt2_edit_device *d = &e->devices[item->device];
  for (int t = 0; t < MXQ_TABLE_COUNT; t++) {
    if (d->fqn[t] || !item->input[0] || !mxq_pt2_table_used(t, item->t.format))
      continue;
    d->fqn[t] = mxq_pt2_stored_name(n, mxq_pt2_table_fqn(t), "");
    d->input[t] = mxq_pt2_unused_name(taken, &e->plan_arena, mxq_pt2_table_node(t), "");
    d->record[t] = record_name(e, "tensor_", (*record)++);
    if (!d->fqn[t] || !d->input[t] || !d->record[t])
      return false;
  }
  return true;
}

/* All names in graphs, inner ones too: what a node makes must not hide anything. */
static bool take_graph_names(const struct mxq_pt2_edit *e, struct mxq_names *taken) {
  for (uint32_t g = 0; g < e->program->graph_count; g++)
    for (uint32_t v = 0; v < e->program->graphs[g].value_count; v++) {
      const struct mxq_pt2_value *value = &e->program->graphs[g].values[v];
      uint32_t number = 0;
      if (mxq_names_put(taken, value->name, value->name_n, &number) == MXQ_NAMES_NOMEM)
        return false;
    }
  return true;
}

static bool all(struct mxq_pt2_edit *e, struct mxq_pt2_naming *n, struct mxq_names *devices) {
  uint64_t weight = mxq_pt2_edit_next_record(e, "data/weights/", "weight_"), tensor = mxq_pt2_edit_next_record(e, "data/constants/", "tensor_");
  const struct mxq_pt2_config_text *configs[] = {&e->weights_index, &e->constants_index};
  for (int c = 0; c < 2; c++)
    for (size_t i = 0; i < configs[c]->count; i++) {
      n->sorted[n->count++] = configs[c]->entries[i].name;
      mxq_pt2_naming_take(n, configs[c]->entries[i].name);
    }
  mxq_pt2_naming_sort(n);
  bool ok = !n->nomem && take_graph_names(e, &e->graph_names);
  for (uint32_t i = 0; i < e->count && ok; i++)
    ok = name_item(e, n, &e->graph_names, i, &weight) && add_device(e, devices, &e->items[i]) &&
         name_tables(e, n, &e->graph_names, &e->items[i], &tensor);
  return ok;
}

enum mxq_status mxq_pt2_edit_name(struct mxq_pt2_edit *e, struct mxq_error *err) {
  struct mxq_pt2_naming n = {.arena = &e->plan_arena};
  struct mxq_names devices = {0};
  n.sorted = malloc((e->weights_index.count + e->constants_index.count + 1) * sizeof *n.sorted);
  bool ok = n.sorted && all(e, &n, &devices);
  free(n.sorted);
  mxq_names_free(&n.taken);
  mxq_names_free(&devices);
  return ok ? MXQ_OK : mxq_fail_nomem(err, e->reader->base.path);
}
