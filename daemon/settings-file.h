/* SPDX-License-Identifier: MIT */
#pragma once

/* The run-time settings file (design 8): what was changed since the config file was written, in one small YAML file
 * of the state directory that a person can read. Not in the database, so that a broken database cannot change a
 * limit.
 *
 * It is replaced whole: written beside (.new), synced, renamed, the directory synced; the one before it is kept as
 * settings.yaml.previous, and at no moment are both gone (after the first write they are the same, so that from then on
 * a loss is seen). The last line is a checksum over all above it. Synchronous: settings-writer.h has a thread. */

#include "settings.h"
#include "settings-pin.h"
#include "units.h"

#define SETTINGS_FILE_NAME "settings.yaml"

/* What the file holds. */
struct kept_settings {
        struct settings values;      /* all of them, also those as in the config file */
        uint8_t known_cells;         /* B15, learned or accepted; 0 = none */
        struct maybe idle_draw_ma;   /* S5: for people, and in case the database is lost */
        char pin_hash[PIN_HASH_MAX]; /* "" = the PIN was never changed: 1234 */
        char by[48];                 /* who made the newest change */
        bool unconfirmed;            /* the owner has not yet confirmed them after a loss (design 8) */
};

enum settings_file_state {
        SETTINGS_FILE_FIRST,    /* no file, and no trace of an earlier run (the one before, a bad one, the database) */
        SETTINGS_FILE_GOOD,
        SETTINGS_FILE_PREVIOUS, /* damaged or vanished, the one before it is good: its values, to be confirmed. Or
                                 * not confirmed yet when it was written: its own, still to be confirmed */
        SETTINGS_FILE_DAMAGED,  /* neither is good, or both vanished: the defaults, to be confirmed */
};

/* Reads and judges what is in the directory. *ret_settings: as read (GOOD, PREVIOUS; settings that an older version's
 * file does not have are as in the defaults), else the defaults and nothing else; but for FIRST and GOOD they are
 * unconfirmed, and stay so through any write until the caller says otherwise. ret_text: for PREVIOUS and DAMAGED
 * one sentence: what is wrong with which file, and what to do. -Exxx if the directory cannot be read at all (then as
 * DAMAGED). */
int settings_file_read(const char *directory, const struct settings *defaults, struct kept_settings *ret_settings,
                       enum settings_file_state *ret_state, char *ret_text, size_t size);

/* The file's text; at most size - 1 bytes. -ENOSPC if it does not fit. And back: 0, or -EINVAL with a sentence
 * (what, in which line; what was expected). Values outside the settings table's ranges are refused, and what this
 * version does not know: it is a newer one's, and could matter. */
#define SETTINGS_FILE_TEXT_MAX 8192
int settings_file_format(const struct kept_settings *k, char *ret_text, size_t size);
int settings_file_parse(const char *text, size_t length, struct kept_settings *ret_settings, char *ret_error,
                        size_t size);

/* Atomically, as above. A file that is damaged is put aside as settings.yaml.bad. 0 or -Exxx; -EINVAL: no settings that
 * could be read again. */
int settings_file_write(const char *directory, const struct kept_settings *k);
