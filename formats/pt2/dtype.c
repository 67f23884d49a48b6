/* SPDX-License-Identifier: MIT */
#include "formats/pt2/pt2.h"
#include "formats/pt2/write.h"

enum mxq_dtype mxq_pt2_dtype(uint64_t number) {
  for (int d = MXQ_DTYPE_NONE + 1; d < MXQ_DTYPE_COUNT && number; d++)
    if (!mxq_pt2_as_bytes((enum mxq_dtype)d) && (uint64_t)mxq_pt2_stored_dtype((enum mxq_dtype)d) == number)
      return (enum mxq_dtype)d;
  return MXQ_DTYPE_NONE;
}
