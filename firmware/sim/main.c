/* SPDX-License-Identifier: MIT */

/* smartbms-boards: a chain of simulated boards that run the real images, in real time or as fast as it can,
 * with what a gateway would hear on a pseudo terminal or in a file. Commands on standard input, or by a
 * script. */

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "boards.h"
#include "command.h"
#include "port.h"
#include "scenario.h"

#define EXIT_USAGE 2
#define CHUNK_S 0.01
#define SENSOR_A 100 /* the manual's default type, with nothing stored */
#define LAG_S 2.0    /* further behind than this: time is not caught up with */

struct program {
        struct boards_config config;
        const char *link, *output, *script, *eeprom, *last;
        double speed, duration_s, soc, capacity_ah, current_a;
        bool modelled, control;
        struct boards *boards;
        struct port *port, *last_port;
        struct scenario *scenario;
};

static volatile sig_atomic_t stop;

static void on_signal(int number) {
        (void)number;
        stop = 1;
}

static const char usage[] =
        "Usage: smartbms-boards --in IMAGE --cell IMAGE [OPTION...]\n"
        "A chain of boards that run their real firmware, simulated.\n"
        "\n"
        "  --cells N           boards, the IN board included (16)\n"
        "  --link PATH         the extended data output, as a pseudo terminal with this link to it\n"
        "  --output FILE       ... or into a file\n"
        "  --last PATH         what the last board sends, as a pseudo terminal likewise\n"
        "  --speed X           times real time; max (1)\n"
        "  --duration SECONDS  of the boards' time; 0 for ever (0)\n"
        "  --seed N            for everything random (1)\n"
        "  --spread PERCENT    of the RC oscillators from the factory (10)\n"
        "  --noise LSB         of the ADCs (0.5)\n"
        "  --soc PERCENT       cells by a battery model, which bypass current drains\n"
        "  --capacity-ah AH    (100)\n"
        "  --current-a A       through them and a sensor of 100 A, charging positive (0)\n"
        "  --eeprom FILE       keep the boards' EEPROMs there\n"
        "  --script FILE       commands with their times, as in smartbms-sim(1)\n"
        "  --control           commands on standard input\n"
        "\n"
        "Commands:\n";

static int complain(const char *what, const char *why) {
        (void)fprintf(stderr, "smartbms-boards: %s: %s\n", what, why);
        return -EINVAL;
}

enum {
        O_IN = 256,
        O_CELL,
        O_CELLS,
        O_LINK,
        O_OUTPUT,
        O_LAST,
        O_SPEED,
        O_DURATION,
        O_SEED,
        O_SPREAD,
        O_NOISE,
        O_SOC,
        O_CAPACITY,
        O_CURRENT,
        O_EEPROM,
        O_SCRIPT,
        O_CONTROL,
        O_HELP
};

static const struct option options[] = {
        {"in", required_argument, NULL, O_IN},
        {"cell", required_argument, NULL, O_CELL},
        {"cells", required_argument, NULL, O_CELLS},
        {"link", required_argument, NULL, O_LINK},
        {"output", required_argument, NULL, O_OUTPUT},
        {"last", required_argument, NULL, O_LAST},
        {"speed", required_argument, NULL, O_SPEED},
        {"duration", required_argument, NULL, O_DURATION},
        {"seed", required_argument, NULL, O_SEED},
        {"spread", required_argument, NULL, O_SPREAD},
        {"noise", required_argument, NULL, O_NOISE},
        {"soc", required_argument, NULL, O_SOC},
        {"capacity-ah", required_argument, NULL, O_CAPACITY},
        {"current-a", required_argument, NULL, O_CURRENT},
        {"eeprom", required_argument, NULL, O_EEPROM},
        {"script", required_argument, NULL, O_SCRIPT},
        {"control", no_argument, NULL, O_CONTROL},
        {"help", no_argument, NULL, O_HELP},
        {NULL, 0, NULL, 0},
};

static int number(const char *name, double from, double to, double *ret) {
        char *end;
        double value = strtod(optarg, &end);

        if (end == optarg || *end || !(value >= from && value <= to))
                return complain(name, optarg);
        *ret = value;
        return 0;
}

static int one_option(struct program *p, int o) {
        double value = 0;
        int r = 0;

        switch (o) {
        case O_IN:
                p->config.in_image = optarg;
                break;
        case O_CELL:
                p->config.cell_image = optarg;
                break;
        case O_CELLS:
                r = number("--cells", 1, BOARDS_MAX, &value);
                p->config.cells = (unsigned)value;
                break;
        case O_LINK:
                p->link = optarg;
                break;
        case O_OUTPUT:
                p->output = optarg;
                break;
        case O_LAST:
                p->last = optarg;
                break;
        case O_SPEED:
                p->speed = 0;
                if (strcmp(optarg, "max") != 0)
                        r = number("--speed", 0.01, 1000, &p->speed);
                break;
        case O_DURATION:
                r = number("--duration", 0, 1e9, &p->duration_s);
                break;
        case O_SEED:
                r = number("--seed", 0, 1e15, &value);
                p->config.seed = (uint64_t)value;
                break;
        case O_SPREAD:
                r = number("--spread", 0, 20, &value);
                p->config.spread = value / 100;
                break;
        case O_NOISE:
                r = number("--noise", 0, 20, &p->config.noise_lsb);
                break;
        case O_SOC:
                p->modelled = true;
                r = number("--soc", 0, 100, &p->soc);
                break;
        case O_CAPACITY:
                r = number("--capacity-ah", 0.01, 10000, &p->capacity_ah);
                break;
        case O_CURRENT:
                r = number("--current-a", -2000, 2000, &p->current_a);
                break;
        case O_EEPROM:
                p->eeprom = optarg;
                break;
        case O_SCRIPT:
                p->script = optarg;
                break;
        case O_CONTROL:
                p->control = true;
                break;
        case O_HELP:
                (void)printf("%s%s", usage, command_help);
                return 1;
        default:
                return -EINVAL;
        }
        return r;
}

static int parse(struct program *p, int argc, char **argv) {
        int o, r;

        *p = (struct program){.config = {.cells = 16,
                                         .seed = 1,
                                         .spread = 0.1,
                                         .noise_lsb = 0.5,
                                         .ambient_c = 25,
                                         .per_degc = 0.0005,
                                         .per_volt = 0.02,
                                         .power_on_s = 1},
                              .speed = 1,
                              .capacity_ah = 100};
        while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
                r = one_option(p, o);
                if (r != 0)
                        return r;
        }
        if (optind != argc)
                return complain("not understood", argv[optind]);
        if (!p->config.in_image || !p->config.cell_image)
                return complain("--in and --cell", "both images are needed");
        return 0;
}

static void on_extended(void *user, double start, double end, uint8_t byte, bool framing_error) {
        struct program *p = user;

        (void)start, (void)end, (void)framing_error;
        if (p->port && port_write(p->port, &byte, 1) < 0)
                stop = 1;
}

static void on_last(void *user, const struct board *b, double start, double bit_s, uint8_t byte) {
        struct program *p = user;

        (void)b, (void)start, (void)bit_s;
        if (port_write(p->last_port, &byte, 1) < 0)
                stop = 1;
}

static int obey(struct program *p, const char *line) {
        static char answer[32768];
        int r = command_run(p->boards, line, answer, sizeof(answer));

        if (answer[0])
                (void)fprintf(r < 0 ? stderr : stdout, "%s\n", answer);
        (void)fflush(stdout);
        return r;
}

/* Lines from standard input; its end is no reason to stop. */
static void listen(struct program *p) {
        static char line[200];
        static size_t used;
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

        while (p->control && poll(&in, 1, 0) > 0) {
                ssize_t n = read(STDIN_FILENO, line + used, 1);

                if (n <= 0) {
                        p->control = false;
                        return;
                }
                if (line[used] != '\n') {
                        used += used < sizeof(line) - 2;
                        continue;
                }
                line[used] = 0;
                used = 0;
                if (strcmp(line, "quit") == 0)
                        stop = 1;
                else
                        (void)obey(p, line); /* it said what was wrong */
        }
}

static int follow(struct program *p) {
        const char *command;
        unsigned line;

        while (p->scenario && (command = scenario_next(p->scenario, (usec_t)(p->boards->now * 1e6), &line))) {
                if (strcmp(command, "quit") == 0)
                        stop = 1;
                else if (obey(p, command) < 0)
                        return -EINVAL;
        }
        return 0;
}

static double clock_s(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int run(struct program *p) {
        double origin = clock_s();
        int r = 0;

        while (!stop && r == 0 && (p->duration_s <= 0 || p->boards->now < p->duration_s)) {
                double ahead;

                listen(p);
                r = follow(p);
                if (r < 0 || stop)
                        break;
                boards_run(p->boards, p->boards->now + CHUNK_S);
                if (p->speed <= 0)
                        continue;
                ahead = origin + p->boards->now / p->speed - clock_s();
                if (ahead > 0)
                        (void)usleep((useconds_t)(ahead * 1e6)); /* a signal may cut it short */
                else if (ahead < -LAG_S)
                        origin -= ahead;
        }
        return r;
}

static int start(struct program *p) {
        char error[300] = "";
        int r = boards_new(&p->config, &p->boards, error, sizeof(error));

        if (r < 0)
                return complain("boards", error);
        if (p->script && scenario_load(p->script, &p->scenario, error, sizeof(error)) < 0)
                return complain(p->script, error);
        if (p->eeprom && (r = boards_load_eeprom(p->boards, p->eeprom)) < 0)
                return complain(p->eeprom, strerror(-r));
        if (p->link)
                r = port_open_pty(p->link, &p->port);
        else if (p->output)
                r = port_open_file(p->output, &p->port);
        if (r == 0 && p->last)
                r = port_open_pty(p->last, &p->last_port);
        if (r < 0)
                return complain("output", strerror(-r));
        p->boards->board[1]->ear.heard = on_extended;
        p->boards->board[1]->ear.user = p;
        p->boards->sensor_a = p->modelled ? SENSOR_A : 0;
        boards_current(p->boards, p->current_a);
        if (p->last) {
                p->boards->board[p->boards->n]->tap = on_last;
                p->boards->board[p->boards->n]->tap_user = p;
        }
        if (p->modelled)
                boards_model(p->boards, p->soc, p->capacity_ah, 1);
        else
                for (unsigned i = 1; i <= p->boards->n; i++)
                        boards_cell(p->boards, i, 3.3, p->config.ambient_c);
        return 0;
}

int main(int argc, char **argv) {
        static struct program p;
        int r = parse(&p, argc, argv);

        if (r != 0)
                return r > 0 ? EXIT_SUCCESS : EXIT_USAGE;
        (void)signal(SIGINT, on_signal);
        (void)signal(SIGTERM, on_signal);
        (void)signal(SIGPIPE, SIG_IGN);
        r = start(&p);
        if (r == 0)
                r = run(&p);
        if (r == 0 && p.eeprom && (r = boards_save_eeprom(p.boards, p.eeprom)) < 0)
                r = complain(p.eeprom, strerror(-r));
        (void)port_free(p.port);
        (void)port_free(p.last_port);
        (void)scenario_free(p.scenario);
        (void)boards_free(p.boards);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
