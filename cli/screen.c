/* SPDX-License-Identifier: MIT */
#include "screen.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* SGR parameters; without colour only weight and inversion are left (no-color.org forbids colour alone). */
static const struct {
        const char *colour, *mono;
} styles[] = {
        [STYLE_NORMAL] = {"0", "0"},
        [STYLE_BOLD] = {"0;1", "0;1"},
        [STYLE_DIM] = {"0;2", "0;2"},
        [STYLE_GREEN] = {"0;32", "0"},
        [STYLE_YELLOW] = {"0;33", "0;1"},
        [STYLE_RED] = {"0;1;31", "0;7"},
        [STYLE_ALARM] = {"0;1;97;41", "0;1;7"},
        [STYLE_TITLE] = {"0;7", "0;7"},
};
_Static_assert(sizeof(styles) / sizeof(styles[0]) == _STYLE_MAX, "every style has its escape");

static const struct {
        const char *utf8;
        char ascii;
} glyphs[] = {
        [GLYPH_FULL - 0x80] = {"\u2588", '#'},
        [GLYPH_BAND - 0x80] = {"\u2592", '+'},
        [GLYPH_EMPTY - 0x80] = {"\u2591", '.'},
        [GLYPH_LINE - 0x80] = {"\u2500", '-'},
        [GLYPH_AXIS - 0x80] = {"\u2502", '|'},
        [GLYPH_CORNER - 0x80] = {"\u2514", '+'},
        [GLYPH_MARK - 0x80] = {"\u252c", '+'},
};
_Static_assert(sizeof(glyphs) / sizeof(glyphs[0]) == _GLYPH_MAX - 0x80, "every glyph is drawn");

void screen_clear(struct screen *s) {
        for (int i = 0; i < s->rows * s->columns; i++)
                s->cells[i] = (struct screen_cell){.glyph = ' ', .style = STYLE_NORMAL};
}

int screen_init(struct screen *s, int rows, int columns) {
        s->cells = calloc((size_t)rows * (size_t)columns, sizeof(*s->cells));
        if (!s->cells)
                return -ENOMEM;
        s->rows = rows;
        s->columns = columns;
        screen_clear(s);
        return 0;
}

void screen_done(struct screen *s) {
        free(s->cells);
        *s = (struct screen){.rows = 0};
}

int screen_fill(struct screen *s, int row, int column, int n, enum screen_style style, uint16_t glyph) {
        for (int i = 0; i < n; i++)
                if (row >= 0 && row < s->rows && column + i >= 0 && column + i < s->columns)
                        s->cells[row * s->columns + column + i] =
                                (struct screen_cell){.glyph = glyph, .style = (uint8_t)style};
        return column + (n > 0 ? n : 0);
}

int screen_put(struct screen *s, int row, int column, enum screen_style style, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        for (const char *p = text; *p; p++, column++)
                screen_fill(s, row, column, 1, style, *p >= ' ' && *p <= '~' ? (uint8_t)*p : '?');
        return column;
}

void screen_dot(struct screen *s, int y, int x, enum screen_style style) {
        static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
        struct screen_cell *c;

        if (y < 0 || x < 0 || y >= 4 * s->rows || x >= 2 * s->columns)
                return;
        c = &s->cells[y / 4 * s->columns + x / 2];
        if (c->glyph < GLYPH_DOTS)
                c->glyph = GLYPH_DOTS;
        c->glyph |= bits[y % 4][x % 2];
        c->style = (uint8_t)style;
}

static char ascii_dots(unsigned dots) {
        const unsigned upper = dots & 0x1B, lower = dots & 0xE4;

        if (__builtin_popcount(dots) >= 6)
                return '#';
        return upper && lower ? ':' : upper ? '\'' : '.';
}

static void write_dots(unsigned dots, FILE *f, const struct screen_output *how) {
        if (!how->utf8)
                fputc(ascii_dots(dots), f);
        else /* U+2800 and the bits */
                fprintf(f, "\xe2%c%c", (int)(0xA0 | dots >> 6), (int)(0x80 | (dots & 0x3F)));
}

static void write_glyph(uint16_t glyph, FILE *f, const struct screen_output *how) {
        if (glyph >= GLYPH_DOTS)
                write_dots(glyph & 0xFFU, f, how);
        else if (glyph < 0x80)
                fputc(glyph, f);
        else if (how->utf8)
                fputs(glyphs[glyph - 0x80].utf8, f);
        else
                fputc(glyphs[glyph - 0x80].ascii, f);
}

static void write_style(uint8_t style, FILE *f, const struct screen_output *how) {
        if (!how->plain)
                fprintf(f, "\033[%sm", how->colour ? styles[style].colour : styles[style].mono);
}

static bool is_blank(const struct screen_cell *c) {
        return c->glyph == ' ' && c->style != STYLE_TITLE && c->style != STYLE_ALARM;
}

void screen_write(const struct screen *s, FILE *f, const struct screen_output *how) {
        for (int row = 0; row < s->rows; row++) {
                const struct screen_cell *line = s->cells + row * s->columns;
                uint8_t style = STYLE_NORMAL;
                int n = s->columns;

                while (n > 0 && (how->plain ? line[n - 1].glyph == ' ' : is_blank(&line[n - 1])))
                        n--;
                for (int i = 0; i < n; i++) {
                        if (line[i].style != style)
                                write_style(line[i].style, f, how);
                        style = line[i].style;
                        write_glyph(line[i].glyph, f, how);
                }
                if (style != STYLE_NORMAL)
                        write_style(STYLE_NORMAL, f, how);
                fputc('\n', f);
        }
}

static bool same_cell(const struct screen_cell *a, const struct screen_cell *b) {
        return a->glyph == b->glyph && a->style == b->style;
}

void screen_write_changes(const struct screen *s, const struct screen *before, FILE *f,
                          const struct screen_output *how) {
        const bool whole = !before || before->rows != s->rows || before->columns != s->columns;
        uint8_t style = STYLE_NORMAL;

        fputs(whole ? "\033[0m\033[2J" : "\033[0m", f);
        for (int row = 0; row < s->rows; row++) {
                int cursor = -1; /* column where the terminal's cursor stands in this row; -1 elsewhere */

                for (int column = 0; column < s->columns; column++) {
                        const struct screen_cell *c = &s->cells[row * s->columns + column];

                        if (whole ? is_blank(c) : same_cell(c, &before->cells[row * s->columns + column]))
                                continue;
                        if (cursor != column)
                                fprintf(f, "\033[%d;%dH", row + 1, column + 1);
                        if (c->style != style)
                                write_style(c->style, f, how);
                        style = c->style;
                        write_glyph(c->glyph, f, how);
                        cursor = column + 1;
                }
        }
        if (style != STYLE_NORMAL)
                write_style(STYLE_NORMAL, f, how);
}
