/* SPDX-License-Identifier: MIT */
#include "deframer.h"

#include <string.h>

void deframer_init(struct deframer *d, const struct accept_rules *rules) {
        *d = (struct deframer){.rules = *rules};
}

void deframer_reset(struct deframer *d) {
        d->skipped_bytes += d->unclaimed;
        memset(d->window, 0, sizeof(d->window));
        d->start = 0;
        d->fill = 0;
        d->unclaimed = 0;
        d->sum = 0;
}

static uint8_t window_byte(const struct deframer *d, unsigned offset) {
        unsigned i = d->start + offset;

        return d->window[i < FRAME_SIZE ? i : i - FRAME_SIZE];
}

static bool is_sign(uint8_t byte) {
        return byte == '+' || byte == '-' || byte == 'X';
}

static bool signs_hold(const struct deframer *d) {
        return is_sign(window_byte(d, FRAME_OFF_CURRENT_IN)) &&
               is_sign(window_byte(d, FRAME_OFF_CURRENT_OUT)) &&
               is_sign(window_byte(d, FRAME_OFF_CURRENT_SUM));
}

static void copy_window(const struct deframer *d, uint8_t ret_bytes[FRAME_SIZE]) {
        size_t tail = FRAME_SIZE - d->start;

        memcpy(ret_bytes, d->window + d->start, tail);
        memcpy(ret_bytes + tail, d->window, d->start);
}

/* The window's sum and signs are good: one in 160 million offsets of noise comes here. */
static enum deframer_event judge(struct deframer *d, struct frame *ret_frame, uint8_t ret_bytes[FRAME_SIZE]) {
        uint8_t bytes[FRAME_SIZE];
        struct frame frame;
        enum accept_verdict verdict;

        copy_window(d, bytes);
        if (!frame_decode(bytes, d->rules.coding, &frame))
                return DEFRAMER_NOTHING; /* not reached: decoding asks for the same sum and signs */

        verdict = accept_frame(&d->rules, &frame);
        if (verdict != ACCEPT_OK)
                d->refused[verdict]++;
        if (verdict != ACCEPT_OK && verdict != ACCEPT_BAD_CURRENT_SUM)
                return DEFRAMER_NOTHING;

        *ret_frame = frame;
        if (ret_bytes)
                memcpy(ret_bytes, bytes, FRAME_SIZE);
        if (verdict == ACCEPT_BAD_CURRENT_SUM)
                return DEFRAMER_BAD_SUM;

        d->frames++;
        d->shared_bytes += FRAME_SIZE - d->unclaimed;
        d->unclaimed = 0;
        return DEFRAMER_FRAME;
}

/* Slides the window on to the next byte that is the sum of the 57 before it (one in 256 of noise), or over all bytes.
 * Returns what is behind it. Everything there is to do for each byte is in here, on values the compiler can keep in
 * registers; a window that is not full yet has zeros in front. */
static const uint8_t *slide(struct deframer *d, const uint8_t *data, const uint8_t *end) {
        uint8_t *window = d->window, sum = d->sum, byte;
        unsigned start = d->start;

        do {
                byte = *data++;
                sum = (uint8_t)(sum + byte - window[start]);
                window[start] = byte;
                start = start + 1 < FRAME_SIZE ? start + 1 : 0;
        } while (data < end && (uint8_t)(sum - byte) != byte);

        d->sum = sum;
        d->start = (uint8_t)start;
        return data;
}

static void count(struct deframer *d, size_t n) {
        size_t unclaimed = d->unclaimed + n, fill = d->fill + n;

        d->bytes += n;
        if (unclaimed > FRAME_SIZE) {
                d->skipped_bytes += unclaimed - FRAME_SIZE; /* the oldest, which have left the window */
                unclaimed = FRAME_SIZE;
        }
        d->unclaimed = (uint8_t)unclaimed;
        d->fill = (uint8_t)(fill < FRAME_SIZE ? fill : FRAME_SIZE);
}

static bool sum_holds(const struct deframer *d) {
        uint8_t newest = window_byte(d, FRAME_OFF_CHECKSUM);

        return (uint8_t)(d->sum - newest) == newest; /* the running sum includes it */
}

enum deframer_event deframer_take(struct deframer *d, const uint8_t **data, size_t *size,
                                  struct frame *ret_frame, uint8_t ret_bytes[FRAME_SIZE]) {
        enum deframer_event event = DEFRAMER_NOTHING;

        while (*size > 0 && event == DEFRAMER_NOTHING) {
                size_t n = (size_t)(slide(d, *data, *data + *size) - *data);

                count(d, n);
                *data += n;
                *size -= n;
                if (d->fill == FRAME_SIZE && sum_holds(d) && signs_hold(d))
                        event = judge(d, ret_frame, ret_bytes);
        }
        return event;
}

enum deframer_event deframer_push(struct deframer *d, uint8_t byte, struct frame *ret_frame,
                                  uint8_t ret_bytes[FRAME_SIZE]) {
        const uint8_t *data = &byte;
        size_t size = 1;

        return deframer_take(d, &data, &size, ret_frame, ret_bytes);
}
