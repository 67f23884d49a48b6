/* SPDX-License-Identifier: MIT */
/* models/model.json: what the program's inputs are, and the manifest. The graph itself is checked as JSON only, and never run. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/pt2.h"
#include "lib/base/fail.h"

struct program {
  struct mxq_pt2_reader *r;
  mxq_json *json;
  const char *member;
  bool has_module, has_major;
  enum mxq_status status;
  struct mxq_error *err;
};

static bool is(const char *s, size_t n, const char *word) { return n == strlen(word) && memcmp(s, word, n) == 0; }

static void refuse(struct program *p, enum mxq_status status, size_t at, const char *name, const char *what) {
  if (p->status == MXQ_OK)
    p->status = mxq_fail_at(p->err, status, p->member, at, "tensor '%.200s': %s", name, what);
}

enum spec { OTHER, PARAMETER, BUFFER, CONSTANT };

/* What one input stands for: {"arg": ..., "parameter_name": "...", ...} */
static void spec_body(struct program *p, enum spec spec) {
  static const char *const keys[] = {"", "parameter_name", "buffer_name", "tensor_constant_name"};
  struct mxq_pt2_reader *r = p->r;
  const char *s;
  size_t n, at = mxq_json_offset(p->json);
  bool persistent = true, has_name = false;
  uint32_t i = UINT32_MAX;
  char name[208] = "";
  if (!mxq_json_expect(p->json, MXQ_JSON_OBJECT))
    return;
  while (mxq_json_next(p->json, &s, &n) == MXQ_JSON_KEY) {
    if (is(s, n, keys[spec])) {
      if (mxq_json_next(p->json, &s, &n) != MXQ_JSON_STRING) {
        mxq_json_reject(p->json, mxq_json_offset(p->json), "the name of a tensor must be a text");
        return;
      }
      has_name = true;
      i = mxq_names_find(&r->stored_names, s, n);
      if (i == UINT32_MAX) {
        memcpy(name, s, n < sizeof name ? n : sizeof name - 1);
        name[n < sizeof name ? n : sizeof name - 1] = 0;
      }
    } else if (spec == BUFFER && is(s, n, "persistent")) {
      mxq_json_bool(p->json, &persistent);
    } else {
      mxq_json_skip(p->json, MXQ_JSON_KEY);
    }
  }
  if (mxq_json_failed(p->json))
    return;
  if (!has_name) {
    mxq_json_reject(p->json, at, "an input of the program without the name of what it stands for");
    return;
  }
  if (i == UINT32_MAX) {
    refuse(p, MXQ_ERR_MALFORMED, at, name, "the program uses it, and no config has it");
    return;
  }
  struct mxq_pt2_stored *t = &r->stored[i];
  if (t->constant != (spec == CONSTANT || !persistent))
    refuse(p, MXQ_ERR_MALFORMED, at, t->name, t->constant ? "a constant to the config, a weight to the program" : "a weight to the config, a constant to the program");
  else if (spec == PARAMETER && !t->parameter)
    refuse(p, MXQ_ERR_MALFORMED, at, t->name, "a parameter to the program, and none to the config");
  t->named = true;
  t->kind = spec == PARAMETER ? MXQ_KIND_PARAMETER : spec == CONSTANT ? MXQ_KIND_CONSTANT : persistent ? MXQ_KIND_BUFFER : MXQ_KIND_NONPERSISTENT;
}

/* [{"parameter": {...}}, {"user_input": {...}}, ...] */
static void input_specs(struct program *p) {
  const char *s;
  size_t n;
  enum mxq_json_type type = MXQ_JSON_ERROR;
  if (!mxq_json_expect(p->json, MXQ_JSON_ARRAY))
    return;
  while (p->status == MXQ_OK && (type = mxq_json_next(p->json, NULL, NULL)) == MXQ_JSON_OBJECT) {
    if (mxq_json_next(p->json, &s, &n) != MXQ_JSON_KEY) {
      mxq_json_reject(p->json, mxq_json_offset(p->json), "an input of the program without a kind");
      return;
    }
    enum spec spec = is(s, n, "parameter") ? PARAMETER : is(s, n, "buffer") ? BUFFER : is(s, n, "tensor_constant") ? CONSTANT : OTHER;
    if (spec == OTHER)
      mxq_json_skip(p->json, MXQ_JSON_KEY);
    else
      spec_body(p, spec);
    if (p->status == MXQ_OK && !mxq_json_expect(p->json, MXQ_JSON_OBJECT_END))
      return;
  }
  if (p->status == MXQ_OK && type != MXQ_JSON_ARRAY_END)
    mxq_json_reject(p->json, mxq_json_offset(p->json), "an input of the program must be an object");
}

/* Reads an object and hands the value behind each key to `value`, which returns false when it did not take it. */
static void object(struct program *p, bool (*value)(struct program *p, const char *key, size_t n)) {
  const char *s;
  size_t n;
  if (!mxq_json_expect(p->json, MXQ_JSON_OBJECT))
    return;
  while (p->status == MXQ_OK && mxq_json_next(p->json, &s, &n) == MXQ_JSON_KEY)
    if (!value(p, s, n))
      mxq_json_skip(p->json, MXQ_JSON_KEY);
}

static bool signature_value(struct program *p, const char *key, size_t n) {
  if (!is(key, n, "input_specs"))
    return false;
  input_specs(p);
  return true;
}

static bool metadata_value(struct program *p, const char *key, size_t n) {
  const char *s;
  size_t len;
  if (!is(key, n, "custom"))
    return false;
  enum mxq_json_type type = mxq_json_next(p->json, &s, &len);
  if (type == MXQ_JSON_STRING)
    p->status = mxq_pt2_manifest_parse(p->r, s, len, p->err);
  else
    mxq_json_skip(p->json, type);
  return true;
}

static bool module_value(struct program *p, const char *key, size_t n) {
  if (is(key, n, "signature"))
    object(p, signature_value);
  else if (is(key, n, "metadata"))
    object(p, metadata_value);
  else
    return false;
  return true;
}

static bool version_value(struct program *p, const char *key, size_t n) {
  uint64_t major;
  if (!is(key, n, "major"))
    return false;
  size_t at = mxq_json_offset(p->json);
  if (mxq_json_u64(p->json, &major)) {
    p->has_major = true;
    if (major != 8)
      p->status = mxq_fail_at(p->err, MXQ_ERR_UNSUPPORTED, p->member, at, "programs of schema version 8 are read, this one has version %llu",
                              (unsigned long long)major);
  }
  return true;
}

static bool program_value(struct program *p, const char *key, size_t n) {
  if (is(key, n, "graph_module")) {
    p->has_module = true;
    object(p, module_value);
  } else if (is(key, n, "schema_version")) {
    object(p, version_value);
  } else if (is(key, n, "torch_version")) {
    const char *s;
    size_t len;
    enum mxq_json_type type = mxq_json_next(p->json, &s, &len);
    if (type == MXQ_JSON_STRING) {
      p->r->torch_version = mxq_arena_text(&p->r->base.arena, s, len);
      if (!p->r->torch_version)
        p->status = mxq_fail_nomem(p->err, p->r->base.path);
    } else {
      mxq_json_skip(p->json, type);
    }
  } else {
    return false;
  }
  return true;
}

enum mxq_status mxq_pt2_program(struct mxq_pt2_reader *r, struct mxq_error *err) {
  size_t i = mxq_pt2_model_member(r, "/models/", ".json"), n;
  char *text;
  struct program p = {.r = r, .member = mxq_zip_member(r->zip, i)->name, .err = err};
  enum mxq_status status = mxq_pt2_load(r, i, &text, &n, err);
  if (status == MXQ_OK)
    status = mxq_json_open_in_place(text, n, 0, &p.json, err);
  if (status == MXQ_OK) {
    object(&p, program_value);
    status = p.status != MXQ_OK ? p.status : mxq_json_end(p.json, p.member, err);
    mxq_json_close(p.json);
  }
  free(text);
  if (status == MXQ_OK && !p.has_major)
    return mxq_fail(err, MXQ_ERR_MALFORMED, p.member, "the program states no schema_version");
  if (status == MXQ_OK && !p.has_module)
    return mxq_fail(err, MXQ_ERR_MALFORMED, p.member, "the program has no graph_module");
  return status;
}
