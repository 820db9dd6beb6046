/* SPDX-License-Identifier: MIT */

/* The latches by their rules P1..P16, through one whole struct bms that is fed true frames: voltages, delays and
 * percentages at their boundaries. Expected values: design 6 with the default settings. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "bms-rig.h"

/* B10: live after 3 error-free frames; B8: closing needs trip_frames (2) clear ones, the live one included. */
static void test_start(void **state) {
        struct rig r;

        (void)state;
        rig_init(&r);
        assert_relays(&r, false, false);
        feed(&r, 3);
        assert_relays(&r, false, false);
        assert_true(holds(&r, RELAY_CHARGE, HOLD_CONFIRM));
        feed(&r, 1);
        assert_relays(&r, true, true);
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].reason.rule, RULE_CLEAR);
}

/* P4: V-max 3650 - 50 mV; 60 s; and the relay that was not named keeps its state. */
static void test_v_max(void **state) {
        static const struct {
                int mv;
                bool closes;
        } rows[] = {{3605, false}, {3600, true}, {3595, true}};

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct settings s = rig_settings();
                struct rig r;

                s.values[SETTING_MODE] = some(MODE_CRITICAL); /* V-bypass plays no part in closing */
                rig_init_with(&r, &s);
                feed(&r, 10);
                r.cells[2].voltage_raw = MV(3650);
                feed(&r, 1);
                assert_relays(&r, true, true);
                feed(&r, 1);
                assert_relays(&r, false, true);
                assert_int_equal(r.bms.relays.relay[RELAY_CHARGE].reason.rule, RULE_V_MAX);
                assert_int_equal(r.bms.relays.relay[RELAY_CHARGE].reason.cell, 3);
                r.cells[2].voltage_raw = MV(rows[i].mv);
                feed(&r, 58);
                assert_relays(&r, false, true); /* whatever the voltage: the delay holds until 60 s after the trip */
                assert_int_equal(holds(&r, RELAY_CHARGE, HOLD_V_HYSTERESIS), !rows[i].closes);
                feed(&r, 2); /* 60 s: the delay is over in this frame's step, the second clear frame */
                assert_relays(&r, false, true);
                feed(&r, 1);
                assert_relays(&r, rows[i].closes, true);
        }
}

/* P4: V-min 2800 + 200 mV, 60 s; not calibrated, so SOC plays no part. */
static void test_v_min(void **state) {
        static const struct {
                int mv;
                bool closes;
        } rows[] = {{2995, false}, {3000, true}, {3005, true}};

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct rig r;

                start(&r);
                r.cells[1].voltage_raw = MV(2800);
                feed(&r, 2);
                assert_relays(&r, true, false);
                assert_int_equal(r.bms.relays.relay[RELAY_LOAD].reason.cell, 2);
                r.cells[1].voltage_raw = MV(rows[i].mv);
                feed(&r, 60);
                assert_relays(&r, true, false);
                feed(&r, 1);
                assert_relays(&r, true, rows[i].closes);
        }
}

/* P4: 2 degC of hysteresis at both ends; both relays. */
static void test_temperature(void **state) {
        static const struct {
                int trip, back;
                bool closes;
        } rows[] = {{-1, 1, false}, {-1, 2, true}, {-1, 3, true}, {56, 54, false}, {56, 53, true}, {56, 52, true}};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;

                start(&r);
                r.cells[0].temperature_raw = DEGC(rows[i].trip);
                feed(&r, 1);
                assert_relays(&r, true, true);
                feed(&r, 1);
                assert_relays(&r, false, false);
                r.cells[0].temperature_raw = DEGC(rows[i].back);
                feed(&r, 61);
                assert_relays(&r, rows[i].closes, rows[i].closes);
        }
}

/* The manual's "enable" column: strictly between T-min and T-max, where no opening came before. */
static void test_closing_is_strict(void **state) {
        static const struct {
                int degc;
                bool closes;
        } rows[] = {{0, false}, {1, true}, {54, true}, {55, false}};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;

                rig_init(&r);
                for (int c = 0; c < N; c++)
                        r.cells[c].temperature_raw = DEGC(rows[i].degc);
                feed(&r, 10);
                assert_relays(&r, rows[i].closes, rows[i].closes);
        }
}

/* S2 and P2: full opens charge, sets the flag, and SOC must fall below 95 %. */
static void test_full_and_restart(void **state) {
        static const struct {
                int permyriad;
                bool closes;
        } rows[] = {{9501, false}, {9500, false}, {9499, true}};

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct rig r;

                start(&r);
                fill(&r);
                assert_relays(&r, false, true);
                assert_int_equal(r.bms.relays.relay[RELAY_CHARGE].reason.rule, RULE_FULL);
                set_all(&r, 3400);
                feed(&r, 120);
                assert_relays(&r, false, true);
                assert_true(holds(&r, RELAY_CHARGE, HOLD_SOC));
                set_soc(&r, rows[i].permyriad);
                feed(&r, 2);
                assert_relays(&r, rows[i].closes, true);
        }
}

/* The manual: every cell < V-bypass; P2: 50 mV below while not calibrated. */
static void test_bypass_margin(void **state) {
        static const struct {
                bool calibrated;
                int mv;
                bool closes;
        } rows[] = {{true, 3500, false},
                    {true, 3495, true},
                    {false, 3455, false},
                    {false, 3450, true},
                    {false, 3445, true}};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;

                rig_init(&r);
                feed(&r, 5);
                if (rows[i].calibrated)
                        fill(&r);
                silence(&r, 10 * USEC_PER_SEC); /* both open, and free to close again */
                set_all(&r, 3300);
                r.cells[3].voltage_raw = MV(rows[i].mv);
                if (rows[i].calibrated)
                        set_soc(&r, 5000);
                feed(&r, 70);
                assert_relays(&r, rows[i].closes, true);
                assert_int_equal(holds(&r, RELAY_CHARGE, HOLD_V_BYPASS), !rows[i].closes);
        }
}

/* First install: no capacity, so no SOC. A full sync calibrates (S1), and charging must still come back. */
static void test_full_without_capacity(void **state) {
        struct settings s;
        struct rig r;

        (void)state;
        settings_init(&s);
        rig_init_with(&r, &s);
        feed(&r, 5);
        set_all(&r, 3500);
        feed(&r, 3);
        assert_relays(&r, false, true);
        set_all(&r, 3455);
        feed(&r, 70);
        assert_relays(&r, false, true);
        set_all(&r, 3450);
        feed(&r, 2);
        assert_relays(&r, true, true);
        assert_true(alarm_active(&r, ALARM_CAPACITY_UNSET));
}

/* P2: after V-min the load waits for 20 % once calibrated; and V-min clears the charge flag. */
static void test_v_min_and_restart(void **state) {
        static const struct {
                int permyriad;
                bool closes;
        } rows[] = {{1999, false}, {2000, true}, {2001, true}};

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct rig r;

                start(&r);
                fill(&r);
                set_all(&r, 3300);
                r.cells[0].voltage_raw = MV(2800);
                feed(&r, 2);
                assert_relays(&r, false, false);
                assert_false(r.bms.relays.relay[RELAY_CHARGE].wait_for_restart);
                assert_int_equal(soc_permyriad(&r.bms.soc).value, 0); /* S3: no current */
                feed(&r, 60);
                assert_relays(&r, true, false); /* an empty pack is chargeable */
                r.cells[0].voltage_raw = MV(3300);
                feed(&r, 60);
                assert_relays(&r, true, false);
                set_soc(&r, rows[i].permyriad);
                feed(&r, 2);
                assert_relays(&r, true, rows[i].closes);
        }
}

/* S3: under load, at C/20 or more, SOC becomes at most 10 %. C/20 = 156.25 Ah / 20 = 7.8125 A = 62.5 steps. */
static void test_empty_sync(void **state) {
        static const struct {
                int out, before, after;
        } rows[] = {{62, 5000, 0}, {63, 5000, 1000}, {63, 500, 499}};

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct rig r;

                start(&r);
                fill(&r);
                set_all(&r, 3300);
                feed(&r, 5);
                r.out = rows[i].out;
                r.cells[0].voltage_raw = MV(2800);
                set_soc(&r, rows[i].before);
                feed(&r, 2);
                assert_relays(&r, false, false);
                /* 2 s at 8 A of 156 Ah take 0.3 permyriad. */
                assert_in_range(soc_permyriad(&r.bms.soc).value, rows[i].after, rows[i].after + 1);
        }
}

/* P2: openings by the link do not ask for SOC afterwards: no dark house at 40 % with restart at 50 %. P4: 10 s. */
static void test_glitch(void **state) {
        struct settings s = rig_settings();
        struct rig r;
        usec_t opened;

        (void)state;
        s.values[SETTING_DISCHARGE_RESTART] = some(50);
        rig_init_with(&r, &s);
        feed(&r, 5);
        fill(&r);
        set_all(&r, 3300);
        set_soc(&r, 4000);
        feed(&r, 70);
        assert_relays(&r, true, true);

        silence(&r, 3500 * USEC_PER_MSEC - 1); /* since the last frame */
        assert_relays(&r, true, true);
        silence(&r, 1);
        assert_relays(&r, false, false);
        opened = r.now;
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].reason.rule, RULE_LINK);
        feed(&r, 9); /* live long since, but 10 s are not over */
        assert_relays(&r, false, false);
        assert_true(holds(&r, RELAY_LOAD, HOLD_RECOVERY));
        feed(&r, 1); /* exactly 10 s: clear, once */
        assert_true(r.now - opened == 10 * USEC_PER_SEC);
        assert_relays(&r, false, false);
        feed(&r, 1);
        assert_relays(&r, true, true);
}

/* P3: full, then drained by what the blind spot hides. 30 min below 3.30 V at rest, V-bypass <= 3.7 V. */
static void test_drained(void **state) {
        static const struct {
                int mv, out, seconds;
                bool closes;
        } rows[] = {
                {3295, 0, 1800, false}, /* since the first of 1800 frames: 1799 s */
                {3295, 0, 1802, true},
                {3300, 0, 2000, false},
                {3295, 62, 1802, true},  /* 7.75 A < C/20 = 7.8125 A */
                {3295, 63, 1802, false}, /* 7.875 A */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;

                start(&r);
                fill(&r);
                set_all(&r, 3400);
                feed(&r, 100);
                assert_relays(&r, false, true);
                set_all(&r, rows[i].mv);
                r.out = rows[i].out;
                feed(&r, rows[i].seconds);
                assert_int_equal(charge(&r), rows[i].closes);
        }
}

/* One V-min opening and the closing after it, in about 65 s. */
static void one_load_cycle(struct rig *r) {
        r->cells[0].voltage_raw = MV(2800);
        feed(r, 2);
        assert_false(load(r));
        r->cells[0].voltage_raw = MV(3300);
        feed(r, 63);
}

/* P5: six closings an hour; then the window slides, one closing at a time; when it has been full twice over within
 * a day, `release` is needed. With the SOC terms out of the way. */
static void test_cycling(void **state) {
        struct settings s = rig_settings();
        usec_t closings[2 * RELAY_CLOSINGS_PER_HOUR];
        char error[200];
        struct rig r;

        (void)state;
        s.values[SETTING_DISCHARGE_RESTART] = some(0);
        rig_init_with(&r, &s);
        feed(&r, 5);
        fill(&r); /* calibrated: the count of V-min trips is not what holds here */
        set_all(&r, 3300);
        feed(&r, 5);
        assert_int_equal(bms_release(&r.bms, r.now, RELAY_LOAD, error, sizeof(error)), -ENODATA);

        for (int i = 0; i < 2 * RELAY_CLOSINGS_PER_HOUR; i++) {
                one_load_cycle(&r);
                if (i >= RELAY_CLOSINGS_PER_HOUR) {
                        usec_t free_at = closings[i - RELAY_CLOSINGS_PER_HOUR] + USEC_PER_HOUR;

                        if (r.now < free_at) {
                                assert_false(load(&r));
                                assert_true(holds(&r, RELAY_LOAD, HOLD_CYCLING));
                                assert_true(alarm_active(&r, ALARM_CYCLING_LOAD));
                        }
                        while (r.now < free_at - USEC_PER_SEC)
                                feed(&r, 1);
                        assert_int_equal(load(&r), r.bms.relays.relay[RELAY_LOAD].reason.at >= free_at);
                        feed(&r, 3);
                }
                assert_true(load(&r));
                closings[i] = r.bms.relays.relay[RELAY_LOAD].reason.at;
        }
        one_load_cycle(&r);
        assert_false(load(&r));
        assert_true(holds(&r, RELAY_LOAD, HOLD_RELEASE));
        feed(&r, 7200);
        assert_false(load(&r));
        assert_int_equal(bms_release(&r.bms, r.now, RELAY_LOAD, error, sizeof(error)), 0);
        feed(&r, 2);
        assert_true(load(&r));
        assert_false(alarm_active(&r, ALARM_CYCLING_LOAD));
}

/* P5: not calibrated: the third V-min trip holds until 1 % of capacity (1.5625 Ah) was charged. */
static void test_v_min_trips(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        one_load_cycle(&r);
        assert_true(load(&r));
        one_load_cycle(&r);
        assert_true(load(&r));
        one_load_cycle(&r);
        assert_false(load(&r));
        assert_true(holds(&r, RELAY_LOAD, HOLD_VMIN_TRIPS));
        feed(&r, 3600);
        assert_false(load(&r));
        /* 15.625 A = 125 steps: 1.5625 Ah take 360 s, at 99 % efficiency 364 s. */
        r.in = 125;
        feed(&r, 355);
        assert_false(load(&r));
        feed(&r, 12);
        assert_true(load(&r));
}

/* P6: both open, and the alarm names both. */
static void test_imbalance(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        r.cells[0].voltage_raw = MV(2800);
        r.cells[1].voltage_raw = MV(3650);
        feed(&r, 2);
        assert_relays(&r, false, false);
        assert_true(alarm_active(&r, ALARM_IMBALANCE));
        assert_non_null(strstr(r.bms.alarms[ALARM_IMBALANCE].text, "cell 2"));
        assert_non_null(strstr(r.bms.alarms[ALARM_IMBALANCE].text, "cell 1"));
        /* V-max with the lowest more than 100 mV below V-bypass: the warning stays, though the moment passes. */
        set_all(&r, 3300);
        feed(&r, 2);
        assert_false(alarm_active(&r, ALARM_IMBALANCE));
        assert_true(alarm_active(&r, ALARM_IMBALANCE_WARNING));
        fill(&r);
        assert_false(alarm_active(&r, ALARM_IMBALANCE_WARNING));
}

/* P10 */
static void test_conflict(void **state) {
        struct settings s = rig_settings();
        struct rig r;

        (void)state;
        s.values[SETTING_VMAX] = some(3500);
        rig_init_with(&r, &s); /* the switches say 3.5 V */
        feed(&r, 5);
        assert_true(alarm_active(&r, ALARM_SETTINGS_CONFLICT));
        r.cells[0].voltage_raw = MV(3500);
        feed(&r, 2);
        assert_false(charge(&r));
        assert_int_equal(r.bms.relays.relay[RELAY_CHARGE].reason.rule, RULE_V_MAX);
}

/* P11 */
static void test_recover(void **state) {
        struct settings s = rig_settings();
        char error[200] = "";
        struct rig r;

        (void)state;
        s.values[SETTING_MODE] = some(MODE_CRITICAL);
        rig_init_with(&r, &s);
        feed(&r, 5);
        assert_int_equal(bms_recover(&r.bms, r.now, 10, error, sizeof(error)), -EPERM);
        assert_non_null(strstr(error, "series"));

        s.values[SETTING_WIRING] = some(WIRING_SERIES);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        r.cells[0].voltage_raw = MV(2700);
        feed(&r, 5);
        assert_relays(&r, true, false);
        assert_int_equal(bms_recover(&r.bms, r.now, 0, error, sizeof(error)), -ERANGE);
        assert_int_equal(bms_recover(&r.bms, r.now, 31, error, sizeof(error)), -ERANGE);
        assert_int_equal(bms_recover(&r.bms, r.now, 10, error, sizeof(error)), 0);
        r.in = 80; /* 10 A in */
        feed(&r, 2);
        assert_relays(&r, true, true);
        feed(&r, 600 - 3);
        assert_relays(&r, true, true);
        feed(&r, 1); /* the tenth minute is over */
        assert_relays(&r, true, false);
        assert_int_equal(r.bms.relays.relay[RELAY_LOAD].reason.rule, RULE_V_MIN);

        /* C/50 = 3.125 A = 25 steps: more than that out ends it at once. */
        feed(&r, 15);
        assert_int_equal(bms_recover(&r.bms, r.now, 10, error, sizeof(error)), 0);
        feed(&r, 2);
        assert_relays(&r, true, true);
        r.in = 0;
        r.out = 25;
        feed(&r, 5);
        assert_relays(&r, true, true);
        r.out = 26;
        feed(&r, 1);
        assert_relays(&r, true, false);

        /* V-max and the link still hold. */
        r.out = 0;
        feed(&r, 15);
        assert_int_equal(bms_recover(&r.bms, r.now, 10, error, sizeof(error)), 0);
        feed(&r, 2);
        assert_relays(&r, true, true);
        silence(&r, 4 * USEC_PER_SEC);
        assert_relays(&r, false, false);
        feed(&r, 13);
        assert_relays(&r, true, true);
        r.cells[3].voltage_raw = MV(3650);
        feed(&r, 2);
        assert_relays(&r, false, false);
        assert_int_equal(bms_recover(&r.bms, r.now, 10, error, sizeof(error)), -EPERM);
}

/* B8: two good frames with an E between them are not two in a row. */
static void test_error_between_clear_frames(void **state) {
        uint8_t bytes[COMPOSE_SIZE];
        struct rig r;

        (void)state;
        rig_init(&r);
        feed(&r, 3); /* live, and clear once */
        tick_until(&r, r.now + USEC_PER_SEC);
        compose_frame(bytes, r.cells, N, 1, 0, 0);
        bytes[30] |= FRAME_STATUS_COMMUNICATION_ERROR;
        compose_seal(bytes);
        assert_int_equal(bms_bytes(&r.bms, r.now, bytes, sizeof(bytes)), 1);
        feed(&r, 1);
        assert_int_equal(r.bms.link.state, LINK_LIVE);
        assert_relays(&r, false, false);
        feed(&r, 1);
        assert_relays(&r, true, true);
}

/* P4, P11: V-min is long tripped as `recover` ends; the delay counts from the opening. And a relay that may stay closed
 * then is none of P5's closings. */
static void test_end_of_recover(void **state) {
        struct settings s = rig_settings();
        const struct relay *relay;
        char error[200];
        struct rig r;

        (void)state;
        s.values[SETTING_MODE] = some(MODE_CRITICAL);
        s.values[SETTING_WIRING] = some(WIRING_SERIES);
        rig_init_with(&r, &s);
        relay = &r.bms.relays.relay[RELAY_LOAD];
        feed(&r, 5);
        r.cells[0].voltage_raw = MV(2700);
        feed(&r, 100);
        assert_int_equal(bms_recover(&r.bms, r.now, 1, error, sizeof(error)), 0);
        feed(&r, 59);
        assert_relays(&r, true, true);
        feed(&r, 1);
        assert_relays(&r, true, false);
        r.cells[0].voltage_raw = MV(3300);
        feed(&r, 60);
        assert_relays(&r, true, false);
        feed(&r, 1);
        assert_relays(&r, true, true);
        assert_int_equal(relay->closings_filled, 1);

        r.cells[0].voltage_raw = MV(2700);
        feed(&r, 10);
        assert_int_equal(bms_recover(&r.bms, r.now, 2, error, sizeof(error)), 0);
        feed(&r, 2);
        r.cells[0].voltage_raw = MV(3300);
        feed(&r, 117);
        assert_true(relay->by_recover);
        feed(&r, 1);
        assert_relays(&r, true, true);
        assert_false(relay->by_recover);
        assert_int_equal(relay->closings_filled, 1);
        assert_false(relay->wait_for_restart || relay->counts);
}

/* P12: open for more than 10 s, at the limit, and the current flows on. 1 A = 8 steps. */
static void test_ineffective(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        r.in = 9;
        r.cells[0].voltage_raw = MV(3650);
        feed(&r, 2);
        assert_false(charge(&r));
        feed(&r, 10);
        assert_false(alarm_active(&r, ALARM_INEFFECTIVE_CHARGE));
        feed(&r, 1);
        assert_true(alarm_active(&r, ALARM_INEFFECTIVE_CHARGE));
        r.in = 8;
        feed(&r, 1);
        assert_false(alarm_active(&r, ALARM_INEFFECTIVE_CHARGE));

        start(&r);
        r.out = 9;
        r.cells[0].voltage_raw = MV(2800);
        feed(&r, 13);
        assert_true(alarm_active(&r, ALARM_INEFFECTIVE_LOAD));
        assert_false(alarm_active(&r, ALARM_INEFFECTIVE_CHARGE));
}

/* P4: a start is no opening, unless feedback showed the relay closed. P16: commanded and confirmed are two facts. */
static void test_feedback(void **state) {
        static struct snapshot s;
        struct rig r;

        (void)state;
        rig_init(&r);
        bms_feedback(&r.bms, r.now, RELAY_LOAD, some(1), true);
        bms_feedback(&r.bms, r.now, RELAY_LOAD, some(0), false); /* it obeyed */
        feed(&r, 5);
        assert_relays(&r, true, false);
        feed(&r, 6);
        assert_relays(&r, true, true);
        bms_snapshot(&r.bms, r.now, &s);
        assert_false(s.relays[RELAY_CHARGE].confirmed.known);
        assert_true(s.relays[RELAY_LOAD].confirmed.known);
        assert_int_equal(s.relays[RELAY_LOAD].confirmed.value, 0);
        feed(&r, 2);
        assert_true(alarm_active(&r, ALARM_RELAY_OUTPUT));
        bms_feedback(&r.bms, r.now, RELAY_LOAD, some(1), false);
        assert_false(alarm_active(&r, ALARM_RELAY_OUTPUT));
}

/* P13: with everything clear, a settings change still costs the relay its frames. */
static void test_settings_change_closes_nothing(void **state) {
        struct settings s = rig_settings();
        char error[200];
        struct rig r;

        (void)state;
        start(&r);
        r.cells[0].voltage_raw = MV(3640);
        r.cells[1].voltage_raw = MV(2850);
        s.values[SETTING_VMAX] = some(3640);
        s.values[SETTING_VMIN] = some(2850);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_relays(&r, true, true); /* readings of before the change open nothing either */
        feed(&r, 2);
        assert_relays(&r, false, false);
        r.cells[0].voltage_raw = r.cells[1].voltage_raw = MV(3300);
        feed(&r, 59);
        assert_relays(&r, false, false);
        feed(&r, 1);
        s.values[SETTING_CHARGE_RESTART_DELAY] = s.values[SETTING_DISCHARGE_RESTART_DELAY] = some(0);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_relays(&r, false, false);
        bms_tick(&r.bms, r.now);
        assert_relays(&r, false, false);
        feed(&r, 1);
        assert_relays(&r, false, false);
        feed(&r, 1);
        assert_relays(&r, true, true);
}

static void test_refused_settings_change_nothing(void **state) {
        struct settings s = rig_settings();
        char error[200] = "";
        struct rig r;

        (void)state;
        start(&r);
        s.values[SETTING_VMAX] = some(3500); /* not above V-bypass 3.5 V */
        s.values[SETTING_TRIP_FRAMES] = some(3);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), -EINVAL);
        assert_true(error[0] != '\0');
        assert_int_equal(settings_get(&r.bms.settings, SETTING_VMAX), 3650);
        assert_int_equal(r.bms.limits.trip_frames, 2);
}

/* B6: role monitor follows the board's bits by 2 of 3 frames, and refuses to decide. */
static void test_monitor(void **state) {
        static const uint8_t bits[] = {0x03, 0x03, 0x03, 0x00, 0x03, 0x00, 0x00, 0x01, 0x01};
        static const bool charge_closed[] = {false, false, true, true, true, false, false, false, true};
        static const bool load_closed[] = {false, false, true, true, true, false, false, false, false};
        struct settings s = rig_settings();
        struct bms_config config = {.role = ROLE_MONITOR, .cells = N, .mapped = {true, true}, .settings = s};
        char error[200];
        struct rig r;

        (void)state;
        rig_init(&r);
        bms_init(&r.bms, r.now, &config);
        for (size_t i = 0; i < sizeof(bits); i++) {
                uint8_t bytes[COMPOSE_SIZE];

                tick_until(&r, r.now + USEC_PER_SEC);
                compose_frame(bytes, r.cells, N, (int)(i % N) + 1, 0, 0);
                bytes[30] = bits[i];
                bytes[40] = 55;
                compose_seal(bytes);
                assert_int_equal(bms_bytes(&r.bms, r.now, bytes, sizeof(bytes)), 1);
                assert_relays(&r, charge_closed[i], load_closed[i]);
        }
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), -EPERM);
        assert_non_null(strstr(error, "monitor"));
        silence(&r, 3500 * USEC_PER_MSEC);
        assert_relays(&r, false, false);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start),
                cmocka_unit_test(test_v_max),
                cmocka_unit_test(test_v_min),
                cmocka_unit_test(test_temperature),
                cmocka_unit_test(test_closing_is_strict),
                cmocka_unit_test(test_full_and_restart),
                cmocka_unit_test(test_bypass_margin),
                cmocka_unit_test(test_full_without_capacity),
                cmocka_unit_test(test_v_min_and_restart),
                cmocka_unit_test(test_empty_sync),
                cmocka_unit_test(test_glitch),
                cmocka_unit_test(test_drained),
                cmocka_unit_test(test_cycling),
                cmocka_unit_test(test_v_min_trips),
                cmocka_unit_test(test_imbalance),
                cmocka_unit_test(test_conflict),
                cmocka_unit_test(test_recover),
                cmocka_unit_test(test_error_between_clear_frames),
                cmocka_unit_test(test_end_of_recover),
                cmocka_unit_test(test_ineffective),
                cmocka_unit_test(test_feedback),
                cmocka_unit_test(test_settings_change_closes_nothing),
                cmocka_unit_test(test_refused_settings_change_nothing),
                cmocka_unit_test(test_monitor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
