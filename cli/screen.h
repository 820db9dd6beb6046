/* SPDX-License-Identifier: MIT */
#pragma once

/* A picture of a text screen: characters with a meaning each, put anywhere, clipped at the edges. Written out
 * whole, or as what differs from another picture (a slow line should carry changes only). Knows no terminal
 * and no battery. */

#include <stdint.h>
#include <stdio.h>

#include <stdbool.h>

enum screen_style {
        STYLE_NORMAL,
        STYLE_BOLD,
        STYLE_DIM,
        STYLE_GREEN,
        STYLE_YELLOW,
        STYLE_RED,
        STYLE_ALARM, /* a warning light that is on */
        STYLE_TITLE,
        _STYLE_MAX,
};

/* Beyond ASCII; drawn as block and line elements in UTF-8, else as the ASCII character named. */
enum {
        GLYPH_FULL = 0x80,  /* '#' */
        GLYPH_BAND = 0x81,  /* '+' */
        GLYPH_EMPTY = 0x82, /* '.' */
        GLYPH_LINE = 0x83,  /* '-' */
        GLYPH_AXIS = 0x84,  /* '|' */
        GLYPH_CORNER = 0x85, /* '+' */
        GLYPH_MARK = 0x86,  /* '+' */
        _GLYPH_MAX,

        /* Dots, two columns by four rows a cell: 0x100 and a bit for each, as Unicode's braille patterns have them (see
         * screen_dot()). In ASCII: ' none in the lower half, . none in the upper half, : some in both, # most. */
        GLYPH_DOTS = 0x100,
};

struct screen_cell {
        uint16_t glyph;
        uint8_t style;
};

struct screen {
        int rows, columns;
        struct screen_cell *cells;
};

/* How it may be written. */
struct screen_output {
        bool utf8, colour;
        bool plain; /* no escape sequences at all */
};

int screen_init(struct screen *s, int rows, int columns); /* 0 or -ENOMEM; blank */
void screen_done(struct screen *s);
void screen_clear(struct screen *s);

/* Both return the column after what was put. Bytes outside printable ASCII become '?': a sentence from the
 * bus cannot steer the terminal. */
int screen_put(struct screen *s, int row, int column, enum screen_style style, const char *format, ...)
        __attribute__((format(printf, 5, 6)));
int screen_fill(struct screen *s, int row, int column, int n, enum screen_style style, uint16_t glyph);

/* One dot of the picture's 4 * rows by 2 * columns, beside those that are in its cell; a character there goes. */
void screen_dot(struct screen *s, int y, int x, enum screen_style style);

/* All rows as lines, blanks at their ends left out. */
void screen_write(const struct screen *s, FILE *f, const struct screen_output *how);

/* Cursor movements and what differs from before; before NULL or of another size: everything, after clearing.
 */
void screen_write_changes(const struct screen *s, const struct screen *before, FILE *f,
                          const struct screen_output *how);
