/* SPDX-License-Identifier: MIT */
#include "deframer.h"

#include <string.h>

void deframer_init(struct deframer *d, const struct accept_rules *rules) {
        *d = (struct deframer){.rules = *rules};
}

void deframer_reset(struct deframer *d) {
        d->skipped_bytes += d->unclaimed;
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

static void slide(struct deframer *d, uint8_t byte) {
        d->bytes++;
        if (d->unclaimed < FRAME_SIZE)
                d->unclaimed++;
        else
                d->skipped_bytes++; /* the oldest, which leaves the window now */

        if (d->fill < FRAME_SIZE) {
                d->window[d->fill++] = byte; /* start is 0 until the window is full */
                d->sum = (uint8_t)(d->sum + byte);
                return;
        }
        d->sum = (uint8_t)(d->sum - d->window[d->start] + byte);
        d->window[d->start] = byte;
        d->start = (uint8_t)(d->start + 1 < FRAME_SIZE ? d->start + 1 : 0);
}

enum deframer_event deframer_push(struct deframer *d, uint8_t byte, struct frame *ret_frame,
                                  uint8_t ret_bytes[FRAME_SIZE]) {
        slide(d, byte);

        /* Cheapest refusal first. The running sum includes the checksum byte, which is the newest one. */
        if (d->fill < FRAME_SIZE || (uint8_t)(d->sum - byte) != byte || !signs_hold(d))
                return DEFRAMER_NOTHING;
        return judge(d, ret_frame, ret_bytes);
}
