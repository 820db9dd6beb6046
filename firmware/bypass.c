/* SPDX-License-Identifier: MIT */
#include "bypass.h"

#include "frame.h"

#define HYSTERESIS (20 / FRAME_VOLTAGE_STEP_MV)

/* TEMPERATURE_SHEET: 276 = 0 degC, 1 degC a step. */
#define SHEET_ZERO 276
#define HOT (85 + SHEET_ZERO)
#define COOL (75 + SHEET_ZERO)

/* 3.4 to 3.7 and 4.0 to 4.3 V, as the switches choose them; the values of R13. */
static bool is_v_bypass(uint16_t v_bypass) {
        switch (v_bypass) {
        case 680:
        case 700:
        case 720:
        case 740:
        case 800:
        case 820:
        case 840:
        case 860:
                return true;
        default:
                return false;
        }
}

void bypass_init(struct bypass *b) {
        *b = (struct bypass){0};
}

void bypass_frame(struct bypass *b, uint16_t v_bypass) {
        if (!is_v_bypass(v_bypass)) {
                b->candidate = 0;
                return;
        }
        if (v_bypass == b->candidate)
                b->v_bypass = v_bypass;
        b->candidate = v_bypass;
}

void bypass_reading(struct bypass *b, uint16_t voltage, uint16_t temperature) {
        if (temperature >= HOT)
                b->hot = true;
        else if (temperature != 0 && temperature <= COOL)
                b->hot = false;

        if (voltage == 0 || temperature == 0 || b->hot || b->v_bypass == 0)
                b->on = false;
        else if (voltage >= b->v_bypass)
                b->on = true;
        else if (voltage <= b->v_bypass - HYSTERESIS)
                b->on = false;

        /* Without current is a fault while there should be one: kept any longer, it would keep the relays
         * open and the cell from ever getting there again. */
        if (!b->on) {
                b->dead = false;
                b->dead_looks = 0;
        }
}

bool bypass_on(const struct bypass *b) {
        return b->on;
}

uint16_t bypass_voltage(const struct bypass *b) {
        return b->v_bypass;
}

/* A look that speaks for or against a fault: so many in a row turn it. */
static void look(bool *fault, uint8_t *looks, bool seen) {
        if (seen == *fault) {
                *looks = 0;
        } else if (++*looks >= BYPASS_SENSE_LOOKS) {
                *fault = seen;
                *looks = 0;
        }
}

void bypass_sense(struct bypass *b, bool commanded, bool sense) {
        if (commanded)
                look(&b->dead, &b->dead_looks, !sense);
        else
                look(&b->stuck, &b->stuck_looks, sense);
}

bool bypass_faulty(const struct bypass *b) {
        return b->stuck || b->dead;
}
