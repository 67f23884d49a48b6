/* SPDX-License-Identifier: MIT */
#include "lib/base/cpu.h"

#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const names[MXQ_CPU_COUNT] = {
  [MXQ_CPU_REFERENCE] = "reference", [MXQ_CPU_SCALAR] = "scalar", [MXQ_CPU_NEON] = "neon",
  [MXQ_CPU_AVX2] = "avx2", [MXQ_CPU_AVX512] = "avx512", [MXQ_CPU_AVX512VBMI] = "avx512vbmi",
};

const char *mxq_cpu_name(enum mxq_cpu level) { return (unsigned)level < MXQ_CPU_COUNT ? names[level] : NULL; }

bool mxq_cpu_parse(const char *name, enum mxq_cpu *level) {
  for (int i = 0; i < MXQ_CPU_COUNT; i++)
    if (strcmp(name, names[i]) == 0) {
      *level = (enum mxq_cpu)i;
      return true;
    }
  return false;
}

/* The compiler's own detection also asks whether the operating system saves the registers. */
bool mxq_cpu_machine_has(enum mxq_cpu level) {
  switch (level) {
    case MXQ_CPU_REFERENCE:
    case MXQ_CPU_SCALAR: return true;
#if defined(__aarch64__)
    case MXQ_CPU_NEON: return true;
#endif
#if defined(__x86_64__)
    case MXQ_CPU_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"); /* all of these have F16C */
    case MXQ_CPU_AVX512:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    case MXQ_CPU_AVX512VBMI: return mxq_cpu_machine_has(MXQ_CPU_AVX512) && __builtin_cpu_supports("avx512vbmi");
#endif
    default: return false;
  }
}

#if defined(__x86_64__)
/* Of the third level as one core sees it: sysconf counts all of a large machine's. 0: unknown. */
static size_t third_cache(void) {
  static const unsigned leaves[] = {0x8000001d, 4}; /* AMD, Intel: the same fields */
  for (size_t l = 0; l < sizeof leaves / sizeof *leaves; l++)
    for (unsigned i = 0, a, b, c, d; i < 8 && __get_cpuid_count(leaves[l], i, &a, &b, &c, &d) && (a & 31); i++)
      if ((a >> 5 & 7) == 3) return (size_t)((b & 0xfff) + 1) * ((b >> 12 & 0x3ff) + 1) * ((b >> 22) + 1) * ((size_t)c + 1);
  return 0;
}
#endif

size_t mxq_cpu_cache(void) {
  size_t bytes = 0;
#if defined(__x86_64__)
  bytes = third_cache();
#endif
#ifdef _SC_LEVEL3_CACHE_SIZE
  if (bytes == 0) {
    long n = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (n > 0) bytes = (size_t)n;
  }
#endif
  return bytes ? bytes : (size_t)16 << 20;
}
