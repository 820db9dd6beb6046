/* SPDX-License-Identifier: MIT */
#pragma once

/* True frames for tests, written byte by byte from the table in the published sheet (wire-formats.md section
 * 1), so that what is tested and what it is tested against share no code. */

#include <stdint.h>
#include <string.h>

#define COMPOSE_SIZE 58

struct compose_cell {
        uint16_t voltage_raw;     /* 5 mV */
        uint16_t temperature_raw; /* sheet: 276 = 0 degC */
};

/* splitmix64: the same seed gives the same sequence everywhere. */
static inline uint64_t compose_random(uint64_t *state) {
        uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        return z ^ (z >> 31);
}

static inline void compose_16(uint8_t *p, unsigned value) {
        p[0] = (uint8_t)(value / 256 % 256);
        p[1] = (uint8_t)(value % 256);
}

static inline void compose_24(uint8_t *p, unsigned value) {
        p[0] = (uint8_t)(value / 65536 % 256);
        compose_16(p + 1, value % 65536);
}

/* In steps of 125 mA. */
static inline void compose_current(uint8_t *p, int steps) {
        p[0] = steps < 0 ? '-' : '+';
        compose_16(p + 1, (unsigned)(steps < 0 ? -steps : steps));
}

static inline void compose_seal(uint8_t bytes[COMPOSE_SIZE]) {
        unsigned sum = 0;

        for (int i = 0; i < 57; i++)
                sum += bytes[i];
        bytes[57] = (uint8_t)(sum % 256);
}

/* What a chain of n cells (cells[0] is cell 1) sends at the last board: no OUT board, V-bypass 3.500 V, the
 * detail of cell `detail` (zeros if there is no such cell). Currents in steps of 125 mA. */
static inline void compose_frame(uint8_t bytes[COMPOSE_SIZE], const struct compose_cell *cells, int n,
                                 int detail, int in, int out) {
        unsigned pack = 0;
        int lowest = 0, highest = 0, coldest = 0, hottest = 0;

        memset(bytes, 0, COMPOSE_SIZE);
        for (int i = 0; i < n; i++) {
                pack += cells[i].voltage_raw;
                if (cells[i].voltage_raw < cells[lowest].voltage_raw)
                        lowest = i;
                if (cells[i].voltage_raw > cells[highest].voltage_raw)
                        highest = i;
                if (cells[i].temperature_raw < cells[coldest].temperature_raw)
                        coldest = i;
                if (cells[i].temperature_raw > cells[hottest].temperature_raw)
                        hottest = i;
        }

        compose_24(bytes, pack);
        compose_current(bytes + 3, in);
        compose_current(bytes + 6, out);
        compose_current(bytes + 9, in - out);
        compose_16(bytes + 12, cells[lowest].voltage_raw);
        bytes[14] = (uint8_t)(lowest + 1);
        compose_16(bytes + 15, cells[highest].voltage_raw);
        bytes[17] = (uint8_t)(highest + 1);
        compose_16(bytes + 18, cells[coldest].temperature_raw);
        bytes[20] = (uint8_t)(coldest + 1);
        compose_16(bytes + 21, cells[hottest].temperature_raw);
        bytes[23] = (uint8_t)(hottest + 1);
        bytes[24] = (uint8_t)detail;
        bytes[25] = (uint8_t)n;
        if (detail >= 1 && detail <= n) {
                compose_16(bytes + 26, cells[detail - 1].voltage_raw);
                compose_16(bytes + 28, cells[detail - 1].temperature_raw);
        }
        bytes[30] = 0x80;
        compose_16(bytes + 55, 700);
        compose_seal(bytes);
}

/* n cells between 3.250 and 3.400 V, 10 and 30 degC. */
static inline void compose_cells(struct compose_cell *cells, int n, uint64_t *random) {
        for (int i = 0; i < n; i++) {
                cells[i].voltage_raw = (uint16_t)(650 + compose_random(random) % 31);
                cells[i].temperature_raw = (uint16_t)(286 + compose_random(random) % 21);
        }
}
