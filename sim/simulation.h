/* SPDX-License-Identifier: MIT */
#pragma once

/* The whole simulated pack without the outside: cells, charger, consumers, sensors, boards, faults. Time
 * passes only when told to, so the same configuration, commands and relay positions give the same bytes.
 * Knows no file descriptor, clock or bus. */

#include "cell.h"
#include "chain.h"
#include "faults.h"
#include "out-board.h"
#include "profile.h"
#include "rng.h"

enum simulation_board {
        BOARD_IN,  /* the IN board's extended data output, or the last board's output: role gateway */
        BOARD_OUT, /* a genuine OUT board behind the chain: role monitor */
};

enum simulation_tap {
        SIMULATION_TAP_IN,
        SIMULATION_TAP_LAST, /* no ring return, as with genuine boards: details rotate over the configured
                                number */
};

/* What one cell has of its own; NAN = drawn within the spread. */
struct cell_config {
        double capacity_ah, soc, resistance, temperature_c;
        double self_discharge; /* % a month */
};

struct simulation_config {
        int cells, configured; /* configured 0: as many as there are */
        double capacity_ah, soc, spread_percent, temperature_c, noise_mv;
        struct cell_model model;
        double ageing_percent;         /* of capacity lost; resistance grows with it */
        double self_discharge_percent; /* a month */
        uint64_t seed;
        struct profile profile;
        double charger_cell_v; /* the charger holds this voltage a cell; 0 = it knows none */
        double charge_c;       /* it gives the battery at most so many C; 0 = no such limit */
        bool fast, critical, blind_spot;
        int v_bypass_mv, sensor_type, sensors;
        enum temperature_coding coding;
        enum simulation_board board;
        enum simulation_tap tap;
        struct out_board_config out_board;
        struct cell_config own[CELLS_MAX + 1];
};

struct simulation {
        struct simulation_config config;
        usec_t now;
        uint64_t half; /* half cycles so far */
        struct sim_cell cells[CELLS_MAX + 1];
        struct reading readings[CELLS_MAX + 1];
        struct frame_current in, out, sum;
        uint8_t sensor_flags;
        double charge_a, load_a; /* what flows through the sensors */
        double unseen_a;         /* and past them */
        bool charge_closed, load_closed;
        struct chain chain;
        struct out_board out_board;
        struct faults faults;
        struct rng noise;
        bool have_last;
        uint8_t last_bytes[FRAME_SIZE];
        uint64_t frames;
        /* kept here only because they are too large for a stack frame */
        struct chain_input chain_input;
};

/* Sensible defaults: 16 cells of 100 Ah at 50 %, 10 A in, 5 A out. */
void simulation_config_init(struct simulation_config *config);

/* 0, or -EINVAL with a sentence for a combination that cannot be. */
int simulation_config_check(const struct simulation_config *config, char *ret_error, size_t size);

void simulation_init(struct simulation *s, const struct simulation_config *config);

/* Half a message cycle, with the contacts in these positions. Returns how many bytes went out. */
size_t simulation_step(struct simulation *s, bool charge_closed, bool load_closed,
                       uint8_t ret_wire[FAULTS_WIRE_MAX]);

/* How long the next step lasts, in simulated time. */
usec_t simulation_step_usec(const struct simulation *s);

/* faults_add(), for a cell that is there. */
int simulation_fault(struct simulation *s, const char *spec, char *ret_answer, size_t size);

/* One line of a person or a test: a fault, "clear [NAME]", "charge AMPS", "load AMPS", "soc PERCENT [CELL]",
 * "status". 0 with an answer (may be ""), or -Exxx with a sentence. */
int simulation_command(struct simulation *s, const char *line, char *ret_answer, size_t size);

/* Mean true charge of the cells in %. */
double simulation_soc(const struct simulation *s);

/* What a gateway estimates: the charge that can be drawn until the first cell is empty, in % of what could be drawn
 * were every cell full. 100 only if every cell is full, as at a full sync; 0 when the first is empty, as at V-min. */
double simulation_pack_soc(const struct simulation *s);

/* What flows into the cells. */
static inline double simulation_battery_a(const struct simulation *s) {
        return s->charge_a - s->load_a - s->unseen_a;
}
