/* SPDX-License-Identifier: MIT */
#pragma once

/* The D-Bus door (conf/org.smartbms1.xml): publishes snapshots, checks callers asynchronously, hands commands
 * to the manager. Decides nothing. No synchronous call after start: the daemon runs without a bus and joins
 * one when it comes. */

#include <systemd/sd-event.h>

#include "bms.h"
#include "config.h"
#include "records.h"

struct bus;

/* A changing call that is still to be answered: it is answered when what it changed is on the card. */
struct bus_reply;

/* A paired phone. */
#define BUS_PHONES_MAX 16U
struct bus_phone {
        char address[18]; /* "AA:BB:CC:DD:EE:FF" */
        char name[33];    /* "" = it does not say */
        struct maybe64 paired_sec, used_sec; /* since 1970 UTC; unknown if the clock was not synchronised then */
        bool connected;
};

/* What becomes of a pairing window. */
enum bus_window {
        BUS_WINDOW_OPENED,
        BUS_WINDOW_PASSKEY, /* to be typed on the phone */
        BUS_WINDOW_PAIRED,
        BUS_WINDOW_REFUSED, /* a phone was; the window stays open */
        BUS_WINDOW_CLOSED,
        BUS_WINDOW_FAILED, /* closed, because something went wrong */
        _BUS_WINDOW_MAX,
};

struct bus_window_report {
        enum bus_window state;
        char phone[18];      /* its address; "" = of no phone */
        char passkey[7];     /* 6 digits; "" in all states but PASSKEY */
        char sentence[160];  /* for REFUSED, CLOSED and FAILED: why */
};

/* Answers the call, now or later, exactly once; reply is gone then. result 0: done, and stored. < 0: what was asked
 * for is in force, but not stored, and sentence says why, as the end of "applied, not stored: ..." (for a backup: the
 * whole sentence); NULL: in the error's own words. Does nothing but free when the caller or the connection is gone
 * by then. Not after bus_free(). */
void bus_reply_done(struct bus_reply *reply, int result, const char *sentence);

/* What the door may ask for. By then the caller's right was checked.
 *
 * Those that change something return 0, and then reply is theirs and has its bus_reply_done(); or -Exxx with a
 * sentence: refused, nothing was changed, and reply stays the bus's.
 *
 * Those that read take their time: answer is called exactly once, at once or later, unless bus_free() comes first. */
struct bus_callbacks {
        void (*snapshot)(void *userdata, const struct snapshot **ret_newest);
        int (*set)(void *userdata, const struct settings *settings, const char *by, struct bus_reply *reply,
                   char *ret_error, size_t size);
        int (*confirm_settings)(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size);
        /* pin_well_formed(); not to be logged, nor to be named in a sentence */
        int (*set_pin)(void *userdata, const char *pin, const char *by, struct bus_reply *reply, char *ret_error,
                       size_t size);
        int (*release)(void *userdata, enum relay_id relay, const char *by, struct bus_reply *reply, char *ret_error,
                       size_t size);
        int (*recover)(void *userdata, int64_t minutes, const char *by, struct bus_reply *reply, char *ret_error,
                       size_t size);
        int (*soc_set)(void *userdata, int64_t permyriad, const char *by, struct bus_reply *reply, char *ret_error,
                       size_t size);
        int (*accept_cells)(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size);
        int (*clear_energy)(void *userdata, const char *by, struct bus_reply *reply, char *ret_error, size_t size);
        /* fd: a regular file open for writing; taken over if 0 is returned. Answered when the copy is complete. */
        int (*backup)(void *userdata, int fd, const char *by, struct bus_reply *reply, char *ret_error, size_t size);

        /* Phones. An -Exxx comes with a sentence. pair() opens a window for so many seconds, which closes one that is
         * open; bus_window() is told how it goes on. -EINVAL: too short or too long a time, else it cannot be opened
         * now. close_window() does nothing without one. remove_phone(): -EINVAL, that is no address; -ENOENT. None of
         * them waits for the card, so they have no reply. */
        int (*pair)(void *userdata, unsigned seconds, bool just_works, const char *by, char *ret_error, size_t size);
        void (*close_window)(void *userdata);
        int (*phones)(void *userdata, struct bus_phone ret_phones[BUS_PHONES_MAX], size_t *ret_n, char *ret_error,
                      size_t size);
        int (*remove_phone)(void *userdata, const char *address, const char *by, char *ret_error, size_t size);

        void (*read_events)(void *userdata, int64_t after_id, uint32_t limit, events_answer_t answer,
                            void *answer_userdata);
        void (*read_history)(void *userdata, enum resolution resolution, int64_t from_usec, int64_t until_usec,
                             uint32_t limit, history_answer_t answer, void *answer_userdata);
        /* with today as the last row, where it is known */
        void (*read_days)(void *userdata, uint32_t limit, days_answer_t answer, void *answer_userdata);
        void (*storage_status)(void *userdata, struct storage_status *ret_status);
        void *userdata;
};

/* address: NULL = the system bus, else any D-Bus address. pack: whose name is taken on it. defaults: the config's
 * settings (Reset, Defaults). A bus that is not there is no error; -EINVAL: that is no address. */
int bus_new(sd_event *event, const char *address, const char *pack, const struct settings *defaults,
            const struct bus_callbacks *callbacks, struct bus **ret);

/* Whoever still holds a struct bus_reply or the answer_userdata of a question must be gone before. */
struct bus *bus_free(struct bus *b);

/* A new snapshot is in force: emits PropertiesChanged for what differs from the one before. Never blocks. */
void bus_publish(struct bus *b, const struct snapshot *newest);

/* Kept for Recent, and sent as a signal. Never blocks. */
void bus_event(struct bus *b, const struct event *event);

/* For who opened the pairing window over D-Bus, and for nobody else; dropped if the window is nobody's there. Never
 * blocks. Takes NULL. */
void bus_window(struct bus *b, const struct bus_window_report *report);
