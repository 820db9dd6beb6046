/* SPDX-License-Identifier: MIT */
#pragma once

/* The terminal in full-screen mode (VT100 escapes, alternate screen), and back again whatever happens:
 * terminal_leave() is also run by a crash. Plain escapes instead of ncurses: the view needs an address, seven
 * styles and seven keys, which every terminal of the last forty years has, and a Pi needs one library less.
 */

#include <stdbool.h>
#include <stddef.h>

#include "screen.h"

bool terminal_present(void);                         /* standard input and output are one */
int terminal_enter(void);                            /* 0 or -Exxx */
void terminal_leave(void);                           /* harmless if not entered */
void terminal_size(int *ret_rows, int *ret_columns); /* 24 x 80 if it does not say */

/* For a single picture: LINES and COLUMNS if they are set, else the terminal's size. */
void terminal_frame_size(int *ret_rows, int *ret_columns);

/* How standard output is to be written to, by its kind, the locale and NO_COLOR. */
struct screen_output terminal_output(void);

int terminal_write(const char *data, size_t size);   /* 0 or -Exxx */

enum terminal_key {
        KEY_NONE,
        KEY_QUIT,
        KEY_UP,
        KEY_DOWN,
        KEY_PAGE_UP,
        KEY_PAGE_DOWN,
        KEY_HOME,
        KEY_END,
        KEY_REDRAW,
};

/* Asks for something secret on the terminal that standard input is: what is typed is not shown. ret_line: without the
 * newline. 0; -ENODATA: no line came; -EMSGSIZE: a longer one; -Exxx. A signal that ends the program finds the
 * terminal as it was. */
int terminal_ask_secret(const char *prompt, char *ret_line, size_t size);

/* The next key in data; *ret_used bytes are done with (an unfinished escape sequence counts as nothing). */
enum terminal_key terminal_key(const char *data, size_t size, size_t *ret_used);
