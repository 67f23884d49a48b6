/* SPDX-License-Identifier: MIT */
/* Symbolic sizes: from sympy's srepr to what people write. Whatever is not known here stays as it is. */
#include <stdio.h>
#include <string.h>

#include "formats/pt2/uses.h"

enum { LONGEST = 240, DEEPEST = 24 };
/* How strongly a text holds together. */
enum { SUM, PRODUCT, POWER, ATOM };

struct piece {
  char text[LONGEST + 1];
  size_t n;
  int holds;
  bool number;
};
struct parser { const char *at, *end; };

static bool add(struct piece *p, const char *s, size_t n) {
  if (n > LONGEST - p->n)
    return false;
  memcpy(p->text + p->n, s, n);
  p->n += n;
  p->text[p->n] = 0;
  return true;
}
static bool adds(struct piece *p, const char *s) { return add(p, s, strlen(s)); }

/* A piece inside another that holds at least so strongly. */
static bool inside(struct piece *p, const struct piece *q, int holds) {
  if (q->holds >= holds)
    return add(p, q->text, q->n);
  return adds(p, "(") && add(p, q->text, q->n) && adds(p, ")");
}

static void blanks(struct parser *s) {
  while (s->at < s->end && *s->at == ' ')
    s->at++;
}
static bool take(struct parser *s, char c) {
  blanks(s);
  if (s->at == s->end || *s->at != c)
    return false;
  s->at++;
  return true;
}
static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool word(struct parser *s, const char **w, size_t *n) {
  blanks(s);
  *w = s->at;
  while (s->at < s->end && (letter(*s->at) || (s->at > *w && digit(*s->at))))
    s->at++;
  *n = (size_t)(s->at - *w);
  return *n > 0;
}
static bool is(const char *w, size_t n, const char *what) { return n == strlen(what) && memcmp(w, what, n) == 0; }

static bool integer(struct parser *s, struct piece *p) {
  blanks(s);
  const char *from = s->at;
  if (s->at < s->end && *s->at == '-')
    s->at++;
  const char *digits = s->at;
  while (s->at < s->end && digit(*s->at))
    s->at++;
  p->number = true;
  p->holds = digits > from ? SUM : ATOM;
  return s->at > digits && add(p, from, (size_t)(s->at - from));
}

/* Symbol('s0', positive=True, ...): behind the parenthesis. */
static bool symbol(struct parser *s, struct piece *p) {
  blanks(s);
  if (s->at == s->end || (*s->at != '\'' && *s->at != '"'))
    return false;
  char quote = *s->at++;
  const char *from = s->at, *w;
  size_t n;
  while (s->at < s->end && *s->at != quote && *s->at > ' ' && *s->at < 127 && *s->at != '\\')
    s->at++;
  p->holds = ATOM;
  if (s->at == from || !add(p, from, (size_t)(s->at - from)) || !take(s, quote))
    return false;
  while (take(s, ','))
    if (!word(s, &w, &n) || !take(s, '=') || !word(s, &w, &n))
      return false;
  return take(s, ')');
}

static bool expression(struct parser *s, int depth, struct piece *p);

/* a + b - 3: what is only a number goes last. */
static bool sum(struct parser *s, int depth, struct piece *p) {
  struct piece term, constant = {.n = 0};
  p->holds = SUM;
  do {
    memset(&term, 0, sizeof term);
    if (!expression(s, depth, &term))
      return false;
    if (term.number && constant.n == 0) {
      constant = term;
    } else if (p->n == 0) {
      if (!add(p, term.text, term.n))
        return false;
    } else if (!(term.text[0] == '-' ? adds(p, " - ") && add(p, term.text + 1, term.n - 1) : adds(p, " + ") && add(p, term.text, term.n))) {
      return false;
    }
  } while (take(s, ','));
  if (constant.n == 0)
    return take(s, ')');
  if (p->n == 0)
    *p = constant;
  else if (!(constant.text[0] == '-' ? adds(p, " - ") && adds(p, constant.text + 1) : adds(p, " + ") && adds(p, constant.text)))
    return false;
  return take(s, ')');
}

/* 2*s0*s1: what is only a number goes first. */
static bool product(struct parser *s, int depth, struct piece *p) {
  struct piece factor, constant = {.n = 0}, rest = {.n = 0};
  size_t factors = 0;
  do {
    memset(&factor, 0, sizeof factor);
    if (!expression(s, depth, &factor))
      return false;
    if (factor.number && constant.n == 0) {
      constant = factor;
    } else if ((factors++ && !adds(&rest, "*")) || !inside(&rest, &factor, POWER)) {
      return false;
    }
  } while (take(s, ','));
  if (factors == 0) {
    *p = constant;
  } else if (constant.n == 0) {
    *p = rest;
  } else if (!(strcmp(constant.text, "-1") == 0 ? adds(p, "-") : adds(p, constant.text) && adds(p, "*")) || !add(p, rest.text, rest.n)) {
    return false;
  }
  p->holds = constant.text[0] == '-' ? SUM : PRODUCT;
  return take(s, ')');
}

/* Two or three arguments with an operator between, or a function of any number. */
static bool call(struct parser *s, int depth, const char *w, size_t n, struct piece *p) {
  static const struct { const char *name, *between; int holds; } binary[] = {
      {"Pow", "**", POWER}, {"PowByNatural", "**", POWER}, {"FloorDiv", "//", PRODUCT}, {"CleanDiv", "//", PRODUCT}, {"Mod", " % ", PRODUCT},
      {"PythonMod", " % ", PRODUCT}, {"IntTrueDiv", "/", PRODUCT}, {"FloatTrueDiv", "/", PRODUCT}, {"Rational", "/", PRODUCT}};
  static const struct { const char *name, *as; } functions[] = {
      {"Max", "max"}, {"Min", "min"}, {"CeilDiv", "ceildiv"}, {"Abs", "abs"}, {"ceiling", "ceil"}, {"floor", "floor"}, {"CeilToInt", "ceil"},
      {"FloorToInt", "floor"}, {"TruncToInt", "trunc"}, {"RoundToInt", "round"}, {"ToFloat", "float"}};
  struct piece a = {.n = 0}, b = {.n = 0}, c = {.n = 0};
  for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
    if (is(w, n, binary[i].name)) {
      p->holds = binary[i].holds;
      return expression(s, depth, &a) && take(s, ',') && expression(s, depth, &b) && take(s, ')') &&
             inside(p, &a, p->holds == POWER ? ATOM : PRODUCT) && adds(p, binary[i].between) && inside(p, &b, ATOM);
    }
  if (is(w, n, "ModularIndexing")) {
    p->holds = PRODUCT;
    return expression(s, depth, &a) && take(s, ',') && expression(s, depth, &b) && take(s, ',') && expression(s, depth, &c) && take(s, ')') &&
           inside(p, &a, PRODUCT) && adds(p, "//") && inside(p, &b, ATOM) && adds(p, " % ") && inside(p, &c, ATOM);
  }
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (is(w, n, functions[i].name)) {
      if (!adds(p, functions[i].as) || !adds(p, "("))
        return false;
      for (size_t k = 0; k == 0 || take(s, ','); k++) {
        memset(&a, 0, sizeof a);
        if ((k && !adds(p, ", ")) || !expression(s, depth, &a) || !add(p, a.text, a.n))
          return false;
      }
      p->holds = ATOM;
      return take(s, ')') && adds(p, ")");
    }
  return false;
}

static bool expression(struct parser *s, int depth, struct piece *p) {
  const char *w;
  size_t n;
  blanks(s);
  if (depth == DEEPEST)
    return false;
  if (s->at < s->end && (digit(*s->at) || *s->at == '-'))
    return integer(s, p);
  if (!word(s, &w, &n))
    return false;
  if (!take(s, '(')) { /* a bare name: "s0" */
    p->holds = ATOM;
    return add(p, w, n);
  }
  if (is(w, n, "Symbol"))
    return symbol(s, p);
  if (is(w, n, "Integer"))
    return integer(s, p) && take(s, ')');
  if (is(w, n, "Add"))
    return sum(s, depth + 1, p);
  if (is(w, n, "Mul"))
    return product(s, depth + 1, p);
  return call(s, depth + 1, w, n, p);
}

const char *mxq_pt2_symbolic(struct mxq_arena *arena, const char *text, size_t n) {
  struct parser s = {text, text + n};
  struct piece p = {.n = 0};
  bool known = expression(&s, 0, &p);
  blanks(&s);
  return known && s.at == s.end ? mxq_arena_text(arena, p.text, p.n) : mxq_arena_text(arena, text, n);
}
