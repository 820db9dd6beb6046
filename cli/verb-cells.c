/* SPDX-License-Identifier: MIT */

/* cells, cells accept. */

#include "cli.h"
#include "document.h"
#include "format.h"
#include "phrases.h"

static const char *const colours[] = {
        [CELL_GREEN] = "green", [CELL_YELLOW] = "yellow", [CELL_RED] = "red", [CELL_GREY] = "unknown"};

static void write_cell(struct json *j, const struct reading_cell *cell, int32_t vmin_mv) {
        json_object(j, NULL);
        json_number(j, "cell", some64(cell->number), 0);
        json_number(j, "voltage_v", cell->voltage_mv, 3);
        json_number(j, "temperature_degc", cell->temperature_decic, 1);
        document_age(j, cell->age);
        json_bool(j, "balancing", cell->bypassing);
        json_bool(j, "missing", cell->missing);
        json_bool(j, "voltage_out_of_range", cell->v_red);
        json_bool(j, "temperature_out_of_range", cell->t_red);
        json_string(j, "colour", colours[cell_colour(cell)]);
        json_string(j, "state", cell_state_name(cell, vmin_mv));
        json_close_object(j);
}

static void write_cells(const struct reading *r, const struct reading_cells *cells, int32_t vmin_mv) {
        struct json j;

        json_begin(&j, stdout, true);
        json_object(&j, NULL);
        json_string(&j, "link_state", reading_text(r, "LinkState"));
        json_number(&j, "known_cells", reading_number(r, "KnownCells"), 0);
        json_number(&j, "cell_count", reading_number(r, "CellCount"), 0);
        json_array(&j, "cells");
        for (int i = 0; i < cells->n; i++)
                write_cell(&j, &cells->cells[i], vmin_mv);
        json_close_array(&j);
        json_close_object(&j);
        json_end(&j);
}

static void print_cells(const struct reading *r, const struct reading_cells *cells, int32_t vmin_mv) {
        char v[FORMAT_MAX], t[FORMAT_MAX], age[FORMAT_MAX];

        printf("cell     voltage  temperature  heard          state\n");
        for (int i = 0; i < cells->n; i++) {
                const struct reading_cell *cell = &cells->cells[i];

                printf("%4u  %10s  %11s  %-13s  %c %s\n", cell->number,
                       format_quantity(cell->voltage_mv, 3, 3, "V", v),
                       format_quantity(cell->temperature_decic, 1, 1, "degC", t), format_age(cell->age, age),
                       cell_letter(cell, vmin_mv), cell_state_name(cell, vmin_mv));
        }
        if (cells->n == 0)
                printf("no cell was heard yet\n");
        if (reading_stale(r))
                printf("These readings are OLD (link %s).\n", reading_text(r, "LinkState"));
}

int verb_cells(struct cli *c) {
        struct reading reading;
        struct reading_cells cells;
        struct settings settings;
        int r;

        r = reading_fetch(&c->client, &reading);
        if (r == 0)
                r = reading_fetch_cells(&c->client, &cells);
        if (r == 0)
                r = reading_fetch_settings(&c->client, &settings, NULL);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        if (cli_json(c))
                write_cells(&reading, &cells, settings.values[SETTING_VMIN].value);
        else
                print_cells(&reading, &cells, settings.values[SETTING_VMIN].value);
        return reading_stale(&reading) ? EXIT_DATA_STALE : EXIT_OK;
}

int verb_cells_accept(struct cli *c) {
        struct reading reading;
        char n[FORMAT_MAX];
        int r;

        r = client_command(&c->client, SMARTBMS_INTERFACE("Cells"), "Accept", CLIENT_CHANGE_TIMEOUT_USEC, "");
        if (r == 0)
                r = reading_fetch(&c->client, &reading);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        printf("the pack now has %s cells\n", format_number(reading_number(&reading, "KnownCells"), 0, 0, n));
        return EXIT_OK;
}
