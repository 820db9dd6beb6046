/* SPDX-License-Identifier: MIT */

/* The decoder under any 58 bytes: short, so that a fuzzer gets through thousands of millions of them. Byte 0 chooses as
 * in fuzz-deframer.c; what is sealed has signs and a checksum that fit. An input that is too short is the beginning of
 * a frame that goes on as a true one does. */

#include <stdlib.h>
#include <string.h>

#include "../unit/compose.h"
#include "deframer.h"

enum {
        CHOOSE_MONITOR = 1 << 0,
        CHOOSE_LEGACY = 1 << 1,
        CHOOSE_NO_CURRENT_CHECK = 1 << 2,
        CHOOSE_UNSEALED = 1 << 3,
};

/* The build may define NDEBUG; a fuzzer must not lose its eyes by that. */
#define CHECK(condition)         \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t bytes[FRAME_SIZE]) {
        for (unsigned i = 3; i <= 9; i += 3)
                bytes[i] = (uint8_t)"+-X"[bytes[i] % 3];
        compose_seal(bytes);
}

static uint32_t be(const uint8_t *p, unsigned n) {
        uint32_t value = 0;

        while (n-- > 0)
                value = value * 256 + *p++;
        return value;
}

/* By the published sheet, not by lib/. */
static void check_decoded(const struct frame *f, const uint8_t b[FRAME_SIZE], const struct accept_rules *rules) {
        CHECK(f->pack_mv == 5 * be(b, 3));
        CHECK(f->lowest_mv == 5 * be(b + 12, 2) && f->highest_mv == 5 * be(b + 15, 2));
        CHECK(f->in.known == (b[3] != 'X') && f->out.known == (b[6] != 'X') && f->sum.known == (b[9] != 'X'));
        CHECK(!f->sum.known || f->sum.ma == (b[9] == '-' ? -125 : 125) * (int32_t)be(b + 10, 2));
        CHECK(f->count == b[25] && f->detail_cell == b[24] && f->status == b[30]);
        if (rules->coding == TEMPERATURE_SHEET && be(b + 18, 2) != 0)
                CHECK(f->lowest_decic == 10 * ((int32_t)be(b + 18, 2) - 276));
}

/* What an accepted frame promises to everything behind it (B2, B3). */
static void check_accepted(const struct frame *f, const struct accept_rules *rules) {
        const int32_t count = f->count;

        CHECK(f->lowest_mv <= 5100 && f->highest_mv <= 5100);
        if (f->status & FRAME_STATUS_COMMUNICATION_ERROR)
                return;
        CHECK(count >= 2);
        CHECK(f->lowest_voltage_cell <= count && f->highest_voltage_cell <= count);
        if (f->detail_cell > 0 && f->detail_cell <= count && f->detail_mv > 0) /* B4 */
                CHECK((f->lowest_mv == 0 || f->detail_mv >= f->lowest_mv) &&
                      (f->highest_mv == 0 || f->detail_mv <= f->highest_mv));
        if (rules->role == ROLE_GATEWAY && f->lowest_mv > 0 && f->highest_mv > 0)
                CHECK(f->lowest_mv <= f->highest_mv &&
                      (int64_t)f->pack_mv + 5 * count >= (int64_t)count * f->lowest_mv &&
                      (int64_t)f->pack_mv <= (int64_t)count * f->highest_mv + 5 * count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const struct compose_cell cells[3] = {{660, 296}, {670, 290}, {664, 300}};
        static uint8_t usual[FRAME_SIZE];
        uint8_t bytes[FRAME_SIZE], again[FRAME_SIZE];
        struct frame frame, second;
        const uint8_t *next = bytes;
        size_t left = FRAME_SIZE;
        struct deframer d;

        if (size < 2)
                return 0;
        const struct accept_rules rules = {
                .role = data[0] & CHOOSE_MONITOR ? ROLE_MONITOR : ROLE_GATEWAY,
                .coding = data[0] & CHOOSE_LEGACY ? TEMPERATURE_LEGACY : TEMPERATURE_SHEET,
                .current_check = !(data[0] & CHOOSE_NO_CURRENT_CHECK),
        };
        if (usual[25] == 0)
                compose_frame(usual, cells, 3, 2, 80, 16);
        memcpy(bytes, usual, sizeof(bytes));
        memcpy(bytes, data + 1, size - 1 < FRAME_SIZE ? size - 1 : FRAME_SIZE);
        if (!(data[0] & CHOOSE_UNSEALED))
                seal(bytes);

        const bool decodes = frame_decode(bytes, rules.coding, &frame);
        const enum accept_verdict verdict = decodes ? accept_frame(&rules, &frame) : ACCEPT_BAD_CHECKSUM;

        deframer_init(&d, &rules);
        const enum deframer_event event = deframer_take(&d, &next, &left, &second, again);

        CHECK((event == DEFRAMER_FRAME) == (verdict == ACCEPT_OK));
        CHECK((event == DEFRAMER_BAD_SUM) == (verdict == ACCEPT_BAD_CURRENT_SUM));
        CHECK(left == 0);
        if (!decodes)
                return 0;
        check_decoded(&frame, bytes, &rules);
        if (verdict == ACCEPT_OK)
                check_accepted(&frame, &rules);
        frame_encode(&frame, rules.coding, again);
        CHECK(frame_decode(again, rules.coding, &second) && accept_frame(&rules, &second) == verdict);
        return 0;
}
