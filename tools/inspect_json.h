/* SPDX-License-Identifier: MIT */
/* inspect --json. */
#ifndef MXQUANT_INSPECT_JSON_H
#define MXQUANT_INSPECT_JSON_H

#include "tools/args.h"
#include "tools/inspect_view.h"
#include "tools/json.h"

/* All tensors, or only number `one` when that is not SIZE_MAX. False: out of memory. */
bool inspect_json(const struct view *view, const char *path, size_t one);
/* The first keys of every report: schema, file, container. */
void inspect_json_begin(struct json *j, const char *path, const char *container);
/* One member of a zip; user is the struct json. */
void inspect_json_member(void *user, const struct mxq_zip_entry *entry);

#endif
