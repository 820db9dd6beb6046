/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "compose.h"
#include "frame.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* A frame of zeros that decodes: '+' signs, temperatures unknown. */
static void plain(uint8_t bytes[FRAME_SIZE]) {
        memset(bytes, 0, FRAME_SIZE);
        bytes[3] = bytes[6] = bytes[9] = '+';
        compose_seal(bytes);
}

static void test_published_temperatures(void **state) {
        static const struct {
                uint16_t raw;
                int32_t sheet_decic, legacy_decic;
        } rows[] = {
                /* sheets: 1 degC per bit, 0x0114 = 0 degC; drivers: raw * 0.857 - 232.1, by hand */
                {0x0114, 0, 44},         /* 276 * 0.857 - 232.1 = 4.432 */
                {0x0113, -10, 36},       /* 275: 3.575 */
                {0x0115, 10, 53},        /* 277: 5.289 */
                {0x012C, 240, 250},      /* 300: 25.000, the sample C record */
                {270, -60, -7},          /* -0.710 */
                {271, -50, 1},           /* 0.147 */
                {331, 550, 516},         /* 51.567 */
                {256, -200, -127},       /* -12.708 */
                {0, -2760, -2321},
                {1, -2750, -2312},       /* -231.243 */
                {65535, 652590, 559314}, /* 56163.495 - 232.1 = 55931.395 */
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(frame_temperature_decode(rows[i].raw, TEMPERATURE_SHEET),
                                 rows[i].sheet_decic);
                assert_int_equal(frame_temperature_decode(rows[i].raw, TEMPERATURE_LEGACY),
                                 rows[i].legacy_decic);
        }
}

/* wire-formats.md: the codings agree within 1 degC from about 24 to 38 degC, and are 4..7 degC apart at -20
 * and +60; there the sheet's is the more cautious one (colder when cold, hotter when hot). */
static void test_codings_compared(void **state) {
        (void)state;
        for (int celsius = 24; celsius <= 38; celsius++) {
                int32_t legacy = frame_temperature_decode((uint16_t)(276 + celsius), TEMPERATURE_LEGACY);

                assert_in_range(legacy - celsius * 10 + 1000, 990, 1010);
        }
        assert_in_range(frame_temperature_decode(276 - 20, TEMPERATURE_LEGACY) + 200, 40, 75);
        assert_in_range(600 - frame_temperature_decode(276 + 60, TEMPERATURE_LEGACY), 40, 75);
}

static void test_temperature_every_raw(void **state) {
        (void)state;
        for (int32_t raw = 0; raw <= 65535; raw++) {
                int32_t sheet = frame_temperature_decode((uint16_t)raw, TEMPERATURE_SHEET);
                int32_t legacy = frame_temperature_decode((uint16_t)raw, TEMPERATURE_LEGACY);
                int32_t error = legacy * 100 - (raw * 857 - 232100); /* 0.001 degC */

                assert_int_equal(sheet, (raw - 276) * 10);
                assert_true(error >= -50 && error <= 50);
                if (raw == 0)
                        continue;
                assert_int_equal(frame_temperature_encode(sheet, TEMPERATURE_SHEET), raw);
                assert_int_equal(frame_temperature_encode(legacy, TEMPERATURE_LEGACY), raw);
        }
}

static void test_temperature_encode(void **state) {
        static const struct {
                int32_t decic;
                uint16_t sheet, legacy;
        } rows[] = {
                {0, 276, 271}, /* 232.1 / 0.857 = 270.83 */
                {4, 276, 271},    /* to the nearest */
                {5, 277, 271},    /* 232.6 / 0.857 = 271.41 */
                {-4, 276, 270},   /* 231.7 / 0.857 = 270.36 */
                {-6, 275, 270},
                {550, 331, 335},  /* 287.1 / 0.857 = 335.01 */
                {-2750, 1, 1},    /* sheet: exactly raw 1; legacy is below its lowest */
                {-2760, 1, 1},    /* raw 0 would mean unknown */
                {-2770, 1, 1},
                {INT32_MIN, 1, 1},
                {559314, 56207, 65535},
                {652590, 65535, 65535},
                {652600, 65535, 65535},
                {INT32_MAX, 65535, 65535},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(frame_temperature_encode(rows[i].decic, TEMPERATURE_SHEET), rows[i].sheet);
                assert_int_equal(frame_temperature_encode(rows[i].decic, TEMPERATURE_LEGACY), rows[i].legacy);
        }
}

/* Every field of the published table but the currents, temperatures and the checksum: offset and size as
 * printed there, and what one step is worth. */
struct plain_field {
        const char *name;
        unsigned offset, size;
        uint32_t step;
        size_t member, member_size;
};

#define FIELD(member, offset, size, step)                                                       \
        { #member, offset, size, step, offsetof(struct frame, member), sizeof(((struct frame *)0)->member) }

static const struct plain_field plain_fields[] = {
        FIELD(pack_mv, 0, 3, 5),
        FIELD(lowest_mv, 12, 2, 5),
        FIELD(lowest_voltage_cell, 14, 1, 1),
        FIELD(highest_mv, 15, 2, 5),
        FIELD(highest_voltage_cell, 17, 1, 1),
        FIELD(lowest_temperature_cell, 20, 1, 1),
        FIELD(highest_temperature_cell, 23, 1, 1),
        FIELD(detail_cell, 24, 1, 1),
        FIELD(count, 25, 1, 1),
        FIELD(detail_mv, 26, 2, 5),
        FIELD(status, 30, 1, 1),
        FIELD(collected_today_wh, 31, 3, 1),
        FIELD(stored_wh, 34, 3, 1),
        FIELD(consumed_today_wh, 37, 3, 1),
        FIELD(soc_percent, 40, 1, 1),
        FIELD(collected_total_kwh, 41, 3, 1),
        FIELD(consumed_total_kwh, 44, 3, 1),
        FIELD(key_byte, 47, 1, 1),
        FIELD(value, 48, 1, 1),
        FIELD(capacity_wh, 49, 2, 100),
        FIELD(v_min_mv, 51, 2, 5),
        FIELD(v_max_mv, 53, 2, 5),
        FIELD(v_bypass_mv, 55, 2, 5),
};

static uint32_t field_max(const struct plain_field *field) {
        return field->size == 3 ? 0xFFFFFF : field->size == 2 ? 0xFFFF : 0xFF;
}

static void field_put(uint8_t *bytes, const struct plain_field *field, uint32_t raw) {
        for (unsigned i = 0; i < field->size; i++)
                bytes[field->offset + i] = (uint8_t)(raw >> (8 * (field->size - 1 - i)));
}

static uint32_t field_get(const struct frame *frame, const struct plain_field *field) {
        uint8_t byte;
        uint32_t word;

        if (field->member_size == 1) {
                memcpy(&byte, (const char *)frame + field->member, 1);
                return byte;
        }
        memcpy(&word, (const char *)frame + field->member, sizeof(word));
        return word;
}

/* The fields, currents (3 x 3), temperatures (3 x 2) and the checksum fill the 58 bytes without gap or
 * overlap. */
static void test_fields_fill_the_frame(void **state) {
        static const struct { unsigned offset, size; } others[] = {
                {3, 3}, {6, 3}, {9, 3}, {18, 2}, {21, 2}, {28, 2}, {57, 1},
        };
        uint8_t used[FRAME_SIZE] = {};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(plain_fields); i++)
                for (unsigned j = 0; j < plain_fields[i].size; j++)
                        used[plain_fields[i].offset + j]++;
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                for (unsigned j = 0; j < others[i].size; j++)
                        used[others[i].offset + j]++;
        for (unsigned i = 0; i < FRAME_SIZE; i++)
                assert_int_equal(used[i], 1);
}

static void check_field(const struct plain_field *field, uint32_t raw) {
        uint8_t bytes[FRAME_SIZE], again[FRAME_SIZE];
        struct frame frame;

        plain(bytes);
        field_put(bytes, field, raw);
        compose_seal(bytes);
        assert_true(frame_decode(bytes, TEMPERATURE_SHEET, &frame));
        if (field_get(&frame, field) != raw * field->step)
                fail_msg("%s: raw %u decodes to %u", field->name, raw, field_get(&frame, field));

        /* It is the only field that changed. */
        for (size_t i = 0; i < ELEMENTSOF(plain_fields); i++)
                if (&plain_fields[i] != field && field_get(&frame, &plain_fields[i]) != 0)
                        fail_msg("%s shows up in %s", field->name, plain_fields[i].name);

        frame_encode(&frame, TEMPERATURE_SHEET, again);
        if (memcmp(bytes, again, FRAME_SIZE) != 0)
                fail_msg("%s: raw %u does not round-trip", field->name, raw);
}

static void test_every_field_round_trips(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(plain_fields); i++) {
                uint32_t max = field_max(&plain_fields[i]);
                uint32_t stride = max > 0xFFFF ? 4093 : 1; /* prime: visits all low bytes */

                for (uint32_t raw = 0; raw < max; raw += stride)
                        check_field(&plain_fields[i], raw);
                check_field(&plain_fields[i], max - 1);
                check_field(&plain_fields[i], max);
        }
}

static void test_every_temperature_round_trips(void **state) {
        static const unsigned offsets[] = {18, 21, 28};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(offsets); i++)
                for (unsigned raw = 0; raw <= 0xFFFF; raw++) {
                        uint8_t bytes[FRAME_SIZE], again[FRAME_SIZE];
                        struct frame f;

                        plain(bytes);
                        compose_16(bytes + offsets[i], raw);
                        compose_seal(bytes);
                        assert_true(frame_decode(bytes, TEMPERATURE_SHEET, &f));
                        assert_int_equal(f.lowest_temperature_known, i == 0 && raw != 0);
                        assert_int_equal(f.highest_temperature_known, i == 1 && raw != 0);
                        assert_int_equal(f.detail_temperature_known, i == 2 && raw != 0);
                        assert_int_equal(i == 0 ? f.lowest_decic : i == 1 ? f.highest_decic : f.detail_decic,
                                         ((int)raw - 276) * 10);

                        frame_encode(&f, TEMPERATURE_SHEET, again);
                        assert_memory_equal(bytes, again, FRAME_SIZE);
                        assert_true(frame_decode(bytes, TEMPERATURE_LEGACY, &f));
                        frame_encode(&f, TEMPERATURE_LEGACY, again);
                        assert_memory_equal(bytes, again, FRAME_SIZE);
                }
}

static struct frame_current *current_of(struct frame *f, int i) {
        return i == 0 ? &f->in : i == 1 ? &f->out : &f->sum;
}

static void test_every_current_round_trips(void **state) {
        (void)state;
        for (int i = 0; i < 3; i++)
                for (int raw = -0xFFFF; raw <= 0xFFFF; raw++) {
                        uint8_t bytes[FRAME_SIZE], again[FRAME_SIZE];
                        struct frame f;

                        plain(bytes);
                        compose_current(bytes + 3 + 3 * i, raw);
                        compose_seal(bytes);
                        assert_true(frame_decode(bytes, TEMPERATURE_SHEET, &f));
                        for (int j = 0; j < 3; j++) {
                                assert_true(current_of(&f, j)->known);
                                assert_int_equal(current_of(&f, j)->ma, i == j ? raw * 125 : 0);
                        }
                        frame_encode(&f, TEMPERATURE_SHEET, again);
                        assert_memory_equal(bytes, again, FRAME_SIZE);
                }
}

/* '-' 0 and '+' 0 are one value; 'X' is unknown whatever follows it, and has no value. */
static void test_current_spellings(void **state) {
        uint8_t bytes[FRAME_SIZE], again[FRAME_SIZE];
        struct frame f;

        (void)state;
        plain(bytes);
        bytes[3] = '-';
        bytes[6] = 'X';
        compose_16(bytes + 7, 0xFFFF);
        compose_seal(bytes);
        assert_true(frame_decode(bytes, TEMPERATURE_SHEET, &f));
        assert_true(f.in.known);
        assert_int_equal(f.in.ma, 0);
        assert_false(f.out.known);
        assert_int_equal(f.out.ma, 0);

        frame_encode(&f, TEMPERATURE_SHEET, again);
        assert_int_equal(again[3], '+');
        assert_int_equal(again[6], 'X');
        assert_int_equal(again[7], 0);
        assert_int_equal(again[8], 0);
}

static void test_sign_bytes(void **state) {
        static const unsigned offsets[] = {3, 6, 9};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(offsets); i++)
                for (int byte = 0; byte <= 255; byte++) {
                        uint8_t bytes[FRAME_SIZE];
                        struct frame f, before;

                        memset(&f, 0xA5, sizeof(f));
                        before = f;
                        plain(bytes);
                        bytes[offsets[i]] = (uint8_t)byte;
                        compose_seal(bytes);
                        if (byte == '+' || byte == '-' || byte == 'X') {
                                assert_true(frame_decode(bytes, TEMPERATURE_SHEET, &f));
                        } else {
                                assert_false(frame_decode(bytes, TEMPERATURE_SHEET, &f));
                                assert_memory_equal(&f, &before, sizeof(f));
                        }
                }
}

static void test_checksum(void **state) {
        uint8_t bytes[FRAME_SIZE];
        struct frame f, before;

        (void)state;
        memset(bytes, 0, FRAME_SIZE);
        bytes[57] = 77; /* not part of its own sum */
        assert_int_equal(frame_checksum(bytes), 0);
        memset(bytes, 1, FRAME_SIZE);
        assert_int_equal(frame_checksum(bytes), 57);
        memset(bytes, 0xFF, FRAME_SIZE);
        assert_int_equal(frame_checksum(bytes), 199); /* 57 * 255 = 56 * 256 + 199 */

        memset(&f, 0xA5, sizeof(f));
        before = f;
        for (int wrong = 1; wrong <= 255; wrong++) {
                plain(bytes);
                bytes[57] = (uint8_t)(bytes[57] + wrong);
                assert_false(frame_decode(bytes, TEMPERATURE_SHEET, &f));
                assert_memory_equal(&f, &before, sizeof(f));
        }
        plain(bytes);
        assert_true(frame_decode(bytes, TEMPERATURE_SHEET, &f));
}

/* The samples seen in public, in the fields they share with the frame. */
static void test_published_samples(void **state) {
        uint8_t bytes[FRAME_SIZE];
        struct frame f;

        (void)state;
        plain(bytes);
        compose_24(bytes, 0x0AF0);      /* U_0AF0_... */
        compose_current(bytes + 3, 0x14);
        compose_current(bytes + 6, 0x0A);
        compose_current(bytes + 9, -0x14);
        bytes[24] = 0x01;               /* C_01_04_2BC_12C_03 */
        bytes[25] = 0x04;
        compose_16(bytes + 26, 0x2BC);
        compose_16(bytes + 28, 0x12C);
        bytes[30] = 0x03;
        bytes[40] = 0x64;               /* E_000000_000000_000000_64 */
        compose_16(bytes + 49, 20);
        bytes[47] = 25 + 130;
        compose_seal(bytes);
        assert_true(frame_decode(bytes, TEMPERATURE_SHEET, &f));

        assert_int_equal(f.pack_mv, 14000);
        assert_int_equal(f.in.ma, 2500);
        assert_int_equal(f.out.ma, 1250);
        assert_int_equal(f.sum.ma, -2500);
        assert_int_equal(f.detail_cell, 1);
        assert_int_equal(f.count, 4);
        assert_int_equal(f.detail_mv, 3500);
        assert_int_equal(f.detail_decic, 240);
        assert_int_equal(f.status, FRAME_STATUS_CHARGE_ALLOWED | FRAME_STATUS_DISCHARGE_ALLOWED);
        assert_int_equal(f.soc_percent, 100);
        assert_int_equal(f.capacity_wh, 2000);
        assert_int_equal(frame_key(&f), FRAME_KEY_SWITCHES);
}

static void test_status_bits(void **state) {
        (void)state;
        assert_int_equal(FRAME_STATUS_CHARGE_ALLOWED, 0x01);
        assert_int_equal(FRAME_STATUS_DISCHARGE_ALLOWED, 0x02);
        assert_int_equal(FRAME_STATUS_COMMUNICATION_ERROR, 0x04);
        assert_int_equal(FRAME_STATUS_V_MIN, 0x08);
        assert_int_equal(FRAME_STATUS_V_MAX, 0x10);
        assert_int_equal(FRAME_STATUS_T_MIN, 0x20);
        assert_int_equal(FRAME_STATUS_T_MAX, 0x40);
        assert_int_equal(FRAME_STATUS_NOT_CALIBRATED, 0x80);
}

/* To the nearest step, and never past what the field holds. */
static void test_encode_rounds_and_saturates(void **state) {
        static const struct {
                uint32_t value;
                unsigned field; /* in plain_fields: 0 pack_mv, 1 lowest_mv, 11 collected_today, 19 capacity */
                uint32_t raw;
        } rows[] = {
                {2, 0, 0}, {3, 0, 1}, {7, 0, 1}, {8, 0, 2},
                {5 * 0xFFFFFFu - 3, 0, 0xFFFFFE}, {5 * 0xFFFFFFu, 0, 0xFFFFFF},
                {5 * 0xFFFFFFu + 5, 0, 0xFFFFFF}, {UINT32_MAX, 0, 0xFFFFFF},
                {2, 1, 0}, {3, 1, 1}, {5 * 0xFFFFu - 3, 1, 0xFFFE}, {5 * 0xFFFFu + 5, 1, 0xFFFF},
                {UINT32_MAX, 1, 0xFFFF},
                {0xFFFFFE, 11, 0xFFFFFE}, {0xFFFFFF, 11, 0xFFFFFF}, {0x1000000, 11, 0xFFFFFF},
                {UINT32_MAX, 11, 0xFFFFFF},
                {49, 19, 0}, {50, 19, 1}, {149, 19, 1}, {150, 19, 2}, {10000000, 19, 0xFFFF},
                {UINT32_MAX, 19, 0xFFFF},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct plain_field *field = &plain_fields[rows[i].field];
                uint8_t bytes[FRAME_SIZE], expected[FRAME_SIZE];
                struct frame f = {.in.known = true, .out.known = true, .sum.known = true};

                memcpy((char *)&f + field->member, &rows[i].value, sizeof(uint32_t));
                frame_encode(&f, TEMPERATURE_SHEET, bytes);
                plain(expected);
                field_put(expected, field, rows[i].raw);
                compose_seal(expected);
                if (memcmp(bytes, expected, FRAME_SIZE) != 0)
                        fail_msg("%s = %u is not encoded as %u", field->name, rows[i].value, rows[i].raw);
        }
}

static void test_encode_currents(void **state) {
        static const struct {
                int32_t ma;
                uint8_t sign;
                uint16_t raw;
        } rows[] = {
                {0, '+', 0}, {62, '+', 0}, {63, '+', 1}, {125, '+', 1}, {187, '+', 1}, {188, '+', 2},
                {-62, '+', 0}, {-63, '-', 1}, {-125, '-', 1}, {-188, '-', 2},
                {8191750, '+', 65534}, {8191875, '+', 65535}, {8192000, '+', 65535}, {INT32_MAX, '+', 65535},
                {-8191875, '-', 65535}, {-8192000, '-', 65535}, {INT32_MIN, '-', 65535},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (int j = 0; j < 3; j++) {
                        struct frame f = {.in.known = true, .out.known = true, .sum.known = true};
                        uint8_t bytes[FRAME_SIZE];

                        current_of(&f, j)->ma = rows[i].ma;
                        frame_encode(&f, TEMPERATURE_SHEET, bytes);
                        assert_int_equal(bytes[3 + 3 * j], rows[i].sign);
                        assert_int_equal(bytes[4 + 3 * j] * 256 + bytes[5 + 3 * j], rows[i].raw);
                }
}

static void test_random_frames_round_trip(void **state) {
        uint64_t random = 1;

        (void)state;
        for (int i = 0; i < 100000; i++) {
                enum temperature_coding coding = i % 2 ? TEMPERATURE_LEGACY : TEMPERATURE_SHEET;
                uint8_t bytes[FRAME_SIZE], again[FRAME_SIZE];
                struct frame f;

                for (int j = 0; j < FRAME_SIZE; j++)
                        bytes[j] = (uint8_t)compose_random(&random);
                for (int j = 3; j <= 9; j += 3) {
                        bytes[j] = (uint8_t)"+-X"[compose_random(&random) % 3];
                        if (bytes[j] == 'X')
                                bytes[j + 1] = bytes[j + 2] = 0;
                        else if (bytes[j + 1] == 0 && bytes[j + 2] == 0)
                                bytes[j] = '+';
                }
                compose_seal(bytes);
                assert_true(frame_decode(bytes, coding, &f));
                frame_encode(&f, coding, again);
                assert_memory_equal(bytes, again, FRAME_SIZE);
        }
}

static void test_key(void **state) {
        static const struct { uint8_t byte; int key; } rows[] = {
                {0, -1}, {24, -1}, {25, 0}, {26, 1}, {155, 130}, {254, FRAME_KEY_LAST}, {255, 230},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_int_equal(frame_key(&(struct frame){.key_byte = rows[i].byte}), rows[i].key);
}

static void test_big_endian(void **state) {
        uint8_t p[3];

        (void)state;
        assert_int_equal(frame_get16((const uint8_t[]){0x12, 0x34}), 0x1234);
        assert_int_equal(frame_get16((const uint8_t[]){0xFF, 0xFF}), 0xFFFF);
        assert_int_equal(frame_get24((const uint8_t[]){0xFE, 0xDC, 0xBA}), 0xFEDCBA);
        frame_put16(p, 0xABCD);
        assert_memory_equal(p, ((const uint8_t[]){0xAB, 0xCD}), 2);
        frame_put24(p, 0xFEDCBA);
        assert_memory_equal(p, ((const uint8_t[]){0xFE, 0xDC, 0xBA}), 3);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_published_temperatures),
                cmocka_unit_test(test_codings_compared),
                cmocka_unit_test(test_temperature_every_raw),
                cmocka_unit_test(test_temperature_encode),
                cmocka_unit_test(test_fields_fill_the_frame),
                cmocka_unit_test(test_every_field_round_trips),
                cmocka_unit_test(test_every_temperature_round_trips),
                cmocka_unit_test(test_every_current_round_trips),
                cmocka_unit_test(test_current_spellings),
                cmocka_unit_test(test_sign_bytes),
                cmocka_unit_test(test_checksum),
                cmocka_unit_test(test_published_samples),
                cmocka_unit_test(test_status_bits),
                cmocka_unit_test(test_encode_rounds_and_saturates),
                cmocka_unit_test(test_encode_currents),
                cmocka_unit_test(test_random_frames_round_trip),
                cmocka_unit_test(test_key),
                cmocka_unit_test(test_big_endian),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
