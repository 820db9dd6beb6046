/* SPDX-License-Identifier: MIT */

/* The deframer under any bytes. Byte 0 chooses role, coding and current check, and whether every 58 bytes are
 * sealed with signs and a checksum that fit, so that the checks behind the checksum are reached at once. */

#include <stdlib.h>
#include <string.h>

#include "../unit/compose.h"
#include "deframer.h"

enum {
        CHOOSE_MONITOR = 1 << 0,
        CHOOSE_LEGACY = 1 << 1,
        CHOOSE_NO_CURRENT_CHECK = 1 << 2,
        CHOOSE_SEALED = 1 << 3,
};

/* The build may define NDEBUG; a fuzzer must not lose its eyes by that. */
#define CHECK(condition)         \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_counters(const struct deframer *d, uint64_t bytes) {
        CHECK(d->bytes == bytes);
        CHECK(d->bytes + d->shared_bytes == FRAME_SIZE * d->frames + d->skipped_bytes + d->unclaimed);
        CHECK(d->unclaimed <= d->fill && d->fill <= FRAME_SIZE);
}

/* What comes out is what the window's last 58 bytes say, is acceptable, and survives being sent again. */
static void check_frame(const struct deframer *d, enum deframer_event event, const struct frame *frame,
                        const uint8_t bytes[FRAME_SIZE], const uint8_t *end) {
        uint8_t again[FRAME_SIZE];
        struct frame second;

        CHECK(memcmp(bytes, end - FRAME_SIZE, FRAME_SIZE) == 0);
        CHECK(accept_frame(&d->rules, frame) ==
              (event == DEFRAMER_FRAME ? ACCEPT_OK : ACCEPT_BAD_CURRENT_SUM));
        frame_encode(frame, d->rules.coding, again);
        CHECK(frame_decode(again, d->rules.coding, &second));
        CHECK(accept_frame(&d->rules, &second) == accept_frame(&d->rules, frame));
        CHECK(second.pack_mv == frame->pack_mv && second.lowest_mv == frame->lowest_mv &&
              second.highest_mv == frame->highest_mv && second.sum.ma == frame->sum.ma &&
              second.sum.known == frame->sum.known && second.lowest_decic == frame->lowest_decic &&
              second.highest_decic == frame->highest_decic && second.count == frame->count);
}

static void seal(uint8_t *bytes, size_t size) {
        for (size_t i = 0; i + FRAME_SIZE <= size; i += FRAME_SIZE) {
                for (unsigned j = 3; j <= 9; j += 3)
                        bytes[i + j] = (uint8_t)"+-X"[bytes[i + j] % 3];
                compose_seal(bytes + i);
        }
}

/* B1: in one piece as byte by byte. */
static void check_in_one_piece(const struct deframer *d, const uint8_t *data, size_t size) {
        enum deframer_event event;
        struct deframer whole;
        struct frame frame;

        deframer_init(&whole, &d->rules);
        do
                event = deframer_take(&whole, &data, &size, &frame, NULL);
        while (event != DEFRAMER_NOTHING);
        CHECK(size == 0 && whole.bytes == d->bytes && whole.frames == d->frames);
        CHECK(whole.skipped_bytes == d->skipped_bytes && whole.shared_bytes == d->shared_bytes);
        CHECK(memcmp(whole.refused, d->refused, sizeof(whole.refused)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct accept_rules rules;
        struct deframer d, copy;
        uint8_t *bytes;

        if (size < 2)
                return 0;
        rules = (struct accept_rules){
                .role = data[0] & CHOOSE_MONITOR ? ROLE_MONITOR : ROLE_GATEWAY,
                .coding = data[0] & CHOOSE_LEGACY ? TEMPERATURE_LEGACY : TEMPERATURE_SHEET,
                .current_check = !(data[0] & CHOOSE_NO_CURRENT_CHECK),
        };
        bytes = malloc(size - 1);
        CHECK(bytes);
        memcpy(bytes, data + 1, size - 1);
        if (data[0] & CHOOSE_SEALED)
                seal(bytes, size - 1);

        deframer_init(&d, &rules);
        for (size_t i = 0; i < size - 1; i++) {
                struct frame frame, other;
                uint8_t got[FRAME_SIZE];
                enum deframer_event event;

                copy = d; /* B1: nothing but the struct decides */
                event = deframer_push(&d, bytes[i], &frame, got);
                CHECK(deframer_push(&copy, bytes[i], &other, NULL) == event);
                check_counters(&d, i + 1);
                if (event != DEFRAMER_NOTHING)
                        check_frame(&d, event, &frame, got, bytes + i + 1);
        }
        check_in_one_piece(&d, bytes, size - 1);
        free(bytes);
        return 0;
}
