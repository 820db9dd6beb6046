/* SPDX-License-Identifier: MIT */

/* The simulated pack and the gateway's logic in one closed loop, without a daemon or a clock: its frames
 * decide about the relays, the relays about its currents. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bms.h"
#include "simulation.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define TICK_USEC (USEC_PER_SEC / 20)

struct loop {
        struct simulation_config config;
        struct simulation simulation;
        struct bms bms;
        usec_t now, next_step, last_sent;
};

static void start(struct loop *l, int cells, enum link_tap tap) {
        struct bms_config config = {
                .current_check = true,
                .tap = tap,
                .cells = (uint8_t)cells,
                .blind_spot_ma = 1000,
                .mapped = {true, true},
        };

        simulation_config_init(&l->config);
        l->config.cells = cells;
        l->config.tap = tap == TAP_IN ? SIMULATION_TAP_IN : SIMULATION_TAP_LAST;
        simulation_init(&l->simulation, &l->config);
        settings_init(&config.settings);
        l->now = l->next_step = USEC_PER_SEC; /* 0 means never */
        bms_init(&l->bms, l->now, &config);
}

static bool charge(const struct loop *l) {
        return bms_relay_closed(&l->bms, RELAY_CHARGE);
}

static bool load(const struct loop *l) {
        return bms_relay_closed(&l->bms, RELAY_LOAD);
}

static void tick(struct loop *l) {
        uint8_t wire[FAULTS_WIRE_MAX];

        if (l->now >= l->next_step) {
                usec_t step = simulation_step_usec(&l->simulation);
                size_t n = simulation_step(&l->simulation, charge(l), load(l), wire);

                l->next_step += step;
                if (n > 0) {
                        (void)bms_bytes(&l->bms, l->now, wire, n);
                        l->last_sent = l->now;
                }
        }
        bms_tick(&l->bms, l->now);
        l->now += TICK_USEC;
}

static void run(struct loop *l, unsigned seconds) {
        for (usec_t end = l->now + seconds * USEC_PER_SEC; l->now < end;)
                tick(l);
}

static void command(struct loop *l, const char *line) {
        char answer[160];

        if (simulation_command(&l->simulation, line, answer, sizeof(answer)) < 0)
                fail_msg("%s: %s", line, answer);
}

/* A fault begins, both relays open in time (design 12, slow messages), and close again after it by themselves. */
static void test_faults_end_open(void **state) {
        static const struct {
                const char *fault;
                enum link_tap tap;
                usec_t within_usec; /* after the last frame before the fault */
                const char *place;  /* in link_place()'s sentence; NULL: not looked at */
        } rows[] = {
                {"silence", TAP_IN, 3600000, NULL},
                {"garbage", TAP_IN, 3600000, NULL},
                {"checksum", TAP_IN, 3600000, NULL},
                {"truncate", TAP_IN, 3600000, NULL},
                {"cut=7", TAP_IN, 3600000, "board 7"},
                {"cut=1", TAP_LAST, 3600000, "IN board"},
                {"dead=12", TAP_IN, 3600000, "board 12"},
                {"return-lost", TAP_IN, 3600000, "ring return"},
                {"dead=1", TAP_IN, 3600000, "IN board"},
                {"board-fault=3", TAP_IN, 3600000, NULL},
                {"count=15", TAP_IN, 2100000, NULL}, /* 1.1 s after the first such frame */
                {"voltage=4,0.9", TAP_IN, 2100000, NULL},
                {"frozen", TAP_IN, 11100000, NULL},
                {"hot=2", TAP_IN, 2200000, NULL},
                {"cold=16", TAP_IN, 2200000, NULL},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct loop *l = calloc(1, sizeof(*l));
                char place[ALARM_TEXT_MAX];
                usec_t before;

                assert_non_null(l);
                start(l, 16, rows[i].tap);
                run(l, 20);
                if (!charge(l) || !load(l))
                        fail_msg("%s: not closed before", rows[i].fault);
                before = l->last_sent;
                command(l, rows[i].fault);
                while (charge(l) || load(l)) {
                        tick(l);
                        if (l->now - TICK_USEC > before + rows[i].within_usec)
                                fail_msg("%s: still closed", rows[i].fault);
                }
                run(l, 10);
                assert_false(charge(l) || load(l));
                link_place(&l->bms.link, place, sizeof(place));
                if (rows[i].place && !strstr(place, rows[i].place))
                        fail_msg("%s: '%s' does not name '%s'", rows[i].fault, place, rows[i].place);
                command(l, "clear");
                run(l, 90);
                if (!charge(l) || !load(l))
                        fail_msg("%s: not closed after", rows[i].fault);
                free(l);
        }
}

/* What only looks bad opens nothing. */
static void test_harmless(void **state) {
        static const char *const faults[] = {"noise=20", "flip=5", "checksum=4", "missing=5", "configured=255"};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
                struct loop *l = calloc(1, sizeof(*l));

                assert_non_null(l);
                start(l, 16, TAP_IN);
                run(l, 20);
                command(l, faults[i]);
                for (int tick_number = 0; tick_number < 120 * 20; tick_number++) {
                        tick(l);
                        if (!charge(l) || !load(l))
                                fail_msg("%s opened a relay", faults[i]);
                }
                free(l);
        }
}

/* Charging to the full sync opens the charge relay, and stops the current; the load then goes on. */
static void test_charged_full(void **state) {
        struct loop *l = calloc(1, sizeof(*l));
        char answer[300];

        (void)state;
        assert_non_null(l);
        start(l, 4, TAP_IN);
        command(l, "soc 99");
        command(l, "load 0");
        for (int minute = 0; minute < 60 && (minute == 0 || charge(l)); minute++)
                run(l, 60);
        assert_false(charge(l));
        assert_true(load(l));
        run(l, 2);
        assert_int_equal(simulation_command(&l->simulation, "status", answer, sizeof(answer)), 0);
        assert_non_null(strstr(answer, "charge_a=0.000"));
        assert_true(simulation_soc(&l->simulation) > 99.5);
        free(l);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_faults_end_open),
                cmocka_unit_test(test_harmless),
                cmocka_unit_test(test_charged_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
