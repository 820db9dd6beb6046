/* SPDX-License-Identifier: MIT */

/* The boards byte by byte, on links with bit errors (chain.md R2..R10). A board sends byte i when byte i+2 has arrived,
 * so it works on what came in, damaged or not: it adds its reading to a damaged pack voltage, compares with a damaged
 * extreme, counts on from a damaged count. What R4 carries on is that something is wrong. */

#include <string.h>

#include "chain-internal.h"

#define FILLED_FROM 3       /* R2: fewer bytes than these, and nothing is sent */
#define CHECKSUM_SPOIL 0xA5 /* R4 */
#define BURST 30            /* R10: bytes that count as a message, good or not */
#define UNHEARD_AFTER 20    /* R10's 10 cycles, in half cycles */
#define UNHEARD_UNTIL 3     /* good frames */

/* A frame as a board has it in its buffer. */
struct received {
        uint8_t bytes[FRAME_SIZE];
        size_t size; /* as they came, before R3 filled the rest */
        bool damaged;
        uint8_t error; /* R4's e */
};

/* R3: what is missing is zero, and damaged. Bytes after the 58th do not come: nothing sends them. */
static struct received take(const struct wire_byte *in, size_t n) {
        struct received r = {.size = n, .damaged = n < FRAME_SIZE};

        for (size_t i = 0; i < n; i++) {
                r.bytes[i] = in[i].byte;
                r.damaged = r.damaged || in[i].framing_error;
        }
        r.error = (uint8_t)(r.bytes[FRAME_OFF_CHECKSUM] - frame_checksum(r.bytes));
        return r;
}

static bool is_good(const struct received *r) {
        return !r->damaged && r->error == 0;
}

/* One extreme of R6, as the bytes are: value, then number. */
static void merge_extreme(uint8_t *p, uint16_t own, bool lowest, uint8_t number) {
        uint16_t value = frame_get16(p);

        if (value != 0 && (lowest ? own >= value : own <= value))
                return;
        frame_put16(p, own);
        p[2] = number;
}

static void merge_bytes(const struct reading *r, uint16_t raw_temperature, uint8_t number, uint8_t *p) {
        if (r->voltage_known) {
                uint16_t own = (uint16_t)(r->mv / FRAME_VOLTAGE_STEP_MV);

                frame_put24(p + FRAME_OFF_PACK_VOLTAGE, frame_get24(p + FRAME_OFF_PACK_VOLTAGE) + own);
                merge_extreme(p + FRAME_OFF_LOWEST_VOLTAGE, own, true, number);
                merge_extreme(p + FRAME_OFF_HIGHEST_VOLTAGE, own, false, number);
        }
        if (r->temperature_known) {
                merge_extreme(p + FRAME_OFF_LOWEST_TEMPERATURE, raw_temperature, true, number);
                merge_extreme(p + FRAME_OFF_HIGHEST_TEMPERATURE, raw_temperature, false, number);
        }
}

/* R4, R6, R7, R8: what a board sends for what it received. */
static void relay(struct chain_board *b, const struct chain_input *in, int cell, struct received *r,
                  uint8_t ret_sent[FRAME_SIZE]) {
        const struct reading *own = &in->readings[cell];
        uint16_t raw = own->temperature_known ? frame_temperature_encode(own->decic, in->coding) : 0;
        int place = r->bytes[FRAME_OFF_COUNT] + 1;
        uint8_t *p = ret_sent, number = b->number;

        memcpy(p, r->bytes, FRAME_SIZE);
        merge_bytes(own, raw, number, p);
        if (p[FRAME_OFF_DETAIL_CELL] == place && !in->silent[cell]) {
                frame_put16(p + FRAME_OFF_DETAIL_VOLTAGE,
                            own->voltage_known ? (uint16_t)(own->mv / FRAME_VOLTAGE_STEP_MV) : 0);
                frame_put16(p + FRAME_OFF_DETAIL_TEMPERATURE, raw);
        }
        if (place > CELLS_MAX || number != place || !own->voltage_known || !own->temperature_known)
                p[FRAME_OFF_STATUS] |= FRAME_STATUS_COMMUNICATION_ERROR;
        p[FRAME_OFF_COUNT] = (uint8_t)(place > CELLS_MAX ? CELLS_MAX : place);

        p[FRAME_OFF_CHECKSUM] = (uint8_t)(frame_checksum(p) + r->error);
        if (r->damaged && r->error == 0)
                p[FRAME_OFF_CHECKSUM] = (uint8_t)(p[FRAME_OFF_CHECKSUM] + CHECKSUM_SPOIL);

        if (is_good(r)) /* "nothing is learned from any other" */
                chain_learn(b, r->bytes[FRAME_OFF_COUNT],
                            r->bytes[FRAME_OFF_KEY] == FRAME_KEY_ORPHAN + FRAME_KEY_BIAS,
                            (uint16_t)(frame_get16(r->bytes + FRAME_OFF_V_BYPASS) * FRAME_VOLTAGE_STEP_MV));
}

/* R10: a burst restarts the orphan timer, unless the board has heard nothing good for long. */
static void hear(struct chain *c, struct chain_board *b, const struct received *r) {
        b->good_run = (uint8_t)(!is_good(r) ? 0 : b->good_run < UNHEARD_UNTIL ? b->good_run + 1 : UNHEARD_UNTIL);
        if (is_good(r))
                b->last_good = c->half;
        if (b->good_run >= UNHEARD_UNTIL)
                b->unheard = false;
        else if (!b->unheard && c->half - b->last_good >= UNHEARD_AFTER)
                b->unheard = true;
        if (!b->unheard && r->size >= BURST)
                b->orphan_due = c->half + ORPHAN_AFTER;
}

/* One board's half cycle. bytes: what the board before it sent, if anything; then what this one sends. An orphan that
 * is due goes out, and what arrives in the same half cycle is dropped: in truth only what arrives while it goes out. */
static bool run_board(struct chain *c, const struct chain_input *in, int cell, bool present,
                      uint8_t bytes[FRAME_SIZE]) {
        struct chain_board *b = &c->boards[cell];
        struct wire_byte line[WIRE_MAX];
        struct received r = {0};

        if (present)
                r = take(line, wire_carry(&c->wire, bytes, FRAME_SIZE, line));
        if (r.size > 0)
                hear(c, b, &r);
        if (c->half >= b->orphan_due) {
                struct frame orphan = chain_orphan_frame(b, &in->readings[cell]);

                b->orphan_due = c->half + ORPHAN_EVERY;
                frame_encode(&orphan, in->coding, bytes);
                return true;
        }
        if (r.size < FILLED_FROM)
                return false;
        relay(b, in, cell, &r, bytes);
        return true;
}

static void to_listener(struct chain *c, const uint8_t *bytes, struct chain_bytes *ret_bytes) {
        struct wire_byte line[WIRE_MAX];

        ret_bytes->size = wire_carry(&c->wire, bytes, FRAME_SIZE, line);
        for (size_t i = 0; i < ret_bytes->size; i++)
                ret_bytes->data[i] = line[i].byte; /* a serial port does not tell of a framing error */
}

void chain_send_bytes(struct chain *c, const struct chain_input *in, const struct frame *frame,
                      struct chain_bytes *ret_bytes) {
        uint8_t bytes[FRAME_SIZE];

        frame_encode(frame, in->coding, bytes);
        to_listener(c, bytes, ret_bytes);
}

/* R9: each complete frame goes out, good or not; only a good one teaches, any one is a return. */
static void ring_return(struct chain *c, const struct chain_input *in, const uint8_t *bytes,
                        struct chain_output *o) {
        struct wire_byte line[WIRE_MAX];
        struct received r = take(line, wire_carry(&c->wire, bytes, FRAME_SIZE, line));
        struct frame frame;

        if (r.size == 0)
                return;
        c->last_return = c->half;
        if (is_good(&r) && frame_decode(r.bytes, in->coding, &frame))
                chain_take_return(c, &frame);
        o->extended_sent = r.size == FRAME_SIZE;
        if (o->extended_sent)
                to_listener(c, r.bytes, &o->extended_bytes);
}

void chain_step_bytes(struct chain *c, const struct chain_input *in, const struct frame *first,
                      struct chain_output *o) {
        bool present = first && !in->dead[1] && !in->cut[1];
        uint8_t bytes[FRAME_SIZE];

        if (first)
                frame_encode(first, in->coding, bytes);
        for (int i = 2; i <= in->cells; i++) {
                if (in->dead[i]) {
                        chain_reset_board(c, i);
                        present = false;
                        continue;
                }
                present = run_board(c, in, i, present, bytes) && (i == in->cells || !in->cut[i]);
        }
        o->last_sent = present;
        if (present)
                to_listener(c, bytes, &o->last_bytes);
        if (present && !in->dead[1] && !in->cut[in->cells])
                ring_return(c, in, bytes, o);
}
