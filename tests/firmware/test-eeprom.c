/* SPDX-License-Identifier: MIT */
/* Records in the EEPROM (firmware/eeprom.h): their bytes, their checks, and power that fails at any byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "eeprom.h"

#define SIZE 1024 /* of the ATmega328P */

struct chip {
        uint8_t bytes[SIZE];
};

static struct chip blank(void) {
        struct chip chip;

        memset(chip.bytes, 0xFF, sizeof(chip.bytes));
        return chip;
}

static struct eeprom_record load(const struct chip *chip, enum eeprom_kind kind) {
        struct eeprom_record record;

        eeprom_load(kind, chip->bytes + eeprom_address(kind), &record);
        return record;
}

/* Writes at most `bytes` bytes whole; the next one is torn: it holds `torn`. Returns whether all were
 * written. */
static bool store(struct chip *chip, enum eeprom_kind kind, const uint8_t *payload, int bytes, uint8_t torn) {
        struct eeprom_record record = load(chip, kind);
        struct eeprom_write w;
        uint16_t address;
        uint8_t value;

        eeprom_write_begin(&w, kind, &record, payload);
        while (eeprom_write_next(&w, &address, &value)) {
                assert_true(address >= eeprom_address(kind));
                assert_true(address < eeprom_address(kind) + EEPROM_KIND_SIZE);
                if (bytes-- == 0) {
                        chip->bytes[address] = torn;
                        return false;
                }
                chip->bytes[address] = value;
        }
        return true;
}

static void assert_payload(const struct chip *chip, enum eeprom_kind kind, const uint8_t *payload) {
        struct eeprom_record record = load(chip, kind);

        assert_true(record.found);
        assert_memory_equal(record.payload, payload, EEPROM_PAYLOAD_SIZE);
}

static void test_blank(void **state) {
        struct chip erased = blank(), zero;

        (void)state;
        memset(zero.bytes, 0, sizeof(zero.bytes));
        for (int kind = 0; kind < _EEPROM_KIND_MAX; kind++) {
                static const uint8_t nothing[EEPROM_PAYLOAD_SIZE] = {0};
                struct eeprom_record record = load(&erased, kind);

                assert_false(record.found);
                assert_memory_equal(record.payload, nothing, sizeof(nothing));
                assert_false(load(&zero, kind).found);
        }
}

static void test_places(void **state) {
        (void)state;
        /* The first 16 bytes are left alone, and the kinds follow each other: documented in docs/boards.md.
         */
        for (int kind = 0; kind < _EEPROM_KIND_MAX; kind++)
                assert_int_equal(eeprom_address(kind), 16 + 24 * kind);
        assert_int_equal(EEPROM_END, 160);
}

/* Two slots, byte by byte. The CRCs are those of Python's binascii.crc_hqx(bytes, 0xFFFF). */
static void test_bytes(void **state) {
        static const uint8_t trim[EEPROM_SLOT_SIZE] = {0xA0, 0x00, 0x9C, 0, 0, 0, 0, 0, 0, 0, 0xED, 0x82};
        static const uint8_t calibration[EEPROM_SLOT_SIZE] = {0xA1, 0x07, 0x50, 0x20, 0xFF, 0xDB,
                                                              0x38, 0x52, 0x00, 0x00, 0x51, 0x5A};
        struct measure_calibration c = {20512, -37, 14418};
        struct chip chip = blank();
        uint8_t payload[EEPROM_PAYLOAD_SIZE];

        (void)state;
        eeprom_put_trim(payload, 0x9C);
        assert_true(store(&chip, EEPROM_TRIM, payload, 100, 0));
        assert_memory_equal(chip.bytes + 16, trim, sizeof(trim));

        eeprom_put_calibration(payload, &c);
        for (int i = 0; i < 8; i++)
                assert_true(store(&chip, EEPROM_CALIBRATION, payload, 100, 0));
        assert_memory_equal(chip.bytes + 16 + 24 + 12, calibration, sizeof(calibration));
        /* Nothing else was touched. */
        for (int i = 0; i < SIZE; i++)
                if (i < 16 || (i >= 28 && i < 40) || i >= 64)
                        assert_int_equal(chip.bytes[i], 0xFF);
}

static void test_last_one_counts(void **state) {
        struct chip chip = blank();
        uint8_t payload[EEPROM_PAYLOAD_SIZE];

        (void)state;
        /* Past the end of the sequence numbers, twice. */
        for (int i = 0; i < 600; i++) {
                eeprom_put_trim(payload, (uint8_t)(i * 7));
                assert_true(store(&chip, EEPROM_TRIM, payload, 100, 0));
                assert_payload(&chip, EEPROM_TRIM, payload);
        }
}

/* Any single bit that turned: the record before it, never another one. */
static void test_damage(void **state) {
        struct chip chip = blank();
        uint8_t first[EEPROM_PAYLOAD_SIZE], second[EEPROM_PAYLOAD_SIZE];
        uint16_t address = eeprom_address(EEPROM_FACTORY);

        (void)state;
        eeprom_put_factory(first, &(struct eeprom_factory){2, 16});
        eeprom_put_factory(second, &(struct eeprom_factory){7, 255});
        assert_true(store(&chip, EEPROM_FACTORY, first, 100, 0));
        assert_true(store(&chip, EEPROM_FACTORY, second, 100, 0));
        assert_payload(&chip, EEPROM_FACTORY, second);
        for (int bit = 0; bit < EEPROM_SLOT_SIZE * 8; bit++) {
                struct chip damaged = chip;

                damaged.bytes[address + EEPROM_SLOT_SIZE + bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_payload(&damaged, EEPROM_FACTORY, first);
                damaged.bytes[address + bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(load(&damaged, EEPROM_FACTORY).found);
        }
        /* A kind is not taken for another one. */
        memcpy(chip.bytes + eeprom_address(EEPROM_HALL), chip.bytes + address, EEPROM_KIND_SIZE);
        assert_false(load(&chip, EEPROM_HALL).found);
}

/* Power fails at each byte in turn, and that byte holds any value then; what was there before is older
 * records, an older one that was interrupted too, or nothing. The old record or the new one is found, and the
 * next write goes well. */
static void test_power_fails(void **state) {
        uint8_t old[EEPROM_PAYLOAD_SIZE], new[EEPROM_PAYLOAD_SIZE], later[EEPROM_PAYLOAD_SIZE];

        (void)state;
        eeprom_put_trim(old, 0x55);
        eeprom_put_trim(new, 0xAA);
        eeprom_put_trim(later, 0x0F);
        for (int before = 0; before <= 3; before++)
                for (int again = -1; again <= EEPROM_SLOT_SIZE; again++)
                        for (int bytes = 0; bytes <= EEPROM_SLOT_SIZE; bytes++)
                                for (int torn = 0; torn < 256; torn++) {
                                        struct chip chip = blank();
                                        struct eeprom_record record;

                                        for (int i = 0; i < before; i++)
                                                store(&chip, EEPROM_TRIM, old, 100, 0);
                                        if (again >= 0)
                                                store(&chip, EEPROM_TRIM, new, again, (uint8_t)(torn * 5));
                                        store(&chip, EEPROM_TRIM, new, bytes, (uint8_t)torn);
                                        record = load(&chip, EEPROM_TRIM);
                                        if (before > 0)
                                                assert_true(record.found);
                                        if (record.found)
                                                assert_true(memcmp(record.payload, old, sizeof(old)) == 0 ||
                                                            memcmp(record.payload, new, sizeof(new)) == 0);
                                        assert_true(store(&chip, EEPROM_TRIM, later, 100, 0));
                                        assert_payload(&chip, EEPROM_TRIM, later);
                                }
}

static void test_payloads(void **state) {
        static const struct measure_calibration calibrations[] = {{20246, -250, 12845}, {20654, 250, 0}};
        uint8_t payload[EEPROM_PAYLOAD_SIZE], code;
        struct measure_calibration c;
        struct eeprom_factory f;
        struct eeprom_hall h;
        struct measure_sums s;

        (void)state;
        for (int i = 0; i < 256; i++) {
                eeprom_put_trim(payload, (uint8_t)i);
                assert_true(eeprom_get_trim(payload, &code));
                assert_int_equal(code, i);
        }
        for (int i = 0; i < 2; i++) {
                eeprom_put_calibration(payload, &calibrations[i]);
                assert_true(eeprom_get_calibration(payload, &c));
                assert_int_equal(c.gain_mv, calibrations[i].gain_mv);
                assert_int_equal(c.offset_100uv, calibrations[i].offset_100uv);
                assert_int_equal(c.bandgap, calibrations[i].bandgap);
        }
        for (int type = 0; type <= 8; type++)
                for (int cells = 0; cells <= 255; cells++) {
                        eeprom_put_factory(payload, &(struct eeprom_factory){(uint8_t)type, (uint8_t)cells});
                        assert_int_equal(eeprom_get_factory(payload, &f), type <= 7 && cells >= 2);
                        if (type <= 7 && cells >= 2) {
                                assert_int_equal(f.sensor_type, type);
                                assert_int_equal(f.cells, cells);
                        }
                }
        eeprom_put_hall(payload, &(struct eeprom_hall){{INT16_MIN, INT16_MAX}});
        assert_true(eeprom_get_hall(payload, &h));
        assert_int_equal(h.offset[0], INT16_MIN);
        assert_int_equal(h.offset[1], INT16_MAX);
        eeprom_put_raw(payload, &(struct measure_sums){8009, 8192, 14418}); /* 2.5 V */
        assert_true(eeprom_get_raw(payload, &s));
        assert_int_equal(s.cell, 8009);
        assert_int_equal(s.ntc, 8192);
        assert_int_equal(s.bandgap, 14418);
}

/* A good CRC around what no board stores: refused, and nothing is changed. */
static void test_payloads_refused(void **state) {
        uint8_t payload[EEPROM_PAYLOAD_SIZE], code = 1;
        struct measure_calibration c = {1, 2, 3};
        struct eeprom_factory f = {1, 2};
        struct eeprom_hall h = {{1, 2}};
        struct measure_sums s = {1, 2, 3};

        (void)state;
        eeprom_put_calibration(payload, &(struct measure_calibration){20245, 0, 0});
        assert_false(eeprom_get_calibration(payload, &c));
        eeprom_put_raw(payload, &(struct measure_sums){16368, 8192, 14418});
        assert_false(eeprom_get_raw(payload, &s));
        for (int i = 0; i < EEPROM_PAYLOAD_SIZE; i++) {
                eeprom_put_trim(payload, 0);
                payload[i] = 1;
                assert_int_equal(eeprom_get_trim(payload, &code), i < 1);
        }
        for (int i = 0; i < EEPROM_PAYLOAD_SIZE; i++) {
                memset(payload, 0, sizeof(payload));
                payload[1] = 4;
                payload[i] = (uint8_t)(i == 1 ? 4 : 1);
                assert_int_equal(eeprom_get_factory(payload, &f), i < 2);
                memset(payload, 0, sizeof(payload));
                payload[i] = 1;
                assert_int_equal(eeprom_get_hall(payload, &h), i < 4);
        }
        for (int i = 6; i < EEPROM_PAYLOAD_SIZE; i++) {
                eeprom_put_calibration(payload, &(struct measure_calibration){20450, 0, 0});
                payload[i] = 1;
                assert_false(eeprom_get_calibration(payload, &c));
                eeprom_put_raw(payload, &(struct measure_sums){8009, 8192, 14418});
                payload[i] = 1;
                assert_false(eeprom_get_raw(payload, &s));
        }
        assert_int_equal(c.gain_mv, 1);
        assert_int_equal(s.cell, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_blank),    cmocka_unit_test(test_places),
                cmocka_unit_test(test_bytes),    cmocka_unit_test(test_last_one_counts),
                cmocka_unit_test(test_damage),   cmocka_unit_test(test_power_fails),
                cmocka_unit_test(test_payloads), cmocka_unit_test(test_payloads_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
