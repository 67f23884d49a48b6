/* SPDX-License-Identifier: MIT */
/* Files without a name: bytes that are too many for memory and needed for a moment only. */
#ifndef MXQ_BASE_NAMELESS_H
#define MXQ_BASE_NAMELESS_H

/* The descriptor of a new file without a name, for reading and writing, closed on exec; -1 and errno when there can be none. */
int mxq_nameless(void);

#endif
