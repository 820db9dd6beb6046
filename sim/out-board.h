/* SPDX-License-Identifier: MIT */
#pragma once

/* A genuine OUT board as the manual describes it: state of charge, energy, limits, permissions, in the frame
 * that its extended data output sends. A stand-in for role monitor, not a model of the vendor's firmware. */

#include "frame.h"
#include "units.h"

struct out_board_config {
        double capacity_wh, soc_percent;
        int v_min_mv, v_max_mv;
        int t_min_decic, t_max_decic;
        double charge_restart_percent, discharge_restart_percent;
        double start_hour;
};

struct out_board {
        struct out_board_config config;
        double soc_percent;
        bool calibrated, have_frame, error;
        bool charge, load;
        double collected_today_wh, consumed_today_wh, collected_wh, consumed_wh;
        double charged_wh, discharged_wh;
        int64_t day;
        struct frame frame; /* the newest error-free one */
        uint64_t last_half;
        uint8_t pair;
};

void out_board_init(struct out_board *o, const struct out_board_config *config);

/* Half a cycle: what came from the last board (NULL: nothing). critical: switch 5. True if a frame goes out.
 */
bool out_board_step(struct out_board *o, usec_t now, uint64_t half, usec_t period,
                    const struct frame *received, bool critical, struct frame *ret_frame);
