/* SPDX-License-Identifier: MIT */

/* The Bluetooth door alone, with a person (or a test) at stdin in the manager's place.
 *
 * Usage: ble-alone BUS CONFIG STATE-DIRECTORY
 *
 * Lines on stdin: "pair SECONDS passkey|just-works", "close", "phones", "remove ADDRESS", "remove-all", "soc
 * PERMYRIAD" (which publishes, too). What the door calls back with is written to stdout, a line each; "ok"
 * and "refused SENTENCE" answer a command. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ble.h"
#include "clock.h"
#include "log.h"

struct alone {
        sd_event *event;
        struct ble *ble;
        struct snapshot snapshot;
};

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        putchar('\n');
        fflush(stdout);
}

static void on_view(void *userdata, struct phone_view *ret_view) {
        struct alone *a = userdata;

        *ret_view = (struct phone_view){.now = clock_now(),
                                        .wall_sec = some64(1700000000),
                                        .version = "1.2.3",
                                        .snapshot = &a->snapshot};
}

static void on_ask(void *userdata, const char *phone, const struct phone_ask *ask, uint64_t token) {
        (void)userdata;
        say("ask %s %d %" PRIu64 " %s", phone, (int)ask->kind, token, ask->pin);
}

static void on_event(void *userdata, const char *sentence) {
        (void)userdata;
        say("event %s", sentence);
}

static void on_window(void *userdata, const struct ble_report *r) {
        static const char *const words[] = {"opened", "passkey", "paired", "refused", "closed", "failed"};

        (void)userdata;
        if (r->state == BLE_WINDOW_PASSKEY)
                say("passkey %s %06" PRIu32, r->phone, r->passkey);
        else
                say("%s %s %s", words[r->state], r->phone ? r->phone : "-", r->sentence ? r->sentence : "");
}

static void say_phones(struct alone *a) {
        struct ble_phone phones[BLE_PHONES_MAX];
        const size_t n = ble_phones(a->ble, phones);

        for (size_t i = 0; i < n; i++)
                say("phone %s %s %" PRId64 " %s %s", phones[i].address,
                    phones[i].random ? "random" : "public", phones[i].used_sec.value,
                    phones[i].connected ? "connected" : "away", phones[i].name);
        say("ok");
}

static void command(struct alone *a, char *line) {
        char error[256] = "", word[32] = "", argument[32] = "", second[32] = "";
        int r = 0;

        (void)sscanf(line, "%31s %31s %31s", word, argument, second);
        if (strcmp(word, "pair") == 0)
                r = ble_pair(a->ble, (unsigned)atoi(argument), strcmp(second, "just-works") == 0, error,
                             sizeof(error));
        else if (strcmp(word, "close") == 0)
                ble_close_window(a->ble);
        else if (strcmp(word, "phones") == 0) {
                say_phones(a);
                return;
        } else if (strcmp(word, "remove") == 0)
                r = ble_remove_phone(a->ble, argument);
        else if (strcmp(word, "remove-all") == 0)
                ble_remove_all_phones(a->ble);
        else if (strcmp(word, "soc") == 0) {
                a->snapshot.soc_permyriad = some(atoi(argument));
                a->snapshot.serial++;
                a->snapshot.at = clock_now();
                ble_publish(a->ble);
        } else if (strcmp(word, "answer") == 0) {
                const struct phone_answer answer = {.result = (enum phone_result)atoi(second)};

                ble_answer(a->ble, strtoull(argument, NULL, 10), &answer);
        } else
                r = -1;
        if (r < 0)
                say("refused %d %s", r, error);
        else
                say("ok");
}

static int on_line(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct alone *a = userdata;
        static char line[256];
        static size_t n;
        char c;

        (void)s, (void)events;
        if (read(fd, &c, 1) != 1) {
                ble_close_window(a->ble);
                return sd_event_exit(a->event, 0);
        }
        if (c != '\n') {
                if (n + 1 < sizeof(line))
                        line[n++] = c;
                return 0;
        }
        line[n] = '\0';
        n = 0;
        command(a, line);
        return 0;
}

int main(int argc, char *argv[]) {
        const struct ble_callbacks callbacks = {on_view, on_ask, on_event, on_window, NULL};
        struct ble_callbacks mine = callbacks;
        static struct alone a;
        struct config config;
        char *error = NULL;
        int r;

        if (argc != 4) {
                fprintf(stderr, "Usage: ble-alone BUS CONFIG STATE-DIRECTORY\n");
                return 2;
        }
        log_open();
        log_set_max_level(LOG_INFO);
        r = config_load(argv[2], &config, &error);
        if (r < 0) {
                fprintf(stderr, "%s\n", error);
                return 1;
        }
        snprintf(config.state_directory, sizeof(config.state_directory), "%s", argv[3]);
        mine.userdata = &a;
        a.snapshot.settings = config.bms.settings;
        r = sd_event_default(&a.event);
        if (r >= 0)
                r = ble_new(a.event, argv[1], &config, &mine, &a.ble);
        if (r >= 0)
                r = sd_event_add_io(a.event, NULL, 0, EPOLLIN, on_line, &a);
        if (r >= 0)
                r = sd_event_loop(a.event);
        ble_free(a.ble);
        sd_event_unref(a.event);
        return r == 0 ? 0 : 1;
}
