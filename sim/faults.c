/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPEC_MAX 128

/* One argument of a fault: a number in a range, or one of two words (its value: 0 or 1). */
struct argument {
        const char *name; /* NULL: there is none */
        double min, max;
        double standard; /* NAN: must be given */
        bool whole;
        const char *words[2];
};

/* Two lines a row read best. */
/* clang-format off */
#define WHOLE(name_, min_, max_, standard_) \
        { .name = (name_), .min = (min_), .max = (max_), .standard = (standard_), .whole = true }
#define REAL(name_, min_, max_, standard_) \
        { .name = (name_), .min = (min_), .max = (max_), .standard = (standard_) }
#define EITHER(name_, first_, second_) \
        { .name = (name_), .max = 1, .standard = NAN, .words = {(first_), (second_)} }
#define NO_ARGUMENT \
        { .name = NULL }
#define ONE_CELL WHOLE("CELL", 1, CELLS_MAX, NAN)
#define CELL_OR_ALL WHOLE("CELL", 0, CELLS_MAX, NAN) /* 0: all */
#define CELLS WHOLE("CELLS", CELLS_MIN, CELLS_MAX, NAN)
#define DEGREES(standard_) REAL("DEGC", -40, 120, standard_)

static const struct info {
        const char *name;
        struct argument args[2];
        const char *usage;
} infos[_FAULT_MAX] = {
        [FAULT_CUT] = {"cut", {ONE_CELL},
                "cut=CELL                the link from this board to the next (last: the ring return)"},
        [FAULT_DEAD] = {"dead", {ONE_CELL},
                "dead=CELL               this board does nothing at all"},
        [FAULT_RETURN_LOST] = {"return-lost", {NO_ARGUMENT},
                "return-lost             the ring return alone is cut"},
        [FAULT_BOARD_FAULT] = {"board-fault", {CELL_OR_ALL},
                "board-fault=CELL        this board cannot measure: status bit 2, full count"},
        [FAULT_MISSING] = {"missing", {CELL_OR_ALL},
                "missing=CELL            this board never fills in its detail"},
        [FAULT_COUNT] = {"count", {CELLS},
                "count=CELLS             so many boards in the chain"},
        [FAULT_CONFIGURED] = {"configured", {CELLS},
                "configured=CELLS        details rotate over so many, there or not"},
        [FAULT_NOISE] = {"noise", {WHOLE("BYTES", 1, 900, 8)},
                "noise[=BYTES]           random bytes before each frame"},
        [FAULT_CHECKSUM] = {"checksum", {WHOLE("EVERY", 1, 1000, 1)},
                "checksum[=EVERY]        a wrong checksum in every EVERYth frame"},
        [FAULT_TRUNCATE] = {"truncate", {WHOLE("BYTES", 1, FRAME_SIZE - 1, 30)},
                "truncate[=BYTES]        frames end after so many bytes"},
        [FAULT_FLIP] = {"flip", {REAL("PERCENT", 0, 100, 100)},
                "flip[=PERCENT]          one bit turned in so many of the frames"},
        [FAULT_BIT_ERRORS] = {"bit-errors", {REAL("RATE", 0, 0.01, NAN)},
                "bit-errors=RATE         this share of the bits turned, on every link of the chain"},
        [FAULT_GARBAGE] = {"garbage", {NO_ARGUMENT},
                "garbage                 random bytes in place of each frame"},
        [FAULT_SUM] = {"sum", {NO_ARGUMENT},
                "sum                     I-sum is I1 + I2"},
        [FAULT_SILENCE] = {"silence", {NO_ARGUMENT},
                "silence                 nothing is sent"},
        [FAULT_FROZEN] = {"frozen", {NO_ARGUMENT},
                "frozen                  the same frame over and over"},
        [FAULT_FROZEN_READINGS] = {"frozen-readings", {NO_ARGUMENT},
                "frozen-readings         readings stay; byte 24 and the pairs go on"},
        [FAULT_HOT] = {"hot", {CELL_OR_ALL, DEGREES(70)},
                "hot=CELL[,DEGC]         this board reads 70 degC"},
        [FAULT_COLD] = {"cold", {CELL_OR_ALL, DEGREES(-15)},
                "cold=CELL[,DEGC]        this board reads -15 degC"},
        [FAULT_TEMPERATURE] = {"temperature", {CELL_OR_ALL, DEGREES(NAN)},
                "temperature=CELL,DEGC   this board reads just that"},
        [FAULT_VOLTAGE] = {"voltage", {CELL_OR_ALL, REAL("VOLTS", 0, 6, NAN)},
                "voltage=CELL,VOLTS      this board reads just that"},
        [FAULT_SENSOR_LOST] = {"sensor-lost", {WHOLE("SENSOR", 1, 2, NAN)},
                "sensor-lost=1|2         reads X"},
        [FAULT_SENSOR_REVERSED] = {"sensor-reversed", {WHOLE("SENSOR", 0, 2, 0)},
                "sensor-reversed[=1|2]   mounted the wrong way round (both if not told)"},
        [FAULT_SENSOR_OFFSET] = {"sensor-offset", {WHOLE("SENSOR", 0, 2, NAN), REAL("AMPS", -100, 100, NAN)},
                "sensor-offset=1|2|all,A reads so much more"},
        [FAULT_SENSOR_GAIN] = {"sensor-gain", {WHOLE("SENSOR", 0, 2, NAN), REAL("PERCENT", -50, 50, NAN)},
                "sensor-gain=1|2|all,%   reads so many percent more"},
        [FAULT_UNSEEN] = {"unseen", {REAL("AMPS", 0, 100, NAN)},
                "unseen=AMPS             drawn past the sensors and the relays"},
        [FAULT_V_BYPASS] = {"v-bypass", {REAL("VOLTS", 3.4, 4.3, NAN)},
                "v-bypass=VOLTS          switches 2, 6, 7 are turned"},
        [FAULT_MODE] = {"mode", {EITHER("normal or critical", "normal", "critical")},
                "mode=normal|critical    switch 5 is turned"},
        [FAULT_PERIOD] = {"period", {REAL("SECONDS", 0.5, 1.0, NAN)},
                "period=0.5|1.0          switch 1 is turned"},
        [FAULT_RELAY_STUCK] = {"relay-stuck", {EITHER("charge or load", "charge", "load")},
                "relay-stuck=charge|load its contact stays closed whatever is commanded"},
};
/* clang-format on */

const char *fault_name(enum fault_kind kind) {
        return infos[kind].name;
}

const char *fault_usage(enum fault_kind kind) {
        return infos[kind].usage;
}

static int find_kind(const char *name) {
        for (int i = 0; i < _FAULT_MAX; i++)
                if (strcmp(infos[i].name, name) == 0)
                        return i;
        return -EINVAL;
}

/* A finite number and nothing behind it. */
static int parse_number(const char *text, double *ret_value) {
        char *end;
        double value = strtod(text, &end);

        if (end == text || *end != '\0' || !isfinite(value))
                return -EINVAL;
        *ret_value = value;
        return 0;
}

static int parse_argument(const struct argument *a, const char *text, double *ret_value, char *ret_error,
                          size_t size) {
        double value;

        if (!text) {
                if (!a->name || !isnan(a->standard)) {
                        *ret_value = a->name ? a->standard : 0;
                        return 0;
                }
                (void)snprintf(ret_error, size, "%s must be given", a->name);
                return -EINVAL;
        }
        if (!a->name) {
                (void)snprintf(ret_error, size, "one argument too many: '%s'", text);
                return -EINVAL;
        }
        for (int i = 0; i < 2; i++)
                if (a->words[i] && strcmp(text, a->words[i]) == 0) {
                        *ret_value = i;
                        return 0;
                }
        if (a->whole && a->min == 0 && strcmp(text, "all") == 0)
                text = "0";
        if (a->words[0] || parse_number(text, &value) < 0 || (a->whole && value != floor(value))) {
                (void)snprintf(ret_error, size, "'%s' where %s was expected", text, a->name);
                return -EINVAL;
        }
        if (value < a->min || value > a->max) {
                (void)snprintf(ret_error, size, "%s %s is not within %g..%g", a->name, text, a->min, a->max);
                return -ERANGE;
        }
        *ret_value = value;
        return 0;
}

/* What may be one of a few values only, and is not a range. */
static int check_values(const struct fault *fault, char *ret_error, size_t size) {
        double value = fault->args[0];

        if (fault->kind == FAULT_PERIOD && value != 0.5 && value != 1.0) {
                (void)snprintf(ret_error, size, "the period is 0.5 or 1.0 s");
                return -EINVAL;
        }
        if (fault->kind == FAULT_V_BYPASS) {
                static const int choices[] = {3400, 3500, 3600, 3700, 4000, 4100, 4200, 4300};

                for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
                        if (lround(value * 1000) == choices[i])
                                return 0;
                (void)snprintf(ret_error, size, "V-bypass is one of 3.4 3.5 3.6 3.7 4.0 4.1 4.2 4.3 V");
                return -EINVAL;
        }
        return 0;
}

/* Cuts "@START" and "+DURATION" off the text. */
static int parse_times(char *text, usec_t now, struct fault *fault, char *ret_error, size_t size) {
        char *plus = strchr(text, '+'), *at = strchr(text, '@');
        double seconds;

        fault->start = now;
        fault->end = USEC_INFINITY;
        if (plus)
                *plus++ = '\0';
        if (at && (!plus || at < plus))
                *at++ = '\0';
        if (at) {
                if (parse_number(at, &seconds) < 0 || seconds < 0 || seconds > 1e9)
                        goto bad;
                fault->start = (usec_t)llround(seconds * 1e6);
        }
        if (plus) {
                if (parse_number(plus, &seconds) < 0 || seconds <= 0 || seconds > 1e9)
                        goto bad;
                fault->end = fault->start + (usec_t)llround(seconds * 1e6);
        }
        return 0;

bad:
        (void)snprintf(ret_error, size, "a time in seconds was expected: [@START][+DURATION]");
        return -EINVAL;
}

static int parse_spec(char *text, usec_t now, struct fault *ret_fault, char *ret_error, size_t size) {
        struct fault fault = {0};
        char *rest, *words[3] = {NULL};
        int r, kind;

        r = parse_times(text, now, &fault, ret_error, size);
        if (r < 0)
                return r;

        rest = strchr(text, '=');
        if (rest)
                *rest++ = '\0';
        for (int i = 0; i < 3 && rest; i++) {
                words[i] = rest;
                rest = strchr(rest, ',');
                if (rest)
                        *rest++ = '\0';
        }
        kind = find_kind(text);
        if (kind < 0) {
                (void)snprintf(ret_error, size, "no fault is named '%s'", text);
                return -EINVAL;
        }
        if (words[2] || rest) {
                (void)snprintf(ret_error, size, "too many arguments");
                return -EINVAL;
        }
        fault.kind = kind;
        for (int i = 0; i < 2; i++) {
                r = parse_argument(&infos[kind].args[i], words[i], &fault.args[i], ret_error, size);
                if (r < 0)
                        return r;
        }
        r = check_values(&fault, ret_error, size);
        if (r < 0)
                return r;
        *ret_fault = fault;
        return 0;
}

int faults_add(struct faults *f, usec_t now, const char *spec, char *ret_error, size_t size) {
        char text[SPEC_MAX];
        struct fault fault;
        int r;

        if (strlen(spec) >= sizeof(text)) {
                (void)snprintf(ret_error, size, "a fault has fewer than %d characters", SPEC_MAX);
                return -EINVAL;
        }
        if (f->n == FAULTS_MAX) {
                (void)snprintf(ret_error, size, "%d faults are pending already", FAULTS_MAX);
                return -ENOSPC;
        }
        (void)strcpy(text, spec);
        r = parse_spec(text, now, &fault, ret_error, size);
        if (r < 0)
                return r;
        f->list[f->n++] = fault;
        return 0;
}

/* Keeps the order: the newest of a kind is the one that counts. */
static void drop(struct faults *f, size_t i) {
        memmove(&f->list[i], &f->list[i + 1], (f->n - i - 1) * sizeof(f->list[0]));
        f->n--;
}

int faults_clear(struct faults *f, const char *name) {
        int kind = -1, cleared = 0;

        if (name && *name != '\0') {
                kind = find_kind(name);
                if (kind < 0)
                        return kind;
        }
        for (size_t i = f->n; i-- > 0;)
                if (kind < 0 || f->list[i].kind == (enum fault_kind)kind) {
                        drop(f, i);
                        cleared++;
                }
        return cleared;
}

void faults_advance(struct faults *f, usec_t now) {
        for (size_t i = f->n; i-- > 0;)
                if (f->list[i].end <= now)
                        drop(f, i);
}

static bool in_force(const struct fault *fault, usec_t now) {
        return fault->start <= now && now < fault->end;
}

const struct fault *faults_find(const struct faults *f, usec_t now, enum fault_kind kind) {
        for (size_t i = f->n; i-- > 0;)
                if (f->list[i].kind == kind && in_force(&f->list[i], now))
                        return &f->list[i];
        return NULL;
}

const struct fault *faults_find_cell(const struct faults *f, usec_t now, enum fault_kind kind, int cell) {
        for (size_t i = f->n; i-- > 0;)
                if (f->list[i].kind == kind && in_force(&f->list[i], now) &&
                    (f->list[i].args[0] == 0 || (int)f->list[i].args[0] == cell))
                        return &f->list[i];
        return NULL;
}

static size_t put_random(struct faults *f, uint8_t *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)rng_below(&f->rng, 256);
        return n;
}

size_t faults_mangle(struct faults *f, usec_t now, const uint8_t bytes[FRAME_SIZE],
                     uint8_t ret_wire[FAULTS_WIRE_MAX]) {
        const struct fault *fault;
        size_t n = 0, length = FRAME_SIZE;
        uint8_t *p;

        if (faults_find(f, now, FAULT_SILENCE))
                return 0;
        fault = faults_find(f, now, FAULT_NOISE);
        if (fault)
                n = put_random(f, ret_wire, (size_t)fault->args[0]);

        p = ret_wire + n;
        memcpy(p, bytes, FRAME_SIZE);
        fault = faults_find(f, now, FAULT_FLIP);
        if (fault && rng_below(&f->rng, 10000) < fault->args[0] * 100) {
                unsigned bit = rng_below(&f->rng, FRAME_SIZE * 8);

                p[bit / 8] = (uint8_t)(p[bit / 8] ^ (1 << bit % 8));
        }
        fault = faults_find(f, now, FAULT_CHECKSUM);
        if (fault && ++f->since_bad >= (unsigned)fault->args[0]) {
                f->since_bad = 0;
                p[FRAME_OFF_CHECKSUM] = (uint8_t)(p[FRAME_OFF_CHECKSUM] + 1 + rng_below(&f->rng, 255));
        }
        if (faults_find(f, now, FAULT_GARBAGE))
                (void)put_random(f, p, FRAME_SIZE);
        fault = faults_find(f, now, FAULT_TRUNCATE);
        if (fault)
                length = (size_t)fault->args[0];
        return n + length;
}

void faults_init(struct faults *f, uint64_t seed) {
        *f = (struct faults){0};
        rng_init(&f->rng, seed, 3);
}
