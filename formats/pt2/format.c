/* SPDX-License-Identifier: MIT */
/* The room's entry in the list of formats: the reader's life, and the writer's and verifier's names. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/uses.h"
#include "formats/pt2/write.h"
#include "lib/base/fail.h"

/* Any zip file: what is in it stands at its end, and the reader says what it is. (npz files are recognised before.) */
static bool probe(const unsigned char *bytes, size_t n, uint64_t size) {
  (void)size;
  return n >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0);
}

static enum mxq_status open_reader(struct mxq_reader *base, struct mxq_error *err) {
  struct mxq_pt2_reader *r = (struct mxq_pt2_reader *)base;
  enum mxq_status status = mxq_zip_open(&base->source, &base->options, &r->zip, err);
  if (status == MXQ_OK)
    status = mxq_pt2_container(r, err);
  if (status == MXQ_OK)
    status = mxq_pt2_config(r, false, err);
  if (status == MXQ_OK)
    status = mxq_pt2_config(r, true, err);
  if (status == MXQ_OK)
    status = mxq_pt2_program_read(r, &r->program, err);
  if (status == MXQ_OK && !mxq_pt2_object_classes(r, r->program))
    status = mxq_fail_nomem(err, base->path);
  if (status == MXQ_OK)
    status = mxq_pt2_manifest_check(r, r->program, err);
  if (status == MXQ_OK && r->manifest.weights) {
    mxq_pt2_program_free(r->program); /* it only decodes, and is long */
    r->program = NULL;
  }
  if (status == MXQ_OK)
    status = mxq_pt2_tensors(r, err);
  return status == MXQ_OK ? mxq_reader_index(base, err) : status;
}

static void close_reader(struct mxq_reader *base) {
  struct mxq_pt2_reader *r = (struct mxq_pt2_reader *)base;
  mxq_zip_close(r->zip);
  free(r->stored);
  free(r->objects);
  mxq_names_free(&r->stored_names);
  free(r->sha256);
  free(r->parts);
  free(r->record_dtype);
  free(r->checked);
  free(r->manifest.entries);
  free(r->manifest.kept);
  mxq_pt2_cache_free(r->cache);
  mxq_pt2_program_free(r->program);
  free(r->inflated);
}

static enum mxq_status read_part(struct mxq_reader *base, size_t i, enum mxq_part part, uint64_t offset, void *buf, size_t n,
                                 struct mxq_error *err) {
  struct mxq_pt2_reader *r = (struct mxq_pt2_reader *)base;
  const struct mxq_pt2_parts *p = &r->parts[i];
  uint32_t stored = p->part[part];
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, r->stored[stored].member);
  if (base->options.unverified || m->zero_crc) {
    base->unverified = true;
  } else {
    enum mxq_status status = mxq_pt2_check_member(r, r->stored[stored].member, err);
    if (status != MXQ_OK)
      return status;
  }
  if (n == 0)
    return MXQ_OK;
  if (part == MXQ_PART_CODES && p->unpacked)
    return mxq_pt2_gather_packed(r, stored, base->tensors[i].format, offset, buf, n, err);
  return mxq_pt2_gather(r, stored, offset, buf, n, err);
}

static void archive_info(const struct mxq_reader *base, struct mxq_archive_info *info) {
  const struct mxq_pt2_reader *r = (const struct mxq_pt2_reader *)base;
  info->has_manifest = r->manifest.there;
  info->weights = r->manifest.weights;
  info->has_digests = r->has_digests;
  info->resaved = r->resaved;
  info->has_index = r->has_index;
  info->members = mxq_zip_count(r->zip);
  info->root = r->root;
  info->tool = r->manifest.tool;
  info->torch_version = r->torch_version;
  info->model = r->model;
  info->model_count = r->model_count;
  info->models = r->models;
  info->sample_inputs = r->sample_inputs;
  info->object_count = r->object_count;
  info->objects = r->objects;
}

const struct format mxq_format_pt2 = {
    .container = MXQ_PT2,
    .name = "pt2",
    .extension = "pt2",
    .probe = probe,
    .reader_size = sizeof(struct mxq_pt2_reader),
    .open_reader = open_reader,
    .close_reader = close_reader,
    .read = read_part,
    .verify = mxq_pt2_verify,
    .program = mxq_pt2_api,
    .archive_info = archive_info,
    .stored = mxq_pt2_stored_part,
    .open_writer = mxq_pt2_open_writer,
};
