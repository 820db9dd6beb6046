/* SPDX-License-Identifier: MIT */
#pragma once

/* Who listens to a chain of boards: cuts what comes into messages by silence, knows what each must say, and
 * plays the vendor's reader. For the tests and proofs of whole chains. */

#include "boards.h"
#include "frame.h"

#define LISTENER_MAX 80
#define LISTENER_SILENCE_S 0.020 /* chain.md R1 */

struct message {
        uint8_t bytes[LISTENER_MAX];
        unsigned n; /* may be more than LISTENER_MAX */
        double start, end;
};

struct listener {
        struct message message;
        bool open;
        void (*heard)(void *user, const struct message *m);
        void *user;
        uint64_t messages;
};

/* A byte's start bit and its end; listener_poll() when time has passed. */
void listener_byte(struct listener *l, double start, double end, uint8_t byte);
void listener_poll(struct listener *l, double now);

/* Hangs a listener on what a board sends, or on the IN board's extended data output. */
void listener_on_board(struct listener *l, struct board *b);
void listener_on_extended(struct listener *l, struct board *in);

/* The vendor's reader (smartbms.py of Venus OS): each 0.2 s it takes what has come; 58 bytes exactly are a
 * message, nothing new for one look forgets what came before. */
struct vendor {
        unsigned waiting, index;
        double next;
        uint64_t messages, lost;
};
void vendor_byte(struct vendor *v, double end);
void vendor_poll(struct vendor *v, double now);

/* What is true of a chain whose cells keep still. */
struct truth {
        unsigned cells;
        uint16_t voltage[BOARDS_MAX + 1], temperature[BOARDS_MAX + 1]; /* as sent; 0 = not heard yet */
        unsigned known;
        uint32_t sum;
        uint16_t lowest_voltage, highest_voltage, lowest_temperature, highest_temperature;
        uint8_t lowest_voltage_cell, highest_voltage_cell, lowest_temperature_cell, highest_temperature_cell;
};

/* Cell numbers, with an own voltage and temperature by their number: extremes at several cells at once, so
 * that "strictly beyond" decides. */
double test_volts(unsigned cell);
double test_degc(unsigned cell);
void test_cells(struct boards *c);

/* Learns each cell's reading from the details, which must be within 20 mV and 5 degC of what the cell has;
 * computes the rest. */
bool truth_learn(struct truth *t, const struct boards *c, const uint8_t *frame);

/* Is all that boards say in this frame exactly so? Empty, or what is wrong. */
const char *truth_differs(const struct truth *t, const uint8_t *frame);

/* Checks that do not need the truth: size, checksum, bit 2, count. */
const char *message_unsound(const struct message *m, unsigned cells);

/* ---- a chain for a test ---- */

struct chain_test {
        const char *in_image, *cell_image;
        unsigned cells, configured;
        bool fast;
        uint64_t seed;
        double spread, per_degc, noise_lsb;
};

/* Makes it with cells as above and, if configured is not 0, that number of cells in the IN board's EEPROM.
 * Ends the program if it cannot. */
struct boards *chain_test_make(const struct chain_test *t);
