/* SPDX-License-Identifier: MIT */
/* Writing past the caches where the machine can: x86-64 always, others copy. */
#include <string.h>
#include "lib/codec/layout.h"

#if defined(__SSE2__)
#include <emmintrin.h>

enum { LINE = 64 };

void mxq_layout_stream_line(uint8_t *dst, const uint8_t *src) {
  for (size_t i = 0; i < LINE; i += 16) _mm_stream_si128((void *)(dst + i), _mm_loadu_si128((const void *)(src + i)));
}

void mxq_layout_stream(uint8_t *dst, const uint8_t *src, size_t n) {
  size_t head = -(uintptr_t)dst % LINE;
  if (head > n) head = n;
  memcpy(dst, src, head);
  for (dst += head, src += head, n -= head; n >= LINE; dst += LINE, src += LINE, n -= LINE) {
    _mm_stream_si128((void *)dst, _mm_loadu_si128((const void *)src));
    _mm_stream_si128((void *)(dst + 16), _mm_loadu_si128((const void *)(src + 16)));
    _mm_stream_si128((void *)(dst + 32), _mm_loadu_si128((const void *)(src + 32)));
    _mm_stream_si128((void *)(dst + 48), _mm_loadu_si128((const void *)(src + 48)));
  }
  memcpy(dst, src, n);
}
void mxq_layout_stream_end(void) { _mm_sfence(); }
#else
void mxq_layout_stream_line(uint8_t *dst, const uint8_t *src) { memcpy(dst, src, 64); }
void mxq_layout_stream(uint8_t *dst, const uint8_t *src, size_t n) { memcpy(dst, src, n); }
void mxq_layout_stream_end(void) {}
#endif
