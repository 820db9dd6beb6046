/* SPDX-License-Identifier: MIT */
#include "chain.h"

#include <errno.h>

#include "chain-internal.h"

#define RETURN_LOST_AFTER 6 /* half cycles: R9's 3.0 cycles */
#define RETURN_RUN 3
#define BYPASS_CHOICES 8

static const struct {
        int mv;
        int switches;
} bypass_choices[BYPASS_CHOICES] = {
        {3400, 0},
        {3500, SWITCH_BYPASS_7},
        {3600, SWITCH_BYPASS_6},
        {3700, SWITCH_BYPASS_6 | SWITCH_BYPASS_7},
        {4000, SWITCH_BYPASS_2},
        {4100, SWITCH_BYPASS_2 | SWITCH_BYPASS_7},
        {4200, SWITCH_BYPASS_2 | SWITCH_BYPASS_6},
        {4300, SWITCH_BYPASS_2 | SWITCH_BYPASS_6 | SWITCH_BYPASS_7},
};

int chain_bypass_switches(int v_bypass_mv) {
        for (int i = 0; i < BYPASS_CHOICES; i++)
                if (bypass_choices[i].mv == v_bypass_mv)
                        return bypass_choices[i].switches;
        return -EINVAL;
}

static bool is_orphan(const struct frame *f) {
        return f->key_byte == FRAME_KEY_ORPHAN + FRAME_KEY_BIAS;
}

/* One pair a frame, in turn (chain.md, key/value pairs). */
static void put_pair(struct chain *c, const struct chain_input *in, struct frame *f) {
        static const uint8_t keys[] = {
                FRAME_KEY_FORMAT_VERSION, FRAME_KEY_SWITCHES,
                FRAME_KEY_SENSOR_TYPE,    FRAME_KEY_CONFIGURED_CELLS,
                FRAME_KEY_FIRMWARE_MAJOR, FRAME_KEY_FIRMWARE_MINOR,
                FRAME_KEY_FLAGS,
        };
        bool lost = !in->rotate_configured && c->half - c->last_return >= RETURN_LOST_AFTER;
        const uint8_t values[sizeof(keys)] = {
                CHAIN_FORMAT_VERSION,
                in->switches,
                in->sensor_type,
                in->configured,
                CHAIN_FIRMWARE_MAJOR,
                CHAIN_FIRMWARE_MINOR,
                (uint8_t)(in->flags | (lost ? CHAIN_FLAG_RETURN_LOST : 0)),
        };

        f->key_byte = (uint8_t)(keys[c->pair] + FRAME_KEY_BIAS);
        f->value = values[c->pair];
        c->pair = (uint8_t)((c->pair + 1) % sizeof(keys));
}

/* A board's own reading as the only one so far (R9, R11). */
static struct frame own_frame(const struct reading *r) {
        return (struct frame){
                .pack_mv = r->voltage_known ? r->mv : 0,
                .lowest_mv = r->voltage_known ? r->mv : 0,
                .highest_mv = r->voltage_known ? r->mv : 0,
                .lowest_decic = r->decic,
                .highest_decic = r->decic,
                .lowest_temperature_known = r->temperature_known,
                .highest_temperature_known = r->temperature_known,
                .lowest_voltage_cell = 1,
                .highest_voltage_cell = 1,
                .lowest_temperature_cell = 1,
                .highest_temperature_cell = 1,
                .count = 1,
                .status = FRAME_STATUS_NOT_CALIBRATED,
        };
}

static void fill_detail(const struct reading *r, struct frame *f) {
        f->detail_mv = r->voltage_known ? r->mv : 0;
        f->detail_decic = r->decic;
        f->detail_temperature_known = r->temperature_known;
}

/* The IN board's frame (R9). */
static struct frame in_frame(struct chain *c, const struct chain_input *in) {
        uint8_t rotation = c->counted > 0 && !in->rotate_configured ? c->counted : in->configured;
        const struct reading *own = &in->readings[1];
        struct frame f = own_frame(own);

        f.in = in->in;
        f.out = in->out;
        f.sum = in->sum;
        f.v_bypass_mv = in->v_bypass_mv;
        if (!own->voltage_known || !own->temperature_known)
                f.status |= FRAME_STATUS_COMMUNICATION_ERROR;

        c->detail = (uint8_t)(c->detail >= rotation ? 1 : c->detail + 1);
        f.detail_cell = c->detail;
        if (f.detail_cell == 1 && !in->silent[1])
                fill_detail(own, &f);
        put_pair(c, in, &f);
        return f;
}

/* R11. Signs X: a struct frame_current of zeros. */
struct frame chain_orphan_frame(const struct chain_board *b, const struct reading *r) {
        struct frame f = own_frame(r);

        f.status |= FRAME_STATUS_COMMUNICATION_ERROR;
        f.key_byte = FRAME_KEY_ORPHAN + FRAME_KEY_BIAS;
        f.value = b->chain_number;
        f.v_bypass_mv = b->v_bypass_mv;
        return f;
}

/* R6: own values replace those that lie strictly within them. */
static void merge(const struct reading *r, uint8_t number, struct frame *f) {
        if (r->voltage_known) {
                f->pack_mv += r->mv;
                if (f->lowest_mv == 0 || r->mv < f->lowest_mv) {
                        f->lowest_mv = r->mv;
                        f->lowest_voltage_cell = number;
                }
                if (f->highest_mv == 0 || r->mv > f->highest_mv) {
                        f->highest_mv = r->mv;
                        f->highest_voltage_cell = number;
                }
        }
        if (!r->temperature_known)
                return;
        if (!f->lowest_temperature_known || r->decic < f->lowest_decic) {
                f->lowest_temperature_known = true;
                f->lowest_decic = r->decic;
                f->lowest_temperature_cell = number;
        }
        if (!f->highest_temperature_known || r->decic > f->highest_decic) {
                f->highest_temperature_known = true;
                f->highest_decic = r->decic;
                f->highest_temperature_cell = number;
        }
}

void chain_learn(struct chain_board *b, uint8_t count, bool orphan, uint16_t mv) {
        b->number = (uint8_t)(count < CELLS_MAX ? count + 1 : CELLS_MAX);
        if (!orphan)
                b->chain_number = b->number;
        if (mv == b->heard_mv && chain_bypass_switches(mv) >= 0)
                b->v_bypass_mv = mv;
        b->heard_mv = mv;
}

/* A cell board hands a frame on (R6, R7, R8). */
static void pass(struct chain_board *b, const struct reading *r, bool silent, struct frame *f) {
        uint8_t number = b->number;
        int place = f->count + 1;

        chain_learn(b, f->count, is_orphan(f), (uint16_t)f->v_bypass_mv);
        merge(r, number, f);
        if (f->detail_cell == place && !silent)
                fill_detail(r, f);
        if (place > CELLS_MAX || number != place || !r->voltage_known || !r->temperature_known)
                f->status |= FRAME_STATUS_COMMUNICATION_ERROR;
        f->count = (uint8_t)(place > CELLS_MAX ? CELLS_MAX : place);
}

void chain_reset_board(struct chain *c, int cell) {
        c->boards[cell] = (struct chain_board){.orphan_due = c->half + ORPHAN_AFTER};
}

/* What leaves the last board in this half cycle, from whichever board started it. */
static bool run_boards(struct chain *c, const struct chain_input *in, const struct frame *first,
                       struct frame *f) {
        bool present = first != NULL;

        if (present)
                *f = *first;
        if (in->dead[1] || in->cut[1])
                present = false;
        for (int i = 2; i <= in->cells; i++) {
                struct chain_board *b = &c->boards[i];

                if (in->dead[i]) {
                        chain_reset_board(c, i);
                        present = false;
                } else if (present) {
                        b->orphan_due = c->half + ORPHAN_AFTER;
                        pass(b, &in->readings[i], in->silent[i], f);
                } else if (c->half >= b->orphan_due) {
                        b->orphan_due = c->half + ORPHAN_EVERY;
                        *f = chain_orphan_frame(b, &in->readings[i]);
                        present = true;
                }
                if (i < in->cells && in->cut[i])
                        present = false;
        }
        return present;
}

/* R9: what comes back teaches the IN board the real number of cells. An orphan's count is no such number. */
void chain_take_return(struct chain *c, const struct frame *f) {
        c->last_return = c->half;
        if (f->status & FRAME_STATUS_COMMUNICATION_ERROR) {
                c->return_run = 0;
                return;
        }
        c->return_run = (uint8_t)(f->count != c->return_count  ? 1
                                  : c->return_run < RETURN_RUN ? c->return_run + 1
                                                               : RETURN_RUN);
        c->return_count = f->count;
        if (c->return_run == RETURN_RUN)
                c->counted = f->count;
}

/* The IN board's own frame, for its extended output when nothing returns (R9). */
static struct frame lonely_frame(const struct frame *own) {
        struct frame f = *own;

        f.count = 0;
        f.detail_cell = 0;
        f.detail_mv = 0;
        f.detail_temperature_known = false;
        f.status |= FRAME_STATUS_COMMUNICATION_ERROR;
        return f;
}

static void step_values(struct chain *c, const struct chain_input *in, const struct frame *first,
                        struct chain_output *o) {
        o->last_sent = run_boards(c, in, first, &o->last);
        if (!in->dead[1] && o->last_sent && !in->cut[in->cells]) {
                chain_take_return(c, &o->last);
                o->extended_sent = true;
                o->extended = o->last;
        }
}

static bool return_lost(const struct chain *c) {
        return c->half - c->last_return >= RETURN_LOST_AFTER;
}

void chain_step(struct chain *c, const struct chain_input *in, struct chain_output *ret_output) {
        bool starts = c->half % 2 == 0 && !in->dead[1];
        struct chain_output o = {.damaged = c->wire.rate > 0};
        struct frame own = {0};

        if (starts)
                own = in_frame(c, in);
        if (o.damaged)
                chain_step_bytes(c, in, starts ? &own : NULL, &o);
        else
                step_values(c, in, starts ? &own : NULL, &o);

        if (!o.extended_sent && starts && return_lost(c)) {
                o.extended_sent = true;
                o.extended = lonely_frame(&own);
                if (o.damaged)
                        chain_send_bytes(c, in, &o.extended, &o.extended_bytes);
        }
        c->half++;
        *ret_output = o;
}

void chain_init(struct chain *c, uint16_t v_bypass_mv, uint64_t seed) {
        *c = (struct chain){0};
        wire_init(&c->wire, seed);
        for (int i = 1; i <= CELLS_MAX; i++)
                c->boards[i] = (struct chain_board){
                        .number = (uint8_t)i,
                        .chain_number = (uint8_t)i,
                        .orphan_due = ORPHAN_AFTER,
                        .heard_mv = v_bypass_mv,
                        .v_bypass_mv = v_bypass_mv,
                };
}

void chain_set_bit_errors(struct chain *c, double rate) {
        if (rate > 0 && c->wire.rate <= 0)
                for (int i = 1; i <= CELLS_MAX; i++) {
                        c->boards[i].last_good = c->half;
                        c->boards[i].unheard = false;
                }
        wire_set_rate(&c->wire, rate);
}

uint16_t chain_v_bypass(const struct chain *c, int cell) {
        return c->boards[cell].v_bypass_mv;
}
