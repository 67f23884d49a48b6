/* SPDX-License-Identifier: MIT */
/*
 * What a manifest says of codes and scales against what the program makes of them: a caller gets numbers by the manifest, PyTorch by the nodes. Nodes that are
 * not understood contradict nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/manifest_tables.h"
#include "formats/pt2/program.h"
#include "lib/base/fail.h"

struct check {
  const struct mxq_pt2_reader *r;
  const struct mxq_pt2_program *p;
  const struct mxq_pt2_recognised *found;
  size_t count;
  uint32_t *first, *next;            /* lists of what was found, by stored codes; UINT32_MAX ends one */
};

static bool parse(const struct mxq_pt2_entry *e, enum mxq_format *format) {
  return e->format && mxq_format_parse(e->format, format) && *format != MXQ_FORMAT_NONE;
}

/* One product that decodes as the manifest says is enough: whatever else is made of the codes is the program's own business. */
static enum mxq_status check_entry(const struct check *c, const struct mxq_pt2_entry *e, struct mxq_error *err) {
  const struct mxq_pt2_recognised *other = NULL;
  enum mxq_format format;
  if (e->part[0] == UINT32_MAX || e->part[1] == UINT32_MAX || !parse(e, &format))
    return MXQ_OK;                   /* there is nothing to check, or it is refused by what it says */
  for (uint32_t i = c->first[e->part[0]]; i != UINT32_MAX; i = c->next[i]) {
    const struct mxq_pt2_recognised *f = &c->found[i];
    if (f->scales == e->part[1] && f->format == format)
      return MXQ_OK;
    other = other ? other : f;
  }
  if (!other)
    return MXQ_OK;
  const struct mxq_pt2_value *v = &c->p->graphs[0].values[other->value];
  const char *codes = c->r->stored[e->part[0]].name;
  if (other->scales != e->part[1])
    return mxq_fail(err, MXQ_ERR_MALFORMED, e->name, "the archive's manifest says that '%.100s' scales its codes '%.100s', but the program (node '%.*s') takes '%.100s'",
                    c->r->stored[e->part[1]].name, codes, v->name_n < 100 ? v->name_n : 100, v->name, c->r->stored[other->scales].name);
  return mxq_fail(err, MXQ_ERR_MALFORMED, e->name,
                  "the archive's manifest says that its codes '%.100s' are %s, but the program (node '%.*s') makes other numbers of them%s%s", codes,
                  mxq_format_name(format), v->name_n < 100 ? v->name_n : 100, v->name, other->format ? ": those of " : "",
                  other->format ? mxq_format_name(other->format) : "");
}

enum mxq_status mxq_pt2_manifest_check(struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, struct mxq_error *err) {
  struct check c = {.r = r, .p = p};
  struct mxq_pt2_recognised *found = NULL;
  const struct mxq_pt2_manifest_text *m = &r->manifest;
  enum mxq_status status = mxq_pt2_tables_check(r, err); /* first: it has the better reason */
  if (status != MXQ_OK || m->entry_count == 0)
    return status;
  bool *all = malloc(r->stored_count + 1);
  if (!all)
    return mxq_fail_nomem(err, r->base.path);
  memset(all, true, r->stored_count + 1); /* scales of another weight are no scales of this one */
  status = mxq_pt2_recognise(r, p, all, &found, &c.count, err);
  free(all);
  c.found = found;
  if (status == MXQ_OK && c.count) {
    size_t n = r->stored_count + c.count;
    c.first = malloc(n * sizeof *c.first);
    if (c.first) {
      memset(c.first, 0xFF, n * sizeof *c.first);
      c.next = c.first + r->stored_count;
    } else {
      status = mxq_fail_nomem(err, r->base.path);
    }
  }
  for (size_t i = c.count; c.next && i-- > 0;) {
    c.next[i] = c.first[found[i].codes];
    c.first[found[i].codes] = (uint32_t)i;
  }
  for (size_t i = 0; c.next && status == MXQ_OK && i < m->entry_count; i++)
    status = check_entry(&c, &m->entries[i], err);
  free(c.first);
  free(found);
  return status;
}
