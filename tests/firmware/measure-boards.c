/* SPDX-License-Identifier: MIT */
/* Boards made of parts with tolerances, calibrated as docs/boards.md says, and then measured over voltage and
 * temperature: are the readings within +-20 mV over 2.0..5.0 V and +-5 degC over -40..85 degC?
 *
 *   measure-boards [--limits | --uncalibrated | --supply-as-reference] BOARDS READINGS SEED [ALLOWED]
 *
 * READINGS of each board at random voltages and temperatures, a quarter of them in the four corners. The
 * circuit is worked out here in floating point; sums go through firmware/measure.c, the calibration through
 * the arithmetic of smartbms-calibrate. Prints what came out; exit status 1 if more than ALLOWED (0) boards
 * have a reading out of bounds, or one up to 4.3 V (the highest V-bypass) does, or a reading is unknown.
 * A board whose calibration smartbms-calibrate would refuse is not measured.
 *
 *   --limits               the reference anywhere up to its limits, instead of around its typical values
 *   --uncalibrated         the same boards as they come from the factory; not judged
 *   --supply-as-reference  the chip's own 1.1 V measured against the supply instead of all that; not judged
 *
 * Uniform over the whole tolerance where a data sheet gives a limit only. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

#define LIMIT_MV 20.0
#define LIMIT_K 5.0
#define USUAL_V 4.3
#define COLD_C (-40.0)
#define HOT_C 85.0
#define ROOM_C 25.0
#define KELVIN 273.15

/* ---- what parts may differ by; sources in docs/boards.md ---- */
#define REFERENCE_INITIAL 2e-3   /* REF3212: 0.2 % */
#define REFERENCE_WARM_MOST 7e-6 /* ... largest less smallest over 0..125 degC, a kelvin */
#define REFERENCE_WARM_TYPICAL 4e-6
#define REFERENCE_COLD_MOST 20e-6 /* ... over -40..125 degC */
#define REFERENCE_COLD_TYPICAL 10.5e-6
#define REFERENCE_LINE 65e-6  /* ... a volt of supply */
#define REFERENCE_AGE 150e-6  /* hysteresis and drift; typical values, no limit is given */
#define RESISTOR_INITIAL 1e-3 /* divider: 0.1 %, 5 ppm/K */
#define RESISTOR_TC 5e-6
#define SWITCH_OHM 0.2       /* at 1.8 V of drive, 0..0.2 ohm, and as much again when hot */
#define LEAK_HOT_A 1e-6      /* into or out of a pin at 85 degC: the data sheet's limit; halves each 10 K */
#define ADC_OFFSET 2.0       /* steps, the data sheet's typical value taken as the limit */
#define ADC_GAIN 2.0         /* steps at full scale */
#define ADC_BOW 1.0          /* steps: integral non-linearity, twice the typical value */
#define ADC_UNEVEN 0.25      /* steps: differential */
#define ADC_OFFSET_DRIFT 0.5 /* steps from 25 to 85 or -40 degC; an estimate */
#define ADC_GAIN_DRIFT 0.5   /* the same at full scale */
#define ADC_NOISE_LEAST 0.05 /* steps rms of one conversion, board by board; an estimate */
#define ADC_NOISE_MOST 0.7
#define BANDGAP_INITIAL 0.07 /* with the drift: 1.0..1.2 V */
#define BANDGAP_DRIFT 0.02   /* with temperature */
#define NTC_INITIAL 1e-2
#define NTC_B 1e-2
#define NTC_SERIES_INITIAL 1e-2 /* 1 %, 100 ppm/K */
#define NTC_SERIES_TC 100e-6
#define NTC_SELF_K 0.1    /* warmed by its own current */
#define METER 2.5e-4      /* calibration: the meter is 0.025 % ... */
#define METER_STEP_MV 1.0 /* ... and shows whole millivolts */
#define CALIBRATION_C 5.0 /* done at 25 degC, give or take */

struct board {
        double reference, reference_slope, reference_bend, reference_cold, reference_line, reference_age;
        double top, bottom, top_tc, bottom_tc, switch_ohm;
        double leak;
        double adc_offset, adc_gain, adc_bow, adc_wave, adc_offset_drift, adc_gain_drift, adc_noise;
        double uneven[HARDWARE_ADC_STEPS];
        double bandgap, bandgap_drift;
        double ntc, ntc_b, series, series_tc;
        struct measure_calibration calibration;
};

/* What is measured. */
struct cell {
        double volts, celsius;
};

static bool supply_as_reference, limits;
static uint64_t random_state;

/* xorshift64* */
static double uniform(double from, double to) {
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        return from + (to - from) * (double)((random_state * UINT64_C(2685821657736338717)) >> 11) /
                              9007199254740992.0;
}

static double within(double limit) {
        return uniform(-limit, limit);
}

static double gauss(void) {
        return sqrt(-2 * log(uniform(1e-12, 1))) * cos(2 * M_PI * uniform(0, 1));
}

/* ---- the reference ---- */

/* Relative to 25 degC. From 0 degC up a slope and a bend in a random mixture; below, another slope beside
 * these. */
static double reference_drift(const struct board *b, double celsius) {
        double drift = b->reference_slope * (celsius - ROOM_C) +
                       b->reference_bend * ((celsius - 62.5) * (celsius - 62.5) - 37.5 * 37.5);

        return celsius < 0 ? drift + b->reference_cold * celsius : drift;
}

static double reference_box(const struct board *b, double from) {
        double least = 1, most = -1;

        for (double celsius = from; celsius <= 125; celsius += 1) {
                least = fmin(least, reference_drift(b, celsius));
                most = fmax(most, reference_drift(b, celsius));
        }
        return (most - least) / (125 - from);
}

/* A maker's typical figure is the mean, his limit three deviations away, and what is beyond is not sold;
 * `limits`: anything up to the limit is as likely. */
static double figure(double typical, double most) {
        double value;

        if (limits)
                return uniform(0, most);
        do
                value = typical + (most - typical) / 3 * gauss();
        while (value < 0 || value > most);
        return value;
}

static void draw_reference(struct board *b) {
        double warm = figure(REFERENCE_WARM_TYPICAL, REFERENCE_WARM_MOST), scale;
        double cold = figure(REFERENCE_COLD_TYPICAL, REFERENCE_COLD_MOST);

        b->reference_slope = within(1);
        b->reference_bend = within(1) / 62.5;
        scale = warm / reference_box(b, 0);
        b->reference_slope *= scale;
        b->reference_bend *= scale;
        /* The cold slope that makes the box over the whole range as large as drawn, by halving; none if it is
         * so already. */
        if (reference_box(b, COLD_C) < cold) {
                double low = 0, high = 200e-6, sign = uniform(0, 1) < 0.5 ? -1 : 1;

                for (int i = 0; i < 40; i++) {
                        b->reference_cold = sign * (low + high) / 2;
                        if (reference_box(b, COLD_C) < cold)
                                low = (low + high) / 2;
                        else
                                high = (low + high) / 2;
                }
        }
        b->reference = 1.25 * (1 + within(REFERENCE_INITIAL));
        b->reference_line = within(REFERENCE_LINE);
        b->reference_age = within(REFERENCE_AGE);
}

static double aref(const struct board *b, const struct cell *cell, bool aged) {
        return b->reference * (1 + reference_drift(b, cell->celsius) +
                               b->reference_line * (cell->volts - 3.3) + (aged ? b->reference_age : 0));
}

/* ---- the ADC ---- */

/* -1 at -40 degC, 0 at 25, 1 at 85. */
static double how_warm(double celsius) {
        return celsius < ROOM_C ? (celsius - ROOM_C) / (ROOM_C - COLD_C)
                                : (celsius - ROOM_C) / (HOT_C - ROOM_C);
}

/* The first transition is ideally at half a step (data sheet, ADC accuracy definitions). */
static uint16_t convert(const struct board *b, double ratio, double celsius) {
        double x = ratio * HARDWARE_ADC_STEPS, warm = how_warm(celsius);
        double code;

        x += b->adc_offset + b->adc_offset_drift * warm;
        x += (b->adc_gain + b->adc_gain_drift * warm) * ratio;
        x += b->adc_bow * (0.7 * sin(M_PI * ratio) + 0.3 * sin(2 * M_PI * b->adc_wave * ratio));
        x += b->adc_noise * gauss();
        code = floor(x + 0.5);
        if (code < 0)
                return 0;
        if (code > HARDWARE_ADC_STEPS - 1)
                return HARDWARE_ADC_STEPS - 1;
        /* The edge below this code, and the one above it, are not where they should be. */
        if (x + 0.5 - code < b->uneven[(int)code] && code > 0)
                code--;
        return (uint16_t)code;
}

static uint16_t sum_of(const struct board *b, double ratio, double celsius) {
        uint16_t sum = 0;

        for (int i = 0; i < 1 << HARDWARE_OVERSAMPLE_LOG2; i++)
                sum = (uint16_t)(sum + convert(b, ratio, celsius));
        return sum;
}

/* ---- the board ---- */

static double ntc_ohm(const struct board *b, double celsius) {
        double low = log(100), high = log(1e6);
        double kelvin = celsius + KELVIN;

        for (int i = 0; i < 60; i++) {
                double l = (low + high) / 2;

                if (1 / (HARDWARE_NTC_A + HARDWARE_NTC_B * l + HARDWARE_NTC_C * l * l * l) > kelvin)
                        low = l;
                else
                        high = l;
        }
        return exp(low) * b->ntc * exp(b->ntc_b * (1 / kelvin - 1 / (ROOM_C + KELVIN)));
}

static double leak(const struct board *b, double celsius) {
        return b->leak * pow(2, (celsius - HOT_C) / 10);
}

static void draw(struct board *b) {
        memset(b, 0, sizeof(*b));
        draw_reference(b);
        b->top = (double)HARDWARE_CELL_TOP_OHM * (1 + within(RESISTOR_INITIAL));
        b->bottom = (double)HARDWARE_CELL_BOTTOM_OHM * (1 + within(RESISTOR_INITIAL));
        b->top_tc = within(RESISTOR_TC);
        b->bottom_tc = within(RESISTOR_TC);
        b->switch_ohm = uniform(0, SWITCH_OHM);
        b->leak = within(LEAK_HOT_A);
        b->adc_offset = within(ADC_OFFSET);
        b->adc_gain = within(ADC_GAIN);
        b->adc_bow = within(ADC_BOW);
        b->adc_wave = uniform(1, 4);
        b->adc_offset_drift = within(ADC_OFFSET_DRIFT);
        b->adc_gain_drift = within(ADC_GAIN_DRIFT);
        b->adc_noise = uniform(ADC_NOISE_LEAST, ADC_NOISE_MOST);
        for (unsigned i = 0; i < HARDWARE_ADC_STEPS; i++)
                b->uneven[i] = uniform(0, ADC_UNEVEN);
        b->bandgap = 1.1 * (1 + within(BANDGAP_INITIAL));
        b->bandgap_drift = within(BANDGAP_DRIFT);
        b->ntc = 1 + within(NTC_INITIAL);
        b->ntc_b = (double)HARDWARE_NTC_B_25_50_K * within(NTC_B);
        b->series = (double)HARDWARE_NTC_SERIES_OHM * (1 + within(NTC_SERIES_INITIAL));
        b->series_tc = within(NTC_SERIES_TC);
        measure_calibration_default(&b->calibration);
}

static struct measure_sums measure(const struct board *b, const struct cell *cell, bool aged) {
        double t = cell->celsius, dt = t - ROOM_C, reference = aref(b, cell, aged);
        double top = b->top * (1 + b->top_tc * dt);
        double bottom = b->bottom * (1 + b->bottom_tc * dt) + b->switch_ohm * (1 + dt / (HOT_C - ROOM_C));
        double divided = (cell->volts / top + leak(b, t)) / (1 / top + 1 / bottom);
        double series = b->series * (1 + b->series_tc * dt), ntc = ntc_ohm(b, t + NTC_SELF_K);
        double warmth = (reference / series + leak(b, t)) / (1 / series + 1 / ntc);
        struct measure_sums sums;

        sums.cell = sum_of(b, divided / reference, t);
        sums.ntc = sum_of(b, warmth / reference, t);
        sums.bandgap = sum_of(b, b->bandgap * (1 + b->bandgap_drift * how_warm(t)) / reference, t);
        if (supply_as_reference) {
                /* The cell feeds the chip and is the ADC's reference; what is converted is the chip's 1.1 V.
                 */
                double ratio = b->bandgap * (1 + b->bandgap_drift * how_warm(t)) / cell->volts;
                double conversions = sum_of(b, ratio, t) / 16384.0;

                sums.cell = (uint16_t)fmin(16368, 1.1 / conversions * (1.0 / 4.09) / 1.25 * 16384);
        }
        return sums;
}

/* ---- calibration, as smartbms-calibrate computes it ---- */

static double shown_mv(double volts, double meter) {
        return round(volts * 1000 * (1 + meter) / METER_STEP_MV) * METER_STEP_MV;
}

static bool calibrate(struct board *b) {
        double meter = within(METER), room = ROOM_C + within(CALIBRATION_C);
        struct cell low = {uniform(2.3, 2.7), room}, high = {uniform(4.3, 4.7), room + within(1)};
        struct measure_sums low_sums = measure(b, &low, false), high_sums = measure(b, &high, false);
        double low_mv = shown_mv(low.volts, meter), high_mv = shown_mv(high.volts, meter);
        double gain = round((high_mv - low_mv) / (high_sums.cell - low_sums.cell) * 65536);
        double offset =
                round(((low_mv + high_mv) / 2 - gain / 65536 * (low_sums.cell + high_sums.cell) / 2) * 10);

        b->calibration = (struct measure_calibration){
                .gain_mv = (uint16_t)gain,
                .offset_100uv = (int16_t)offset,
                .bandgap = (uint16_t)((low_sums.bandgap + high_sums.bandgap) / 2),
        };
        return measure_raw(&low_sums) == MEASURE_RAW_LOW && measure_raw(&high_sums) == MEASURE_RAW_HIGH &&
               measure_calibration_valid(&b->calibration);
}

/* ---- the run ---- */

struct outcome {
        unsigned long readings, unknown, beyond_mv, beyond_k;
        unsigned boards_beyond, refused;
        double worst_mv, worst_usual_mv, worst_k, square_mv, square_k;
};

static void read_board(const struct board *b, int readings, struct outcome *o) {
        bool beyond = false;

        for (int i = 0; i < readings; i++) {
                static const double volts[] = {2.0, 5.0}, celsius[] = {COLD_C, HOT_C};
                struct cell cell = {uniform(2, 5), uniform(COLD_C, HOT_C)};
                struct measure_sums sums;
                struct measure_reading reading;
                double mv, k;

                if (i % 4 == 0)
                        cell = (struct cell){volts[i / 4 % 2], celsius[i / 8 % 2]};
                sums = measure(b, &cell, true);
                measure_reading(&sums, &b->calibration, &reading);
                o->readings++;
                if (reading.faults != 0) {
                        o->unknown++;
                        continue;
                }
                mv = fabs(reading.voltage * 5.0 - cell.volts * 1000);
                k = fabs(reading.temperature - 276 - cell.celsius);
                o->worst_mv = fmax(o->worst_mv, mv);
                if (cell.volts <= USUAL_V)
                        o->worst_usual_mv = fmax(o->worst_usual_mv, mv);
                o->worst_k = fmax(o->worst_k, k);
                o->square_mv += mv * mv;
                o->square_k += k * k;
                o->beyond_mv += mv > LIMIT_MV;
                o->beyond_k += k > LIMIT_K;
                beyond |= mv > LIMIT_MV;
        }
        o->boards_beyond += beyond;
}

int main(int argc, char **argv) {
        bool uncalibrated = false;
        struct outcome o = {0};
        unsigned allowed;
        int boards, readings;
        struct board b;

        if (argc > 1 && argv[1][0] == '-') {
                limits = strcmp(argv[1], "--limits") == 0;
                uncalibrated = strcmp(argv[1], "--uncalibrated") == 0;
                supply_as_reference = strcmp(argv[1], "--supply-as-reference") == 0;
                if (!limits && !uncalibrated && !supply_as_reference)
                        return 2;
                argv++;
                argc--;
        }
        if (argc < 4 || argc > 5)
                return 2;
        boards = atoi(argv[1]);
        readings = atoi(argv[2]);
        random_state = strtoull(argv[3], NULL, 10) * UINT64_C(0x9E3779B97F4A7C15) + 1;
        allowed = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
        if (boards < 1 || readings < 1)
                return 2;

        for (int i = 0; i < boards; i++) {
                draw(&b);
                if (!uncalibrated && !calibrate(&b)) {
                        o.refused++;
                        if (!supply_as_reference)
                                continue;
                }
                if (supply_as_reference)
                        b.calibration.bandgap = 0;
                read_board(&b, readings, &o);
        }
        printf("%d boards, %lu readings\n", boards, o.readings);
        printf("  voltage      worst %.1f mV (up to %.1f V: %.1f), rms %.1f mV; beyond %.0f mV: %lu readings "
               "of %u boards\n",
               o.worst_mv, USUAL_V, o.worst_usual_mv, sqrt(o.square_mv / (double)o.readings), LIMIT_MV,
               o.beyond_mv, o.boards_beyond);
        printf("  temperature  worst %.1f K, rms %.1f K; beyond %.0f K: %lu readings\n", o.worst_k,
               sqrt(o.square_k / (double)o.readings), LIMIT_K, o.beyond_k);
        printf("  unknown      %lu readings; calibration refused: %u boards\n", o.unknown, o.refused);
        if (uncalibrated || supply_as_reference)
                return 0;
        return o.boards_beyond > allowed || o.worst_usual_mv > LIMIT_MV || o.beyond_k || o.unknown;
}
