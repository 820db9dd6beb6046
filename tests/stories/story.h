/* SPDX-License-Identifier: MIT */
#pragma once

/* An owner's story played in simulated time: the simulated pack and the whole of lib/ in one closed loop. The pack's
 * frames decide about the relays, the relays about its currents, and every change is written down. Knows no clock. */

#include "bms.h"
#include "simulation.h"

#define STORY_LINE_MAX 256
#define STORY_WORDS_MAX 48
#define STORY_TRACE_MAX 40
#define STORY_ALWAYS_MAX 16
#define STORY_TERMS_MAX 6
#define STORY_CHANGES_MAX 4096

/* One thing that can be true or not: "load closed", "soc 40..60". */
enum term_kind {
        TERM_RELAY,       /* charge open|closed [by RULE [cell N]] */
        TERM_WHY,         /* why charge KIND... : just these hold it */
        TERM_WHY_AMONG,   /* why charge includes KIND */
        TERM_ALARM,       /* alarm NAME */
        TERM_ALARMS,      /* alarms NAME... or none: just these */
        TERM_NAMES,       /* names ALARM WORDS : the alarm's sentence contains the words */
        TERM_NUMBER,      /* soc 40..60, or soc unknown */
        TERM_RATE,        /* rate charge 0..6 : the most closings in any hour so far */
        TERM_MOVES,       /* openings|closings charge 0..2, since `count` */
        TERM_FLAG,        /* calibrated, recovering, covered */
        TERM_LINK,        /* link live */
};

struct term {
        enum term_kind kind;
        bool negated;
        enum relay_id relay;
        bool closed;               /* TERM_RELAY; TERM_MOVES: closings */
        int rule;                  /* enum rule, or -1: whatever */
        int cell;                  /* 0: whatever */
        uint32_t set;              /* TERM_WHY*: 1 << enum hold_kind; TERM_ALARM*: 1 << enum alarm */
        int which;                 /* TERM_NUMBER, TERM_FLAG: index of its name; TERM_LINK: enum link_state */
        bool unknown;              /* TERM_NUMBER */
        double low, high;
        char text[64];             /* TERM_NAMES */
};

struct condition {
        size_t n;
        struct term terms[STORY_TERMS_MAX];
        int line;
        char text[STORY_LINE_MAX];
};

struct change {
        usec_t at;
        enum relay_id relay;
        bool closed;
};

struct trace_line {
        usec_t at;
        char text[STORY_LINE_MAX];
};

struct story {
        const char *path;
        int line;
        char text[STORY_LINE_MAX]; /* of that line */
        bool started, verbose;

        struct simulation_config pack;
        struct bms_config config;
        bool series; /* both contacts in one line to a combined charger/inverter */

        struct simulation simulation;
        struct bms bms;
        usec_t now;        /* the gateway's time; 0 of the story is STORY_BEGIN */
        usec_t next_step;
        usec_t frame_at;   /* the newest frame, to look at standing conditions once a cycle */
        bool off;          /* the gateway is not running */

        /* What the story does not say must not happen: a relay that moves unasked is a failure. */
        bool free[_RELAY_MAX];  /* may move as it likes */
        bool awaited[_RELAY_MAX];
        bool surprise;
        char surprise_text[STORY_LINE_MAX];

        size_t n_changes, counted_from;
        struct change changes[STORY_CHANGES_MAX];
        unsigned rate[_RELAY_MAX]; /* the most closings in any hour */
        size_t n_always;
        struct condition always[STORY_ALWAYS_MAX];
        size_t n_trace;
        struct trace_line trace[STORY_TRACE_MAX];

        bool snapshot_fresh;
        struct snapshot snapshot;
};

#define STORY_BEGIN USEC_PER_HOUR /* 0 means "never" in lib/ */

/* ---- story.c: the loop ---- */

void story_init(struct story *s, const char *path);

/* The first line of the timeline: the pack and the gateway as told so far come to life. 0, or -EINVAL with a
 * sentence. */
int story_start(struct story *s, char *ret_error, size_t size);

/* Plays up to this time of the gateway, or until the condition (NULL: none) holds. Returns 1 if it does, 0 when the
 * time is over, -EBADMSG if a standing condition was broken or a relay moved unasked (ret_error says which). */
int story_play(struct story *s, usec_t until, const struct condition *condition, char *ret_error, size_t size);

/* The gateway ends and starts again after a time, with what it keeps over a restart today. */
int story_restart(struct story *s, usec_t duration, char *ret_error, size_t size);

void story_note(struct story *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
const struct snapshot *story_snapshot(struct story *s);

/* "2d 03:04:05.6" since the beginning. */
void story_time(usec_t at, char *ret_text, size_t size);

/* ---- story-words.c: how conditions, times and packs are written ---- */

/* "1d2h30m5s". 0 or -EINVAL. */
int story_duration(const char *text, usec_t *ret_duration);

/* "3.2..3.5" or one number. */
int story_range(const char *text, double *ret_low, double *ret_high);

int story_condition(char *const *words, size_t n, struct condition *ret_condition, char *ret_error, size_t size);
int story_pack(struct story *s, char *const *words, size_t n, char *ret_error, size_t size);
int story_cell(struct story *s, char *const *words, size_t n, char *ret_error, size_t size);

/* ---- story-check.c ---- */

bool story_holds(struct story *s, const struct condition *condition);

/* The same with the first term that does not hold, and what there is instead. */
bool story_explain(struct story *s, const struct condition *condition, char *ret_text, size_t size);

/* Names of TERM_NUMBER and TERM_FLAG, NULL-terminated. */
extern const char *const story_numbers[];
extern const char *const story_flags[];
