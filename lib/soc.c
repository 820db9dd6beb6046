/* SPDX-License-Identifier: MIT */
#include "soc.h"

#include <errno.h>

#include "settings.h"
#include "soc-cell.h"

#define MAMS_PER_MAH INT64_C(3600000)

/* The largest step in the finest unit, (2 * 8,191,875 mA) * 3 s * 100, is 4.9 * 10^15. */
#define FINE_PER_MAMS SOC_FINE_PER_MAMS

/* How far a resting voltage may be off: the boards' +-20 mV, and 30 mV between the curves after charge and after
 * discharge. In the flat middle that is half the pack, and the uncertainty says so. */
#define OCV_ERROR_MV 50

/* At a sync the current's direction is known, and so the side of the hysteresis: 20 mV each. */
#define SYNC_ERROR_MV 40

static int64_t min64(int64_t a, int64_t b) {
        return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b) {
        return a > b ? a : b;
}

static int64_t magnitude(int32_t ma) {
        return ma < 0 ? -(int64_t) ma : ma;
}

/* part * of / whole to the nearest, for 0 <= part <= whole <= 9 * 10^15: the product has up to 106 bits, so long
 * division, bit by bit (there is no 128-bit type on a 32-bit Raspberry Pi OS). */
static int64_t share(int64_t part, int64_t of, int64_t whole) {
        int64_t quotient = 0, rest = 0;

        for (int bit = 62; bit >= 0; bit--) {
                rest = 2 * rest + ((of >> bit & 1) != 0 ? part : 0); /* below 3 * whole */
                quotient *= 2;
                for (; rest >= whole; rest -= whole)
                        quotient++;
        }
        return 2 * rest >= whole ? quotient + 1 : quotient;
}

/* The largest number whose square is at most n, bit by bit. */
static int64_t square_root(int64_t n) {
        int64_t root = 0;

        for (int bit = 31; bit >= 0; bit--) {
                const int64_t more = root | INT64_C(1) << bit;

                if (more <= n / more)
                        root = more;
        }
        return root;
}

/* Two doubts that know nothing of each other: the root of the sum of their squares, to 31 bits. */
static int64_t independent_sum(int64_t a, int64_t b) {
        int shift = 0;

        if (a == 0 || b == 0)
                return a + b;
        while (max64(a, b) >> shift >= INT64_C(1) << 31)
                shift++;
        return square_root((a >> shift) * (a >> shift) + (b >> shift) * (b >> shift)) << shift;
}

/* S1: capacity / (N * nominal voltage). Wh * 3.6 * 10^12 / (N * mV) mA*ms, in two steps: 10,000,000 Wh would need
 * 3.6 * 10^19 in one, the first step here needs 3.6 * 10^16. Largest result, 2 cells of 2000 mV: 9 * 10^15. */
static int64_t capacity_mams(const struct soc_config *c) {
        const int64_t voltage_mv = (int64_t) c->cells * c->cell_nominal_mv;

        if (!c->capacity_wh.known || c->capacity_wh.value <= 0 || voltage_mv <= 0)
                return 0;
        const int64_t scaled = (int64_t) c->capacity_wh.value * INT64_C(3600000000);
        return scaled / voltage_mv * 1000 + scaled % voltage_mv * 1000 / voltage_mv;
}

/* |ma| < C/divisor, exactly; false if either is unknown (S1). */
static bool below_c_rate(const struct soc *s, struct maybe ma, int32_t divisor) {
        return s->capacity_mams != 0 && ma.known && magnitude(ma.value) * divisor * MAMS_PER_MAH < s->capacity_mams;
}

/* ma > C/divisor, exactly; false if the capacity is unknown. */
static bool above_c_rate(const struct soc *s, int64_t ma, int32_t divisor) {
        return s->capacity_mams != 0 && ma * divisor * MAMS_PER_MAH > s->capacity_mams;
}

/* S6: how well the last sync knew and how well was counted since then are independent of each other, once the draw was
 * learned. Before that, and for time with an unknown current, the most there can be is added. */
static int64_t uncertainty_mams(const struct soc *s) {
        const int64_t known = independent_sum(s->sync_uncertainty_mams, s->growth_counted_mams);

        return min64(known + s->growth_mams - s->growth_counted_mams, s->capacity_mams);
}

/* From here on the charge is this, as good as that. */
static void set_charge(struct soc *s, int64_t charge, int64_t uncertainty) {
        s->known = true;
        s->charge_mams = charge;
        s->remainder = 0;
        s->sync_uncertainty_mams = s->capacity_mams != 0 ? min64(uncertainty, s->capacity_mams) : uncertainty;
        s->growth_mams = 0;
        s->growth_remainder = 0;
        s->growth_counted_mams = 0;
        s->uncounted_usec = 0;
        s->assumed_usec = 0;
        s->assumed_mams = 0;
        s->estimated = false;
}

/* The newest current's size. An unknown one is taken for C/5, as everywhere. */
static int64_t current_size_ma(const struct soc *s) {
        return s->current_ma.known ? magnitude(s->current_ma.value) : s->capacity_mams / MAMS_PER_MAH / 5;
}

/* How far the current pulls a cell's voltage from that at rest, R = r * 3 Ah / C: 0.1 mohm * 3 Ah * mA / mAh = 0.3 mV.
 * The largest product, 3 * 29,323 * C/5 of the largest pack (5 * 10^8 mA) * 360, is 1.6 * 10^16. */
static int32_t voltage_pull_mv(const struct soc *s, int32_t resistance) {
        const int64_t pull = INT64_C(3) * resistance * current_size_ma(s) * (MAMS_PER_MAH / 10000);

        return (int32_t) min64(pull / (s->capacity_mams / 1000), 10000);
}

/* S6 at a sync. In a mild room the most of three: what the lowest cell's voltage leaves open by the resting curve
 * (`mild`, permyriad); the charge that has not spread within the particles yet, so that the terminals show more of it
 * than there is; a point. What the cold adds to the first (`open` is all of it) and to the second moves the truth the
 * same way, whatever else is in doubt: so it is added. */
static int64_t sync_uncertainty(const struct soc *s, int32_t mild, int32_t open) {
        const int64_t ma = current_size_ma(s);
        const int64_t mild_msec = soc_cell_spreading_msec(some(SOC_CELL_MILD_DECIC));
        const int64_t cold_msec = soc_cell_spreading_msec(s->lowest_decic) - mild_msec;
        const int64_t by_voltage = share(mild, s->capacity_mams, PERMYRIAD_FULL);
        const int64_t by_cold = share(open - mild, s->capacity_mams, PERMYRIAD_FULL) + ma * cold_msec;

        return max64(max64(by_voltage, ma * mild_msec), s->capacity_mams / 100) + by_cold;
}

/* What the lowest reading at a full sync leaves open if that is a cell's resistance, and at an empty one. */
static int32_t open_above(const struct soc *s, int32_t resistance) {
        return PERMYRIAD_FULL - soc_cell_permyriad(s->lowest_mv.value - voltage_pull_mv(s, resistance) - SYNC_ERROR_MV);
}

static int32_t open_below(const struct soc *s, int32_t resistance) {
        return soc_cell_permyriad(s->lowest_mv.value + voltage_pull_mv(s, resistance) + SYNC_ERROR_MV);
}

static int64_t full_uncertainty(const struct soc *s) {
        if (s->capacity_mams == 0)
                return 0;
        return sync_uncertainty(s, open_above(s, soc_cell_full_resistance(some(SOC_CELL_MILD_DECIC))),
                                open_above(s, soc_cell_full_resistance(s->lowest_decic)));
}

static int64_t empty_uncertainty(const struct soc *s) {
        return sync_uncertainty(s, open_below(s, soc_cell_empty_resistance(some(SOC_CELL_MILD_DECIC))),
                                open_below(s, soc_cell_empty_resistance(s->lowest_decic)));
}

static void carry_growth(struct soc *s, int64_t fine) {
        s->growth_remainder += fine;
        s->growth_mams += s->growth_remainder / FINE_PER_MAMS;
        s->growth_remainder %= FINE_PER_MAMS;
        /* beyond the whole capacity there is nothing left to be unsure of */
        if (s->capacity_mams != 0)
                s->growth_mams = min64(s->growth_mams, s->capacity_mams);
}

/* The current was not known for a while: C/5 per hour (S7), so all is unsure after 5 hours. Without a capacity what
 * was
 * counted since a full sync is worth nothing any more. */
static void grow_unknown(struct soc *s, usec_t duration) {
        s->uncounted_usec = usec_add(s->uncounted_usec, duration);
        if (duration == 0)
                return;
        soc_learn_uncounted(&s->learning, duration);
        if (s->capacity_mams == 0) {
                s->known = false;
                return;
        }
        if (duration >= 5 * USEC_PER_HOUR) {
                s->growth_mams = s->capacity_mams;
                return;
        }
        /* C/5 is at most 5 * 10^8 mA; times 5 h in ms: 9 * 10^15 */
        const int64_t ma = s->capacity_mams / MAMS_PER_MAH / 5;
        s->growth_mams += ma * (int64_t) (duration / USEC_PER_MSEC);
        carry_growth(s, ma * (int64_t) (duration % USEC_PER_MSEC) * 200);
}

/* What of this charge, in the finest unit, stays in the pack. */
static int64_t kept(const struct soc *s, int64_t sum_ma, int64_t usec) {
        return sum_ma * usec * (sum_ma > 0 ? s->config.efficiency_percent : 100);
}

/* Blind spot/2 of uncertainty grows at any reading, not only at zero: a sensor's offset, which the blind spot is there
 * to hide, is in all its readings (S6). */
static void grow(struct soc *s, int64_t sum_ma, int64_t usec) {
        const int64_t moved = (sum_ma < 0 ? -sum_ma : sum_ma) * usec;
        const int64_t before = s->growth_mams;

        carry_growth(s, s->hidden_unsure_ma * INT64_C(200) * usec + moved * SOC_MOVED_UNSURE_PERMYRIAD / 100);
        if (s->learning.hidden_usec > 0)
                s->growth_counted_mams += s->growth_mams - before;
}

static void count_charge(struct soc *s, int64_t fine) {
        s->remainder += fine;
        const int64_t step = s->remainder / FINE_PER_MAMS;
        s->remainder %= FINE_PER_MAMS;
        if (fine > 0)
                s->charged_mams += step;
        if (!s->known)
                return;

        s->charge_mams += step;
        if (s->charge_mams > s->capacity_mams) {
                s->charge_mams = s->capacity_mams; /* unknown capacity: 0, which is full */
                s->remainder = 0;
        } else if (s->charge_mams < 0 && s->capacity_mams != 0) {
                s->charge_mams = 0;
                s->remainder = 0;
        }
}

/* Counts one interval between two known readings with their mean; at each end at which the consumers' sensor reads
 * zero, the learned idle draw flows as well (S5). */
static void count_interval(struct soc *s, int32_t reading, bool at_zero, usec_t duration) {
        const unsigned zero_ends = (unsigned) s->at_zero + at_zero;
        const int64_t read_ma = (int64_t) s->current_ma.value + reading;
        const int64_t sum_ma = read_ma - (int64_t) zero_ends * s->idle_draw_ma;
        const int64_t usec = (int64_t) duration;

        soc_learn_count(&s->learning, kept(s, read_ma, usec), zero_ends, duration);
        grow(s, sum_ma, usec);
        count_charge(s, kept(s, sum_ma, usec));
}

static bool second_sensor_expected(const struct soc *s) {
        return s->config.sensors == SENSORS_2 || (s->config.sensors == SENSORS_AUTO && s->had_second_sensor);
}

/* S7: `auto` learns that there is a second sensor. It never unlearns it by itself: that is a lost sensor. */
static void learn_second_sensor(struct soc *s, const struct frame *frame) {
        s->second_sensor_run = frame->out.known ? s->second_sensor_run + 1 : 0;
        if (s->config.sensors == SENSORS_AUTO && s->second_sensor_run >= SOC_SECOND_SENSOR_FRAMES)
                s->had_second_sensor = true;
        if (s->second_sensor_run > SOC_SECOND_SENSOR_FRAMES)
                s->second_sensor_run = SOC_SECOND_SENSOR_FRAMES;
}

/* The battery's current by this frame. Without a sensor that should be there (J1 always is) I-sum is what the other
 * one
 * reads: wrong, so not known, from the first such frame on. */
static struct maybe usable_current(const struct soc *s, const struct frame *frame) {
        if (!frame->sum.known || !frame->in.known || (second_sensor_expected(s) && !frame->out.known))
                return none();
        return some(frame->sum.ma);
}

/* The sensor that would show a consumer reads zero: I2, or I1 if there is no second sensor. Each sensor has its own
 * blind spot, so I2 hides a draw while I1 shows the sun. */
static bool consumers_at_zero(const struct frame *frame) {
        return frame->out.known ? frame->out.ma == 0 : frame->sum.known && frame->sum.ma == 0;
}

static void name_sensor_state(struct soc *s) {
        const bool lost = s->sensor_lost_since != 0 && s->sensor == SOC_SENSOR_LOST;

        s->sensor = lost ? SOC_SENSOR_LOST : s->reversed ? SOC_SENSOR_REVERSED : SOC_SENSOR_OK;
}

/* S7: no usable reading for 5 s of frames. */
static void notice_lost_sensor(struct soc *s, usec_t now) {
        if (s->sensor_lost_since == 0 || usec_since(now, s->sensor_lost_since) < SOC_LOST_USEC)
                return;
        s->sensor = SOC_SENSOR_LOST;
        s->calibrated = false; /* comes back with the next full sync */
        soc_learn_spoil(&s->learning);
}

static unsigned reversed_steps(const struct soc *s) {
        unsigned n = 0;

        for (unsigned i = 0; i < SOC_REVERSED_STEPS; i++)
                n += s->steps_reversed >> i & 1;
        return n;
}

/* S7, first sign: the pack voltage falls when the current says charge, in 80 % of the newest 20 steps above C/20.
 * Fewer
 * than half of 20 new steps take the verdict back. */
static void judge_step(struct soc *s, struct maybe current, uint32_t pack_mv) {
        const int64_t di = (int64_t) current.value - s->current_ma.value;
        const int64_t dv = (int64_t) pack_mv - s->step_voltage_mv.value;

        if (!above_c_rate(s, di < 0 ? -di : di, 20))
                return;
        s->steps_reversed = s->steps_reversed << 1 | ((di < 0) != (dv < 0) && dv != 0);
        if (s->steps < SOC_REVERSED_STEPS)
                s->steps++;
        if (s->steps < SOC_REVERSED_STEPS)
                return;

        const bool verdict = s->reversed ? reversed_steps(s) * 2 >= SOC_REVERSED_STEPS
                                         : reversed_steps(s) * 5 >= SOC_REVERSED_STEPS * 4;
        if (verdict != s->reversed)
                s->steps = 0; /* the next verdict rests on new steps alone */
        s->reversed = verdict;
}

/* True once what `holds` has held for 60 s. */
static bool held(usec_t *since, usec_t now, bool holds) {
        if (!holds)
                *since = 0;
        else if (*since == 0)
                *since = now;
        return holds && usec_since(now, *since) >= SOC_REVERSED_USEC;
}

/* S7, second sign: nothing discharges a pack while all its cells stay full. Charging at that place takes it back. */
static void judge_full_cells(struct soc *s, usec_t now, struct maybe current, bool all_at_bypass) {
        const int64_t ma = current.known ? current.value : 0;

        /* An overcharged pack that is really discharged takes minutes to come down, but it does come down; readings
         * have steps, so a step a cell is no fall. */
        if (s->full_while_discharging_since == 0)
                s->full_while_discharging_mv = s->step_voltage_mv.value - FRAME_VOLTAGE_STEP_MV * s->config.cells;
        if (held(&s->full_while_discharging_since, now, all_at_bypass && above_c_rate(s, -ma, 20)) &&
            s->step_voltage_mv.value >= s->full_while_discharging_mv)
                s->reversed = true;
        if (held(&s->full_while_charging_since, now, all_at_bypass && above_c_rate(s, ma, 20)))
                s->reversed = false;
}

/* S4. The lowest cell is taken: it empties first, so it is what the pack can still give. */
static void estimate_at_rest(struct soc *s, usec_t now, struct maybe current, uint32_t lowest_mv) {
        if (!below_c_rate(s, current, 50) || lowest_mv == 0) {
                s->rest_since = 0;
                return;
        }
        if (s->rest_since == 0)
                s->rest_since = now;
        if (s->known || usec_since(now, s->rest_since) < SOC_REST_USEC)
                return;

        const int32_t mv = (int32_t) lowest_mv;
        const int32_t soc = soc_cell_permyriad(mv);
        const int32_t below = soc - soc_cell_permyriad(mv - OCV_ERROR_MV);
        const int32_t above = soc_cell_permyriad(mv + OCV_ERROR_MV) - soc;
        const int32_t unsure = (int32_t) max64(max64(below, above), PERMYRIAD_FULL / 100);
        set_charge(s, share(soc, s->capacity_mams, PERMYRIAD_FULL), share(unsure, s->capacity_mams, PERMYRIAD_FULL));
        s->estimated = true;
}

/* S5: 0..blind spot. */
static void bound_idle_draw(struct soc *s, int64_t ma) {
        s->idle_draw_ma = (int32_t) min64(max64(ma, 0), s->config.blind_spot_ma);
}

/* S6: how well is known what the sensor hides. Until it was learned: half the blind spot. Then: a point, which is what
 * the syncs at both ends are good to, over the time at zero that was learned from. */
static void judge_hidden(struct soc *s) {
        const int64_t most = s->config.blind_spot_ma / 2;
        const int64_t learned_ms = (int64_t) (s->learning.hidden_usec / USEC_PER_MSEC);

        s->hidden_unsure_ma = (int32_t) (learned_ms > 0 ? min64(s->capacity_mams / 100 / learned_ms, most) : most);
}

void soc_init(struct soc *s, const struct soc_config *config) {
        *s = (struct soc){.config = *config};
        s->capacity_mams = capacity_mams(config);
        judge_hidden(s);
}

void soc_configure(struct soc *s, const struct soc_config *config) {
        const int64_t old = s->capacity_mams;
        const uint8_t cells = config->cells != 0 ? config->cells : s->config.cells;

        s->config = *config;
        s->config.cells = cells;
        if (config->sensors == SENSORS_1)
                s->had_second_sensor = false;
        bound_idle_draw(s, s->idle_draw_ma);
        s->capacity_mams = capacity_mams(&s->config);
        judge_hidden(s);
        if (s->capacity_mams == old)
                return;

        s->remainder = 0;
        s->growth_remainder = 0;
        s->rest_since = 0;
        if (s->capacity_mams == 0) {
                s->charge_mams -= old; /* below full */
        } else if (old == 0) {
                s->charge_mams = max64(s->capacity_mams + s->charge_mams, 0);
                s->sync_uncertainty_mams = max64(s->sync_uncertainty_mams, s->capacity_mams / 100);
        } else {
                s->charge_mams = share(s->charge_mams, s->capacity_mams, old);
                s->sync_uncertainty_mams = share(min64(s->sync_uncertainty_mams, old), s->capacity_mams, old);
                s->growth_mams = share(min64(s->growth_mams, old), s->capacity_mams, old);
                s->assumed_mams = share(min64(s->assumed_mams, old), s->capacity_mams, old);
                s->growth_counted_mams = share(min64(s->growth_counted_mams, old), s->capacity_mams, old);
        }
}

void soc_frame(struct soc *s, usec_t now, usec_t period, const struct frame *frame, bool all_at_bypass) {
        const bool adjacent = s->last != 0 && usec_since(now, s->last) <= 3 * period;

        learn_second_sensor(s, frame);
        const struct maybe current = usable_current(s, frame);

        if (!adjacent) {
                s->rest_since = 0;
                s->full_while_discharging_since = s->full_while_charging_since = 0;
                s->sensor_lost_since = s->sensor == SOC_SENSOR_LOST ? s->sensor_lost_since : 0;
        }
        if (adjacent && s->current_ma.known && current.known) {
                count_interval(s, current.value, consumers_at_zero(frame), usec_since(now, s->last));
                judge_step(s, current, frame->pack_mv);
        } else if (s->last != 0)
                grow_unknown(s, usec_since(now, s->grown_until));

        s->last = s->grown_until = now;
        s->period = period;
        s->current_ma = current;
        s->at_zero = consumers_at_zero(frame);
        s->lowest_decic = frame->lowest_temperature_known ? some(frame->lowest_decic) : none();
        s->lowest_mv = frame->lowest_mv != 0 ? some((int32_t) frame->lowest_mv) : none();
        s->step_voltage_mv = some((int32_t) frame->pack_mv);

        if (current.known)
                s->sensor_lost_since = 0;
        else if (s->sensor_lost_since == 0)
                s->sensor_lost_since = now;
        judge_full_cells(s, now, current, all_at_bypass);
        if (s->reversed)
                soc_learn_spoil(&s->learning);
        name_sensor_state(s);
        notice_lost_sensor(s, now);
        estimate_at_rest(s, now, current, frame->lowest_mv);
}

void soc_tick(struct soc *s, usec_t now) {
        if (s->last == 0)
                return;
        if (usec_since(now, s->last) <= 3 * s->period) {
                notice_lost_sensor(s, now);
                return;
        }
        grow_unknown(s, usec_since(now, s->grown_until));
        s->grown_until = now > s->grown_until ? now : s->grown_until;
}

/* S5. Without an interval to learn from since a full sync, one begins here. */
static void learn_idle_draw(struct soc *s) {
        int64_t draw_ma;

        if (s->sensor == SOC_SENSOR_LOST || s->reversed)
                return;
        /* a sync that leaves much open neither begins nor ends an interval */
        if (s->capacity_mams == 0 || full_uncertainty(s) > s->capacity_mams / 100 * SOC_LEARN_SYNC_POINTS)
                return;
        if (!soc_learn_full_sync(&s->learning, &draw_ma))
                return;
        bound_idle_draw(s, draw_ma);
        judge_hidden(s);
}

void soc_time_off(struct soc *s, usec_t off_usec) {
        grow_unknown(s, off_usec);
}

void soc_assume_time_off(struct soc *s, usec_t assumed_usec) {
        const int64_t before = s->growth_mams;

        grow_unknown(s, assumed_usec);
        s->assumed_usec = assumed_usec;
        s->assumed_mams = s->growth_mams - before;
}

void soc_correct_time_off(struct soc *s, usec_t off_usec) {
        if (s->assumed_usec == 0)
                return;
        s->uncounted_usec = usec_since(s->uncounted_usec, s->assumed_usec);
        s->growth_mams = max64(s->growth_mams - s->assumed_mams, 0);
        s->assumed_usec = 0;
        s->assumed_mams = 0;
        grow_unknown(s, off_usec);
}

void soc_full_sync(struct soc *s, usec_t now) {
        learn_idle_draw(s);
        set_charge(s, s->capacity_mams, full_uncertainty(s));
        s->last_sync = now;
        if (s->sensor != SOC_SENSOR_LOST)
                s->calibrated = true;
}

void soc_empty_sync(struct soc *s, usec_t now) {
        const int64_t tenth = s->capacity_mams / 10;

        if (s->capacity_mams == 0)
                return;
        if (below_c_rate(s, s->current_ma, 20))
                set_charge(s, 0, empty_uncertainty(s));
        else if (!s->known || s->charge_mams > tenth)
                set_charge(s, tenth, max64(tenth, empty_uncertainty(s))); /* anywhere down to 0 */
        else
                return; /* at most 10 % already: the trip says nothing new */
        s->last_sync = now;
}

int soc_set(struct soc *s, usec_t now, int32_t permyriad) {
        (void) now; /* no sync: last_sync tells when the pack itself last said so */

        if (permyriad < 0 || permyriad > PERMYRIAD_FULL)
                return -ERANGE;
        if (s->capacity_mams == 0)
                return -ENODATA;
        set_charge(s, share(permyriad, s->capacity_mams, PERMYRIAD_FULL),
                   share(SOC_SET_UNCERTAINTY_PERMYRIAD, s->capacity_mams, PERMYRIAD_FULL));
        return 0;
}

static struct maybe permyriad_of(const struct soc *s, int64_t mams) {
        if (!s->known || s->capacity_mams == 0)
                return none();
        return some((int32_t) share(mams, PERMYRIAD_FULL, s->capacity_mams));
}

struct maybe soc_permyriad(const struct soc *s) {
        return permyriad_of(s, s->charge_mams);
}

struct maybe soc_uncertainty_permyriad(const struct soc *s) {
        return permyriad_of(s, uncertainty_mams(s));
}

struct maybe soc_growth_permyriad(const struct soc *s) {
        return permyriad_of(s, min64(s->growth_mams, s->capacity_mams));
}

struct maybe soc_c_rate_ma(const struct soc *s, int32_t divisor) {
        if (s->capacity_mams == 0 || divisor <= 0)
                return none();
        /* the largest pack's C is 2.5 * 10^9 mA */
        return some((int32_t) min64(s->capacity_mams / MAMS_PER_MAH / divisor, INT32_MAX));
}

struct maybe64 soc_stored_mwh(const struct soc *s) {
        if (!s->known || s->capacity_mams == 0)
                return none64();
        return some64(share(s->charge_mams, (int64_t) s->config.capacity_wh.value * 1000, s->capacity_mams));
}
