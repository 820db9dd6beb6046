/* SPDX-License-Identifier: MIT */
#include "output.h"

#include "config-build.h"

#define MWH_PER_WH INT64_C(1000)
#define MWH_PER_KWH INT64_C(1000000)
#define PERMYRIAD_PER_PERCENT 100

/* Vendor keys (wire-formats.md section 1). */
#define KEY_STATUS_2 16
#define STATE_OF_HEALTH_UNKNOWN 255 /* over 100 = not known */

enum {
        STATUS_2_T_MIN_CHARGE = 1 << 2,
        STATUS_2_T_MIN_DISCHARGE = 1 << 3,
        STATUS_2_RELAY_1 = 1 << 4, /* charge */
        STATUS_2_RELAY_2 = 1 << 5, /* load */
};

/* What a field without a sign can say of a number that may be unknown or, by a caller's mistake, negative. */
static uint32_t scaled(struct maybe64 value, int64_t divisor) {
        int64_t quotient;

        if (!value.known || value.value < 0)
                return 0;
        quotient = value.value / divisor;
        return quotient > UINT32_MAX ? UINT32_MAX : (uint32_t)quotient;
}

static uint32_t plain(struct maybe value) {
        return value.known && value.value > 0 ? (uint32_t)value.value : 0;
}

/* Voltages go out as pairs in the frame's own steps. */
static struct maybe64 voltage_steps(struct maybe mv) {
        return mv.known ? some64((plain(mv) + FRAME_VOLTAGE_STEP_MV / 2) / FRAME_VOLTAGE_STEP_MV) : none64();
}

static struct maybe64 pair_state_of_health(const struct snapshot *s) {
        (void)s; /* nothing here measures it; saying so spares a reader the wait */
        return some64(STATE_OF_HEALTH_UNKNOWN);
}

static struct maybe64 pair_efficiency(const struct snapshot *s) {
        return some64(settings_get(&s->settings, SETTING_CHARGE_EFFICIENCY));
}

static struct maybe64 pair_v_low(const struct snapshot *s) {
        return voltage_steps(s->settings.values[SETTING_VMIN]);
}

static struct maybe64 pair_v_nominal(const struct snapshot *s) {
        return voltage_steps(s->settings.values[SETTING_CELL_NOMINAL]);
}

/* "major.minor.patch" as two nibbles and a byte. */
static struct maybe64 pair_firmware(const struct snapshot *s) {
        unsigned part[3] = {}, n = 0;

        (void)s;
        for (const char *p = SMARTBMS_VERSION; *p != '\0' && n < 3; p++)
                if (*p == '.')
                        n++;
                else if (*p >= '0' && *p <= '9')
                        part[n] = part[n] * 10 + (unsigned)(*p - '0');
                else
                        break; /* "0.2.0-rc1" */
        return some64((int64_t)((part[0] & 0xF) << 12 | (part[1] & 0xF) << 8 | (part[2] & 0xFF)));
}

static struct maybe64 pair_charged_kwh(const struct snapshot *s) {
        struct maybe64 total = s->total_mwh[ENERGY_CHARGED];

        return total.known ? some64(scaled(total, MWH_PER_KWH)) : none64();
}

static struct maybe64 pair_discharged_kwh(const struct snapshot *s) {
        struct maybe64 total = s->total_mwh[ENERGY_DISCHARGED];

        return total.known ? some64(scaled(total, MWH_PER_KWH)) : none64();
}

/* Feedback tells what a contact does (P16); without it there is the command. */
static bool contact_closed(const struct relay_snapshot *relay) {
        return relay->confirmed.known ? relay->confirmed.value != 0 : relay->closed;
}

uint8_t output_status_2(const struct snapshot *s) {
        uint8_t bits = 0;

        if (s->alarms[ALARM_T_MIN].active && s->lowest_decic.known) {
                if (s->lowest_decic.value < settings_get(&s->settings, SETTING_TMIN))
                        bits |= STATUS_2_T_MIN_CHARGE;
                if (s->lowest_decic.value < settings_tmin_discharge_decic(&s->settings))
                        bits |= STATUS_2_T_MIN_DISCHARGE;
        }
        if (contact_closed(&s->relays[RELAY_CHARGE]))
                bits |= STATUS_2_RELAY_1;
        if (contact_closed(&s->relays[RELAY_LOAD]))
                bits |= STATUS_2_RELAY_2;
        return bits;
}

static struct maybe64 pair_status_2(const struct snapshot *s) {
        return some64(output_status_2(s));
}

static struct maybe64 pair_v_full(const struct snapshot *s) {
        return voltage_steps(s->v_bypass_mv);
}

/* Pairs 8 and 9, charge cycles, are not sent: nothing counts them. */
static const struct pair_source {
        uint8_t key;  /* of the first, most significant byte */
        uint8_t size; /* bytes = keys */
        struct maybe64 (*value)(const struct snapshot *s);
} pair_sources[] = {
        {0,            1, pair_state_of_health},
        {1,            1, pair_efficiency},
        {2,            2, pair_v_low},
        {4,            2, pair_v_nominal},
        {6,            2, pair_firmware},
        {10,           3, pair_charged_kwh},
        {13,           3, pair_discharged_kwh},
        {KEY_STATUS_2, 1, pair_status_2},
        {17,           2, pair_v_full},
};

#define N_PAIR_SOURCES (sizeof(pair_sources) / sizeof(pair_sources[0]))

static uint32_t saturated(int64_t value, uint8_t size) {
        int64_t max = (INT64_C(1) << (8 * size)) - 1;

        return (uint32_t)(value > max ? max : value);
}

/* The next pair whose value is known. A number of several bytes is latched with its first one: a total that
 * rolls over between two frames must not be put together from old and new bytes. */
static void next_pair(struct output *o, const struct snapshot *s, uint8_t *ret_key, uint8_t *ret_value) {
        size_t i = 0;

        while (i < N_PAIR_SOURCES && o->next_pair >= pair_sources[i].key + pair_sources[i].size)
                i++;

        for (size_t tried = 0; tried < N_PAIR_SOURCES; tried++, i++) {
                const struct pair_source *source = &pair_sources[i % N_PAIR_SOURCES];
                unsigned byte = 0;

                if (tried == 0 && i < N_PAIR_SOURCES && o->next_pair > source->key) {
                        byte = o->next_pair - source->key; /* within a number */
                } else {
                        struct maybe64 value = source->value(s);

                        if (!value.known)
                                continue;
                        o->latched = saturated(value.value, source->size);
                }
                *ret_key = (uint8_t)(source->key + byte);
                *ret_value = (uint8_t)((o->latched >> (8 * (source->size - 1 - byte))) & 0xFF);
                o->next_pair = (uint8_t)(*ret_key + 1);
                return;
        }
}

static bool stale_or_error(const struct snapshot *s) {
        return s->link == LINK_STALE || s->link == LINK_ERROR;
}

static uint8_t link_status(const struct snapshot *s, uint8_t status) {
        if (!stale_or_error(s))
                return status;
        status |= FRAME_STATUS_COMMUNICATION_ERROR;
        return (uint8_t)(status & ~(FRAME_STATUS_CHARGE_ALLOWED | FRAME_STATUS_DISCHARGE_ALLOWED));
}

static uint8_t our_status(const struct snapshot *s) {
        const struct { bool set; uint8_t bit; } bits[] = {
                {s->relays[RELAY_CHARGE].closed,               FRAME_STATUS_CHARGE_ALLOWED},
                {s->relays[RELAY_LOAD].closed,                 FRAME_STATUS_DISCHARGE_ALLOWED},
                {s->alarms[ALARM_V_MIN].active,                FRAME_STATUS_V_MIN},
                {s->alarms[ALARM_V_MAX].active,                FRAME_STATUS_V_MAX},
                {s->alarms[ALARM_T_MIN].active,                FRAME_STATUS_T_MIN},
                {s->alarms[ALARM_T_MAX].active,                FRAME_STATUS_T_MAX},
                {!s->calibrated || !s->soc_permyriad.known,    FRAME_STATUS_NOT_CALIBRATED},
        };
        uint8_t status = 0;

        for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
                if (bits[i].set)
                        status |= bits[i].bit;
        return link_status(s, status);
}

uint8_t output_status(const struct snapshot *s) {
        return s->role == ROLE_MONITOR ? link_status(s, s->frame.status) : our_status(s);
}

/* Readings stay as the chain sent them; what an OUT board adds is ours. */
static void fill_ours(struct output *o, const struct snapshot *s, struct frame *f) {
        uint8_t key = 0, value = 0;

        f->collected_today_wh = scaled(s->today_mwh[ENERGY_COLLECTED], MWH_PER_WH);
        f->stored_wh = scaled(s->stored_mwh, MWH_PER_WH);
        f->consumed_today_wh = scaled(s->today_mwh[ENERGY_CONSUMED], MWH_PER_WH);
        f->collected_total_kwh = scaled(s->total_mwh[ENERGY_COLLECTED], MWH_PER_KWH);
        f->consumed_total_kwh = scaled(s->total_mwh[ENERGY_CONSUMED], MWH_PER_KWH);

        /* Rounded down: 100 % is sent for a full pack only, and never more than there is. */
        f->soc_percent = (uint8_t)(plain(s->soc_permyriad) / PERMYRIAD_PER_PERCENT);

        f->capacity_wh = plain(s->capacity_wh);
        f->v_min_mv = plain(s->settings.values[SETTING_VMIN]);
        f->v_max_mv = plain(s->settings.values[SETTING_VMAX]);
        f->v_bypass_mv = plain(s->v_bypass_mv);

        next_pair(o, s, &key, &value);
        f->key_byte = (uint8_t)(key + FRAME_KEY_BIAS);
        f->value = value;
}

bool output_frame(struct output *o, const struct snapshot *s, uint8_t ret_bytes[FRAME_SIZE]) {
        struct frame f = s->frame;

        if (f.count == 0)
                return false;
        f.status = output_status(s);
        if (s->role != ROLE_MONITOR)
                fill_ours(o, s, &f);
        frame_encode(&f, s->coding, ret_bytes);
        return true;
}
