/* SPDX-License-Identifier: MIT */
#pragma once

/* Two phones on one line, and a pack of four cells for them to look at. What is sent and what is expected stands in the
 * tests as text, CR written as '|'. Include after cmocka.h. */

#include <stdio.h>
#include <string.h>

#include "app.h"

#define SAID_MAX 8192

struct app_rig {
        struct app_line line;
        struct app_session phone, other;
        struct snapshot s;
        struct phone_view view;
        char said[SAID_MAX]; /* by app_said(), until the next one */
};

/* The figures of the samples seen in public (wire-formats.md section 2), where there are any. */
static inline void app_rig_init(struct app_rig *r, bool echo) {
        static const int32_t mv[4] = {3500, 3400, 3550, 3600}, decic[4] = {250, 100, 300, 200};
        const struct app_config config = {.echo = echo};

        memset(r, 0, sizeof(*r));
        app_line_init(&r->line, &config);
        app_session_init(&r->phone);
        app_session_init(&r->other);

        settings_init(&r->s.settings);
        r->s.role = ROLE_GATEWAY;
        r->s.link = LINK_LIVE;
        r->s.pack_mv = some(14000);
        r->s.in_ma = some(1000);
        r->s.current_ma = some(1000);
        r->s.out_ma = some(500);
        r->s.lowest_mv = some(3400);
        r->s.lowest_mv_cell = some(2);
        r->s.highest_mv = some(3600);
        r->s.highest_mv_cell = some(4);
        r->s.lowest_decic = some(100);
        r->s.lowest_decic_cell = some(2);
        r->s.highest_decic = some(300);
        r->s.highest_decic_cell = some(3);
        r->s.v_bypass_mv = some(3500);
        r->s.soc_permyriad = some(10000);
        r->s.calibrated = true;
        r->s.stored_mwh = some64(0);
        for (int i = 0; i < _ENERGY_MAX; i++)
                r->s.today_mwh[i] = r->s.total_mwh[i] = some64(0);
        for (int i = 0; i < _RELAY_MAX; i++)
                r->s.relays[i] = (struct relay_snapshot){.mapped = true, .closed = true};
        r->s.n_cells = 4;
        for (int i = 1; i <= 4; i++)
                r->s.cells[i] = (struct cell_snapshot){.voltage_mv = some(mv[i - 1]),
                                                       .temperature_decic = some(decic[i - 1])};

        r->view = (struct phone_view){.now = USEC_PER_HOUR, .version = "1.2.3", .snapshot = &r->s};
}

static inline int app_rig_write(struct app_rig *r, struct app_session *phone, const char *text) {
        uint8_t bytes[1024];
        size_t n = strlen(text);

        assert_true(n <= sizeof(bytes));
        for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t)(text[i] == '|' ? '\r' : text[i]);
        return app_take(&r->line, phone, &r->view, bytes, n);
}

/* All that is to be notified, sent in pieces of at most 20 bytes. */
static inline const char *app_said(struct app_rig *r) {
        const char *bytes;
        size_t n, all = 0;

        while ((n = app_output(&r->line, &bytes)) > 0) {
                n = n > 20 ? 20 : n;
                assert_true(all + n < sizeof(r->said));
                for (size_t i = 0; i < n; i++)
                        r->said[all++] = bytes[i];
                app_sent(&r->line, n, &r->view);
        }
        for (size_t i = 0; i < all; i++)
                r->said[i] = r->said[i] == '\r' ? '|' : r->said[i];
        r->said[all] = '\0';
        return r->said;
}

/* What the first phone writes, and what is said to that. */
#define talk(r, text, expected)                                                    \
        do {                                                                       \
                assert_int_equal(app_rig_write((r), &(r)->phone, (text)), 0);      \
                assert_string_equal(app_said(r), (expected));                      \
        } while (0)

static inline void app_rig_answer(struct app_rig *r, struct app_session *phone, enum phone_result result) {
        const struct phone_answer answer = {.result = result};

        app_answer(&r->line, phone, &answer, &r->view);
}

static inline void app_rig_log_in(struct app_rig *r) {
        const struct phone_ask *ask;

        talk(r, "PW4711!|", "");
        ask = app_ask(&r->phone);
        assert_non_null(ask);
        assert_int_equal(ask->kind, PHONE_ASK_LOG_IN);
        assert_string_equal(ask->pin, "4711");
        app_rig_answer(r, &r->phone, PHONE_DONE);
        assert_string_equal(app_said(r), "OK|");
}
