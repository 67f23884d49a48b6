/* SPDX-License-Identifier: MIT */
/*
 * The loops of the yardsticks for one width of vectors. Included with these defined: WIDTH (bytes), TARGET (the functions' attribute), VECTOR, LOAD(p),
 * STORE(p, v), STREAM(p, v), OR(a, b), NEXT(v) (another value), FENCE().
 */
#define INNER TARGET static inline __attribute__((always_inline))
#define LINE(p, k) ((p) + (k) * WIDTH)

/* At `times` multiples of a distance, the far ones for the second cache: what the queue of misses had no room for gets another chance. */
INNER void NAMED(fetch)(const unsigned char *p, size_t ahead, size_t n, unsigned times) {
  for (size_t i = 0; i < n; i += 64) {
    for (unsigned t = times; t > 1; t--) __builtin_prefetch(p + t * ahead + i, 0, 2);
    __builtin_prefetch(p + ahead + i, 0, 3);
  }
}

/* All of [p, p + n), n a multiple of 4 lines, into a; the lines at p + ahead are asked for on the way (0: none). */
INNER VECTOR NAMED(take)(const unsigned char *p, size_t n, size_t ahead, VECTOR a) {
  VECTOR b = a, c = a, d = a;
  for (size_t i = 0; i < n; i += 4 * WIDTH) {
    if (ahead)
      for (size_t k = 0; k < 4 * WIDTH; k += 64) __builtin_prefetch(p + i + ahead + k, 0, 3);
    a = OR(a, LOAD(LINE(p + i, 0)));
    b = OR(b, LOAD(LINE(p + i, 1)));
    c = OR(c, LOAD(LINE(p + i, 2)));
    d = OR(d, LOAD(LINE(p + i, 3)));
  }
  return OR(OR(a, b), OR(c, d));
}

INNER void NAMED(put)(unsigned char *p, size_t n, VECTOR v, bool past) {
  for (size_t i = 0; i < n; i += 64)
    for (size_t k = 0; k < 64 / WIDTH; k++) {
      if (past) STREAM(LINE(p + i, k), v);
      else STORE(LINE(p + i, k), v);
    }
}

/* One direction of everything; `w` says in which order. */
INNER void NAMED(loop)(const struct bench_buffers *b, size_t begin, size_t end, const struct way *w, enum bench_kind kind, bool past, bool spread) {
  const size_t chunk = w->chunk, ahead = spread ? 0 : w->ahead, along = spread ? w->ahead : 0;
  const size_t narrow = w->narrow, scale = w->narrow ? chunk / w->wide : 0, codes = scale * narrow;
  size_t at = w->narrow ? begin / w->wide : 0; /* block */
  VECTOR v = LOAD(b->wide + begin);
  uint64_t scales = 0;
  for (size_t i = begin; i < end; i += chunk, at += scale) {
    switch (kind) {
      case BENCH_READ:
        if (ahead) NAMED(fetch)(b->wide + i, ahead, chunk, w->times);
        v = NAMED(take)(b->wide + i, chunk, along, v);
        break;
      case BENCH_WRITE:
        v = NEXT(v);
        NAMED(put)(b->copy + i, chunk, v, past);
        break;
      case BENCH_COPY:
        if (ahead) NAMED(fetch)(b->wide + i, ahead, chunk, w->times);
        for (size_t k = 0; k < chunk; k += WIDTH) {
          if (along && k % 64 == 0) __builtin_prefetch(b->wide + i + along + k, 0, 3);
          if (past) STREAM(b->copy + i + k, LOAD(b->wide + i + k));
          else STORE(b->copy + i + k, LOAD(b->wide + i + k));
        }
        break;
      case BENCH_ENCODE:
        if (ahead) NAMED(fetch)(b->wide + i, ahead, chunk, w->times);
        v = NAMED(take)(b->wide + i, chunk, along, LOAD(b->wide + i));
        NAMED(put)(b->codes + at * narrow, codes, v, past);
        for (size_t k = 0; k < scale; k += 16) memcpy(b->scales + at + k, &v, 16);
        break;
      case BENCH_DECODE:
        if (w->ahead) NAMED(fetch)(b->codes + at * narrow, w->ahead, codes, w->times);
        v = NAMED(take)(b->codes + at * narrow, codes, 0, NEXT(LOAD(b->codes + at * narrow)));
        for (size_t k = 0; k < scale; k += 16) {
          uint64_t some[2];
          memcpy(some, b->scales + at + k, 16);
          scales += some[0] ^ some[1];
        }
        NAMED(put)(b->copy + i, chunk, v, past);
        break;
    }
  }
  if (past) FENCE();
  keep(&v, sizeof v);
  keep(&scales, sizeof scales);
}

#define ONE(KIND)                                                                                                      \
  TARGET static void NAMED(KIND)(const struct bench_buffers *b, size_t begin, size_t end, const void *what) {          \
    const struct way *w = what;                                                                                        \
    if (w->past && w->spread) NAMED(loop)(b, begin, end, w, BENCH_##KIND, true, true);                                 \
    else if (w->past) NAMED(loop)(b, begin, end, w, BENCH_##KIND, true, false);                                        \
    else if (w->spread) NAMED(loop)(b, begin, end, w, BENCH_##KIND, false, true);                                      \
    else NAMED(loop)(b, begin, end, w, BENCH_##KIND, false, false);                                                    \
  }
ONE(READ)
ONE(WRITE)
ONE(COPY)
ONE(ENCODE)
ONE(DECODE)

#undef ONE
#undef INNER
#undef LINE
#undef NAMED
#undef WIDTH
#undef TARGET
#undef VECTOR
#undef LOAD
#undef STORE
#undef STREAM
#undef OR
#undef NEXT
#undef FENCE
