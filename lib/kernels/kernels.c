/* SPDX-License-Identifier: MIT */
/* The rows merged: weakest to strongest, up to the level in use. The one changeable global of the library is the pointer here. */
#include "lib/kernels/kernels.h"

#include <stdatomic.h>
#include "lib/base/cpu.h"
#include "lib/base/fail.h"

const struct mxq_kernels *const mxq_kernel_rows[MXQ_CPU_COUNT] = {
  [MXQ_CPU_REFERENCE] = &mxq_kernels_reference,
  [MXQ_CPU_SCALAR] = &mxq_kernels_scalar,
  [MXQ_CPU_NEON] = &mxq_kernels_neon,
  [MXQ_CPU_AVX2] = &mxq_kernels_avx2,
  [MXQ_CPU_AVX512] = &mxq_kernels_avx512,
  [MXQ_CPU_AVX512VBMI] = &mxq_kernels_avx512vbmi,
};

/* One merged table a level, made when the level is first used; equal bytes are written, so that a race would change nothing. */
struct table {
  struct mxq_kernels kernels;
  enum mxq_cpu level;
  _Atomic int ready; /* 0 untouched, 1 being made, 2 made */
};
static struct table tables[MXQ_CPU_COUNT];
static _Atomic(const struct table *) in_use;

static bool row_is_empty(const struct mxq_kernels *row) {
  for (int e = 0; e < MXQ_ELEMENT_COUNT; e++)
    for (int l = 0; l < MXQ_LANES; l++)
      if (row->encode[e][l] || row->decode[e][l]) return false;
  return true;
}

static void merge(struct mxq_kernels *out, enum mxq_cpu level) {
  out->measure = mxq_kernels_scalar.measure; /* the reference has none: it is no number of the standard's */
  for (int row = 0; row <= (int)level; row++) {
    if (!mxq_cpu_machine_has((enum mxq_cpu)row)) continue;
    const struct mxq_kernels *from = mxq_kernel_rows[row];
    if (from->measure) out->measure = from->measure;
    for (int e = 0; e < MXQ_ELEMENT_COUNT; e++)
      for (int l = 0; l < MXQ_LANES; l++) {
        if (from->encode[e][l]) out->encode[e][l] = from->encode[e][l];
        if (from->encode_any[e][l]) out->encode_any[e][l] = from->encode_any[e][l];
        if (from->decode[e][l]) out->decode[e][l] = from->decode[e][l];
      }
  }
}

static const struct table *table_of(enum mxq_cpu level) {
  struct table *t = &tables[level];
  for (;;) {
    int state = 0;
    if (atomic_load_explicit(&t->ready, memory_order_acquire) == 2) return t;
    if (atomic_compare_exchange_strong(&t->ready, &state, 1)) {
      merge(&t->kernels, level);
      t->level = level;
      atomic_store_explicit(&t->ready, 2, memory_order_release);
    }
  }
}

static const struct table *now(void) {
  const struct table *t = atomic_load_explicit(&in_use, memory_order_acquire);
  if (t) return t;
  const struct table *none = NULL;
  t = table_of(mxq_cpu_best());
  return atomic_compare_exchange_strong(&in_use, &none, t) ? t : none;
}

const struct mxq_kernels *mxq_kernels_now(void) { return &now()->kernels; }

enum mxq_cpu mxq_kernel_level(enum mxq_element element, enum mxq_lane lane, bool decode) {
  const struct table *t = now();
  int row = (int)t->level;
  for (; row > 0; row--) {
    const struct mxq_kernels *from = mxq_kernel_rows[row];
    if (!mxq_cpu_machine_has((enum mxq_cpu)row)) continue;
    if (decode ? from->decode[element][lane] != NULL : from->encode[element][lane] != NULL) break;
  }
  return (enum mxq_cpu)row;
}

bool mxq_kernels_stream(uint64_t bytes) {
  const uint64_t always_cached = 1 << 20; /* spares small jobs the question */
  return bytes > always_cached && bytes > mxq_cpu_cache() / 2;
}

enum mxq_cpu mxq_cpu_best(void) {
  int level = MXQ_CPU_COUNT - 1;
  while (level > 0 && (!mxq_cpu_machine_has((enum mxq_cpu)level) || row_is_empty(mxq_kernel_rows[level]))) level--;
  return (enum mxq_cpu)level;
}

enum mxq_cpu mxq_cpu_current(void) { return now()->level; }

enum mxq_status mxq_cpu_set(enum mxq_cpu level) {
  if ((unsigned)level >= MXQ_CPU_COUNT || level > mxq_cpu_best()) return MXQ_ERR_UNSUPPORTED;
  atomic_store_explicit(&in_use, table_of(level), memory_order_release);
  return MXQ_OK;
}
