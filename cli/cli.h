/* SPDX-License-Identifier: MIT */
#pragma once

/* smartbmsctl: what every verb has in common. A verb talks D-Bus only and holds no battery knowledge of its
 * own. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client.h"
#include "reading.h"

/* Exit codes, part of the interface (smartbmsctl(1)). */
enum {
        EXIT_OK = 0,
        EXIT_REFUSED = 1, /* refused or failed */
        EXIT_USAGE = 2,
        EXIT_NO_DAEMON = 3,
        EXIT_DATA_STALE = 4, /* the answer is printed, but rests on old readings */
        EXIT_NOT_STORED = 5, /* what was asked for is in force, but not on the card */
};

enum option_flags {
        OPTION_JSON = 1 << 0,
        OPTION_MINUTES = 1 << 1,
        OPTION_COUNT = 1 << 2,
        OPTION_ONCE = 1 << 3,
        OPTION_SIZE = 1 << 4,
        OPTION_TODAY = 1 << 5,
        OPTION_DAYS = 1 << 6,
        OPTION_TOTAL = 1 << 7,
        OPTION_YES = 1 << 8,
        OPTION_FROM = 1 << 9,
        OPTION_TO = 1 << 10,
        OPTION_RESOLUTION = 1 << 11,
        OPTION_CSV = 1 << 12,
        OPTION_FOLLOW = 1 << 13,
        OPTION_PACK = 1 << 14, /* for every verb but packs */
        OPTION_SECONDS = 1 << 15,
        OPTION_JUST_WORKS = 1 << 16,
};

struct cli {
        const char *address; /* --bus; NULL = the system bus */
        const char *pack;    /* --pack */
        unsigned options;    /* the OPTION_ flags that were given */
        int64_t minutes, count, days, seconds;
        const char *from, *to, *resolution;
        int rows, columns; /* --size */
        char *const *args; /* what follows the verb */
        int n_args;
        struct client client; /* connected by run_verb() for verbs that want it */
};

static inline bool cli_json(const struct cli *c) {
        return c->options & OPTION_JSON;
}

struct verb {
        const char *name; /* one or two words: "cells accept" */
        const char *args; /* for the synopsis: "NAME VALUE..." */
        const char *help;
        int min_args, max_args;      /* max -1: any number */
        unsigned options;            /* which OPTION_ flags it takes */
        bool offline;                /* connects by itself, or not at all */
        int (*check)(struct cli *c); /* of the arguments, before anything is asked of the daemon: 0 or an exit
                                        code */
        int (*run)(struct cli *c);   /* returns an exit code */
};

extern const struct verb verbs[];
extern const size_t n_verbs;

/* verb-*.c */
int check_packs(struct cli *c);
int check_names(struct cli *c);
int check_changes(struct cli *c);
int check_relay(struct cli *c);
int check_minutes(struct cli *c);
int check_percent(struct cli *c);
int check_energy(struct cli *c);
int check_clear(struct cli *c);
int check_history(struct cli *c);
int check_events(struct cli *c);
int check_address(struct cli *c);
int verb_status(struct cli *c);
int verb_packs(struct cli *c);
int verb_cells(struct cli *c);
int verb_cells_accept(struct cli *c);
int verb_monitor(struct cli *c);
int verb_get(struct cli *c);
int verb_set(struct cli *c);
int verb_reset(struct cli *c);
int verb_why(struct cli *c);
int verb_release(struct cli *c);
int verb_recover(struct cli *c);
int verb_soc_set(struct cli *c);
int verb_energy(struct cli *c);
int verb_energy_clear(struct cli *c);
int verb_history(struct cli *c);
int verb_events(struct cli *c);
int verb_pair(struct cli *c);
int verb_phones(struct cli *c);
int verb_phones_remove(struct cli *c);
int verb_storage(struct cli *c);
int verb_backup(struct cli *c);
int verb_settings_export(struct cli *c);
int verb_settings_import(struct cli *c);
int verb_settings_confirm(struct cli *c);
int verb_config_check(struct cli *c);
int verb_config_diff(struct cli *c);
int verb_version(struct cli *c);
int verb_watch(struct cli *c);
int verb_help(struct cli *c);

/* The settings that are named, as they were and as they are now. Returns an exit code. */
int print_changes(struct cli *c, const bool named[static _SETTING_MAX], const struct settings *before);

/* One line on stderr, "smartbmsctl: ...", and the exit code back. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
