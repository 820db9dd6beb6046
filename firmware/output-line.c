/* SPDX-License-Identifier: MIT */
#include "output-line.h"

#define BITS 10 /* of a byte, with start and stop */

void output_line_init(struct output_line *o) {
        *o = (struct output_line){.quiet = true};
}

bool output_line_start(struct output_line *o, const uint8_t bytes[FRAME_SIZE]) {
        if (o->busy || !o->quiet)
                return false;
        for (uint8_t i = 0; i < FRAME_SIZE; i++)
                o->bytes[i] = bytes[i];
        o->byte = 0;
        o->bit = 0;
        o->busy = true;
        o->quiet = false;
        return true;
}

bool output_line_bit(struct output_line *o, bool *ret_level) {
        if (o->byte == FRAME_SIZE)
                return false;
        if (o->bit == 0)
                *ret_level = false;
        else if (o->bit == BITS - 1)
                *ret_level = true;
        else {
                /* Bit by bit out of the buffer, which needs no shift by a variable. */
                *ret_level = (o->bytes[o->byte] & 1u) != 0;
                o->bytes[o->byte] = (uint8_t)(o->bytes[o->byte] >> 1);
        }
        if (++o->bit == BITS) {
                o->bit = 0;
                o->byte++;
        }
        return true;
}

void output_line_end(struct output_line *o, uint32_t now_ticks) {
        o->busy = false;
        o->end_ticks = now_ticks;
}

void output_line_tick(struct output_line *o, uint32_t now_ticks) {
        if (!o->busy && now_ticks - o->end_ticks >= OUTPUT_LINE_QUIET_TICKS)
                o->quiet = true;
}
