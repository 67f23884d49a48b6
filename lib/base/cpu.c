/* SPDX-License-Identifier: MIT */
#include "lib/base/cpu.h"

#include <string.h>

static const char *const names[MXQ_CPU_COUNT] = {
  [MXQ_CPU_REFERENCE] = "reference", [MXQ_CPU_SCALAR] = "scalar", [MXQ_CPU_NEON] = "neon",
  [MXQ_CPU_AVX2] = "avx2", [MXQ_CPU_AVX512] = "avx512",
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
#endif
    default: return false;
  }
}
