/* SPDX-License-Identifier: MIT */
#include "chain.h"

#define COUNT_MAX UINT8_MAX
#define PACK_VOLTAGE_MAX UINT32_C(0xFFFFFF)
#define KEY_BYTE_ORPHAN (FRAME_KEY_ORPHAN + FRAME_KEY_BIAS)

/* Has a moment come? Moments lie less than half a wrap apart. */
static bool reached(uint32_t now_ticks, uint32_t moment_ticks) {
        return (int32_t)(now_ticks - moment_ticks) >= 0;
}

/* n / 2 cycles, for 2.5 and 1.5. */
static uint32_t half_cycles(const struct chain *c, uint8_t n) {
        return n * (c->cycle_ticks / 2);
}

static void news(struct chain *c, uint8_t flag) {
        c->news.flags = (uint8_t)(c->news.flags | flag);
}

/* ---- bytes to send ---- */

static bool ring_empty(const struct chain *c) {
        return c->head == c->tail;
}

/* Returns false if there is no room. */
static bool ring_put(struct chain *c, uint8_t byte) {
        if ((uint8_t)(c->head - c->tail) >= CHAIN_RING)
                return false;
        c->ring[c->head % CHAIN_RING] = byte;
        c->head++;
        return true;
}

/* ---- altering: R4, R6..R8 ---- */

/* Puts a byte of the frame up for sending, and gives the frame up if there is no room: overflow is damage (R2, R4). */
static void make(struct chain *c, uint8_t byte) {
        struct chain_relay *r = &c->relay;

        if (r->filling)
                return;
        if (!ring_put(c, byte)) {
                r->filling = true;
                return;
        }
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

static uint8_t pack_voltage_first(struct chain_relay *r) {
        uint32_t sum = frame_get24(r->window) + r->own.voltage;

        if (sum > PACK_VOLTAGE_MAX)
                sum = PACK_VOLTAGE_MAX;
        r->low = (uint16_t)(sum & UINT16_MAX);
        return (uint8_t)(sum >> 16);
}

/* R6. An unknown own value (0) replaces nothing. */
static uint8_t extreme_first(struct chain_relay *r, uint16_t own, bool highest) {
        uint16_t value = frame_get16(r->window);

        r->extreme = own != 0 && (value == 0 || (highest ? own > value : own < value));
        return number_first(r, r->extreme ? own : value);
}

/* R8. A count of 255 has no successor, so that no number fits it. */
static uint8_t status(const struct chain_relay *r, uint8_t received) {
        bool doubt = r->count == COUNT_MAX || r->number != r->count + 1 || r->own.voltage == 0 ||
                     r->own.temperature == 0 || r->own.doubt;

        return doubt ? (uint8_t)(received | FRAME_STATUS_COMMUNICATION_ERROR) : received;
}

/* The byte of the frame at offset, of which window[0] is what was received, window[1] and [2] what came after. */
static uint8_t altered(struct chain_relay *r, uint8_t offset) {
        uint8_t received = r->window[0];

        switch (offset) {
        case FRAME_OFF_PACK_VOLTAGE:
                return pack_voltage_first(r);
        case FRAME_OFF_PACK_VOLTAGE + 1:
                return (uint8_t)(r->low >> 8);
        case FRAME_OFF_LOWEST_VOLTAGE:
                return extreme_first(r, r->own.voltage, false);
        case FRAME_OFF_HIGHEST_VOLTAGE:
                return extreme_first(r, r->own.voltage, true);
        case FRAME_OFF_LOWEST_TEMPERATURE:
                return extreme_first(r, r->own.temperature, false);
        case FRAME_OFF_HIGHEST_TEMPERATURE:
                return extreme_first(r, r->own.temperature, true);
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
                return r->extreme ? r->number : received;
        case FRAME_OFF_DETAIL_CELL:
                r->detail = r->window[1] != COUNT_MAX && received == r->window[1] + 1;
                return received;
        case FRAME_OFF_COUNT:
                r->count = received;
                return received == COUNT_MAX ? received : (uint8_t)(received + 1);
        case FRAME_OFF_DETAIL_VOLTAGE:
                return r->detail ? number_first(r, r->own.voltage) : received;
        case FRAME_OFF_DETAIL_TEMPERATURE:
                return r->detail ? number_first(r, r->own.temperature) : received;
        case FRAME_OFF_DETAIL_VOLTAGE + 1:
        case FRAME_OFF_DETAIL_TEMPERATURE + 1:
                return r->detail ? number_second(r) : received;
        case FRAME_OFF_STATUS:
                return status(r, received);
        default:
                return received;
        }
}

static void window_shift(struct chain_relay *r, uint8_t byte) {
        r->window[0] = r->window[1];
        r->window[1] = r->window[2];
        r->window[2] = byte;
}

/* R4: what was wrong with the received sum stays wrong by as much. */
static uint8_t checksum(const struct chain_relay *r, uint8_t received) {
        uint8_t error = (uint8_t)(received - r->taken_sum);

        if (r->damaged && error == 0)
                error = CHAIN_DAMAGE;
        return (uint8_t)(r->made_sum + error);
}

/* The frame's next byte: makes byte i of i + 2, the last three of the last one (R2). */
static void take(struct chain *c, uint8_t byte) {
        struct chain_relay *r = &c->relay;

        window_shift(r, byte);
        r->taken++;
        if (r->taken < FRAME_SIZE) {
                r->taken_sum = (uint8_t)(r->taken_sum + byte);
                if (r->taken >= 3)
                        make(c, altered(r, r->made));
                return;
        }
        make(c, altered(r, r->made));
        make(c, r->window[1]);
        make(c, checksum(r, byte));
}

/* A byte of a frame that is passed on. */
static void relay(struct chain *c, uint8_t byte) {
        if (!c->input.relayed)
                return;
        take(c, byte);
        if (!c->relay.filling)
                return;
        /* No room: the rest is zeros already. */
        c->input.damaged = true;
        c->input.relayed = false;
        news(c, CHAIN_NEWS_RELAYED);
}

static void relay_begin(struct chain *c, bool orphan) {
        c->relay = (struct chain_relay){
                .own = c->reading, .number = orphan ? 1 : c->number, .orphan = orphan};
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
static uint8_t orphan_template(const struct chain *c, uint8_t offset) {
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
                return c->true_number;
        case FRAME_OFF_V_BYPASS:
                return (uint8_t)(c->v_bypass >> 8);
        case FRAME_OFF_V_BYPASS + 1:
                return (uint8_t)(c->v_bypass & UINT8_MAX);
        case FRAME_OFF_CHECKSUM:
                return c->relay.taken_sum;
        default:
                return 0;
        }
}

static void orphan_begin(struct chain *c, uint32_t now_ticks) {
        if (!c->deaf)
                c->bad = false; /* nothing comes at all: what came before is over */
        c->messages = false;
        c->orphan_ticks = now_ticks + half_cycles(c, 3);
        news(c, CHAIN_NEWS_ORPHAN);
        relay_begin(c, true);
}

/* ---- what comes in: R1, R3, R4, R10 ---- */

static void message_begin(struct chain *c) {
        if (c->deaf)
                return;
        c->messages = true;
        c->message_ticks = c->input.first_ticks;
        c->orphan_ticks = c->input.first_ticks + half_cycles(c, 5);
}

static void first_byte(struct chain *c, bool quiet, uint32_t now_ticks) {
        struct chain_input *in = &c->input;
        bool busy = chain_sending(c); /* an own orphan (R10), or zeros (R3): the next board would not find the new frame */

        *in = (struct chain_input){
                .first_ticks = now_ticks, .last_ticks = now_ticks, .open = true, .relayed = !c->deaf && !busy};
        if (quiet) {
                news(c, CHAIN_NEWS_START);
                c->news.start_ticks = now_ticks;
        }
        if (in->relayed)
                relay_begin(c, false);
        if (!c->deaf && !reached(c->orphan_ticks, now_ticks + CHAIN_QUIET_TICKS))
                c->orphan_ticks = now_ticks + CHAIN_QUIET_TICKS;
}

/* Nothing is learned from a bad frame, but that it was bad. */
static void bad_frame(struct chain *c, uint32_t now_ticks) {
        c->good_in_row = 0;
        if (!c->orphans_allowed)
                return;
        if (!c->bad) {
                c->bad = true;
                c->bad_ticks = now_ticks;
        } else if (!c->deaf && reached(now_ticks, c->bad_ticks + CHAIN_DEAF_CYCLES * c->cycle_ticks)) {
                c->deaf = true;
                c->orphan_ticks = now_ticks + CHAIN_QUIET_TICKS;
        }
}

static void good_frame(struct chain *c) {
        const struct chain_input *in = &c->input;

        c->bad = false;
        c->number = in->count == COUNT_MAX ? 0 : (uint8_t)(in->count + 1);
        if (in->key != KEY_BYTE_ORPHAN)
                c->true_number = c->number;
        news(c, CHAIN_NEWS_GOOD);
        c->news.v_bypass = in->v_bypass;

        if (!c->deaf || ++c->good_in_row < CHAIN_TRUST_FRAMES)
                return;
        c->deaf = false;
        c->good_in_row = 0;
        message_begin(c);
}

static void input_close(struct chain *c, bool good, uint32_t now_ticks) {
        struct chain_input *in = &c->input;

        in->open = false;
        news(c, CHAIN_NEWS_END);
        if (good)
                good_frame(c);
        else
                bad_frame(c, now_ticks);
        if (!in->relayed)
                return;
        if (c->relay.made > 0)
                news(c, good && in->key == KEY_BYTE_ORPHAN ? CHAIN_NEWS_ORPHAN : CHAIN_NEWS_RELAYED);
        /* R3. With fewer than 3 bytes nothing was begun. */
        if (c->relay.made > 0 && c->relay.made < FRAME_SIZE)
                c->relay.filling = true;
        in->relayed = false;
}

static void input_note(struct chain_input *in, uint8_t byte) {
        switch (in->bytes) {
        case FRAME_OFF_COUNT:
                in->count = byte;
                break;
        case FRAME_OFF_KEY:
                in->key = byte;
                break;
        case FRAME_OFF_V_BYPASS:
                in->v_bypass = (uint16_t)((uint16_t)byte << 8);
                break;
        case FRAME_OFF_V_BYPASS + 1:
                in->v_bypass = (uint16_t)(in->v_bypass | byte);
                break;
        default:
                break;
        }
}

/* ---- public ---- */

void chain_init(struct chain *c, uint32_t now_ticks) {
        *c = (struct chain){.cycle_ticks = CHAIN_CYCLE_TICKS};
        c->input.first_ticks = now_ticks;
        c->input.last_ticks = now_ticks;
        c->orphan_ticks = now_ticks + half_cycles(c, 5);
}

void chain_receive(struct chain *c, uint8_t byte, bool damaged, uint32_t now_ticks) {
        struct chain_input *in = &c->input;
        uint32_t since_ticks = now_ticks - in->last_ticks;

        /* last_ticks is the end of a byte, and now_ticks the end of this one. */
        if (in->quiet || since_ticks >= CHAIN_SILENCE_TICKS + CHAIN_BYTE_TICKS) {
                if (in->open)
                        input_close(c, false, now_ticks);
                first_byte(c, in->quiet || since_ticks >= CHAIN_QUIET_TICKS + CHAIN_BYTE_TICKS, now_ticks);
        } else if (in->open && since_ticks >= CHAIN_GAP_TICKS) {
                input_close(c, false, now_ticks);
        }

        in->last_ticks = now_ticks;
        if (in->burst < UINT8_MAX)
                in->burst++;
        if (in->burst == CHAIN_BURST_BYTES)
                message_begin(c);
        if (!in->open)
                return;

        if (damaged) {
                in->damaged = true;
                c->relay.damaged |= in->relayed;
        }
        relay(c, byte);
        input_note(in, byte);
        if (in->bytes < FRAME_OFF_CHECKSUM)
                in->sum = (uint8_t)(in->sum + byte);
        in->bytes++;
        if (in->bytes == FRAME_SIZE)
                input_close(c, !in->damaged && byte == in->sum, now_ticks);
}

void chain_tick(struct chain *c, uint32_t now_ticks) {
        struct chain_input *in = &c->input;

        if (in->open && reached(now_ticks, in->last_ticks + CHAIN_GAP_TICKS))
                input_close(c, false, now_ticks);
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
        struct chain_relay *r = &c->relay;

        while (ring_empty(c) && r->orphan) {
                take(c, orphan_template(c, r->taken));
                r->orphan = r->taken < FRAME_SIZE;
        }
        if (!ring_empty(c)) {
                *ret_byte = c->ring[c->tail % CHAIN_RING];
                c->tail++;
                return true;
        }
        if (!r->filling)
                return false;
        *ret_byte = filler(r);
        return true;
}

void chain_set_reading(struct chain *c, const struct chain_reading *reading) {
        c->reading = *reading;
}

void chain_set_cycle(struct chain *c, uint32_t cycle_ticks) {
        uint32_t before_ticks = half_cycles(c, 5);

        c->cycle_known = cycle_ticks != 0;
        c->cycle_ticks = c->cycle_known ? cycle_ticks : CHAIN_CYCLE_TICKS;
        /* What was counted from the last message is counted anew. */
        if (c->messages)
                c->orphan_ticks += half_cycles(c, 5) - before_ticks;
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
                c->orphan_ticks = now_ticks + half_cycles(c, 5);
}

bool chain_expected(const struct chain *c, uint32_t now_ticks, uint32_t *ret_ticks) {
        uint32_t next_ticks = c->message_ticks + c->cycle_ticks;

        if (c->messages && !c->deaf) {
                if (!c->cycle_known)
                        return false;
                /* One message may be lost, or two; then comes an orphan. */
                for (uint8_t i = 0; i < 2; i++, next_ticks += c->cycle_ticks)
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
        return !c->input.open && !chain_sending(c);
}

struct chain_news chain_take_news(struct chain *c) {
        struct chain_news taken = c->news;

        c->news = (struct chain_news){.flags = 0};
        return taken;
}
