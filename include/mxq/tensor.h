/* SPDX-License-Identifier: MIT */
/* struct mxq_tensor: the plain noun that flows through readers, plans and writers. */
#ifndef MXQ_TENSOR_H
#define MXQ_TENSOR_H

#include <mxq/codec.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most dimensions a tensor may have. */
#define MXQ_MAX_NDIM 64

/* What a tensor is in a PyTorch program; tensors of other files are parameters where floating, else buffers. */
enum mxq_kind {
  MXQ_KIND_PARAMETER = 0,
  MXQ_KIND_BUFFER,            /* persistent */
  MXQ_KIND_NONPERSISTENT,     /* a buffer that is no part of the state dict */
  MXQ_KIND_CONSTANT,          /* a tensor constant of the program */
  MXQ_KIND_UNREFERENCED       /* stored as a weight, but no input of the program names it */
};

/* "parameter", "buffer", "nonpersistent", "constant", "unreferenced". Static storage. */
MXQ_API const char *mxq_kind_name(enum mxq_kind kind);

/* A run of bytes in a file. */
struct mxq_extent { uint64_t offset, size; };

/* The parts a tensor's bytes come in: DATA for ordinary tensors, CODES and SCALES for MX tensors. */
enum mxq_part { MXQ_PART_DATA = 0, MXQ_PART_CODES = 0 /* the first part either way */, MXQ_PART_SCALES = 1 };

/*
 * One named tensor. Pointers belong to whoever handed the struct out (a reader, a plan) and live as long as that does.
 * format NONE: an ordinary tensor of `dtype`. Otherwise an MX tensor: dtype is the source dtype that its values had,
 * codes and scales are stored with the axes outside [axis_first, axis_last] first, in order, and that run, flattened, last.
 */
struct mxq_tensor {
  const char *name;             /* UTF-8 without NUL bytes; may be empty */
  enum mxq_dtype dtype;
  enum mxq_format format;
  uint32_t ndim;
  const uint64_t *shape;        /* ndim sizes; NULL allowed when ndim is 0 */
  const int64_t *strides;       /* in elements; NULL = contiguous in C order. Reading always gives C order */
  const int64_t *stored_strides; /* as the file states them, also where that makes no difference; NULL: those of C order */
  uint64_t storage_offset;      /* in elements, into the stored record; only of interest to those who list files */
  uint64_t elements;            /* product of shape (1 when ndim is 0) */
  uint64_t bytes;               /* of the values in C order, or of codes + scales */
  enum mxq_kind kind;
  bool requires_grad;
  bool recognised;              /* MX, known by the nodes of the program that decode it: no manifest names it */
  const char *device;           /* where a program has it: "cuda:0"; NULL = "cpu". The bytes are the same */
  uint32_t storage;             /* tensors of one file with the same number share their stored bytes; else unique */

  /* Where the bytes lie in the file, for readers of stored, contiguous data; size 0 when they do not lie in one piece. */
  struct mxq_extent part[2];    /* [MXQ_PART_DATA or _CODES], [MXQ_PART_SCALES] */

  /* MX tensors only; names as the manifest of the archive spells them, NULL where it says nothing. */
  uint32_t axis_first, axis_last;
  uint64_t rows, k;             /* codes are `rows` rows of k elements, each row padded to whole blocks */
  const char *codes_name, *scales_name; /* names of the two stored tensors */
  const char *layout, *scale_rule, *compat, *round, *neg_zero, *nonfinite;
};

#ifdef __cplusplus
}
#endif
#endif
