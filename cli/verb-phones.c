/* SPDX-License-Identifier: MIT */

/* pair, phones, phones remove: which phones may look, over Bluetooth. The pairing window is the connection's to the
 * bus: it closes when this program ends, however it does. */

#include <errno.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "when.h"

#define PAIRING SMARTBMS_INTERFACE("Pairing")

#define SECONDS_STANDARD 120

/* After the window's own end. */
#define SLACK_SEC 10

/* ---- pair ----------------------------------------------------------------------------------------------- */

struct report {
        const char *state, *phone, *passkey, *text; /* the reply's */
};

/* The next thing that becomes of the window; *ret_reply keeps it. */
static int next_report(struct client *client, usec_t timeout, sd_bus_message **ret_reply, struct report *ret) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        r = client_new_call(client, PAIRING, "Next", &call);
        if (r == 0)
                r = client_send(client, call, timeout, &reply);
        sd_bus_message_unref(call);
        if (r != 0)
                return r;
        r = sd_bus_message_read(reply, "ssss", &ret->state, &ret->phone, &ret->passkey, &ret->text);
        if (r < 0) {
                sd_bus_message_unref(reply);
                return client_bad_reply(client, r);
        }
        *ret_reply = reply;
        return 0;
}

static void say(const struct report *report, int64_t seconds, bool just_works) {
        const char *phone = report->phone[0] ? report->phone : "a phone";

        if (strcmp(report->state, "opened") == 0)
                printf("a phone may pair for %d s now, %s; Ctrl-C ends it\n", (int)seconds,
                       just_works ? "without a passkey" : "by passkey");
        else if (strcmp(report->state, "passkey") == 0)
                printf("passkey: %s, to be typed on %s\n", report->passkey, phone);
        else if (strcmp(report->state, "refused") == 0)
                printf("refused %s: %s\n", phone, report->text);
        else if (strcmp(report->state, "paired") == 0)
                printf("paired: %s\n", phone);
        fflush(stdout); /* also into a pipe: somebody waits for the passkey */
}

/* Until the window is closed: was a phone paired? */
static int follow(struct cli *c, int64_t seconds) {
        bool paired = false;

        for (;;) {
                const usec_t timeout = (usec_t)(seconds + SLACK_SEC) * USEC_PER_SEC;
                sd_bus_message *reply = NULL;
                struct report report;
                int r;

                r = next_report(&c->client, timeout, &reply, &report);
                if (r != 0)
                        return fail(r, "%s", c->client.error);
                say(&report, seconds, c->options & OPTION_JUST_WORKS);
                paired = paired || strcmp(report.state, "paired") == 0;
                if (strcmp(report.state, "closed") == 0 || strcmp(report.state, "failed") == 0) {
                        r = paired ? EXIT_OK : fail(EXIT_REFUSED, "no phone was paired: %s", report.text);
                        sd_bus_message_unref(reply);
                        return r;
                }
                sd_bus_message_unref(reply);
        }
}

int verb_pair(struct cli *c) {
        const int64_t seconds = c->seconds > 0 ? c->seconds : SECONDS_STANDARD;
        int r;

        r = client_command(&c->client, PAIRING, "Open", CLIENT_CHANGE_TIMEOUT_USEC, "ub", (uint32_t)seconds,
                           c->options & OPTION_JUST_WORKS ? 1 : 0);
        return r == 0 ? follow(c, seconds) : fail(r, "%s", c->client.error);
}

/* ---- phones --------------------------------------------------------------------------------------------- */

struct phone {
        const char *address, *name;
        struct maybe64 paired_sec, used_sec;
        bool connected;
};

static void print_phone(const struct phone *p) {
        char paired[WHEN_MAX], used[WHEN_MAX];

        printf("%-17s  %-16s  %-16s  %-9s  %s\n", p->address,
               p->paired_sec.known ? when_format_minutes(p->paired_sec.value, paired) : "unknown",
               p->used_sec.known ? when_format_minutes(p->used_sec.value, used) : "unknown",
               p->connected ? "yes" : "no", p->name);
}

static void write_time(struct json *j, const char *key, struct maybe64 sec) {
        char text[WHEN_MAX];

        if (sec.known)
                json_string(j, key, when_format_utc(sec.value * (int64_t)USEC_PER_SEC, text));
        else
                json_null(j, key);
}

static void write_phone(struct json *j, const struct phone *p) {
        json_object(j, NULL);
        json_string(j, "address", p->address);
        if (p->name[0])
                json_string(j, "name", p->name);
        else
                json_null(j, "name");
        write_time(j, "paired", p->paired_sec);
        write_time(j, "last_used", p->used_sec);
        json_bool(j, "connected", p->connected);
        json_close_object(j);
}

static int read_phone(sd_bus_message *m, struct phone *ret) {
        int r;

        r = sd_bus_message_enter_container(m, 'r', "ss(bx)(bx)b");
        if (r <= 0)
                return r;
        r = sd_bus_message_read(m, "ss", &ret->address, &ret->name);
        if (r >= 0)
                r = client_read_maybe(m, &ret->paired_sec);
        if (r >= 0)
                r = client_read_maybe(m, &ret->used_sec);
        if (r >= 0)
                r = client_read_bool(m, &ret->connected);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 1;
}

static int show_phones(sd_bus_message *m, struct json *j) {
        struct phone phone;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ss(bx)(bx)b)");
        if (r < 0)
                return r;
        while ((r = read_phone(m, &phone)) > 0) {
                if (!j && n++ == 0)
                        printf("%-17s  %-16s  %-16s  %-9s  %s\n", "ADDRESS", "PAIRED", "LAST USED", "CONNECTED",
                               "NAME");
                if (j)
                        write_phone(j, &phone);
                else
                        print_phone(&phone);
        }
        if (r == 0 && !j && n == 0)
                puts("no phone is paired; pair one: smartbmsctl pair");
        return r;
}

int verb_phones(struct cli *c) {
        sd_bus_message *call = NULL, *reply = NULL;
        struct json j;
        int r;

        r = client_new_call(&c->client, PAIRING, "Phones", &call);
        if (r == 0)
                r = client_send(&c->client, call, CLIENT_READ_TIMEOUT_USEC, &reply);
        sd_bus_message_unref(call);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        if (cli_json(c)) {
                json_begin(&j, stdout, true);
                json_array(&j, NULL);
        }
        r = show_phones(reply, cli_json(c) ? &j : NULL);
        sd_bus_message_unref(reply);
        if (r < 0)
                return fail(client_bad_reply(&c->client, r), "%s", c->client.error);
        if (cli_json(c)) {
                json_close_array(&j);
                json_end(&j);
        }
        return EXIT_OK;
}

/* So that a mistyped one is told from one that is not paired. */
int check_address(struct cli *c) {
        const char *a = c->args[0];

        for (size_t i = 0; i < 17; i++)
                if (i % 3 == 2 ? a[i] != ':' : !a[i] || !strchr("0123456789abcdefABCDEF", a[i]))
                        return fail(EXIT_USAGE, "'%s' is no address; expected one as in smartbmsctl phones: "
                                                "AA:BB:CC:DD:EE:FF",
                                    a);
        return a[17] == '\0' ? 0 : fail(EXIT_USAGE, "'%s' is too long for an address", a);
}

int verb_phones_remove(struct cli *c) {
        const int r = client_command(&c->client, PAIRING, "Remove", CLIENT_CHANGE_TIMEOUT_USEC, "s", c->args[0]);

        if (r != 0)
                return fail(r, "%s", c->client.error);
        printf("phone %s is removed; have the phone forget the gateway, too\n", c->args[0]);
        return EXIT_OK;
}
