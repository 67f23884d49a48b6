/* SPDX-License-Identifier: MIT */
/* Portable C. */
#include "lib/kernels/kernels.h"

#define MXQ_ROW scalar
#include "lib/kernels/template.h"
