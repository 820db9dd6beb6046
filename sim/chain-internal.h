/* SPDX-License-Identifier: MIT */
#pragma once

/* What the two ways of running the boards share: as values (chain.c) and byte by byte (chain-bytes.c). */

#include "chain.h"

/* In half cycles: R10's 2.5 and 1.5 cycles. */
#define ORPHAN_AFTER 5
#define ORPHAN_EVERY 3

/* R11. */
struct frame chain_orphan_frame(const struct chain_board *b, const struct reading *r);

/* From a good frame: the board's number (R6, R11) and V-bypass (R13). */
void chain_learn(struct chain_board *b, uint8_t count, bool orphan, uint16_t v_bypass_mv);

void chain_reset_board(struct chain *c, int cell);

/* R9: a good frame came back. */
void chain_take_return(struct chain *c, const struct frame *f);

/* A half cycle with bit errors; first: the frame that the IN board starts, NULL = none. */
void chain_step_bytes(struct chain *c, const struct chain_input *in, const struct frame *first,
                      struct chain_output *o);

/* A frame over the last line, to the listener. */
void chain_send_bytes(struct chain *c, const struct chain_input *in, const struct frame *frame,
                      struct chain_bytes *ret_bytes);
