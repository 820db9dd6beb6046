/* SPDX-License-Identifier: MIT */
#include "chain.h"

/* Kept out of what every byte runs through, which would save the registers for it each time. */
#define RARE __attribute__((noinline))

#define COUNT_MAX UINT8_MAX
#define KEY_BYTE_ORPHAN (FRAME_KEY_ORPHAN + FRAME_KEY_BIAS)

/* Has a moment come? Moments lie less than half a wrap apart. */
static bool reached(uint32_t now_ticks, uint32_t moment_ticks) {
        return (int32_t)(now_ticks - moment_ticks) >= 0;
}

/* R10: without a message for so long a board starts an orphan. 2.5 cycles, in shifts: 32 bits are multiplied slowly. */
static uint32_t orphan_wait(const struct chain *c) {
        return (c->cycle_ticks << 1) + (c->cycle_ticks >> 1);
}

/* R10: from one orphan to the next, 1.5 cycles. */
static uint32_t orphan_interval(const struct chain *c) {
        return c->cycle_ticks + (c->cycle_ticks >> 1);
}

static void news(struct chain *c, uint8_t flag) {
        c->news.flags = (uint8_t)(c->news.flags | flag);
}

/* ---- bytes to send ---- */

static bool ring_empty(const struct chain *c) {
        return c->head == c->tail;
}

static uint8_t ring_room(const struct chain *c) {
        return (uint8_t)(CHAIN_RING - (uint8_t)(c->head - c->tail));
}

/* ---- altering: R4, R6..R8 ---- */

/* Puts a byte of the frame up for sending. There is room. */
static void make(struct chain *c, uint8_t byte) {
        struct chain_relay *r = &c->relay;

        c->ring[c->head++ % CHAIN_RING] = byte;
        r->made++;
        r->made_sum = (uint8_t)(r->made_sum + byte);
}

static uint8_t number_first(struct chain_relay *r, uint16_t number) {
        r->low = number;
        return (uint8_t)(number >> 8);
}

static uint8_t number_second(const struct chain_relay *r) {
        return (uint8_t)(r->low & UINT8_MAX);
}

/* frame_get16(), without a call. */
static inline uint16_t get16(const uint8_t *p) {
        return (uint16_t)((uint16_t)((uint16_t)p[0] << 8) | p[1]);
}

/* In 8 and 16 bits: the sum has 24. */
static uint8_t pack_voltage_first(struct chain_relay *r, const uint8_t *received) {
        uint16_t low = get16(received + 1);
        uint8_t first = received[0];

        r->low = (uint16_t)(low + r->own.voltage);
        if (r->low >= low)
                return first;
        if (first < UINT8_MAX)
                return (uint8_t)(first + 1);
        r->low = UINT16_MAX;
        return first;
}

/* R6. An unknown own value (0) replaces nothing. */
static uint8_t extreme_first(struct chain_relay *r, const uint8_t *received, uint16_t own, bool highest) {
        uint16_t value = get16(received);

        r->extreme = own != 0 && (value == 0 || (highest ? own > value : own < value));
        return number_first(r, r->extreme ? own : value);
}

/* R8. A count of 255 has no successor, so that no number fits it. */
static uint8_t status(const struct chain_relay *r, uint8_t received) {
        bool doubt = r->count == COUNT_MAX || r->number != r->count + 1 || r->own.voltage == 0 ||
                     r->own.temperature == 0 || r->own.doubt;

        return doubt ? (uint8_t)(received | FRAME_STATUS_COMMUNICATION_ERROR) : received;
}

/* The frame's byte at offset, as it goes out: received[0] is what came in there, [1] and [2] what came after it. */
static uint8_t altered(struct chain_relay *r, uint8_t offset, const uint8_t *received) {
        switch (offset) {
        case FRAME_OFF_PACK_VOLTAGE:
                return pack_voltage_first(r, received);
        case FRAME_OFF_PACK_VOLTAGE + 1:
                return (uint8_t)(r->low >> 8);
        case FRAME_OFF_LOWEST_VOLTAGE:
                return extreme_first(r, received, r->own.voltage, false);
        case FRAME_OFF_HIGHEST_VOLTAGE:
                return extreme_first(r, received, r->own.voltage, true);
        case FRAME_OFF_LOWEST_TEMPERATURE:
                return extreme_first(r, received, r->own.temperature, false);
        case FRAME_OFF_HIGHEST_TEMPERATURE:
                return extreme_first(r, received, r->own.temperature, true);
        case FRAME_OFF_PACK_VOLTAGE + 2:
        case FRAME_OFF_LOWEST_VOLTAGE + 1:
        case FRAME_OFF_HIGHEST_VOLTAGE + 1:
        case FRAME_OFF_LOWEST_TEMPERATURE + 1:
        case FRAME_OFF_HIGHEST_TEMPERATURE + 1:
                return number_second(r);
        case FRAME_OFF_LOWEST_VOLTAGE_CELL:
        case FRAME_OFF_HIGHEST_VOLTAGE_CELL:
        case FRAME_OFF_LOWEST_TEMPERATURE_CELL:
        case FRAME_OFF_HIGHEST_TEMPERATURE_CELL:
                return r->extreme ? r->number : received[0];
        case FRAME_OFF_DETAIL_CELL:
                r->detail = received[1] != COUNT_MAX && received[0] == received[1] + 1;
                return received[0];
        case FRAME_OFF_COUNT:
                r->count = received[0];
                return r->count == COUNT_MAX ? r->count : (uint8_t)(r->count + 1);
        case FRAME_OFF_DETAIL_VOLTAGE:
                return r->detail ? number_first(r, r->own.voltage) : received[0];
        case FRAME_OFF_DETAIL_TEMPERATURE:
                return r->detail ? number_first(r, r->own.temperature) : received[0];
        case FRAME_OFF_DETAIL_VOLTAGE + 1:
        case FRAME_OFF_DETAIL_TEMPERATURE + 1:
                return r->detail ? number_second(r) : received[0];
        case FRAME_OFF_STATUS:
                return status(r, received[0]);
        default:
                return received[0];
        }
}

/* R4: what was wrong with the received sum stays wrong by as much. */
static uint8_t checksum(const struct chain *c, uint8_t received) {
        uint8_t error = (uint8_t)(received - c->input.sum);

        if (c->input.damaged && error == 0)
                error = CHAIN_DAMAGE;
        return (uint8_t)(c->relay.made_sum + error);
}

/* No room: zeros from here on. Overflow is damage (R2, R4). */
static RARE void overflow(struct chain *c) {
        c->relay.filling = true;
        c->input.damaged = true;
        c->input.relayed = false;
        news(c, CHAIN_NEWS_RELAYED);
}

/* The newest byte of a frame that is passed on: makes byte i of i + 2, the last three of the last one (R2). */
static void relay(struct chain *c, uint8_t bytes) {
        const uint8_t *received;

        if (bytes < 3)
                return;
        if (ring_room(c) < (bytes < FRAME_SIZE ? 1 : 3)) {
                overflow(c);
                return;
        }
        received = c->frame + (uint8_t)(bytes - 3);
        make(c, altered(&c->relay, (uint8_t)(bytes - 3), received));
        if (bytes < FRAME_SIZE)
                return;
        make(c, received[1]);
        make(c, checksum(c, received[2]));
}

static void relay_begin(struct chain *c, uint8_t number, bool orphan) {
        struct chain_relay *r = &c->relay;

        r->own = c->reading;
        r->number = number;
        r->made = r->made_sum = r->count = 0;
        r->detail = r->extreme = r->filling = false;
        r->orphan = orphan;
}

/* R3: zeros up to the 58th byte, and a checksum that shows it. */
static uint8_t filler(struct chain_relay *r) {
        uint8_t byte = 0;

        if (r->made == FRAME_OFF_CHECKSUM)
                byte = (uint8_t)(r->made_sum + CHAIN_DAMAGE);
        r->made++;
        if (r->made == FRAME_SIZE)
                r->filling = false;
        return byte;
}

/* ---- orphans: R10, R11 ---- */

/* An orphan is what a board makes of a frame in which nobody has written yet. */
static uint8_t orphan_template(const struct chain_relay *r, uint8_t offset) {
        switch (offset) {
        case FRAME_OFF_CURRENT_IN:
        case FRAME_OFF_CURRENT_OUT:
        case FRAME_OFF_CURRENT_SUM:
                return 'X';
        case FRAME_OFF_STATUS:
                return CHAIN_ORPHAN_STATUS;
        case FRAME_OFF_KEY:
                return KEY_BYTE_ORPHAN;
        case FRAME_OFF_VALUE:
                return r->orphan_value;
        case FRAME_OFF_V_BYPASS:
                return (uint8_t)(r->orphan_v_bypass >> 8);
        case FRAME_OFF_V_BYPASS + 1:
                return (uint8_t)(r->orphan_v_bypass & UINT8_MAX);
        default:
                return 0;
        }
}

static RARE uint8_t orphan_byte(struct chain *c) {
        struct chain_relay *r = &c->relay;
        uint8_t offset = r->made, template[3], byte;

        for (uint8_t i = 0; i < 3; i++)
                template[i] = orphan_template(r, (uint8_t)(offset + i));
        byte = offset == FRAME_OFF_CHECKSUM ? r->made_sum : altered(r, offset, template);
        r->made++;
        r->made_sum = (uint8_t)(r->made_sum + byte);
        r->orphan = r->made < FRAME_SIZE;
        return byte;
}

static void orphan_begin(struct chain *c, uint32_t now_ticks) {
        if (!c->deaf)
                c->bad = false; /* nothing comes at all: what came before is over */
        c->messages = false;
        c->orphan_ticks = now_ticks + orphan_interval(c);
        news(c, CHAIN_NEWS_ORPHAN);
        relay_begin(c, 1, true);
        /* What is learned while it goes out is for the next one. */
        c->relay.orphan_value = c->true_number;
        c->relay.orphan_v_bypass = c->v_bypass;
}

/* ---- what comes in: R1, R3, R4, R10 ---- */

static void message_begin(struct chain *c) {
        c->input.message = true;
        if (c->deaf)
                return;
        c->messages = true;
        c->message_ticks = c->input.first_ticks;
        c->orphan_ticks = c->input.first_ticks + orphan_wait(c);
}

/* Nothing is learned from a bad frame, but that it was bad. */
static void bad_frame(struct chain *c) {
        uint32_t end_ticks = c->input.last_ticks;
        uint8_t cycles = c->heard ? CHAIN_DEAF_CYCLES : CHAIN_DEAF_CYCLES_FIRST;

        c->good_in_row = 0;
        if (!c->orphans_allowed || c->deaf)
                return;
        if (!c->bad) {
                c->bad = true;
                c->bad_ticks = end_ticks;
        } else if (reached(end_ticks, c->bad_ticks + cycles * c->cycle_ticks)) {
                c->deaf = true;
                c->orphan_ticks = end_ticks + CHAIN_QUIET_TICKS;
        }
}

static void good_frame(struct chain *c) {
        const uint8_t *frame = c->frame;

        c->bad = false;
        c->heard = true;
        c->number = frame[FRAME_OFF_COUNT] == COUNT_MAX ? 0 : (uint8_t)(frame[FRAME_OFF_COUNT] + 1);
        c->orphaned = frame[FRAME_OFF_KEY] == KEY_BYTE_ORPHAN;
        if (!c->orphaned)
                c->true_number = c->number;
        news(c, CHAIN_NEWS_GOOD);
        c->news.v_bypass = get16(frame + FRAME_OFF_V_BYPASS);

        if (!c->deaf || ++c->good_in_row < CHAIN_TRUST_FRAMES)
                return;
        c->deaf = false;
        c->good_in_row = 0;
        message_begin(c);
}

/* What a byte leaves for later, because the next board waits for what was made of it. */
static void settle(struct chain *c) {
        struct chain_input *in = &c->input;
        bool good = in->bytes == FRAME_SIZE && !in->damaged && c->frame[FRAME_OFF_CHECKSUM] == in->sum;

        if (in->burst >= CHAIN_BURST_BYTES && !in->message)
                message_begin(c);
        if (!in->ended)
                return;
        in->ended = false;
        news(c, CHAIN_NEWS_END);
        if (good)
                good_frame(c);
        else
                bad_frame(c);
        if (in->relayed && c->relay.made > 0)
                news(c, good && c->frame[FRAME_OFF_KEY] == KEY_BYTE_ORPHAN ? CHAIN_NEWS_ORPHAN : CHAIN_NEWS_RELAYED);
        in->relayed = false;
}

/* R3. With fewer than 3 bytes nothing was begun. */
static void give_up(struct chain *c) {
        c->input.open = false;
        c->input.ended = true;
        if (c->input.relayed && c->relay.made > 0)
                c->relay.filling = true;
}

static void first_byte(struct chain *c, bool quiet) {
        struct chain_input *in = &c->input;
        uint32_t now_ticks = in->last_ticks;

        /* An own orphan is going out (R10), or zeros (R3): the next board would not find the new frame. */
        in->relayed = !c->deaf && !chain_sending(c);
        in->first_ticks = now_ticks;
        in->bytes = in->burst = in->sum = 0;
        in->open = true;
        in->damaged = in->message = in->quiet = false;
        if (quiet) {
                news(c, CHAIN_NEWS_START);
                c->news.start_ticks = now_ticks;
        }
        if (in->relayed)
                relay_begin(c, c->number, false);
        if (!c->deaf && !reached(c->orphan_ticks, now_ticks + CHAIN_QUIET_TICKS))
                c->orphan_ticks = now_ticks + CHAIN_QUIET_TICKS;
}

/* A byte after a gap, or after a silence. since_ticks: from the last byte's end to this one's. */
static RARE void pause(struct chain *c, uint32_t since_ticks) {
        struct chain_input *in = &c->input;

        if (in->open)
                give_up(c);
        settle(c);
        if (in->quiet || since_ticks >= CHAIN_SILENCE_TICKS + CHAIN_BYTE_TICKS)
                first_byte(c, in->quiet || since_ticks >= CHAIN_QUIET_TICKS + CHAIN_BYTE_TICKS);
}

/* ---- public ---- */

void chain_init(struct chain *c, uint32_t now_ticks) {
        *c = (struct chain){.cycle_ticks = CHAIN_CYCLE_TICKS};
        c->input.first_ticks = now_ticks;
        c->input.last_ticks = now_ticks;
        c->orphan_ticks = now_ticks + orphan_wait(c);
}

void chain_receive(struct chain *c, uint8_t byte, bool damaged, uint32_t now_ticks) {
        struct chain_input *in = &c->input;
        uint32_t since_ticks = now_ticks - in->last_ticks;
        uint8_t bytes;

        in->last_ticks = now_ticks;
        if (since_ticks >= CHAIN_GAP_TICKS || in->quiet)
                pause(c, since_ticks);
        if (in->burst < CHAIN_BURST_BYTES)
                in->burst++;
        if (!in->open)
                return;

        if (damaged)
                in->damaged = true;
        bytes = in->bytes;
        c->frame[bytes++] = byte;
        in->bytes = bytes;
        if (bytes < FRAME_SIZE) {
                in->sum = (uint8_t)(in->sum + byte);
        } else {
                in->open = false;
                in->ended = true;
        }
        if (in->relayed)
                relay(c, bytes);
}

void chain_tick(struct chain *c, uint32_t now_ticks) {
        struct chain_input *in = &c->input;

        if (in->open && reached(now_ticks, in->last_ticks + CHAIN_GAP_TICKS))
                give_up(c);
        settle(c);
        if (now_ticks - in->last_ticks >= CHAIN_QUIET_TICKS + CHAIN_BYTE_TICKS)
                in->quiet = true;

        if (!c->orphans_allowed || !reached(now_ticks, c->orphan_ticks))
                return;
        if (in->relayed || chain_sending(c)) /* what is left of a frame, and a silence after it */
                c->orphan_ticks = now_ticks + CHAIN_QUIET_TICKS;
        else
                orphan_begin(c, now_ticks);
}

uint32_t chain_deadline(const struct chain *c, uint32_t now_ticks) {
        if (c->input.ended)
                return c->input.last_ticks;
        if (c->input.open)
                return c->input.last_ticks + CHAIN_GAP_TICKS;
        if (c->orphans_allowed && !reached(c->orphan_ticks, now_ticks + CHAIN_TICK_HZ))
                return c->orphan_ticks;
        return now_ticks + CHAIN_TICK_HZ;
}

bool chain_sending(const struct chain *c) {
        return !ring_empty(c) || c->relay.orphan || c->relay.filling;
}

bool chain_transmit(struct chain *c, uint8_t *ret_byte) {
        if (!ring_empty(c)) {
                *ret_byte = c->ring[c->tail % CHAIN_RING];
                c->tail++;
        } else if (c->relay.filling) {
                *ret_byte = filler(&c->relay);
        } else if (c->relay.orphan) {
                *ret_byte = orphan_byte(c);
        } else {
                return false;
        }
        return true;
}

void chain_set_reading(struct chain *c, const struct chain_reading *reading) {
        c->reading = *reading;
}

void chain_set_cycle(struct chain *c, uint32_t cycle_ticks) {
        uint32_t before_ticks = orphan_wait(c);

        c->cycle_known = cycle_ticks != 0;
        c->cycle_ticks = c->cycle_known ? cycle_ticks : CHAIN_CYCLE_TICKS;
        /* What was counted from the last message is counted anew. */
        if (c->messages)
                c->orphan_ticks += orphan_wait(c) - before_ticks;
}

void chain_set_v_bypass(struct chain *c, uint16_t v_bypass) {
        c->v_bypass = v_bypass;
}

void chain_allow_orphans(struct chain *c, uint32_t now_ticks) {
        if (c->orphans_allowed)
                return;
        c->orphans_allowed = true;
        c->bad = false;
        /* An old due time may have wrapped. */
        if (!c->messages)
                c->orphan_ticks = now_ticks + orphan_wait(c);
}

bool chain_expected(const struct chain *c, uint32_t now_ticks, uint32_t *ret_ticks) {
        uint32_t interval_ticks = c->orphaned ? orphan_interval(c) : c->cycle_ticks;
        uint32_t next_ticks = c->message_ticks + interval_ticks;

        if (c->messages && !c->deaf) {
                if (!c->cycle_known)
                        return false;
                /* One message may be lost, or two, or one of the orphans that another board sends; then comes an own orphan. */
                for (uint8_t i = c->orphaned ? 1 : 0; i < 2; i++, next_ticks += interval_ticks)
                        if (!reached(now_ticks, next_ticks)) {
                                *ret_ticks = next_ticks;
                                return true;
                        }
        }
        if (!c->orphans_allowed)
                return false;
        *ret_ticks = c->orphan_ticks;
        return true;
}

bool chain_idle(const struct chain *c) {
        return !c->input.open && !c->input.ended && !chain_sending(c);
}

struct chain_news chain_take_news(struct chain *c) {
        struct chain_news taken;

        settle(c);
        taken = c->news;
        c->news = (struct chain_news){.flags = 0};
        return taken;
}
