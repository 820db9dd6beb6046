/* SPDX-License-Identifier: MIT */

/* What is kept of error-free frames: details, V-bypass and mode once believed (B9), frozen readings (B12),
 * bypassing cells (P7). Missing cells: test-pack-missing.c. */

#include "pack-rig.h"

/* details */

static void test_detail(void **state) {
        struct rig r;
        struct frame f = frame_of(16, 5);

        (void) state;
        start(&r);
        assert_int_equal(r.pack.frame_at, 0);
        send(&r, f);
        const struct cell *c = &r.pack.cells[5];
        expect_maybe(c->voltage_mv, some(3305));
        expect_maybe(c->temperature_decic, some(205));
        assert_int_equal(c->at, T0 + S);
        assert_int_equal(r.pack.frame_at, T0 + S);
        assert_int_equal(r.pack.count, 16);
        assert_int_equal(r.pack.frame.lowest_mv, 3300);
        assert_int_equal(r.pack.cells[4].at, 0);
        expect_maybe(r.pack.cells[4].voltage_mv, none());

        f.detail_mv = 0; /* no reading: the old one stays, with its age */
        f.detail_decic = 999;
        send(&r, f);
        expect_maybe(c->voltage_mv, some(3305));
        expect_maybe(c->temperature_decic, some(205));
        assert_int_equal(c->at, T0 + S);

        f.detail_mv = 3320; /* a reading without a temperature */
        f.detail_temperature_known = false;
        send(&r, f);
        expect_maybe(c->voltage_mv, some(3320));
        expect_maybe(c->temperature_decic, none());
        assert_int_equal(c->at, T0 + 3 * S);
}

/* B4: 0 and numbers above the count carry none. */
static void test_no_detail(void **state) {
        static const uint8_t numbers[] = {0, 6, 8, 255};
        struct rig r;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                start(&r);
                send(&r, frame_of(5, numbers[i]));
                for (unsigned k = 0; k <= CELLS_MAX; k++)
                        assert_int_equal(r.pack.cells[k].at, 0);
        }
        start(&r);
        send(&r, frame_of(5, 5));
        assert_int_equal(r.pack.cells[5].at, T0 + S);
}

static void test_forget(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        for (uint8_t k = 1; k <= 16; k++)
                send(&r, frame_of(16, k));
        r.pack.cells[3].over_tmax_run = 2; /* protection's: left alone by frames */
        send(&r, frame_of(16, 3));
        assert_int_equal(r.pack.cells[3].over_tmax_run, 2);

        send(&r, frame_of(15, 1)); /* another count: the numbers may mean other cells now */
        assert_int_equal(r.pack.count, 15);
        assert_int_equal(r.pack.cells[1].at, r.now);
        assert_int_equal(r.pack.cells[3].at, 0);
        assert_int_equal(r.pack.cells[3].over_tmax_run, 0);
        expect_maybe(pack_v_bypass_mv(&r.pack), some(3400));

        pack_forget_cells(&r.pack);
        expect_maybe(r.pack.cells[1].voltage_mv, none());
        assert_int_equal(pack_missing_cell(&r.pack), 0);
}

/* B9: V-bypass */

static void test_v_bypass_values(void **state) {
        /* the manual's table, by option switches 2, 6, 7 */
        static const uint32_t good[] = {3400, 3500, 3600, 3700, 4000, 4100, 4200, 4300};
        unsigned believed = 0;
        struct rig r;

        (void) state;
        for (uint32_t mv = 0; mv <= 5100; mv += 5) {
                bool want = false;
                for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                        want = want || mv == good[i];
                start(&r);
                send_bypass(&r, mv);
                send_bypass(&r, mv);
                expect_maybe(pack_v_bypass_mv(&r.pack), none());
                send_bypass(&r, mv);
                expect_maybe(pack_v_bypass_mv(&r.pack), want ? some((int32_t) mv) : none());
                believed += want;
        }
        assert_int_equal(believed, 8);
}

static void test_v_bypass_changes(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        for (int i = 0; i < 3; i++)
                send_bypass(&r, 3400);
        for (int i = 0; i < 2; i++)
                send_bypass(&r, 3600);
        expect_maybe(pack_v_bypass_mv(&r.pack), some(3400));
        send_bypass(&r, 3600);
        expect_maybe(pack_v_bypass_mv(&r.pack), some(3600));

        for (int i = 0; i < 10; i++) { /* never three in a row */
                send_bypass(&r, 3400);
                send_bypass(&r, 3400);
                send_bypass(&r, i % 2 ? 3600 : 0);
        }
        expect_maybe(pack_v_bypass_mv(&r.pack), some(3600));

        for (int i = 0; i < 10; i++) /* nonsense changes nothing */
                send_bypass(&r, 3450);
        expect_maybe(pack_v_bypass_mv(&r.pack), some(3600));
}

static void test_confirm_frames(void **state) {
        struct frame f = frame_of(16, 1);
        uint8_t bytes[FRAME_SIZE];
        struct pack p;

        (void) state;
        frame_encode(&f, TEMPERATURE_SHEET, bytes);
        for (unsigned confirm = 1; confirm <= 4; confirm++) {
                pack_init(&p);
                for (unsigned i = 1; i <= confirm; i++) {
                        pack_frame(&p, T0 + i * S, S, confirm, &f, bytes);
                        assert_int_equal(pack_v_bypass_mv(&p).known, i == confirm);
                }
        }
}

/* B9: mode, pairs */

static void test_mode(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        expect_maybe(pack_critical_switch(&r.pack), none());
        for (int i = 0; i < 2; i++) {
                send_pair(&r, FRAME_KEY_SWITCHES, 0x10);
                send_pair(&r, FRAME_KEY_SENSOR_TYPE, 0); /* pairs in turn: other keys are no disagreement */
        }
        expect_maybe(pack_critical_switch(&r.pack), none());
        send_pair(&r, FRAME_KEY_SWITCHES, 0x10);
        expect_maybe(pack_critical_switch(&r.pack), some(1));

        send_pair(&r, FRAME_KEY_SWITCHES, 0);
        send_pair(&r, FRAME_KEY_SWITCHES, 0);
        expect_maybe(pack_critical_switch(&r.pack), some(1));
        send_pair(&r, FRAME_KEY_SWITCHES, 0x10);
        send_pair(&r, FRAME_KEY_SWITCHES, 0);
        send_pair(&r, FRAME_KEY_SWITCHES, 0);
        expect_maybe(pack_critical_switch(&r.pack), some(1));
        send_pair(&r, FRAME_KEY_SWITCHES, 0);
        expect_maybe(pack_critical_switch(&r.pack), some(0));

        r.now += 10 * USEC_PER_DAY; /* no longer sent: the last believed mode stays */
        send_bypass(&r, 3400);
        expect_maybe(pack_critical_switch(&r.pack), some(0));
        expect_maybe(pack_pair(&r.pack, r.now, FRAME_KEY_SWITCHES), none());
}

static void test_mode_is_switch_5(void **state) {
        struct rig r;

        (void) state;
        for (unsigned bit = 0; bit < 8; bit++) {
                start(&r);
                for (int i = 0; i < 3; i++)
                        send_pair(&r, FRAME_KEY_SWITCHES, (uint8_t) (1u << bit));
                expect_maybe(pack_critical_switch(&r.pack), some(bit + 1 == 5));
        }
}

static void test_pair_age(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        expect_maybe(pack_pair(&r.pack, r.now, 131), none());
        send_pair(&r, 131, 4);
        expect_maybe(pack_pair(&r.pack, r.now, 131), some(4));
        expect_maybe(pack_pair(&r.pack, r.now, 130), none());
        expect_maybe(pack_pair(&r.pack, r.now + 60 * S - 1, 131), some(4));
        expect_maybe(pack_pair(&r.pack, r.now + 60 * S, 131), none());
        expect_maybe(pack_pair(&r.pack, r.now + 60 * S + 1, 131), none());

        send_pair(&r, 0, 100); /* the smallest key and the largest */
        send_pair(&r, 230, 7);
        expect_maybe(pack_pair(&r.pack, r.now, 0), some(100));
        expect_maybe(pack_pair(&r.pack, r.now, 230), some(7));

        start(&r); /* old firmware: an hour is no key */
        for (int hour = 0; hour < 25; hour++)
                send_pair(&r, hour - FRAME_KEY_BIAS, 30);
        for (unsigned key = 0; key < 256; key++)
                expect_maybe(pack_pair(&r.pack, r.now, (uint8_t) key), none());
}

/* B12 */

static void test_frozen_boundary(void **state) {
        struct rig r;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                start(&r);
                assert_false(pack_frozen(&r.pack, r.now));
                assert_true(pack_frozen_deadline(&r.pack) == USEC_INFINITY);
                for (unsigned i = 0; i < 60; i++) /* the first at T0 + 1 s, the last 59 s later */
                        send(&r, frame_of(16, (uint8_t) (i % 16 + 1)));
                usec_t limit = T0 + S + 60 * S;
                assert_true(pack_frozen_deadline(&r.pack) == limit); /* no frame need come then */
                assert_false(pack_frozen(&r.pack, r.now));
                assert_int_equal(pack_frozen(&r.pack, limit + (usec_t) d), d >= 0);
                send_after(&r, S + (usec_t) d, frame_of(16, 1));
                assert_int_equal(pack_frozen(&r.pack, r.now), d >= 0);
        }
}

/* Which bytes may change and still be frozen: 24..29, 47, 48, 57; every other one is a sign of life. */
static void test_frozen_bytes(void **state) {
        struct frame f = frame_of(16, 1);

        (void) state;
        for (unsigned i = 0; i < FRAME_SIZE; i++) {
                bool by_itself = (i >= 24 && i <= 29) || i == 47 || i == 48 || i == 57;
                uint8_t bytes[FRAME_SIZE];
                struct pack p;

                pack_init(&p);
                frame_encode(&f, TEMPERATURE_SHEET, bytes);
                for (unsigned t = 0; t <= 60; t++) {
                        bytes[i] = (uint8_t) (bytes[i] + (t == 30));
                        pack_frame(&p, T0 + t * S, S, CONFIRM, &f, bytes);
                }
                assert_int_equal(pack_frozen(&p, T0 + 60 * S), by_itself);
        }
}

/* A cell's own detail that differs from what it was a rotation ago is a sign of life, in voltage and in temperature. */
static void test_frozen_detail(void **state) {
        (void) state;
        for (int what = 0; what < 3; what++) {
                struct rig r;

                start(&r);
                for (unsigned t = 0; t <= 60; t++) {
                        struct frame f = frame_of(4, (uint8_t) (t % 4 + 1));

                        f.detail_mv += what == 1 && t >= 30 ? 5 : 0;
                        f.detail_decic += what == 2 && t >= 30 ? 10 : 0;
                        send_after(&r, S, f);
                }
                assert_int_equal(pack_frozen(&r.pack, r.now), what == 0);
        }
}

/* The minute may end up to 3.5 s after the newest frame, not later. */
static void test_frozen_after_the_newest_frame(void **state) {
        struct rig r;

        (void) state;
        for (int d = -1; d <= 1; d++) {
                usec_t end;

                start(&r);
                send(&r, frame_of(16, 1));
                end = r.now + 60 * S;
                for (unsigned i = 0; i < 55; i++)
                        send(&r, frame_of(16, (uint8_t) (i % 16 + 1)));
                send_after(&r, 1500 * MS + (usec_t) d, frame_of(16, 1)); /* 56.5 s after the first */
                assert_true(pack_frozen_deadline(&r.pack) == (d >= 0 ? end : USEC_INFINITY));
        }
}

static void test_frozen_recovers(void **state) {
        struct rig r;
        struct frame f = frame_of(16, 1);

        (void) state;
        start(&r);
        for (int i = 0; i < 100; i++)
                send(&r, f);
        assert_true(pack_frozen(&r.pack, r.now));
        f.sum.ma += 125;
        send(&r, f);
        assert_false(pack_frozen(&r.pack, r.now));
}

/* Silence is no standing still, neither after the newest frame nor between two equal ones. */
static void test_silence_is_not_frozen(void **state) {
        struct rig r;

        (void) state;
        start(&r);
        for (int i = 0; i < 50; i++)
                send(&r, frame_of(16, 1));
        assert_false(pack_frozen(&r.pack, r.now + USEC_PER_HOUR));
        assert_true(pack_frozen_deadline(&r.pack) == USEC_INFINITY);
        send_after(&r, USEC_PER_HOUR, frame_of(16, 1));
        assert_false(pack_frozen(&r.pack, r.now));

        for (int d = 0; d <= 1; d++) { /* up to 3 periods is a lost message or two */
                start(&r);
                for (int i = 0; i < 50; i++)
                        send(&r, frame_of(16, 1));
                send_after(&r, 3 * S + (usec_t) d, frame_of(16, 1));
                for (int i = 0; i < 10; i++)
                        send(&r, frame_of(16, 1));
                assert_int_equal(pack_frozen(&r.pack, r.now), d == 0);
        }
}

/* P7 */

static void believe_bypass(struct rig *r) {
        start(r);
        for (int i = 0; i < 3; i++)
                send(r, frame_of(5, 1));
        expect_maybe(pack_v_bypass_mv(&r->pack), some(3400));
        for (unsigned k = 0; k <= CELLS_MAX; k++)
                assert_false(pack_cell_bypassing(&r->pack, r->now, (uint8_t) k));
}

static unsigned bypassing_set(const struct rig *r, usec_t now) {
        unsigned set = 0;

        for (uint8_t k = 0; k <= 5; k++)
                set |= (unsigned) pack_cell_bypassing(&r->pack, now, k) << k;
        return set;
}

static void test_bypassing(void **state) {
        static const struct {
                uint32_t lowest, highest, detail;
                uint8_t highest_cell, detail_cell;
                unsigned set; /* bit k: cell k */
        } rows[] = {
                {3390, 3395, 3395, 2, 4, 0},
                {3390, 3400, 3400, 0, 4, 1 << 4}, /* by its detail */
                {3390, 3400, 3395, 2, 4, 1 << 2}, /* as the named highest */
                {3390, 3405, 3405, 2, 4, 1 << 2 | 1 << 4},
                {3395, 3405, 3395, 5, 4, 1 << 5},
                {3400, 3400, 3400, 2, 4, 0x3E}, /* all of them */
                {3390, 3405, 3405, 0, 4, 1 << 4}, /* the highest has no name (chain.md R6) */
                {3390, 3405, 3405, 2, 0, 1 << 2},
                {3390, 3405, 3405, 2, 6, 1 << 2}, /* a detail of a cell there is not */
                {3390, 3405, 3405, 6, 4, 1 << 4},
        };
        struct rig r;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct frame f = frame_of(5, rows[i].detail_cell);

                believe_bypass(&r);
                f.lowest_mv = rows[i].lowest;
                f.highest_mv = rows[i].highest;
                f.highest_voltage_cell = rows[i].highest_cell;
                f.detail_mv = rows[i].detail;
                send(&r, f);
                assert_int_equal(bypassing_set(&r, r.now), 0); /* one frame is not believed (B8) */
                send(&r, f);
                assert_int_equal(bypassing_set(&r, r.now), rows[i].set);
                assert_int_equal(bypassing_set(&r, r.now + 10 * USEC_PER_MINUTE - 1), rows[i].set);
                assert_int_equal(bypassing_set(&r, r.now + 10 * USEC_PER_MINUTE), 0);
                assert_int_equal(bypassing_set(&r, r.now + 10 * USEC_PER_MINUTE + 1), 0);
        }
}

/* B8: what the frame before must have said. Each row: highest and its cell, lowest, in two frames; all
 * details of cell 4 at V-bypass. */
static void test_bypassing_takes_two_frames(void **state) {
        static const struct {
                struct {
                        uint32_t highest, lowest;
                        uint8_t cell;
                } frames[2];
                unsigned set;
        } rows[] = {
                {{{3400, 3390, 2}, {3400, 3390, 2}}, 1 << 2 | 1 << 4},
                {{{3395, 3390, 2}, {3400, 3390, 2}}, 0},
                {{{3400, 3390, 2}, {3395, 3390, 2}}, 0},      /* what is kept does not last */
                {{{3400, 3390, 3}, {3400, 3390, 2}}, 1 << 4}, /* another cell: the detail alone */
                {{{3400, 3395, 2}, {3400, 3400, 2}}, 1 << 2 | 1 << 4},
                {{{3400, 3400, 2}, {3400, 3395, 2}}, 1 << 2 | 1 << 4},
                {{{3400, 3400, 2}, {3400, 3400, 2}}, 0x3E},
        };
        struct rig r;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                believe_bypass(&r);
                for (int k = 0; k < 2; k++) {
                        struct frame f = frame_of(5, 4);

                        f.highest_mv = rows[i].frames[k].highest;
                        f.highest_voltage_cell = rows[i].frames[k].cell;
                        f.lowest_mv = rows[i].frames[k].lowest;
                        f.detail_mv = f.highest_mv;
                        send(&r, f);
                }
                assert_int_equal(bypassing_set(&r, r.now), rows[i].set);
        }
}

/* P7: a cell's own detail, also the last cell's; not one beyond it. The highest cell is another each time. */
static void test_bypassing_by_detail(void **state) {
        static const uint8_t cells[] = {1, 2, 4};
        struct rig r;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
                struct frame f = frame_of(4, 0);

                start(&r);
                for (int n = 0; n < CONFIRM; n++)
                        send(&r, f);
                f.highest_mv = 3400;
                f.highest_voltage_cell = 3;
                send(&r, f);
                f.highest_voltage_cell = f.detail_cell = cells[i];
                f.detail_mv = 3400;
                send(&r, f);
                for (uint8_t cell = 1; cell <= 5; cell++)
                        assert_int_equal(pack_cell_bypassing(&r.pack, r.now, cell), cell == cells[i]);
                f.highest_voltage_cell = 3;
                f.detail_cell = 5;
                send(&r, f);
                assert_false(pack_cell_bypassing(&r.pack, r.now, 5));
        }
}

static void test_bypassing_is_prolonged(void **state) {
        struct frame f = frame_of(5, 4);
        struct rig r;

        (void) state;
        believe_bypass(&r);
        f.detail_mv = f.highest_mv = 3400;
        f.highest_voltage_cell = 4;
        send(&r, f);
        send(&r, f);
        send_after(&r, 9 * USEC_PER_MINUTE, f);
        usec_t last = r.now;
        send_after(&r, 9 * USEC_PER_MINUTE, frame_of(5, 4)); /* below again: the time runs on */
        assert_int_equal(bypassing_set(&r, last + 10 * USEC_PER_MINUTE - 1), 1 << 4);
        assert_int_equal(bypassing_set(&r, last + 10 * USEC_PER_MINUTE), 0);
}

static void test_bypassing_needs_a_believed_v_bypass(void **state) {
        struct frame f = frame_of(5, 4);
        struct rig r;

        (void) state;
        start(&r);
        f.lowest_mv = f.highest_mv = f.detail_mv = 4500;
        send(&r, f);
        send(&r, f);
        assert_int_equal(bypassing_set(&r, r.now), 0);
        send(&r, f); /* this one makes it believed */
        assert_int_equal(bypassing_set(&r, r.now), 0x3E);

        believe_bypass(&r); /* a value still to be believed decides nothing */
        f = frame_of(5, 4);
        f.v_bypass_mv = 3600;
        f.detail_mv = f.highest_mv = 3500;
        f.highest_voltage_cell = 4;
        send(&r, f);
        send(&r, f);
        assert_int_equal(bypassing_set(&r, r.now), 1 << 4);
        pack_forget_cells(&r.pack);
        send(&r, f); /* 3600 mV is believed with this frame */
        send(&r, f);
        pack_forget_cells(&r.pack);
        send(&r, f);
        assert_int_equal(bypassing_set(&r, r.now), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_detail),
                cmocka_unit_test(test_no_detail),
                cmocka_unit_test(test_forget),
                cmocka_unit_test(test_v_bypass_values),
                cmocka_unit_test(test_v_bypass_changes),
                cmocka_unit_test(test_confirm_frames),
                cmocka_unit_test(test_mode),
                cmocka_unit_test(test_mode_is_switch_5),
                cmocka_unit_test(test_pair_age),
                cmocka_unit_test(test_frozen_boundary),
                cmocka_unit_test(test_frozen_bytes),
                cmocka_unit_test(test_frozen_detail),
                cmocka_unit_test(test_frozen_after_the_newest_frame),
                cmocka_unit_test(test_frozen_recovers),
                cmocka_unit_test(test_silence_is_not_frozen),
                cmocka_unit_test(test_bypassing),
                cmocka_unit_test(test_bypassing_takes_two_frames),
                cmocka_unit_test(test_bypassing_by_detail),
                cmocka_unit_test(test_bypassing_is_prolonged),
                cmocka_unit_test(test_bypassing_needs_a_believed_v_bypass),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
