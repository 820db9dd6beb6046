/* SPDX-License-Identifier: MIT */
#include "record-columns.h"

enum {
        COLUMN_LENGTH,
        COLUMN_COVERED,
        COLUMN_SOC,
        COLUMN_POWER,
        COLUMN_PACK,
        COLUMN_LOWEST,
        COLUMN_HIGHEST,
        COLUMN_COLDEST,
        COLUMN_HOTTEST,
        COLUMN_COLLECTED,
        COLUMN_CONSUMED,
        COLUMN_CHARGED,
        COLUMN_DISCHARGED,
        _COLUMN_MAX,
};

const struct record_column record_columns[] = {
        [COLUMN_LENGTH] = {"length_s", 0},
        [COLUMN_COVERED] = {"covered_s", 0},
        [COLUMN_SOC] = {"soc_percent", 2},
        [COLUMN_POWER] = {"power_w", 3},
        [COLUMN_PACK] = {"pack_voltage_v", 3},
        [COLUMN_LOWEST] = {"lowest_cell_voltage_v", 3},
        [COLUMN_HIGHEST] = {"highest_cell_voltage_v", 3},
        [COLUMN_COLDEST] = {"lowest_cell_temperature_degc", 1},
        [COLUMN_HOTTEST] = {"highest_cell_temperature_degc", 1},
        [COLUMN_COLLECTED] = {"energy_collected_wh", 3},
        [COLUMN_CONSUMED] = {"energy_consumed_wh", 3},
        [COLUMN_CHARGED] = {"energy_charged_wh", 3},
        [COLUMN_DISCHARGED] = {"energy_discharged_wh", 3},
};
const int n_record_columns = _COLUMN_MAX;
_Static_assert(sizeof(record_columns) / sizeof(record_columns[0]) == _COLUMN_MAX, "every column has its key");

struct maybe64 record_value(const struct record *row, int column) {
        switch (column) {
        case COLUMN_LENGTH:
                return some64((int64_t)(row->length_usec / USEC_PER_SEC));
        case COLUMN_COVERED:
                return some64(row->covered_sec);
        case COLUMN_SOC:
                return row->soc_permyriad;
        case COLUMN_POWER:
                return row->power_mw;
        case COLUMN_PACK:
                return row->pack_mv;
        case COLUMN_LOWEST:
                return row->lowest_mv;
        case COLUMN_HIGHEST:
                return row->highest_mv;
        case COLUMN_COLDEST:
                return row->lowest_decic;
        case COLUMN_HOTTEST:
                return row->highest_decic;
        case COLUMN_COLLECTED:
                return some64(row->mwh[ENERGY_COLLECTED]);
        case COLUMN_CONSUMED:
                return some64(row->mwh[ENERGY_CONSUMED]);
        case COLUMN_CHARGED:
                return some64(row->mwh[ENERGY_CHARGED]);
        case COLUMN_DISCHARGED:
                return some64(row->mwh[ENERGY_DISCHARGED]);
        default:
                return none64();
        }
}

void record_write(struct json *j, const struct record *row) {
        for (int i = 0; i < n_record_columns; i++)
                json_number(j, record_columns[i].key, record_value(row, i), record_columns[i].decimals);
}
