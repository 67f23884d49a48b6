/* SPDX-License-Identifier: MIT */
/* What the files registry*.c share: the list of formats, and the decision which of them a file is. */
#ifndef MXQ_FORMATS_REGISTRY_H
#define MXQ_FORMATS_REGISTRY_H

#include "formats/format.h"

/* NULL-terminated, in the order in which files are probed. */
extern const struct format *const mxq_formats[];

/* The format of a container, NULL when there is none. */
const struct format *mxq_format_of(enum mxq_container container);
/* The format whose extension the path ends in, in any case of letters; NULL when there is none. */
const struct format *mxq_format_by_extension(const char *path);

/*
 * Decides the format of a source: the one that is asked for, else by the first bytes, else by the extension. *claimed (may be NULL) tells, also on
 * failure, whether the bytes or the name say that the file is of a format read here: then what is wrong with it is damage.
 * MXQ_ERR_FORMAT (no format read here; says what it is, where that is known), MXQ_ERR_MALFORMED (empty; name and bytes contradict), MXQ_ERR_IO.
 */
enum mxq_status mxq_identify(const struct mxq_source *source, const char *path, enum mxq_container asked, const struct format **format,
                             bool *claimed, struct mxq_error *err);

/* The options with the default limits filled in; options may be NULL. */
struct mxq_read_options mxq_read_limits(const struct mxq_read_options *options);

/* Opens a source whose format is decided. Takes *source over, as mxq_reader_open_source does. */
enum mxq_status mxq_reader_open_as(const struct format *format, struct mxq_source *source, const char *path,
                                   const struct mxq_read_options *options, mxq_reader **reader, struct mxq_error *err);

#endif
