/* SPDX-License-Identifier: MIT */
/* What the files verify*.c share. */
#ifndef MXQ_PT2_VERIFY_H
#define MXQ_PT2_VERIFY_H

#include "formats/pt2/digest.h"
#include "formats/pt2/write.h"
#include "formats/zip/zip.h"

struct mxq_pt2_check {
  const struct mxq_source *source;
  const char *path;
  void (*on_finding)(void *user, const struct mxq_finding *finding);
  void *user;
  struct mxq_verify_result *result;
  struct mxq_error *err;

  mxq_zip *zip;
  mxq_reader **readers;              /* one for each program that can be opened, malloced */
  size_t reader_count;
  bool all_open;                     /* no program is missing there */
  struct mxq_arena arena;
  size_t digests_member;             /* SIZE_MAX: none */
  bool digests_in_force;             /* parsed, and not carried along by a re-save */
  struct mxq_digests digests;

  /* verify_form.c */
  struct mxq_zip_out *out;
  unsigned char *want, *buf;
  bool same;                         /* no departure from the canonical form so far */

  /* verify_index.c */
  size_t index_member;
  struct mxq_index_line *lines;
  size_t line_count;
  size_t *begin;                     /* reader_count + 1 numbers of lines: those of each program */
  struct mxq_index_crcs *crcs;       /* NULL: nothing to compare with */
};

/* One finding; offset as in struct mxq_finding. */
void mxq_pt2_find(struct mxq_pt2_check *c, enum mxq_status code, const char *subject, uint64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* verify_cut.c: names what a file that ends too early lacks. False: the file's beginning does not show it. */
bool mxq_pt2_find_cut(struct mxq_pt2_check *c);

/* verify_form.c: the canonical form, for archives whose digests are in force. Members in order, then the rest. MXQ_ERR_IO or _NOMEM. */
enum mxq_status mxq_pt2_form_begin(struct mxq_pt2_check *c);
enum mxq_status mxq_pt2_form_member(struct mxq_pt2_check *c, size_t i);
enum mxq_status mxq_pt2_form_end(struct mxq_pt2_check *c);
void mxq_pt2_form_free(struct mxq_pt2_check *c);
/* verify_index.c: for archives whose digests are in force and whose reader is open. Before, and after all members' data was read. */
enum mxq_status mxq_pt2_index_begin(struct mxq_pt2_check *c);
enum mxq_status mxq_pt2_index_end(struct mxq_pt2_check *c);
void mxq_pt2_index_free(struct mxq_pt2_check *c);
/* read_models.c: the names of the programs, in the archive's order; `root` is the length of its folder's name. False: out of memory. */
bool mxq_pt2_model_names(const mxq_zip *zip, size_t root, struct mxq_arena *arena, const char ***names, size_t *count);
/* True when every header has the form that PyTorch's writer gives it, so that PyTorch saved the archive. */
bool mxq_pt2_saved_by_torch(const mxq_zip *zip);
/* The digest of member i (an index of the zip), NULL when there is none. */
const unsigned char *mxq_pt2_digest_of(const struct mxq_pt2_check *c, size_t i);

#endif
