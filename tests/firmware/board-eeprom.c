/* SPDX-License-Identifier: MIT */
/* The firmware's own reader and writer of EEPROM records, for test-calibrate.py. The EEPROM is a file of 1024
 * bytes.
 *
 *   board-eeprom blank FILE
 *   board-eeprom raw FILE CELL NTC BANDGAP      keeps the sums as a board without calibration does
 *   board-eeprom trim FILE CODE
 *   board-eeprom show FILE                      `calibration GAIN OFFSET BANDGAP` and `trim CODE`, what there
 * is board-eeprom reading FILE CELL NTC BANDGAP  `VOLTAGE TEMPERATURE FAULTS` that the board makes of these
 * sums
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eeprom.h"

#define SIZE 1024

static uint8_t eeprom[SIZE];

static struct eeprom_record load(enum eeprom_kind kind) {
        struct eeprom_record record;

        eeprom_load(kind, eeprom + eeprom_address(kind), &record);
        return record;
}

static void store(enum eeprom_kind kind, const uint8_t payload[EEPROM_PAYLOAD_SIZE]) {
        struct eeprom_record record = load(kind);
        struct eeprom_write w;
        uint16_t address;
        uint8_t value;

        eeprom_write_begin(&w, kind, &record, payload);
        while (eeprom_write_next(&w, &address, &value))
                eeprom[address] = value;
}

static bool calibration_of(struct measure_calibration *ret) {
        struct eeprom_record record = load(EEPROM_CALIBRATION);

        measure_calibration_default(ret);
        return record.found && eeprom_get_calibration(record.payload, ret);
}

static bool keep_raw(const struct measure_sums *sums) {
        struct measure_calibration calibration;
        uint8_t payload[EEPROM_PAYLOAD_SIZE];
        enum measure_raw raw = measure_raw(sums);
        enum eeprom_kind kind = raw == MEASURE_RAW_LOW ? EEPROM_RAW_LOW : EEPROM_RAW_HIGH;

        if (raw == MEASURE_RAW_NONE || calibration_of(&calibration) || load(kind).found)
                return false;
        eeprom_put_raw(payload, sums);
        store(kind, payload);
        return true;
}

static int run(const char *command, int argc, char **argv) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE], code;
        struct measure_calibration calibration;
        struct measure_reading reading;
        struct measure_sums sums = {0};

        if (argc == 3) {
                sums.cell = (uint16_t)atoi(argv[0]);
                sums.ntc = (uint16_t)atoi(argv[1]);
                sums.bandgap = (uint16_t)atoi(argv[2]);
        }
        if (strcmp(command, "blank") == 0) {
                memset(eeprom, 0xFF, sizeof(eeprom));
        } else if (strcmp(command, "raw") == 0 && argc == 3) {
                puts(keep_raw(&sums) ? "kept" : "not kept");
        } else if (strcmp(command, "trim") == 0 && argc == 1) {
                eeprom_put_trim(payload, (uint8_t)atoi(argv[0]));
                store(EEPROM_TRIM, payload);
        } else if (strcmp(command, "show") == 0) {
                struct eeprom_record trim = load(EEPROM_TRIM);

                if (calibration_of(&calibration))
                        printf("calibration %d %d %d\n", calibration.gain_mv, calibration.offset_100uv,
                               calibration.bandgap);
                if (trim.found && eeprom_get_trim(trim.payload, &code))
                        printf("trim %d\n", code);
        } else if (strcmp(command, "reading") == 0 && argc == 3) {
                calibration_of(&calibration);
                measure_reading(&sums, &calibration, &reading);
                printf("%d %d %d\n", reading.voltage, reading.temperature, reading.faults);
        } else {
                return 2;
        }
        return 0;
}

int main(int argc, char **argv) {
        FILE *file;
        int status;

        if (argc < 3)
                return 2;
        file = fopen(argv[2], strcmp(argv[1], "blank") == 0 ? "w+b" : "r+b");
        if (!file)
                return 1;
        if (strcmp(argv[1], "blank") != 0 && fread(eeprom, 1, SIZE, file) != SIZE) {
                fclose(file);
                return 1;
        }
        status = run(argv[1], argc - 3, argv + 3);
        rewind(file);
        if (status == 0 && fwrite(eeprom, 1, SIZE, file) != SIZE)
                status = 1;
        if (fclose(file) != 0)
                status = 1;
        return status;
}
