/* SPDX-License-Identifier: MIT */
/* What the files of this room share; see SPEC.md. */
#ifndef MXQ_FORMATS_SAFETENSORS_H
#define MXQ_FORMATS_SAFETENSORS_H

#include "formats/format.h"

enum mxq_status mxq_st_open_writer(const struct mxq_write_options *options, struct mxq_writer **writer, struct mxq_error *err);

#endif
