/* SPDX-License-Identifier: MIT */
/* Errors on standard error, exit codes, and the end of standard output. */
#ifndef MXQUANT_REPORT_H
#define MXQUANT_REPORT_H

#include "tools/args.h"

/* "mxquant: ..." with a newline; every text in it is escaped. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for wrong arguments, with a pointer to the command's help. Returns EXIT_USAGE. */
int complain_usage(const struct args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The exit code that a failure of the library means: the one place where that is decided. */
int exit_code_of(enum command command, enum mxq_status status);
/*
 * Reports a failure with file, subject and byte, and returns its exit code. `in` is the file that was read, `out` the one being written; both
 * may be NULL. Nothing is printed for a cancelled run and for a reader of our output that went away.
 */
int report_failure(enum command command, const char *in, const char *out, const struct mxq_error *err);

/* False for the tables that the program of a weights archive carries: they are none of the user's tensors. */
bool is_users(const mxq_reader *reader, const struct mxq_tensor *tensor);
/* `--format none` alone: an archive is copied member by member, so that a program stays what it is. */
bool is_copy(const struct args *args, const mxq_reader *reader);

/* Flushes standard output. Returns `code`, or EXIT_OUTPUT when something printed was lost and code is 0. */
int finish_stdout(int code);

#endif
