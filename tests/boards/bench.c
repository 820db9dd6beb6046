/* SPDX-License-Identifier: MIT */

/* One simulated cell board on a bench: behind an IN board, on a supply instead of a cell, its parts off by so
 * much. For calibrate.py.
 *
 *   bench IN_IMAGE CELL_IMAGE EEPROM REFERENCE DIVIDER VOLTS SECONDS
 *
 * EEPROM: a file of 1024 bytes for each of both boards, read and written. REFERENCE and DIVIDER: shares of
 * their values. Prints the voltage in 5 mV and the temperature that the board last said, and its status byte.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "listener.h"

#define BENCH 2 /* the board's number */

struct said {
        unsigned voltage, temperature, status;
};

static void on_last(void *user, const struct message *m) {
        struct said *said = user;

        if (m->n != FRAME_SIZE || frame_checksum(m->bytes) != m->bytes[FRAME_OFF_CHECKSUM] ||
            m->bytes[FRAME_OFF_DETAIL_CELL] != BENCH)
                return;
        said->voltage = frame_get16(m->bytes + FRAME_OFF_DETAIL_VOLTAGE);
        said->temperature = frame_get16(m->bytes + FRAME_OFF_DETAIL_TEMPERATURE);
        said->status = m->bytes[FRAME_OFF_STATUS];
}

int main(int argc, char **argv) {
        struct chain_test test = {
                .cells = BENCH, .configured = BENCH, .seed = 1, .spread = 0.05, .noise_lsb = 0.5};
        struct said said = {0};
        struct listener listener = {.heard = on_last, .user = &said};
        struct boards *c;
        double seconds;
        int r;

        if (argc != 8)
                return 2;
        test.in_image = argv[1];
        test.cell_image = argv[2];
        c = chain_test_make(&test);
        r = boards_load_eeprom(c, argv[3]);
        if (r < 0 && r != -ENOENT) {
                boards_free(c);
                return 1;
        }
        c->board[BENCH]->parts.reference = atof(argv[4]);
        c->board[BENCH]->parts.divider = atof(argv[5]);
        boards_cell(c, 1, 3.3, 25);
        boards_cell(c, BENCH, atof(argv[6]), 25);
        seconds = atof(argv[7]);
        listener_on_board(&listener, c->board[BENCH]);
        while (c->now < seconds) {
                boards_run(c, fmin(seconds, c->now + 0.05));
                listener_poll(&listener, c->now);
        }
        r = boards_save_eeprom(c, argv[3]);
        boards_free(c);
        printf("%u %u %u\n", said.voltage, said.temperature, said.status);
        return r < 0 ? 1 : 0;
}
