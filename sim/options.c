/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config-build.h"
#include "pack-name.h"
#include "sensor.h"

enum { /* options that are no plain number */
        OPT_HELP = 'h',
        OPT_VERSION = 256,
        OPT_SPEED,
        OPT_LINK,
        OPT_OUTPUT,
        OPT_BUS,
        OPT_PACK,
        OPT_RELAYS,
        OPT_FAULT,
        OPT_CONTROL,
        OPT_PROFILE,
        OPT_PERIOD,
        OPT_MODE,
        OPT_SENSOR_TYPE,
        OPT_BLIND_SPOT,
        OPT_CODING,
        OPT_BOARD,
        OPT_TAP,
        OPT_CELL,
        OPT_V_BYPASS,
        OPT_START_TIME,
        OPT_SEED,
        OPT_MODEL,
        OPT_SCENARIO,
        OPT_TRUTH,
        OPT_START_DATE,
        OPT_DARK_DAYS,
        _OPT_NUMBER, /* numbers[] from here on */
};

/* Options that are one number in a range. */
enum { INT, REAL };

static const struct number {
        const char *name;
        int type;
        size_t offset;
        double min, max;
} numbers[] = {
        {"cells", INT, offsetof(struct options, simulation.cells), 2, 255},
        {"configured", INT, offsetof(struct options, simulation.configured), 2, 255},
        {"capacity-ah", REAL, offsetof(struct options, simulation.capacity_ah), 0.1, 100000},
        {"soc", REAL, offsetof(struct options, simulation.soc), 0, 100},
        {"spread", REAL, offsetof(struct options, simulation.spread_percent), 0, 30},
        {"charge-a", REAL, offsetof(struct options, simulation.profile.charge_a), 0, 10000},
        {"load-a", REAL, offsetof(struct options, simulation.profile.load_a), 0, 10000},
        {"charger-cell-v", REAL, offsetof(struct options, simulation.charger_cell_v), 0, 5},
        {"charge-c", REAL, offsetof(struct options, simulation.charge_c), 0, 10},
        {"latitude", REAL, offsetof(struct options, simulation.profile.latitude), -66, 66},
        {"truth-every", REAL, offsetof(struct options, truth_every_sec), 0.25, 86400},
        {"sensors", INT, offsetof(struct options, simulation.sensors), 1, 2},
        {"ageing", REAL, offsetof(struct options, simulation.ageing_percent), 0, 80},
        {"self-discharge", REAL, offsetof(struct options, simulation.self_discharge_percent), 0, 100},
        {"temperature", REAL, offsetof(struct options, simulation.temperature_c), -40, 120},
        {"noise-mv", REAL, offsetof(struct options, simulation.noise_mv), 0, 50},
        {"duration", REAL, offsetof(struct options, duration_sec), 0, 1e9},
};

#define N_NUMBERS ((int)(sizeof(numbers) / sizeof(numbers[0])))

static const struct {
        const char *name;
        int value;
} named[] = {
        {"help", OPT_HELP},
        {"version", OPT_VERSION},
        {"speed", OPT_SPEED},
        {"link", OPT_LINK},
        {"output", OPT_OUTPUT},
        {"bus", OPT_BUS},
        {"pack", OPT_PACK},
        {"relays", OPT_RELAYS},
        {"fault", OPT_FAULT},
        {"control", OPT_CONTROL},
        {"profile", OPT_PROFILE},
        {"period", OPT_PERIOD},
        {"mode", OPT_MODE},
        {"sensor-type", OPT_SENSOR_TYPE},
        {"blind-spot", OPT_BLIND_SPOT},
        {"temperature-coding", OPT_CODING},
        {"board", OPT_BOARD},
        {"tap", OPT_TAP},
        {"cell", OPT_CELL},
        {"v-bypass", OPT_V_BYPASS},
        {"start-time", OPT_START_TIME},
        {"seed", OPT_SEED},
        {"cell-model", OPT_MODEL},
        {"scenario", OPT_SCENARIO},
        {"truth", OPT_TRUTH},
        {"start-date", OPT_START_DATE},
        {"dark-days", OPT_DARK_DAYS},
};

#define N_NAMED ((int)(sizeof(named) / sizeof(named[0])))

static const char usage[] =
        "Usage: smartbms-sim [OPTION]...\n"
        "A simulated LiFePO4 pack that sends the frames a real one would.\n"
        "\n"
        "Where to, and how fast:\n"
        "  --link PATH               link to the pseudo terminal that is made (its path is printed)\n"
        "  --output FILE             write there instead; - is standard output\n"
        "  --speed N|max             simulated seconds a second (1); max: as fast as the reader takes it\n"
        "  --duration SECONDS        simulated time after which to end\n"
        "  --scenario FILE           what happens when: lines of a time (90s, 1d6h, +10m) and a command\n"
        "  --truth FILE              what is true, as CSV\n"
        "  --truth-every SECONDS     how often (1)\n"
        "The pack:\n"
        "  --cells N                 2..255 (16)\n"
        "  --configured M            cells the IN board is set to, N or more (N)\n"
        "  --capacity-ah AH          of a cell (100)\n"
        "  --soc PERCENT             charge at the start (50)\n"
        "  --spread PERCENT          how far the cells differ (1)\n"
        "  --cell K,KEY=VALUE[,...]  one cell's own capacity (Ah), soc (%), resistance (x), temperature,\n"
        "                            self-discharge (% a month)\n"
        "  --cell-model plain|full   full: hysteresis, polarisation, resistance by temperature (plain)\n"
        "  --ageing PERCENT          capacity that the cells have lost (0)\n"
        "  --self-discharge PERCENT  a month (0)\n"
        "  --temperature DEGC        around the cells (20)\n"
        "  --noise-mv MV             of the measurements (1)\n"
        "  --seed N                  same seed and options, same bytes (1)\n"
        "The currents:\n"
        "  --charge-a A --load-a A   charger (10) and consumers (5); peaks for the day profile\n"
        "  --charger-cell-v V        voltage per cell that the charger holds (0: none)\n"
        "  --charge-c RATE           the charger gives the battery at most so many C (0: no limit)\n"
        "  --profile constant|day|year  (constant)\n"
        "  --start-time HH:MM        time of day at the start (08:00)\n"
        "  --start-date MM-DD        day of the year at the start (01-01)\n"
        "  --latitude DEG            for the year's sun, north is positive (52)\n"
        "  --dark-days FROM,COUNT    days next to without sun, counted from the start (day, year)\n"
        "  --relays closed|open      fixed (closed)\n"
        "  --bus ADDRESS             obey smartbmsd on this D-Bus (or: system, user)\n"
        "  --pack NAME               with --bus: that of this pack (default)\n"
        "The boards:\n"
        "  --board in|out            what is listened to: the chain, or a genuine OUT board (in)\n"
        "  --tap in|last             the IN board's extended output, or the last board's (in)\n"
        "  --period 1.0|0.5          seconds between messages (1.0)\n"
        "  --v-bypass VOLTS          3.4 3.5 3.6 3.7 4.0 4.1 4.2 4.3 (3.5)\n"
        "  --mode normal|critical    switch 5 (normal)\n"
        "  --sensors 1|2             (2)\n"
        "  --sensor-type A           25 50 100 250 400 500 1000 2000 (100)\n"
        "  --blind-spot on|off       switch 3 (on)\n"
        "  --temperature-coding sheet|legacy  (sheet)\n"
        "Faults:\n"
        "  --fault SPEC              NAME[=ARG[,ARG]][@START][+DURATION], in simulated seconds; repeatable\n"
        "  --control PATH            take commands as lines: from - standard input, a fifo that is there,\n"
        "                            or a unix socket that is made. Commands: a fault, clear [NAME],\n"
        "                            charge A, load A, soc PERCENT [CELL], status, quit\n"
        "\n"
        "Faults (CELL may be all where it makes sense):\n";

static void print_help(void) {
        (void)fputs(usage, stdout);
        for (int i = 0; i < _FAULT_MAX; i++)
                (void)printf("  %s\n", fault_usage(i));
}

static int complain(const char *option, const char *given, const char *expected) {
        (void)fprintf(stderr, "smartbms-sim: --%s: '%s' where %s was expected\n", option, given, expected);
        return -EINVAL;
}

static int parse_real(const char *text, double min, double max, double *ret_value) {
        char *end;
        double value = strtod(text, &end);

        if (end == text || *end != '\0' || !(value >= min && value <= max))
                return -EINVAL;
        *ret_value = value;
        return 0;
}

static int set_number(struct options *o, const struct number *n, const char *text) {
        char expected[64];
        double value;

        if (parse_real(text, n->min, n->max, &value) < 0 || (n->type == INT && value != floor(value))) {
                (void)snprintf(expected, sizeof(expected), "a %snumber within %g..%g",
                               n->type == INT ? "whole " : "", n->min, n->max);
                return complain(n->name, text, expected);
        }
        if (n->type == INT)
                *(int *)((char *)o + n->offset) = (int)value;
        else
                *(double *)((char *)o + n->offset) = value;
        return 0;
}

/* Index of the word in a NULL-terminated list. */
static int find_word(const char *option, const char *text, const char *const *words, const char *expected) {
        for (int i = 0; words[i]; i++)
                if (strcmp(words[i], text) == 0)
                        return i;
        return complain(option, text, expected);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* "K,KEY=VALUE[,KEY=VALUE]..." */
static int parse_cell(struct options *o, const char *text) {
        static const char expected[] =
                "K,KEY=VALUE[,...] with capacity, soc, resistance, temperature or self-discharge";
        char copy[128], *state = NULL, *word;
        struct cell_config *own;
        int given = 0;
        double k;

        if (strlen(text) >= sizeof(copy))
                return complain("cell", text, expected);
        (void)strcpy(copy, text);
        word = strtok_r(copy, ",", &state);
        if (!word || parse_real(word, 1, 255, &k) < 0 || k != floor(k))
                return complain("cell", text, expected);
        own = &o->simulation.own[(int)k];
        while ((word = strtok_r(NULL, ",", &state))) {
                const struct {
                        const char *name;
                        double min, max;
                        double *target;
                } keys[] = {
                        {"capacity=", 0.1, 100000, &own->capacity_ah},
                        {"soc=", 0, 100, &own->soc},
                        {"resistance=", 0.01, 1000, &own->resistance},
                        {"temperature=", -40, 120, &own->temperature_c},
                        {"self-discharge=", 0, 1000, &own->self_discharge},
                };
                bool found = false;

                for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !found; i++) {
                        size_t n = strlen(keys[i].name);

                        if (strncmp(word, keys[i].name, n) != 0)
                                continue;
                        found = parse_real(word + n, keys[i].min, keys[i].max, keys[i].target) == 0;
                }
                if (!found)
                        return complain("cell", text, expected);
                given++;
        }
        return given > 0 ? 0 : complain("cell", text, expected);
}

static int parse_start_time(struct options *o, const char *text) {
        unsigned hour, minute;
        int used = 0;

        if (sscanf(text, "%2u:%2u%n", &hour, &minute, &used) != 2 || text[used] != '\0' || hour > 23 ||
            minute > 59)
                return complain("start-time", text, "HH:MM");
        o->simulation.profile.start_hour = hour + minute / 60.0;
        return 0;
}

static int parse_start_date(struct options *o, const char *text) {
        static const int days_before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
        unsigned month, day;
        int used = 0;

        if (sscanf(text, "%2u-%2u%n", &month, &day, &used) != 2 || text[used] != '\0' || month < 1 || month > 12 ||
            day < 1 || (int)day > days_before[month] - days_before[month - 1])
                return complain("start-date", text, "MM-DD");
        o->simulation.profile.start_day = days_before[month - 1] + (int)day - 1;
        return 0;
}

static int parse_dark_days(struct options *o, const char *text) {
        unsigned from, count;
        int used = 0;

        if (strchr(text, '-') || sscanf(text, "%5u,%5u%n", &from, &count, &used) != 2 || text[used] != '\0')
                return complain("dark-days", text, "FROM,COUNT");
        o->simulation.profile.dark_from = (int)from;
        o->simulation.profile.dark_days = (int)count;
        return 0;
}

static int parse_seed(struct options *o, const char *text) {
        char *end;

        errno = 0;
        o->simulation.seed = strtoull(text, &end, 0);
        if (errno != 0 || end == text || *end != '\0' || *text == '-')
                return complain("seed", text, "a whole number");
        return 0;
}

static int parse_speed(struct options *o, const char *text) {
        if (strcmp(text, "max") == 0) {
                o->speed = 0;
                return 0;
        }
        return parse_real(text, 0.01, 10000, &o->speed) < 0 ? complain("speed", text, "max or 0.01..10000")
                                                            : 0;
}

static int parse_period(struct options *o, const char *text) {
        double seconds;

        if (parse_real(text, 0.5, 1, &seconds) < 0 || (seconds != 0.5 && seconds != 1))
                return complain("period", text, "1.0 or 0.5");
        o->simulation.fast = seconds == 0.5;
        return 0;
}

static int parse_v_bypass(struct options *o, const char *text) {
        double volts;

        if (parse_real(text, 0, 5, &volts) < 0 || chain_bypass_switches((int)lround(volts * 1000)) < 0)
                return complain("v-bypass", text, "3.4 3.5 3.6 3.7 4.0 4.1 4.2 or 4.3");
        o->simulation.v_bypass_mv = (int)lround(volts * 1000);
        return 0;
}

static int parse_sensor_type(struct options *o, const char *text) {
        double rating;
        int type = parse_real(text, 1, 2000, &rating) < 0 ? -EINVAL : sensor_type_from_rating((int)rating);

        if (type < 0)
                return complain("sensor-type", text, "25 50 100 250 400 500 1000 or 2000");
        o->simulation.sensor_type = type;
        return 0;
}

static int parse_word(struct options *o, int option, const char *text) {
        struct simulation_config *s = &o->simulation;
        int r;

        switch (option) {
        case OPT_RELAYS:
                r = find_word("relays", text, WORDS("closed", "open"), "closed or open");
                o->relays = r == 1 ? RELAYS_OPEN : RELAYS_CLOSED;
                break;
        case OPT_PROFILE:
                r = find_word("profile", text, WORDS("constant", "day", "year"), "constant, day or year");
                s->profile.kind = r > 0 ? (enum profile_kind)r : PROFILE_CONSTANT;
                break;
        case OPT_MODE:
                r = find_word("mode", text, WORDS("normal", "critical"), "normal or critical");
                s->critical = r == 1;
                break;
        case OPT_BLIND_SPOT:
                r = find_word("blind-spot", text, WORDS("off", "on"), "on or off");
                s->blind_spot = r == 1;
                break;
        case OPT_CODING:
                r = find_word("temperature-coding", text, WORDS("sheet", "legacy"), "sheet or legacy");
                s->coding = r == 1 ? TEMPERATURE_LEGACY : TEMPERATURE_SHEET;
                break;
        case OPT_MODEL:
                r = find_word("cell-model", text, WORDS("plain", "full"), "plain or full");
                s->model = (struct cell_model){r == 1, r == 1, r == 1};
                break;
        case OPT_BOARD:
                r = find_word("board", text, WORDS("in", "out"), "in or out");
                s->board = r == 1 ? BOARD_OUT : BOARD_IN;
                break;
        default:
                r = find_word("tap", text, WORDS("in", "last"), "in or last");
                s->tap = r == 1 ? SIMULATION_TAP_LAST : SIMULATION_TAP_IN;
                break;
        }
        return r < 0 ? r : 0;
}

static int parse_option(struct options *o, int option, const char *text) {
        switch (option) {
        case OPT_SPEED:
                return parse_speed(o, text);
        case OPT_LINK:
                o->link = text;
                return 0;
        case OPT_OUTPUT:
                o->output = text;
                return 0;
        case OPT_BUS:
                o->bus = text;
                return 0;
        case OPT_PACK:
                if (!pack_name_valid(text))
                        return complain("pack", text, PACK_NAME_EXPECTED);
                o->pack = text;
                return 0;
        case OPT_CONTROL:
                o->control = text;
                return 0;
        case OPT_FAULT:
                if (o->n_faults == OPTIONS_FAULTS_MAX)
                        return complain("fault", text, "an end to the faults");
                o->faults[o->n_faults++] = text;
                return 0;
        case OPT_SCENARIO:
                o->scenario = text;
                return 0;
        case OPT_TRUTH:
                o->truth = text;
                return 0;
        case OPT_START_DATE:
                return parse_start_date(o, text);
        case OPT_DARK_DAYS:
                return parse_dark_days(o, text);
        case OPT_CELL:
                return parse_cell(o, text);
        case OPT_START_TIME:
                return parse_start_time(o, text);
        case OPT_SEED:
                return parse_seed(o, text);
        case OPT_PERIOD:
                return parse_period(o, text);
        case OPT_V_BYPASS:
                return parse_v_bypass(o, text);
        case OPT_SENSOR_TYPE:
                return parse_sensor_type(o, text);
        default:
                return parse_word(o, option, text);
        }
}

static int check(struct options *o, bool relays_given) {
        char error[160];

        if (o->link && o->output) {
                (void)fprintf(stderr, "smartbms-sim: --link is for the pseudo terminal, not with --output\n");
                return -EINVAL;
        }
        if (o->bus && relays_given) {
                (void)fprintf(stderr,
                              "smartbms-sim: --relays fixes what --bus would decide: give one of them\n");
                return -EINVAL;
        }
        if (o->bus)
                o->relays = RELAYS_BUS;
        else if (o->simulation.board == BOARD_OUT && !relays_given)
                o->relays = RELAYS_BOARD;
        if (simulation_config_check(&o->simulation, error, sizeof(error)) < 0) {
                (void)fprintf(stderr, "smartbms-sim: %s\n", error);
                return -EINVAL;
        }
        return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options) {
        struct option table[N_NUMBERS + N_NAMED + 1] = {{0}};
        bool relays_given = false;
        struct options o = {.speed = 1, .truth_every_sec = 1, .pack = PACK_NAME_DEFAULT};
        int r, c, n = 0;

        for (int i = 0; i < N_NUMBERS; i++)
                table[n++] = (struct option){numbers[i].name, required_argument, NULL, _OPT_NUMBER + i};
        for (int i = 0; i < N_NAMED; i++) {
                bool plain = named[i].value == OPT_HELP || named[i].value == OPT_VERSION;

                table[n++] = (struct option){named[i].name, plain ? no_argument : required_argument, NULL,
                                             named[i].value};
        }
        simulation_config_init(&o.simulation);
        while ((c = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
                if (c == OPT_HELP) {
                        print_help();
                        return 1;
                }
                if (c == OPT_VERSION) {
                        (void)puts("smartbms-sim " SMARTBMS_VERSION);
                        return 1;
                }
                if (c == '?')
                        return -EINVAL;
                relays_given = relays_given || c == OPT_RELAYS;
                r = c >= _OPT_NUMBER ? set_number(&o, &numbers[c - _OPT_NUMBER], optarg)
                                     : parse_option(&o, c, optarg);
                if (r < 0)
                        return r;
        }
        if (optind < argc) {
                (void)fprintf(stderr, "smartbms-sim: '%s' is no option\n", argv[optind]);
                return -EINVAL;
        }
        r = check(&o, relays_given);
        if (r < 0)
                return r;
        *ret_options = o;
        return 0;
}
