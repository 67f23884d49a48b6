/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "formats/zip/zip.h"
#include "lib/base/fail.h"

enum mxq_status mxq_zip_scan(const struct mxq_source *source, const struct mxq_read_options *options,
                             void (*on_entry)(void *user, const struct mxq_zip_entry *entry), void *user, struct mxq_error *err) {
  assert(source && source->read_at);
  mxq_zip *zip;
  enum mxq_status status = mxq_zip_open(source, options, &zip, err);
  for (size_t i = 0; status == MXQ_OK && i < mxq_zip_count(zip); i++) {
    const struct mxq_zip_member *m = mxq_zip_member(zip, i);
    status = mxq_zip_check(zip, i, NULL, NULL, err);
    if (status == MXQ_OK && on_entry) {
      struct mxq_zip_entry e = {m->name, m->method, m->crc, m->compressed, m->size, m->data_offset};
      on_entry(user, &e);
    }
  }
  mxq_zip_close(zip);
  return status == MXQ_OK ? status : mxq_fail_name(err, status, source->name ? source->name : "");
}
