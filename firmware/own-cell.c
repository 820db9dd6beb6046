/* SPDX-License-Identifier: MIT */
#include "own-cell.h"

#include "chip.h"
#include "records.h"

#define MS(ms) ((uint32_t)(ms)*CHIP_TICK_HZ / UINT32_C(1000))
/* By an oscillator that is an eighth too fast, from within a tick, as well. */
#define SETTLE_TICKS (MS(HARDWARE_SETTLE_MS) * 9 / 8 + 1)

void own_cell_init(struct own_cell *o) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE];

        bypass_init(&o->bypass);
        measure_calibration_default(&o->calibration);
        o->calibrated =
                records_load(EEPROM_CALIBRATION, payload) && eeprom_get_calibration(payload, &o->calibration);
        o->reading = (struct measure_reading){0};
        o->last_sum = 0;
}

/* Once for each of the two voltages. */
static void keep_raw(const struct measure_sums *sums) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE];
        enum measure_raw raw = measure_raw(sums);
        enum eeprom_kind kind = raw == MEASURE_RAW_LOW ? EEPROM_RAW_LOW : EEPROM_RAW_HIGH;

        if (raw == MEASURE_RAW_NONE || records_load(kind, payload))
                return;
        eeprom_put_raw(payload, sums);
        records_store(kind, payload);
}

void own_cell_measure(struct own_cell *o) {
        struct measure_sums sums;

        if (bypass_on(&o->bypass))
                bypass_sense(&o->bypass, true, chip_bypass_sense());
        chip_bypass(false);
        chip_measuring_supply(true);
        chip_wait_until(chip_now() + SETTLE_TICKS);
        bypass_sense(&o->bypass, false, chip_bypass_sense());
        sums.bandgap = chip_adc_sum(HARDWARE_ADC_BANDGAP, HARDWARE_OVERSAMPLE_LOG2);
        sums.cell = chip_adc_sum(HARDWARE_ADC_CELL, HARDWARE_OVERSAMPLE_LOG2);
        sums.ntc = chip_adc_sum(HARDWARE_ADC_NTC, HARDWARE_OVERSAMPLE_LOG2);
        chip_measuring_supply(false);

        measure_reading(&sums, &o->calibration, &o->reading);
        bypass_reading(&o->bypass, o->reading.voltage, o->reading.temperature);
        chip_bypass(bypass_on(&o->bypass));
        if (!o->calibrated && measure_steady(sums.cell, o->last_sum))
                keep_raw(&sums);
        o->last_sum = sums.cell;
}
