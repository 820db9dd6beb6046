/* SPDX-License-Identifier: MIT */
#pragma once

/* What is published about a LiFePO4 cell, as far as the SOC needs it (S3, S4, S6): the voltage at rest, and how its
 * resistance and its diffusion go with the temperature. docs/soc.md names the sources. */

#include "units.h"

/* 0.1 degC. A cell that is warmer counts as one in a mild room; one whose temperature nobody knows is taken for as cold
 * as such a cell may be charged at, and so for as cold as a full sync can find it. */
#define SOC_CELL_MILD_DECIC 200
#define SOC_CELL_UNKNOWN_DECIC 0

/* SOC by the resting curve, permyriad. */
int32_t soc_cell_permyriad(int32_t mv);

/* Resistance of a cell of 3 Ah, 0.1 mohm, where the two syncs happen: charged at 90 %, discharged at 0 %. */
int32_t soc_cell_full_resistance(struct maybe decic);
int32_t soc_cell_empty_resistance(struct maybe decic);

/* A current runs ahead of diffusion by so much of itself, ms. */
int32_t soc_cell_spreading_msec(struct maybe decic);
