/* SPDX-License-Identifier: MIT */
#pragma once

/* A small file of the state directory that is replaced whole, so that after a power cut it is the old one or the new
 * one. Synchronous: for a thread that may wait, or for the start. */

#include <stddef.h>

/* Written beside (NAME.new), synced, renamed, the directory synced. Readable by its owner alone. 0 or -Exxx. */
int small_file_replace(const char *directory, const char *name, const char *text);

/* The whole file, and a NUL behind it. 0; -ENOENT: there is none; -EFBIG: it has size bytes or more; -Exxx. */
int small_file_read(const char *directory, const char *name, char *ret_text, size_t size);
