/* SPDX-License-Identifier: MIT */
/* The manifest: what the stored buffers mean. It travels in the program's metadata, which PyTorch keeps when it saves the program again. */
#include <inttypes.h>
#include <mxq/mxq.h>
#include <string.h>

#include "formats/pt2/write.h"

#define LITERAL(t, s) mxq_text_add(t, s, sizeof(s) - 1)

static void text(struct mxq_text *t, const char *s) { mxq_text_quote(t, s, strlen(s)); }

static void key_text(struct mxq_text *t, const char *key, const char *value) {
  mxq_text_addf(t, ",\"%s\":", key);
  text(t, value);
}

static void shape(struct mxq_text *t, const struct mxq_tensor *tensor) {
  LITERAL(t, "\"shape\":[");
  for (uint32_t a = 0; a < tensor->ndim; a++)
    mxq_text_addf(t, "%s%" PRIu64, a ? "," : "", tensor->shape[a]);
  LITERAL(t, "]");
}

void mxq_pt2_manifest_entry(struct mxq_text *t, const struct mxq_tensor *x, const char *codes, const char *scales) {
  text(t, x->name);
  mxq_text_addf(t, ":{\"format\":\"%s\"", mxq_format_name(x->format));
  key_text(t, "codes", codes);
  key_text(t, "scales", scales);
  LITERAL(t, ",");
  shape(t, x);
  mxq_text_addf(t, ",\"axes\":[%u,%u],\"block\":%d", x->axis_first, x->axis_last, MXQ_BLOCK);
  key_text(t, "layout", mxq_format_layout(x->format));
  key_text(t, "scale_rule", x->scale_rule);
  key_text(t, "compat", x->compat);
  key_text(t, "round", x->round);
  key_text(t, "neg_zero", x->neg_zero);
  key_text(t, "nonfinite", x->nonfinite);
  key_text(t, "source_dtype", mxq_dtype_name(x->dtype));
  mxq_text_addf(t, ",\"source\":{\"kind\":\"%s\",\"requires_grad\":%s", mxq_kind_name(x->kind), x->requires_grad ? "true" : "false");
}

void mxq_pt2_manifest(const struct mxq_pt2_writer *w, struct mxq_text *t) {
  bool first = true;
  mxq_text_addf(t, "{\"mx\":{\"version\":1,\"tool\":\"mxquant %s\",\"archive\":\"weights\",\"tensors\":{", mxq_version());
  for (size_t i = 0; i < w->count; i++) {
    if (w->items[i].t.format == MXQ_FORMAT_NONE)
      continue;
    if (!first)
      LITERAL(t, ",");
    first = false;
    mxq_pt2_manifest_entry(t, &w->items[i].t, w->items[i].stored[0], w->items[i].stored[1]);
    LITERAL(t, "}}");
  }
  LITERAL(t, "},\"kept\":{");
  first = true;
  for (size_t i = 0; i < w->count; i++) {
    const struct mxq_pt2_item *item = &w->items[i];
    if (item->t.format != MXQ_FORMAT_NONE || (item->own_name && !mxq_pt2_as_bytes(item->t.dtype)))
      continue;
    if (!first)
      LITERAL(t, ",");
    first = false;
    text(t, item->t.name);
    LITERAL(t, ":{\"name\":");
    text(t, item->stored[0]);
    mxq_text_addf(t, ",\"dtype\":\"%s\",", mxq_dtype_name(item->t.dtype));
    shape(t, &item->t);
    LITERAL(t, "}");
  }
  LITERAL(t, "},\"metadata\":{");
  for (size_t i = 0; i < w->metadata_count; i++) {
    if (i)
      LITERAL(t, ",");
    text(t, w->metadata[2 * i]);
    LITERAL(t, ":");
    text(t, w->metadata[2 * i + 1]);
  }
  LITERAL(t, "}}}");
}
