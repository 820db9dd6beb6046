/* SPDX-License-Identifier: MIT */
#pragma once

/* The command line of smartbms-sim, checked as a whole. */

#include "simulation.h"

#define OPTIONS_FAULTS_MAX 32

enum options_relays {
        RELAYS_CLOSED,
        RELAYS_OPEN,
        RELAYS_BUS,   /* as the daemon says */
        RELAYS_BOARD, /* as the simulated OUT board says */
};

struct options {
        struct simulation_config simulation;
        double speed;        /* 0 = as fast as the reader takes it */
        double duration_sec; /* simulated; 0 = for ever */
        const char *link, *output, *control, *bus, *scenario, *truth;
        const char *pack; /* whose daemon is obeyed over the bus */
        double truth_every_sec;
        enum options_relays relays;
        const char *faults[OPTIONS_FAULTS_MAX];
        int n_faults;
};

/* 0: run. 1: --help or --version has been answered. -EINVAL: what is wrong was said on standard error. */
int options_parse(int argc, char **argv, struct options *ret_options);
