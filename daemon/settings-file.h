/* SPDX-License-Identifier: MIT */
#pragma once

/* The run-time settings file (design 8): what was changed since the config file was written, in one small YAML file
 * of the state directory that a person can read. Not in the database, so that a broken database cannot change a
 * limit.
 *
 * settings.yaml is replaced whole: written beside, synced, renamed, the directory synced; the one before it is kept
 * as settings.yaml.previous. The last line is a checksum over all before it. Reading happens at start, before the
 * event loop; writing on a thread of its own, because a card may stall. */

#include <systemd/sd-event.h>

#include "settings.h"

#define SETTINGS_FILE_NAME "settings.yaml"
#define PIN_HASH_MAX 128 /* crypt(5), "$y$..." and its NUL */

/* What the file holds. */
struct kept_settings {
        struct settings values;      /* all of them, also those as in the config file */
        uint8_t known_cells;         /* B15, learned or accepted; 0 = none */
        struct maybe idle_draw_ma;   /* S5: for people, and in case the database is lost */
        char pin_hash[PIN_HASH_MAX]; /* "" = the PIN was never changed: 1234 */
        char by[48];                 /* who made the newest change */
};

enum settings_file_state {
        SETTINGS_FILE_FIRST, /* no file, and no marker of an earlier run: a first start */
        SETTINGS_FILE_GOOD,
        SETTINGS_FILE_PREVIOUS, /* the file is damaged, the one before it is good: that one is not taken by itself
                                 */
        SETTINGS_FILE_DAMAGED,  /* neither is good, or the file vanished though an earlier run wrote it */
};

/* Reads and checks the state directory's file. *ret_settings: as read (GOOD), else defaults with the rest empty.
 * ret_text: for PREVIOUS and DAMAGED one sentence: what is wrong with which file, and what to do. A damaged file is
 * kept aside under another name by the next write. -Exxx if the directory cannot be read at all (then as DAMAGED;
 * text filled). */
int settings_file_read(const char *directory, const struct settings *defaults, struct kept_settings *ret_settings,
                       enum settings_file_state *ret_state, char *ret_text, size_t size);

/* The file's text; at most size - 1 bytes. -ENOSPC if it does not fit. And back: 0, or -EINVAL with a sentence
 * (what, in which line; what was expected). Values outside the settings table's ranges are refused. */
#define SETTINGS_FILE_TEXT_MAX 8192
int settings_file_format(const struct kept_settings *k, char *ret_text, size_t size);
int settings_file_parse(const char *text, size_t length, struct kept_settings *ret_settings, char *ret_error,
                        size_t size);

/* Writing, in the calling thread: atomically, as above. 0 or -Exxx. */
int settings_file_write(const char *directory, const struct kept_settings *k);

/* ---- and on a thread of its own --------------------------------------------------------------------------------
 */

struct settings_writer;

/* fault: "" = no longer. In the event loop's thread. */
typedef void (*settings_fault_t)(void *userdata, const char *text);
int settings_writer_new(sd_event *event, const char *directory, settings_fault_t fault, void *userdata,
                        struct settings_writer **ret);
struct settings_writer *settings_writer_free(struct settings_writer *w, usec_t at_most_usec);

/* Replaces what is not yet written; tried again every 5 s until it worked. done: exactly once, 0 when this (or a
 * newer) state is on the card, -ETIMEDOUT after 3 s: it goes on trying. May be NULL. */
typedef void (*settings_done_t)(void *userdata, int result);
void settings_writer_put(struct settings_writer *w, const struct kept_settings *k, settings_done_t done,
                         void *userdata);

/* PIN: 4..8 digits. Hashing takes tens of milliseconds by design, so it is for a thread that may:
 * settings_writer_put_pin() hashes there, and stores. pin_matches() too. */
void settings_writer_put_pin(struct settings_writer *w, const struct kept_settings *k, const char *pin,
                             settings_done_t done, void *userdata);
int pin_hash(const char *pin, char ret_hash[PIN_HASH_MAX]); /* 0, -EINVAL: not 4..8 digits, -Exxx */
bool pin_matches(const char *pin, const char *hash);        /* hash "": 1234 */
