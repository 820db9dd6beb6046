/* SPDX-License-Identifier: MIT */
#pragma once

/* One simulated LiFePO4 cell with the board on its plus pole: open-circuit voltage, resistance, charge,
 * bypass, heat. Uses double: the simulator is a program of its own and no part of the safety path. Knows
 * nothing of frames, neighbours or time of day. */

#include <stdbool.h>

#define CELL_BYPASS_A 1.0            /* manual: balancing current 1 A */
#define CELL_BYPASS_HYSTERESIS_MV 20 /* chain.md R13 */
#define CELL_BYPASS_OFF_C 85.0       /* chain.md R13, at the board */
#define CELL_BYPASS_ON_C 75.0

/* Above 100 % a full cell takes next to nothing and its voltage runs away; below 0 % it collapses. */
#define CELL_SOC_MIN (-2.0)
#define CELL_SOC_MAX 102.0

/* What a real cell does beyond a curve and a resistance; each can be left out to see what it changes. */
struct cell_model {
        bool hysteresis;   /* the open-circuit voltage remembers which way the charge came */
        bool polarisation; /* the current runs ahead of diffusion: voltage goes on moving, and recovers */
        bool temperature;  /* resistance and diffusion by the cell's temperature; else as at 25 degC */
};

struct sim_cell {
        struct cell_model model;
        double capacity_ah; /* as it is now, aged or not */
        double resistance;  /* multiplies the published curve scaled by capacity; 1 = a good cell */
        double leak_a;      /* self-discharge */
        double soc;         /* %, CELL_SOC_MIN..CELL_SOC_MAX */
        double ambient_c;
        double core_c;        /* of the cell itself */
        double temperature_c; /* where the board measures it: beside the bypass resistors */
        double memory;        /* hysteresis, -1 (came by discharging) .. 1 (by charging) */
        double lead;          /* polarisation: how far the particles' surface is ahead of their mean, % of SOC */
        bool bypass;
        bool bypass_too_hot;
};

/* Volts with no current, by the charge in %. Published with SimSES (TUM) for a 3 Ah cell; the ends beyond 0
 * and 100 % are this project's. */
double cell_ocv(double soc);

/* Half the width between the curves of charging and discharging, in V. Published with SimSES (TUM) for the same
 * cell (CLFP_Sony_US26650_HystV.csv): 17 to 30 mV. */
double cell_hysteresis(double soc);

/* Volts at the terminals if the current were cut this instant: open-circuit voltage, hysteresis, polarisation. */
double cell_emf(const struct sim_cell *c);

/* Ohms at this current's direction (charging is positive). */
double cell_resistance(const struct sim_cell *c, double current_a);

/* Volts as the board measures them: with the pack's current, bypass off (chain.md R5). */
double cell_voltage(const struct sim_cell *c, double current_a);

/* Lets the pack's current flow for a time; while the bypass is on, 1 A less reaches the cell. */
void cell_step(struct sim_cell *c, double current_a, double seconds);

/* Switches the bypass by a reading (chain.md R13). v_bypass_mv 0 = not known: off. */
void cell_switch_bypass(struct sim_cell *c, int reading_mv, int v_bypass_mv);
