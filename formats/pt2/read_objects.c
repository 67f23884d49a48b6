/* SPDX-License-Identifier: MIT */
/* Custom and opaque objects: records that only Python could open, by running what is in them. They are listed and never opened. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/program.h"
#include "lib/base/fail.h"

enum mxq_status mxq_pt2_object(struct mxq_pt2_reader *r, const char *name, size_t member, struct mxq_error *err) {
  if (r->object_count == r->object_room) {
    size_t more = r->object_room ? r->object_room + r->object_room / 2 : 16;
    struct mxq_archive_object *o = realloc(r->objects, more * sizeof *o);
    if (!o)
      return mxq_fail_nomem(err, r->base.path);
    r->objects = o;
    r->object_room = more;
  }
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, member);
  r->objects[r->object_count++] = (struct mxq_archive_object){.name = name, .record = m->name + r->root_len + 1, .bytes = m->size};
  return MXQ_OK;
}
