/* SPDX-License-Identifier: MIT */

/* A cell board's relay (firmware/chain.h) under any bytes at any times. The input is a list of things that
 * happen on the line and on the board; what has to come out is worked out here on whole frames, by rules
 * R1..R8, R11 and R14 of docs/chain.md, and compared byte by byte. That bytes come out at all is the relay's
 * own word (whether it relays a frame, R10), which the unit tests judge. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"

#define CHECK(condition)                                                                                     \
        do {                                                                                                 \
                if (!(condition))                                                                            \
                        abort();                                                                             \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How much the board heard, for the record: printed at the end if the environment has SMARTBMS_FUZZ_BYTES. */
static uint64_t heard_bytes;

__attribute__((destructor)) static void print_heard(void) {
        if (getenv("SMARTBMS_FUZZ_BYTES"))
                fprintf(stderr, "%" PRIu64 " bytes received\n", heard_bytes);
}

#define BYTE 65 /* 10 bits at 9600 baud: 65.1 ticks of 16 us */
#define GAP 195 /* R3 */
#define SILENCE (1250 + BYTE)
#define OUT_MAX 8192

struct world {
        struct chain c;
        uint32_t now, last; /* last: the end of the last byte on the line */
        bool stalled;       /* the transmitter takes nothing */

        /* The frame on the line, by R1 and R3. */
        uint8_t in[58];
        unsigned taken; /* bytes; 58: whole */
        bool open, damaged, relayed;
        unsigned number, true_number; /* R6, R11 */
        unsigned frame_number;
        struct chain_reading reading, own;
        uint16_t v_bypass;

        uint8_t out[OUT_MAX], expected[OUT_MAX];
        size_t outs, expecteds;
};

static uint8_t sum(const uint8_t *bytes) {
        unsigned total = 0;

        for (unsigned i = 0; i < 57; i++)
                total += bytes[i];
        return (uint8_t)total;
}

static unsigned get16(const uint8_t *p) {
        return p[0] * 256u + p[1];
}

static void put16(uint8_t *p, unsigned value) {
        p[0] = (uint8_t)(value / 256);
        p[1] = (uint8_t)(value % 256);
}

/* ---- what a board makes of a frame ---- */

static void extreme(uint8_t *p, unsigned own, bool highest, unsigned number) {
        unsigned value = get16(p);

        if (own == 0)
                return;
        if (value != 0 && (highest ? value >= own : value <= own))
                return;
        put16(p, own);
        p[2] = (uint8_t)number;
}

static void board(const uint8_t in[58], const struct chain_reading *own, unsigned number, uint8_t out[58]) {
        unsigned pack = in[0] * 65536u + get16(in + 1) + own->voltage, count = in[25];

        memcpy(out, in, 58);
        if (pack > 0xFFFFFF)
                pack = 0xFFFFFF;
        out[0] = (uint8_t)(pack / 65536);
        put16(out + 1, pack % 65536);
        extreme(out + 12, own->voltage, false, number);
        extreme(out + 15, own->voltage, true, number);
        extreme(out + 18, own->temperature, false, number);
        extreme(out + 21, own->temperature, true, number);
        if (in[24] == count + 1) {
                put16(out + 26, own->voltage);
                put16(out + 28, own->temperature);
        }
        if (count < 255)
                out[25]++;
        if (count == 255 || number != count + 1 || own->voltage == 0 || own->temperature == 0 || own->doubt)
                out[30] |= 4;
}

/* What was expected to be sent, in order. */
static void expect(struct world *w, const uint8_t frame[58]) {
        CHECK(w->expecteds + 58 <= OUT_MAX);
        memcpy(w->expected + w->expecteds, frame, 58);
        w->expecteds += 58;
}

static void expect_relayed(struct world *w) {
        uint8_t out[58], error;

        if (!w->relayed || w->taken < 3)
                return;
        memset(w->in + w->taken, 0, 58 - w->taken);
        board(w->in, &w->own, w->frame_number, out);
        if (w->taken == 58) {
                error = (uint8_t)(w->in[57] - sum(w->in));
                if (w->damaged && error == 0)
                        error = 0xA5;
        } else {
                memset(out + w->taken - 2, 0, 58 - (w->taken - 2));
                error = 0xA5;
        }
        out[57] = (uint8_t)(sum(out) + error);
        expect(w, out);
}

static void expect_orphan(struct world *w) {
        static const uint8_t empty[58] = {[3] = 'X', [6] = 'X', [9] = 'X', [30] = 0x84, [47] = 129 + 25};
        uint8_t in[58], out[58];

        memcpy(in, empty, 58);
        in[48] = (uint8_t)w->true_number;
        put16(in + 55, w->v_bypass);
        board(in, &w->reading, 1, out);
        out[57] = sum(out);
        expect(w, out);
}

/* ---- the line ---- */

static void close_frame(struct world *w) {
        if (!w->open)
                return;
        w->open = false;
        expect_relayed(w);
        if (w->taken < 58 || w->damaged || w->in[57] != sum(w->in))
                return;
        w->number = w->in[25] == 255 ? 0 : w->in[25] + 1u;
        if (w->in[47] != 129 + 25)
                w->true_number = w->number;
}

static void check_state(const struct world *w) {
        CHECK((uint8_t)(w->c.head - w->c.tail) <= CHAIN_RING);
        CHECK(w->c.input.bytes <= 58 && w->c.relay.made <= 58);
        CHECK(w->c.number == w->number && w->c.true_number == w->true_number);
}

/* Takes at most `most` bytes from the board. */
static void drain(struct world *w, unsigned most) {
        uint8_t byte;

        for (; most > 0 && chain_sending(&w->c); most--) {
                CHECK(chain_transmit(&w->c, &byte));
                CHECK(w->outs < OUT_MAX);
                w->out[w->outs++] = byte;
        }
        if (!chain_sending(&w->c)) {
                byte = 0x5A;
                CHECK(!chain_transmit(&w->c, &byte) && byte == 0x5A);
        }
}

static void tick(struct world *w) {
        bool orphan = w->c.relay.orphan;

        chain_tick(&w->c, w->now);
        if (w->open && w->now - w->last >= GAP)
                close_frame(w);
        if (orphan || !w->c.relay.orphan)
                return;
        CHECK(w->c.orphans_allowed);
        expect_orphan(w);
}

/* Time passes, and the board is called when it wants to be. */
static void wait_ticks(struct world *w, uint32_t ticks) {
        uint32_t end = w->now + ticks;

        if (!w->stalled)
                drain(w, 58);
        for (unsigned n = 0;; n++) {
                uint32_t due = chain_deadline(&w->c, w->now);

                CHECK(n < 100000);
                if ((int32_t)(due - w->now) <= 0)
                        due = w->now + 1;
                if ((int32_t)(due - end) > 0)
                        break;
                w->now = due;
                tick(w);
                if (!w->stalled)
                        drain(w, 58);
        }
        w->now = end;
}

static void receive(struct world *w, uint8_t byte, bool damaged) {
        struct chain before;
        bool filling;

        wait_ticks(w, BYTE);
        if (w->now - w->last >= GAP)
                close_frame(w);
        memcpy(&before, &w->c, sizeof(before)); /* nothing but the struct decides */
        filling = w->c.relay.filling;
        heard_bytes++;
        chain_receive(&w->c, byte, damaged, w->now);
        chain_receive(&before, byte, damaged, w->now);
        CHECK(memcmp(&before, &w->c, sizeof(before)) == 0);

        if (w->now - w->last >= SILENCE) {
                CHECK(w->c.input.bytes == 1 && w->c.input.first_ticks == w->now); /* R1 */
                w->open = true;
                w->damaged = false;
                w->taken = 0;
                w->own = w->reading;
                w->frame_number = w->number;
                w->relayed = w->c.input.relayed;
        }
        w->last = w->now;
        if (w->open) {
                w->damaged |= damaged;
                w->in[w->taken++] = byte;
                /* No room for what was made of this byte: the rest is zeros (R2, R4). */
                if (w->relayed && !filling && w->c.relay.filling) {
                        uint8_t out[58];

                        CHECK(w->stalled);
                        memset(w->in + w->taken, 0, 58 - w->taken);
                        board(w->in, &w->own, w->frame_number, out);
                        memset(out + w->taken - 3, 0, 58 - (w->taken - 3));
                        out[57] = (uint8_t)(sum(out) + 0xA5);
                        expect(w, out);
                        w->relayed = false;
                        w->damaged = true;
                }
                if (w->taken == 58)
                        close_frame(w);
        }
        tick(w);
        if (!w->stalled)
                drain(w, 58);
        check_state(w);
}

/* ---- what happens ---- */

struct input {
        const uint8_t *at, *end;
};

static uint8_t next(struct input *i) {
        return i->at < i->end ? *i->at++ : 0;
}

/* A frame that fits, altered in one place. */
static void whole_frame(struct world *w, struct input *i, bool orphan) {
        uint8_t bytes[58] = {[3] = '+', [6] = 'X', [9] = '-', [30] = 0x80};
        uint8_t place = next(i), change = next(i), key = next(i);

        for (unsigned n = 0; n < 3; n++)
                bytes[n] = next(i);
        for (unsigned n = 12; n < 26; n++)
                bytes[n] = next(i);
        bytes[47] = orphan ? 129 + 25 : key;
        bytes[48] = key;
        put16(bytes + 55, 700);
        bytes[57] = sum(bytes);
        if (place < 58)
                bytes[place] ^= change;
        for (unsigned n = 0; n < 58; n++)
                receive(w, bytes[n], false);
}

static void one_thing(struct world *w, struct input *i) {
        uint8_t what = next(i);

        switch (what % 13) {
        case 0:
        case 1:
                receive(w, next(i), false);
                break;
        case 2: /* up to a gap and beyond */
                wait_ticks(w, 2u * next(i));
                tick(w); /* harmless when nothing is due */
                break;
        case 3: /* around a silence */
                wait_ticks(w, 1000u + 2u * next(i));
                break;
        case 4: /* around a cycle and an orphan's time */
                wait_ticks(w, 2000u * next(i));
                break;
        case 5:
                whole_frame(w, i, false);
                break;
        case 6:
                whole_frame(w, i, true);
                break;
        case 7: {
                uint8_t count = next(i), byte = next(i);

                for (unsigned n = 0; n < count % 70u; n++)
                        receive(w, byte++, false);
                break;
        }
        case 8:
                receive(w, next(i), true);
                break;
        case 9:
                w->reading.voltage =
                        (uint16_t)(what & 0x80 ? get16((const uint8_t[]){next(i), next(i)}) : 660);
                w->reading.temperature = (uint16_t)(what & 0x40 ? next(i) : 296);
                w->reading.doubt = (what & 0x20) != 0;
                chain_set_reading(&w->c, &w->reading);
                break;
        case 10:
                w->v_bypass = (uint16_t)(4 * next(i));
                chain_set_v_bypass(&w->c, w->v_bypass);
                break;
        case 11:
                chain_set_cycle(&w->c, what & 0x80 ? 0 : 30000u + 128u * next(i));
                chain_allow_orphans(&w->c, w->now);
                break;
        default:
                w->stalled = !w->stalled && what < 0x40;
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct world w; /* 17 KB */
        struct input i = {.at = data, .end = data + size};

        memset(&w, 0, sizeof(w));
        w.now = w.last = UINT32_MAX - 400000; /* wraps after 6 s */
        chain_init(&w.c, w.now);
        for (unsigned n = 0; i.at < i.end && n < 400 && w.expecteds < OUT_MAX - 64 * 58; n++)
                one_thing(&w, &i);

        /* What was begun is completed, and nothing else was sent. */
        w.stalled = false;
        w.c.orphans_allowed = false;
        for (unsigned n = 0; n < 200; n++) {
                drain(&w, 1);
                wait_ticks(&w, BYTE);
        }
        check_state(&w);
        CHECK(w.outs == w.expecteds);
        CHECK(memcmp(w.out, w.expected, w.outs) == 0);
        return 0;
}
