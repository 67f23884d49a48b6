/* SPDX-License-Identifier: MIT */
/* The header of an npy array: three keys of a Python dictionary, parsed as nothing more than that. */
#include "formats/npy/npy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/fail.h"
#include "lib/io/io.h"

struct cursor {
  const char *s;
  size_t at, n;         /* in the file; the header ends at n */
  const char *subject;
  struct mxq_error *err;
  enum mxq_status status;
  uint64_t *dims;
};

/* The first complaint stays. */
static void complain(struct cursor *c, enum mxq_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void complain(struct cursor *c, enum mxq_status code, const char *fmt, ...) {
  char what[256];
  va_list ap;
  if (c->status != MXQ_OK)
    return;
  va_start(ap, fmt);
  vsnprintf(what, sizeof what, fmt, ap);
  va_end(ap);
  c->status = mxq_fail_at(c->err, code, c->subject, c->at, "%s (byte %zu)", what, c->at);
}

static char peek(struct cursor *c) {
  while (c->at < c->n && (c->s[c->at] == ' ' || c->s[c->at] == '\t' || c->s[c->at] == '\n' || c->s[c->at] == '\r'))
    c->at++;
  return c->at < c->n && c->status == MXQ_OK ? c->s[c->at] : 0;
}

static bool take(struct cursor *c, char want) {
  if (peek(c) != want)
    return false;
  c->at++;
  return true;
}

static void expect(struct cursor *c, char want) {
  if (!take(c, want))
    complain(c, MXQ_ERR_MALFORMED, "the header is no npy dictionary: '%c' is expected here", want);
}

static bool take_word(struct cursor *c, const char *word) {
  size_t n = strlen(word);
  peek(c);
  if (c->n - c->at < n || memcmp(c->s + c->at, word, n) != 0)
    return false;
  c->at += n;
  return true;
}

/* A quoted text of printable ASCII without escapes, which may be 31 characters long. */
static void text(struct cursor *c, char out[32]) {
  char quote = peek(c);
  size_t n = 0;
  out[0] = 0;
  if (quote != '\'' && quote != '"') {
    complain(c, MXQ_ERR_MALFORMED, "the header is no npy dictionary: a quoted text is expected here");
    return;
  }
  for (c->at++; c->at < c->n && c->s[c->at] != quote; c->at++) {
    char ch = c->s[c->at];
    if (ch < 0x20 || ch > 0x7E || ch == '\\' || n == 31) {
      complain(c, MXQ_ERR_MALFORMED, "a text of the header is longer than 31 characters, or has an escape or a character that is no printable ASCII");
      return;
    }
    out[n++] = ch;
  }
  out[n] = 0;
  if (c->at == c->n)
    complain(c, MXQ_ERR_MALFORMED, "the header ends inside of a text");
  c->at++;
}

static void descr(struct cursor *c, struct mxq_npy *npy) {
  static const struct { const char *code; enum mxq_dtype dtype; } types[] = {
      {"b1", MXQ_BOOL}, {"i1", MXQ_I8}, {"u1", MXQ_U8}, {"i2", MXQ_I16}, {"i4", MXQ_I32}, {"i8", MXQ_I64}, {"u2", MXQ_U16},
      {"u4", MXQ_U32}, {"u8", MXQ_U64}, {"f2", MXQ_F16}, {"f4", MXQ_F32}, {"f8", MXQ_F64}, {"c8", MXQ_C64}, {"c16", MXQ_C128}};
  char code[32];
  if (peek(c) == '[') {
    complain(c, MXQ_ERR_UNSUPPORTED, "structured arrays are not read: save each field as an array of its own");
    return;
  }
  size_t at = c->at;
  text(c, code);
  if (c->status != MXQ_OK)
    return;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    bool wide = mxq_dtype_bits(types[i].dtype) > 8;
    if (code[0] && strcmp(code + 1, types[i].code) == 0 && (wide ? code[0] == '<' || code[0] == '>' : code[0] == '|')) {
      npy->dtype = types[i].dtype;
      npy->swap = code[0] == '>';
      return;
    }
  }
  c->at = at;
  const char *kind = code + (code[0] && strchr("<>|=", code[0]) != NULL);
  if (*kind == 'O')
    complain(c, MXQ_ERR_UNSUPPORTED, "object arrays are pickles, which can run code: they are never read");
  else if (*kind == 'V')
    complain(c, MXQ_ERR_UNSUPPORTED, "descr '%s' are bytes without a type (a bfloat16 array saved by numpy has lost it): they are not read", code);
  else if (*kind && strchr("SUMm", *kind))
    complain(c, MXQ_ERR_UNSUPPORTED, "descr '%s' is a text or a time, no number", code);
  else
    complain(c, MXQ_ERR_UNSUPPORTED, "descr '%s' is no type that is read here, such as '<f4', '<i8', '|u1'", code);
}

static void size_of_axis(struct cursor *c, struct mxq_npy *npy) {
  uint64_t value = 0;
  char first = peek(c);
  size_t digits = 0;
  if (first < '0' || first > '9') {
    complain(c, MXQ_ERR_MALFORMED, "a size in shape is no plain decimal number");
    return;
  }
  for (; c->at < c->n && c->s[c->at] >= '0' && c->s[c->at] <= '9'; c->at++, digits++) {
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(c->s[c->at] - '0'), &value)) {
      complain(c, MXQ_ERR_MALFORMED, "a size in shape is larger than 2^64 - 1");
      return;
    }
  }
  if (first == '0' && digits > 1)
    complain(c, MXQ_ERR_MALFORMED, "a size in shape has a leading zero");
  if (npy->ndim == MXQ_MAX_NDIM)
    complain(c, MXQ_ERR_MALFORMED, "the array has more than %d dimensions", MXQ_MAX_NDIM);
  if (c->status == MXQ_OK)
    c->dims[npy->ndim++] = value;
}

/* (), (3,), (2, 3), (2, 3,): a number in parentheses without comma is no tuple. */
static void shape(struct cursor *c, struct mxq_npy *npy) {
  expect(c, '(');
  bool comma = true;
  while (c->status == MXQ_OK && !take(c, ')')) {
    if (!comma)
      complain(c, MXQ_ERR_MALFORMED, "',' or ')' is expected here in shape");
    size_of_axis(c, npy);
    comma = take(c, ',');
  }
  if (npy->ndim == 1 && !comma)
    complain(c, MXQ_ERR_MALFORMED, "shape is no tuple: a single size needs a comma behind it");
}

static void dictionary(struct cursor *c, struct mxq_npy *npy, bool *fortran) {
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  bool seen[3] = {false};
  expect(c, '{');
  bool comma = true;
  while (c->status == MXQ_OK && !take(c, '}')) {
    char key[32];
    int k = 0;
    if (!comma)
      complain(c, MXQ_ERR_MALFORMED, "',' or '}' is expected here");
    text(c, key);
    while (k < 3 && strcmp(key, keys[k]) != 0)
      k++;
    if (k == 3 || seen[k]) {
      complain(c, MXQ_ERR_MALFORMED, k == 3 ? "there is a key '%s' beside descr, fortran_order and shape" : "the key '%s' is there twice", key);
      return;
    }
    seen[k] = true;
    expect(c, ':');
    if (k == 0)
      descr(c, npy);
    else if (k == 2)
      shape(c, npy);
    else if (take_word(c, "True"))
      *fortran = true;
    else if (!take_word(c, "False"))
      complain(c, MXQ_ERR_MALFORMED, "fortran_order is neither True nor False");
    comma = take(c, ',');
  }
  for (int k = 0; k < 3; k++)
    if (!seen[k])
      complain(c, MXQ_ERR_MALFORMED, "the key '%s' is missing", keys[k]);
  if (peek(c) != 0 || c->at != c->n)
    complain(c, MXQ_ERR_MALFORMED, "there is more in the header than the dictionary");
}

static enum mxq_status sizes(struct mxq_npy *npy, uint64_t size, const char *subject, struct mxq_error *err) {
  uint64_t scalar = mxq_dtype_bits(npy->dtype) / 8, bytes = scalar;
  bool zero = false;
  for (uint32_t i = 0; i < npy->ndim; i++) {
    zero |= npy->shape[i] == 0;
    if (npy->shape[i] != 0 && __builtin_mul_overflow(bytes, npy->shape[i], &bytes))
      return mxq_fail_at(err, MXQ_ERR_MALFORMED, subject, npy->data, "the size of the array does not fit in 64 bits");
  }
  npy->bytes = zero ? 0 : bytes;
  npy->elements = npy->bytes / scalar;
  uint64_t rest = size - npy->data;
  if (npy->bytes != rest)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, subject, npy->data, "descr and shape take %llu bytes, %llu follow the header (byte %llu): %s",
                       (unsigned long long)npy->bytes, (unsigned long long)rest, (unsigned long long)npy->data,
                       npy->bytes > rest ? "the file is cut short or its header lies" : "there is more than the array");
  return MXQ_OK;
}

enum mxq_status mxq_npy_parse(const void *bytes, size_t n, uint64_t size, const char *subject, uint64_t dims[MXQ_MAX_NDIM],
                              struct mxq_npy *npy, struct mxq_error *err) {
  const unsigned char *b = bytes;
  memset(npy, 0, sizeof *npy);
  npy->shape = dims;
  if (n < 6 || memcmp(b, "\x93NUMPY", 6) != 0)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, subject, 0, "no npy array: it does not begin with the 6 bytes 93 'NUMPY'");
  if (n < 8)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, subject, n, "the file ends inside of the version (byte %zu): it is cut short", n);
  if (b[6] < 1 || b[6] > 3 || b[7] != 0)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, subject, 6, "npy version %u.%u is not known (1.0, 2.0 and 3.0 are)", b[6], b[7]);
  size_t begin = b[6] == 1 ? 10 : 12;
  if (n < begin)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, subject, n, "the file ends inside of the header's length (byte %zu): it is cut short", n);
  uint32_t length = b[6] == 1 ? mxq_get16(b + 8) : mxq_get32(b + 8);
  if (length > size - begin)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, subject, 8, "the header's length is %u bytes (byte 8), but only %llu follow", length,
                       (unsigned long long)(size - begin));
  if (length > MXQ_NPY_MOST_HEADER)
    return mxq_fail_at(err, MXQ_ERR_LIMIT, subject, 8, "the header has %u bytes, more than the limit of %d", length, MXQ_NPY_MOST_HEADER);
  npy->data = begin + length;
  if (length == 0 || b[npy->data - 1] != '\n')
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, subject, npy->data, "the header does not end in a newline (byte %llu)",
                       (unsigned long long)npy->data);
  struct cursor c = {.s = bytes, .at = begin, .n = (size_t)npy->data, .subject = subject, .err = err, .dims = dims};
  bool fortran = false;
  dictionary(&c, npy, &fortran);
  if (c.status != MXQ_OK)
    return c.status;
  /* With at most one axis longer than 1 both orders are the same. */
  unsigned longer = 0;
  for (uint32_t i = 0; i < npy->ndim; i++)
    longer += npy->shape[i] != 1;
  npy->fortran = fortran && longer > 1;
  enum mxq_status s = sizes(npy, size, subject, err);
  if (s == MXQ_OK && npy->elements == 0)
    npy->fortran = npy->swap = false;
  return s;
}

enum mxq_status mxq_npy_tensor(struct mxq_npy *npy, struct mxq_arena *arena, const char *name, uint64_t place, struct mxq_tensor *t,
                               struct mxq_error *err) {
  uint64_t *dims = mxq_arena_alloc(arena, npy->ndim * sizeof *dims);
  int64_t *strides = npy->fortran ? mxq_arena_alloc(arena, npy->ndim * sizeof *strides) : NULL;
  if (!dims || (npy->fortran && !strides))
    return mxq_fail_nomem(err, name);
  int64_t step = 1; /* fits: elements do, and a size of 0 was dealt with */
  for (uint32_t i = 0; i < npy->ndim; i++) {
    dims[i] = npy->shape[i];
    if (strides) {
      strides[i] = step;
      step *= (int64_t)dims[i];
    }
  }
  npy->shape = dims;
  *t = (struct mxq_tensor){.name = name,
                           .dtype = npy->dtype,
                           .ndim = npy->ndim,
                           .shape = dims,
                           .strides = strides,
                           .elements = npy->elements,
                           .bytes = npy->bytes,
                           .kind = mxq_kind_of_dtype(npy->dtype)};
  if (!npy->fortran && !npy->swap && place != UINT64_MAX)
    t->part[MXQ_PART_DATA] = (struct mxq_extent){place, npy->bytes};
  return MXQ_OK;
}
