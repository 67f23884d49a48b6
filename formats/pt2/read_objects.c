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

static bool is(const char *s, size_t n, const char *word) { return n == strlen(word) && memcmp(s, word, n) == 0; }

/* {"custom_obj": {"arg": {"name": ..., "class_fqn": ...}, "custom_obj_name": ...}}: the two texts, NULL where they are not there. False: out of memory. */
static bool read_spec(const struct mxq_pt2_program *p, struct mxq_span span, struct mxq_arena *arena, const char **name, const char **class_name) {
  mxq_json *j;
  const char *s;
  size_t n;
  *name = *class_name = NULL;
  if (mxq_json_open(p->text + span.at, span.n, 0, &j, NULL) != MXQ_OK)
    return false;
  if (mxq_json_expect(j, MXQ_JSON_OBJECT) && mxq_json_next(j, &s, &n) == MXQ_JSON_KEY && is(s, n, "custom_obj") && mxq_json_expect(j, MXQ_JSON_OBJECT))
    while (mxq_json_next(j, &s, &n) == MXQ_JSON_KEY) {
      if (is(s, n, "custom_obj_name"))
        mxq_json_text(j, arena, name);
      else if (!is(s, n, "arg"))
        mxq_json_skip(j, MXQ_JSON_KEY);
      else if (mxq_json_expect(j, MXQ_JSON_OBJECT))
        while (mxq_json_next(j, &s, &n) == MXQ_JSON_KEY) {
          if (is(s, n, "class_fqn"))
            mxq_json_text(j, arena, class_name);
          else
            mxq_json_skip(j, MXQ_JSON_KEY);
        }
    }
  struct mxq_error e = {0};
  bool enough = mxq_json_end(j, "", &e) != MXQ_ERR_NOMEM;
  mxq_json_close(j);
  return enough;
}

bool mxq_pt2_object_classes(struct mxq_pt2_reader *r, const struct mxq_pt2_program *program) {
  struct mxq_names names = {0};
  bool enough = true;
  for (uint32_t i = 0; i < r->object_count && enough; i++) {
    uint32_t number = i;
    enough = mxq_names_put(&names, r->objects[i].name, strlen(r->objects[i].name), &number) != MXQ_NAMES_NOMEM;
  }
  for (uint32_t i = 0; r->object_count && i < program->graphs[0].input_count && enough; i++) {
    const char *name, *class_name;
    if (program->inputs[i].kind != MXQ_SPEC_OTHER)
      continue;
    enough = read_spec(program, program->inputs[i].span, &r->base.arena, &name, &class_name);
    uint32_t number = enough && name ? mxq_names_find(&names, name, strlen(name)) : UINT32_MAX;
    if (number != UINT32_MAX)
      r->objects[number].class_name = class_name;
  }
  mxq_names_free(&names);
  return enough;
}
