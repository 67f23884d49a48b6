/* SPDX-License-Identifier: MIT */
/* The arguments of the node at hand. */
#include <string.h>

#include "formats/pt2/recognise.h"

const struct mxq_pt2_arg *mxq_probe_arg(const struct mxq_probe *t, const char *name) {
  for (uint32_t i = 0; i < t->arg_count; i++)
    if (strcmp(t->args[i].name, name) == 0)
      return t->args[i].kind == MXQ_ARG_NONE ? NULL : &t->args[i];
  return NULL;
}

const struct mxq_probe_value *mxq_probe_tensor(const struct mxq_probe *t, const char *name) {
  const struct mxq_pt2_arg *a = mxq_probe_arg(t, name);
  if (!a || a->kind != MXQ_ARG_VALUE || a->values[0] == MXQ_NO_NUMBER)
    return NULL;
  const struct mxq_probe_value *v = t->values[a->values[0]];
  return v && v->known ? v : NULL;
}

bool mxq_probe_int(const struct mxq_probe *t, const char *name, int64_t otherwise, int64_t *value) {
  const struct mxq_pt2_arg *a = mxq_probe_arg(t, name);
  *value = a ? 0 : otherwise;
  if (a && (a->kind == MXQ_ARG_INT || a->kind == MXQ_ARG_BOOL))
    *value = a->ints[0];
  return !a || ((a->kind == MXQ_ARG_INT || a->kind == MXQ_ARG_BOOL) && *value != INT64_MIN);
}

bool mxq_probe_operand(struct mxq_probe *t, const char *name, struct mxq_probe_value *scalar, const struct mxq_probe_value **value) {
  const struct mxq_pt2_arg *a = mxq_probe_arg(t, name);
  if (!a)
    return false;
  if (a->kind == MXQ_ARG_VALUE)
    return (*value = mxq_probe_tensor(t, name)) != NULL;
  /* A number of the program's text takes part in promotion like a tensor without dimensions. */
  *scalar = (struct mxq_probe_value){.known = true, .uniform = true, .source = MXQ_NO_NUMBER, .total = 1, .n = 1, .period = 1};
  scalar->e = mxq_arena_calloc(&t->arena, 1, sizeof *scalar->e);
  if (!scalar->e) {
    t->nomem = true;
    return false;
  }
  scalar->e->ok = true;
  *value = scalar;
  switch (a->kind) {
  case MXQ_ARG_FLOAT:
    scalar->dtype = MXQ_F32;
    scalar->e->d = a->floats[0];
    return true;
  case MXQ_ARG_INT:
    scalar->dtype = MXQ_I64;
    scalar->e->i = a->ints[0];
    return a->ints[0] != INT64_MIN;
  case MXQ_ARG_BOOL:
    scalar->dtype = MXQ_BOOL;
    scalar->e->i = a->ints[0] != 0;
    return a->ints[0] != INT64_MIN;
  default:
    return false;
  }
}

enum mxq_dtype mxq_probe_dtype_arg(const struct mxq_probe *t, enum mxq_dtype otherwise) {
  const struct mxq_pt2_arg *a = mxq_probe_arg(t, "dtype");
  if (!a)
    return otherwise;
  return a->kind == MXQ_ARG_SCALAR_TYPE && a->ints[0] > 0 ? mxq_pt2_dtype((uint64_t)a->ints[0]) : MXQ_DTYPE_NONE;
}

bool mxq_probe_dim(int64_t dim, uint32_t ndim, uint32_t *out) {
  if (dim < -(int64_t)ndim || dim >= (int64_t)ndim)
    return false;
  *out = (uint32_t)(dim < 0 ? dim + ndim : dim);
  return true;
}

bool mxq_probe_shape(struct mxq_probe_value *v, uint32_t ndim, const int64_t *size) {
  if (ndim > MXQ_MAX_NDIM)
    return false;
  v->ndim = ndim;
  v->total = 1;
  for (uint32_t i = 0; i < ndim; i++) {
    if (size[i] <= 0 || __builtin_mul_overflow(v->total, (uint64_t)size[i], &v->total) || v->total >> 59)
      return false;
    v->size[i] = size[i];
  }
  return true;
}

bool mxq_probe_elements(struct mxq_probe *t, struct mxq_probe_value *v, uint64_t n) {
  if (n == 0 || n > (v->source == MXQ_NO_NUMBER ? MXQ_PROBE_TABLE : MXQ_PROBE_MOST) || n > t->room || v->period > MXQ_PROBE_MOST)
    return false;
  t->room -= n;
  v->n = (uint32_t)n;
  v->e = mxq_arena_alloc(&t->arena, n * sizeof *v->e);
  t->nomem |= !v->e;
  return v->e != NULL;
}
