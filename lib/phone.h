/* SPDX-License-Identifier: MIT */
#pragma once

/* What a phone sees of the pack and what it may ask for, whichever of the two protocols it speaks: the SmartBMS service
 * (gatt.h) and the line protocol (app.h) are translators between bytes and these. They know neither Bluetooth's stack,
 * nor where an answer comes from, nor how a PIN is compared: that takes a while, so what is asked for is answered
 * later. */

#include "snapshot.h"

/* ---- what it sees ------------------------------------------------------------------------------------------------ */

#define PHONE_FAULTS_MAX 10  /* the line protocol's L0..L9 */
#define PHONE_SOC_HOURS 168U /* a week, by the hour: its H0..HD */
#define PHONE_SOC_NONE 0xffU

enum phone_fault_kind { /* as the line protocol numbers them (wire formats, section 2) */
        PHONE_FAULT_NONE,
        PHONE_FAULT_V_LOW,
        PHONE_FAULT_V_HIGH,
        PHONE_FAULT_T_LOW_CHARGING,
        PHONE_FAULT_T_HIGH,
        PHONE_FAULT_COMMUNICATION,
        PHONE_FAULT_T_LOW_DISCHARGING,
};

struct phone_fault {
        enum phone_fault_kind kind;
        struct maybe64 wall_sec;            /* since 1970 UTC */
        struct maybe cell;                  /* 1..255 */
        struct maybe voltage_mv, temperature_decic; /* what the cell had, by kind */
};

/* Lent for one call. */
struct phone_view {
        usec_t now;
        struct maybe64 wall_sec; /* since 1970 UTC; unknown until the clock is synchronised */
        int32_t utc_offset_sec;  /* of the owner's zone, for clocks that show local time */
        const char *version;     /* "1.2.3" */
        const struct snapshot *snapshot;
        const struct phone_fault *faults; /* newest first */
        size_t n_faults;                  /* 0..PHONE_FAULTS_MAX */
        const uint8_t *soc_hours;         /* a ring of PHONE_SOC_HOURS whole percents or PHONE_SOC_NONE; NULL = none */
        unsigned soc_hour;                /* the newest one's place in it */
        bool default_pin;                 /* the PIN is still PIN_FIRST, and the owner does not allow changes with it */
};

/* ---- what it may ask for ----------------------------------------------------------------------------------------- */

enum phone_ask_kind {
        PHONE_ASK_NONE,
        PHONE_ASK_LOG_IN,       /* pin */
        PHONE_ASK_SET_PIN,      /* pin, the new one; only in a session that is logged in */
        PHONE_ASK_SET_SETTINGS, /* settings, whole */
        PHONE_ASK_SET_SOC,      /* soc_permyriad */
        PHONE_ASK_CLEAR_ENERGY,
};

struct phone_ask {
        enum phone_ask_kind kind;
        char pin[PIN_DIGITS_MAX + 1]; /* pin_well_formed() */
        struct settings settings;
        int32_t soc_permyriad;
};

enum phone_result {
        PHONE_DONE,       /* in force, and on the card */
        PHONE_NOT_STORED, /* in force, but not on the card yet */
        PHONE_WRONG_PIN,
        PHONE_LOCKED,     /* too many wrong PINs: locked_sec */
        PHONE_REFUSED,    /* nothing was changed: sentence */
        PHONE_BUSY,       /* nothing was changed: ask again */
};

struct phone_answer {
        enum phone_result result;
        uint32_t locked_sec;
        char sentence[ALARM_TEXT_MAX];
};
