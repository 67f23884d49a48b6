/* SPDX-License-Identifier: MIT */
/* An index is fresh when each extent that it states lies in one stored member; its content is verified by mxq_verify. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/pt2.h"

struct place {
  uint64_t begin, end;
};

static int by_begin(const void *a, const void *b) {
  uint64_t x = ((const struct place *)a)->begin, y = ((const struct place *)b)->begin;
  return (x > y) - (x < y);
}

static bool inside(const struct place *places, size_t count, uint64_t offset, uint64_t size) {
  size_t lo = 0, hi = count;
  if (size == 0)
    return true;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (places[mid].begin <= offset)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo > 0 && offset <= places[lo - 1].end && size <= places[lo - 1].end - offset;
}

/* One line without its LF: ten fields; fields 5 to 8 are numbers, two extents. */
static bool line_fits(const struct place *places, size_t count, const char *line, size_t n) {
  uint64_t number[4];
  unsigned field = 0;
  const char *end = line + n;
  for (const char *p = line; field < 10; field++) {
    const char *space = memchr(p, ' ', (size_t)(end - p));
    const char *stop = space ? space : end;
    if (stop == p || (field < 9) != (space != NULL))
      return false;
    if (field >= 4 && field < 8 && !mxq_json_text_to_u64(p, (size_t)(stop - p), &number[field - 4]))
      return false;
    p = stop + 1;
  }
  return inside(places, count, number[0], number[1]) && inside(places, count, number[2], number[3]);
}

bool mxq_pt2_index_fresh(const struct mxq_pt2_reader *r, const char *text, size_t n, bool *fresh) {
  size_t count = mxq_zip_count(r->zip), used = 0;
  struct place *places = malloc(count * sizeof *places);
  if (!places)
    return false;
  bool sorted = true;
  for (size_t i = 0; i < count; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    if (m->method || m->size == 0)
      continue;
    places[used] = (struct place){m->data_offset, m->data_offset + m->size};
    sorted &= used == 0 || places[used - 1].begin < places[used].begin;
    used++;
  }
  if (!sorted)
    qsort(places, used, sizeof *places, by_begin);
  bool fits = true;
  for (const char *p = text, *end = text + n; p < end && fits;) {
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    fits = lf && line_fits(places, used, p, (size_t)(lf - p));
    p = lf ? lf + 1 : end;
  }
  free(places);
  *fresh = fits;
  return true;
}
