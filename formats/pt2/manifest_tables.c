/* SPDX-License-Identifier: MIT */
/* Tables of decoding nodes: a few KiB that every decoded number of the program comes from, so they are compared whenever an archive is opened. */
#include "formats/pt2/manifest_tables.h"

#include <stdlib.h>
#include <string.h>

#include "formats/pt2/write.h"
#include "lib/base/fail.h"

/* mx_e2m3, and mx_e2m3_1 where the program has an mx_e2m3 of its own. */
static bool is_called(const char *name, const char *fqn) {
  size_t n = strlen(fqn);
  if (strncmp(name, fqn, n) != 0)
    return false;
  const char *rest = name + n;
  return *rest == 0 || (*rest == '_' && rest[1] && rest[1 + strspn(rest + 1, "0123456789")] == 0);
}

/* MXQ_TABLE_COUNT: none. */
static enum mxq_pt2_table which(const struct mxq_pt2_stored *s) {
  for (enum mxq_pt2_table t = 0; t < MXQ_TABLE_COUNT; t++) {
    uint64_t shape[2];
    uint32_t ndim = mxq_pt2_table_shape(t, shape);
    if (is_called(s->name, mxq_pt2_table_fqn(t)) && s->dtype == mxq_pt2_dtype((uint64_t)mxq_pt2_table_dtype(t)) && s->ndim == ndim &&
        memcmp(s->shape, shape, ndim * sizeof *shape) == 0)
      return t;
  }
  return MXQ_TABLE_COUNT;
}

bool mxq_pt2_is_table(const struct mxq_pt2_stored *s) { return s->constant && which(s) != MXQ_TABLE_COUNT; }

enum mxq_status mxq_pt2_tables_check(struct mxq_pt2_reader *r, struct mxq_error *err) {
  unsigned char have[2048], want[2048];
  for (uint32_t i = 0; i < r->stored_count; i++) {
    const struct mxq_pt2_stored *s = &r->stored[i];
    if ((!s->hidden && !r->manifest.weights) || !mxq_pt2_is_table(s))
      continue;
    enum mxq_pt2_table t = which(s);
    size_t n = mxq_pt2_table_bytes(t);
    enum mxq_status status = r->base.options.unverified ? MXQ_OK : mxq_pt2_check_member(r, s->member, err);
    if (status == MXQ_OK)
      status = mxq_pt2_gather(r, i, 0, have, n, err);
    if (status != MXQ_OK)
      return status;
    mxq_pt2_table_data(t, want);
    for (size_t k = 0; k < n; k += 4)
      if (memcmp(have + k, want + k, 4) != 0)
        return mxq_fail(err, MXQ_ERR_MALFORMED, s->name,
                        "entry %zu of this table is not that of %s: PyTorch decodes other numbers with it than the codes stand for; convert the source again",
                        k / 4, mxq_pt2_table_fqn(t));
  }
  return MXQ_OK;
}
