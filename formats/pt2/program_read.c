/* SPDX-License-Identifier: MIT */
/* models/<model>.json: loads it and reads its outermost objects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/program_index.h"
#include "lib/base/fail.h"

static bool metadata(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  size_t at = mxq_json_offset(ix->json);
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    bool custom = mxq_pt2_is(s, n, "custom");
    enum mxq_json_type type = custom ? mxq_json_next(ix->json, &s, &n) : MXQ_JSON_KEY;
    size_t value_at = mxq_json_offset(ix->json);
    if (type == MXQ_JSON_STRING && !ix->r->program_known)
      ix->status = mxq_pt2_manifest_parse(ix->r, s, n, ix->err);
    mxq_json_skip(ix->json, type);
    if (custom)
      ix->p->custom = mxq_pt2_span(ix, value_at);
  }
  ix->p->metadata = mxq_pt2_span(ix, at);
  return mxq_pt2_ok(ix);
}

static bool call_arguments(struct mxq_pt2_indexer *ix) {
  struct mxq_pt2_seen seen;
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  while (mxq_json_more(ix->json)) {
    uint32_t at = (uint32_t)mxq_json_offset(ix->json);
    if (!mxq_pt2_argument(ix, NULL, MXQ_ROLE_TELLS, &seen))
      return false;
    if (!seen.name || !seen.n)
      continue;
    if (!mxq_pt2_room(ix, &ix->called, &ix->called_room, ix->called_count, sizeof *ix->called))
      return false;
    ix->called[ix->called_count++] = (struct mxq_pt2_spec_name){seen.name, seen.n, at};
  }
  return mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
}

/* {"inputs": [...], "outputs": [...], "in_spec": "...", "out_spec": "..."} */
static bool call_signature(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n, at = mxq_json_offset(ix->json);
  unsigned has = 0;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "inputs") || mxq_pt2_is(s, n, "outputs")) {
      has |= s[0] == 'i' ? 1 : 2;
      call_arguments(ix);
    } else if (mxq_pt2_is(s, n, "in_spec") || mxq_pt2_is(s, n, "out_spec")) {
      has |= s[0] == 'i' ? 4 : 8;
      mxq_json_expect(ix->json, MXQ_JSON_STRING);
    } else {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
  }
  return has == 15 || mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "a signature in module_call_graph needs inputs, outputs, in_spec and out_spec");
}

static bool call_graph(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  enum mxq_json_type type = MXQ_JSON_ERROR;
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  while (mxq_pt2_ok(ix) && (type = mxq_json_next(ix->json, NULL, NULL)) == MXQ_JSON_OBJECT) {
    size_t at = mxq_json_offset(ix->json);
    bool has_fqn = false;
    while (mxq_pt2_ok(ix) && (type = mxq_json_next(ix->json, &s, &n)) == MXQ_JSON_KEY) {
      if (mxq_pt2_is(s, n, "fqn")) {
        has_fqn = mxq_json_expect(ix->json, MXQ_JSON_STRING);
      } else if (mxq_pt2_is(s, n, "signature")) {
        type = mxq_json_next(ix->json, NULL, NULL);
        if (type == MXQ_JSON_OBJECT)
          call_signature(ix);
        else if (type != MXQ_JSON_NULL && type != MXQ_JSON_ERROR)
          mxq_json_reject(ix->json, mxq_json_offset(ix->json), "a signature must be an object or null");
      } else {
        mxq_json_skip(ix->json, MXQ_JSON_KEY);
      }
    }
    if (!has_fqn)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "an entry of module_call_graph without fqn");
  }
  if (mxq_pt2_ok(ix) && type != MXQ_JSON_ARRAY_END)
    mxq_json_reject(ix->json, mxq_json_offset(ix->json), "an entry of module_call_graph must be an object");
  return mxq_pt2_ok(ix);
}

static bool graph_module(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  bool has_graph = false, has_signature = false, has_calls = false;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  size_t at = mxq_json_offset(ix->json);
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "graph"))
      has_graph = mxq_pt2_graph(ix, MXQ_NO_NUMBER, MXQ_NO_NUMBER, 0);
    else if (mxq_pt2_is(s, n, "signature"))
      has_signature = mxq_pt2_signature(ix);
    else if (mxq_pt2_is(s, n, "module_call_graph"))
      has_calls = call_graph(ix);
    else if (mxq_pt2_is(s, n, "metadata"))
      metadata(ix);
    else
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
  }
  ix->p->graph_module = mxq_pt2_span(ix, at);
  if (!(has_graph && has_signature && has_calls))
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "graph_module has no %s", !has_graph ? "graph" : !has_signature ? "signature" : "module_call_graph");
  return mxq_pt2_ok(ix);
}

/* null, or an integer; one beyond 64 bits is no bound. */
static bool bound(struct mxq_pt2_indexer *ix, bool *has, int64_t *value) {
  const char *s;
  size_t n;
  enum mxq_json_type type = mxq_json_next(ix->json, &s, &n);
  if (type == MXQ_JSON_NUMBER)
    *has = mxq_json_text_to_i64(s, n, value);
  else if (type != MXQ_JSON_NULL && type != MXQ_JSON_ERROR)
    mxq_json_reject(ix->json, mxq_json_offset(ix->json), "a bound must be an integer or null");
  return true;
}

static bool range_constraints(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  uint32_t room = 0;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  size_t at = mxq_json_offset(ix->json);
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    struct mxq_symbol symbol = {.name = mxq_arena_text(&ix->p->arena, s, n)};
    size_t symbol_at = mxq_json_offset(ix->json);
    bool has_min = false, has_max = false;
    if (!symbol.name)
      return mxq_pt2_nomem(ix);
    if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
      return false;
    while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
      if (mxq_pt2_is(s, n, "min_val"))
        has_min = bound(ix, &symbol.has_min, &symbol.min);
      else if (mxq_pt2_is(s, n, "max_val"))
        has_max = bound(ix, &symbol.has_max, &symbol.max);
      else
        mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
    if (!has_min || !has_max)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, symbol_at, "symbol '%.100s': a range needs min_val and max_val", symbol.name);
    if (symbol.has_min && symbol.has_max && symbol.min > symbol.max)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, symbol_at, "symbol '%.100s': the range is empty", symbol.name);
    if (!mxq_pt2_room(ix, &ix->p->symbols, &room, ix->p->symbol_count, sizeof symbol))
      return false;
    ix->p->symbols[ix->p->symbol_count++] = symbol;
  }
  ix->p->range_constraints = mxq_pt2_span(ix, at);
  return mxq_pt2_ok(ix);
}

static bool schema_version(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  uint64_t major, minor;
  bool has_major = false, has_minor = false;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "minor")) {
      has_minor = mxq_json_u64(ix->json, &minor);
      continue;
    }
    if (!mxq_pt2_is(s, n, "major")) {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
      continue;
    }
    if (mxq_json_u64(ix->json, &major) && major != 8)
      mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, mxq_json_offset(ix->json), "programs of schema version 8 are read, this one has version %llu",
                     (unsigned long long)major);
    has_major = true;
  }
  return has_major && has_minor && mxq_pt2_ok(ix);
}

static bool torch_version(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  enum mxq_json_type type = mxq_json_next(ix->json, &s, &n);
  if (type != MXQ_JSON_STRING) {
    mxq_json_skip(ix->json, type);
  } else if (!ix->r->program_known) {
    ix->r->torch_version = mxq_arena_text(&ix->r->base.arena, s, n);
    return ix->r->torch_version || mxq_pt2_nomem(ix);
  }
  return true;
}

static void exported_program(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  bool has_module = false, has_version = false, has_opset = false, has_ranges = false;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "graph_module")) {
      has_module = graph_module(ix);
    } else if (mxq_pt2_is(s, n, "schema_version")) {
      has_version = schema_version(ix);
    } else if (mxq_pt2_is(s, n, "torch_version")) {
      torch_version(ix);
    } else if (mxq_pt2_is(s, n, "opset_version")) {
      has_opset = mxq_json_expect(ix->json, MXQ_JSON_OBJECT);
      mxq_json_skip(ix->json, MXQ_JSON_OBJECT);
    } else if (mxq_pt2_is(s, n, "range_constraints")) {
      has_ranges = range_constraints(ix);
    } else {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
  }
  if (!has_version)
    mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, 0, "the program states no whole schema_version (major and minor)");
  if (!has_module || !has_opset || !has_ranges)
    mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, 0, "the program has no %s", !has_module ? "graph_module" : !has_opset ? "opset_version" : "range_constraints");
}

void mxq_pt2_program_free(struct mxq_pt2_program *p) {
  if (!p)
    return;
  for (uint32_t i = 0; i < p->graph_count; i++) {
    struct mxq_pt2_subgraph *g = &p->graphs[i];
    free(g->values);
    mxq_names_free(&g->by_name);
    free(g->nodes);
    free(g->taken);
    free(g->uses);
    free(g->results);
    free(g->inputs_values);
    free(g->inputs_spans);
    free(g->outputs_values);
    free(g->outputs_spans);
  }
  free(p->graphs);
  free(p->inputs);
  free(p->outputs);
  free(p->symbols);
  free(p->text);
  mxq_arena_free(&p->arena);
  free(p);
}

static enum mxq_status index_text(struct mxq_pt2_indexer *ix) {
  enum mxq_status status = mxq_json_open(ix->p->text, ix->p->size, (size_t)ix->p->size + 1, &ix->json, ix->err);
  if (status != MXQ_OK)
    return status;
  exported_program(ix);
  if (ix->status == MXQ_OK) {
    struct mxq_error err;
    status = mxq_json_end(ix->json, ix->p->member, &err);
    if (status == MXQ_ERR_NOMEM)
      ix->status = mxq_fail_nomem(ix->err, ix->r->base.path);
    else if (status != MXQ_OK)
      ix->status = mxq_pt2_told(ix, status, err.offset, err.text);
  }
  if (ix->status == MXQ_OK)
    mxq_pt2_check_program(ix);
  mxq_json_close(ix->json);
  return ix->status;
}

enum mxq_status mxq_pt2_program_read(struct mxq_pt2_reader *r, struct mxq_pt2_program **program, struct mxq_error *err) {
  struct mxq_pt2_program *p = calloc(1, sizeof *p);
  *program = NULL;
  if (!p)
    return mxq_fail_nomem(err, r->base.path);
  size_t i = mxq_pt2_model_member(r, "/models/", ".json"), n = 0;
  struct mxq_pt2_indexer ix = {.r = r, .p = p, .err = err, .node_at = SIZE_MAX};
  p->member = mxq_zip_member(r->zip, i)->name;
  enum mxq_status status = mxq_pt2_load(r, i, &p->text, &n, err);
  if (status == MXQ_OK && n >= UINT32_MAX)
    status = mxq_fail(err, MXQ_ERR_LIMIT, p->member, "programs of less than 4 GiB are read");
  p->size = (uint32_t)n;
  if (status == MXQ_OK)
    status = index_text(&ix);
  free(ix.input_names);
  free(ix.called);
  free(ix.output_names);
  if (status != MXQ_OK) {
    mxq_pt2_program_free(p);
    return status;
  }
  r->program_known = true;
  *program = p;
  return MXQ_OK;
}
