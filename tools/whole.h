/* SPDX-License-Identifier: MIT */
/* Reading a file as a bare zip or as JSON text, every byte of it: --as zip and --as json of inspect and verify. */
#ifndef MXQUANT_WHOLE_H
#define MXQUANT_WHOLE_H

#include "tools/args.h"

/* What was found in a zip: a callback for each member, and sums. */
struct whole {
  uint64_t bytes;            /* of the file */
  uint64_t members;
  void (*on_entry)(void *user, const struct mxq_zip_entry *entry); /* may be NULL */
  void *user;
};
/* as: AS_ZIP or AS_JSON. */
enum mxq_status whole_check(const char *path, enum as as, struct whole *whole, struct mxq_error *err);

/* The options with which a reader is opened: --as npy, safetensors or pt2, and --model. */
struct mxq_read_options whole_read_options(const struct args *args);

#endif
