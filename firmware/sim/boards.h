/* SPDX-License-Identifier: MIT */
#pragma once

/* A whole chain of boards that run the real images: IN, the cell boards in their order, and the ring return
 * from the last one to IN. All chips advance together in slices shorter than a character on the wire, so
 * whatever a board sends is known to its receiver in time, in whichever order the boards are wired. */

#include <stdbool.h>
#include <stddef.h>

#include "board.h"

#define BOARDS_MAX 255

struct boards_config {
        const char *in_image, *cell_image;
        unsigned cells; /* boards, IN included: 1..255 */
        uint64_t seed;
        double spread;   /* of the RC oscillators from the factory: 0.1 = evenly within +-10 % */
        double per_degc; /* their temperature coefficient, at random within +- this */
        double per_volt;
        double noise_lsb;  /* of the ADCs */
        double power_on_s; /* boards get power at random within this */
        double ambient_c;  /* 25 */
};

struct boards {
        struct boards_config config;
        struct mcu_image in_image, cell_image;
        struct rng rng;
        double now;
        unsigned n;
        struct board *board[BOARDS_MAX + 1]; /* by number, 1.. */
        double power_at[BOARDS_MAX + 1];

        bool modelled;
        double current_a, stepped;
        double sensor_a; /* sensor 1 is there, of this type, and measures current_a; 0: sensors as set by hand
                          */
};

/* 0, or -Exxx with a sentence. */
int boards_new(const struct boards_config *config, struct boards **ret, char *ret_error, size_t size);
struct boards *boards_free(struct boards *c);

void boards_run(struct boards *c, double until);

/* Kills a board (no power; its output idles), or gives it power again. */
void boards_power(struct boards *c, unsigned number, bool on);

/* A cell as set by hand. */
void boards_cell(struct boards *c, unsigned number, double volts, double degc);

/* All cells by the battery model from now on. */
void boards_model(struct boards *c, double soc_percent, double capacity_ah, double spread_percent);

/* The current through modelled cells, and through sensor 1 if sensor_a says so. Charging is positive. */
void boards_current(struct boards *c, double ampere);

/* The line that a board's output feeds: the one after it, or the ring return for the last. */
struct line *boards_line(struct boards *c, unsigned number);

/* What one sends goes where the other's went, and back. */
void boards_swap(struct boards *c, unsigned a, unsigned b);

/* Bit errors on every line. */
void boards_errors(struct boards *c, double rate);

/* EEPROMs, 1024 bytes for each board one after the other; 0 or -errno. A file that is not there: blank. */
int boards_load_eeprom(struct boards *c, const char *path);
int boards_save_eeprom(const struct boards *c, const char *path);
