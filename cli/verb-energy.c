/* SPDX-License-Identifier: MIT */

/* energy, energy clear: the counters, and the days they were kept for. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "document.h"
#include "format.h"
#include "record-columns.h"
#include "when.h"

#define PERIODS (OPTION_TODAY | OPTION_DAYS | OPTION_TOTAL)

int check_energy(struct cli *c) {
        const unsigned given = c->options & PERIODS;

        return given & (given - 1) ? fail(EXIT_USAGE, "one of --today, --days and --total, not several") : 0;
}

/* Both columns, or the one that was asked for. */
static void print_counters(const struct cli *c, const struct reading *r) {
        static const char *const rows[] = {"Collected", "Consumed", "Charged", "Discharged"};
        const bool today = !(c->options & OPTION_TOTAL), total = !(c->options & OPTION_TODAY);
        char text[FORMAT_MAX], property[32];

        printf("%-12s", "");
        if (today)
                printf(" %14s", "today");
        if (total)
                printf(" %14s", "total");
        putchar('\n');
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                printf("%-12s", rows[i]);
                snprintf(property, sizeof(property), "%sToday", rows[i]);
                if (today)
                        printf(" %14s", format_energy(reading_number(r, property), text));
                snprintf(property, sizeof(property), "%sTotal", rows[i]);
                if (total)
                        printf(" %14s", format_energy(reading_number(r, property), text));
                putchar('\n');
        }
        printf("%-12s %14s\n", "Stored", format_energy(reading_number(r, "Stored"), text));
        if (reading_stale(r))
                printf("The newest readings are old (link %s): nothing is counted now.\n",
                       reading_text(r, "LinkState"));
}

static int show_counters(struct cli *c) {
        struct reading reading;
        struct json j;
        int r;

        r = reading_fetch(&c->client, &reading);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        if (cli_json(c)) {
                json_begin(&j, stdout, true);
                json_object(&j, NULL);
                json_string(&j, "link_state", reading_text(&reading, "LinkState"));
                document_group(&j, GROUP_ENERGY, &reading);
                json_close_object(&j);
                json_end(&j);
        } else {
                print_counters(c, &reading);
        }
        return reading_stale(&reading) ? EXIT_DATA_STALE : EXIT_OK;
}

static void write_days(const struct records *days) {
        char date[WHEN_MAX];
        struct json j;

        json_begin(&j, stdout, true);
        json_object(&j, NULL);
        json_array(&j, "days");
        for (size_t i = 0; i < days->n; i++) {
                json_object(&j, NULL);
                json_string(&j, "date", when_format_day(days->rows[i].day, date));
                json_bool(&j, "today", days->rows[i].today);
                record_write(&j, &days->rows[i]);
                json_close_object(&j);
        }
        json_close_array(&j);
        json_close_object(&j);
        json_end(&j);
}

static void print_energies(const char *label, const int64_t mwh[static _ENERGY_MAX]) {
        char text[FORMAT_MAX];

        printf("%-10s", label);
        for (int k = 0; k < _ENERGY_MAX; k++)
                printf(" %10s", format_energy(some64(mwh[k]), text));
}

static void print_days(const struct records *days) {
        int64_t sums[_ENERGY_MAX] = {0};
        char date[WHEN_MAX], low[FORMAT_MAX], high[FORMAT_MAX], soc[FORMAT_MAX], heard[FORMAT_MAX];

        printf("%-10s %10s %10s %10s %10s  %-16s %7s\n", "day", "collected", "consumed", "charged", "discharged",
               "cells", "SOC");
        for (size_t i = 0; i < days->n; i++) {
                const struct record *day = &days->rows[i];
                const uint64_t length = day->length_usec / USEC_PER_SEC;

                print_energies(day->today ? "today" : when_format_day(day->day, date), day->mwh);
                printf("  %5s to %5s V %7s", format_number(day->lowest_mv, 3, 3, low),
                       format_number(day->highest_mv, 3, 3, high), format_quantity(day->soc_permyriad, 2, 1, "%", soc));
                /* a day of which a good part was not heard is not as it looks */
                if ((uint64_t)day->covered_sec * 20 < length * 19)
                        printf("  %s heard", format_quantity(some64((int64_t)day->covered_sec * 10 / 3600), 1, 1, "h",
                                                             heard));
                putchar('\n');
                for (int k = 0; k < _ENERGY_MAX; k++)
                        sums[k] += day->mwh[k];
        }
        if (days->n > 1) {
                print_energies("together", sums);
                putchar('\n');
        }
        if (days->n == 0)
                puts("no day is kept yet");
}

static int show_days(struct cli *c) {
        struct records days;
        int r;

        r = records_fetch_days(&c->client, (uint32_t)c->days, &days);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        if (cli_json(c))
                write_days(&days);
        else
                print_days(&days);
        records_done(&days);
        return EXIT_OK;
}

int verb_energy(struct cli *c) {
        return c->options & OPTION_DAYS ? show_days(c) : show_counters(c);
}

/* A question is for a person; a script says --yes. */
int check_clear(struct cli *c) {
        return c->options & OPTION_YES || isatty(STDIN_FILENO)
                       ? 0
                       : fail(EXIT_USAGE, "energy clear needs --yes where there is no terminal to ask on");
}

static bool is_sure(void) {
        char answer[16];

        fputs("This sets the energy totals to 0, for good. Type yes to do it: ", stdout);
        fflush(stdout);
        if (!fgets(answer, sizeof(answer), stdin))
                return false;
        answer[strcspn(answer, "\n")] = '\0';
        return strcmp(answer, "yes") == 0;
}

int verb_energy_clear(struct cli *c) {
        int r;

        if (!(c->options & OPTION_YES) && !is_sure())
                return fail(EXIT_REFUSED, "nothing was changed");
        r = client_command(&c->client, SMARTBMS_INTERFACE("Energy"), "Clear", CLIENT_CHANGE_TIMEOUT_USEC, "");
        if (r != 0)
                return fail(r, "%s", c->client.error);
        puts("the energy totals begin at 0; today goes on");
        return EXIT_OK;
}
