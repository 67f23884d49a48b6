/* SPDX-License-Identifier: MIT */
#include <mxq/mxq.h>

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

const char *mxq_version(void) { return TEXT(MXQ_VERSION_MAJOR) "." TEXT(MXQ_VERSION_MINOR) "." TEXT(MXQ_VERSION_PATCH); }
