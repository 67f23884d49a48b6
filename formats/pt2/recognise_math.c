/* SPDX-License-Identifier: MIT */
/* Operators that work element by element. */
#include <math.h>
#include <string.h>

#include "formats/pt2/recognise.h"

enum op { AND, OR, XOR, SHL, SHR, ADD, SUB, RSUB, MUL, DIV, POW, LDEXP, EQ, NE, LT, LE, GT, GE, BOTH, EITHER, MIN, MAX, REST, WHOLE, OPS };
static const struct { const char *name; enum op op; } binary_names[] = {
    {"and", AND}, {"bitwise_and", AND}, {"or", OR}, {"bitwise_or", OR}, {"xor", XOR}, {"bitwise_xor", XOR}, {"lshift", SHL},
    {"bitwise_left_shift", SHL}, {"rshift", SHR}, {"bitwise_right_shift", SHR}, {"add", ADD}, {"sub", SUB}, {"subtract", SUB}, {"rsub", RSUB},
    {"mul", MUL}, {"multiply", MUL}, {"div", DIV}, {"divide", DIV}, {"true_divide", DIV}, {"pow", POW}, {"ldexp", LDEXP}, {"eq", EQ}, {"ne", NE},
    {"not_equal", NE}, {"lt", LT}, {"less", LT}, {"le", LE}, {"gt", GT}, {"greater", GT}, {"ge", GE}, {"logical_and", BOTH}, {"logical_or", EITHER},
    {"minimum", MIN}, {"maximum", MAX}, {"remainder", REST}, {"floor_divide", WHOLE}, {NULL, OPS}};

static const struct mxq_probe_number unknown = {.ok = false};

/* How the elements of an operand stand to those of the result: element i is e[(i / by) % of]. */
struct place { const struct mxq_probe_value *v; uint64_t by, of; };

static uint64_t lcm(uint64_t a, uint64_t b) {
  uint64_t x = a, y = b;
  while (y) {
    uint64_t rest = x % y;
    x = y;
    y = rest;
  }
  return a / x * b;
}

/* Makes the result's shape, source, period and elements of operands that broadcast; false when that is not one of the forms known here. */
static bool broadcast(struct mxq_probe *t, const struct mxq_probe_value *const *in, struct place *at, unsigned count, struct mxq_probe_value *out) {
  int64_t size[MXQ_MAX_NDIM] = {0};
  uint32_t ndim = 0;
  uint64_t n = UINT64_MAX, period = 1;
  out->source = MXQ_NO_NUMBER;
  for (unsigned k = 0; k < count; k++) {
    ndim = in[k]->ndim > ndim ? in[k]->ndim : ndim;
    if (in[k]->source != MXQ_NO_NUMBER)
      out->source = in[k]->source;
  }
  for (uint32_t d = 0; d < ndim; d++) {
    size[d] = 1;
    for (unsigned k = 0; k < count; k++) {
      uint32_t missing = ndim - in[k]->ndim;
      int64_t one = d < missing ? 1 : in[k]->size[d - missing];
      if (one != 1 && size[d] != 1 && one != size[d])
        return false;
      size[d] = one != 1 ? one : size[d];
    }
  }
  if (!mxq_probe_shape(out, ndim, size))
    return false;
  uint64_t last = ndim ? (uint64_t)size[ndim - 1] : 1;
  out->uniform = true;
  for (unsigned k = 0; k < count; k++) {
    const struct mxq_probe_value *v = in[k];
    uint64_t own_last = v->ndim ? (uint64_t)v->size[v->ndim - 1] : 1;
    /* Where a constant stands matters, unless all of it is the same. */
    uint64_t own = v->source == MXQ_NO_NUMBER ? v->total : v->period;
    at[k] = (struct place){v, 1, 1};
    out->uniform &= v->uniform;
    if (v->uniform)
      continue;
    if (v->total == out->total) {                             /* the same shape, but for dimensions of one in front */
      at[k].of = v->n;
      period = lcm(period, own);
      n = v->n < n ? v->n : n;
    } else if (own_last == 1 && last <= MXQ_PROBE_MOST && v->total * last == out->total) { /* every element goes along the last dimension */
      at[k] = (struct place){v, last, v->n};
      period = lcm(period, own * last);
      n = (uint64_t)v->n * last < n ? (uint64_t)v->n * last : n;
    } else if (v->source == MXQ_NO_NUMBER && v->total == own_last && own_last == last && last <= 64) { /* a table along it */
      at[k].of = last;
      period = lcm(period, last);
    } else {
      return false;
    }
    if (period > MXQ_PROBE_TABLE)
      return false;
  }
  if (out->uniform)
    n = 1;
  else if (out->source == MXQ_NO_NUMBER)
    n = out->total;
  else if (n > MXQ_PROBE_MOST)
    n = MXQ_PROBE_MOST;
  out->period = out->source == MXQ_NO_NUMBER ? 1 : (uint32_t)period;
  return mxq_probe_elements(t, out, n);
}

static inline struct mxq_probe_number element(const struct place *p, uint32_t i) {
  if (p->v->uniform)
    return p->v->e[0];
  return p->v->e[p->by == 1 && i < p->of ? i : (uint32_t)(i / (uint32_t)p->by % (uint32_t)p->of)];
}

static inline struct mxq_probe_number as(struct mxq_probe_number x, enum mxq_dtype from, enum mxq_dtype to) {
  return from == to ? x : mxq_probe_convert(x, from, to);
}

/* The dtype that operands come to: those with dimensions count, others only where their kind of number is wider. */
static enum mxq_dtype common(const struct mxq_probe_value *a, const struct mxq_probe_value *b) {
  enum mxq_dtype d = mxq_probe_promote(a->dtype, b->dtype);
  if (d == MXQ_DTYPE_NONE || (a->ndim == 0) == (b->ndim == 0))
    return d;
  const struct mxq_probe_value *big = a->ndim ? a : b, *small = a->ndim ? b : a;
  unsigned kind_big = mxq_probe_is_float(big->dtype) ? 2 : big->dtype != MXQ_BOOL, kind_small = mxq_probe_is_float(small->dtype) ? 2 : small->dtype != MXQ_BOOL;
  return kind_small > kind_big ? small->dtype : big->dtype;
}

static bool compares(enum op op) { return op >= EQ && op <= EITHER; }

static struct mxq_probe_number compare(enum op op, double a, double b) {
  bool yes = op == EQ ? a == b : op == NE ? a != b : op == LT ? a < b : op == LE ? a <= b : op == GT ? a > b : op == GE ? a >= b
             : op == BOTH ? a != 0 && b != 0 : a != 0 || b != 0;
  return (struct mxq_probe_number){.i = yes, .ok = true};
}

static struct mxq_probe_number whole(enum op op, int64_t a, int64_t b, enum mxq_dtype dtype) {
  int64_t y;
  unsigned bits = mxq_dtype_bits(dtype);
  switch (op) {
  case AND: y = a & b; break;
  case OR: y = a | b; break;
  case XOR: y = a ^ b; break;
  case ADD: y = (int64_t)((uint64_t)a + (uint64_t)b); break;
  case SUB: y = (int64_t)((uint64_t)a - (uint64_t)b); break;
  case RSUB: y = (int64_t)((uint64_t)b - (uint64_t)a); break;
  case MUL: y = (int64_t)((uint64_t)a * (uint64_t)b); break;
  case MIN: y = a < b ? a : b; break;
  case MAX: y = a > b ? a : b; break;
  case REST:
  case WHOLE:
    if (a < 0 || b <= 0)
      return unknown;
    y = op == REST ? a % b : a / b;
    break;
  case SHL:
  case SHR:
    if (b < 0 || b >= bits || dtype == MXQ_BOOL)
      return unknown;
    y = op == SHL ? (int64_t)((uint64_t)a << b) : a < 0 ? ~(~a >> b) : a >> b;
    break;
  default: return unknown;
  }
  return (struct mxq_probe_number){.i = mxq_probe_wrap(y, dtype), .ok = true};
}

static struct mxq_probe_number real(enum op op, double a, double b, enum mxq_dtype dtype) {
  double y;
  switch (op) {
  case ADD: y = a + b; break;
  case SUB: y = a - b; break;
  case RSUB: y = b - a; break;
  case MUL: y = a * b; break;
  case DIV: y = a / b; break;
  /* Powers of two only: all others are nobody's exact numbers. */
  case POW:
  case LDEXP:
    if ((op == POW && a != 2) || !(fabs(b) < 4096) || b != trunc(b))
      return unknown;
    y = op == POW ? ldexp(1, (int)b) : ldexp(a, (int)b);
    break;
  default: return unknown;
  }
  return (struct mxq_probe_number){.d = dtype == MXQ_F32 ? (float)y : mxq_probe_round(y, dtype), .ok = true};
}

static void binary(struct mxq_probe *t, enum op op, struct mxq_probe_value *out) {
  struct mxq_probe_value s[2];
  const struct mxq_probe_value *in[2];
  struct place at[2];
  int64_t alpha;
  if (!mxq_probe_operand(t, "self", &s[0], &in[0]) || !mxq_probe_operand(t, op == POW ? "exponent" : "other", &s[1], &in[1]) ||
      !mxq_probe_int(t, "alpha", 1, &alpha) || alpha != 1 || mxq_probe_arg(t, "rounding_mode"))
    return;
  enum mxq_dtype d = common(in[0], in[1]);
  if (d == MXQ_DTYPE_NONE)
    return;
  if (op == DIV || op == LDEXP)      /* ldexp is self * 2^other, in floats */
    d = mxq_probe_is_float(d) ? d : MXQ_F32;
  bool floats = mxq_probe_is_float(d);
  /* Numbers in floats that PyTorch would compute in another way than in one step are left alone. */
  if (op == LDEXP && d != MXQ_F32)
    return;
  out->dtype = compares(op) ? MXQ_BOOL : d;
  for (unsigned k = 0; k < 2 && !floats; k++)
    if (in[k] == &s[k] && mxq_probe_wrap(s[k].e->i, d) != s[k].e->i)
      return;                        /* PyTorch refuses such a number */
  if (!broadcast(t, in, at, 2, out))
    return;
  for (uint32_t i = 0; i < out->n; i++) {
    struct mxq_probe_number a = as(element(&at[0], i), in[0]->dtype, d), b = as(element(&at[1], i), in[1]->dtype, d);
    if (!a.ok || !b.ok)
      out->e[i] = unknown;
    else if (compares(op))
      out->e[i] = compare(op, floats ? a.d : (double)a.i, floats ? b.d : (double)b.i);
    else
      out->e[i] = floats ? real(op, a.d, b.d, d) : whole(op, a.i, b.i, d);
  }
  out->known = true;
}

/* condition ? a : b, in the dtype of the result. */
static void choose(struct mxq_probe *t, const struct mxq_probe_value *condition, const struct mxq_probe_value *a, const struct mxq_probe_value *b,
                   enum mxq_dtype dtype, struct mxq_probe_value *out) {
  const struct mxq_probe_value *in[3] = {condition, a, b};
  struct place at[3];
  out->dtype = dtype;
  if (condition->dtype != MXQ_BOOL || dtype == MXQ_DTYPE_NONE || !broadcast(t, in, at, 3, out))
    return;
  for (uint32_t i = 0; i < out->n; i++) {
    struct mxq_probe_number c = element(&at[0], i);
    const struct mxq_probe_value *from = c.i ? a : b;
    out->e[i] = c.ok ? mxq_probe_convert(element(&at[c.i ? 1 : 2], i), from->dtype, dtype) : unknown;
  }
  out->known = true;
}

static void where(struct mxq_probe *t, struct mxq_probe_value *out) {
  struct mxq_probe_value a, b;
  const struct mxq_probe_value *c = mxq_probe_tensor(t, "condition"), *yes, *no;
  if (c && mxq_probe_operand(t, "self", &a, &yes) && mxq_probe_operand(t, "other", &b, &no))
    choose(t, c, yes, no, common(yes, no), out);
}

/* masked_fill(self, mask, value), index_put(self, [mask], values) */
static void masked(struct mxq_probe *t, bool put, struct mxq_probe_value *out) {
  struct mxq_probe_value s;
  const struct mxq_probe_value *self = mxq_probe_tensor(t, "self"), *mask = NULL, *value;
  int64_t accumulate;
  if (put) {
    const struct mxq_pt2_arg *list = mxq_probe_arg(t, "indices");
    if (list && list->kind == MXQ_ARG_VALUES && list->count == 1 && list->values[0] != MXQ_NO_NUMBER)
      mask = t->values[list->values[0]];
    if (!mxq_probe_int(t, "accumulate", 0, &accumulate) || accumulate)
      return;
  } else {
    mask = mxq_probe_tensor(t, "mask");
  }
  if (!self || !mask || !mask->known || !mxq_probe_operand(t, put ? "values" : "value", &s, &value) || value->total != 1 || mask->ndim != self->ndim ||
      (put && memcmp(mask->size, self->size, self->ndim * sizeof *self->size) != 0))
    return;
  choose(t, mask, value, self, self->dtype, out);
  out->known &= out->total == self->total;
}

bool mxq_probe_cast(struct mxq_probe *t, const struct mxq_probe_value *in, enum mxq_dtype dtype, struct mxq_probe_value *out) {
  struct mxq_probe_number *e = in->e;
  *out = *in;
  if (dtype == in->dtype)
    return out->known = true;
  out->dtype = dtype;
  out->known = false;
  if (!mxq_probe_is_float(dtype) && !mxq_probe_is_int(dtype))
    return false;
  if (!mxq_probe_elements(t, out, in->n))
    return false;
  for (uint32_t i = 0; i < in->n; i++)
    out->e[i] = mxq_probe_convert(e[i], in->dtype, dtype);
  return out->known = true;
}

static void unary(struct mxq_probe *t, const char *name, struct mxq_probe_value *out) {
  struct mxq_probe_value f;
  const struct mxq_probe_value *self = mxq_probe_tensor(t, "self");
  bool floats = strcmp(name, "exp2") == 0;
  if (!self || (!mxq_probe_is_float(self->dtype) && !mxq_probe_is_int(self->dtype)))
    return;
  if (floats && !mxq_probe_is_float(self->dtype)) {
    if (!mxq_probe_cast(t, self, MXQ_F32, &f))
      return;
    self = &f;
  }
  *out = *self;
  out->known = false;
  if (strcmp(name, "logical_not") == 0)
    out->dtype = MXQ_BOOL;
  if (!mxq_probe_elements(t, out, self->n))
    return;
  for (uint32_t i = 0; i < self->n; i++) {
    struct mxq_probe_number x = self->e[i];
    bool real_number = mxq_probe_is_float(self->dtype);
    if (!x.ok)
      out->e[i] = unknown;
    else if (floats)
      out->e[i] = real(POW, 2, x.d, self->dtype);
    else if (strcmp(name, "neg") == 0)
      out->e[i] = real_number ? (struct mxq_probe_number){.d = -x.d, .ok = true} : whole(RSUB, x.i, 0, self->dtype);
    else if (strcmp(name, "bitwise_not") == 0)
      out->e[i] = real_number ? unknown : self->dtype == MXQ_BOOL ? whole(XOR, x.i, 1, self->dtype) : whole(XOR, x.i, -1, self->dtype);
    else
      out->e[i] = (struct mxq_probe_number){.i = real_number ? x.d == 0 : x.i == 0, .ok = true};
  }
  out->known = true;
}

/* clamp(self, min, max), with limits that leave the dtype what it is. */
static void clamp(struct mxq_probe *t, struct mxq_probe_value *out) {
  struct mxq_probe_value s[2];
  const struct mxq_probe_value *self = mxq_probe_tensor(t, "self"), *limit[2] = {NULL, NULL};
  const char *const names[] = {"min", "max"};
  for (int k = 0; k < 2; k++)
    if (mxq_probe_arg(t, names[k]) && (!mxq_probe_operand(t, names[k], &s[k], &limit[k]) || limit[k] != &s[k]))
      return;
  if (!self || (!limit[0] && !limit[1]) || (!mxq_probe_is_float(self->dtype) && !mxq_probe_is_int(self->dtype)))
    return;
  bool floats = mxq_probe_is_float(self->dtype);
  for (int k = 0; k < 2; k++)
    if (limit[k] && (floats ? !mxq_probe_convert(s[k].e->ok ? s[k].e[0] : unknown, s[k].dtype, self->dtype).ok
                            : !mxq_probe_is_int(s[k].dtype) || mxq_probe_wrap(s[k].e->i, self->dtype) != s[k].e->i))
      return;
  *out = *self;
  out->known = false;
  if (!mxq_probe_elements(t, out, self->n))
    return;
  for (uint32_t i = 0; i < self->n; i++) {
    struct mxq_probe_number x = self->e[i];
    for (int k = 0; k < 2 && x.ok; k++) {
      if (!limit[k])
        continue;
      struct mxq_probe_number y = mxq_probe_convert(s[k].e[0], s[k].dtype, self->dtype);
      bool beyond = floats ? (k ? x.d > y.d : x.d < y.d) : k ? x.i > y.i : x.i < y.i;
      x = beyond ? y : x;
    }
    out->e[i] = x;
  }
  out->known = true;
}

bool mxq_probe_math(struct mxq_probe *t, const char *name, struct mxq_probe_value *out) {
  for (size_t i = 0; binary_names[i].name; i++)
    if (strcmp(name, binary_names[i].name) == 0) {
      binary(t, binary_names[i].op, out);
      return true;
    }
  if (strcmp(name, "where") == 0)
    where(t, out);
  else if (strcmp(name, "masked_fill") == 0 || strcmp(name, "index_put") == 0)
    masked(t, name[0] == 'i', out);
  else if (strcmp(name, "clamp") == 0 || strcmp(name, "clamp_min") == 0 || strcmp(name, "clamp_max") == 0)
    clamp(t, out);
  else if (strcmp(name, "exp2") == 0 || strcmp(name, "special_exp2") == 0)
    unary(t, "exp2", out);
  else if (strcmp(name, "neg") == 0 || strcmp(name, "bitwise_not") == 0 || strcmp(name, "logical_not") == 0)
    unary(t, name, out);
  else
    return false;
  return true;
}
