/* SPDX-License-Identifier: MIT */
#pragma once

/* Faults on command: what can be asked for, for how long, and what the ones on the wire do to a frame's
 * bytes. The others are looked up by simulation.c and given to the part that they concern. */

#include <stddef.h>

#include "frame.h"
#include "rng.h"
#include "units.h"

enum fault_kind {
        FAULT_CUT,
        FAULT_DEAD,
        FAULT_RETURN_LOST,
        FAULT_BOARD_FAULT,
        FAULT_MISSING,
        FAULT_COUNT,
        FAULT_CONFIGURED,
        FAULT_NOISE,
        FAULT_CHECKSUM,
        FAULT_TRUNCATE,
        FAULT_FLIP,
        FAULT_BIT_ERRORS,
        FAULT_GARBAGE,
        FAULT_SUM,
        FAULT_SILENCE,
        FAULT_FROZEN,
        FAULT_FROZEN_READINGS,
        FAULT_HOT,
        FAULT_COLD,
        FAULT_TEMPERATURE,
        FAULT_VOLTAGE,
        FAULT_SENSOR_LOST,
        FAULT_SENSOR_REVERSED,
        FAULT_SENSOR_OFFSET,
        FAULT_SENSOR_GAIN,
        FAULT_UNSEEN,
        FAULT_V_BYPASS,
        FAULT_MODE,
        FAULT_PERIOD,
        FAULT_RELAY_STUCK,
        _FAULT_MAX,
};

#define FAULTS_MAX 64

struct fault {
        enum fault_kind kind;
        double args[2];
        usec_t start, end; /* in force from start, until before end */
};

struct faults {
        size_t n;
        struct fault list[FAULTS_MAX];
        unsigned since_bad; /* frames since the last wrong checksum */
        struct rng rng;
};

void faults_init(struct faults *f, uint64_t seed);

/* Takes "NAME[=ARG[,ARG]][@START][+DURATION]", both in seconds of simulated time; without @START it starts
 * now. 0; -EINVAL or -ERANGE with a sentence; -ENOSPC if FAULTS_MAX are pending. */
int faults_add(struct faults *f, usec_t now, const char *spec, char *ret_error, size_t size);

/* Ends faults, also those still to come: all (name NULL or ""), or those of a name. Returns how many, or
 * -EINVAL for an unknown name. */
int faults_clear(struct faults *f, const char *name);

/* Forgets what has ended. */
void faults_advance(struct faults *f, usec_t now);

/* The newest fault of this kind in force, or NULL. */
const struct fault *faults_find(const struct faults *f, usec_t now, enum fault_kind kind);

/* The newest one in force whose first argument is this cell, or "all" (0). */
const struct fault *faults_find_cell(const struct faults *f, usec_t now, enum fault_kind kind, int cell);

/* Longest result of faults_mangle(). */
#define FAULTS_WIRE_MAX (FRAME_SIZE + 1000)

/* The bytes that a frame becomes on a faulty wire. Returns their number, 0 for silence. */
size_t faults_mangle(struct faults *f, usec_t now, const uint8_t bytes[FRAME_SIZE],
                     uint8_t ret_wire[FAULTS_WIRE_MAX]);

/* Its name, and one line for --help. */
const char *fault_name(enum fault_kind kind);
const char *fault_usage(enum fault_kind kind);
