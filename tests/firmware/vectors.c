/* SPDX-License-Identifier: MIT */
#include "vectors.h"

#include "bypass.h"
#include "eeprom.h"
#include "measure.h"

static uint32_t hash, state;

/* FNV-1a, byte by byte. */
static void fold(uint16_t value) {
        hash = (hash ^ (value & 0xFFu)) * UINT32_C(16777619);
        hash = (hash ^ (value >> 8)) * UINT32_C(16777619);
}

/* xorshift32 */
static uint16_t draw(void) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        return (uint16_t)(state >> 8);
}

static void readings(const struct measure_calibration *calibration, uint16_t step) {
        struct measure_reading reading;

        for (uint16_t sum = 0; sum <= HARDWARE_SUM_MAX; sum = (uint16_t)(sum + step)) {
                struct measure_sums sums = {sum, (uint16_t)(HARDWARE_SUM_MAX - sum), 14418};

                measure_reading(&sums, calibration, &reading);
                fold(reading.voltage);
                fold(reading.temperature);
                fold(reading.faults);
                fold((uint16_t)measure_raw(&sums));
                /* The same number as the chip's own 1.1 V. */
                sums = (struct measure_sums){10565, 8192, sum};
                measure_reading(&sums, calibration, &reading);
                fold(reading.voltage);
                fold(reading.faults);
        }
}

static void measuring(void) {
        struct measure_calibration calibration;

        measure_calibration_default(&calibration);
        readings(&calibration, 1);
        for (uint8_t i = 0; i < 8; i++) {
                calibration.gain_mv = (uint16_t)(20246 + draw() % 409);
                calibration.offset_100uv = (int16_t)((int16_t)(draw() % 501) - 250);
                calibration.bandgap = (uint16_t)(12845 + draw() % 3199);
                fold(measure_calibration_valid(&calibration));
                readings(&calibration, 53);
        }
}

static void bypassing(void) {
        static const uint16_t voltages[] = {680, 700, 720, 740, 800, 820, 840, 860, 0, 681};
        struct bypass b;

        bypass_init(&b);
        for (uint16_t i = 0; i < 5000; i++) {
                /* One after the other: compilers differ in which argument they work out first. */
                uint16_t what = draw(), voltage = (uint16_t)(670 + draw() % 200);
                uint16_t temperature = (uint16_t)(340 + draw() % 30);

                switch (what % 3) {
                case 0:
                        bypass_frame(&b, voltages[what / 3 % (i / 500 + 1)]);
                        break;
                case 1:
                        bypass_reading(&b, what % 50 == 0 ? 0 : voltage, what % 70 == 0 ? 0 : temperature);
                        break;
                default:
                        bypass_sense(&b, what & 0x100u, what & 0x600u);
                }
                fold((uint16_t)(bypass_on(&b) | bypass_faulty(&b) << 1));
                fold(bypass_voltage(&b));
        }
}

static void records(void) {
        uint8_t bytes[EEPROM_KIND_SIZE], payload[EEPROM_PAYLOAD_SIZE];
        struct measure_calibration calibration = {0};
        struct eeprom_record record;
        struct eeprom_write w;
        uint16_t address;
        uint8_t value;

        for (uint8_t i = 0; i < EEPROM_KIND_SIZE; i++)
                bytes[i] = 0xFF;
        for (uint16_t i = 0; i < 400; i++) {
                struct measure_calibration c;

                c.gain_mv = (uint16_t)(20200 + draw() % 500);
                c.offset_100uv = (int16_t)((int16_t)(draw() % 600) - 300);
                c.bandgap = draw();
                if (i % 2)
                        c.bandgap = 0;
                eeprom_load(EEPROM_CALIBRATION, bytes, &record);
                eeprom_put_calibration(payload, &c);
                eeprom_write_begin(&w, EEPROM_CALIBRATION, &record, payload);
                while (eeprom_write_next(&w, &address, &value)) {
                        bytes[address - eeprom_address(EEPROM_CALIBRATION)] = value;
                        /* Now and then the power fails. */
                        if (draw() % 64 == 0)
                                break;
                }
                eeprom_load(EEPROM_CALIBRATION, bytes, &record);
                fold((uint16_t)(record.found | eeprom_get_calibration(record.payload, &calibration) << 1));
                fold(calibration.gain_mv);
                fold((uint16_t)calibration.offset_100uv);
                fold(calibration.bandgap);
                for (uint8_t b = 0; b < EEPROM_KIND_SIZE; b++)
                        fold(bytes[b]);
        }
}

uint32_t vectors_hash(void) {
        hash = UINT32_C(2166136261);
        state = 2026;
        measuring();
        bypassing();
        records();
        return hash;
}
