/* SPDX-License-Identifier: MIT */
/* A weights or constants config as text: where each entry stands. */
#ifndef MXQ_PT2_CONFIG_TEXT_H
#define MXQ_PT2_CONFIG_TEXT_H

#include "formats/pt2/splice.h"

struct mxq_pt2_config_entry {
  const char *name;                  /* decoded, NUL-terminated */
  struct mxq_span span;              /* from the key's quote to the value's last byte */
};
struct mxq_pt2_config_text {
  struct mxq_span list;              /* the object behind "config" */
  struct mxq_pt2_config_entry *entries;
  size_t count;
  struct mxq_arena arena;
  struct mxq_names by_name;
};

/* Indexes a config that was read before (and so is known to be right). MXQ_ERR_NOMEM; MXQ_ERR_LIMIT above 4 GiB. After a failure too: free. */
enum mxq_status mxq_pt2_config_index(struct mxq_pt2_config_text *c, const char *text, size_t n, struct mxq_error *err);
/* The entry of a name, NULL when there is none. */
const struct mxq_pt2_config_entry *mxq_pt2_config_find(const struct mxq_pt2_config_text *c, const char *name);
void mxq_pt2_config_free(struct mxq_pt2_config_text *c);

/* The key that an element of an object begins with, decoded, from the arena; *behind is the byte behind it. NULL: out of memory. */
const char *mxq_pt2_key(struct mxq_arena *arena, const char *text, struct mxq_span element, uint32_t *behind);

#endif
