/* SPDX-License-Identifier: MIT */
/* What a weight was before it was replaced; and the two tools with which JSON is looked into and printed. */
#include <inttypes.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/program_scan.h"

bool mxq_pt2_field(const char *text, struct mxq_span object, const char *key, struct mxq_span *value) {
  mxq_json *json;
  const char *s;
  size_t n;
  *value = (struct mxq_span){0, 0};
  if (mxq_json_open(text + object.at, object.n, 0, &json, NULL) != MXQ_OK)
    return false;
  if (mxq_json_expect(json, MXQ_JSON_OBJECT))
    while (value->n == 0 && mxq_json_next(json, &s, &n) == MXQ_JSON_KEY) {
      bool found = n == strlen(key) && memcmp(s, key, n) == 0;
      enum mxq_json_type type = mxq_json_next(json, NULL, NULL);
      size_t at = mxq_json_offset(json);
      mxq_json_skip(json, type);
      if (found)
        *value = (struct mxq_span){object.at + (uint32_t)at, (uint32_t)(mxq_json_end_offset(json) - at)};
    }
  /* The text was checked before: what fails now is memory. */
  bool ok = !mxq_json_failed(json);
  mxq_json_close(json);
  return ok;
}

void mxq_pt2_python_style(struct mxq_text *to, const char *text, size_t n) {
  size_t from = 0;
  for (size_t i = 0; i < n; i++) {
    char c = text[i];
    if (c == '"') {
      for (i++; i < n && text[i] != '"'; i++)
        i += text[i] == '\\';
    } else if (c == ',' || c == ':') {
      mxq_text_add(to, text + from, i + 1 - from);
      mxq_text_add(to, " ", 1);
      from = i + 1;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      mxq_text_add(to, text + from, i - from);
      from = i + 1;
    }
  }
  mxq_text_add(to, text + from, n - from);
}

void mxq_pt2_edit_source(const struct mxq_pt2_edit *e, const struct mxq_pt2_edit_item *item, uint32_t k, struct mxq_pt2_edit_source *source) {
  const struct mxq_pt2_stored *s = &e->reader->stored[item->stored[k]];
  uint32_t input = e->input_of[item->stored[k]];
  source->parameter = s->parameter;
  source->used = false;
  source->strided = s->stated != NULL; /* as they are written: those of axes of size 1 mean nothing, and the way back needs them all the same */
  if (s->stated)
    memcpy(source->strides, s->stated, s->ndim * sizeof *s->stated);
  source->value = source->input_place = source->entry_place = MXQ_NO_NUMBER;
  if (input != MXQ_NO_NUMBER) {
    source->value = e->program->graphs[0].inputs_values[input];
    source->used = e->program->graphs[0].values[source->value].needed;
    if (k > 0)
      source->input_place = input;
  }
  if (k > 0)
    source->entry_place = (uint32_t)(mxq_pt2_config_find(&e->weights_index, s->name) - e->weights_index.entries);
}

/* What the graph says of a weight's gradient and offset; symbols tell nothing. */
static void told(const struct mxq_pt2_program *p, const struct mxq_pt2_value *v, bool *grad, int64_t *offset) {
  struct mxq_scan s = {.p = p->text + v->meta.at};
  mxq_scan_open(&s);
  while (mxq_scan_key(&s)) {
    if (mxq_scan_is(&s, "requires_grad"))
      *grad = *s.p == 't';
    if (!mxq_scan_is(&s, "storage_offset")) {
      mxq_scan_skip(&s);
      continue;
    }
    mxq_scan_open(&s);
    while (mxq_scan_key(&s))
      if (!mxq_scan_is(&s, "as_int") || !mxq_scan_i64(&s, offset))
        mxq_scan_skip(&s);
  }
}

void mxq_pt2_edit_told(const struct mxq_pt2_edit *e, const struct mxq_pt2_stored *s, uint32_t value, struct mxq_text *t) {
  const struct mxq_pt2_value *v = &e->program->graphs[0].values[value];
  int64_t size[MXQ_MAX_NDIM], strides[MXQ_MAX_NDIM], offset = (int64_t)s->offset;
  bool grad = s->requires_grad, same = true, known = true;
  uint64_t step = 1;
  uint32_t ndim;
  struct mxq_text differs = {0};
  told(e->program, v, &grad, &offset);
  mxq_pt2_value_meta(e->program, v, &ndim, size, strides);
  for (uint32_t a = s->ndim; a-- > 0; step *= s->shape[a] ? s->shape[a] : 1) {
    known &= strides[a] >= 0;
    same &= (uint64_t)strides[a] == (s->stated ? (uint64_t)s->stated[a] : step);
  }
  if (grad != s->requires_grad)
    mxq_text_addf(&differs, ",\"requires_grad\":%s", grad ? "true" : "false");
  for (uint32_t a = 0; a < s->ndim && known && !same; a++)
    mxq_text_addf(&differs, "%s%" PRId64 "%s", a ? "," : ",\"strides\":[", strides[a], a + 1 == s->ndim ? "]" : "");
  if (offset >= 0 && (uint64_t)offset != s->offset)
    mxq_text_addf(&differs, ",\"storage_offset\":%" PRId64, offset);
  if (differs.size) {
    mxq_text_addf(t, ",\"graph\":{");
    mxq_text_add(t, differs.data + 1, differs.size - 1);
    mxq_text_add(t, "}", 1);
  }
  t->failed |= differs.failed;
  mxq_text_free(&differs);
}
