/* SPDX-License-Identifier: MIT */
/* From name to number in O(1): an open-addressing table of 32-bit numbers, keyed (SipHash), so that hostile names cannot make it slow. */
#ifndef MXQ_BASE_NAMES_H
#define MXQ_BASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An all-zero struct is an empty table. The names themselves stay where they are (they must outlive the table). */
struct mxq_names {
  struct mxq_names_slot *slots;
  size_t capacity, used;
  uint64_t key[2];
};

enum mxq_names_put { MXQ_NAMES_NEW, MXQ_NAMES_THERE, MXQ_NAMES_NOMEM };
/* Puts name -> number. THERE: the name had a number already, which is delivered in *number and kept. */
enum mxq_names_put mxq_names_put(struct mxq_names *names, const char *name, size_t n, uint32_t *number);
/* The number of a name, UINT32_MAX when there is none. */
uint32_t mxq_names_find(const struct mxq_names *names, const char *name, size_t n);
void mxq_names_free(struct mxq_names *names);

#endif
