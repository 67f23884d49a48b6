/* SPDX-License-Identifier: MIT */
/* The program of an archive in words. */
#ifndef MXQUANT_INSPECT_PROGRAM_H
#define MXQUANT_INSPECT_PROGRAM_H

#include "tools/inspect_view.h"

/* Inputs, outputs, operators, and what weights feed; `verbose` lists each use. False: out of memory. */
bool print_program(const struct view *v, bool verbose);
/* Sample inputs, objects, models. */
void print_archive(const struct view *v, bool verbose);

/* inspect_use.c: an operator without what nearly all names have in common: "linear", "add.Tensor", "quantized.add". */
#define OPERATOR_SHORT 128
const char *operator_short(char buf[OPERATOR_SHORT], const char *target);
/* "linear (weight), axis 1 summed" */
#define USE_WORDS 320
const char *use_words(char buf[USE_WORDS], const mxq_program *program, const struct mxq_use *use);

#endif
