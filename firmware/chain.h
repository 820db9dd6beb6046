/* SPDX-License-Identifier: MIT */
#pragma once

/* A cell board's part in the chain: the relay that passes the 58-byte frame on byte by byte and alters it on the way, and
 * the orphan frame that starts when nothing comes any more. Rules R1..R8, R10, R11 and R14 of docs/chain.md.
 *
 * Pure: bytes and time are arguments, the state is the caller's. Time is in ticks of the board's own timer
 * (HARDWARE_CELL_TICK_HZ, 16 us nominal), 32 bits wide, and may wrap. Freestanding C99; int may have 16 bits; no call goes
 * deeper than a few levels, nothing recurses.
 *
 * Knows no register and no unit: a reading is what stands in the frame. Does not measure, trim, or decide on the bypass.
 *
 * Calling: chain_receive(), chain_transmit() and chain_tick() from interrupts or with interrupts locked; everything else
 * with interrupts locked. Whenever a call may have produced bytes to send, chain_sending() is true until chain_transmit()
 * has handed out the last of them. */

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "hardware.h"

#define CHAIN_TICK_HZ HARDWARE_CELL_TICK_HZ
#define CHAIN_TICKS_MS(ms) ((uint32_t)(ms) * CHAIN_TICK_HZ / UINT32_C(1000))

/* One byte with its start and stop bit: 10 bits at 9600 baud, 1042 us. */
#define CHAIN_BYTE_TICKS ((10 * CHAIN_TICK_HZ + HARDWARE_BAUD / 2) / HARDWARE_BAUD)
#define CHAIN_SILENCE_TICKS CHAIN_TICKS_MS(20)              /* R1 */
#define CHAIN_GAP_TICKS (3 * CHAIN_BYTE_TICKS)              /* R3 */
#define CHAIN_QUIET_TICKS CHAIN_TICKS_MS(100)               /* R10: the hold-off, R12: the silence before an interval */
#define CHAIN_CYCLE_TICKS CHAIN_TICK_HZ                     /* R10: a cycle not measured yet: 1.0 s */
#define CHAIN_BURST_BYTES 30                                /* R10: so many bytes are a message */
#define CHAIN_DEAF_CYCLES 10                                /* R10: so long without a good frame: as no message */
#define CHAIN_DEAF_CYCLES_FIRST 60                          /* ... before the first good frame: a chain starts up */
#define CHAIN_TRUST_FRAMES 3                                /* R10: ... until so many good ones in a row */
#define CHAIN_RING 32                                       /* R2: bytes to send; a power of two */
#define CHAIN_DAMAGE UINT8_C(0xA5)                          /* R4 */
#define CHAIN_ORPHAN_STATUS (FRAME_STATUS_NOT_CALIBRATED | FRAME_STATUS_COMMUNICATION_ERROR) /* R11: 0x84 */

/* A cell's reading as it stands in the frame. 0 is unknown, for both. */
struct chain_reading {
        uint16_t voltage;     /* FRAME_VOLTAGE_STEP_MV */
        uint16_t temperature; /* TEMPERATURE_SHEET */
        bool doubt;           /* the bypass stage is faulty: status bit 2 (R8) */
};

/* What the chain has to tell the rest of the board, collected until chain_take_news(). */
enum {
        CHAIN_NEWS_START = 1 << 0,        /* a first byte after >= 100 ms of silence, at start_ticks: see clock.h (R12) */
        CHAIN_NEWS_RELAYED = 1 << 1,      /* a message was passed on, good or not (R15) */
        CHAIN_NEWS_ORPHAN = 1 << 2,       /* an orphan frame, own or passed on (R15) */
        CHAIN_NEWS_GOOD = 1 << 3,         /* a good frame: v_bypass is what it carried (R13) */
        CHAIN_NEWS_END = 1 << 4,          /* a frame's last byte came, or was given up: the line is quiet until the next */
};

struct chain_news {
        uint8_t flags;
        uint16_t v_bypass;    /* FRAME_VOLTAGE_STEP_MV, with CHAIN_NEWS_GOOD */
        uint32_t start_ticks; /* with CHAIN_NEWS_START */
};

/* What comes in, judged as it comes, whether it is relayed or not. */
struct chain_input {
        uint32_t first_ticks;      /* first byte after the last silence */
        uint32_t last_ticks;       /* last byte; before any: the reset */
        uint8_t bytes;             /* of this frame so far */
        uint8_t burst;             /* bytes since the last silence, dropped ones too; stays at CHAIN_BURST_BYTES */
        uint8_t sum;               /* of bytes 0..56 */
        bool open;                 /* inside a frame: from the first byte after a silence to its end or a gap */
        bool ended;                /* the frame's end was not looked at yet */
        bool damaged;              /* R4 */
        bool relayed;              /* goes through the relay */
        bool message;              /* the burst was long enough for one (R10) */
        bool quiet;                /* >= 100 ms of silence were seen, however long ago */
};

/* What goes out. */
struct chain_relay {
        struct chain_reading own; /* latched at the first byte (R5) */
        uint16_t low;             /* low bytes of the number whose first byte is out */
        uint8_t made;             /* bytes made: altered, or filled in */
        uint8_t made_sum;         /* of them */
        uint8_t count;            /* byte 25 as received */
        uint8_t number;           /* own number in this frame, 0 unknown (R6) */
        bool detail;              /* own detail goes into bytes 26..29 (R7) */
        bool extreme;             /* the own reading replaces the extreme whose bytes are going out (R6) */
        bool orphan;              /* an own orphan frame is being made */
        uint8_t orphan_value;     /* of key 129 in it (R11) */
        uint16_t orphan_v_bypass; /* bytes 55, 56 in it */
        bool filling;             /* zeros up to the 58th byte are being made (R3) */
};

/* What every byte needs comes first: the chip reaches 64 bytes from a pointer at no cost. */
struct chain {
        struct chain_input input;
        struct chain_relay relay;
        uint8_t head, tail;           /* of the ring, running free */
        struct chain_reading reading; /* for the next frame */
        struct chain_news news;
        uint32_t cycle_ticks;         /* R10 */
        uint32_t message_ticks;       /* first byte of the last message */
        uint32_t orphan_ticks;        /* when the next orphan is due */
        uint32_t bad_ticks;           /* end of the first bad frame since the last good one */
        uint16_t v_bypass;            /* for own orphans, 0 unknown */
        uint8_t number;               /* count of the last good frame + 1, 0 unknown (R6) */
        uint8_t true_number;          /* the same of the last good frame that was no orphan (R11) */
        uint8_t good_in_row;
        bool messages;                /* there was a message since reset, and no orphan was due since */
        bool heard;                   /* a good frame since the reset */
        bool bad;                     /* bad_ticks is valid */
        bool cycle_known;             /* else cycle_ticks is 1.0 s */
        bool orphans_allowed;         /* R10 */
        bool deaf;                    /* what comes is as no message (R10) */
        bool orphaned;                /* the last good frame was an orphan: the next comes after 1.5 cycles */
        uint8_t frame[FRAME_SIZE];    /* the frame that comes in, so far */
        uint8_t ring[CHAIN_RING];
};

/* Begins as after a reset, at now_ticks: no reading, no number, no orphans, waiting for a silence. */
void chain_init(struct chain *c, uint32_t now_ticks);

/* A byte has come, whole, at now_ticks; damaged: with a framing error, or after an overrun. Bounded work, no loop over a
 * frame. What can wait until the byte that was made of it is on its way is left to chain_tick(). */
void chain_receive(struct chain *c, uint8_t byte, bool damaged, uint32_t now_ticks);

/* To be called at chain_deadline() or soon after; harmless earlier. Looks at a frame that has ended, gives up one with a gap
 * (R3), starts an orphan (R10). */
void chain_tick(struct chain *c, uint32_t now_ticks);

/* When chain_tick() has to be called next. May lie in the past. Changes with every other call. */
uint32_t chain_deadline(const struct chain *c, uint32_t now_ticks);

/* Is there a byte to send? */
bool chain_sending(const struct chain *c);

/* The next byte to send. Returns false, and leaves *ret_byte alone, if there is none. */
bool chain_transmit(struct chain *c, uint8_t *ret_byte);

/* The reading for the next frame that starts. */
void chain_set_reading(struct chain *c, const struct chain_reading *reading);

/* The measured cycle, in ticks; 0: unknown, and 1.0 s is taken. */
void chain_set_cycle(struct chain *c, uint32_t cycle_ticks);

/* The V-bypass for own orphans, FRAME_VOLTAGE_STEP_MV; 0: unknown. */
void chain_set_v_bypass(struct chain *c, uint16_t v_bypass);

/* From now on orphans may be started: the clock is trimmed, or runs by a stored trim. */
void chain_allow_orphans(struct chain *c, uint32_t now_ticks);

/* When the next frame, own or passed on, is expected: what is to be measured must be measured before (R5). Not after the
 * orphan's due time. Returns false while neither a message nor a cycle is known. */
bool chain_expected(const struct chain *c, uint32_t now_ticks, uint32_t *ret_ticks);

/* Nothing of a frame is coming or going, but for what chain_transmit() handed out and the USART has not sent yet: two bytes,
 * 2.1 ms. After that the oscillator may be changed, a reading may be taken. */
bool chain_idle(const struct chain *c);

/* What happened since the last call; forgets it. */
struct chain_news chain_take_news(struct chain *c);
