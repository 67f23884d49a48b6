/* SPDX-License-Identifier: MIT */
/* Which format a file is, and in words what it is when it is none of ours. */
#include "formats/registry.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"

enum { HEAD = 4096 };

/* Files that people do hand to a converter of weights. The first match names the file. */
static const struct foreign {
  unsigned at, n;
  const char *magic;
  const char *what;
} foreign[] = {
    {0, 4, "GGUF", "a GGUF file; GGUF files are not read"},
    {0, 4, "tjgg", "a ggml file; ggml files are not read"},
    {0, 4, "lmgg", "a ggml file; ggml files are not read"},
    {0, 14, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19", "a PyTorch .pt file from before 1.6, which is a pickle; pickles are not read: save it as safetensors"},
    {0, 2, "\x80\x02", "a Python pickle; pickles are not read, since loading one runs code: save it as safetensors"},
    {0, 2, "\x80\x03", "a Python pickle; pickles are not read, since loading one runs code: save it as safetensors"},
    {0, 2, "\x80\x04", "a Python pickle; pickles are not read, since loading one runs code: save it as safetensors"},
    {0, 2, "\x80\x05", "a Python pickle; pickles are not read, since loading one runs code: save it as safetensors"},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file; HDF5 files are not read"},
    {0, 2, "\x1f\x8b", "gzip data; unpack it first"},
    {0, 4, "\x28\xb5\x2f\xfd", "Zstandard data; unpack it first"},
    {0, 6, "\xfd" "7zXZ\0", "xz data; unpack it first"},
    {0, 3, "BZh", "bzip2 data; unpack it first"},
    {0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"},
    {257, 5, "ustar", "a tar archive; unpack it first"},
    {4, 4, "TFL3", "a TensorFlow Lite file; such files are not read"},
    {0, 4, "\x7f" "ELF", "a program"},
    {0, 23, "version https://git-lfs", "a Git LFS pointer and not the data: fetch that with git lfs pull"},
    {0, 9, "<!DOCTYPE", "an HTML page, as failed downloads leave behind"},
    {0, 9, "<!doctype", "an HTML page, as failed downloads leave behind"},
    {0, 5, "<html", "an HTML page, as failed downloads leave behind"},
};

static const char *foreign_name(const unsigned char *head, size_t n) {
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
    const struct foreign *f = &foreign[i];
    if (n >= f->at + f->n && memcmp(head + f->at, f->magic, f->n) == 0)
      return f->what;
  }
  return NULL;
}

static enum mxq_status unknown(const unsigned char *head, size_t n, const char *path, struct mxq_error *err) {
  const char *what = foreign_name(head, n);
  if (what)
    return mxq_fail(err, MXQ_ERR_FORMAT, path, "this is %s", what);
  size_t i = 0;
  while (i < n && (head[i] == ' ' || head[i] == '\t' || head[i] == '\n' || head[i] == '\r'))
    i++;
  if (i < n && (head[i] == '{' || head[i] == '['))
    return mxq_fail(err, MXQ_ERR_FORMAT, path, "this is a JSON text, but no safetensors index (there is no \"weight_map\")");
  char bytes[8 * 3 + 1] = "";
  for (i = 0; i < n && i < 8; i++)
    snprintf(bytes + 3 * i, 4, " %02x", head[i]);
  return mxq_fail(err, MXQ_ERR_FORMAT, path, "not a file format that is read here (pt2, safetensors, npy, npz); it begins with%s", bytes);
}

static bool is_zip(const unsigned char *head, size_t n) {
  return n >= 4 && head[0] == 'P' && head[1] == 'K' && ((head[2] == 3 && head[3] == 4) || (head[2] == 5 && head[3] == 6));
}

static bool holds_zip(const struct format *f) {
  return f->container == MXQ_PT2 || f->container == MXQ_NPZ;
}

/* What "read it as X" means for this file: npz goes with npy, the index with safetensors. */
static const struct format *as_asked(enum mxq_container asked, const struct format *looks, bool zip) {
  if (asked == MXQ_NPY && zip)
    asked = MXQ_NPZ;
  if (asked == MXQ_SAFETENSORS && looks && looks->container == MXQ_SAFETENSORS_INDEX)
    asked = MXQ_SAFETENSORS_INDEX;
  return mxq_format_of(asked);
}

enum mxq_status mxq_identify(const struct mxq_source *source, const char *path, enum mxq_container asked, const struct format **format,
                             bool *claimed, struct mxq_error *err) {
  const struct format *by_name = mxq_format_by_extension(path), *by_bytes = NULL;
  bool unused;
  if (!claimed)
    claimed = &unused;
  *format = NULL;
  *claimed = by_name || asked != MXQ_CONTAINER_AUTO;
  if (asked != MXQ_CONTAINER_AUTO && !mxq_format_of(asked))
    return mxq_fail(err, MXQ_ERR_USAGE, path, "there is no container number %d", (int)asked);
  if (source->size == 0)
    return by_name ? mxq_fail(err, MXQ_ERR_MALFORMED, path, "the file is empty, which no %s file is", by_name->name)
                   : mxq_fail(err, MXQ_ERR_FORMAT, path, "the file is empty");
  unsigned char head[HEAD];
  size_t n = source->size < HEAD ? (size_t)source->size : HEAD;
  enum mxq_status s = source->read_at(source->ctx, 0, head, n, err);
  if (s != MXQ_OK)
    return mxq_fail_name(err, s, path);
  for (const struct format *const *f = mxq_formats; *f && !by_bytes; f++)
    if ((*f)->probe(head, n, source->size))
      by_bytes = *f;
  bool zip = is_zip(head, n);
  /* Both kinds of zip archive: here the name may decide. */
  if (zip && by_name && holds_zip(by_name))
    by_bytes = by_name;
  *claimed |= by_bytes != NULL;
  /* Somebody is mistaken, or wants others to be; an explicit choice settles it, except that an .npz is not one bare array. */
  if (by_name && by_bytes && by_name != by_bytes && (asked == MXQ_CONTAINER_AUTO || by_name->container == MXQ_NPZ))
    return mxq_fail(err, MXQ_ERR_MALFORMED, path, "the name says %s, the content says %s; rename the file if the content is right",
                    by_name->name, by_bytes->name);
  if (asked != MXQ_CONTAINER_AUTO)
    *format = as_asked(asked, by_bytes ? by_bytes : by_name, zip);
  else if (by_bytes)
    *format = by_bytes;
  else if (by_name && !foreign_name(head, n))
    *format = by_name; /* damaged from the start: its reader says how */
  return *format ? MXQ_OK : unknown(head, n, path, err);
}
