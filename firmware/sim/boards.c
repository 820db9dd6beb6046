/* SPDX-License-Identifier: MIT */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards.h"

/* A character takes 1.04 ms, 0.93 ms from the fastest board: shorter than what ends one. */
#define SLICE_S 0.0008
#define MODEL_STEP_S 0.1

/* Factory codes on both sides of the seam between the two ranges. */
#define FACTORY_LOWEST 0x60
#define FACTORY_CODES 0x40

static void draw_oscillator(struct boards *c, struct board *b) {
        struct mcu_rc *rc = &b->mcu.rc;

        rc->base_hz = 8e6 * (1 + c->config.spread * rng_even(&c->rng));
        rc->factory = (uint8_t)(FACTORY_LOWEST + rng_below(&c->rng, FACTORY_CODES));
        rc->step = 0.0065 + 0.0035 * rng_even(&c->rng);
        rc->seam = 0.12 + 0.08 * rng_even(&c->rng);
        rc->unevenness = rng_next(&c->rng);
        rc->per_degc = c->config.per_degc * rng_even(&c->rng);
        rc->per_volt = c->config.per_volt * rng_even(&c->rng);
        b->mcu.watchdog_hz = 128e3 * (1 + 0.1 * rng_even(&c->rng));
}

static int make_board(struct boards *c, unsigned number) {
        struct board *b = c->board[number] = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        r = board_init(b, number, number == 1, number == 1 ? &c->in_image : &c->cell_image,
                       rng_next(&c->rng));
        if (r < 0)
                return r;
        draw_oscillator(c, b);
        b->mcu.adc_noise_lsb = c->config.noise_lsb;
        b->degc = c->config.ambient_c;
        b->cell = (struct sim_cell){.capacity_ah = 100,
                                    .resistance = 1,
                                    .soc = 50,
                                    .ambient_c = b->degc,
                                    .core_c = b->degc,
                                    .temperature_c = b->degc};
        c->power_at[number] = c->config.power_on_s * (rng_even(&c->rng) + 1) / 2;
        return 0;
}

int boards_new(const struct boards_config *config, struct boards **ret, char *ret_error, size_t size) {
        struct boards *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->config = *config;
        rng_init(&c->rng, config->seed, 0x626F6172);
        r = mcu_image_load(config->in_image, &c->in_image);
        if (r == 0)
                r = mcu_image_load(config->cell_image, &c->cell_image);
        if (r < 0) {
                (void)snprintf(ret_error, size, "%s, %s: no image for the chip", config->in_image,
                               config->cell_image);
                free(c);
                return r;
        }
        for (unsigned i = 1; i <= config->cells; i++) {
                r = make_board(c, i);
                c->n = i;
                if (r < 0) {
                        (void)snprintf(ret_error, size, "board %u: %s", i, strerror(-r));
                        boards_free(c);
                        return r;
                }
        }
        for (unsigned i = 1; i <= c->n; i++) {
                c->board[i]->next = c->board[i < c->n ? i + 1 : 1];
                c->board[i]->wanted = c->power_at[i] <= 0;
                board_surroundings(c->board[i], 0);
        }
        *ret = c;
        return 0;
}

struct boards *boards_free(struct boards *c) {
        if (!c)
                return NULL;
        for (unsigned i = 1; i <= c->n; i++)
                if (c->board[i]) {
                        board_done(c->board[i]);
                        free(c->board[i]);
                }
        free(c);
        return NULL;
}

static void step_cells(struct boards *c) {
        double seconds = c->now - c->stepped;

        if (!c->modelled || seconds < MODEL_STEP_S)
                return;
        c->stepped = c->now;
        for (unsigned i = 1; i <= c->n; i++) {
                mcu_run(&c->board[i]->mcu, c->now);
                board_step(c->board[i], c->now, c->current_a, seconds);
        }
}

void boards_run(struct boards *c, double until) {
        while (c->now < until) {
                double end = c->now + SLICE_S < until ? c->now + SLICE_S : until;

                for (unsigned i = 1; i <= c->n; i++) {
                        struct board *b = c->board[i];

                        if (!b->wanted && c->power_at[i] <= c->now && c->power_at[i] > 0)
                                boards_power(c, i, true);
                        if (mcu_next(&b->mcu) < end)
                                mcu_run(&b->mcu, end);
                }
                c->now = end;
                step_cells(c);
        }
        board_listen(c->board[1], c->now);
}

void boards_power(struct boards *c, unsigned number, bool on) {
        struct board *b = c->board[number];

        mcu_run(&b->mcu, c->now);
        c->power_at[number] = 0;
        b->wanted = on;
        board_surroundings(b, c->now);
}

void boards_cell(struct boards *c, unsigned number, double volts, double degc) {
        struct board *b = c->board[number];

        mcu_run(&b->mcu, c->now);
        b->volts = volts;
        b->degc = degc;
        board_surroundings(b, c->now);
}

void boards_model(struct boards *c, double soc_percent, double capacity_ah, double spread_percent) {
        c->modelled = true;
        c->stepped = c->now;
        for (unsigned i = 1; i <= c->n; i++) {
                struct board *b = c->board[i];

                b->modelled = true;
                b->cell.capacity_ah = capacity_ah;
                b->cell.soc = soc_percent + spread_percent * rng_even(&c->rng);
                mcu_run(&b->mcu, c->now);
                board_step(b, c->now, c->current_a, 0.001);
        }
}

void boards_current(struct boards *c, double ampere) {
        c->current_a = ampere;
        if (c->sensor_a <= 0)
                return;
        c->board[1]->sensor_there[0] = true;
        c->board[1]->sensor_share[0] = ampere / c->sensor_a;
}

struct line *boards_line(struct boards *c, unsigned number) {
        return &c->board[number]->next->line;
}

void boards_swap(struct boards *c, unsigned a, unsigned b) {
        struct board *next = c->board[a]->next;

        c->board[a]->next = c->board[b]->next;
        c->board[b]->next = next;
}

void boards_errors(struct boards *c, double rate) {
        for (unsigned i = 1; i <= c->n; i++)
                line_set_errors(&c->board[i]->line, rate);
}

int boards_load_eeprom(struct boards *c, const char *path) {
        FILE *f = fopen(path, "rb");

        if (!f)
                return errno == ENOENT ? 0 : -errno;
        for (unsigned i = 1; i <= c->n; i++) {
                uint8_t *e = c->board[i]->mcu.eeprom;

                if (fread(e, 1, MCU_EEPROM_SIZE, f) != MCU_EEPROM_SIZE)
                        memset(e, 0xFF, MCU_EEPROM_SIZE);
        }
        (void)fclose(f); /* read only */
        return 0;
}

int boards_save_eeprom(const struct boards *c, const char *path) {
        FILE *f = fopen(path, "wb");
        int r = 0;

        if (!f)
                return -errno;
        for (unsigned i = 1; i <= c->n && r == 0; i++)
                if (fwrite(c->board[i]->mcu.eeprom, 1, MCU_EEPROM_SIZE, f) != MCU_EEPROM_SIZE)
                        r = -EIO;
        if (fclose(f) != 0)
                r = -EIO;
        return r;
}
