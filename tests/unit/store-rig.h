/* SPDX-License-Identifier: MIT */
#pragma once

/* A store on an event loop and a disk that can go bad, in a directory of its own (make_directory, remove_directory are
 * a test's setup and teardown). Include <cmocka.h> and what it needs first. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bad-disk.h"
#include "loop.h"
#include "store.h"

static char directory[64];

struct rig {
        sd_event *event;
        struct store *store;
        unsigned loads, faults, done, ok, late, full;
        struct store_loaded loaded;
        char fault[ALARM_TEXT_MAX];
};

static inline void on_loaded(void *userdata, const struct store_loaded *loaded) {
        struct rig *r = userdata;

        r->loads++;
        r->loaded = *loaded;
}

static inline void on_fault(void *userdata, const char *text) {
        struct rig *r = userdata;

        r->faults++;
        snprintf(r->fault, sizeof(r->fault), "%s", text);
}

static inline void on_done(void *userdata, int result) {
        struct rig *r = userdata;

        r->done++;
        r->ok += result == 0;
        r->late += result == -ETIMEDOUT;
        r->full += result == -ENOBUFS;
}

static inline void begin(struct rig *r) {
        const struct store_callbacks callbacks = {on_loaded, on_fault, r};

        *r = (struct rig){.event = NULL};
        assert_return_code(sd_event_new(&r->event), 0);
        assert_int_equal(store_new(r->event, directory, &callbacks, &r->store), 0);
}

static inline void begin_loaded(struct rig *r) {
        begin(r);
        assert_true(loop_until(r->event, &r->loads, 1, 5 * USEC_PER_SEC));
}

static inline void end(struct rig *r) {
        assert_null(store_free(r->store, 5 * USEC_PER_SEC));
        sd_event_unref(r->event);
}

static inline int make_directory(void **state) {
        (void)state;
        bad_disk_begin();
        bad_disk_mend();
        strcpy(directory, "/tmp/test-store-XXXXXX");
        return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_directory(void **state) {
        char command[128];

        (void)state;
        snprintf(command, sizeof(command), "rm -rf '%s'", directory);
        return system(command);
}
