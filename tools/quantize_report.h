/* SPDX-License-Identifier: MIT */
/* The summary of quantize. */
#ifndef MXQUANT_QUANTIZE_REPORT_H
#define MXQUANT_QUANTIZE_REPORT_H

#include "tools/conversion.h"

/* plan is NULL when an archive was only copied; then summary holds nothing but totals. */
void quantize_print_json(const struct conversion *c, const mxq_plan *plan, const struct mxq_summary *summary);
void quantize_print_text(const struct conversion *c, const mxq_plan *plan, const struct mxq_summary *summary);

#endif
