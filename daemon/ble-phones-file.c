/* SPDX-License-Identifier: MIT */

/* The list of phones on the card: a line for each, replaced whole, on a thread, for a card may stall. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ble-internal.h"
#include "log.h"
#include "small-file.h"

#define FILE_NAME "phones"

static const char heading[] =
        "# smartbmsd: phones that may connect (smartbmsctl phones). Address, its kind, paired and last "
        "seen in seconds since 1970, name\n";

/* ---- text ---------------------------------------------------------------------------------------------- */

static void format_time(struct maybe64 t, char ret[static 24]) {
        if (t.known)
                (void)snprintf(ret, 24, "%" PRId64, t.value);
        else
                (void)snprintf(ret, 24, "-");
}

int ble_phones_format(const struct ble_phone *phones, size_t n, char *ret_text, size_t size) {
        size_t length;
        int k;

        k = snprintf(ret_text, size, "%s", heading);
        length = (size_t)k;
        for (size_t i = 0; i < n && length < size; i++) {
                char paired[24], used[24];

                format_time(phones[i].paired_sec, paired);
                format_time(phones[i].used_sec, used);
                k = snprintf(ret_text + length, size - length, "%s %s %s %s %s\n", phones[i].address,
                             phones[i].random ? "random" : "public", paired, used, phones[i].name);
                length += (size_t)k;
        }
        return length < size ? 0 : -ENOSPC;
}

static bool parse_address(const char *text) {
        for (size_t i = 0; i < BLE_ADDRESS_SIZE - 1; i++)
                if (i % 3 == 2 ? text[i] != ':' : !strchr("0123456789ABCDEF", text[i]) || text[i] == '\0')
                        return false;
        return text[BLE_ADDRESS_SIZE - 1] == '\0';
}

static bool parse_time(const char *text, struct maybe64 *ret) {
        char *end;

        if (strcmp(text, "-") == 0) {
                *ret = none64();
                return true;
        }
        errno = 0;
        *ret = some64(strtoll(text, &end, 10));
        return end != text && *end == '\0' && errno == 0 && ret->value >= 0;
}

/* line is cut into pieces. */
static bool parse_line(char *line, struct ble_phone *ret) {
        char *words[4], *rest = line;
        struct ble_phone p = {0};

        for (size_t i = 0; i < 4; i++) {
                words[i] = strsep(&rest, " ");
                if (!rest)
                        return false;
        }
        if (!parse_address(words[0]) ||
            (strcmp(words[1], "random") != 0 && strcmp(words[1], "public") != 0) ||
            !parse_time(words[2], &p.paired_sec) || !parse_time(words[3], &p.used_sec))
                return false;
        memcpy(p.address, words[0], sizeof(p.address));
        p.random = words[1][0] == 'r';
        ble_clean_text(p.name, sizeof(p.name), rest);
        *ret = p;
        return true;
}

int ble_phones_parse(const char *text, struct ble_phone ret_phones[BLE_PHONES_MAX], size_t *ret_n,
                     char *ret_error, size_t size) {
        struct ble_phone phones[BLE_PHONES_MAX];
        size_t n = 0, number = 0;

        while (*text) {
                const size_t length = strcspn(text, "\n");
                char line[160];

                number++;
                if (length >= sizeof(line) || text[length] == '\0') {
                        (void)snprintf(ret_error, size, "line %zu has no end, or is too long", number);
                        return -EINVAL;
                }
                memcpy(line, text, length);
                line[length] = '\0';
                text += length + 1;
                if (line[0] == '#')
                        continue;
                if (n == BLE_PHONES_MAX || !parse_line(line, &phones[n])) {
                        (void)snprintf(
                                ret_error, size,
                                n == BLE_PHONES_MAX
                                        ? "line %zu: more phones than can be"
                                        : "line %zu: expected address, random or public, two times, name",
                                number);
                        return -EINVAL;
                }
                n++;
        }
        memcpy(ret_phones, phones, n * sizeof(*phones));
        *ret_n = n;
        return 0;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

struct job {
        struct ble *ble;
        char directory[256], text[BLE_PHONES_TEXT_MAX];
        int result;
};

static void run_job(void *userdata) {
        struct job *job = userdata;

        job->result = small_file_replace(job->directory, FILE_NAME, job->text);
}

static void finish_job(void *userdata) {
        struct job *job = userdata;
        struct ble *b = job->ble;

        b->writing = false;
        if (job->result < 0)
                log_error("Bluetooth: the list of phones cannot be written to %s: %s. After the next start "
                          "those paired last "
                          "are strangers",
                          job->directory, strerror(-job->result));
        free(job);
        if (b->write_again && !b->ending)
                ble_phones_file_put(b);
}

void ble_phones_file_put(struct ble *b) {
        struct job *job;
        int r;

        if (b->directory[0] == '\0')
                return;
        b->write_again = b->writing;
        if (b->writing)
                return;
        job = calloc(1, sizeof(*job));
        r = job ? ble_phones_format(b->phones, b->n_phones, job->text, sizeof(job->text)) : -ENOMEM;
        if (r >= 0) {
                job->ble = b;
                memcpy(job->directory, b->directory, sizeof(job->directory));
                r = worker_post(b->worker, run_job, finish_job, job);
        }
        b->writing = r >= 0;
        if (r < 0) {
                log_error("Bluetooth: the list of phones cannot be kept: %s", strerror(-r));
                free(job);
        }
}

static void read_list(struct ble *b) {
        char text[BLE_PHONES_TEXT_MAX + 1], error[128] = "";
        int r;

        r = small_file_read(b->directory, FILE_NAME, text, sizeof(text));
        if (r == -ENOENT)
                return;
        if (r == 0)
                r = ble_phones_parse(text, b->phones, &b->n_phones, error, sizeof(error));
        if (r < 0)
                log_error("Bluetooth: cannot read %s/" FILE_NAME ": %s. No phone may connect until it is paired again",
                          b->directory, error[0] ? error : strerror(-r));
}

int ble_phones_file_start(struct ble *b) {
        if (b->directory[0] == '\0') {
                log_notice("Bluetooth: without a state directory paired phones are forgotten at the end");
                return 0;
        }
        read_list(b);
        return worker_new(b->event, &b->worker);
}

void ble_phones_file_stop(struct ble *b) {
        if (b->write_again) {
                b->writing = false;
                ble_phones_file_put(b);
        }
        if (b->worker && worker_free(b->worker, USEC_PER_SEC) < 0)
                log_error("Bluetooth: the card does not answer: the newest list of phones may not be kept");
        b->worker = NULL;
}
