/* SPDX-License-Identifier: MIT */
/*
 * The loops around a kernel that turns LINES by COLUMNS scalars: included once for each. The last group of a line or a column overlaps the one before;
 * what is smaller than a group goes one by one.
 * Before: TURN_NAME, TURN_WORD (in front of functions), TURN_SCALAR, TURN_LINES, TURN_COLUMNS, TURN_KERNEL(src, src_step, dst, dst_step).
 */
#define TURN_JOIN_(a, b) a##b
#define TURN_JOIN(a, b) TURN_JOIN_(a, b)

TURN_WORD void TURN_JOIN(TURN_NAME, _along)(const uint8_t *src, size_t src_step, size_t lines, size_t columns, uint8_t *dst, size_t dst_step) {
  if (lines < TURN_LINES || columns < TURN_COLUMNS) {
    turn_each(src, src_step, lines, columns, dst, dst_step, TURN_SCALAR);
    return;
  }
  for (size_t j = 0;; j = j + 2 * TURN_LINES > lines ? lines - TURN_LINES : j + TURN_LINES) {
    for (size_t i = 0;; i = i + 2 * TURN_COLUMNS > columns ? columns - TURN_COLUMNS : i + TURN_COLUMNS) {
      TURN_KERNEL(src + j * src_step + i * TURN_SCALAR, src_step, dst + i * dst_step + j * TURN_SCALAR, dst_step);
      if (i + TURN_COLUMNS == columns) break;
    }
    if (j + TURN_LINES == lines) break;
  }
}

TURN_WORD void TURN_JOIN(TURN_NAME, _down)(const uint8_t *src, size_t src_step, size_t lines, size_t columns, uint8_t *dst, size_t dst_step) {
  if (lines < TURN_LINES || columns < TURN_COLUMNS) {
    turn_each(src, src_step, lines, columns, dst, dst_step, TURN_SCALAR);
    return;
  }
  for (size_t i = 0;; i = i + 2 * TURN_COLUMNS > columns ? columns - TURN_COLUMNS : i + TURN_COLUMNS) {
    for (size_t j = 0;; j = j + 2 * TURN_LINES > lines ? lines - TURN_LINES : j + TURN_LINES) {
      TURN_KERNEL(src + j * src_step + i * TURN_SCALAR, src_step, dst + i * dst_step + j * TURN_SCALAR, dst_step);
      if (j + TURN_LINES == lines) break;
    }
    if (i + TURN_COLUMNS == columns) break;
  }
}

#undef TURN_NAME
#undef TURN_SCALAR
#undef TURN_LINES
#undef TURN_COLUMNS
#undef TURN_KERNEL
