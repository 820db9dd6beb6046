/* SPDX-License-Identifier: MIT */

/* What fails on a board's analog side must show as unknown and as bit 2, never as a reading (chain.md R8):
 * each fault in turn on one board of four that run the real images, and its end.
 *
 *   analog IN_IMAGE CELL_IMAGE */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "listener.h"

#define CELLS 4
#define FAULTY 3
#define SEEN_S 8.0 /* bypass faults take three looks; each detail comes once in four */

struct run {
        struct boards *boards;
        struct listener last;
        uint16_t voltage, temperature; /* the faulty board's detail, as last heard */
        uint16_t lowest_voltage, lowest_temperature, pack_voltage;
        uint8_t count;
        bool doubt, heard;
        unsigned frames, failures;
};

static void on_last(void *user, const struct message *m) {
        struct run *r = user;
        const uint8_t *f = m->bytes;

        if (m->n != FRAME_SIZE || frame_checksum(f) != f[FRAME_OFF_CHECKSUM])
                return;
        r->frames++;
        r->count = f[FRAME_OFF_COUNT];
        r->doubt = f[FRAME_OFF_STATUS] & FRAME_STATUS_COMMUNICATION_ERROR;
        r->pack_voltage = (uint16_t)frame_get24(f + FRAME_OFF_PACK_VOLTAGE);
        r->lowest_voltage = frame_get16(f + FRAME_OFF_LOWEST_VOLTAGE);
        r->lowest_temperature = frame_get16(f + FRAME_OFF_LOWEST_TEMPERATURE);
        if (f[FRAME_OFF_DETAIL_CELL] != FAULTY)
                return;
        r->heard = true;
        r->voltage = frame_get16(f + FRAME_OFF_DETAIL_VOLTAGE);
        r->temperature = frame_get16(f + FRAME_OFF_DETAIL_TEMPERATURE);
}

static void go(struct run *r, double seconds) {
        double until = r->boards->now + seconds;

        while (r->boards->now < until) {
                boards_run(r->boards, fmin(until, r->boards->now + 0.05));
                listener_poll(&r->last, r->boards->now);
        }
}

static void say(struct run *r, bool good, const char *what, const char *how) {
        r->failures += !good;
        printf("%s %s: %s%s, voltage %u, temperature %u, sum %u, %u boards\n", good ? "ok" : "not ok", what,
               how, r->doubt ? ", bit 2" : "", r->voltage, r->temperature, r->pack_voltage, r->count);
}

/* Cells of 3.300 V and 25 degC; the faulty board's would be neither the lowest nor the highest. */
static bool sound(const struct run *r) {
        return r->heard && r->count == CELLS && !r->doubt && r->voltage >= 659 && r->voltage <= 661 &&
               r->temperature >= 300 && r->temperature <= 302;
}

static void fault(struct run *r, const char *what, const char *how, bool voltage, bool temperature) {
        char line[100], answer[4000];
        bool good;

        (void)snprintf(line, sizeof(line), "%s %u %s", what, FAULTY, how);
        if (command_run(r->boards, line, answer, sizeof(answer)) < 0) {
                printf("not ok %s: %s\n", line, answer);
                r->failures++;
                return;
        }
        r->heard = false;
        go(r, SEEN_S);
        good = r->heard && r->count == CELLS && r->doubt;
        good = good && (voltage ? r->voltage >= 659 && r->voltage <= 661 : r->voltage == 0);
        good = good && (temperature ? r->temperature >= 300 && r->temperature <= 302 : r->temperature == 0);
        /* Nobody took the unknown for an extreme, and it was not added. */
        good = good && r->lowest_voltage >= 639 && r->lowest_voltage <= 641 && r->lowest_temperature >= 290;
        good = good && abs(r->pack_voltage - (640 + 660 + 680 + (voltage ? 660 : 0))) <= 4;
        say(r, good, line, "shows");
}

static void mend(struct run *r, const char *what) {
        char line[100], answer[4000];

        (void)snprintf(line, sizeof(line), "%s %u sound", what, FAULTY);
        (void)command_run(r->boards, line, answer, sizeof(answer));
        r->heard = false;
        go(r, SEEN_S);
        say(r, sound(r), line, "is over");
}

int main(int argc, char **argv) {
        struct chain_test test = {
                .cells = CELLS, .configured = CELLS, .seed = 1, .spread = 0.05, .noise_lsb = 0.5};
        static const double volts[CELLS] = {3.2, 3.3, 3.3, 3.4}, degc[CELLS] = {20, 25, 25, 30};
        struct run r = {0};

        if (argc != 3)
                return 2;
        test.in_image = argv[1];
        test.cell_image = argv[2];
        r.boards = chain_test_make(&test);
        for (unsigned i = 0; i < CELLS; i++)
                boards_cell(r.boards, i + 1, volts[i], degc[i]);
        r.last = (struct listener){.heard = on_last, .user = &r};
        listener_on_board(&r.last, r.boards->board[CELLS]);
        go(&r, 15);
        say(&r, sound(&r), "at first", "sound");

        fault(&r, "analog", "ntc-open", true, false);
        mend(&r, "analog");
        fault(&r, "analog", "ntc-short", true, false);
        mend(&r, "analog");
        fault(&r, "analog", "reference-dead", false, false);
        mend(&r, "analog");
        fault(&r, "analog", "reference-double", false, false);
        mend(&r, "analog");
        fault(&r, "analog", "divider-open", false, true);
        mend(&r, "analog");
        fault(&r, "bypass", "stuck", true, true);
        mend(&r, "bypass");

        boards_free(r.boards);
        return r.failures ? 1 : 0;
}
