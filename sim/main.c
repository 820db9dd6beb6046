/* SPDX-License-Identifier: MIT */

/* smartbms-sim: a simulated pack on a serial line. Owns the simulation, the port, the control line, the bus, the script
 * and the log of the truth, and gives them time. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "bus.h"
#include "control.h"
#include "options.h"
#include "port.h"
#include "scenario.h"
#include "truth.h"

#define EXIT_USAGE 2
#define STEPS_AT_ONCE 64            /* with --speed max, between looks at the control line */
#define PATIENCE_USEC 1000          /* with --speed max, while nobody reads */
#define LAG_USEC (2 * USEC_PER_SEC) /* further behind than this (suspended): time is not caught up with */

struct manager {
        struct options options;
        struct simulation simulation;
        sd_event *event;
        sd_event_source *timer;
        struct port *port;
        struct control *control;
        struct relay_bus *bus;
        struct scenario *scenario;
        FILE *truth;
        usec_t truth_due;
        uint64_t due; /* CLOCK_MONOTONIC */
        double due_fraction;
};

static int fail(const char *what, int error) {
        (void)fprintf(stderr, "smartbms-sim: %s: %s\n", what, strerror(-error));
        return error;
}

static bool relay_closed(const struct manager *m, bool charge) {
        switch (m->options.relays) {
        case RELAYS_CLOSED:
                return true;
        case RELAYS_OPEN:
                return false;
        case RELAYS_BUS:
                return charge ? relay_bus_charge_closed(m->bus) : relay_bus_load_closed(m->bus);
        case RELAYS_BOARD:
                return charge ? m->simulation.out_board.charge : m->simulation.out_board.load;
        }
        return false;
}

static bool is_over(const struct manager *m) {
        return m->options.duration_sec > 0 && (double)m->simulation.now >= m->options.duration_sec * 1e6;
}

/* The commands of the script that are due. What they answer is of interest only when they fail: too many faults at
 * once is found out only here. 1 when one was "quit": not a frame more. */
static int follow_scenario(struct manager *m) {
        char answer[300];
        const char *command;
        unsigned line;

        while (m->scenario && (command = scenario_next(m->scenario, m->simulation.now, &line))) {
                int r;

                if (strcmp(command, "quit") == 0)
                        return 1;
                r = simulation_command(&m->simulation, command, answer, sizeof(answer));
                if (r >= 0)
                        continue;
                (void)fprintf(stderr, "smartbms-sim: %s: line %u: %s\n", m->options.scenario, line, answer);
                return r;
        }
        return 0;
}

static int log_truth(struct manager *m) {
        if (!m->truth || m->simulation.now < m->truth_due)
                return 0;
        m->truth_due += (usec_t)(m->options.truth_every_sec * 1e6);
        return truth_line(m->truth, &m->simulation);
}

/* 1 when the simulated time is up. */
static int run_step(struct manager *m) {
        uint8_t wire[FAULTS_WIRE_MAX];
        size_t n;
        int r;

        r = is_over(m) ? 1 : follow_scenario(m);
        if (r > 0)
                port_drain(m->port);
        if (r != 0)
                return r;
        n = simulation_step(&m->simulation, relay_closed(m, true), relay_closed(m, false), wire);
        r = log_truth(m);
        if (r < 0)
                return fail(m->options.truth, r);
        r = n > 0 ? port_write(m->port, wire, n) : 0;
        if (r == -EPIPE)
                return 1; /* the reader has seen enough */
        return r < 0 ? fail("cannot write", r) : 0;
}

static int run_fast(struct manager *m, uint64_t *ret_next) {
        for (int i = 0; i < STEPS_AT_ONCE; i++) {
                int r;

                if (!port_ready(m->port)) {
                        *ret_next = PATIENCE_USEC;
                        return 0;
                }
                r = run_step(m);
                if (r != 0)
                        return r;
        }
        *ret_next = 0;
        return 0;
}

/* The next step is due so much after the last one was, not after it ran: nothing adds up. */
static int run_paced(struct manager *m, uint64_t now) {
        double wait = (double)simulation_step_usec(&m->simulation) / m->options.speed + m->due_fraction;
        int r = run_step(m);

        m->due += (uint64_t)wait;
        m->due_fraction = wait - (double)(uint64_t)wait;
        if (now > m->due + LAG_USEC)
                m->due = now;
        return r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct manager *m = userdata;
        uint64_t now, next = 0;
        int r;

        (void)usec;
        r = sd_event_now(m->event, CLOCK_MONOTONIC, &now);
        if (r < 0)
                return fail("no time", r);
        if (m->options.speed > 0)
                r = run_paced(m, now);
        else {
                r = run_fast(m, &next);
                m->due = now + next;
        }
        if (r != 0)
                return sd_event_exit(m->event, r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
        r = sd_event_source_set_time(source, m->due);
        if (r >= 0)
                r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return r;
}

static int on_command(void *userdata, const char *line, char *ret_answer, size_t size) {
        struct manager *m = userdata;

        if (strcmp(line, "quit") == 0) {
                (void)snprintf(ret_answer, size, "bye");
                return sd_event_exit(m->event, EXIT_SUCCESS);
        }
        return simulation_command(&m->simulation, line, ret_answer, size);
}

static int add_faults(struct manager *m) {
        char answer[160];

        for (int i = 0; i < m->options.n_faults; i++) {
                int r = simulation_fault(&m->simulation, m->options.faults[i], answer, sizeof(answer));

                if (r < 0) {
                        (void)fprintf(stderr, "smartbms-sim: --fault %s: %s\n", m->options.faults[i], answer);
                        return r;
                }
        }
        return 0;
}

/* Tries each line on a pack of its own before anything starts: a script that fails in its third week is no script. */
static int check_scenario(struct manager *m) {
        struct simulation *trial = malloc(sizeof(*trial));
        char answer[300];
        const char *command;
        unsigned line;
        usec_t at;
        int r = trial ? 0 : -ENOMEM;

        if (trial)
                *trial = m->simulation;
        for (size_t i = 0; r >= 0 && (command = scenario_get(m->scenario, i, &line, &at)); i++) {
                trial->now = at;
                faults_advance(&trial->faults, at);
                if (strcmp(command, "quit") == 0)
                        continue;
                r = simulation_command(trial, command, answer, sizeof(answer));
                if (r < 0)
                        (void)fprintf(stderr, "smartbms-sim: %s: line %u: %s\n", m->options.scenario, line, answer);
        }
        free(trial);
        return r;
}

static int load_scenario(struct manager *m) {
        char error[200];
        int r;

        if (!m->options.scenario)
                return 0;
        r = scenario_load(m->options.scenario, &m->scenario, error, sizeof(error));
        if (r < 0) {
                (void)fprintf(stderr, "smartbms-sim: %s: %s\n", m->options.scenario, error);
                return r;
        }
        return check_scenario(m);
}

static int open_truth(struct manager *m) {
        int r;

        if (!m->options.truth)
                return 0;
        m->truth = fopen(m->options.truth, "we");
        if (!m->truth)
                return fail(m->options.truth, -errno);
        r = truth_header(m->truth);
        return r < 0 ? fail(m->options.truth, r) : 0;
}

static int open_port(struct manager *m) {
        const struct options *o = &m->options;
        int r;

        if (o->output)
                r = port_open_file(strcmp(o->output, "-") == 0 ? NULL : o->output, &m->port);
        else
                r = port_open_pty(o->link, &m->port);
        if (r < 0)
                return fail(o->output ? o->output : o->link ? o->link : "pseudo terminal", r);
        if (!o->output) {
                (void)printf("%s\n", port_path(m->port));
                (void)fflush(stdout);
        }
        return 0;
}

static int start(struct manager *m) {
        const struct options *o = &m->options;
        bool stdout_taken = o->output && strcmp(o->output, "-") == 0;
        int r;

        r = sd_event_add_signal(m->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGTERM, NULL, NULL);
        if (r < 0)
                return fail("signals", r);
        r = open_truth(m);
        if (r < 0)
                return r;
        r = open_port(m);
        if (r < 0)
                return r;
        if (o->control) {
                r = control_new(m->event, o->control, stdout_taken ? STDERR_FILENO : STDOUT_FILENO,
                                on_command, m, &m->control);
                if (r < 0)
                        return fail(o->control, r);
        }
        if (o->bus) {
                r = relay_bus_new(m->event, o->bus, o->pack, &m->bus);
                if (r < 0)
                        return fail(o->bus, r);
        }
        r = sd_event_now(m->event, CLOCK_MONOTONIC, &m->due);
        if (r >= 0)
                r = sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, m->due, 1, on_timer, m);
        return r < 0 ? fail("timer", r) : 0;
}

static int run(struct manager *m) {
        sigset_t signals;
        int r;

        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGINT);
        (void)sigaddset(&signals, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &signals, NULL);
        (void)signal(SIGPIPE, SIG_IGN);

        r = sd_event_new(&m->event);
        if (r < 0)
                return fail("event loop", r);
        r = start(m);
        return r < 0 ? r : sd_event_loop(m->event);
}

int main(int argc, char **argv) {
        struct manager *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return EXIT_FAILURE;
        r = options_parse(argc, argv, &m->options);
        if (r == 0) {
                simulation_init(&m->simulation, &m->options.simulation);
                r = add_faults(m);
                if (r == 0)
                        r = load_scenario(m);
        }
        if (r != 0) {
                (void)scenario_free(m->scenario);
                free(m);
                return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
        }
        r = run(m);
        (void)sd_event_source_disable_unref(m->timer);
        (void)relay_bus_free(m->bus);
        (void)control_free(m->control);
        (void)port_free(m->port);
        (void)sd_event_unref(m->event);
        (void)scenario_free(m->scenario);
        if (m->truth && fclose(m->truth) != 0)
                r = fail(m->options.truth, -errno);
        free(m);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
