/* SPDX-License-Identifier: MIT */
#pragma once

/* One board: the chip with what is soldered to it (firmware/hardware.h), and the cell it sits on. What the
 * chip's pins see is computed from the parts' values; what it switches is counted. Knows its neighbours only
 * as lines. */

#include <stdbool.h>
#include <stdint.h>

#include "cell.h"
#include "line.h"
#include "mcu.h"

#define BOARD_SWITCHES 8
#define BOARD_SENSORS 2
#define BOARD_BROWN_OUT_V 1.8

struct board;

/* The extended data output, heard as a UART would: a byte with its start bit's time. */
typedef void (*board_extended)(void *user, double start, double end, uint8_t byte, bool framing_error);

/* A UART that hears a pin. */
struct board_ear {
        bool level, busy;
        double start, worst_edge_s; /* how far an edge was from where it belongs */
        unsigned bit;
        uint16_t bits;
        uint64_t bytes, framing_errors;
        board_extended heard;
        void *user;
};

enum board_bypass_fault { BOARD_BYPASS_SOUND, BOARD_BYPASS_STUCK_ON, BOARD_BYPASS_OPEN };
enum board_analog_fault {
        BOARD_ANALOG_SOUND,
        BOARD_ANALOG_NTC_OPEN,
        BOARD_ANALOG_NTC_SHORT,
        BOARD_ANALOG_REFERENCE_DEAD,
        BOARD_ANALOG_REFERENCE_DOUBLE,
        BOARD_ANALOG_DIVIDER_OPEN,
};

/* How much a board's parts are off, as shares of their values. */
struct board_parts {
        double reference, divider, ntc;
};

struct board_seen {
        double since, led_s, bypass_s, supply_s, hall_s;
        unsigned flashes;
};

struct board {
        unsigned number; /* 1 = IN */
        struct mcu mcu;
        struct board *next; /* who hears what it sends */
        struct line line;   /* what it hears */
        struct board_parts parts;
        enum board_bypass_fault bypass_fault;
        enum board_analog_fault analog_fault;
        bool wanted; /* powered, if the cell has the voltage */

        bool modelled; /* the cell is sim/cell.h's; else volts and degc are as set */
        struct sim_cell cell;
        double volts, degc;

        bool is_in;
        bool switches[BOARD_SWITCHES];
        bool sensor_there[BOARD_SENSORS];
        double sensor_share[BOARD_SENSORS]; /* of the type's full current */
        struct board_ear ear;

        bool led, bypass, supply, hall;
        double led_since, bypass_since, supply_since, hall_since;
        struct board_seen seen;

        /* A look at everything it sends; may be NULL. */
        void (*tap)(void *user, const struct board *b, double start, double bit_s, uint8_t byte);
        void *tap_user;
        void (*led_tap)(void *user, const struct board *b, double time, bool on);
        void *led_user;
};

/* A board without power. 0 or -ENOMEM. The struct must not move. */
int board_init(struct board *b, unsigned number, bool is_in, const struct mcu_image *image, uint64_t seed);
void board_done(struct board *b);

/* The supply follows the cell: below BOARD_BROWN_OUT_V the chip stands in reset. Call after volts, degc or
 * wanted changed. */
void board_surroundings(struct board *b, double now);

/* Lets current flow through a modelled cell, and the board's bypass take its part. */
void board_step(struct board *b, double now, double current_a, double seconds);

/* Does current flow through the bypass stage? */
bool board_bypass_flows(const struct board *b);

/* The ear hears what has come up to now. */
void board_listen(struct board *b, double now);

/* Sums begin anew; sums up to now. */
void board_watch(struct board *b);
void board_account(struct board *b);
