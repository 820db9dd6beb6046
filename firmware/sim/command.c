/* SPDX-License-Identifier: MIT */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define WORDS_MAX 6

const char command_help[] =
        "  kill N, revive N        take power from a board, give it back (1 = the IN board)\n"
        "  reset N                 its watchdog resets it\n"
        "  blank N                 erase its EEPROM\n"
        "  cut N, join N           the wire from board N to the next; from the last: the ring return\n"
        "  invert N, upright N     its isolator the wrong way round, and right again\n"
        "  swap A B                what board A sends goes where B's went, and back\n"
        "  errors RATE             this share of all bits is turned on every wire\n"
        "  cell N VOLTS DEGC       the cell and its temperature, by hand\n"
        "  current AMPERES         through modelled cells and sensor 1; charging is positive\n"
        "  bypass N sound|stuck|open\n"
        "  analog N sound|ntc-open|ntc-short|reference-dead|reference-double|divider-open\n"
        "  switch K on|off         option switch of the IN board\n"
        "  sensor K SHARE|absent   Hall sensor: share of its type's full current\n"
        "  status                  one line for each board\n";

__attribute__((format(printf, 4, 5))) static int say(char *ret, size_t size, int r, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(ret, size, format, arguments);
        va_end(arguments);
        return r;
}

static bool number(const char *text, double from, double to, double *ret) {
        char *end;
        double value = strtod(text, &end);

        if (end == text || *end || !(value >= from && value <= to))
                return false;
        *ret = value;
        return true;
}

static int word(const char *text, const char *const *words, int n) {
        for (int i = 0; i < n; i++)
                if (strcmp(text, words[i]) == 0)
                        return i;
        return -1;
}

static void status(const struct boards *c, char *ret, size_t size) {
        size_t used = 0;

        for (unsigned i = 1; i <= c->n; i++) {
                const struct board *b = c->board[i];
                int n = snprintf(ret + used, size - used, "%s%u: %.3f V %.1f degC %s%s%s%s",
                                 i > 1 ? "\n" : "", i, b->volts, b->degc, b->mcu.powered ? "on" : "off",
                                 b->bypass ? " bypass" : "", b->mcu.seen.strays ? " stray: " : "",
                                 b->mcu.seen.strays ? b->mcu.seen.stray : "");

                if (n < 0 || (size_t)n >= size - used)
                        return;
                used += (size_t)n;
        }
}

/* Commands about one board, by its number. */
static int on_board(struct boards *c, unsigned n, unsigned count, char *const *w) {
        static const char *const bypass[] = {"sound", "stuck", "open"};
        static const char *const analog[] = {"sound",          "ntc-open",         "ntc-short",
                                             "reference-dead", "reference-double", "divider-open"};
        struct board *b = c->board[n];
        double a, d;
        int i;

        if (count == 2) {
                if (strcmp(w[0], "kill") == 0 || strcmp(w[0], "revive") == 0)
                        boards_power(c, n, w[0][0] == 'r');
                else if (strcmp(w[0], "reset") == 0)
                        mcu_reset(&b->mcu, MCU_RESET_WATCHDOG);
                else if (strcmp(w[0], "blank") == 0)
                        memset(b->mcu.eeprom, 0xFF, sizeof(b->mcu.eeprom));
                else if (strcmp(w[0], "cut") == 0 || strcmp(w[0], "join") == 0)
                        boards_line(c, n)->cut = w[0][0] == 'c';
                else if (strcmp(w[0], "invert") == 0 || strcmp(w[0], "upright") == 0)
                        boards_line(c, n)->inverted = w[0][0] == 'i';
                else
                        return -EINVAL;
                return 0;
        }
        if (strcmp(w[0], "swap") == 0 && count == 3 && number(w[2], 1, c->n, &a)) {
                boards_swap(c, n, (unsigned)a);
                return 0;
        }
        if (strcmp(w[0], "cell") == 0 && count == 4 && number(w[2], 0, 6, &a) && number(w[3], -60, 150, &d)) {
                b->modelled = false;
                boards_cell(c, n, a, d);
                return 0;
        }
        if (strcmp(w[0], "bypass") == 0 && count == 3 && (i = word(w[2], bypass, 3)) >= 0) {
                b->bypass_fault = (enum board_bypass_fault)i;
                return 0;
        }
        if (strcmp(w[0], "analog") == 0 && count == 3 && (i = word(w[2], analog, 6)) >= 0) {
                b->analog_fault = (enum board_analog_fault)i;
                return 0;
        }
        return -EINVAL;
}

static int on_in(struct boards *c, unsigned count, char *const *w) {
        struct board *in = c->board[1];
        double k, share;

        if (count != 3)
                return -EINVAL;
        if (strcmp(w[0], "switch") == 0 && number(w[1], 1, BOARD_SWITCHES, &k) &&
            (strcmp(w[2], "on") == 0 || strcmp(w[2], "off") == 0)) {
                in->switches[(unsigned)k - 1] = strcmp(w[2], "on") == 0;
                return 0;
        }
        if (strcmp(w[0], "sensor") == 0 && number(w[1], 1, BOARD_SENSORS, &k)) {
                bool there = strcmp(w[2], "absent") != 0;

                if (there && !number(w[2], -2, 2, &share))
                        return -EINVAL;
                in->sensor_there[(unsigned)k - 1] = there;
                in->sensor_share[(unsigned)k - 1] = there ? share : 0;
                return 0;
        }
        return -EINVAL;
}

int command_run(struct boards *c, const char *line, char *ret_answer, size_t size) {
        char copy[200], *w[WORDS_MAX], *rest = copy;
        unsigned count = 0;
        double value;
        int r = -EINVAL;

        (void)snprintf(copy, sizeof(copy), "%s", line);
        while (count < WORDS_MAX && (w[count] = strtok_r(rest, " \t\r\n", &rest)))
                count++;
        if (count == 0)
                return say(ret_answer, size, 0, "%s", "");
        if (strcmp(w[0], "status") == 0 && count == 1) {
                status(c, ret_answer, size);
                return 0;
        }
        if (strcmp(w[0], "errors") == 0 && count == 2 && number(w[1], 0, 0.1, &value)) {
                boards_errors(c, value);
                r = 0;
        } else if (strcmp(w[0], "current") == 0 && count == 2 && number(w[1], -2000, 2000, &value)) {
                boards_current(c, value);
                r = 0;
        } else if (strcmp(w[0], "switch") == 0 || strcmp(w[0], "sensor") == 0)
                r = on_in(c, count, w);
        else if (count >= 2 && number(w[1], 1, c->n, &value))
                r = on_board(c, (unsigned)value, count, w);
        if (r < 0)
                return say(ret_answer, size, r, "not understood: %s", line);
        return say(ret_answer, size, 0, "ok");
}
