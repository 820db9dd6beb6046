/* SPDX-License-Identifier: MIT */
#include "cell.h"

#include <math.h>
#include <stddef.h>

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

#define REFERENCE_AH 3.0   /* the published cell's capacity */
#define BYPASS_HEAT_K 25.0 /* how far the board warms up at 1 A (the manual only warns that it does) */
#define CELL_HEAT_K_PER_W 1.5
#define HEAT_SECONDS 240.0

/* One-state hysteresis (G. L. Plett, Journal of Power Sources 134 (2004) 262..276): the memory goes towards the
 * direction of the current, by the charge that flows, not by time. A twentieth of the capacity takes it 63 % of
 * the way (j: the published curves do not tell; the minor loops of LiFePO4 close within 10..20 %). */
#define HYSTERESIS_PERCENT 5.0

/* Polarisation: diffusion within graphite particles of radius r = 4.8 um, D = 9.6e-15 m2/s at 25 degC, activation
 * energy 30 kJ/mol: a LiFePO4/graphite cell of 2 Ah, parameterised by About:Energy, published with the Faraday
 * Institution's BPX standard (examples/lfp_18650_cell_BPX.json). For a sphere under a constant flux the surface is
 * ahead of the mean by r^2 / 15 D = 160 s of that flux in the end, and gets there as if with one time constant of
 * r^2 / 35 D = 69 s (the area above the true, multi-exponential answer). It is the surface that the voltage sees. */
#define LEAD_SECONDS 160.0
#define LEAD_TIME 68.6
#define LEAD_ACTIVATION_K (30000.0 / 8.314) /* kelvins */
#define KELVIN 273.15
#define REFERENCE_C 25.0

struct point {
        double x, y;
};

static const struct point ocv_curve[] = {
        {-2, 0.800}, {0, 2.286},  {2, 2.895},  {5, 3.065},  {10, 3.197},  {20, 3.234},
        {30, 3.270}, {40, 3.292}, {50, 3.300}, {60, 3.304}, {70, 3.311},  {80, 3.335},
        {90, 3.343}, {95, 3.345}, {98, 3.349}, {99, 3.362}, {100, 3.531}, {102, 4.200},
};

static const struct point hysteresis_mv[] = {
        {0, 30.0},  {4, 30.0},  {7, 26.3},  {10, 25.1}, {12, 23.6}, {17, 25.0}, {19, 24.3}, {25, 27.7},
        {32, 29.6}, {36, 27.5}, {41, 21.4}, {45, 19.4}, {50, 18.7}, {57, 18.7}, {64, 19.5}, {70, 20.9},
        {76, 22.6}, {80, 19.4}, {84, 17.5}, {88, 17.0}, {92, 17.4}, {95, 18.5}, {97, 20.3}, {100, 30.0},
};

/* Published with SimSES for the same cell (CLFP_Sony_US26650_Rint.csv), at three temperatures. */
#define RESISTANCE_POINTS 3
static const double resistance_soc[RESISTANCE_POINTS] = {0, 50, 90};
static const double resistance_c[] = {10, 25, 40};
static const double discharge_mohm[][RESISTANCE_POINTS] = {{195.0, 69.4, 61.4}, {61.7, 47.8, 42.5}, {44.1, 38.4, 34.0}};
static const double charge_mohm[][RESISTANCE_POINTS] = {{53.6, 62.6, 80.7}, {37.6, 44.8, 53.4}, {30.5, 35.2, 40.0}};

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

double cell_hysteresis(double soc) {
        return interpolate(hysteresis_mv, ELEMENTS(hysteresis_mv), soc) / 1000;
}

static double by_soc(const double mohm[RESISTANCE_POINTS], double soc) {
        const struct point curve[RESISTANCE_POINTS] = {
                {resistance_soc[0], mohm[0]}, {resistance_soc[1], mohm[1]}, {resistance_soc[2], mohm[2]}};

        return interpolate(curve, RESISTANCE_POINTS, soc);
}

/* Between the published temperatures as the straight line, beyond them as the last ratio goes on. */
static double by_temperature(const double mohm[][RESISTANCE_POINTS], double soc, double degrees) {
        double cold = by_soc(mohm[0], soc), mild = by_soc(mohm[1], soc), warm = by_soc(mohm[2], soc);
        double step = resistance_c[1] - resistance_c[0];

        if (degrees < resistance_c[0])
                return cold * pow(cold / mild, (resistance_c[0] - degrees) / step);
        if (degrees > resistance_c[2])
                return warm * pow(warm / mild, (degrees - resistance_c[2]) / step);
        if (degrees < resistance_c[1])
                return cold + (mild - cold) * (degrees - resistance_c[0]) / step;
        return mild + (warm - mild) * (degrees - resistance_c[1]) / step;
}

double cell_resistance(const struct sim_cell *c, double current_a) {
        const double(*table)[RESISTANCE_POINTS] = current_a > 0 ? charge_mohm : discharge_mohm;
        double mohm = c->model.temperature ? by_temperature(table, c->soc, c->core_c) : by_soc(table[1], c->soc);

        return mohm / 1000.0 * REFERENCE_AH / c->capacity_ah * c->resistance;
}

double cell_emf(const struct sim_cell *c) {
        return cell_ocv(c->soc + c->lead) + c->memory * cell_hysteresis(c->soc);
}

double cell_voltage(const struct sim_cell *c, double current_a) {
        double volts = cell_emf(c) + current_a * cell_resistance(c, current_a);

        return volts > 0 ? volts : 0;
}

static void remember(struct sim_cell *c, double percent) {
        double towards = percent > 0 ? 1 : -1;

        if (c->model.hysteresis)
                c->memory += (towards - c->memory) * -expm1(-fabs(percent) / HYSTERESIS_PERCENT);
}

/* Diffusion is slower in the cold: longer to get there, and further to go. */
static void polarise(struct sim_cell *c, double percent_per_second, double seconds) {
        double slower = 1;

        if (!c->model.polarisation)
                return;
        if (c->model.temperature)
                slower = exp(LEAD_ACTIVATION_K * (1 / (c->core_c + KELVIN) - 1 / (REFERENCE_C + KELVIN)));
        c->lead += (percent_per_second * LEAD_SECONDS * slower - c->lead) * seconds / (LEAD_TIME * slower + seconds);
}

static void warm(struct sim_cell *c, double own_a, double seconds) {
        double core_c = c->ambient_c + own_a * own_a * cell_resistance(c, own_a) * CELL_HEAT_K_PER_W;
        double board_c = core_c + (c->bypass ? BYPASS_HEAT_K : 0), share = seconds / (HEAT_SECONDS + seconds);

        c->core_c += (core_c - c->core_c) * share;
        c->temperature_c += (board_c - c->temperature_c) * share;
}

void cell_step(struct sim_cell *c, double current_a, double seconds) {
        double own_a = current_a - (c->bypass ? CELL_BYPASS_A : 0);
        double percent = (own_a - c->leak_a) * seconds / 36.0 / c->capacity_ah;

        warm(c, own_a, seconds);
        remember(c, own_a * seconds / 36.0 / c->capacity_ah);
        polarise(c, own_a / 36.0 / c->capacity_ah, seconds);
        c->soc = fmin(CELL_SOC_MAX, fmax(CELL_SOC_MIN, c->soc + percent));
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
