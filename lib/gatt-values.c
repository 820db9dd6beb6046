/* SPDX-License-Identifier: MIT */

/* The layouts. docs/bluetooth.md says the same in tables: a change here is a change there, and of the protocol. */

#include <assert.h>
#include <string.h>

#include "gatt-internal.h"

void gatt_put(struct gatt_bytes *b, unsigned width, uint64_t value) {
        assert(b->size + width <= sizeof(b->bytes));
        for (unsigned i = 0; i < width; i++, value >>= 8)
                b->bytes[b->size++] = (uint8_t)(value & 0xff);
}

/* Unsigned: all ones = unknown, and so is what does not fit (which no reading can be). */
static void put_unsigned(struct gatt_bytes *b, unsigned width, struct maybe64 v) {
        const uint64_t unknown = UINT64_MAX >> (64 - 8 * width);

        gatt_put(b, width, v.known && v.value >= 0 && (uint64_t)v.value < unknown ? (uint64_t)v.value : unknown);
}

/* Signed: the lowest value = unknown, and so is what does not fit. */
static void put_signed(struct gatt_bytes *b, unsigned width, struct maybe v) {
        const int64_t unknown = -(INT64_C(1) << (8 * width - 1));

        gatt_put(b, width, (uint64_t)(v.known && v.value > unknown && v.value < -unknown ? v.value : unknown));
}

static struct maybe64 wide(struct maybe v) {
        return v.known ? some64(v.value) : none64();
}

/* Whole seconds, in four bytes; what is longer is given as the longest. */
static void put_seconds(struct gatt_bytes *b, usec_t usec) {
        const usec_t sec = usec / USEC_PER_SEC;

        gatt_put(b, 4, sec < UINT32_MAX ? sec : UINT32_MAX - 1);
}

static bool alarm_active(const struct snapshot *s) {
        for (int i = 0; i < _ALARM_MAX; i++)
                if (s->alarms[i].active)
                        return true;
        return false;
}

/* ---- pack state, power ------------------------------------------------------------------------------------------- */

static void put_pack_state(struct gatt_bytes *b, const struct snapshot *s) {
        const bool flags[] = {
                s->link == LINK_LIVE, s->communication_error,          s->data_stale,
                s->calibrated,        s->relays[RELAY_CHARGE].closed,  s->relays[RELAY_LOAD].closed,
                s->critical,          alarm_active(s),                 s->role == ROLE_MONITOR,
        };
        const struct maybe unsure = s->soc_uncertainty_permyriad;
        uint64_t set = 0;

        for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
                set |= (uint64_t)flags[i] << i;
        gatt_put(b, 2, set);
        put_unsigned(b, 3, wide(s->pack_mv));
        put_signed(b, 3, s->current_ma);
        put_unsigned(b, 2, wide(s->soc_permyriad));
        /* In halves of a percent, rounded up: it is not to look surer than it is. */
        put_unsigned(b, 1, unsure.known ? some64((unsure.value + 49) / 50) : none64());
        put_unsigned(b, 2, wide(s->lowest_mv));
        put_unsigned(b, 2, wide(s->highest_mv));
        put_signed(b, 2, s->lowest_decic);
        put_signed(b, 2, s->highest_decic);
        gatt_put(b, 1, s->serial);
}

static void put_power(struct gatt_bytes *b, const struct snapshot *s) {
        put_signed(b, 4, s->power_mw);
        put_signed(b, 3, s->in_ma);
        put_signed(b, 4, s->in_mw);
        put_signed(b, 3, s->out_ma);
        put_signed(b, 4, s->out_mw);
}

/* ---- cells ------------------------------------------------------------------------------------------------------- */

#define CELL_SIZE 6
#define CELL_AGE_OLD 254U
#define CELL_AGE_NEVER 255U
static_assert(5 + GATT_PAGE_CELLS * CELL_SIZE <= GATT_VALUE_MAX, "a page fits");
static_assert(GATT_PAGES * GATT_PAGE_CELLS >= CELLS_MAX, "a place for every cell");

static uint64_t cell_age(usec_t age) {
        if (age == USEC_INFINITY)
                return CELL_AGE_NEVER;
        return age / USEC_PER_SEC < CELL_AGE_OLD ? age / USEC_PER_SEC : CELL_AGE_OLD;
}

static uint64_t cell_flags(const struct snapshot *s, int cell) {
        const struct cell_snapshot *c = &s->cells[cell];
        const struct maybe extremes[] = {s->lowest_mv_cell, s->highest_mv_cell, s->lowest_decic_cell,
                                         s->highest_decic_cell};
        uint64_t flags = (uint64_t)c->bypassing | (uint64_t)c->missing << 1 | (uint64_t)c->v_red << 2 |
                         (uint64_t)c->t_red << 3;

        for (unsigned i = 0; i < 4; i++)
                if (extremes[i].known && extremes[i].value == cell)
                        flags |= UINT64_C(16) << i;
        return flags;
}

static void put_page(struct gatt_bytes *b, uint8_t page, const struct snapshot *s, bool aged) {
        const int before = page * GATT_PAGE_CELLS;
        int n = s->n_cells - before;

        n = n < 0 ? 0 : n > GATT_PAGE_CELLS ? GATT_PAGE_CELLS : n;
        gatt_put(b, 1, page);
        put_unsigned(b, 2, wide(s->known_cells));
        gatt_put(b, 1, (uint64_t)before + 1);
        gatt_put(b, 1, (uint64_t)n);
        for (int cell = before + 1; cell <= before + n; cell++) {
                put_unsigned(b, 2, wide(s->cells[cell].voltage_mv));
                put_signed(b, 2, s->cells[cell].temperature_decic);
                gatt_put(b, 1, cell_flags(s, cell));
                gatt_put(b, 1, aged ? cell_age(s->cells[cell].age_usec) : CELL_AGE_NEVER);
        }
}

void gatt_page_unaged(uint8_t page, const struct snapshot *s, struct gatt_bytes *ret_value) {
        ret_value->size = 0;
        put_page(ret_value, page, s, false);
}

/* ---- alarms ------------------------------------------------------------------------------------------------------ */

/* Bits for ever: they are neither in the order of the enum nor do they move with it. */
static const uint8_t alarm_numbers[] = {
        [ALARM_COMMUNICATION] = 0,      [ALARM_STALE] = 1,
        [ALARM_V_MAX] = 2,              [ALARM_V_MIN] = 3,
        [ALARM_T_MAX] = 4,              [ALARM_T_MIN] = 5,
        [ALARM_CAPACITY_UNSET] = 6,     [ALARM_CURRENT_CHECK] = 7,
        [ALARM_FROZEN] = 8,             [ALARM_CELL_MISSING] = 9,
        [ALARM_SENSOR_LOST] = 10,       [ALARM_SENSOR_REVERSED] = 11,
        [ALARM_CYCLING_CHARGE] = 12,    [ALARM_CYCLING_LOAD] = 13,
        [ALARM_IMBALANCE] = 14,         [ALARM_IMBALANCE_WARNING] = 15,
        [ALARM_SETTINGS_CONFLICT] = 16, [ALARM_INEFFECTIVE_CHARGE] = 17,
        [ALARM_INEFFECTIVE_LOAD] = 18,  [ALARM_RELAY_OUTPUT] = 19,
        [ALARM_OUTPUT_PORT] = 20,       [ALARM_STORAGE] = 21,
        [ALARM_SETTINGS] = 22,          [ALARM_PANEL] = 23,
};
static_assert(sizeof(alarm_numbers) == _ALARM_MAX, "a number for every alarm; say it in docs/bluetooth.md too");

#define ALARM_SIZE 5
#define ALARM_MASK_SIZE 8
static_assert(ALARM_MASK_SIZE + ALARM_SIZE * _ALARM_MAX <= GATT_VALUE_MAX, "all alarms at once fit");

int gatt_alarm_find(uint8_t number) {
        for (int i = 0; i < _ALARM_MAX; i++)
                if (alarm_numbers[i] == number)
                        return i;
        return -1;
}

static void put_alarms(struct gatt_bytes *b, const struct phone_view *view) {
        const struct alarm_state *alarms = view->snapshot->alarms;
        uint64_t mask = 0;

        for (int i = 0; i < _ALARM_MAX; i++)
                mask |= (uint64_t)alarms[i].active << alarm_numbers[i];
        gatt_put(b, ALARM_MASK_SIZE, mask);
        for (int i = 0; i < _ALARM_MAX; i++) {
                if (!alarms[i].active)
                        continue;
                gatt_put(b, 1, alarm_numbers[i]);
                put_seconds(b, usec_since(view->now, alarms[i].since));
        }
}

/* ---- relays ------------------------------------------------------------------------------------------------------ */

static const uint8_t rule_numbers[] = {
        [RULE_V_MAX] = 1,        [RULE_V_MIN] = 2,     [RULE_FULL] = 3,         [RULE_FULL_PACK] = 4,
        [RULE_T_MIN_CHARGE] = 5, [RULE_T_MIN_DISCHARGE] = 6, [RULE_T_MAX] = 7,  [RULE_T_MAX_CELL] = 8,
        [RULE_START] = 9,        [RULE_LINK] = 10,     [RULE_ERROR] = 11,       [RULE_UNCONFIRMED] = 12,
        [RULE_RECOVER] = 13,     [RULE_BOARD] = 14,    [RULE_CLEAR] = 15,       [RULE_FEEDBACK] = 16,
};
static_assert(sizeof(rule_numbers) == _RULE_MAX, "a number for every rule; say it in docs/bluetooth.md too");

#define RULE_NUMBER_NONE 0xffU
#define RELAY_UNCONFIRMED 3U

static void put_relay_state(struct gatt_bytes *b, const struct relay_snapshot *r) {
        const unsigned confirmed = r->confirmed.known ? r->confirmed.value != 0 : RELAY_UNCONFIRMED;
        const struct reason *reason = &r->reason;

        gatt_put(b, 1, (unsigned)r->mapped | (unsigned)r->closed << 1 | confirmed << 2);
        gatt_put(b, 1, (unsigned)reason->rule < _RULE_MAX ? rule_numbers[reason->rule] : RULE_NUMBER_NONE);
        put_unsigned(b, 2, reason->cell > 0 ? some64(reason->cell) : none64());
        put_signed(b, 3, reason->value);
        put_signed(b, 3, reason->limit);
}

static void put_relays(struct gatt_bytes *b, const struct phone_view *view) {
        const struct relay_snapshot *relays = view->snapshot->relays;

        for (int i = 0; i < _RELAY_MAX; i++)
                put_relay_state(b, &relays[i]);
        assert(b->size == GATT_NOTIFY_MAX);
        for (int i = 0; i < _RELAY_MAX; i++) {
                put_seconds(b, usec_since(view->now, relays[i].since));
                gatt_put(b, 1, relays[i].n_holds);
        }
}

/* ---- energy, settings, time -------------------------------------------------------------------------------------- */

static void put_energy_wh(struct gatt_bytes *b, struct maybe64 mwh) {
        put_unsigned(b, 4, mwh.known ? some64(mwh.value / 1000) : none64());
}

static void put_energy(struct gatt_bytes *b, const struct snapshot *s) {
        for (int i = 0; i < _ENERGY_MAX; i++)
                put_energy_wh(b, s->today_mwh[i]);
        for (int i = 0; i < _ENERGY_MAX; i++)
                put_energy_wh(b, s->total_mwh[i]);
        put_energy_wh(b, s->stored_mwh);
        put_unsigned(b, 4, wide(s->capacity_wh));
        put_unsigned(b, 4, s->energy_gap_msec.known ? some64(s->energy_gap_msec.value / 1000) : none64());
}

static const uint8_t setting_numbers[] = {
        [SETTING_CAPACITY] = 1,            [SETTING_SOLAR_PEAK] = 2,
        [SETTING_INVERTER_PEAK] = 3,       [SETTING_VMIN] = 4,
        [SETTING_VMAX] = 5,                [SETTING_VMIN_HYSTERESIS] = 6,
        [SETTING_VMAX_HYSTERESIS] = 7,     [SETTING_TMIN] = 8,
        [SETTING_TMAX] = 9,                [SETTING_TMAX_BYPASS] = 10,
        [SETTING_TMIN_DISCHARGE] = 11,     [SETTING_T_HYSTERESIS] = 12,
        [SETTING_CHARGE_RESTART] = 13,     [SETTING_DISCHARGE_RESTART] = 14,
        [SETTING_CHARGE_RESTART_DELAY] = 15, [SETTING_DISCHARGE_RESTART_DELAY] = 16,
        [SETTING_MODE] = 17,               [SETTING_WIRING] = 18,
        [SETTING_SENSORS] = 19,            [SETTING_TRIP_FRAMES] = 20,
        [SETTING_FULL_TAIL_CURRENT] = 21,  [SETTING_CELL_NOMINAL] = 22,
        [SETTING_CHARGE_EFFICIENCY] = 23,
};
static_assert(sizeof(setting_numbers) == _SETTING_MAX, "a number for every setting; say it in docs/bluetooth.md too");
static_assert(1 + _SETTING_MAX * GATT_SETTING_SIZE <= GATT_VALUE_MAX, "all settings fit");
static_assert(_SETTING_MAX * GATT_SETTING_SIZE <= GATT_TRANSFER_MAX, "all settings can be written at once");
static_assert(GATT_ANSWER_HEAD + _SETTING_MAX * GATT_SETTING_SIZE <= GATT_VALUE_MAX, "all settings can be answered");
static_assert(GATT_ANSWER_HEAD + ALARM_TEXT_MAX <= GATT_VALUE_MAX, "any sentence can be answered");

uint8_t gatt_setting_number(enum setting setting) {
        assert((unsigned)setting < _SETTING_MAX);
        return setting_numbers[setting];
}

void gatt_put_setting(struct gatt_bytes *b, enum setting setting, struct maybe value) {
        gatt_put(b, 1, gatt_setting_number(setting));
        put_signed(b, 4, value);
}

static void put_settings(struct gatt_bytes *b, const struct snapshot *s) {
        gatt_put(b, 1, _SETTING_MAX);
        for (int i = 0; i < _SETTING_MAX; i++)
                gatt_put_setting(b, (enum setting)i, s->settings.values[i]);
}

static void put_time(struct gatt_bytes *b, const struct phone_view *view) {
        const bool known = view->wall_sec.known && view->wall_sec.value >= 0;

        put_unsigned(b, 8, known ? view->wall_sec : none64());
        put_signed(b, 2, known ? some(view->utc_offset_sec / 60) : none());
}

/* ---- the standard services --------------------------------------------------------------------------------------- */

static struct maybe64 soc_percent(const struct snapshot *s) {
        return s->soc_permyriad.known ? some64(s->soc_permyriad.value / 100) : none64();
}

/* Battery Level Status, GATT specification supplement: flags, power state, and what the flags say there is. */
enum {
        LEVEL_FLAG_LEVEL = 1 << 1,
        LEVEL_FLAG_ADDITIONAL = 1 << 2,
        LEVEL_PRESENT = 1 << 0,
        LEVEL_WIRED_SHIFT = 1, /* 0 no, 1 yes, 2 unknown */
        LEVEL_STATE_SHIFT = 5, /* 0 unknown, 1 charging, 2 discharging, 3 neither */
        LEVEL_CHARGE_SHIFT = 7, /* 0 unknown, 1 good, 2 low, 3 critical */
        LEVEL_FAULT_BATTERY = 1 << 12,
        LEVEL_FAULT_SOURCE = 1 << 13,
        LEVEL_FAULT_OTHER = 1 << 14,
        LEVEL_SERVICE_NEEDED = 1, /* 0 no, 1 yes, 2 unknown */
        LEVEL_BATTERY_FAULT = 1 << 2,
};

static unsigned level_state(const struct snapshot *s) {
        if (!s->current_ma.known || s->data_stale)
                return 0;
        return s->current_ma.value > 0 ? 1 : s->current_ma.value < 0 ? 2 : 3;
}

static unsigned level_charge(const struct snapshot *s) {
        const int32_t restart_percent = settings_get(&s->settings, SETTING_DISCHARGE_RESTART);

        if (s->alarms[ALARM_V_MIN].active)
                return 3;
        if (!s->soc_permyriad.known)
                return 0;
        return s->soc_permyriad.value == 0 ? 3 : s->soc_permyriad.value < restart_percent * 100 ? 2 : 1;
}

static unsigned level_faults(const struct snapshot *s) {
        const struct alarm_state *a = s->alarms;
        unsigned faults = 0;

        if (a[ALARM_V_MAX].active || a[ALARM_T_MAX].active || a[ALARM_T_MIN].active || a[ALARM_IMBALANCE].active)
                faults |= LEVEL_FAULT_BATTERY;
        if (a[ALARM_INEFFECTIVE_CHARGE].active)
                faults |= LEVEL_FAULT_SOURCE;
        if (s->data_stale)
                faults |= LEVEL_FAULT_OTHER;
        return faults;
}

/* A limit does its work by itself; all else that is an alarm wants a person. */
static bool service_needed(const struct snapshot *s) {
        for (int i = 0; i < _ALARM_MAX; i++)
                if (s->alarms[i].active && i != ALARM_V_MAX && i != ALARM_V_MIN && i != ALARM_T_MAX && i != ALARM_T_MIN)
                        return true;
        return false;
}

static void put_level_status(struct gatt_bytes *b, const struct snapshot *s) {
        const struct maybe64 level = soc_percent(s);
        /* A current that comes in proves a source. None does not prove that there is none: it is night. */
        const unsigned wired = s->in_ma.known && !s->data_stale && s->in_ma.value > 0 ? 1 : 2;
        const struct alarm_state *a = s->alarms;
        const bool fault = a[ALARM_COMMUNICATION].active || a[ALARM_CELL_MISSING].active || a[ALARM_IMBALANCE].active;

        gatt_put(b, 1, (level.known ? LEVEL_FLAG_LEVEL : 0) | LEVEL_FLAG_ADDITIONAL);
        gatt_put(b, 2, LEVEL_PRESENT | wired << LEVEL_WIRED_SHIFT | level_state(s) << LEVEL_STATE_SHIFT |
                               level_charge(s) << LEVEL_CHARGE_SHIFT | level_faults(s));
        if (level.known)
                gatt_put(b, 1, (uint64_t)level.value);
        gatt_put(b, 1, (service_needed(s) ? LEVEL_SERVICE_NEEDED : 0) | (fault ? LEVEL_BATTERY_FAULT : 0));
}

static void put_text(struct gatt_bytes *b, const char *text) {
        const size_t length = strlen(text), room = sizeof(b->bytes) - b->size;

        for (size_t i = 0; i < length && i < room; i++)
                gatt_put(b, 1, (unsigned char)text[i]);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

void gatt_value(enum gatt_characteristic characteristic, uint8_t page, const struct phone_view *view,
                struct gatt_bytes *ret_value) {
        const struct snapshot *s = view->snapshot;
        struct gatt_bytes *b = ret_value;

        b->size = 0;
        switch (characteristic) {
        case GATT_PACK_STATE:
                put_pack_state(b, s);
                return;
        case GATT_POWER:
                put_power(b, s);
                return;
        case GATT_CELLS:
                put_page(b, page, s, true);
                return;
        case GATT_ALARMS:
                put_alarms(b, view);
                return;
        case GATT_RELAYS:
                put_relays(b, view);
                return;
        case GATT_ENERGY:
                put_energy(b, s);
                return;
        case GATT_SETTINGS:
                put_settings(b, s);
                return;
        case GATT_TIME:
                put_time(b, view);
                return;
        case GATT_BATTERY_LEVEL:
                if (s->soc_permyriad.known)
                        gatt_put(b, 1, (uint64_t)soc_percent(s).value);
                return;
        case GATT_BATTERY_LEVEL_STATUS:
                put_level_status(b, s);
                return;
        case GATT_MANUFACTURER:
                put_text(b, "smartbms");
                return;
        case GATT_MODEL:
                put_text(b, s->role == ROLE_MONITOR ? "smartbmsd monitor" : "smartbmsd gateway");
                return;
        case GATT_SOFTWARE:
                put_text(b, view->version);
                return;
        case GATT_CONTROL: /* each session's own */
        case _GATT_MAX:
                return;
        }
}

size_t gatt_notified_size(enum gatt_characteristic characteristic, const struct gatt_bytes *value) {
        if (characteristic == GATT_ALARMS)
                return ALARM_MASK_SIZE;
        return value->size < GATT_NOTIFY_MAX ? value->size : GATT_NOTIFY_MAX;
}
