/* SPDX-License-Identifier: MIT */
/* The manifest of an edited program: graph_module.metadata["custom"], a JSON text within the JSON, gets entries; everything else in it stays. */
#include <inttypes.h>
#include <mxq/mxq.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/restore.h"
#include "formats/pt2/restore_list.h"
#include "lib/base/fail.h"

#define LITERAL(t, s) mxq_text_add(t, s, sizeof(s) - 1)

static void add_place(struct mxq_text *t, uint32_t place, const char *before) {
  if (place == MXQ_NO_NUMBER)
    mxq_text_addf(t, "%snull", before);
  else
    mxq_text_addf(t, "%s%" PRIu32, before, place);
}

static int by_place(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Where the members of tensor_values begin, in order. NULL: out of memory. */
static uint32_t *value_places(const struct mxq_pt2_subgraph *g, uint32_t *count) {
  uint32_t *places = malloc((g->value_count + 1u) * sizeof *places);
  *count = 0;
  for (uint32_t i = 0; places && i < g->value_count; i++)
    if (g->values[i].described == MXQ_VALUE_TENSOR)
      places[(*count)++] = g->values[i].entry.at;
  if (places)
    qsort(places, *count, sizeof *places, by_place);
  return places;
}

/* What the way back needs of name number k. */
static void add_source(struct mxq_pt2_edit *e, const struct mxq_pt2_edit_item *item, uint32_t k, const uint32_t *places, uint32_t place_count,
                       struct mxq_text *t) {
  const struct mxq_pt2_stored *s = &e->reader->stored[item->stored[k]];
  const struct mxq_zip_member *m = mxq_zip_member(e->reader->zip, s->member);
  const char *record = strrchr(m->name, '/') + 1, *device = e->devices[item->device].text;
  struct mxq_pt2_edit_source source;
  uint32_t value_place = MXQ_NO_NUMBER;
  mxq_pt2_edit_source(e, item, k, &source);
  if (s->kind == MXQ_KIND_UNREFERENCED)
    mxq_text_addf(t, ",\"is_param\":%s", source.parameter ? "true" : "false");
  LITERAL(t, ",\"record\":");
  mxq_text_quote(t, record, strlen(record));
  if (source.value != MXQ_NO_NUMBER) {
    const struct mxq_pt2_value *v = &e->program->graphs[0].values[source.value];
    LITERAL(t, ",\"value\":");
    mxq_text_quote(t, v->name, v->name_n);
    mxq_pt2_edit_told(e, s, source.value, t);
    if (!source.used)
      value_place = (uint32_t)((const uint32_t *)bsearch(&v->entry.at, places, place_count, sizeof *places, by_place) - places);
  }
  for (uint32_t a = 0; a < s->ndim && source.strided; a++)
    mxq_text_addf(t, "%s%" PRId64 "%s", a ? "," : ",\"strides\":[", source.strides[a], a + 1 == s->ndim ? "]" : "");
  if (s->offset)
    mxq_text_addf(t, ",\"storage_offset\":%" PRIu64, s->offset);
  if (device)
    mxq_text_addf(t, ",\"device\":%s", device);
  if (source.input_place != MXQ_NO_NUMBER || value_place != MXQ_NO_NUMBER || source.entry_place != MXQ_NO_NUMBER) {
    add_place(t, source.input_place, ",\"place\":[");
    add_place(t, value_place, ",");
    add_place(t, source.entry_place, ",");
    LITERAL(t, "]");
  }
  LITERAL(t, "}}");
}

static void entries(struct mxq_pt2_edit *e, struct mxq_text *t) {
  uint32_t place_count, *places = value_places(&e->program->graphs[0], &place_count);
  for (size_t i = 0; i < e->count && places; i++) {
    const struct mxq_pt2_edit_item *item = &e->items[i];
    for (uint32_t k = 0; k < item->count; k++) {
      const struct mxq_pt2_stored *s = &e->reader->stored[item->stored[k]];
      struct mxq_tensor x = item->t;
      x.name = s->name;
      x.kind = (enum mxq_kind)s->kind;
      x.requires_grad = s->requires_grad;
      mxq_text_add(t, ",", t->size ? 1 : 0);
      mxq_pt2_manifest_entry(t, &x, item->fqn[0], item->fqn[1]);
      add_source(e, item, k, places, place_count, t);
    }
  }
  t->failed |= !places;
  free(places);
}

static void tables(const struct mxq_pt2_edit *e, struct mxq_text *t) {
  for (size_t i = 0; i < e->device_count; i++)
    for (int k = 0; k < MXQ_TABLE_COUNT; k++)
      if (e->devices[i].fqn[k]) {
        mxq_text_add(t, ",", t->size ? 1 : 0);
        mxq_text_quote(t, e->devices[i].fqn[k], strlen(e->devices[i].fqn[k]));
      }
}

/* The caller's texts as an object. */
static void metadata(const struct mxq_pt2_edit *e, struct mxq_text *t) {
  LITERAL(t, "{");
  for (size_t i = 0; i < 2 * e->metadata_count; i++) {
    if (i)
      mxq_text_add(t, i % 2 ? ":" : ",", 1);
    mxq_text_quote(t, e->metadata[i], strlen(e->metadata[i]));
  }
  LITERAL(t, "}");
}

/* Whether the archive has these texts already. */
static bool metadata_stays(const struct mxq_pt2_edit *e) {
  const struct mxq_reader *base = &e->reader->base;
  bool same = e->metadata_count == base->metadata_count;
  for (size_t i = 0; i < 2 * e->metadata_count && same; i++)
    same = strcmp(e->metadata[i], base->metadata[i]) == 0;
  return same || e->metadata_count == 0;
}

/* "mx" anew, around entries that were there (without braces). */
static void whole(const struct mxq_pt2_edit *e, struct mxq_text *t, const char *old, size_t old_n, const struct mxq_text *new_entries,
                  const struct mxq_text *new_tables) {
  mxq_text_addf(t, "\"mx\":{\"version\":1,\"tool\":\"mxquant %s\",\"archive\":\"program\",\"tables\":[", mxq_version());
  mxq_text_add(t, new_tables->size ? new_tables->data : "", new_tables->size);
  LITERAL(t, "],\"tensors\":{");
  mxq_text_add(t, old, old_n);
  mxq_text_add(t, ",", old_n ? 1 : 0);
  mxq_text_add(t, new_entries->data, new_entries->size);
  LITERAL(t, "},\"metadata\":");
  metadata(e, t);
  LITERAL(t, "}");
}

static bool blank(const char *s, size_t n) { return strspn(s, " \t\r\n") >= n; }

/* Entries that an editor left behind when it put plain tensors of these names into the program. */
static bool remove_stale(const struct mxq_pt2_edit *e, struct mxq_pt2_manifest_doc *d, struct mxq_span object, struct mxq_pt2_list_edit *list) {
  uint32_t at = object.at + 1, behind;
  struct mxq_span element;
  while (mxq_pt2_list_next(d->text, &at, &element)) {
    const char *name = mxq_pt2_key(&d->arena, d->text, element, &behind);
    if (!name)
      return false;
    size_t i = mxq_reader_find(&e->reader->base, name);
    if (i != SIZE_MAX && e->item_of[e->reader->parts[i].part[0]] != MXQ_NO_NUMBER)
      mxq_pt2_list_remove(list, element.at);
  }
  return true;
}

static void add_member(struct mxq_text *t, const char *key, const struct mxq_text *value, const char *braces) {
  mxq_text_add(t, ",", t->size ? 1 : 0);
  mxq_text_addf(t, "\"%s\":%.*s", key, braces ? 1 : 0, braces ? braces : "");
  mxq_text_add(t, value->size ? value->data : "", value->size);
  mxq_text_add(t, braces ? braces + 1 : "", braces ? 1 : 0);
}

/* A manifest of today's form: entries, tables and metadata are added to it. */
static bool extend(const struct mxq_pt2_edit *e, struct mxq_pt2_manifest_doc *d, struct mxq_text *new_entries, const struct mxq_text *new_tables,
                   struct mxq_pt2_splices *s) {
  struct mxq_pt2_list_edit list = {.to = s};
  struct mxq_text members = {0}, texts = {0};
  struct mxq_span old = {0, 0};
  bool fine = mxq_pt2_field(d->text, d->mx_value, "metadata", &old);
  if (d->tensors.n) {
    fine = remove_stale(e, d, d->tensors, &list) && fine;
    mxq_pt2_list_insert(&list, MXQ_NO_NUMBER - 1, new_entries);
    mxq_pt2_list_done(&list, d->text, d->tensors);
  } else {
    add_member(&members, "tensors", new_entries, "{}");
  }
  if (d->tables.n)
    mxq_pt2_splice_list(s, d->text, d->tables, NULL, 0, NULL, new_tables);
  else if (new_tables->size)
    add_member(&members, "tables", new_tables, "[]");
  if (!metadata_stays(e)) {
    metadata(e, &texts);
    fine = fine && !texts.failed;
    if (fine && old.n)
      mxq_pt2_splice(s, old, texts.data, texts.size);
    else if (fine)
      add_member(&members, "metadata", &texts, NULL);
  }
  mxq_pt2_splice_list(s, d->text, d->mx_value, NULL, 0, &members, NULL);
  mxq_text_free(&members);
  mxq_text_free(&texts);
  return fine;
}

/* "mx" of an old archive holds its entries itself. */
static bool renew(const struct mxq_pt2_edit *e, struct mxq_pt2_manifest_doc *d, const struct mxq_text *new_entries, const struct mxq_text *new_tables,
                  struct mxq_pt2_splices *s) {
  struct mxq_pt2_splices entry_splices = {0};
  struct mxq_pt2_list_edit list = {.to = &entry_splices};
  struct mxq_text old = {0}, mx = {0};
  struct mxq_span inside = {0, d->mx_value.n}; /* a text of its own, so that it can be moved */
  struct mxq_pt2_manifest_doc part = {.text = d->text + d->mx_value.at};
  bool fine = remove_stale(e, &part, inside, &list);
  mxq_pt2_list_done(&list, part.text, inside);
  fine = fine && mxq_pt2_splice_apply(&entry_splices, part.text, inside.n, &old);
  mxq_arena_free(&part.arena);
  bool some = fine && old.size > 2 && !blank(old.data + 1, old.size - 2);
  whole(e, &mx, some ? old.data + 1 : "", some ? old.size - 2 : 0, new_entries, new_tables);
  fine = fine && !mx.failed;
  if (fine)
    mxq_pt2_splice(s, d->mx, mx.data, mx.size);
  mxq_pt2_splice_free(&entry_splices);
  mxq_text_free(&old);
  mxq_text_free(&mx);
  return fine;
}

/* The string as the program has it with the manifest in it. */
static bool edit_custom(const struct mxq_pt2_edit *e, struct mxq_pt2_manifest_doc *d, struct mxq_text *new_entries, const struct mxq_text *new_tables,
                        struct mxq_text *quoted) {
  const struct mxq_pt2_program *p = e->program;
  struct mxq_pt2_splices s = {0};
  struct mxq_text mx = {0};
  uint32_t top = (uint32_t)strspn(d->text, " \t\r\n");
  struct mxq_span version = {0, 0};
  bool fine = d->mx_value.n == 0 || mxq_pt2_field(d->text, d->mx_value, "version", &version);
  if (d->tensors.n || version.n) {
    fine = fine && extend(e, d, new_entries, new_tables, &s);
  } else if (d->mx.n) {
    fine = fine && renew(e, d, new_entries, new_tables, &s);
  } else {
    whole(e, &mx, "", 0, new_entries, new_tables);
    mxq_pt2_splice_list(&s, d->text, (struct mxq_span){top, (uint32_t)d->size - top}, NULL, 0, NULL, &mx);
  }
  fine = fine && mxq_pt2_splice_apply_quoted(&s, p->text + p->custom.at, p->custom.n, quoted);
  mxq_text_free(&mx);
  mxq_pt2_splice_free(&s);
  return fine;
}

static bool new_custom(const struct mxq_pt2_edit *e, const struct mxq_text *new_entries, const struct mxq_text *new_tables, struct mxq_text *quoted) {
  struct mxq_text text = {0};
  LITERAL(&text, "{");
  whole(e, &text, "", 0, new_entries, new_tables);
  LITERAL(&text, "}");
  if (!text.failed)
    mxq_text_quote(quoted, text.data, text.size);
  quoted->failed |= text.failed;
  mxq_text_free(&text);
  return !quoted->failed;
}

/* Puts the string into the program, where "custom" was or where it belongs. */
static bool place_custom(struct mxq_pt2_edit *e, const struct mxq_text *quoted) {
  const struct mxq_pt2_program *p = e->program;
  struct mxq_pt2_splices *s = &e->model.splices;
  struct mxq_text member = {0};
  if (p->custom.n) {
    mxq_pt2_splice(s, p->custom, quoted->data, quoted->size);
    return !s->failed;
  }
  mxq_text_addf(&member, "%s\"custom\": ", p->metadata.n ? "" : "\"metadata\": {");
  mxq_text_add(&member, quoted->data, quoted->size);
  mxq_text_add(&member, "}", p->metadata.n ? 0 : 1);
  mxq_pt2_splice_list(s, p->text, p->metadata.n ? p->metadata : p->graph_module, NULL, 0, NULL, &member);
  mxq_text_free(&member);
  return !s->failed;
}

enum mxq_status mxq_pt2_edit_manifest(struct mxq_pt2_edit *e, struct mxq_error *err) {
  const struct mxq_pt2_program *p = e->program;
  struct mxq_pt2_manifest_doc d = {0};
  struct mxq_text new_entries = {0}, new_tables = {0}, text = {0};
  enum mxq_status status = mxq_pt2_manifest_doc_open(&d, p, err);
  if (status == MXQ_OK && p->custom.n && (!d.text || d.text[strspn(d.text, " \t\r\n")] != '{'))
    status = mxq_fail_at(err, MXQ_ERR_UNSUPPORTED, p->member, p->custom.at,
                         "graph_module.metadata[\"custom\"] is no JSON object as text, so there is no place for the manifest");
  if (status == MXQ_OK && d.mx.n && !d.mx_value.n)
    status = mxq_fail_at(err, MXQ_ERR_UNSUPPORTED, p->member, p->custom.at,
                         "\"mx\" in graph_module.metadata[\"custom\"] is no object, so there is no place for the manifest");
  if (status == MXQ_OK) {
    entries(e, &new_entries);
    tables(e, &new_tables);
    bool fine = !new_entries.failed && !new_tables.failed &&
                (d.text ? edit_custom(e, &d, &new_entries, &new_tables, &text) : new_custom(e, &new_entries, &new_tables, &text)) &&
                place_custom(e, &text);
    status = fine ? MXQ_OK : mxq_fail_nomem(err, p->member);
  }
  mxq_text_free(&new_entries);
  mxq_text_free(&new_tables);
  mxq_text_free(&text);
  mxq_pt2_manifest_doc_free(&d);
  return status;
}
