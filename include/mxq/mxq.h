/* SPDX-License-Identifier: MIT */
/* libmxq: OCP Microscaling (MX) numbers and the archives that hold them. Includes every public header. */
#ifndef MXQ_MXQ_H
#define MXQ_MXQ_H

/* The version, and the only place where it stands. */
#define MXQ_VERSION_MAJOR 0
#define MXQ_VERSION_MINOR 1
#define MXQ_VERSION_PATCH 0

#include <mxq/status.h>
#include <mxq/types.h>
#include <mxq/cpu.h>
#include <mxq/runner.h>
#include <mxq/codec.h>
#include <mxq/columns.h>
#include <mxq/layout.h>
#include <mxq/tensor.h>
#include <mxq/io.h>
#include <mxq/archive.h>
#include <mxq/program.h>
#include <mxq/convert.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library in use, "MAJOR.MINOR.PATCH". Static storage. */
MXQ_API const char *mxq_version(void);

#ifdef __cplusplus
}
#endif
#endif
