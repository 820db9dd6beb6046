/* SPDX-License-Identifier: MIT */
#include "simulation.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_SIZE 160

static int number(const char *text, double min, double max, double *ret_value, char *ret_answer,
                  size_t size) {
        char *end;
        double value = text ? strtod(text, &end) : NAN;

        if (!text || end == text || *end != '\0' || !(value >= min && value <= max)) {
                (void)snprintf(ret_answer, size, "a number within %g..%g was expected", min, max);
                return -EINVAL;
        }
        *ret_value = value;
        return 0;
}

static int do_clear(struct simulation *s, char **words, char *ret_answer, size_t size) {
        int r = faults_clear(&s->faults, words[1]);

        if (r < 0) {
                (void)snprintf(ret_answer, size, "no fault is named '%s'", words[1]);
                return r;
        }
        (void)snprintf(ret_answer, size, "%d ended", r);
        return 0;
}

static int do_charge(struct simulation *s, char **words, char *ret_answer, size_t size) {
        return number(words[1], 0, 10000, &s->config.profile.charge_a, ret_answer, size);
}

static int do_load(struct simulation *s, char **words, char *ret_answer, size_t size) {
        return number(words[1], 0, 10000, &s->config.profile.load_a, ret_answer, size);
}

static int do_soc(struct simulation *s, char **words, char *ret_answer, size_t size) {
        double soc, cell = 0;
        int r;

        r = number(words[1], CELL_SOC_MIN, CELL_SOC_MAX, &soc, ret_answer, size);
        if (r < 0)
                return r;
        if (words[2]) {
                r = number(words[2], 1, s->config.cells, &cell, ret_answer, size);
                if (r < 0)
                        return r;
        }
        for (int i = 1; i <= CELLS_MAX; i++)
                if (cell == 0 || i == (int)cell)
                        s->cells[i].soc = soc;
        return 0;
}

static int do_status(struct simulation *s, char **words, char *ret_answer, size_t size) {
        int bypassing = 0;

        (void)words;
        for (int i = 1; i <= s->config.cells; i++)
                bypassing += s->cells[i].bypass;
        (void)snprintf(ret_answer, size,
                       "time=%.3f frames=%llu soc=%.3f charge_a=%.3f load_a=%.3f charge=%s load=%s "
                       "bypassing=%d faults=%zu",
                       (double)s->now / 1e6, (unsigned long long)s->frames, simulation_soc(s), s->charge_a,
                       s->load_a, s->charge_closed ? "closed" : "open", s->load_closed ? "closed" : "open",
                       bypassing, s->faults.n);
        return 0;
}

static const struct {
        const char *name;
        int (*run)(struct simulation *s, char **words, char *ret_answer, size_t size);
} verbs[] = {
        {"clear", do_clear}, {"charge", do_charge}, {"load", do_load}, {"soc", do_soc}, {"status", do_status},
};

/* A fault that names a cell which is not there would do nothing, silently. */
static int check_cell(const struct simulation *s, char *ret_answer, size_t size) {
        const struct fault *f = &s->faults.list[s->faults.n - 1];
        bool by_cell = f->kind == FAULT_CUT || f->kind == FAULT_DEAD || f->kind == FAULT_BOARD_FAULT ||
                       f->kind == FAULT_MISSING || f->kind == FAULT_HOT || f->kind == FAULT_COLD ||
                       f->kind == FAULT_TEMPERATURE || f->kind == FAULT_VOLTAGE;

        if (!by_cell || f->args[0] <= s->config.cells)
                return 0;
        (void)snprintf(ret_answer, size, "there are %d cells", s->config.cells);
        return -ERANGE;
}

int simulation_fault(struct simulation *s, const char *spec, char *ret_answer, size_t size) {
        int r = faults_add(&s->faults, s->now, spec, ret_answer, size);

        if (r < 0)
                return r;
        r = check_cell(s, ret_answer, size);
        if (r < 0) {
                s->faults.n--;
                return r;
        }
        return 0;
}

int simulation_command(struct simulation *s, const char *line, char *ret_answer, size_t size) {
        char text[LINE_MAX_SIZE], *words[4] = {NULL}, *state = NULL;
        int n = 0;

        ret_answer[0] = '\0';
        if (strlen(line) >= sizeof(text)) {
                (void)snprintf(ret_answer, size, "a command has fewer than %d characters", LINE_MAX_SIZE);
                return -EINVAL;
        }
        (void)strcpy(text, line);
        for (char *w = strtok_r(text, " \t\r\n", &state); w; w = strtok_r(NULL, " \t\r\n", &state)) {
                if (n == 3) {
                        (void)snprintf(ret_answer, size, "too many words");
                        return -EINVAL;
                }
                words[n++] = w;
        }
        if (n == 0)
                return 0;
        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
                if (strcmp(words[0], verbs[i].name) == 0)
                        return verbs[i].run(s, words, ret_answer, size);
        if (n > 1) {
                (void)snprintf(ret_answer, size, "no command is named '%s' (arguments of a fault follow '=')",
                               words[0]);
                return -EINVAL;
        }
        return simulation_fault(s, words[0], ret_answer, size);
}
