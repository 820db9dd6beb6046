/* SPDX-License-Identifier: MIT */
#include "soc-cell.h"

#include <stddef.h>

/* S4: open-circuit voltage of a resting LiFePO4 cell. */
static const struct {
        int32_t permyriad, mv;
} ocv_curve[] = {
        {0, 2286},    {200, 2895},  {500, 3065},  {1000, 3197}, {2000, 3234}, {3000, 3270},
        {4000, 3292}, {5000, 3300}, {6000, 3304}, {7000, 3311}, {8000, 3335}, {9000, 3343},
        {9500, 3345}, {9800, 3349}, {9900, 3362}, {10000, 3531},
};
#define N_OCV (sizeof(ocv_curve) / sizeof(ocv_curve[0]))

/* S6. Resistances by Arrhenius through those published with SimSES, for the cell of the curve above, at 10 and 25 degC
 * (charged 80.7 and 53.4 mohm, empty 195 and 61.7): 19.3 and 53.8 kJ/mol. Diffusion: r^2 / 15 D, graphite particles of
 * r = 4.8 um, D = 9.6e-15 m2/s at 25 degC, 30 kJ/mol (docs/soc.md). All three curves are convex, so that the straight
 * lines between the points err to the doubtful side. */
enum { FULL_RESISTANCE, EMPTY_RESISTANCE, SPREADING, N_QUANTITIES };
static const struct {
        int32_t decic, values[N_QUANTITIES];
} by_temperature[] = {
        {-200, {2134, 29323, 1375432}},
        {-100, {1506, 11092, 800198}},
        {0, {1090, 4505, 484373}},
        {100, {807, 1950, 303782}},
        {SOC_CELL_MILD_DECIC, {610, 894, 196684}},
};
#define N_TEMPERATURES (sizeof(by_temperature) / sizeof(by_temperature[0]))

int32_t soc_cell_permyriad(int32_t mv) {
        if (mv <= ocv_curve[0].mv)
                return 0;
        for (size_t i = 1; i < N_OCV; i++)
                if (mv < ocv_curve[i].mv)
                        return ocv_curve[i - 1].permyriad +
                               (mv - ocv_curve[i - 1].mv) * (ocv_curve[i].permyriad - ocv_curve[i - 1].permyriad) /
                                       (ocv_curve[i].mv - ocv_curve[i - 1].mv);
        return PERMYRIAD_FULL;
}

/* Colder than the table as at its cold end: no such cell is made to work there. */
static int32_t at_temperature(struct maybe decic, int quantity) {
        const int32_t t = decic.known ? decic.value : SOC_CELL_UNKNOWN_DECIC;
        int32_t from = by_temperature[0].values[quantity];

        if (t <= by_temperature[0].decic)
                return from;
        for (size_t i = 1; i < N_TEMPERATURES; i++) {
                const int32_t to = by_temperature[i].values[quantity], begin = by_temperature[i - 1].decic;

                if (t < by_temperature[i].decic)
                        return from - (from - to) * (t - begin) / (by_temperature[i].decic - begin);
                from = to;
        }
        return from;
}

int32_t soc_cell_full_resistance(struct maybe decic) {
        return at_temperature(decic, FULL_RESISTANCE);
}

int32_t soc_cell_empty_resistance(struct maybe decic) {
        return at_temperature(decic, EMPTY_RESISTANCE);
}

int32_t soc_cell_spreading_msec(struct maybe decic) {
        return at_temperature(decic, SPREADING);
}
