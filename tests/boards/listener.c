/* SPDX-License-Identifier: MIT */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eeprom.h"
#include "listener.h"

#define VENDOR_LOOK_S 0.2

void listener_poll(struct listener *l, double now) {
        if (!l->open || now < l->message.end + LISTENER_SILENCE_S)
                return;
        l->open = false;
        l->messages++;
        if (l->heard)
                l->heard(l->user, &l->message);
}

void listener_byte(struct listener *l, double start, double end, uint8_t byte) {
        listener_poll(l, start);
        if (!l->open) {
                l->message.n = 0;
                l->message.start = start;
                l->open = true;
        }
        if (l->message.n < LISTENER_MAX)
                l->message.bytes[l->message.n] = byte;
        l->message.n++;
        l->message.end = end;
}

static void on_sent(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        (void)b;
        listener_byte(user, start, start + LINE_BITS * bit_s, byte);
}

void listener_on_board(struct listener *l, struct board *b) {
        b->tap = on_sent;
        b->tap_user = l;
}

static void on_extended(void *user, double start, double end, uint8_t byte, bool framing_error) {
        (void)framing_error; /* board_ear counts them */
        listener_byte(user, start, end, byte);
}

void listener_on_extended(struct listener *l, struct board *in) {
        in->ear.heard = on_extended;
        in->ear.user = l;
}

void vendor_poll(struct vendor *v, double now) {
        while (v->next <= now) {
                v->next += VENDOR_LOOK_S;
                v->index += v->waiting;
                if (v->index == FRAME_SIZE) {
                        v->messages++;
                        v->index = 0;
                } else if (v->waiting == 0) {
                        v->lost += v->index > 0;
                        v->index = 0;
                }
                v->waiting = 0;
        }
}

void vendor_byte(struct vendor *v, double end) {
        vendor_poll(v, end);
        v->waiting++;
}

/* ---- truth ---- */

double test_volts(unsigned cell) {
        return 2.8 + 0.05 * ((cell * 7 + 3) % 11);
}

double test_degc(unsigned cell) {
        return -8.0 + 6 * ((cell * 5 + 1) % 9);
}

void test_cells(struct boards *c) {
        for (unsigned i = 1; i <= c->n; i++)
                boards_cell(c, i, test_volts(i), test_degc(i));
}

static void extremes(struct truth *t) {
        t->sum = 0;
        t->lowest_voltage = t->highest_voltage = t->voltage[1];
        t->lowest_temperature = t->highest_temperature = t->temperature[1];
        t->lowest_voltage_cell = t->highest_voltage_cell = 1;
        t->lowest_temperature_cell = t->highest_temperature_cell = 1;
        for (unsigned i = 1; i <= t->cells; i++) {
                t->sum += t->voltage[i];
#define EXTREME(what, field, beyond)                                                                         \
        if (t->field[i] beyond t->what##_##field) {                                                          \
                t->what##_##field = t->field[i];                                                             \
                t->what##_##field##_cell = (uint8_t)i;                                                       \
        }
                EXTREME(lowest, voltage, <)
                EXTREME(highest, voltage, >)
                EXTREME(lowest, temperature, <)
                EXTREME(highest, temperature, >)
#undef EXTREME
        }
}

bool truth_learn(struct truth *t, const struct boards *c, const uint8_t *frame) {
        unsigned cell = frame[FRAME_OFF_DETAIL_CELL];
        uint16_t v = frame_get16(frame + FRAME_OFF_DETAIL_VOLTAGE),
                 d = frame_get16(frame + FRAME_OFF_DETAIL_TEMPERATURE);

        t->cells = c->n;
        if (cell < 1 || cell > c->n || t->voltage[cell])
                return true;
        if (fabs(v * 0.005 - c->board[cell]->volts) > 0.020 || fabs(d - 276.0 - c->board[cell]->degc) > 5)
                return false;
        t->voltage[cell] = v;
        t->temperature[cell] = d;
        if (++t->known == t->cells)
                extremes(t);
        return true;
}

const char *truth_differs(const struct truth *t, const uint8_t *f) {
        unsigned cell = f[FRAME_OFF_DETAIL_CELL];

        if (frame_get24(f + FRAME_OFF_PACK_VOLTAGE) != t->sum)
                return "pack voltage";
        if (frame_get16(f + FRAME_OFF_LOWEST_VOLTAGE) != t->lowest_voltage ||
            f[FRAME_OFF_LOWEST_VOLTAGE_CELL] != t->lowest_voltage_cell)
                return "lowest voltage";
        if (frame_get16(f + FRAME_OFF_HIGHEST_VOLTAGE) != t->highest_voltage ||
            f[FRAME_OFF_HIGHEST_VOLTAGE_CELL] != t->highest_voltage_cell)
                return "highest voltage";
        if (frame_get16(f + FRAME_OFF_LOWEST_TEMPERATURE) != t->lowest_temperature ||
            f[FRAME_OFF_LOWEST_TEMPERATURE_CELL] != t->lowest_temperature_cell)
                return "lowest temperature";
        if (frame_get16(f + FRAME_OFF_HIGHEST_TEMPERATURE) != t->highest_temperature ||
            f[FRAME_OFF_HIGHEST_TEMPERATURE_CELL] != t->highest_temperature_cell)
                return "highest temperature";
        if (cell < 1 || cell > t->cells)
                return "detail of no cell";
        if (frame_get16(f + FRAME_OFF_DETAIL_VOLTAGE) != t->voltage[cell] ||
            frame_get16(f + FRAME_OFF_DETAIL_TEMPERATURE) != t->temperature[cell])
                return "detail";
        return "";
}

const char *message_unsound(const struct message *m, unsigned cells) {
        if (m->n != FRAME_SIZE)
                return m->n < FRAME_SIZE ? "short" : "long";
        if (frame_checksum(m->bytes) != m->bytes[FRAME_OFF_CHECKSUM])
                return "checksum";
        if (m->bytes[FRAME_OFF_STATUS] & FRAME_STATUS_COMMUNICATION_ERROR)
                return "bit 2";
        return m->bytes[FRAME_OFF_COUNT] != cells ? "count" : "";
}

/* ---- a chain for a test ---- */

static void configure(struct boards *c, unsigned cells) {
        struct eeprom_factory factory = {.sensor_type = 3, .cells = (uint8_t)cells};
        struct eeprom_record none;
        struct eeprom_write write;
        uint8_t payload[EEPROM_PAYLOAD_SIZE], blank[EEPROM_KIND_SIZE], value;
        uint16_t address;

        memset(blank, 0xFF, sizeof(blank));
        eeprom_load(EEPROM_FACTORY, blank, &none);
        eeprom_put_factory(payload, &factory);
        eeprom_write_begin(&write, EEPROM_FACTORY, &none, payload);
        while (eeprom_write_next(&write, &address, &value))
                c->board[1]->mcu.eeprom[address] = value;
}

struct boards *chain_test_make(const struct chain_test *t) {
        struct boards_config config = {.in_image = t->in_image,
                                       .cell_image = t->cell_image,
                                       .cells = t->cells,
                                       .seed = t->seed,
                                       .spread = t->spread,
                                       .per_degc = t->per_degc,
                                       .per_volt = 0.02,
                                       .noise_lsb = t->noise_lsb,
                                       .power_on_s = 2,
                                       .ambient_c = 25};
        struct boards *c = NULL;
        char error[300];

        if (boards_new(&config, &c, error, sizeof(error)) < 0) {
                (void)fprintf(stderr, "%s\n", error);
                exit(2);
        }
        c->board[1]->switches[0] = t->fast;
        if (t->configured)
                configure(c, t->configured);
        test_cells(c);
        return c;
}
