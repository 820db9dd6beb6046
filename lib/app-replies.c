/* SPDX-License-Identifier: MIT */
#include "app-internal.h"

#include <assert.h>
#include <string.h>

#include "output.h"

#define VOLTAGE_STEP_MV 5
#define CURRENT_STEP_MA 50 /* third generation */
#define MWH_PER_WH INT64_C(1000)
#define MWH_PER_KWH INT64_C(1000000)
#define PERMYRIAD_PER_PERCENT 100
#define SEC_PER_MINUTE 60
#define MINUTES_PER_HOUR 60
#define SEC_PER_DAY INT64_C(86400)

#define HISTORY_BLOCKS 14U
#define HISTORY_BLOCK_HOURS 12U
static_assert(HISTORY_BLOCKS * HISTORY_BLOCK_HOURS == PHONE_SOC_HOURS, "all hours have a block");

/* ---- text -------------------------------------------------------------------------------------------------------- */

void app_put(struct app_line *line, char c) {
        assert(line->n_output < sizeof(line->output));
        line->output[line->n_output++] = c;
}

/* One line being written. */
struct record {
        struct app_line *line;
        uint8_t sum; /* of all characters but '_' */
        bool begun;
};

static void put(struct record *r, char c) {
        if (c != '_')
                r->sum = (uint8_t)(r->sum + (uint8_t)c);
        app_put(r->line, c);
}

/* At least so many digits, more if the value needs them: a pack of 128 cells has more than FFFF * 5 mV. */
static void put_hex(struct record *r, uint64_t value, unsigned digits) {
        unsigned n = 16;

        while (n > digits && n > 1 && value >> (4 * (n - 1)) == 0)
                n--;
        while (n-- > 0)
                put(r, "0123456789ABCDEF"[value >> (4 * n) & 0xF]);
}

static void separate(struct record *r) {
        if (r->begun)
                put(r, '_');
        r->begun = true;
}

/* "a field starting with X = not available": as wide as if it were, for clients that count. */
static void put_unknown(struct record *r, unsigned digits) {
        while (digits-- > 0)
                put(r, 'X');
}

static void field(struct record *r, struct maybe64 value, unsigned digits) {
        separate(r);
        if (value.known && value.value >= 0)
                put_hex(r, (uint64_t)value.value, digits);
        else
                put_unknown(r, digits);
}

static void number(struct record *r, unsigned value, unsigned digits) {
        field(r, some64(value), digits);
}

static void unknown(struct record *r, unsigned digits) {
        field(r, none64(), digits);
}

static struct record begin(struct app_line *line, char letter) {
        struct record r = {.line = line};

        if (letter) {
                put(&r, letter);
                r.begun = true;
        }
        return r;
}

static void end(struct record *r) {
        put(r, '\r');
}

/* Replies to queries: their last field is the sum of what stands before it. */
static void end_with_sum(struct record *r) {
        number(r, r->sum, 2);
        end(r);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* The nearest step. A voltage of 0 is none (B2). */
static struct maybe64 voltage(struct maybe mv) {
        if (!mv.known || mv.value <= 0)
                return none64();
        return some64(((int64_t)mv.value + VOLTAGE_STEP_MV / 2) / VOLTAGE_STEP_MV);
}

static struct maybe64 temperature(struct maybe decic) {
        return decic.known ? some64(frame_temperature_encode(decic.value, TEMPERATURE_LEGACY)) : none64();
}

static struct maybe64 cell_number(struct maybe cell) {
        return cell.known ? some64(cell.value) : none64();
}

/* With a sign always, as the genuine module sends it; the nearest step, halves away from zero. */
static void current(struct record *r, struct maybe ma) {
        separate(r);
        if (!ma.known) {
                put_unknown(r, 5);
                return;
        }
        const int64_t magnitude = ma.value < 0 ? -(int64_t)ma.value : ma.value;
        const int64_t steps = (magnitude + CURRENT_STEP_MA / 2) / CURRENT_STEP_MA;

        put(r, ma.value < 0 && steps > 0 ? '-' : '+');
        put_hex(r, (uint64_t)steps, 4);
}

/* Whole ones that are there, in six digits: never more than there is. */
static void energy(struct record *r, struct maybe64 mwh, int64_t unit) {
        const int64_t max = 0xFFFFFF;

        if (mwh.known)
                mwh.value = mwh.value < 0 ? mwh.value : mwh.value / unit;
        if (mwh.known && mwh.value > max)
                mwh.value = max;
        field(r, mwh, 6);
}

static struct maybe64 percent(struct maybe permyriad) {
        return permyriad.known ? some64(permyriad.value / PERMYRIAD_PER_PERCENT) : none64();
}

/* Seconds since 1970: eight digits last until 2106. */
static void seconds(struct record *r, struct maybe64 wall_sec) {
        if (wall_sec.known && wall_sec.value > UINT32_MAX)
                wall_sec.value = UINT32_MAX;
        field(r, wall_sec, 8);
}

static void setting(struct record *r, const struct snapshot *s, enum setting which) {
        unsigned digits;
        const struct maybe64 raw = app_setting_read(which, s, &digits);

        field(r, raw, digits);
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* "1.2.3" as 123: three nibbles, F for what is more. */
static void put_version(struct record *r, const char *version) {
        unsigned part[3] = {}, n = 0;

        for (const char *p = version; *p != '\0' && n < 3; p++)
                if (*p == '.')
                        n++;
                else if (*p >= '0' && *p <= '9')
                        part[n] = part[n] > 0xF ? part[n] : part[n] * 10 + (unsigned)(*p - '0');
                else
                        break;
        separate(r);
        for (unsigned i = 0; i < 3; i++)
                put_hex(r, part[i] > 0xF ? 0xF : part[i], 1);
}

/* What stands in fields 1 and 2 is not known. */
static void query_version(struct record *r, const struct phone_view *view) {
        put_version(r, view->version);
        unknown(r, 2);
        unknown(r, 2);
        number(r, output_status(view->snapshot), 2);
        field(r, voltage(view->snapshot->v_bypass_mv), 4);
}

/* The PIN is kept as a hash, and never told: "0000" stands for it. */
static void query_settings_1(struct record *r, const struct phone_view *view) {
        setting(r, view->snapshot, SETTING_SOLAR_PEAK);
        setting(r, view->snapshot, SETTING_INVERTER_PEAK);
        setting(r, view->snapshot, SETTING_CAPACITY);
        number(r, 0x30303030, 8);
}

static void query_settings_2(struct record *r, const struct phone_view *view) {
        static const enum setting first[] = {SETTING_VMIN, SETTING_VMAX, SETTING_TMIN, SETTING_TMAX,
                                             SETTING_CHARGE_RESTART, SETTING_DISCHARGE_RESTART,
                                             SETTING_TMIN_DISCHARGE};

        for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
                setting(r, view->snapshot, first[i]);
        unknown(r, 4); /* V-low: no such setting */
        setting(r, view->snapshot, SETTING_CELL_NOMINAL);
        setting(r, view->snapshot, SETTING_VMIN_HYSTERESIS);
        setting(r, view->snapshot, SETTING_VMAX_HYSTERESIS);
}

/* What we never do is off (0); what we have no word for is not available. */
static void query_settings_3(struct record *r, const struct phone_view *view) {
        const bool ours = view->snapshot->role == ROLE_GATEWAY;
        const struct maybe64 off = ours ? some64(0) : none64();

        unknown(r, 2); /* sensor type: a matter of the config */
        setting(r, view->snapshot, SETTING_MODE);
        field(r, off, 2); /* charge relay forced off */
        field(r, off, 2); /* discharge relay forced off */
        field(r, off, 2); /* use measured capacity */
        setting(r, view->snapshot, SETTING_CHARGE_RESTART_DELAY);
        setting(r, view->snapshot, SETTING_DISCHARGE_RESTART_DELAY);
        unknown(r, 2); /* charge pause delay: no such setting */
        unknown(r, 2); /* discharge pause delay */
        field(r, off, 2); /* SOC voltage correction */
        field(r, ours ? some64(1) : none64(), 2); /* chemistry: 1 = LFP (Mrkvak/smartbms-linux) */
        setting(r, view->snapshot, SETTING_FULL_TAIL_CURRENT);
}

/* Functions 1 "allowed to charge" and 2 "allowed to discharge", force position 0 "inactive" (Mrkvak/smartbms-linux). */
static void query_relay(struct record *r, const struct phone_view *view, unsigned relay) {
        const bool mapped = view->snapshot->relays[relay == 0 ? RELAY_CHARGE : RELAY_LOAD].mapped;

        number(r, 0, 2);
        field(r, mapped ? some64(relay + 1) : none64(), 2);
        number(r, 0, 2);
}

static struct maybe64 fault_value(const struct phone_fault *fault) {
        switch (fault->kind) {
        case PHONE_FAULT_V_LOW:
        case PHONE_FAULT_V_HIGH:
                return voltage(fault->voltage_mv);
        case PHONE_FAULT_T_LOW_CHARGING:
        case PHONE_FAULT_T_HIGH:
        case PHONE_FAULT_T_LOW_DISCHARGING:
                return temperature(fault->temperature_decic);
        case PHONE_FAULT_NONE:
        case PHONE_FAULT_COMMUNICATION:
                break;
        }
        return none64();
}

static void query_fault(struct record *r, const struct phone_view *view, unsigned newest) {
        const struct phone_fault none_there = {.kind = PHONE_FAULT_NONE};
        const struct phone_fault *fault = newest < view->n_faults ? &view->faults[newest] : &none_there;

        seconds(r, fault->wall_sec);
        number(r, fault->kind, 2);
        field(r, fault_value(fault), 4);
        field(r, cell_number(fault->cell), 2);
}

/* The twelve values are one field of 24 digits: the client that reads it wants three fields in all. */
static void query_history(struct record *r, const struct phone_view *view, unsigned block) {
        field(r, view->soc_hours ? some64(view->soc_hour) : none64(), 2);
        separate(r);
        for (unsigned i = 0; i < HISTORY_BLOCK_HOURS; i++)
                put_hex(r, view->soc_hours ? view->soc_hours[block * HISTORY_BLOCK_HOURS + i] : PHONE_SOC_NONE, 2);
}

static bool is(const char *command, size_t size, const char *word) {
        return size == strlen(word) && memcmp(command, word, size) == 0;
}

/* The digit in "L7@" or "HD@". */
static bool numbered(const char *command, size_t size, char letter, unsigned below, unsigned *ret) {
        unsigned n;

        if (size != 3 || command[0] != letter || command[2] != '@')
                return false;
        if (command[1] >= '0' && command[1] <= '9')
                n = (unsigned)(command[1] - '0');
        else if (command[1] >= 'A' && command[1] <= 'F')
                n = (unsigned)(command[1] - 'A') + 10;
        else
                return false;
        *ret = n;
        return n < below;
}

bool app_query(struct app_line *line, const char *command, size_t size, const struct phone_view *view) {
        struct record r = begin(line, 0);
        unsigned n;

        if (is(command, size, "V@"))
                query_version(&r, view);
        else if (is(command, size, "S1@"))
                query_settings_1(&r, view);
        else if (is(command, size, "S2@"))
                query_settings_2(&r, view);
        else if (is(command, size, "S3@"))
                query_settings_3(&r, view);
        else if (is(command, size, "SRY0@"))
                query_relay(&r, view, 0);
        else if (is(command, size, "SRY1@"))
                query_relay(&r, view, 1);
        else if (is(command, size, "TS@"))
                seconds(&r, view->wall_sec);
        else if (numbered(command, size, 'L', PHONE_FAULTS_MAX, &n))
                query_fault(&r, view, n);
        else if (numbered(command, size, 'H', HISTORY_BLOCKS, &n))
                query_history(&r, view, n);
        else
                return false;
        end_with_sum(&r);
        return true;
}

/* ---- live records ------------------------------------------------------------------------------------------------ */

/* A reading that is not current is none (design 3): the protocol has no other word for it. */
static struct maybe current_only(const struct snapshot *s, struct maybe value) {
        return s->data_stale ? none() : value;
}

static void record_pack(struct app_line *line, const struct snapshot *s) {
        struct record r = begin(line, 'U');

        field(&r, voltage(current_only(s, s->pack_mv)), 4);
        current(&r, current_only(s, s->in_ma));
        current(&r, current_only(s, s->current_ma));
        current(&r, current_only(s, s->out_ma));
        end(&r);
}

static void record_voltages(struct app_line *line, const struct snapshot *s) {
        struct record r = begin(line, 'V');

        field(&r, voltage(current_only(s, s->lowest_mv)), 4);
        field(&r, cell_number(current_only(s, s->lowest_mv_cell)), 2);
        field(&r, voltage(current_only(s, s->highest_mv)), 4);
        field(&r, cell_number(current_only(s, s->highest_mv_cell)), 2);
        field(&r, voltage(s->v_bypass_mv), 4);
        end(&r);
}

static void record_temperatures(struct app_line *line, const struct snapshot *s) {
        struct record r = begin(line, 'T');

        field(&r, temperature(current_only(s, s->lowest_decic)), 4);
        field(&r, cell_number(current_only(s, s->lowest_decic_cell)), 2);
        field(&r, temperature(current_only(s, s->highest_decic)), 4);
        field(&r, cell_number(current_only(s, s->highest_decic_cell)), 2);
        end(&r);
}

/* Voltage and temperature have three digits, as in the sample seen in public. */
static void record_cell(struct app_line *line, const struct snapshot *s, unsigned cell, unsigned count) {
        static const struct cell_snapshot not_heard;
        const struct cell_snapshot *c = cell > 0 && cell <= (unsigned)s->n_cells ? &s->cells[cell] : &not_heard;
        struct record r = begin(line, 'C');

        field(&r, cell > 0 ? some64(cell) : none64(), 2);
        field(&r, count > 0 ? some64(count) : none64(), 2);
        field(&r, voltage(current_only(s, c->voltage_mv)), 3);
        field(&r, temperature(current_only(s, c->temperature_decic)), 3);
        number(&r, output_status(s), 2);
        field(&r, s->role == ROLE_GATEWAY ? some64(output_status_2(s)) : none64(), 2);
        end(&r);
}

/* One record a group, the next cell each time, as the genuine chain sends one cell's detail a frame. A client that
 * waits for all cells gives up after 15 s of pings every 0.33 s, 45 groups (patman15/aiobmsble), so a pack of more
 * than 40 cells gets more records a group. With no cell at all there is still one: status has no other record. */
static void records_of_cells(struct app_line *line, struct app_session *session, const struct snapshot *s) {
        const int known = s->known_cells.known ? s->known_cells.value : 0;
        const unsigned count = (unsigned)(s->n_cells > 0 ? s->n_cells : known);
        const unsigned n = (count + APP_GROUPS_PER_ROUND - 1) / APP_GROUPS_PER_ROUND;

        if (count == 0)
                record_cell(line, s, 0, 0);
        for (unsigned i = 0; i < n; i++) {
                session->last_cell = session->last_cell < count ? session->last_cell + 1 : 1;
                record_cell(line, s, session->last_cell, count);
        }
}

static void record_energy(struct app_line *line, const struct snapshot *s) {
        struct record r = begin(line, 'E');

        energy(&r, s->today_mwh[ENERGY_COLLECTED], MWH_PER_WH);
        energy(&r, s->stored_mwh, MWH_PER_WH);
        energy(&r, s->today_mwh[ENERGY_CONSUMED], MWH_PER_WH);
        field(&r, percent(s->soc_permyriad), 2);
        end(&r);
}

/* A client splits the time at its colon, so there is one even if the time is unknown. */
static void record_totals(struct app_line *line, const struct snapshot *s, const struct phone_view *view) {
        struct record r = begin(line, 'M');
        int64_t minute;

        energy(&r, s->total_mwh[ENERGY_COLLECTED], MWH_PER_KWH);
        energy(&r, s->total_mwh[ENERGY_CONSUMED], MWH_PER_KWH);
        if (view->wall_sec.known) {
                minute = ((view->wall_sec.value + view->utc_offset_sec) % SEC_PER_DAY + SEC_PER_DAY) % SEC_PER_DAY /
                         SEC_PER_MINUTE;
                number(&r, (unsigned)(minute / MINUTES_PER_HOUR), 2);
                put(&r, ':');
                put_hex(&r, (uint64_t)(minute % MINUTES_PER_HOUR), 2);
        } else {
                unknown(&r, 2);
                put(&r, ':');
                put_unknown(&r, 2);
        }
        end(&r);
}

/* Nothing here measures health or capacity, or counts cycles. */
static void record_health(struct app_line *line, const struct snapshot *s) {
        struct record r = begin(line, 'H');

        unknown(&r, 2);
        unknown(&r, 4);
        unknown(&r, 4);
        setting(&r, s, SETTING_CHARGE_EFFICIENCY);
        unknown(&r, 6);
        unknown(&r, 6);
        end(&r);
}

static void record_battery(struct app_line *line, const struct snapshot *s) {
        struct record r = begin(line, 'B');

        energy(&r, s->total_mwh[ENERGY_CHARGED], MWH_PER_KWH);
        energy(&r, s->total_mwh[ENERGY_DISCHARGED], MWH_PER_KWH);
        energy(&r, s->today_mwh[ENERGY_CHARGED], MWH_PER_WH);
        energy(&r, s->today_mwh[ENERGY_DISCHARGED], MWH_PER_WH);
        end(&r);
}

void app_group(struct app_line *line, struct app_session *session, const struct phone_view *view) {
        const struct snapshot *s = view->snapshot;

        record_pack(line, s);
        record_voltages(line, s);
        record_temperatures(line, s);
        records_of_cells(line, session, s);
        record_energy(line, s);
        record_totals(line, s, view);
        record_health(line, s);
        record_battery(line, s);
}
