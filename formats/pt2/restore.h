/* SPDX-License-Identifier: MIT */
/* The way back of a program: which of its nodes only decode MX weights, and how their tensors are stored as they were. */
#ifndef MXQ_PT2_RESTORE_H
#define MXQ_PT2_RESTORE_H

#include "formats/pt2/program.h"

/* What becomes of a node: it stays (0), it goes, or it goes and something else will make its result. */
enum { MXQ_GONE = 1, MXQ_RESULT_STAYS };

/*
 * Marks in `gone` (one for each node of the program's own graph, all 0 before) the nodes that compute `values` and nothing else: the nodes that make
 * them, and everything before those whose results nobody else takes. MXQ_ERR_UNSUPPORTED (naming the node) when one of them takes something that is
 * neither in `parts` (for each stored tensor: it is codes or scales of what is restored) nor a constant.
 */
enum mxq_status mxq_pt2_decoding_nodes(const struct mxq_pt2_program *p, const uint32_t *values, size_t count, const bool *parts, unsigned char *gone,
                                       struct mxq_error *err);
/* Whether a value of the program's own graph is taken only by nodes that are gone (or by nobody), and is no output. */
bool mxq_pt2_unused(const struct mxq_pt2_program *p, uint32_t value, const unsigned char *gone);

#endif
