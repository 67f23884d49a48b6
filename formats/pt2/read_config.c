/* SPDX-License-Identifier: MIT */
/* PayloadConfig: fqn -> record and view. Everything that later code relies on about views is proved here. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats/pt2/pt2.h"
#include "lib/base/fail.h"

/* A config while it is read. */
struct config {
  struct mxq_pt2_reader *r;
  mxq_json *json;
  bool constants;
  const char *member;                /* for messages */
  enum mxq_status status;            /* other than what the JSON parser finds */
  struct mxq_error *err;
};

/* The device's name for a stored tensor: NULL for cpu, which nearly all are. False: out of memory. */
static bool keep_device(struct mxq_pt2_reader *r, const char *text, const char **kept) {
  *kept = NULL;
  if (strcmp(text, "cpu") == 0)
    return true;
  if (!r->last_device || strcmp(r->last_device, text) != 0)
    r->last_device = mxq_arena_text(&r->base.arena, text, strlen(text));
  *kept = r->last_device;
  return *kept != NULL;
}

/* One entry while it is read. */
struct payload {
  size_t at;
  char path[256];
  size_t path_len;
  bool has_path, has_param, has_pickle, has_meta, null_meta, parameter, pickle;
  bool has_dtype, has_sizes, has_strides, has_offset, has_grad, has_device, has_layout, grad;
  uint64_t dtype, layout;
  uint64_t sizes[MXQ_MAX_NDIM];
  int64_t strides[MXQ_MAX_NDIM], offset;
  uint32_t size_count, stride_count;
  char device[64];
};

static bool is(const char *s, size_t n, const char *word) { return n == strlen(word) && memcmp(s, word, n) == 0; }

#define REJECT(c, at, ...) mxq_json_reject((c)->json, at, __VA_ARGS__)

static void refuse(struct config *c, enum mxq_status status, size_t at, const char *name, const char *what) {
  if (c->status == MXQ_OK && !mxq_json_failed(c->json))
    c->status = mxq_fail_at(c->err, status, c->member, at, "tensor '%.200s': %s", name, what);
}

/* {"as_int": N} */
static bool sym_int(struct config *c, int64_t *value) {
  const char *s;
  size_t n;
  if (!mxq_json_expect(c->json, MXQ_JSON_OBJECT))
    return false;
  if (mxq_json_next(c->json, &s, &n) != MXQ_JSON_KEY || !is(s, n, "as_int")) {
    REJECT(c, mxq_json_offset(c->json), "a size must be {\"as_int\": N}");
    return false;
  }
  return mxq_json_i64(c->json, value) && mxq_json_expect(c->json, MXQ_JSON_OBJECT_END);
}

/* An array of them, none negative. */
static uint32_t sym_ints(struct config *c, int64_t *values) {
  uint32_t count = 0;
  enum mxq_json_type type;
  if (!mxq_json_expect(c->json, MXQ_JSON_ARRAY))
    return 0;
  while ((type = mxq_json_next(c->json, NULL, NULL)) == MXQ_JSON_OBJECT) {
    const char *s;
    size_t n, at = mxq_json_offset(c->json);
    if (count == MXQ_MAX_NDIM) {
      REJECT(c, at, "more than %d dimensions", MXQ_MAX_NDIM);
      return 0;
    }
    if (mxq_json_next(c->json, &s, &n) != MXQ_JSON_KEY || !is(s, n, "as_int")) {
      REJECT(c, at, "a size must be {\"as_int\": N}");
      return 0;
    }
    if (!mxq_json_i64(c->json, &values[count]) || !mxq_json_expect(c->json, MXQ_JSON_OBJECT_END))
      return 0;
    if (values[count] < 0) {
      REJECT(c, at, "a negative size or stride");
      return 0;
    }
    count++;
  }
  if (type != MXQ_JSON_ARRAY_END)
    REJECT(c, mxq_json_offset(c->json), "a size must be {\"as_int\": N}");
  return count;
}

/* {"type": "cuda", "index": 0}: where the tensor was; its bytes are the same. */
static void device(struct config *c, char text[64]) {
  const char *s;
  size_t n = 0, type_n = 0, at = mxq_json_offset(c->json);
  bool has_type = false;
  int64_t index = -1;
  if (!mxq_json_expect(c->json, MXQ_JSON_OBJECT))
    return;
  while (mxq_json_next(c->json, &s, &n) == MXQ_JSON_KEY) {
    if (is(s, n, "type")) {
      has_type = mxq_json_next(c->json, &s, &type_n) == MXQ_JSON_STRING && type_n > 0 && type_n < 32 && !memchr(s, 0, type_n);
      if (!has_type)
        break;
      memcpy(text, s, type_n);
    } else if (is(s, n, "index")) {
      enum mxq_json_type type = mxq_json_next(c->json, &s, &n);
      if (type != MXQ_JSON_NULL && !(type == MXQ_JSON_NUMBER && mxq_json_text_to_i64(s, n, &index)))
        REJECT(c, mxq_json_offset(c->json), "the index of a device must be a whole number or null");
    } else {
      mxq_json_skip(c->json, MXQ_JSON_KEY);
    }
  }
  if (!has_type) {
    REJECT(c, at, "a device without type");
    return;
  }
  text[type_n] = 0;
  if (index >= 0 && strcmp(text, "cpu") != 0)
    snprintf(text + type_n, 64 - type_n, ":%" PRId64, index);
}

static void tensor_meta(struct config *c, struct payload *p) {
  const char *s;
  size_t n;
  int64_t sizes[MXQ_MAX_NDIM];
  while (mxq_json_next(c->json, &s, &n) == MXQ_JSON_KEY) {
    if (is(s, n, "dtype")) {
      p->has_dtype = mxq_json_u64(c->json, &p->dtype);
    } else if (is(s, n, "sizes")) {
      p->size_count = sym_ints(c, sizes);
      for (uint32_t i = 0; i < p->size_count; i++)
        p->sizes[i] = (uint64_t)sizes[i];
      p->has_sizes = true;
    } else if (is(s, n, "strides")) {
      p->stride_count = sym_ints(c, p->strides);
      p->has_strides = true;
    } else if (is(s, n, "storage_offset")) {
      p->has_offset = sym_int(c, &p->offset);
    } else if (is(s, n, "requires_grad")) {
      p->has_grad = mxq_json_bool(c->json, &p->grad);
    } else if (is(s, n, "layout")) {
      p->has_layout = mxq_json_u64(c->json, &p->layout);
    } else if (is(s, n, "device")) {
      device(c, p->device);
      p->has_device = true;
    } else {
      mxq_json_skip(c->json, MXQ_JSON_KEY);
    }
  }
}

/* One record's name: the last part of a path, and nothing else; not that of a config, which lies in the same folder. */
static bool plain_path(const struct payload *p) {
  static const char config[] = "_config.json";
  size_t n = sizeof config - 1;
  if ((p->path_len > n && strncasecmp(p->path + p->path_len - n, config, n) == 0) || p->path_len == 0 || (p->path_len == 1 && p->path[0] == '.') || (p->path_len == 2 && memcmp(p->path, "..", 2) == 0))
    return false;
  return !memchr(p->path, '/', p->path_len) && !memchr(p->path, '\\', p->path_len);
}

static void read_payload(struct config *c, struct payload *p) {
  const char *s;
  size_t n;
  if (!mxq_json_expect(c->json, MXQ_JSON_OBJECT))
    return;
  while (mxq_json_next(c->json, &s, &n) == MXQ_JSON_KEY) {
    if (is(s, n, "path_name")) {
      if (mxq_json_next(c->json, &s, &n) != MXQ_JSON_STRING || n >= sizeof p->path) {
        REJECT(c, mxq_json_offset(c->json), "the name of a record must be a text of at most 255 bytes");
        return;
      }
      memcpy(p->path, s, n);
      p->path[n] = 0;
      p->path_len = n;
      p->has_path = true;
    } else if (is(s, n, "is_param")) {
      p->has_param = mxq_json_bool(c->json, &p->parameter);
    } else if (is(s, n, "use_pickle")) {
      p->has_pickle = mxq_json_bool(c->json, &p->pickle);
    } else if (is(s, n, "tensor_meta")) {
      enum mxq_json_type type = mxq_json_next(c->json, NULL, NULL);
      p->has_meta = true;
      p->null_meta = type == MXQ_JSON_NULL;
      if (type == MXQ_JSON_OBJECT)
        tensor_meta(c, p);
      else if (type != MXQ_JSON_NULL)
        REJECT(c, mxq_json_offset(c->json), "tensor_meta must be an object or null");
    } else {
      mxq_json_skip(c->json, MXQ_JSON_KEY);
    }
  }
}

/* Bytes of the view's values, and that every one of them lies in the record. */
static const char *check_view(const struct payload *p, uint64_t record, unsigned scalar, uint64_t *elements, uint64_t *bytes) {
  uint64_t count = 1, all = 1, reach = (uint64_t)p->offset, step;
  if (p->size_count != p->stride_count)
    return "it has not as many strides as sizes";
  for (uint32_t i = 0; i < p->size_count; i++) {
    count *= p->sizes[i]; /* zero, or what `all` is */
    if (__builtin_mul_overflow(all, p->sizes[i] ? p->sizes[i] : 1, &all) || all > INT64_MAX / scalar)
      return "its sizes multiply to more than 2^63 bytes";
  }
  *elements = count;
  *bytes = count * scalar;
  if (record % scalar)
    return "its record is not a whole number of scalars";
  if (count == 0)
    return NULL;
  for (uint32_t i = 0; i < p->size_count; i++)
    if (__builtin_mul_overflow(p->sizes[i] - 1, (uint64_t)p->strides[i], &step) || __builtin_add_overflow(reach, step, &reach))
      return "it reaches beyond its record";
  return reach < record / scalar ? NULL : "it reaches beyond its record";
}

static bool contiguous(const struct payload *p, uint64_t elements) {
  uint64_t step = 1;
  if (elements == 0)
    return true;
  for (uint32_t i = p->size_count; i-- > 0; step *= p->sizes[i])
    if (p->sizes[i] != 1 && (uint64_t)p->strides[i] != step)
      return false;
  return true;
}

/* Whether the strides are the ones that PyTorch gives a new tensor. */
static bool usual_strides(const struct payload *p) {
  uint64_t step = 1;
  for (uint32_t i = p->size_count; i-- > 0; step *= p->sizes[i] ? p->sizes[i] : 1) /* checked: no overflow */
    if ((uint64_t)p->strides[i] != step)
      return false;
  return true;
}

static struct mxq_pt2_stored *room(struct config *c) {
  struct mxq_pt2_reader *r = c->r;
  if (r->stored_count >= r->base.options.max_tensors) {
    c->status = mxq_fail(c->err, MXQ_ERR_LIMIT, r->base.path, "more than %" PRIu64 " tensors, the limit that is set", r->base.options.max_tensors);
    return NULL;
  }
  if (r->stored_count == r->stored_room) {
    size_t more = r->stored_room ? r->stored_room + r->stored_room / 2 : 64;
    struct mxq_pt2_stored *s = realloc(r->stored, more * sizeof *s);
    if (!s) {
      c->status = mxq_fail_nomem(c->err, r->base.path);
      return NULL;
    }
    r->stored = s;
    r->stored_room = more;
  }
  return &r->stored[r->stored_count];
}

static const char *missing(const struct payload *p) {
  if (!p->has_path || !p->has_param || !p->has_pickle || !p->has_meta)
    return "path_name, is_param, use_pickle and tensor_meta must all be there";
  if (!p->null_meta && !(p->has_dtype && p->has_sizes && p->has_strides && p->has_offset && p->has_grad && p->has_device && p->has_layout))
    return "dtype, sizes, strides, storage_offset, requires_grad, device and layout must all be there";
  return NULL;
}

static void add(struct config *c, const char *name, const struct payload *p) {
  struct mxq_pt2_reader *r = c->r;
  const char *what = missing(p);
  size_t member = SIZE_MAX;
  if (mxq_json_failed(c->json))
    return;
  if (!what && !plain_path(p))
    what = "path_name must be the bare name of a record, and of no config";
  if (!what)
    member = mxq_pt2_member(r, c->constants ? "/data/constants/" : "/data/weights/", p->path, p->path_len);
  if (!what && member == SIZE_MAX)
    what = "its record is not in the archive";
  if (what) {
    refuse(c, MXQ_ERR_MALFORMED, p->at, name, what);
    return;
  }
  if (c->constants && strncmp(p->path, "tensor_", 7) != 0) {
    if (strncmp(p->path, "custom_obj_", 11) != 0 && strncmp(p->path, "opaque_obj_", 11) != 0)
      refuse(c, MXQ_ERR_MALFORMED, p->at, name, "a constant's record must be called tensor_, custom_obj_ or opaque_obj_ and a number");
    else
      c->status = mxq_pt2_object(r, name, member, c->err);
    return;
  }
  if (p->pickle) {
    refuse(c, MXQ_ERR_UNSUPPORTED, p->at, name, "it is stored as a pickle, and those are never read, since loading one runs code");
    return;
  }
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, member);
  enum mxq_dtype dtype = mxq_pt2_dtype(p->dtype);
  uint64_t elements = 0, bytes = 0;
  if (p->null_meta)
    what = "it has no tensor_meta";
  else if (p->layout != 7)
    what = "only the strided layout (7) is read";
  else if (dtype == MXQ_DTYPE_NONE)
    what = "its dtype is not known";
  else if (r->record_dtype[member] && r->record_dtype[member] != dtype)
    what = "two dtypes lie over one record";
  else if (p->offset < 0)
    what = "its storage_offset is negative";
  else
    what = check_view(p, m->size, mxq_dtype_bits(dtype) / 8, &elements, &bytes);
  if (what) {
    refuse(c, dtype == MXQ_DTYPE_NONE && !p->null_meta && p->layout == 7 ? MXQ_ERR_UNSUPPORTED : MXQ_ERR_MALFORMED, p->at, name, what);
    return;
  }
  struct mxq_pt2_stored *s = room(c);
  if (!s)
    return;
  bool flat = contiguous(p, elements), usual = usual_strides(p);
  uint64_t *shape = p->size_count ? mxq_arena_alloc(&r->base.arena, p->size_count * sizeof *shape) : NULL;
  int64_t *strides = usual ? NULL : mxq_arena_alloc(&r->base.arena, p->size_count * sizeof *strides);
  const char *device;
  if ((p->size_count && !shape) || (!usual && !strides) || !keep_device(r, p->device, &device)) {
    c->status = mxq_fail_nomem(c->err, r->base.path);
    return;
  }
  if (shape)
    memcpy(shape, p->sizes, p->size_count * sizeof *shape);
  if (strides)
    memcpy(strides, p->strides, p->size_count * sizeof *strides);
  r->record_dtype[member] = (uint8_t)dtype;
  *s = (struct mxq_pt2_stored){.name = name, .shape = shape, .strides = flat ? NULL : strides, .stated = strides, .device = device, .offset = (uint64_t)p->offset, .elements = elements,
                               .bytes = bytes, .member = (uint32_t)member, .ndim = (uint8_t)p->size_count, .dtype = (uint8_t)dtype,
                               .kind = c->constants ? MXQ_KIND_CONSTANT : MXQ_KIND_UNREFERENCED, .parameter = p->parameter,
                               .requires_grad = p->grad, .constant = c->constants};
  uint32_t number = (uint32_t)r->stored_count;
  switch (mxq_names_put(&r->stored_names, name, strlen(name), &number)) {
  case MXQ_NAMES_NEW: r->stored_count++; break;
  case MXQ_NAMES_THERE: refuse(c, MXQ_ERR_MALFORMED, p->at, name, "it stands twice in the configs"); break;
  case MXQ_NAMES_NOMEM: c->status = mxq_fail_nomem(c->err, r->base.path); break;
  }
}

static void read_config(struct config *c) {
  const char *s;
  size_t n, at = 0;
  bool found = false;
  if (!mxq_json_expect(c->json, MXQ_JSON_OBJECT))
    return;
  while (c->status == MXQ_OK && mxq_json_next(c->json, &s, &n) == MXQ_JSON_KEY) {
    if (!is(s, n, "config")) {
      mxq_json_skip(c->json, MXQ_JSON_KEY);
      continue;
    }
    found = mxq_json_expect(c->json, MXQ_JSON_OBJECT);
    if (found && !c->constants)
      mxq_json_own_keys(c->json);    /* all of them go into stored_names */
    while (c->status == MXQ_OK && mxq_json_next(c->json, &s, &n) == MXQ_JSON_KEY) {
      struct payload p;
      memset(&p, 0, offsetof(struct payload, sizes));
      p.offset = 0;
      p.size_count = p.stride_count = 0;
      p.path_len = 0;
      p.at = mxq_json_offset(c->json);
      const char *name = mxq_arena_text(&c->r->base.arena, s, n);
      if (!name) {
        c->status = mxq_fail_nomem(c->err, c->r->base.path);
        return;
      }
      read_payload(c, &p);
      add(c, name, &p);
    }
    at = mxq_json_offset(c->json);
  }
  if (!found)
    REJECT(c, at, "there is no key \"config\"");
}

enum mxq_status mxq_pt2_config(struct mxq_pt2_reader *r, bool constants, struct mxq_error *err) {
  const char *before = constants ? "/data/constants/" : "/data/weights/", *after = constants ? "_constants_config.json" : "_weights_config.json";
  size_t i = mxq_pt2_model_member(r, before, after), n;
  char *text;
  if (i == SIZE_MAX)
    return mxq_fail(err, MXQ_ERR_MALFORMED, r->base.path, "the archive has no record %s%.200s%s", before + 1, r->model, after);
  struct config c = {.r = r, .constants = constants, .member = mxq_zip_member(r->zip, i)->name, .err = err};
  enum mxq_status status = mxq_pt2_load(r, i, &text, &n, err);
  if (status == MXQ_OK)
    status = mxq_json_open_in_place(text, n, 0, &c.json, err);
  if (status == MXQ_OK) {
    read_config(&c);
    status = c.status != MXQ_OK ? c.status : mxq_json_end(c.json, c.member, err);
    mxq_json_close(c.json);
  }
  free(text);
  return status;
}
