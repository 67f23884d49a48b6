/* SPDX-License-Identifier: MIT */
/* MX weights that a program decodes although no manifest tells: products of what comes of codes and what comes of scales. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/recognise.h"
#include "lib/base/fail.h"

enum { MOST_TRIES = 4 };             /* products that one tensor's codes are looked for in */

struct search {
  struct mxq_pt2_reader *r;
  const bool *only;                  /* by stored tensor; NULL: what is not hidden */
  struct mxq_probe_graph graph;
  struct mxq_probe probe;
  struct mxq_pt2_recognised *found;
  size_t count, room;
  uint8_t *tries;                    /* by stored tensor */
  uint64_t budget;
  bool all;                          /* every product of each tensor, and those that were worked out and are not MX */
};

static bool open_to(const struct mxq_pt2_reader *r, const bool *only, size_t stored) { return only ? only[stored] : !r->stored[stored].hidden; }

/* Cheap, for the many archives without any: two 8-bit tensors of which one has a byte for each block of the other. */
static bool worth_it(const struct mxq_pt2_reader *r, const bool *only) {
  uint64_t most = 0, least = UINT64_MAX;
  bool scales = false;
  for (size_t i = 0; i < r->stored_count; i++) {
    const struct mxq_pt2_stored *s = &r->stored[i];
    if (!open_to(r, only, i) || !s->elements || mxq_dtype_bits((enum mxq_dtype)s->dtype) != 8 || s->dtype == MXQ_BOOL)
      continue;
    scales |= s->dtype == MXQ_F8_E8M0 || s->dtype == MXQ_U8;
    most = s->bytes > most ? s->bytes : most;
    least = s->bytes < least ? s->bytes : least;
  }
  return scales && most / 16 >= least;
}

static bool parts(const struct mxq_pt2_stored *codes, const struct mxq_pt2_stored *scales) {
  uint64_t n = scales->bytes;
  return (scales->dtype == MXQ_F8_E8M0 || scales->dtype == MXQ_U8) && codes->bytes >= 16 && codes->bytes / 32 <= n && n <= codes->bytes / 16 &&
         (codes->bytes == 16 * n || codes->bytes == 24 * n || codes->bytes == 32 * n);
}

static bool add(struct search *s, const struct mxq_pt2_recognised *one) {
  if (s->count == s->room) {
    size_t more = s->room ? 2 * s->room : 16;
    struct mxq_pt2_recognised *list = realloc(s->found, more * sizeof *list);
    if (!list)
      return false;
    s->found = list;
    s->room = more;
  }
  s->found[s->count++] = *one;
  return true;
}

/* The product of two known values, as PyTorch makes it. */
static struct mxq_probe_verdict judge(const struct search *s, uint32_t value, const struct mxq_probe_value *codes, const struct mxq_probe_value *scales,
                                      bool exponent) {
  struct mxq_probe_verdict verdict = {.product = *codes};
  struct mxq_probe_value *v = &verdict.product;
  const struct mxq_pt2_value *meta = &s->probe.g->values[value];
  int64_t size[MXQ_MAX_NDIM];
  uint32_t ndim;
  v->e = NULL;
  while (!mxq_probe_match(s->r, codes, scales, exponent, verdict.how, &verdict.match))
    if (verdict.how++ == MXQ_PROBE_ABOUT) {
      verdict.how = MXQ_PROBE_EXACT;
      return verdict;
    }
  if (verdict.how == MXQ_PROBE_ABOUT)
    return verdict;
  v->dtype = exponent ? codes->dtype : mxq_probe_promote(codes->dtype, scales->dtype);
  mxq_pt2_value_meta(s->probe.p, meta, &ndim, size, NULL);
  verdict.mx = (v->dtype == MXQ_F32 || (!exponent && (v->dtype == MXQ_BF16 || v->dtype == MXQ_F16))) && meta->type == MXQ_VALUE_TENSOR &&
               mxq_pt2_dtype(meta->dtype) == v->dtype && ndim == v->ndim && memcmp(size, v->size, ndim * sizeof *size) == 0;
  if (!verdict.mx)
    verdict.how = MXQ_PROBE_ABOUT;   /* the numbers are right, in a dtype that no tensor here has */
  return verdict;
}

/* Whether none of these scales is one that the program makes something else of. Those that cannot be read are not known. */
static bool scales_fit(struct search *s, uint32_t scales, enum mxq_probe_how how) {
  const struct mxq_pt2_stored *e = &s->r->stored[scales];
  unsigned char some[4096];
  enum mxq_status status = s->r->base.options.unverified ? MXQ_OK : mxq_pt2_check_member(s->r, e->member, NULL);
  for (uint64_t at = 0; at < e->bytes && status == MXQ_OK; at += sizeof some) {
    size_t n = e->bytes - at < sizeof some ? (size_t)(e->bytes - at) : sizeof some;
    status = mxq_pt2_gather(s->r, scales, at, some, n, NULL);
    if (status == MXQ_OK && (memchr(some, 255, n) || (how == MXQ_PROBE_NO_ENDS && memchr(some, 0, n))))
      return false;
  }
  s->probe.nomem |= status == MXQ_ERR_NOMEM;
  return status == MXQ_OK;
}

static void try_node(struct search *s, uint32_t number) {
  const struct mxq_pt2_node *node = &s->probe.g->nodes[number];
  const struct mxq_pt2_taken *taken = &s->probe.g->taken[node->first_taken];
  uint32_t operand[2] = {taken[0].value, taken[1].value}, source[2], value = s->probe.g->results[node->first_result];
  const struct mxq_probe_value *v[2];
  const struct mxq_probe_verdict *seen;
  struct mxq_probe_verdict verdict;
  char name[40];
  bool in_place;
  mxq_probe_target(s->probe.p, node, name, &in_place);
  for (int k = 0; k < 2; k++)
    source[k] = s->graph.source[operand[k]];
  int codes = parts(&s->r->stored[source[0]], &s->r->stored[source[1]]) ? 0 : 1, exponent = name[0] == 'l';
  uint32_t part[2] = {source[codes], source[1 - codes]};
  if (!parts(&s->r->stored[part[0]], &s->r->stored[part[1]]) || !open_to(s->r, s->only, part[0]) || !open_to(s->r, s->only, part[1]) ||
      s->tries[part[0]] == MOST_TRIES || (exponent && codes != 0))
    return;
  s->tries[part[0]]++;
  seen = mxq_probe_seen_before(&s->probe, &s->graph, value, part);
  if (!seen) {
    s->probe.room = 1 << 20;
    for (int k = 0; k < 2; k++)
      if (s->probe.nomem || !(v[k] = mxq_probe_work_out(&s->probe, &s->graph, operand[k])))
        return;
    if (s->graph.stored_changed[part[0]] || s->graph.stored_changed[part[1]])
      return;
    verdict = judge(s, value, v[codes], v[1 - codes], exponent);
    mxq_probe_see(&s->probe, value, part, &verdict);
    seen = &verdict;
  }
  struct mxq_pt2_recognised one = {.codes = part[0], .scales = part[1], .value = value, .format = seen->mx ? seen->match.format : MXQ_FORMAT_NONE,
                                   .unpacked = seen->match.unpacked};
  if (seen->mx ? !mxq_probe_follow(&s->probe, &s->graph, value, &seen->product, &one) : !s->all || seen->how == MXQ_PROBE_ABOUT)
    return;
  if (seen->mx && seen->how != MXQ_PROBE_EXACT && !s->all && !scales_fit(s, part[1], seen->how))
    return;                          /* (a manifest that says what they are is believed) */
  if (!s->all)
    s->tries[part[0]] = MOST_TRIES;  /* tied weights are decoded once or several times, it is one tensor */
  else if (seen->mx)
    s->tries[part[0]]--;
  s->probe.nomem |= !add(s, &one);
}

static void search(struct search *s) {
  struct mxq_probe *t = &s->probe;
  s->tries = calloc(s->r->stored_count + 1, sizeof *s->tries);
  t->values = calloc(t->g->value_count + 1, sizeof *t->values);
  t->nomem |= !s->tries || !t->values;
  for (uint32_t i = 0; i < s->graph.product_count && !t->nomem; i++) {
    try_node(s, s->graph.products[i]);
    for (uint32_t k = 0; k < t->made_count; k++)
      t->values[t->made[k]] = NULL;
    t->made = NULL;
    t->made_count = 0;
    mxq_arena_free(&t->arena);
  }
  free(s->tries);
  free(t->values);
  mxq_arena_free(&t->lasting);
}

enum mxq_status mxq_pt2_recognise(struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, const bool *only,
                                  struct mxq_pt2_recognised **found, size_t *count, struct mxq_error *err) {
  struct search s = {.r = r, .only = only, .all = only != NULL, .probe = {.r = r, .p = p}};
  struct mxq_arena arena = {NULL, NULL, NULL};
  *found = NULL;
  *count = 0;
  if (!worth_it(r, only))
    return MXQ_OK;
  s.probe.g = &p->graphs[0];
  s.budget = 8 * (uint64_t)s.probe.g->node_count + 4096;
  s.probe.budget = &s.budget;
  bool ok = mxq_probe_graph(r, p, &arena, &s.graph);
  if (ok)
    search(&s);
  mxq_arena_free(&arena);
  if (!ok || s.probe.nomem) {
    free(s.found);
    return mxq_fail_nomem(err, r->base.path);
  }
  *found = s.found;
  *count = s.count;
  return MXQ_OK;
}
