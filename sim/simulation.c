/* SPDX-License-Identifier: MIT */
#include "simulation.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor.h"

#define CURRENT_NOISE 0.15 /* of a sensor's resolution */
#define HOURS_A_MONTH 730.0

/* Resistance gained for capacity lost (j): small in LiFePO4. */
#define AGEING_RESISTANCE 1.5

static double or_else(double own, double common) {
        return isnan(own) ? common : own;
}

/* Cells of one lot leak differently: half as much to half as much again. The spread that balancing works against. */
static void init_leaks(struct simulation *s) {
        const struct simulation_config *c = &s->config;
        struct rng rng;

        rng_init(&rng, c->seed, 4);
        for (int i = 1; i <= CELLS_MAX; i++) {
                double percent = c->self_discharge_percent * (1 + (c->spread_percent > 0 ? 0.5 * rng_even(&rng) : 0));

                s->cells[i].leak_a =
                        s->cells[i].capacity_ah * or_else(c->own[i].self_discharge, percent) / 100 / HOURS_A_MONTH;
        }
}

/* Draws for all 255, so that a cell stays the same one whatever the number of cells. */
static void init_cells(struct simulation *s) {
        const struct simulation_config *c = &s->config;
        double spread = c->spread_percent / 100;
        struct rng rng;

        rng_init(&rng, c->seed, 1);
        for (int i = 1; i <= CELLS_MAX; i++) {
                const struct cell_config *own = &c->own[i];
                double capacity = c->capacity_ah * (1 + spread * rng_even(&rng));
                double resistance = 1 + 3 * spread * rng_even(&rng);
                double soc = c->soc + c->spread_percent / 2 * rng_even(&rng);
                double ambient = c->temperature_c + (spread > 0 ? rng_even(&rng) : 0);

                s->cells[i] = (struct sim_cell){
                        .model = c->model,
                        .capacity_ah = or_else(own->capacity_ah, capacity * (1 - c->ageing_percent / 100)),
                        .resistance = or_else(own->resistance,
                                              resistance * (1 + c->ageing_percent / 100 * AGEING_RESISTANCE)),
                        .soc = or_else(own->soc, fmin(100, fmax(0, soc))),
                        .ambient_c = or_else(own->temperature_c, ambient),
                };
                s->cells[i].temperature_c = s->cells[i].core_c = s->cells[i].ambient_c;
        }
        init_leaks(s);
}

static int count_cells(const struct simulation *s) {
        const struct fault *fault = faults_find(&s->faults, s->now, FAULT_COUNT);

        return fault ? (int)fault->args[0] : s->config.cells;
}

usec_t simulation_step_usec(const struct simulation *s) {
        const struct fault *fault = faults_find(&s->faults, s->now, FAULT_PERIOD);
        bool fast = fault ? fault->args[0] < 1 : s->config.fast;

        return fast ? USEC_PER_SEC / 4 : USEC_PER_SEC / 2;
}

static bool is_stuck(const struct simulation *s, int relay) {
        for (size_t i = 0; i < s->faults.n; i++) {
                const struct fault *f = &s->faults.list[i];

                if (f->kind == FAULT_RELAY_STUCK && (int)f->args[0] == relay && f->start <= s->now &&
                    s->now < f->end)
                        return true;
        }
        return false;
}

/* A charger that holds a voltage gives only what brings the pack there, and none gives more than it may. */
static double limit_charge(const struct simulation *s, double charge_a, double taken_a) {
        double emf = 0, ohms = 0;
        int n = s->config.cells;

        if (s->config.charge_c > 0)
                charge_a = fmin(charge_a, s->config.charge_c * s->config.capacity_ah + taken_a);
        if (s->config.charger_cell_v <= 0)
                return charge_a;
        for (int i = 1; i <= n; i++) {
                emf += cell_emf(&s->cells[i]);
                ohms += cell_resistance(&s->cells[i], 1);
        }
        return fmax(0, fmin(charge_a, (s->config.charger_cell_v * n - emf) / ohms + taken_a));
}

static void flow(struct simulation *s, bool charge_closed, bool load_closed) {
        const struct fault *unseen = faults_find(&s->faults, s->now, FAULT_UNSEEN);

        s->charge_closed = charge_closed || is_stuck(s, 0);
        s->load_closed = load_closed || is_stuck(s, 1);
        s->unseen_a = unseen ? unseen->args[0] : 0;
        s->load_a = s->load_closed ? profile_load_a(&s->config.profile, s->now) : 0;
        s->charge_a = s->charge_closed ? profile_charge_a(&s->config.profile, s->now) : 0;
        s->charge_a = limit_charge(s, s->charge_a, s->load_a + s->unseen_a);
}

static struct reading read_cell(struct simulation *s, int i) {
        const struct fault *volts = faults_find_cell(&s->faults, s->now, FAULT_VOLTAGE, i), *degrees;
        bool fails = faults_find_cell(&s->faults, s->now, FAULT_BOARD_FAULT, i) != NULL;
        double v = cell_voltage(&s->cells[i], simulation_battery_a(s)), c = s->cells[i].temperature_c;
        double noise_v = s->config.noise_mv / 1000 * rng_normal(&s->noise);
        long steps;

        degrees = faults_find_cell(&s->faults, s->now, FAULT_HOT, i);
        if (!degrees)
                degrees = faults_find_cell(&s->faults, s->now, FAULT_COLD, i);
        if (!degrees)
                degrees = faults_find_cell(&s->faults, s->now, FAULT_TEMPERATURE, i);
        if (degrees)
                c = degrees->args[1];
        v = volts ? volts->args[1] : v + noise_v;
        steps = lround(v * 1000 / FRAME_VOLTAGE_STEP_MV);
        return (struct reading){
                .voltage_known = !fails && steps > 0,
                .temperature_known = !fails,
                .mv = steps > 0 ? (uint32_t)steps * FRAME_VOLTAGE_STEP_MV : 0,
                .decic = frame_temperature_decode(
                        frame_temperature_encode((int32_t)lround(c * 10), s->config.coding),
                        s->config.coding),
        };
}

/* What the sensor feels of a current: mounted either way round, with its errors. */
static double felt_a(const struct simulation *s, int sensor, double current_a) {
        const struct fault *gain = faults_find_cell(&s->faults, s->now, FAULT_SENSOR_GAIN, sensor);
        const struct fault *offset = faults_find_cell(&s->faults, s->now, FAULT_SENSOR_OFFSET, sensor);

        if (faults_find_cell(&s->faults, s->now, FAULT_SENSOR_REVERSED, sensor))
                current_a = -current_a;
        if (gain)
                current_a *= 1 + gain->args[1] / 100;
        return offset ? current_a + offset->args[1] : current_a;
}

static struct frame_current read_sensor(struct simulation *s, int sensor, double current_a) {
        const struct simulation_config *c = &s->config;
        double noise_a = c->noise_mv > 0 ? CURRENT_NOISE * sensor_resolution_ma(c->sensor_type) / 1000.0 : 0;
        struct frame_current reading;
        bool saturated;

        current_a = felt_a(s, sensor, current_a + noise_a * rng_normal(&s->noise));
        reading = sensor_reading(c->sensor_type, c->blind_spot, current_a, &saturated);
        if (saturated)
                s->sensor_flags |=
                        sensor == 1 ? CHAIN_FLAG_SENSOR_1_SATURATED : CHAIN_FLAG_SENSOR_2_SATURATED;
        if (faults_find_cell(&s->faults, s->now, FAULT_SENSOR_LOST, sensor))
                return (struct frame_current){.known = false};
        return reading;
}

/* I-sum = I1 - I2; = I1 when there is no second sensor; unknown without the first. */
static void read_currents(struct simulation *s) {
        s->sensor_flags = 0;
        if (s->config.sensors == 1) {
                s->in = read_sensor(s, 1, s->charge_a - s->load_a);
                s->out = (struct frame_current){.known = false};
        } else {
                s->in = read_sensor(s, 1, s->charge_a);
                s->out = read_sensor(s, 2, s->load_a);
        }
        s->sum = s->in;
        if (s->in.known && s->out.known)
                s->sum.ma += faults_find(&s->faults, s->now, FAULT_SUM) ? s->out.ma : -s->out.ma;
}

static void measure(struct simulation *s, int n) {
        if (s->half > 0 && faults_find(&s->faults, s->now, FAULT_FROZEN_READINGS))
                return;
        for (int i = 1; i <= n; i++)
                s->readings[i] = read_cell(s, i);
        read_currents(s);
}

static uint16_t v_bypass_mv(const struct simulation *s) {
        const struct fault *fault = faults_find(&s->faults, s->now, FAULT_V_BYPASS);

        return (uint16_t)(fault ? lround(fault->args[0] * 1000) : s->config.v_bypass_mv);
}

static bool is_critical(const struct simulation *s) {
        const struct fault *fault = faults_find(&s->faults, s->now, FAULT_MODE);

        return fault ? fault->args[0] > 0 : s->config.critical;
}

static uint8_t switches(const struct simulation *s) {
        int on = chain_bypass_switches(v_bypass_mv(s));

        on |= simulation_step_usec(s) < USEC_PER_SEC / 2 ? SWITCH_FAST : 0;
        on |= s->config.blind_spot ? SWITCH_BLIND_SPOT : 0;
        on |= is_critical(s) ? SWITCH_CRITICAL : 0;
        return (uint8_t)on;
}

static void mark_boards(const struct simulation *s, struct chain_input *in) {
        for (int i = 1; i <= in->cells; i++) {
                in->cut[i] = faults_find_cell(&s->faults, s->now, FAULT_CUT, i) != NULL;
                in->dead[i] = faults_find_cell(&s->faults, s->now, FAULT_DEAD, i) != NULL;
                in->silent[i] = faults_find_cell(&s->faults, s->now, FAULT_MISSING, i) != NULL;
        }
        if (faults_find(&s->faults, s->now, FAULT_RETURN_LOST))
                in->cut[in->cells] = true;
}

static void prepare(struct simulation *s, int n) {
        const struct fault *configured = faults_find(&s->faults, s->now, FAULT_CONFIGURED);
        struct chain_input *in = &s->chain_input;

        in->cells = n;
        in->configured = (uint8_t)(configured                 ? (int)configured->args[0]
                                   : s->config.configured > 0 ? s->config.configured
                                                              : s->config.cells);
        in->rotate_configured =
                configured || s->config.tap == SIMULATION_TAP_LAST || s->config.board == BOARD_OUT;
        in->in = s->in;
        in->out = s->out;
        in->sum = s->sum;
        in->switches = switches(s);
        in->sensor_type = (uint8_t)s->config.sensor_type;
        in->flags = s->sensor_flags;
        in->v_bypass_mv = v_bypass_mv(s);
        in->readings = s->readings;
        in->coding = s->config.coding;
        mark_boards(s, in);
}

/* The cells go on by themselves, whoever hears of it. */
static void pass_time(struct simulation *s, int n, usec_t step) {
        double seconds = (double)step / (double)USEC_PER_SEC;

        for (int i = 1; i <= n; i++) {
                int bypass_mv = i == 1 ? s->chain_input.v_bypass_mv : chain_v_bypass(&s->chain, i);

                if (s->chain_input.dead[i])
                        bypass_mv = 0;
                cell_switch_bypass(&s->cells[i], (int)s->readings[i].mv, bypass_mv);
                cell_step(&s->cells[i], simulation_battery_a(s), seconds);
        }
        s->now += step;
        s->half++;
}

/* The OUT board takes a frame only if its checksum holds. */
static const struct frame *out_board_hears(const struct simulation *s, const struct chain_output *o,
                                           struct frame *buffer) {
        if (!o->last_sent)
                return NULL;
        if (!o->damaged)
                return &o->last;
        if (o->last_bytes.size < FRAME_SIZE || !frame_decode(o->last_bytes.data, s->config.coding, buffer))
                return NULL;
        return buffer;
}

/* Which of the two outputs is listened to, with the OUT board behind it if there is one. *ret_bytes: what arrives of
 * it on a line with bit errors, NULL on a good one. */
static bool tap(struct simulation *s, const struct chain_output *o, struct frame *ret_frame,
                const struct chain_bytes **ret_bytes) {
        struct frame heard;

        *ret_bytes = NULL;
        if (s->config.board == BOARD_OUT)
                return out_board_step(&s->out_board, s->now, s->half, 2 * simulation_step_usec(s),
                                      out_board_hears(s, o, &heard), is_critical(s), ret_frame);
        if (s->config.tap == SIMULATION_TAP_LAST) {
                *ret_frame = o->last;
                *ret_bytes = o->damaged ? &o->last_bytes : NULL;
                return o->last_sent;
        }
        *ret_frame = o->extended;
        *ret_bytes = o->damaged ? &o->extended_bytes : NULL;
        return o->extended_sent;
}

static void turn_bits(struct simulation *s) {
        const struct fault *fault = faults_find(&s->faults, s->now, FAULT_BIT_ERRORS);

        chain_set_bit_errors(&s->chain, fault ? fault->args[0] : 0);
}

static size_t send_damaged(struct simulation *s, const struct chain_bytes *bytes,
                           uint8_t ret_wire[FAULTS_WIRE_MAX]) {
        if (faults_find(&s->faults, s->now, FAULT_SILENCE))
                return 0;
        memcpy(ret_wire, bytes->data, bytes->size);
        return bytes->size;
}

static size_t send_frame(struct simulation *s, const struct frame *frame, uint8_t ret_wire[FAULTS_WIRE_MAX]) {
        if (!s->have_last || !faults_find(&s->faults, s->now, FAULT_FROZEN))
                frame_encode(frame, s->config.coding, s->last_bytes);
        s->have_last = true;
        return faults_mangle(&s->faults, s->now, s->last_bytes, ret_wire);
}

size_t simulation_step(struct simulation *s, bool charge_closed, bool load_closed,
                       uint8_t ret_wire[FAULTS_WIRE_MAX]) {
        const struct chain_bytes *damaged;
        struct chain_output output;
        struct frame frame;
        size_t sent = 0;
        int n;

        faults_advance(&s->faults, s->now);
        n = count_cells(s);
        flow(s, charge_closed, load_closed);
        measure(s, n);
        prepare(s, n);
        turn_bits(s);
        chain_step(&s->chain, &s->chain_input, &output);
        if (tap(s, &output, &frame, &damaged)) {
                sent = damaged ? send_damaged(s, damaged, ret_wire) : send_frame(s, &frame, ret_wire);
                s->frames++;
        }
        pass_time(s, n, simulation_step_usec(s));
        return sent;
}

double simulation_soc(const struct simulation *s) {
        double sum = 0;

        for (int i = 1; i <= s->config.cells; i++)
                sum += s->cells[i].soc;
        return sum / s->config.cells;
}

double simulation_pack_soc(const struct simulation *s) {
        double left_ah = INFINITY, full_ah = INFINITY;

        for (int i = 1; i <= s->config.cells; i++) {
                const struct sim_cell *c = &s->cells[i];

                left_ah = fmin(left_ah, c->capacity_ah * fmin(100, fmax(0, c->soc)) / 100);
                full_ah = fmin(full_ah, c->capacity_ah);
        }
        return 100 * left_ah / full_ah;
}

void simulation_config_init(struct simulation_config *config) {
        *config = (struct simulation_config){
                .cells = 16,
                .capacity_ah = 100,
                .soc = 50,
                .spread_percent = 1,
                .temperature_c = 20,
                .noise_mv = 1,
                .seed = 1,
                .profile = {.kind = PROFILE_CONSTANT, .charge_a = 10, .load_a = 5, .start_hour = 8, .latitude = 52},
                .blind_spot = true,
                .v_bypass_mv = 3500,
                .sensor_type = 2, /* 100 A, the manual's default */
                .sensors = 2,
                .out_board = {.v_min_mv = 2800,
                              .v_max_mv = 3650,
                              .t_min_decic = 0,
                              .t_max_decic = 550,
                              .charge_restart_percent = 95,
                              .discharge_restart_percent = 20},
        };
        for (int i = 0; i <= CELLS_MAX; i++)
                config->own[i] = (struct cell_config){NAN, NAN, NAN, NAN, NAN};
}

int simulation_config_check(const struct simulation_config *c, char *ret_error, size_t size) {
        if (c->configured > 0 && c->configured < c->cells) {
                (void)snprintf(ret_error, size, "%d cells configured, but there are %d", c->configured,
                               c->cells);
                return -EINVAL;
        }
        for (int i = c->cells + 1; i <= CELLS_MAX; i++) {
                const struct cell_config *own = &c->own[i];

                if (isnan(own->capacity_ah) && isnan(own->soc) && isnan(own->resistance) &&
                    isnan(own->temperature_c) && isnan(own->self_discharge))
                        continue;
                (void)snprintf(ret_error, size, "cell %d has values of its own, but there are %d cells", i,
                               c->cells);
                return -EINVAL;
        }
        if (chain_bypass_switches(c->v_bypass_mv) < 0) {
                (void)snprintf(ret_error, size, "V-bypass is one of 3.4 3.5 3.6 3.7 4.0 4.1 4.2 4.3 V");
                return -EINVAL;
        }
        return 0;
}

void simulation_init(struct simulation *s, const struct simulation_config *config) {
        *s = (struct simulation){.config = *config};
        s->config.profile.seed = config->seed;
        s->config.out_board.start_hour = config->profile.start_hour;
        s->config.out_board.soc_percent = config->soc;
        s->config.out_board.capacity_wh = config->capacity_ah * 3.2 * config->cells;
        init_cells(s);
        chain_init(&s->chain, (uint16_t)config->v_bypass_mv, config->seed);
        out_board_init(&s->out_board, &s->config.out_board);
        faults_init(&s->faults, config->seed);
        rng_init(&s->noise, config->seed, 2);
}
