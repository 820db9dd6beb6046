/* SPDX-License-Identifier: MIT */
/* "The gap is stated" (design 3): time that neither SOC nor the energy counters know of is in the snapshot. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "bms.h"
#include "compose.h"

#define CELLS 4

struct rig {
        struct bms bms;
        struct snapshot snapshot;
        usec_t now;
        int detail;
};

static struct rig *start(enum role role) {
        struct bms_config config = {.role = role, .current_check = true, .cells = CELLS, .mapped = {true, true}};
        struct rig *r = calloc(1, sizeof(*r));

        assert_non_null(r);
        settings_init(&config.settings);
        config.settings.values[SETTING_CAPACITY] = some(1280);
        r->now = USEC_PER_SEC;
        bms_init(&r->bms, r->now, &config);
        return r;
}

static void frame_after(struct rig *r, usec_t wait) {
        static const struct compose_cell cells[CELLS] = {{660, 296}, {660, 296}, {660, 296}, {660, 296}};
        uint8_t bytes[COMPOSE_SIZE];

        r->now += wait;
        r->detail = r->detail % CELLS + 1;
        compose_frame(bytes, cells, CELLS, r->detail, 80, 40);
        assert_int_equal(bms_bytes(&r->bms, r->now, bytes, sizeof(bytes)), 1);
}

static void assert_gaps(struct rig *r, int64_t soc_msec, int64_t energy_msec) {
        bms_snapshot(&r->bms, r->now, &r->snapshot);
        assert_true(r->snapshot.soc_uncounted_msec.known);
        assert_int_equal(r->snapshot.soc_uncounted_msec.value, soc_msec);
        assert_true(r->snapshot.energy_gap_msec.known);
        assert_int_equal(r->snapshot.energy_gap_msec.value, energy_msec);
}

/* Up to 3 periods are counted; a longer gap is stated, by the SOC while it lasts, by the counters when it has ended. */
static void test_gap_is_stated(void **state) {
        struct rig *r = start(ROLE_GATEWAY);

        (void)state;
        for (int i = 0; i < 10; i++)
                frame_after(r, USEC_PER_SEC);
        assert_gaps(r, 0, 0);
        frame_after(r, 3 * USEC_PER_SEC);
        assert_gaps(r, 0, 0);
        r->now += 3 * USEC_PER_SEC + 1000;
        bms_tick(&r->bms, r->now);
        assert_gaps(r, 3001, 0);
        frame_after(r, 57 * USEC_PER_SEC);
        assert_gaps(r, 60001, 60001);
        for (int i = 0; i < 10; i++)
                frame_after(r, USEC_PER_SEC);
        frame_after(r, 5 * USEC_PER_SEC);
        assert_gaps(r, 65001, 65001);

        /* a sync ends it for the SOC: nothing from before it matters any more */
        assert_int_equal(bms_soc_set(&r->bms, r->now, 5000, r->snapshot.link_text, ALARM_TEXT_MAX), 0);
        assert_gaps(r, 0, 65001);
        free(r);
}

/* Role monitor: the board counts, and does not say what it misses. */
static void test_monitor_does_not_know(void **state) {
        struct rig *r = start(ROLE_MONITOR);

        (void)state;
        frame_after(r, USEC_PER_SEC);
        bms_snapshot(&r->bms, r->now, &r->snapshot);
        assert_false(r->snapshot.soc_uncounted_msec.known);
        assert_false(r->snapshot.energy_gap_msec.known);
        free(r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_gap_is_stated),
                cmocka_unit_test(test_monitor_does_not_know),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
