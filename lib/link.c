/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* B10: intervals that say which of the two message rates the IN board runs at. */
#define INTERVAL_LIMIT (750 * USEC_PER_MSEC)
#define FAST_INTERVALS 10
#define SLOW_INTERVALS 3

/* B10: 3.5 periods. */
static usec_t patience(const struct link *l) {
        return l->period * 7 / 2;
}

/* N, or what stands for it while it is being learned (B15); 0 before the first error-free frame. */
static uint8_t expected_cells(const struct link *l) {
        return l->known_cells > 0 ? l->known_cells : l->learn_count;
}

static usec_t last_or_started(const struct link *l, usec_t t) {
        return t > 0 ? t : l->started;
}

static usec_t silence_at(const struct link *l) {
        return usec_add(last_or_started(l, l->last_frame), patience(l));
}

static usec_t unusable_at(const struct link *l) {
        return usec_add(last_or_started(l, l->last_error_free), patience(l));
}

static usec_t identical_at(const struct link *l) {
        return l->identical_since > 0 ? usec_add(l->identical_since, LINK_IDENTICAL_USEC) : USEC_INFINITY;
}

/* What needs error-free frames in a row begins anew: going live (B10), learning N (B15), repetition (B11). */
static void break_runs(struct link *l) {
        l->error_free_run = 0;
        l->learn_since = 0;
        l->identical_since = 0;
}

/* chain.md R11: started by a cell board that hears nothing, at its own pace. */
static bool is_orphan(const struct frame *f) {
        return (f->status & FRAME_STATUS_COMMUNICATION_ERROR) && frame_key(f) == FRAME_KEY_ORPHAN;
}

static enum link_cause judge_flagged(const struct link *l, const struct frame *f) {
        if (f->count == 0 || f->count != expected_cells(l) || is_orphan(f))
                return LINK_CAUSE_CHAIN;
        return LINK_CAUSE_BOARD;
}

/* What makes a frame E (B13, B15, B17), or LINK_CAUSE_NONE for an error-free one. */
static enum link_cause judge(const struct link *l, const struct frame *f) {
        uint8_t expected = expected_cells(l);

        if (f->status & FRAME_STATUS_COMMUNICATION_ERROR)
                return judge_flagged(l, f);
        if (f->count < CELLS_MIN || (expected > 0 && f->count != expected))
                return LINK_CAUSE_COUNT;
        if (f->lowest_mv == 0 || f->highest_mv == 0)
                return LINK_CAUSE_NO_READING;
        if (f->lowest_mv < LINK_CELL_DEAD_MV)
                return LINK_CAUSE_CELL_DEAD;
        if (!f->lowest_temperature_known || !f->highest_temperature_known)
                return LINK_CAUSE_NO_READING;
        return LINK_CAUSE_NONE;
}

/* B10. An interval of exactly 0.75 s speaks for neither rate. Orphans come every 1.5 cycles (chain.md R10),
 * which would pass for slow messages: they say nothing about the IN board's rate. */
static void follow_period(struct link *l, usec_t now, const struct frame *f) {
        if (l->last_frame == 0)
                return;
        if (is_orphan(f) || (l->error_run > 0 && is_orphan(&l->error_frame))) {
                l->fast_run = l->slow_run = 0;
                return;
        }

        usec_t interval = usec_since(now, l->last_frame);
        l->fast_run = interval < INTERVAL_LIMIT ? l->fast_run + 1 : 0;
        l->slow_run = interval > INTERVAL_LIMIT ? l->slow_run + 1 : 0;

        if (l->fast_run >= FAST_INTERVALS)
                l->period = LINK_PERIOD_FAST;
        if (l->slow_run >= SLOW_INTERVALS)
                l->period = LINK_PERIOD_SLOW;
}

static void note_count(struct link *l, usec_t now, const struct frame *f) {
        if ((f->status & FRAME_STATUS_COMMUNICATION_ERROR) || f->count < CELLS_MIN)
                return;
        l->heard_count = f->count;
        l->heard_count_at = now;
}

/* chain.md R8: a board that cannot measure sets bit 2 and leaves its own detail 0, which names it. */
static void note_faulty_board(struct link *l, enum link_cause cause, const struct frame *f) {
        if (cause != LINK_CAUSE_BOARD) {
                l->faulty_board = 0;
                return;
        }
        if (f->detail_cell == 0 || f->detail_cell > f->count)
                return;
        if (f->detail_mv == 0 || !f->detail_temperature_known)
                l->faulty_board = f->detail_cell;
        else if (l->faulty_board == f->detail_cell)
                l->faulty_board = 0;
}

static enum link_verdict take_error(struct link *l, usec_t now, enum link_cause cause,
                                    const struct frame *f) {
        break_runs(l);
        if (l->known_cells == 0 && cause == LINK_CAUSE_COUNT && f->count >= CELLS_MIN)
                l->learn_count = f->count;

        note_faulty_board(l, cause, f);
        l->error_frame = *f;
        l->cause = cause;
        l->warning = true;
        l->error_run++;
        if (l->error_run >= l->trip_frames || now >= unusable_at(l))
                l->state = LINK_ERROR;
        return LINK_FRAME_ERROR;
}

/* B15: N is what 60 s of error-free frames agree on. */
static void learn(struct link *l, usec_t now, uint8_t count) {
        if (l->known_cells > 0)
                return;
        l->learn_count = count;
        if (l->learn_since == 0)
                l->learn_since = now;
        if (usec_since(now, l->learn_since) >= LINK_LEARN_USEC)
                l->known_cells = count;
}

static void remember(struct link *l, usec_t now, const uint8_t bytes[FRAME_SIZE]) {
        if (l->identical_since > 0 && memcmp(l->last_bytes, bytes, sizeof(l->last_bytes)) == 0)
                return;
        memcpy(l->last_bytes, bytes, FRAME_SIZE);
        l->identical_since = now;
}

/* Stale by B11 as long as the same bytes come: the run of repetitions goes on, nothing else does. */
static void become_identical(struct link *l) {
        usec_t since = l->identical_since;

        break_runs(l);
        l->identical_since = since;
        l->state = LINK_STALE;
        l->cause = LINK_CAUSE_IDENTICAL;
}

static enum link_verdict take_good(struct link *l, usec_t now, const struct frame *f,
                                   const uint8_t bytes[FRAME_SIZE]) {
        l->last_error_free = now;
        l->error_run = 0;
        remember(l, now, bytes);
        if (now >= identical_at(l)) {
                become_identical(l);
                return LINK_FRAME_ERROR;
        }

        learn(l, now, f->count);
        l->error_free_run++;
        if (l->error_free_run >= LINK_LIVE_FRAMES) {
                l->state = LINK_LIVE;
                l->cause = LINK_CAUSE_NONE;
                l->warning = false;
                l->faulty_board = 0;
        }
        return LINK_FRAME_GOOD;
}

void link_init(struct link *l, usec_t now, enum link_tap tap, uint8_t known_cells, bool cells_from_config,
               unsigned trip_frames) {
        *l = (struct link){
                .tap = tap,
                .trip_frames = trip_frames,
                .known_cells = known_cells,
                .cells_from_config = cells_from_config,
                .state = LINK_STARTING,
                .period = LINK_PERIOD_SLOW,
                .started = now,
        };
}

enum link_verdict link_frame(struct link *l, usec_t now, const struct frame *frame,
                             const uint8_t bytes[FRAME_SIZE]) {
        /* Silence before this frame counts even if no tick fell into it. */
        link_tick(l, now);
        follow_period(l, now, frame);
        l->last_frame = now;
        note_count(l, now, frame);

        enum link_cause cause = judge(l, frame);
        if (cause != LINK_CAUSE_NONE)
                return take_error(l, now, cause, frame);
        return take_good(l, now, frame, bytes);
}

void link_tick(struct link *l, usec_t now) {
        if (now >= silence_at(l)) {
                break_runs(l);
                l->error_run = 0;
                l->state = LINK_STALE;
                if (l->cause != LINK_CAUSE_PORT)
                        l->cause = LINK_CAUSE_SILENCE;
                return;
        }
        if (l->error_run > 0 && now >= unusable_at(l))
                l->state = LINK_ERROR;
        if (now >= identical_at(l))
                become_identical(l);
}

void link_port_lost(struct link *l, usec_t now) {
        (void) now; /* stale at once, whatever the time */
        break_runs(l);
        l->error_run = 0;
        l->state = LINK_STALE;
        l->cause = LINK_CAUSE_PORT;
}

void link_port_opened(struct link *l) {
        if (l->cause == LINK_CAUSE_PORT)
                l->cause = LINK_CAUSE_SILENCE;
}

int link_accept_cells(struct link *l, usec_t now) {
        if (l->heard_count == 0 || l->heard_count == l->known_cells ||
            usec_since(now, l->heard_count_at) > LINK_ACCEPT_USEC)
                return -ENODATA;

        l->known_cells = l->heard_count;
        l->learn_since = 0;
        return 0;
}

usec_t link_deadline(const struct link *l) {
        usec_t at = silence_at(l);

        if (l->state == LINK_STALE)
                return USEC_INFINITY;
        if (l->state == LINK_ERROR)
                return at;
        if (unusable_at(l) < at)
                at = unusable_at(l);
        return identical_at(l) < at ? identical_at(l) : at;
}

/* The broken place, by the number of the board behind which nothing is heard (B14). */
static void place_after(const struct link *l, int board, char *text, size_t size) {
        if (board > 1)
                snprintf(text, size, "chain broken: board %d, or the link from it to board %d", board,
                         board + 1);
        else if (l->tap == TAP_IN)
                snprintf(text, size,
                         "chain broken: the IN board's output (board 1), or the link from it to board 2");
        else
                snprintf(text, size,
                         "no data from the IN board: check its supply and the link from it to board 2");
}

static void place_no_return(const struct link *l, char *text, size_t size) {
        uint8_t n = expected_cells(l);

        if (l->tap == TAP_LAST)
                snprintf(text, size,
                         "the IN board hears no ring return: is `tap: last` right in the config?");
        else if (n > 0)
                snprintf(text, size,
                         "chain broken: the last board (%d), or the ring return from it to the IN board", n);
        else
                snprintf(text, size,
                         "chain broken: the last board, or the ring return from it to the IN board");
}

static void place_chain(const struct link *l, char *text, size_t size) {
        const struct frame *f = &l->error_frame;
        int n = expected_cells(l);

        if (is_orphan(f) && f->value > 1) /* the originator's own number */
                place_after(l, f->value - 1, text, size);
        else if (f->count == 0)
                place_no_return(l, text, size);
        else if (f->count < n)
                place_after(l, n - f->count, text, size);
        else if (n == 0)
                snprintf(text, size,
                         "chain broken: only the last %d boards are heard (give `cells:` to learn the place)",
                         f->count);
        else
                snprintf(text, size,
                         "%d cells are heard, %d are expected, and a board reports a fault: check the chain",
                         f->count, n);
}

static void place_board(const struct link *l, char *text, size_t size) {
        if (l->faulty_board > 0)
                snprintf(text, size,
                         "board %d cannot measure its cell: check its wires to the cell, or replace it",
                         l->faulty_board);
        else
                snprintf(text, size,
                         "all %d boards are heard, but one reports a fault: it cannot measure its cell, or "
                         "its bypass is faulty",
                         l->error_frame.count);
}

static void place_count(const struct link *l, char *text, size_t size) {
        if (l->known_cells > 0)
                snprintf(text, size,
                         "%d cells are heard, %d are expected: check the chain, or "
                         "`smartbmsctl cells accept`",
                         l->error_frame.count, l->known_cells);
        else
                snprintf(text, size, "the number of cells heard changes (now %d): check the chain",
                         l->error_frame.count);
}

static void place_no_reading(const struct link *l, char *text, size_t size) {
        const struct frame *f = &l->error_frame;
        const char *what = f->lowest_mv == 0 || f->highest_mv == 0 ? "voltage" : "temperature";

        snprintf(text, size, "the messages carry no lowest or highest cell %s: check the boards", what);
}

static void place_silence(const struct link *l, char *text, size_t size) {
        if (l->tap == TAP_IN)
                snprintf(text, size,
                         "no data from the IN board: check its supply and its extended data output's cable");
        else
                snprintf(text, size,
                         "no data from the last board: check its supply and the cable to its output");
}

static void place_dead(const struct link *l, char *text, size_t size) {
        const struct frame *f = &l->error_frame;

        snprintf(text, size, "cell %d reads %u.%03u V, which cannot be: check its board and its wires",
                 f->lowest_voltage_cell, (unsigned) (f->lowest_mv / 1000), (unsigned) (f->lowest_mv % 1000));
}

static void place_identical(const struct link *l, char *text, size_t size) {
        (void) l;
        snprintf(text, size,
                 "the same message has come for 10 s: the IN board is stuck, or its data is being replayed");
}

static void place_port(const struct link *l, char *text, size_t size) {
        (void) l;
        snprintf(text, size, "the serial port is gone: is the adapter plugged in?");
}

static void place_none(const struct link *l, char *text, size_t size) {
        (void) l;
        if (size > 0)
                text[0] = '\0';
}

void link_place(const struct link *l, char *ret_text, size_t size) {
        static void (*const places[_LINK_CAUSE_MAX])(const struct link *l, char *text, size_t size) = {
                [LINK_CAUSE_NONE] = place_none,
                [LINK_CAUSE_SILENCE] = place_silence,
                [LINK_CAUSE_IDENTICAL] = place_identical,
                [LINK_CAUSE_CHAIN] = place_chain,
                [LINK_CAUSE_BOARD] = place_board,
                [LINK_CAUSE_COUNT] = place_count,
                [LINK_CAUSE_CELL_DEAD] = place_dead,
                [LINK_CAUSE_NO_READING] = place_no_reading,
                [LINK_CAUSE_PORT] = place_port,
        };

        places[l->cause](l, ret_text, size);
}
