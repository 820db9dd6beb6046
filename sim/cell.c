/* SPDX-License-Identifier: MIT */
#include "cell.h"

#include <stddef.h>

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

#define REFERENCE_AH 3.0   /* the published cell's capacity */
#define BYPASS_HEAT_K 25.0 /* how far the board warms up at 1 A (the manual only warns that it does) */
#define CELL_HEAT_K_PER_W 1.5
#define HEAT_SECONDS 240.0

struct point {
        double x, y;
};

static const struct point ocv_curve[] = {
        {-2, 0.800}, {0, 2.286},  {2, 2.895},  {5, 3.065},  {10, 3.197},  {20, 3.234},
        {30, 3.270}, {40, 3.292}, {50, 3.300}, {60, 3.304}, {70, 3.311},  {80, 3.335},
        {90, 3.343}, {95, 3.345}, {98, 3.349}, {99, 3.362}, {100, 3.531}, {102, 4.200},
};

static const struct point discharge_mohm[] = {{0, 61.7}, {50, 47.8}, {90, 42.5}};
static const struct point charge_mohm[] = {{0, 37.6}, {50, 44.8}, {90, 53.4}};

static double interpolate(const struct point *curve, size_t n, double x) {
        size_t i = 1;

        if (x <= curve[0].x)
                return curve[0].y;
        if (x >= curve[n - 1].x)
                return curve[n - 1].y;
        while (curve[i].x < x)
                i++;
        return curve[i - 1].y +
               (curve[i].y - curve[i - 1].y) * (x - curve[i - 1].x) / (curve[i].x - curve[i - 1].x);
}

double cell_ocv(double soc) {
        return interpolate(ocv_curve, ELEMENTS(ocv_curve), soc);
}

double cell_resistance(const struct sim_cell *c, double current_a) {
        double mohm = current_a > 0 ? interpolate(charge_mohm, ELEMENTS(charge_mohm), c->soc)
                                    : interpolate(discharge_mohm, ELEMENTS(discharge_mohm), c->soc);

        return mohm / 1000.0 * REFERENCE_AH / c->capacity_ah * c->resistance;
}

double cell_voltage(const struct sim_cell *c, double current_a) {
        double volts = cell_ocv(c->soc) + current_a * cell_resistance(c, current_a);

        return volts > 0 ? volts : 0;
}

void cell_step(struct sim_cell *c, double current_a, double seconds) {
        double own_a = current_a - (c->bypass ? CELL_BYPASS_A : 0);
        double target_c = c->ambient_c + (c->bypass ? BYPASS_HEAT_K : 0) +
                          own_a * own_a * cell_resistance(c, own_a) * CELL_HEAT_K_PER_W;

        c->soc += own_a * seconds / 36.0 / c->capacity_ah;
        if (c->soc < CELL_SOC_MIN)
                c->soc = CELL_SOC_MIN;
        if (c->soc > CELL_SOC_MAX)
                c->soc = CELL_SOC_MAX;
        c->temperature_c += (target_c - c->temperature_c) * seconds / (HEAT_SECONDS + seconds);
}

void cell_switch_bypass(struct sim_cell *c, int reading_mv, int v_bypass_mv) {
        if (c->temperature_c >= CELL_BYPASS_OFF_C)
                c->bypass_too_hot = true;
        else if (c->temperature_c <= CELL_BYPASS_ON_C)
                c->bypass_too_hot = false;

        if (v_bypass_mv == 0 || c->bypass_too_hot || reading_mv <= v_bypass_mv - CELL_BYPASS_HYSTERESIS_MV)
                c->bypass = false;
        else if (reading_mv >= v_bypass_mv)
                c->bypass = true;
}
