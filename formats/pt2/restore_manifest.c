/* SPDX-License-Identifier: MIT */
/* The manifest on the way back: what it remembers of a tensor's source, and how its entries are taken out. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/config_text.h"
#include "formats/pt2/restore.h"
#include "formats/pt2/restore_list.h"
#include "lib/base/fail.h"

/* The value of the element whose key ends before `behind`. */
static struct mxq_span value_of(const char *text, struct mxq_span e, uint32_t behind) {
  while (text[behind] != ':')
    behind++;
  do
    behind++;
  while (text[behind] == ' ' || text[behind] == '\t' || text[behind] == '\n' || text[behind] == '\r');
  return (struct mxq_span){behind, e.at + e.n - behind};
}

/* The member of an object that has this key. False: out of memory. */
static bool find(struct mxq_arena *arena, const char *text, struct mxq_span object, const char *key, struct mxq_span *element, struct mxq_span *value) {
  uint32_t at = object.at + 1, behind;
  struct mxq_span e;
  *element = *value = (struct mxq_span){0, 0};
  while (mxq_pt2_list_next(text, &at, &e)) {
    const char *name = mxq_pt2_key(arena, text, e, &behind);
    if (!name)
      return false;
    if (strcmp(name, key) == 0) {
      *element = e;
      *value = value_of(text, e, behind);
      return true;
    }
  }
  return true;
}

static struct mxq_span object_only(const char *text, struct mxq_span value) {
  return value.n && text[value.at] == '{' ? value : (struct mxq_span){0, 0};
}

void mxq_pt2_manifest_doc_free(struct mxq_pt2_manifest_doc *d) {
  free(d->text);
  mxq_arena_free(&d->arena);
  *d = (struct mxq_pt2_manifest_doc){0};
}

enum mxq_status mxq_pt2_manifest_doc_open(struct mxq_pt2_manifest_doc *d, const struct mxq_pt2_program *p, struct mxq_error *err) {
  mxq_json *json;
  const char *s;
  size_t n;
  struct mxq_span element, value;
  if (p->custom.n == 0 || p->text[p->custom.at] != '"')
    return MXQ_OK;
  enum mxq_status status = mxq_json_open(p->text + p->custom.at, p->custom.n, 0, &json, err);
  if (status != MXQ_OK)
    return status;
  if (mxq_json_next(json, &s, &n) == MXQ_JSON_STRING && (d->text = malloc(n + 1)) != NULL) {
    memcpy(d->text, s, n);
    d->text[n] = 0;
    d->size = n;
  }
  mxq_json_close(json);
  if (!d->text)
    return mxq_fail_nomem(err, p->member);
  const char *brace = d->text + strspn(d->text, " \t\r\n");
  if (*brace != '{' || d->size > UINT32_MAX)
    return MXQ_OK;
  struct mxq_span top = {(uint32_t)(brace - d->text), (uint32_t)(d->size - (size_t)(brace - d->text))};
  bool fine = find(&d->arena, d->text, top, "mx", &d->mx, &value);
  d->mx_value = value = object_only(d->text, value);
  if (fine && value.n) {
    fine = find(&d->arena, d->text, value, "tensors", &element, &d->tensors) && find(&d->arena, d->text, value, "kept", &element, &d->kept) &&
           find(&d->arena, d->text, value, "tables", &element, &d->tables);
    if (d->tables.n && d->text[d->tables.at] != '[')
      d->tables.n = 0;
    d->tensors = object_only(d->text, d->tensors);
    d->kept = object_only(d->text, d->kept);
  }
  return fine ? MXQ_OK : mxq_fail_nomem(err, p->member);
}

/* ---- sources ---- */

static bool text_of(const cJSON *o, const char *key, struct mxq_arena *arena, const char **to) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
  if (!cJSON_IsString(item))
    return true;
  *to = mxq_arena_text(arena, item->valuestring, strlen(item->valuestring));
  return *to != NULL;
}

static bool number_of(const cJSON *item, double most, double *to) {
  if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= most))
    return false;
  *to = item->valuedouble;
  return true;
}

/* A device as a config may state it; anything else is left out. The name is the reader's: "cuda:1". */
static bool device_of(const cJSON *o, struct mxq_arena *arena, struct mxq_pt2_source *s) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, "device");
  const cJSON *type = cJSON_GetObjectItemCaseSensitive(item, "type"), *index = cJSON_GetObjectItemCaseSensitive(item, "index");
  double number = -1;
  if (!cJSON_IsString(type) || (index && !cJSON_IsNull(index) && !number_of(index, INT32_MAX, &number)))
    return true;
  struct mxq_text t = {0}, name = {0};
  mxq_text_addf(&t, "{\"type\": ");
  mxq_text_quote(&t, type->valuestring, strlen(type->valuestring));
  mxq_text_addf(&name, "%s", type->valuestring);
  if (number < 0) {
    mxq_text_addf(&t, ", \"index\": null}");
  } else {
    mxq_text_addf(&t, ", \"index\": %d}", (int)number);
    if (strcmp(type->valuestring, "cpu") != 0)
      mxq_text_addf(&name, ":%d", (int)number);
  }
  s->device = t.failed ? NULL : mxq_arena_text(arena, t.data, t.size);
  s->device_name = name.failed ? NULL : mxq_arena_text(arena, name.data, name.size);
  mxq_text_free(&t);
  mxq_text_free(&name);
  return s->device && s->device_name;
}

static bool strides_of(const cJSON *o, struct mxq_arena *arena, const int64_t **to, uint32_t *count) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "strides"), *item;
  int64_t strides[MXQ_MAX_NDIM];
  uint32_t n = 0;
  double d;
  if (!cJSON_IsArray(list))
    return true;
  cJSON_ArrayForEach(item, list) {
    if (n == MXQ_MAX_NDIM || !number_of(item, 9e15, &d))
      return true; /* nothing that anybody wrote: the tensor comes back contiguous */
    strides[n++] = (int64_t)d;
  }
  int64_t *copy = mxq_arena_alloc(arena, n * sizeof *copy);
  if (!copy)
    return false;
  memcpy(copy, strides, n * sizeof *copy);
  *to = copy;
  *count = n;
  return true;
}

static bool graph_of(const cJSON *o, struct mxq_arena *arena, struct mxq_pt2_told *told) {
  const cJSON *graph = cJSON_GetObjectItemCaseSensitive(o, "graph"), *grad = cJSON_GetObjectItemCaseSensitive(graph, "requires_grad");
  double d;
  told->has_grad = cJSON_IsBool(grad);
  told->requires_grad = cJSON_IsTrue(grad);
  told->has_offset = number_of(cJSON_GetObjectItemCaseSensitive(graph, "storage_offset"), 9e15, &d);
  if (told->has_offset)
    told->storage_offset = (uint64_t)d;
  return strides_of(graph, arena, &told->strides, &told->stride_count);
}

/* Names that PyTorch gives values; it makes parameters of Python functions of them. */
static bool is_name(const char *s) {
  bool fine = *s && !(*s >= '0' && *s <= '9');
  for (; *s && fine; s++)
    fine = *s == '_' || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || (unsigned char)*s >= 0x80;
  return fine;
}

static bool read_source(const cJSON *o, struct mxq_arena *arena, struct mxq_pt2_source *s) {
  const cJSON *place = cJSON_GetObjectItemCaseSensitive(o, "place");
  double d;
  if (number_of(cJSON_GetObjectItemCaseSensitive(o, "storage_offset"), 9e15, &d))
    s->storage_offset = (uint64_t)d;
  for (int i = 0; i < 3 && cJSON_IsArray(place); i++)
    if (number_of(cJSON_GetArrayItem(place, i), UINT32_MAX - 1, &d))
      s->place[i] = (uint32_t)d;
  s->parameter = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "is_param"));
  if (!text_of(o, "record", arena, &s->record) || !text_of(o, "value", arena, &s->value) || !device_of(o, arena, s) ||
      !strides_of(o, arena, &s->strides, &s->stride_count) || !graph_of(o, arena, &s->graph))
    return false;
  if (s->value && !is_name(s->value))
    s->value = NULL;
  return true;
}

enum mxq_status mxq_pt2_sources_read(struct mxq_pt2_manifest_doc *d, const struct mxq_names *names, struct mxq_pt2_source *sources, struct mxq_error *err) {
  uint32_t at = d->tensors.at + 1, behind;
  struct mxq_span e;
  while (d->tensors.n && mxq_pt2_list_next(d->text, &at, &e)) {
    const char *name = mxq_pt2_key(&d->arena, d->text, e, &behind);
    uint32_t i = name ? mxq_names_find(names, name, strlen(name)) : UINT32_MAX;
    if (!name)
      return mxq_fail_nomem(err, NULL);
    if (i == UINT32_MAX)
      continue;
    struct mxq_span value = value_of(d->text, e, behind);
    cJSON *o = cJSON_ParseWithLength(d->text + value.at, value.n);
    bool fine = o && read_source(cJSON_GetObjectItemCaseSensitive(o, "source"), &d->arena, &sources[i]);
    cJSON_Delete(o);
    if (!fine)
      return mxq_fail_nomem(err, NULL);
  }
  return MXQ_OK;
}

/* ---- taking out ---- */

static bool is_empty(const char *text, struct mxq_span list) {
  uint32_t at = list.at + 1;
  struct mxq_span e;
  return list.n == 0 || !mxq_pt2_list_next(text, &at, &e);
}

/* Takes "custom" out of the metadata. */
static bool strip_custom(const struct mxq_pt2_program *p, struct mxq_pt2_splices *model, struct mxq_arena *arena) {
  struct mxq_span element, value;
  if (!find(arena, p->text, p->metadata, "custom", &element, &value))
    return false;
  struct mxq_pt2_change change = {.at = element.at};
  mxq_pt2_splice_list(model, p->text, p->metadata, &change, 1, NULL, NULL);
  return true;
}

enum mxq_status mxq_pt2_manifest_strip(struct mxq_pt2_manifest_doc *d, const struct mxq_pt2_program *p, const struct mxq_names *names,
                                       struct mxq_pt2_splices *model, struct mxq_error *err) {
  struct mxq_pt2_splices splices = {0};
  struct mxq_pt2_list_edit edit = {.to = &splices};
  struct mxq_text quoted = {0};
  uint32_t at = d->tensors.at + 1, behind, left = 0;
  struct mxq_span e, top = {0, 0};
  bool fine = true;
  if (d->tensors.n == 0)
    return MXQ_OK;
  while (fine && mxq_pt2_list_next(d->text, &at, &e)) {
    const char *name = mxq_pt2_key(&d->arena, d->text, e, &behind);
    fine = name != NULL;
    if (fine && mxq_names_find(names, name, strlen(name)) != UINT32_MAX)
      mxq_pt2_list_remove(&edit, e.at);
    else
      left++;
  }
  top.at = (uint32_t)strspn(d->text, " \t\r\n");
  bool all = left == 0 && is_empty(d->text, d->kept), alone = false;
  if (all) { /* nothing is left to be told */
    struct mxq_pt2_change change = {.at = d->mx.at};
    at = top.at + 1;
    alone = mxq_pt2_list_next(d->text, &at, &e) && e.at == d->mx.at && !mxq_pt2_list_next(d->text, &at, &e);
    mxq_pt2_splice_list(&splices, d->text, top, &change, 1, NULL, NULL);
    edit.count = 0;
  }
  if (fine && alone) {
    fine = strip_custom(p, model, &d->arena);
  } else if (fine) {
    mxq_pt2_list_done(&edit, d->text, d->tensors);
    fine = mxq_pt2_splice_apply_quoted(&splices, p->text + p->custom.at, p->custom.n, &quoted);
    if (fine)
      mxq_pt2_splice(model, p->custom, quoted.data, quoted.size);
  }
  free(edit.changes);
  mxq_pt2_splice_free(&splices);
  mxq_text_free(&quoted);
  return fine && !model->failed ? MXQ_OK : mxq_fail_nomem(err, p->member);
}
