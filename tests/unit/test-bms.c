/* SPDX-License-Identifier: MIT */

/* What bms.c decides beside the latches: events, commands at their limits, how `recover` ends, role monitor's 2 of 3,
 * what a change of settings or of the boards' words reaches, and when it wants to be called. */

#include "bms-internal.h"
#include "bms-rig.h"
#include "kept.h"

#include <errno.h>

static char error[200];

static void drop_events(struct rig *r) {
        struct event event;

        while (bms_next_event(&r->bms, &event))
                ;
}

static unsigned count_events(struct rig *r, enum event_kind kind, struct event *ret_last) {
        struct event event;
        unsigned n = 0;

        while (bms_next_event(&r->bms, &event))
                if (event.kind == kind) {
                        *ret_last = event;
                        n++;
                }
        return n;
}

/* The newest 64 events are kept, in order; what was lost is counted. */
static void test_events(void **state) {
        struct event event;
        struct rig r;

        (void)state;
        rig_init(&r);
        assert_false(bms_next_event(&r.bms, &event));
        for (unsigned n = BMS_EVENTS_MAX - 1; n <= BMS_EVENTS_MAX + 2; n++) {
                unsigned kept = n < BMS_EVENTS_MAX ? n : BMS_EVENTS_MAX;

                rig_init(&r);
                for (unsigned i = 0; i < n; i++) { /* an output's fault comes and goes: one event each */
                        r.now++;
                        bms_output_fault(&r.bms, r.now, i % 2 ? "" : "gone");
                }
                assert_int_equal(r.bms.events_lost, n - kept);
                for (unsigned i = 0; i < kept; i++) {
                        assert_true(bms_next_event(&r.bms, &event));
                        assert_true(event.at == r.now - (kept - 1 - i));
                        assert_int_equal(event.kind, (n - kept + i) % 2 ? EVENT_ALARM_CLEARED : EVENT_ALARM_RAISED);
                }
                assert_false(bms_next_event(&r.bms, &event));
        }
}

/* An event for each relay that changed, and for none that did not. */
static void test_relay_events(void **state) {
        struct event event = {0};
        struct rig r;

        (void)state;
        start(&r);
        drop_events(&r);
        feed(&r, 3);
        assert_int_equal(count_events(&r, EVENT_RELAY_OPENED, &event), 0);
        r.cells[2].voltage_raw = MV(2800);
        feed(&r, 2);
        assert_int_equal(count_events(&r, EVENT_RELAY_OPENED, &event), 1);
        assert_int_equal(event.subject, RELAY_LOAD);
        assert_int_equal(event.reason.rule, RULE_V_MIN);
        assert_int_equal(event.reason.cell, 3);
        feed(&r, 3);
        assert_int_equal(count_events(&r, EVENT_RELAY_OPENED, &event), 0);
        r.cells[2].voltage_raw = MV(3300);
        feed(&r, 61);
        assert_int_equal(count_events(&r, EVENT_RELAY_CLOSED, &event), 1);
        assert_int_equal(event.subject, RELAY_LOAD);
}

static struct settings series(void) {
        struct settings s = rig_settings();

        s.values[SETTING_MODE] = some(MODE_CRITICAL);
        s.values[SETTING_WIRING] = some(WIRING_SERIES);
        return s;
}

static void start_empty(struct rig *r, const struct settings *s) {
        rig_init_with(r, s);
        feed(r, 5);
        r->cells[0].voltage_raw = MV(2700);
        feed(r, 12);
        assert_relays(r, true, false);
}

/* P11: 1..30 minutes, to the microsecond. */
static void test_recover_time(void **state) {
        static const struct {
                int64_t minutes;
                int result;
        } rows[] = {{0, -ERANGE}, {1, 0}, {2, 0}, {29, 0}, {30, 0}, {31, -ERANGE}};
        struct settings s = series();

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;
                usec_t end;

                start_empty(&r, &s);
                assert_int_equal(bms_recover(&r.bms, r.now, rows[i].minutes, error, sizeof(error)), rows[i].result);
                if (rows[i].result != 0)
                        continue;
                end = r.now + (usec_t)rows[i].minutes * USEC_PER_MINUTE;
                feed(&r, (int)(60 * rows[i].minutes) - 1);
                assert_relays(&r, true, true);
                tick_until(&r, end - 1);
                bms_tick(&r.bms, end - 1);
                assert_relays(&r, true, true);
                assert_true(bms_deadline(&r.bms, end - 1) == end);
                bms_tick(&r.bms, end);
                assert_relays(&r, true, false);
        }
}

/* P11: C/50 out, or 1 A while no capacity is set. In steps of 125 mA C/50 is 25 for 2,000 Wh and 250 for 20,000 Wh. */
static void test_recover_ends_by_current(void **state) {
        static const struct {
                int capacity;
                int out;
                bool ends;
        } rows[] = {{2000, 24, false},   {2000, 25, false},   {2000, 26, true},
                    {20000, 249, false}, {20000, 250, false}, {20000, 251, true},
                    {0, 7, false},       {0, 8, false},       {0, 9, true}};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct settings s = series();
                struct rig r;

                s.values[SETTING_CAPACITY] = rows[i].capacity > 0 ? some(rows[i].capacity) : none();
                start_empty(&r, &s);
                assert_int_equal(bms_recover(&r.bms, r.now, 5, error, sizeof(error)), 0);
                feed(&r, 3);
                assert_relays(&r, true, true);
                r.out = rows[i].out;
                feed(&r, 1);
                assert_int_equal(load(&r), !rows[i].ends);
                assert_int_equal(r.bms.recover_until != 0, !rows[i].ends);
        }
}

static void send_without_current(struct rig *r) {
        uint8_t bytes[COMPOSE_SIZE];

        r->detail = r->detail % N + 1;
        compose_frame(bytes, r->cells, N, r->detail, 0, 0);
        bytes[3] = bytes[6] = bytes[9] = 'X';
        compose_seal(bytes);
        assert_int_equal(bms_bytes(&r->bms, r->now, bytes, sizeof(bytes)), 1);
}

/* P11: an unknown current may last 5 s, not longer. */
static void test_recover_ends_by_unknown_current(void **state) {
        struct settings s = series();
        struct rig r;
        usec_t first;

        (void)state;
        start_empty(&r, &s);
        assert_int_equal(bms_recover(&r.bms, r.now, 5, error, sizeof(error)), 0);
        feed(&r, 3);
        first = r.now + USEC_PER_SEC;
        for (int i = 0; i < 6; i++) { /* the sixth comes 5 s after the first */
                tick_until(&r, r.now + USEC_PER_SEC);
                send_without_current(&r);
                assert_true(r.bms.recover_until != 0);
        }
        assert_true(r.now == first + 5 * USEC_PER_SEC);
        bms_tick(&r.bms, r.now);
        assert_true(r.bms.recover_until != 0);
        bms_tick(&r.bms, r.now + 1);
        assert_true(r.bms.recover_until == 0);

        /* A reading in between, and the 5 s begin anew. */
        start_empty(&r, &s);
        assert_int_equal(bms_recover(&r.bms, r.now, 5, error, sizeof(error)), 0);
        feed(&r, 3);
        for (int i = 0; i < 15; i++) {
                if (i % 4 == 3) {
                        feed(&r, 1);
                        continue;
                }
                tick_until(&r, r.now + USEC_PER_SEC);
                send_without_current(&r);
        }
        assert_true(r.bms.recover_until != 0);
}

/* P10: a switch turned to a V-bypass above V-max must not keep other settings from being changed. */
static void test_settings_under_a_conflict(void **state) {
        struct settings s = rig_settings();
        struct rig r;

        (void)state;
        s.values[SETTING_VMAX] = some(3450); /* the switches say 3.5 V */
        rig_init_with(&r, &s);
        feed(&r, 5);
        s.values[SETTING_TMAX] = some(500);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_int_equal(r.bms.limits.t_max_decic, 500);
        s.values[SETTING_TMAX] = some(-50); /* still checked */
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), -EINVAL);
}

static void test_soc_set_limits(void **state) {
        static const struct {
                int64_t permyriad;
                int result;
        } rows[] = {{-1, -ERANGE},    {0, 0}, {1, 0}, {9999, 0}, {10000, 0}, {10001, -ERANGE},
                    {INT64_C(4294972296), -ERANGE} /* 2^32 + 5000 is no 50 % */};
        struct settings s;
        struct rig r;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                start(&r);
                set_soc(&r, 5000);
                error[0] = '\0';
                assert_int_equal(bms_soc_set(&r.bms, r.now, rows[i].permyriad, error, sizeof(error)), rows[i].result);
                assert_int_equal(error[0] != '\0', rows[i].result != 0);
                if (rows[i].result != 0)
                        assert_non_null(strstr(error, "outside 0 % to 100 %"));
                assert_int_equal(soc_permyriad(&r.bms.soc).value, rows[i].result == 0 ? rows[i].permyriad : 5000);
        }

        settings_init(&s); /* no capacity */
        rig_init_with(&r, &s);
        feed(&r, 5);
        assert_int_equal(bms_soc_set(&r.bms, r.now, 5000, error, sizeof(error)), -ENODATA);
        assert_non_null(strstr(error, "capacity"));
}

/* S5: pair 131 names the sensor type, in the order of the switch table; half blind spots by the manual. */
static void test_sensor_types(void **state) {
        static const int32_t want[] = {250, 500, 1000, 2500, 4000, 5000, 10000, 20000, 1000 /* none such */};

        (void)state;
        for (uint8_t type = 0; type < sizeof(want) / sizeof(want[0]); type++) {
                uint8_t bytes[COMPOSE_SIZE];
                struct rig r;

                start(&r);
                assert_int_equal(r.bms.soc.config.blind_spot_ma, 1000); /* the config's */
                tick_until(&r, r.now + USEC_PER_SEC);
                compose_frame(bytes, r.cells, N, 1, 0, 0);
                bytes[47] = 131 + 25;
                bytes[48] = type;
                compose_seal(bytes);
                assert_int_equal(bms_bytes(&r.bms, r.now, bytes, sizeof(bytes)), 1);
                assert_int_equal(r.bms.soc.config.blind_spot_ma, want[type]);
        }
}

/* Each setting that counting depends on reaches it, alone too. */
static void test_settings_reach_soc(void **state) {
        struct settings s = rig_settings();
        struct rig r;

        (void)state;
        start(&r);
        s.values[SETTING_CAPACITY] = some(3000);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_int_equal(r.bms.soc.config.capacity_wh.value, 3000);
        s.values[SETTING_CAPACITY] = none();
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_false(r.bms.soc.config.capacity_wh.known);
        s.values[SETTING_CELL_NOMINAL] = some(3250);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_int_equal(r.bms.soc.config.cell_nominal_mv, 3250);
        s.values[SETTING_CHARGE_EFFICIENCY] = some(97);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_int_equal(r.bms.soc.config.efficiency_percent, 97);
        s.values[SETTING_SENSORS] = some(SENSORS_2);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_int_equal(r.bms.soc.config.sensors, SENSORS_2);
        /* And what B8 counts. */
        s.values[SETTING_TRIP_FRAMES] = some(3);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), 0);
        assert_int_equal(r.bms.link.trip_frames, 3);
}

/* B15, S1: the number of cells reaches counting: learned, and accepted. */
static void test_cells_reach_soc(void **state) {
        struct settings s = rig_settings();
        struct bms_config config = {.current_check = true, .mapped = {true, true}, .settings = s};
        struct event event = {0};
        uint8_t bytes[COMPOSE_SIZE];
        struct rig r;

        (void)state;
        rig_init(&r);
        bms_init(&r.bms, r.now, &config);
        feed(&r, 60);
        assert_int_equal(r.bms.soc.config.cells, N); /* the live count stands in */
        assert_int_equal(count_events(&r, EVENT_CELLS_LEARNED, &event), 0);
        feed(&r, 1);
        assert_int_equal(count_events(&r, EVENT_CELLS_LEARNED, &event), 1);
        assert_int_equal(event.subject, N);

        assert_int_equal(bms_accept_cells(&r.bms, r.now, error, sizeof(error)), -ENODATA);
        compose_frame(bytes, r.cells, N - 1, 1, 0, 0);
        assert_int_equal(bms_bytes(&r.bms, r.now, bytes, sizeof(bytes)), 1);
        assert_int_equal(bms_accept_cells(&r.bms, r.now, error, sizeof(error)), 0);
        assert_int_equal(r.bms.soc.config.cells, N - 1);
        assert_int_equal(count_events(&r, EVENT_CELLS_LEARNED, &event), 1);
        assert_int_equal(event.subject, N - 1);

        /* Of both, the config's number counts. */
        config.cells = 5;
        config.learned_cells = 7;
        bms_init(&r.bms, r.now, &config);
        assert_int_equal(r.bms.link.known_cells, 5);
        config.cells = 0;
        bms_init(&r.bms, r.now, &config);
        assert_int_equal(r.bms.link.known_cells, 7);
}

/* B6: each bit by 2 of the last 3 frames, for as long as it runs. */
static void test_two_of_three(void **state) {
        struct settings s = rig_settings();
        struct bms_config config = {.role = ROLE_MONITOR, .cells = N, .mapped = {true, true}, .settings = s};
        unsigned sent = 0;
        uint64_t random = 3;
        struct rig r;

        (void)state;
        rig_init(&r);
        bms_init(&r.bms, r.now, &config);
        for (unsigned n = 1; n <= 200; n++) {
                uint8_t bytes[COMPOSE_SIZE];
                unsigned bits = (unsigned)compose_random(&random) & 3;

                tick_until(&r, r.now + USEC_PER_SEC);
                compose_frame(bytes, r.cells, N, (int)(n % N) + 1, 0, 0);
                bytes[30] = (uint8_t)bits;
                bytes[40] = 55;
                compose_seal(bytes);
                assert_int_equal(bms_bytes(&r.bms, r.now, bytes, sizeof(bytes)), 1);
                sent = (sent << 2 | bits) & 0x3f;
                for (unsigned bit = 0; bit < 2; bit++) {
                        unsigned set = (sent >> bit & 1) + (sent >> (bit + 2) & 1) + (sent >> (bit + 4) & 1);

                        assert_int_equal(bms_relay_closed(&r.bms, bit == 0 ? RELAY_CHARGE : RELAY_LOAD),
                                         n >= 3 && set >= 2);
                        assert_int_equal(bms_monitor_bit(&r.bms, (uint8_t)(1 << bit)), n >= 3 && set >= 2);
                }
        }
}

static const struct hold *hold_of(struct rig *r, enum relay_id id, enum hold_kind kind) {
        static struct snapshot snapshot;

        bms_snapshot(&r->bms, r->now, &snapshot);
        for (size_t i = 0; i < snapshot.relays[id].n_holds; i++)
                if (snapshot.relays[id].holds[i].kind == kind)
                        return &snapshot.relays[id].holds[i];
        return NULL;
}

/* P7: of all readings the one with the least room to its own limit is what `why` speaks of: here a cell at 55 degC
 * that does not bypass, not the hotter one that does; of equals the named hottest. */
static void test_hot_cell_with_least_room(void **state) {
        static const struct {
                int bypassing, other, bypassing_degc, other_degc, named, limit;
        } rows[] = {
                {4, 2, 70, 55, 2, 549}, {4, 1, 70, 55, 1, 549},  {1, 4, 70, 55, 4, 549},
                {4, 2, 80, 25, 4, 799}, {4, 2, 80, 55, 4, 799}, {1, 4, 80, 55, 1, 799},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const struct hold *hold;
                struct rig r;

                start(&r);
                r.cells[rows[i].bypassing - 1].voltage_raw = MV(3500);
                feed(&r, 4);
                r.cells[rows[i].bypassing - 1].temperature_raw = DEGC(rows[i].bypassing_degc);
                r.cells[rows[i].other - 1].temperature_raw = DEGC(rows[i].other_degc);
                silence(&r, 4 * USEC_PER_SEC);
                feed(&r, 20);
                assert_relays(&r, false, false);
                hold = hold_of(&r, RELAY_LOAD, HOLD_T_HYSTERESIS);
                assert_non_null(hold);
                assert_int_equal(hold->cell, rows[i].named);
                assert_int_equal(hold->limit.value, rows[i].limit);
        }
}

/* S7: a pack is full at V-bypass, not only above; 10 A out of it for a minute are more than C/20. */
static void test_full_while_discharging(void **state) {
        static const struct {
                int mv;
                bool reversed;
        } rows[] = {{3495, false}, {3500, true}, {3505, true}};

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;

                start(&r);
                fill(&r);
                set_all(&r, rows[i].mv);
                r.out = 80;
                feed(&r, 70);
                assert_int_equal(r.bms.soc.sensor == SOC_SENSOR_REVERSED, rows[i].reversed);
        }
}

/* P4: only a relay that feedback shows closed at the start makes the start an opening. */
static void test_feedback_at_start(void **state) {
        static const struct {
                struct maybe closed;
                bool at_start, opening;
        } rows[] = {
                {{true, 1}, true, true}, {{true, 0}, true, false}, {{false, 0}, true, false}, {{false, 1}, true, false},
                {{true, 1}, false, false}, {{true, 0}, false, false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct rig r;

                rig_init(&r);
                bms_feedback(&r.bms, r.now, RELAY_LOAD, rows[i].closed, rows[i].at_start);
                assert_int_equal(r.bms.relays.relay[RELAY_LOAD].recovery, rows[i].opening);
                feed(&r, 4);
                assert_relays(&r, true, !rows[i].opening);
        }
}

/* P3, P5: 2,000 Wh of four cells of 3.2 V are 156.25 Ah = 5.625 * 10^11 mA*ms. */
static void test_shares_of_capacity(void **state) {
        struct relay_inputs in;
        struct rig r;

        (void)state;
        start(&r);
        bms_relay_inputs(&r.bms, r.now, &in);
        assert_true(in.one_percent_mams.known && in.one_percent_mams.value == INT64_C(5625000000));
        assert_int_equal(in.c20_ma.value, 7812);
}

/* P5: without a capacity 1 % of it is not known, and no charge ends the wait after the third V-min trip. */
static void test_v_min_trips_without_capacity(void **state) {
        struct settings s;
        struct rig r;

        (void)state;
        settings_init(&s);
        rig_init_with(&r, &s);
        feed(&r, 5);
        for (int i = 1; i <= 3; i++) {
                r.cells[0].voltage_raw = MV(2800);
                feed(&r, 2);
                assert_false(load(&r));
                r.cells[0].voltage_raw = MV(3300);
                r.in = 80;
                feed(&r, 70);
                assert_int_equal(load(&r), i < 3);
        }
        assert_non_null(hold_of(&r, RELAY_LOAD, HOLD_VMIN_TRIPS));
        assert_int_equal(bms_release(&r.bms, r.now, RELAY_LOAD, error, sizeof(error)), 0);
        feed(&r, 2);
        assert_true(load(&r));
}

/* P6: three V-max openings in 24 h without a full sync are a warning; two are not. */
static void test_three_v_max_openings(void **state) {
        struct settings s = rig_settings();
        struct rig r;

        (void)state;
        s.values[SETTING_MODE] = some(MODE_CRITICAL);
        rig_init_with(&r, &s);
        set_all(&r, 3450); /* within 100 mV of V-bypass: the other condition has no part */
        feed(&r, 5);
        for (int i = 1; i <= 3; i++) {
                r.cells[2].voltage_raw = MV(3650);
                feed(&r, 2);
                assert_false(charge(&r));
                assert_int_equal(r.bms.alarms[ALARM_IMBALANCE_WARNING].active, i == 3);
                r.cells[2].voltage_raw = MV(3450);
                feed(&r, 65);
                assert_true(charge(&r));
        }
}

static const char *imbalance_text(const struct rig *r) {
        assert_true(r->bms.alarms[ALARM_IMBALANCE_WARNING].active);
        return r->bms.alarms[ALARM_IMBALANCE_WARNING].text;
}

/* The warning goes on naming the cells it is about: when others are the extremes, and after a restart. */
static void test_imbalance_names_its_cells(void **state) {
        char kept[KEPT_TEXT_MAX];
        struct rig r;

        (void)state;
        rig_init(&r);
        set_all(&r, 3390); /* more than 100 mV below V-bypass (3.5 V) */
        r.cells[1].voltage_raw = MV(3380);
        feed(&r, 5);
        r.cells[2].voltage_raw = MV(3645); /* the highest, but not at V-max (3.65 V) */
        feed(&r, 3);
        assert_false(alarm_active(&r, ALARM_IMBALANCE_WARNING));
        r.cells[2].voltage_raw = MV(3650);
        feed(&r, 2);
        assert_non_null(strstr(imbalance_text(&r), "cell 3 reaches V-max before cell 2 is full"));
        r.cells[1].voltage_raw = MV(3645); /* still tripped, but nobody is at V-max */
        r.cells[2].voltage_raw = MV(3640);
        feed(&r, 1);
        assert_non_null(strstr(imbalance_text(&r), "cell 3 reaches V-max before cell 2 is full"));
        r.cells[0].voltage_raw = MV(3310);
        r.cells[1].voltage_raw = r.cells[2].voltage_raw = MV(3300);
        feed(&r, 5);
        assert_non_null(strstr(imbalance_text(&r), "cell 3 reaches V-max before cell 2 is full"));

        bms_keep(&r.bms, r.now, kept);
        rig_init(&r);
        assert_int_equal(bms_restore(&r.bms, r.now, kept, some64(0), error, sizeof(error)), 0);
        assert_non_null(strstr(imbalance_text(&r), "cell 3 reaches V-max before cell 2 is full"));
        /* as an older version kept it */
        rig_init(&r);
        assert_int_equal(bms_restore(&r.bms, r.now, "smartbms-state 1\npack.imbalance 1\n", some64(0), error,
                                     sizeof(error)),
                         0);
        assert_non_null(strstr(imbalance_text(&r), "a cell reaches V-max before another is full"));
}

/* P6 counts openings by V-max; others, and closings, are none. */
static void test_other_openings_are_no_imbalance(void **state) {
        struct settings s = rig_settings();
        struct rig r;

        (void)state;
        s.values[SETTING_MODE] = some(MODE_CRITICAL);
        rig_init_with(&r, &s);
        set_all(&r, 3450);
        feed(&r, 5);
        for (int i = 0; i < 4; i++) {
                if (i < 2)
                        r.cells[2].voltage_raw = MV(3650);
                else
                        r.cells[0].temperature_raw = DEGC(60); /* not the one taken for bypassing */
                feed(&r, 2);
                assert_false(charge(&r));
                r.cells[2].voltage_raw = MV(3450);
                r.cells[0].temperature_raw = DEGC(25);
                feed(&r, 65);
                assert_true(charge(&r));
                assert_false(alarm_active(&r, ALARM_IMBALANCE_WARNING));
        }
}

/* B6: why a relay of role monitor opened. */
static void test_reasons_of_monitor(void **state) {
        struct settings s = rig_settings();
        struct bms_config config = {.role = ROLE_MONITOR, .cells = N, .mapped = {true, true}, .settings = s};

        (void)state;
        for (int by = 0; by < 3; by++) {
                static const enum rule want[] = {RULE_BOARD, RULE_ERROR, RULE_LINK};
                struct rig r;

                rig_init(&r);
                bms_init(&r.bms, r.now, &config);
                for (int i = 0; i < 8; i++) {
                        uint8_t bytes[COMPOSE_SIZE];

                        tick_until(&r, r.now + USEC_PER_SEC);
                        compose_frame(bytes, r.cells, N, i % N + 1, 0, 0);
                        bytes[30] = i < 5 ? 3 : by == 0 ? 0 : 3 | FRAME_STATUS_COMMUNICATION_ERROR;
                        bytes[40] = 55;
                        compose_seal(bytes);
                        if (i < 5 || by < 2)
                                assert_int_equal(bms_bytes(&r.bms, r.now, bytes, sizeof(bytes)), 1);
                        if (i == 4)
                                assert_relays(&r, true, true);
                }
                silence(&r, by < 2 ? 0 : 3 * USEC_PER_SEC);
                assert_relays(&r, false, false);
                assert_int_equal(r.bms.relays.relay[RELAY_LOAD].reason.rule, want[by]);
        }
}

/* It wants to be called at least once a second. */
static void test_deadline(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        assert_true(bms_deadline(&r.bms, r.now) == r.now + USEC_PER_SEC);
        assert_true(bms_deadline(&r.bms, r.now + 3 * USEC_PER_SEC) == r.now + 3500 * USEC_PER_MSEC);
        r.cells[0].voltage_raw = MV(2800);
        feed(&r, 1);
        assert_true(bms_deadline(&r.bms, r.now + 2 * USEC_PER_SEC) == r.now + 2500 * USEC_PER_MSEC);
}

/* B12: readings stand still from the first frame on; that it is noticed a minute later is a deadline, and once noticed
 * it is none any more. */
static void test_deadline_of_frozen_readings(void **state) {
        usec_t noticed;
        struct rig r;

        (void)state;
        rig_init(&r);
        feed(&r, 1);
        noticed = r.now + USEC_PER_MINUTE;
        feed(&r, 59);
        assert_true(bms_deadline(&r.bms, noticed - 1) == noticed);
        feed(&r, 1);
        assert_true(r.now == noticed);
        assert_true(bms_deadline(&r.bms, noticed) == noticed + USEC_PER_SEC);
}

/* B5: frames that fail only the I-sum check, for 10 s. 8 steps of I1 and an I-sum of 10. */
static void test_current_sum(void **state) {
        struct event event = {0};
        struct rig r;

        (void)state;
        start(&r);
        drop_events(&r);
        for (int i = 0; i < 12; i++) {
                uint8_t bytes[COMPOSE_SIZE];

                tick_until(&r, r.now + USEC_PER_SEC);
                compose_frame(bytes, r.cells, N, i % N + 1, 8, 0);
                bytes[11] = 10;
                compose_seal(bytes);
                assert_int_equal(bms_bytes(&r.bms, r.now, bytes, sizeof(bytes)), 0);
                bms_tick(&r.bms, r.now);
                assert_int_equal(alarm_active(&r, ALARM_CURRENT_CHECK), i >= 10);
        }
        assert_relays(&r, false, false); /* refused is not heard */
        assert_true(count_events(&r, EVENT_ALARM_RAISED, &event) > 0);
        feed(&r, 1);
        assert_false(alarm_active(&r, ALARM_CURRENT_CHECK));
}

/* Design 12: both open at once; what was half received is forgotten, and the link comes back by itself. */
static void test_port(void **state) {
        struct event event = {0};
        uint8_t bytes[COMPOSE_SIZE];
        struct rig r;

        (void)state;
        start(&r);
        drop_events(&r);
        compose_frame(bytes, r.cells, N, 1, 0, 0);
        assert_int_equal(bms_bytes(&r.bms, r.now, bytes, 30), 0);
        bms_port_lost(&r.bms, r.now);
        assert_relays(&r, false, false);
        assert_int_equal(r.bms.link.cause, LINK_CAUSE_PORT);
        assert_int_equal(count_events(&r, EVENT_LINK, &event), 1);
        assert_int_equal(event.subject, LINK_STALE);
        r.now += 20 * USEC_PER_SEC;
        bms_port_opened(&r.bms, r.now);
        assert_int_equal(r.bms.link.cause, LINK_CAUSE_SILENCE);
        assert_int_equal(bms_bytes(&r.bms, r.now, bytes + 30, sizeof(bytes) - 30), 0);
        feed(&r, 4);
        assert_relays(&r, true, true);
}

static void test_relay_fault(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        bms_relay_fault(&r.bms, r.now, "gpiochip0 is gone", true);
        assert_true(alarm_active(&r, ALARM_RELAY_OUTPUT));
        assert_non_null(strstr(r.bms.alarms[ALARM_RELAY_OUTPUT].text, "gpiochip0"));
        bms_relay_fault(&r.bms, r.now, "", false);
        assert_false(alarm_active(&r, ALARM_RELAY_OUTPUT));
}

/* P16, design 12: an alarm within 1 s, of which the adapter takes 0.25 s, and a busy machine something. So after 0.5 s,
 * and not before; bms_deadline() asks for a tick then. A contact that falls off by itself, and one that is welded. */
static void test_disagreement_in_time(void **state) {
        static struct snapshot s;
        const usec_t half = USEC_PER_SEC / 2;
        struct rig r;
        usec_t at;

        (void)state;
        start(&r);
        assert_relays(&r, true, true);
        bms_feedback(&r.bms, r.now, RELAY_LOAD, some(1), false);
        at = r.now + 7;
        bms_feedback(&r.bms, at, RELAY_LOAD, some(0), false); /* it fell off */
        assert_true(bms_deadline(&r.bms, at) == at + half);
        bms_tick(&r.bms, at + half - 1);
        assert_false(alarm_active(&r, ALARM_RELAY_OUTPUT));
        bms_tick(&r.bms, at + half);
        assert_true(alarm_active(&r, ALARM_RELAY_OUTPUT));
        assert_non_null(strstr(r.bms.alarms[ALARM_RELAY_OUTPUT].text, "the load relay does not obey"));
        bms_snapshot(&r.bms, at + half, &s);
        assert_true(s.deadman); /* a relay that does not close harms nobody */
        assert_true(bms_deadline(&r.bms, at + half) > at + half); /* and does not keep the loop turning */

        start(&r);
        bms_feedback(&r.bms, r.now, RELAY_LOAD, some(1), false);
        bms_port_lost(&r.bms, r.now);
        assert_relays(&r, false, false); /* commanded open now, and it does not move */
        at = r.now;
        assert_true(bms_deadline(&r.bms, at) == at + half);
        bms_tick(&r.bms, at + half - 1);
        bms_snapshot(&r.bms, at + half - 1, &s);
        assert_true(s.deadman);
        bms_tick(&r.bms, at + half);
        assert_true(alarm_active(&r, ALARM_RELAY_OUTPUT));
        bms_snapshot(&r.bms, at + half, &s);
        assert_false(s.deadman); /* the outer contactor must drop */
        bms_feedback(&r.bms, at + half + 1, RELAY_LOAD, some(0), false);
        bms_snapshot(&r.bms, at + half + 1, &s);
        assert_true(s.deadman);
        assert_false(alarm_active(&r, ALARM_RELAY_OUTPUT));
}

/* Design 6: the heartbeat goes on while the coils obey, also while stale; a feedback input alone is no coil. */
static void test_heartbeat_and_coils(void **state) {
        static struct snapshot s;
        struct rig r;

        (void)state;
        start(&r);
        bms_relay_fault(&r.bms, r.now, "charge relay: feedback: in use", false);
        bms_snapshot(&r.bms, r.now, &s);
        assert_true(s.deadman && s.alarms[ALARM_RELAY_OUTPUT].active);
        bms_relay_fault(&r.bms, r.now, "charge relay: its chip is gone", true);
        bms_snapshot(&r.bms, r.now, &s);
        assert_false(s.deadman);
        bms_relay_fault(&r.bms, r.now, "", false);
        bms_tick(&r.bms, r.now + 10 * USEC_PER_SEC);
        bms_snapshot(&r.bms, r.now + 10 * USEC_PER_SEC, &s);
        assert_int_equal(s.link, LINK_STALE);
        assert_true(s.deadman);
}

static void test_panel_fault(void **state) {
        struct rig r;

        (void)state;
        start(&r);
        bms_panel_fault(&r.bms, r.now, "info LED: GPIO line GPIO5 is in use by 'x'");
        assert_true(alarm_active(&r, ALARM_PANEL));
        assert_non_null(strstr(r.bms.alarms[ALARM_PANEL].text, "GPIO5"));
        assert_relays(&r, true, true);
        bms_panel_fault(&r.bms, r.now, "");
        assert_false(alarm_active(&r, ALARM_PANEL));
}

/* Role monitor decides nothing, and says so; a gateway that hears nothing recovers nothing. */
static void test_refusals(void **state) {
        struct settings s = series();
        struct bms_config config = {.role = ROLE_MONITOR, .cells = N, .mapped = {true, true}, .settings = s};
        struct rig r;

        (void)state;
        rig_init_with(&r, &s);
        assert_int_equal(bms_recover(&r.bms, r.now, 5, error, sizeof(error)), -ENOLINK);
        bms_init(&r.bms, r.now, &config);
        assert_int_equal(bms_recover(&r.bms, r.now, 5, error, sizeof(error)), -EPERM);
        assert_int_equal(bms_release(&r.bms, r.now, RELAY_LOAD, error, sizeof(error)), -EPERM);
        assert_int_equal(bms_soc_set(&r.bms, r.now, 5000, error, sizeof(error)), -EPERM);
        assert_int_equal(bms_accept_cells(&r.bms, r.now, error, sizeof(error)), -EPERM);
        assert_int_equal(bms_apply_settings(&r.bms, r.now, &s, error, sizeof(error)), -EPERM);
        assert_non_null(strstr(error, "monitor"));
}

/* Design 8: a damaged settings file. What is in force is not what the owner had set: no relay closes until he says
 * so. */
static void test_unconfirmed_settings(void **state) {
        struct settings s = rig_settings();
        struct rig r;

        (void)state;
        rig_init_with(&r, &s);
        assert_int_equal(bms_confirm_settings(&r.bms, r.now, error, sizeof(error)), -ENODATA);
        assert_non_null(strstr(error, "nothing to confirm"));
        bms_settings_fault(&r.bms, r.now, "settings.yaml: damaged", true);
        assert_true(alarm_active(&r, ALARM_SETTINGS));
        feed(&r, 20);
        assert_relays(&r, false, false);
        assert_true(holds(&r, RELAY_CHARGE, HOLD_SETTINGS) && holds(&r, RELAY_LOAD, HOLD_SETTINGS));
        assert_int_equal(bms_confirm_settings(&r.bms, r.now, error, sizeof(error)), 0);
        assert_relays(&r, false, false); /* P13: not in the same cycle */
        feed(&r, 1);
        assert_relays(&r, false, false);
        feed(&r, 1);
        assert_relays(&r, true, true);
        assert_int_equal(bms_confirm_settings(&r.bms, r.now, error, sizeof(error)), -ENODATA);

        /* A card that cannot be written is an alarm, and holds nothing. */
        bms_settings_fault(&r.bms, r.now, "cannot be written", false);
        assert_true(alarm_active(&r, ALARM_SETTINGS));
        feed(&r, 2);
        assert_relays(&r, true, true);
        bms_settings_fault(&r.bms, r.now, "", false);
        assert_false(alarm_active(&r, ALARM_SETTINGS));
}

static void test_clearing_energy(void **state) {
        static const struct energy_sum earlier[_ENERGY_MAX] = {{1000, 5000, 0}, {2000, 6000, 0}, {0, 0, 0}, {0, 0, 0}};
        struct rig r;

        (void)state;
        rig_init(&r);
        assert_int_equal(bms_clear_energy(&r.bms, r.now, error, sizeof(error)), -ENODATA);
        assert_non_null(strstr(error, "not read yet"));
        energy_restore(&r.bms.energy, earlier);
        assert_int_equal(bms_clear_energy(&r.bms, r.now, error, sizeof(error)), 0);
        assert_int_equal(energy_total_mwh(&r.bms.energy, ENERGY_COLLECTED).value, 0);
        assert_int_equal(energy_today_mwh(&r.bms.energy, ENERGY_COLLECTED).value, 1000);
}

/* The OUT board's own: nothing to confirm or to clear here. */
static void test_no_such_commands_in_monitor(void **state) {
        struct settings s = rig_settings();
        struct bms_config config;
        struct rig r;

        (void)state;
        rig_init_with(&r, &s);
        config = r.bms.config;
        config.role = ROLE_MONITOR;
        bms_init(&r.bms, r.now, &config);
        energy_restore(&r.bms.energy, (struct energy_sum[_ENERGY_MAX]){{1, 2, 3}});
        assert_int_equal(bms_confirm_settings(&r.bms, r.now, error, sizeof(error)), -EPERM);
        assert_int_equal(bms_clear_energy(&r.bms, r.now, error, sizeof(error)), -EPERM);
        assert_int_equal(energy_total_mwh(&r.bms.energy, ENERGY_COLLECTED).value, 2);
}

/* 255 cells at 4.000 V are 1,020 V; a step of current is 125 mA. */
static void power_at(int in, int out, struct snapshot *ret_snapshot) {
        static struct compose_cell cells[CELLS_MAX];
        static struct bms bms;
        struct bms_config config = {.current_check = true, .cells = CELLS_MAX, .mapped = {true, true}};
        uint8_t bytes[COMPOSE_SIZE];
        usec_t now = USEC_PER_DAY;

        settings_init(&config.settings);
        bms_init(&bms, now, &config);
        for (int i = 0; i < CELLS_MAX; i++)
                cells[i] = (struct compose_cell){MV(4000), DEGC(25)};
        for (int i = 1; i <= 5; i++) {
                compose_frame(bytes, cells, CELLS_MAX, i, in, out);
                now += USEC_PER_SEC;
                assert_int_equal(1, bms_bytes(&bms, now, bytes, sizeof(bytes)));
        }
        bms_snapshot(&bms, now, ret_snapshot);
        assert_int_equal(1020000, ret_snapshot->pack_mv.value);
}

static void test_power_beyond_its_number(void **state) {
        static struct snapshot s;

        (void)state;
        power_at(16843, 0, &s); /* 2105.375 A * 1020 V = 2,147,482.5 W */
        assert_int_equal(2147482500, s.power_mw.value);
        power_at(16844, 0, &s); /* 2,147,610 W > 2^31 - 1 mW */
        assert_int_equal(INT32_MAX, s.power_mw.value);
        assert_int_equal(INT32_MAX, s.in_mw.value);
        power_at(65535, 0, &s);
        assert_int_equal(INT32_MAX, s.power_mw.value);
        power_at(0, 16843, &s);
        assert_int_equal(-2147482500, s.power_mw.value);
        power_at(0, 16844, &s);
        assert_int_equal(-INT32_MAX, s.power_mw.value);
        assert_int_equal(INT32_MAX, s.out_mw.value);
        power_at(0, 65535, &s);
        assert_int_equal(-INT32_MAX, s.power_mw.value);
        assert_true(s.power_mw.known);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unconfirmed_settings),
                cmocka_unit_test(test_clearing_energy),
                cmocka_unit_test(test_no_such_commands_in_monitor),
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_relay_events),
                cmocka_unit_test(test_recover_time),
                cmocka_unit_test(test_recover_ends_by_current),
                cmocka_unit_test(test_recover_ends_by_unknown_current),
                cmocka_unit_test(test_settings_under_a_conflict),
                cmocka_unit_test(test_soc_set_limits),
                cmocka_unit_test(test_sensor_types),
                cmocka_unit_test(test_settings_reach_soc),
                cmocka_unit_test(test_cells_reach_soc),
                cmocka_unit_test(test_two_of_three),
                cmocka_unit_test(test_hot_cell_with_least_room),
                cmocka_unit_test(test_full_while_discharging),
                cmocka_unit_test(test_feedback_at_start),
                cmocka_unit_test(test_shares_of_capacity),
                cmocka_unit_test(test_v_min_trips_without_capacity),
                cmocka_unit_test(test_three_v_max_openings),
                cmocka_unit_test(test_other_openings_are_no_imbalance),
                cmocka_unit_test(test_imbalance_names_its_cells),
                cmocka_unit_test(test_reasons_of_monitor),
                cmocka_unit_test(test_deadline),
                cmocka_unit_test(test_deadline_of_frozen_readings),
                cmocka_unit_test(test_current_sum),
                cmocka_unit_test(test_port),
                cmocka_unit_test(test_relay_fault),
                cmocka_unit_test(test_disagreement_in_time),
                cmocka_unit_test(test_heartbeat_and_coils),
                cmocka_unit_test(test_panel_fault),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_power_beyond_its_number),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
