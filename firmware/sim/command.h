/* SPDX-License-Identifier: MIT */
#pragma once

/* What can be done to a chain of boards, as a line of text. */

#include <stddef.h>

#include "boards.h"

/* The list of commands, for --help. */
extern const char command_help[];

/* Does it. 0 and an answer, or -EINVAL and a sentence. */
int command_run(struct boards *c, const char *line, char *ret_answer, size_t size);
