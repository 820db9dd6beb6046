/* SPDX-License-Identifier: MIT */
#pragma once

/* The three files of the line protocol among themselves: app.c has the line and the commands, app-replies.c what is
 * read, app-settings.c how a setting stands in hex. */

#include "app.h"

/* ---- app-settings.c ---------------------------------------------------------------------------------------------- */

enum app_part {
        APP_PART_WHOLE, /* the setting has one byte */
        APP_PART_HIGH,
        APP_PART_LOW,
};

/* The setting that has a byte at this address, as a row of the table; -ENOENT: none of ours. */
int app_setting_at(uint16_t address, enum app_part *ret_part);

/* The address of a row's byte, or of the lower one of two. */
uint16_t app_setting_address(int row);

/* Sets the row's setting to what raw stands for. false: it stands for nothing. Ranges are settings_check()'s. */
bool app_setting_write(int row, uint16_t raw, struct settings *s);

/* How the setting in force stands in hex, in so many digits; none: not set, or not ours to know (role monitor). */
struct maybe64 app_setting_read(enum setting setting, const struct snapshot *s, unsigned *ret_digits);

/* ---- app-replies.c ----------------------------------------------------------------------------------------------- */

/* Most that one command or ping adds to the output: the echo, and a group of live records of a
 * pack of 255 cells (a unit test measures it). */
#define APP_REPLY_MAX 512

/* The reply to a query such as "S2@" (without its CR); false, and nothing is written, if there is none. */
bool app_query(struct app_line *line, const char *command, size_t size, const struct phone_view *view);

/* One group of live records. */
void app_group(struct app_line *line, struct app_session *session, const struct phone_view *view);

/* One byte of output. There is room: see APP_REPLY_MAX. */
void app_put(struct app_line *line, char c);
