/* SPDX-License-Identifier: MIT */
/* Tables of decoding nodes, as an archive has them. */
#ifndef MXQ_PT2_MANIFEST_TABLES_H
#define MXQ_PT2_MANIFEST_TABLES_H

#include "formats/pt2/pt2.h"

/* Whether a constant has the name, dtype and shape of a table of this library's decoding nodes. */
bool mxq_pt2_is_table(const struct mxq_pt2_stored *s);
/* Those that the manifest names, all of a weights archive, hold what they must: codes are decoded here by definition, in PyTorch by these. MXQ_ERR_MALFORMED, or what reading them gives. */
enum mxq_status mxq_pt2_tables_check(struct mxq_pt2_reader *r, struct mxq_error *err);

#endif
