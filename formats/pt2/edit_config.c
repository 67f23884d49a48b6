/* SPDX-License-Identifier: MIT */
/* Both configs of an edited program: codes and scales for weights, tables behind the constants. */
#include <string.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/restore_list.h"
#include "lib/base/fail.h"

static void begin(struct mxq_text *t, const char *fqn, const char *record) {
  mxq_text_add(t, ",", t->size ? 1 : 0);
  mxq_text_quote(t, fqn, strlen(fqn));
  mxq_text_addf(t, ":{\"path_name\":\"%s\",\"is_param\":false,\"use_pickle\":false,\"tensor_meta\":", record);
}

static void styled(struct mxq_text *to, struct mxq_text *from) {
  if (!from->failed && from->size)
    mxq_pt2_python_style(to, from->data, from->size);
  to->failed |= from->failed;
  mxq_text_free(from);
}

static void pair(const struct mxq_pt2_edit *e, const struct mxq_pt2_edit_item *item, struct mxq_text *to) {
  struct mxq_text t = {0};
  uint64_t shape[MXQ_MAX_NDIM + 1];
  const char *device = e->devices[item->device].text;
  uint32_t ndim = mxq_pt2_codes_shape(&item->t, shape);
  begin(&t, item->fqn[0], item->record[0]);
  mxq_pt2_meta_on(&t, mxq_pt2_codes_dtype(item->t.format), shape, ndim, NULL, false, device);
  mxq_text_add(&t, "}", 1);
  ndim = mxq_pt2_scales_shape(&item->t, shape);
  begin(&t, item->fqn[1], item->record[1]);
  mxq_pt2_meta_on(&t, mxq_pt2_scales_dtype(e->byte_scales), shape, ndim, NULL, false, device);
  mxq_text_add(&t, "}", 1);
  styled(to, &t);
}

static void weights(struct mxq_pt2_edit *e) {
  struct mxq_pt2_list_edit entries = {.to = &e->weights.splices};
  for (size_t i = 0; i < e->count; i++) {
    const struct mxq_pt2_edit_item *item = &e->items[i];
    for (uint32_t k = 0; k < item->count; k++) {
      const struct mxq_pt2_config_entry *entry = mxq_pt2_config_find(&e->weights_index, e->reader->stored[item->stored[k]].name);
      struct mxq_text t = {0};
      e->gone[item->stored[k]] = true;
      if (k == 0) {
        pair(e, item, &t);
        mxq_pt2_list_replace(&entries, entry->span.at, &t);
      } else {
        mxq_pt2_list_remove(&entries, entry->span.at);
      }
    }
  }
  mxq_pt2_list_done(&entries, e->weights.text, e->weights_index.list);
}

static void constants(struct mxq_pt2_edit *e) {
  struct mxq_text t = {0}, back = {0};
  uint64_t shape[2];
  for (size_t i = 0; i < e->device_count; i++)
    for (int table = 0; table < MXQ_TABLE_COUNT; table++) {
      const struct mxq_pt2_edit_device *d = &e->devices[i];
      if (!d->fqn[table])
        continue;
      uint32_t ndim = mxq_pt2_table_shape(table, shape);
      begin(&t, d->fqn[table], d->record[table]);
      mxq_pt2_meta_on(&t, mxq_pt2_table_dtype(table), shape, ndim, NULL, false, d->text);
      mxq_text_add(&t, "}", 1);
    }
  styled(&back, &t);
  mxq_pt2_splice_list(&e->constants.splices, e->constants.text, e->constants_index.list, NULL, 0, NULL, &back);
  mxq_text_free(&back);
}

enum mxq_status mxq_pt2_edit_configs(struct mxq_pt2_edit *e, struct mxq_error *err) {
  weights(e);
  constants(e);
  return e->weights.splices.failed || e->constants.splices.failed ? mxq_fail_nomem(err, e->reader->base.path) : MXQ_OK;
}
