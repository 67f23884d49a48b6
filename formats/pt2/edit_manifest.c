/* SPDX-License-Identifier: MIT */
/* The manifest of an edited program: graph_module.metadata["custom"], a JSON text within the JSON, gets entries; everything else in it stays. */
#include <inttypes.h>
#include <mxq/mxq.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/restore.h"
#include "lib/base/fail.h"

#define LITERAL(t, s) mxq_text_add(t, s, sizeof(s) - 1)

static void add_place(struct mxq_text *t, uint32_t place, const char *before) {
  if (place == MXQ_NO_NUMBER)
    mxq_text_addf(t, "%snull", before);
  else
    mxq_text_addf(t, "%s%" PRIu32, before, place);
}

/* What the way back needs of name number k. */
static void add_source(struct mxq_pt2_edit *e, const struct mxq_pt2_edit_item *item, uint32_t k, struct mxq_text *t) {
  const struct mxq_pt2_stored *s = &e->reader->stored[item->stored[k]];
  const struct mxq_zip_member *m = mxq_zip_member(e->reader->zip, s->member);
  const char *record = strrchr(m->name, '/') + 1, *device = e->devices[item->device].text;
  struct mxq_pt2_edit_source source;
  mxq_pt2_edit_source(e, item, k, &source);
  if (s->kind == MXQ_KIND_UNREFERENCED)
    mxq_text_addf(t, ",\"is_param\":%s", source.parameter ? "true" : "false");
  LITERAL(t, ",\"record\":");
  mxq_text_quote(t, record, strlen(record));
  if (source.value != MXQ_NO_NUMBER) {
    const struct mxq_pt2_value *v = &e->program->graphs[0].values[source.value];
    LITERAL(t, ",\"value\":");
    mxq_text_quote(t, v->name, v->name_n);
  }
  for (uint32_t a = 0; a < s->ndim && source.strided; a++)
    mxq_text_addf(t, "%s%" PRId64 "%s", a ? "," : ",\"strides\":[", source.strides[a], a + 1 == s->ndim ? "]" : "");
  if (s->offset)
    mxq_text_addf(t, ",\"storage_offset\":%" PRIu64, s->offset);
  if (device)
    mxq_text_addf(t, ",\"device\":%s", device);
  if (source.input_place != MXQ_NO_NUMBER || source.value_place != MXQ_NO_NUMBER || source.entry_place != MXQ_NO_NUMBER) {
    add_place(t, source.input_place, ",\"place\":[");
    add_place(t, source.value_place, ",");
    add_place(t, source.entry_place, ",");
    LITERAL(t, "]");
  }
  LITERAL(t, "}}");
}

static void entries(struct mxq_pt2_edit *e, struct mxq_text *t) {
  for (size_t i = 0; i < e->count; i++) {
    const struct mxq_pt2_edit_item *item = &e->items[i];
    for (uint32_t k = 0; k < item->count; k++) {
      const struct mxq_pt2_stored *s = &e->reader->stored[item->stored[k]];
      struct mxq_tensor x = item->t;
      x.name = s->name;
      x.kind = (enum mxq_kind)s->kind;
      x.requires_grad = s->requires_grad;
      mxq_text_add(t, ",", t->size ? 1 : 0);
      mxq_pt2_manifest_entry(t, &x, item->fqn[0], item->fqn[1]);
      add_source(e, item, k, t);
    }
  }
}

static void tables(const struct mxq_pt2_edit *e, struct mxq_text *t) {
  for (size_t i = 0; i < e->device_count; i++)
    for (int k = 0; k < MXQ_TABLE_COUNT; k++)
      if (e->devices[i].fqn[k]) {
        mxq_text_add(t, ",", t->size ? 1 : 0);
        mxq_text_quote(t, e->devices[i].fqn[k], strlen(e->devices[i].fqn[k]));
      }
}

/* "mx" anew, around the entries that were there (their text, without braces). */
static void whole(struct mxq_text *t, const char *old, size_t old_n, const struct mxq_text *entries, const struct mxq_text *tables) {
  mxq_text_addf(t, "\"mx\":{\"version\":1,\"tool\":\"mxquant %s\",\"archive\":\"program\",\"tables\":[", mxq_version());
  mxq_text_add(t, tables->size ? tables->data : "", tables->size);
  LITERAL(t, "],\"tensors\":{");
  mxq_text_add(t, old, old_n);
  mxq_text_add(t, ",", old_n ? 1 : 0);
  mxq_text_add(t, entries->data, entries->size);
  LITERAL(t, "},\"metadata\":{}}");
}

static bool blank(const char *s, size_t n) { return strspn(s, " \t\r\n") >= n; }

static struct mxq_span inside(struct mxq_span object) { return (struct mxq_span){object.at + 1, object.n - 2}; }

/* Edits the decoded text. */
static bool edit_text(const struct mxq_pt2_manifest_doc *d, struct mxq_text *new_entries, struct mxq_text *new_tables, struct mxq_text *out) {
  struct mxq_pt2_splices s = {0};
  struct mxq_text mx = {0};
  uint32_t top = (uint32_t)strspn(d->text, " \t\r\n");
  if (d->tensors.n) { /* ours: entries and tables are added */
    mxq_pt2_splice_list(&s, d->text, d->tensors, NULL, 0, NULL, new_entries);
    if (d->tables.n) {
      mxq_pt2_splice_list(&s, d->text, d->tables, NULL, 0, NULL, new_tables);
    } else if (new_tables->size) {
      struct mxq_text member = {0};
      mxq_text_addf(&member, "\"tables\":[%.*s]", (int)new_tables->size, new_tables->data);
      mxq_pt2_splice_list(&s, d->text, d->mx_value, NULL, 0, &member, NULL);
      mxq_text_free(&member);
    }
  } else if (d->mx.n) { /* of an old archive: its entries stand in "mx" itself; or something that is no manifest */
    struct mxq_span old = inside(d->mx_value);
    bool object = d->mx_value.n && !blank(d->text + old.at, old.n);
    whole(&mx, object ? d->text + old.at : "", object ? old.n : 0, new_entries, new_tables);
    if (!mx.failed)
      mxq_pt2_splice(&s, d->mx, mx.data, mx.size);
  } else {
    whole(&mx, "", 0, new_entries, new_tables);
    mxq_pt2_splice_list(&s, d->text, (struct mxq_span){top, (uint32_t)d->size - top}, NULL, 0, NULL, &mx);
  }
  bool fine = !mx.failed && mxq_pt2_splice_apply(&s, d->text, d->size, out);
  mxq_text_free(&mx);
  mxq_pt2_splice_free(&s);
  return fine;
}

/* Puts the JSON text into the program, where "custom" was or where it belongs. */
static void place_text(struct mxq_pt2_edit *e, const struct mxq_text *text) {
  const struct mxq_pt2_program *p = e->program;
  struct mxq_pt2_splices *s = &e->model.splices;
  struct mxq_text quoted = {0}, member = {0};
  if (!text->failed)
    mxq_text_quote(&quoted, text->data, text->size);
  if (p->custom.n == 0)
    LITERAL(&member, "\"custom\": ");
  if (!quoted.failed)
    mxq_text_add(&member, quoted.data, quoted.size);
  s->failed |= text->failed || quoted.failed || member.failed;
  if (s->failed) {
    ;
  } else if (p->custom.n) {
    mxq_pt2_splice(s, p->custom, member.data, member.size);
  } else if (p->metadata.n) {
    mxq_pt2_splice_list(s, p->text, p->metadata, NULL, 0, NULL, &member);
  } else {
    struct mxq_text metadata = {0};
    LITERAL(&metadata, "\"metadata\": {");
    mxq_text_add(&metadata, member.data, member.size);
    LITERAL(&metadata, "}");
    mxq_pt2_splice_list(s, p->text, p->graph_module, NULL, 0, NULL, &metadata);
    mxq_text_free(&metadata);
  }
  mxq_text_free(&quoted);
  mxq_text_free(&member);
}

enum mxq_status mxq_pt2_edit_manifest(struct mxq_pt2_edit *e, struct mxq_error *err) {
  const struct mxq_pt2_program *p = e->program;
  struct mxq_pt2_manifest_doc d = {0};
  struct mxq_text new_entries = {0}, new_tables = {0}, text = {0};
  enum mxq_status status = mxq_pt2_manifest_doc_open(&d, p, err);
  if (status == MXQ_OK && p->custom.n && (!d.text || d.text[strspn(d.text, " \t\r\n")] != '{'))
    status = mxq_fail_at(err, MXQ_ERR_UNSUPPORTED, p->member, p->custom.at,
                         "graph_module.metadata[\"custom\"] is no JSON object as text, so there is no place for the manifest");
  if (status == MXQ_OK) {
    entries(e, &new_entries);
    tables(e, &new_tables);
    bool fine = !new_entries.failed && !new_tables.failed;
    if (fine && d.text) {
      fine = edit_text(&d, &new_entries, &new_tables, &text);
    } else if (fine) {
      LITERAL(&text, "{");
      whole(&text, "", 0, &new_entries, &new_tables);
      LITERAL(&text, "}");
      fine = !text.failed;
    }
    if (fine)
      place_text(e, &text);
    status = fine && !e->model.splices.failed ? MXQ_OK : mxq_fail_nomem(err, p->member);
  }
  mxq_text_free(&new_entries);
  mxq_text_free(&new_tables);
  mxq_text_free(&text);
  mxq_pt2_manifest_doc_free(&d);
  return status;
}
