/* SPDX-License-Identifier: MIT */
#include "accept.h"

#include "units.h"

#define CELL_MV_MAX 5100u                        /* B2: voltages 0..5.1 V a cell */
#define PACK_TOLERANCE_MV FRAME_VOLTAGE_STEP_MV  /* B2: a cell */

static bool chain_error(const struct frame *f) {
        return (f->status & FRAME_STATUS_COMMUNICATION_ERROR) != 0;
}

/* An extreme of value 0 is unknown (B2) and cannot be compared: 0 <= everything must not count as proof, and
 * a known lowest above an unknown highest is no contradiction. */
static bool lowest_above_highest(const struct frame *f) {
        return f->lowest_mv > 0 && f->highest_mv > 0 && f->lowest_mv > f->highest_mv;
}

static enum accept_verdict check_count(const struct frame *f) {
        /* B3: 0..255 when the chain itself reports trouble. */
        return chain_error(f) || f->count >= CELLS_MIN ? ACCEPT_OK : ACCEPT_BAD_COUNT;
}

static enum accept_verdict check_voltages(const struct frame *f) {
        /* B3: with bit 2 the count says nothing about how many cells were summed (the IN board's own frame
         * carries its reading with count 0), so only the longest chain there can be bounds the pack. */
        uint32_t cells = chain_error(f) ? CELLS_MAX : f->count;

        if (f->lowest_mv > CELL_MV_MAX || f->highest_mv > CELL_MV_MAX || f->pack_mv > cells * CELL_MV_MAX)
                return ACCEPT_BAD_VOLTAGE;
        return lowest_above_highest(f) ? ACCEPT_BAD_VOLTAGE : ACCEPT_OK;
}

static enum accept_verdict check_temperatures(const struct frame *f) {
        if (f->lowest_temperature_known && f->highest_temperature_known && f->lowest_decic > f->highest_decic)
                return ACCEPT_BAD_TEMPERATURE;
        return ACCEPT_OK;
}

/* count * lowest <= pack <= count * highest, less 5 mV a cell (B2). */
static enum accept_verdict check_pack_voltage(const struct frame *f) {
        uint32_t count = f->count, tolerance = count * PACK_TOLERANCE_MV;

        if (f->lowest_mv > 0 && f->pack_mv + tolerance < count * f->lowest_mv)
                return ACCEPT_BAD_PACK_VOLTAGE;
        if (f->highest_mv > 0 && f->pack_mv > count * f->highest_mv + tolerance)
                return ACCEPT_BAD_PACK_VOLTAGE;
        return ACCEPT_OK;
}

/* 1..count; an extreme that nobody has set yet may have number 0 too (chain.md R6). */
static bool number_fits(uint8_t number, bool known, uint8_t count) {
        return number <= count && (number > 0 || !known);
}

static enum accept_verdict check_numbers(const struct frame *f) {
        bool fit = number_fits(f->lowest_voltage_cell, f->lowest_mv > 0, f->count) &&
                number_fits(f->highest_voltage_cell, f->highest_mv > 0, f->count) &&
                number_fits(f->lowest_temperature_cell, f->lowest_temperature_known, f->count) &&
                number_fits(f->highest_temperature_cell, f->highest_temperature_known, f->count);

        return fit ? ACCEPT_OK : ACCEPT_BAD_CELL_NUMBER;
}

/* B4: a detail there is lies within the extremes of its own frame, which come from the same readings. */
static enum accept_verdict check_detail(const struct frame *f) {
        if (f->detail_cell == 0 || f->detail_cell > f->count || f->detail_mv == 0)
                return ACCEPT_OK;

        if (f->detail_mv > CELL_MV_MAX)
                return ACCEPT_BAD_DETAIL;
        if ((f->lowest_mv > 0 && f->detail_mv < f->lowest_mv) ||
            (f->highest_mv > 0 && f->detail_mv > f->highest_mv))
                return ACCEPT_BAD_DETAIL;

        if (!f->detail_temperature_known)
                return ACCEPT_OK;
        if ((f->lowest_temperature_known && f->detail_decic < f->lowest_decic) ||
            (f->highest_temperature_known && f->detail_decic > f->highest_decic))
                return ACCEPT_BAD_DETAIL;
        return ACCEPT_OK;
}

/* I-sum = I1 - I2 within one step (B2). Which of the three are X decides what can be demanded:
 *
 *   I-sum X        nothing is claimed, so nothing is contradicted. It is S7's business (SOC is frozen, with
 *                  a warning), and refusing the frame would open both relays for a lost current sensor.
 *   I1, I2 known   I-sum = I1 - I2.
 *   I2 X           one sensor, on J1: I-sum = I1.
 *   I1 X           the first sensor is lost: what is left of I1 - I2 is -I2.
 *   I1 and I2 X    a sum of nothing: no board can know it, so a known I-sum is damage.
 *
 * So an X counts as 0 in the difference, but one of the two must be known. */
static enum accept_verdict check_current_sum(const struct frame *f) {
        int32_t error;

        if (!f->sum.known)
                return ACCEPT_OK;
        if (!f->in.known && !f->out.known)
                return ACCEPT_BAD_CURRENT_SUM;

        /* ma is 0 in a current that is not known (frame.h). */
        error = f->sum.ma - (f->in.ma - f->out.ma);
        if (error < -FRAME_CURRENT_STEP_MA || error > FRAME_CURRENT_STEP_MA)
                return ACCEPT_BAD_CURRENT_SUM;
        return ACCEPT_OK;
}

/* The checks in their order: I-sum last, so that its verdict means that all else holds (B5). */
static const struct {
        enum accept_verdict (*check)(const struct frame *frame);
        bool with_error;  /* stays when bit 2 is set (B3) */
        bool for_monitor; /* not one of the sums (B6) */
        bool is_current_check;
} checks[] = {
        {check_count,         .with_error = true,  .for_monitor = true,  .is_current_check = false},
        {check_voltages,      .with_error = true,  .for_monitor = true,  .is_current_check = false},
        {check_temperatures,  .with_error = true,  .for_monitor = true,  .is_current_check = false},
        {check_numbers,       .with_error = false, .for_monitor = true,  .is_current_check = false},
        {check_pack_voltage,  .with_error = false, .for_monitor = false, .is_current_check = false},
        {check_detail,        .with_error = false, .for_monitor = true,  .is_current_check = false},
        {check_current_sum,   .with_error = true,  .for_monitor = false, .is_current_check = true},
};

enum accept_verdict accept_frame(const struct accept_rules *rules, const struct frame *frame) {
        for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
                enum accept_verdict verdict;

                if (chain_error(frame) && !checks[i].with_error)
                        continue;
                if (rules->role == ROLE_MONITOR && !checks[i].for_monitor)
                        continue;
                if (checks[i].is_current_check && !rules->current_check)
                        continue;

                verdict = checks[i].check(frame);
                if (verdict != ACCEPT_OK)
                        return verdict;
        }
        return ACCEPT_OK;
}
