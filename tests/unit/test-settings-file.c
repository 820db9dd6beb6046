/* SPDX-License-Identifier: MIT */

/* The run-time settings file: what is written is read again; what is damaged is never taken for good; what an owner is
 * told. test-settings-cuts.c has what can go wrong while it is written. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "compose.h"
#include "loop.h"
#include "settings-file.h"
#include "settings-writer.h"

static char directory[64];

static int make_directory(void **state) {
        (void)state;
        strcpy(directory, "/tmp/test-settings-XXXXXX");
        return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
        char command[128];

        (void)state;
        snprintf(command, sizeof(command), "rm -rf '%s'", directory);
        return system(command);
}

static const char *path_of(const char *name) {
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return path;
}

static void put_file(const char *name, const char *text, size_t length) {
        const int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, length), length);
        assert_return_code(close(fd), errno);
}

static bool is_there(const char *name) {
        return access(path_of(name), F_OK) == 0;
}

/* As an owner would have it, vmax telling them apart. */
static struct kept_settings settings_of(int32_t vmax_mv) {
        struct kept_settings k = {.known_cells = 16, .idle_draw_ma = some(177), .by = "uid 1000 over D-Bus"};

        settings_init(&k.values);
        k.values.values[SETTING_CAPACITY] = some(5120);
        k.values.values[SETTING_VMAX] = some(vmax_mv);
        return k;
}

static struct settings defaults(void) {
        struct settings s;

        settings_init(&s);
        s.values[SETTING_VMAX] = some(3611); /* as the config file says */
        return s;
}

static enum settings_file_state read_now(struct kept_settings *k, char text[200]) {
        const struct settings d = defaults();
        enum settings_file_state state;

        assert_int_equal(settings_file_read(directory, &d, k, &state, text, 200), 0);
        return state;
}

static void text_of(const struct kept_settings *k, char text[SETTINGS_FILE_TEXT_MAX]) {
        assert_int_equal(settings_file_format(k, text, SETTINGS_FILE_TEXT_MAX), 0);
}

/* ---- the text --------------------------------------------------------------------------------------------------- */

static void test_readable(void **state) {
        const struct kept_settings k = settings_of(3600);
        char text[SETTINGS_FILE_TEXT_MAX];

        (void)state;
        text_of(&k, text);
        assert_non_null(strstr(text, "\n  vmax: 3.600 V\n"));
        assert_non_null(strstr(text, "\n  capacity: 5120 Wh\n"));
        assert_non_null(strstr(text, "\n  solar_peak: unset\n"));
        assert_non_null(strstr(text, "\nknown_cells: 16\n"));
        assert_non_null(strstr(text, "\nidle_draw: 177 mA\n"));
        assert_null(strstr(text, "pin")); /* none was set */
        assert_null(strstr(text, "unconfirmed"));
        assert_int_equal(settings_file_format(&k, text, 100), -ENOSPC);
}

/* Any values that settings may have, back and forth. */
static void test_round_trip(void **state) {
        uint64_t seed = 7;
        unsigned tried = 0;

        (void)state;
        while (tried < 300) {
                struct kept_settings k = {.known_cells = (uint8_t)(compose_random(&seed) % 254 + 2)}, again;
                char text[SETTINGS_FILE_TEXT_MAX], error[256] = "";

                for (enum setting i = 0; i < _SETTING_MAX; i++) {
                        const struct setting_info *info = setting_info(i);
                        const uint64_t span = (uint64_t)((int64_t)info->max - info->min + 1);
                        const bool unset = info->optional && compose_random(&seed) % 4 == 0;

                        k.values.values[i] = unset ? none() : some(info->min + (int32_t)(compose_random(&seed) % span));
                }
                if (settings_check(&k.values, none(), error, sizeof(error)) < 0)
                        settings_init(&k.values), k.values.values[SETTING_TRIP_FRAMES] = some(1 + (int32_t)(tried % 3));
                tried++;
                if (tried % 2)
                        k.idle_draw_ma = some((int32_t)(compose_random(&seed) % 1000001));
                strcpy(k.by, "uid 0 over D-Bus");
                text_of(&k, text);
                assert_int_equal(settings_file_parse(text, strlen(text), &again, error, sizeof(error)), 0);
                assert_true(settings_equal(&k.values, &again.values));
                assert_int_equal(again.known_cells, k.known_cells);
                assert_int_equal(again.idle_draw_ma.known, k.idle_draw_ma.known);
                assert_int_equal(again.idle_draw_ma.value, k.idle_draw_ma.value);
                assert_string_equal(again.by, k.by);
        }
}

/* Every bit of every byte turned; cut after every byte: never taken. */
static void test_damage_is_seen(void **state) {
        const struct kept_settings k = settings_of(3600);
        char good[SETTINGS_FILE_TEXT_MAX], text[SETTINGS_FILE_TEXT_MAX], error[256];
        struct kept_settings untouched, got;
        size_t length;

        (void)state;
        text_of(&k, good);
        length = strlen(good);
        memset(&untouched, 0x5a, sizeof(untouched));
        for (size_t i = 0; i < length; i++)
                for (int bit = 0; bit < 8; bit++) {
                        memcpy(text, good, length);
                        text[i] = (char)(text[i] ^ 1 << bit);
                        got = untouched;
                        error[0] = '\0';
                        assert_int_equal(settings_file_parse(text, length, &got, error, sizeof(error)), -EINVAL);
                        assert_true(error[0] != '\0');
                        assert_memory_equal(&got, &untouched, sizeof(got));
                }
        for (size_t i = 0; i < length; i++)
                assert_int_equal(settings_file_parse(good, i, &got, error, sizeof(error)), -EINVAL);
}

/* CRC-32 of "123456789" is CBF43926, the check value of the published algorithm. */
static void seal(char *text) {
        uint32_t crc = UINT32_MAX;
        const size_t length = strlen(text);

        for (size_t i = 0; i < length; i++) {
                crc ^= (uint8_t)text[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xEDB88320) : crc >> 1;
        }
        sprintf(text + length, "checksum: %08x\n", (unsigned)~crc);
}

static void test_the_checksum_is_the_published_one(void **state) {
        char text[64] = "123456789";

        (void)state;
        seal(text);
        assert_string_equal(text, "123456789checksum: cbf43926\n");
}

/* With a good checksum, but wrong. */
static void test_refusals(void **state) {
        static const struct {
                const char *text, *words;
        } rows[] = {
                {"settings:\n  vmax: 3.600 V\n", "no version"},
                {"version: 2\n", "expected version 1"},
                {"version: 1\nsettings:\n  vmux: 3.6V\n", "line 3: there is no setting \"vmux\""},
                {"version: 1\nsettings:\n  vmax: 9.9V\n", "line 3: vmax"},
                {"version: 1\nsettings:\n  vmax: 3.5V\n  vmax: 3.6V\n", "twice"},
                {"version: 1\nsettings:\n  vmax: [3.5V]\n", "vmax: expected one value"},
                {"version: 1\nsettings: 3\n", "expected a mapping"},
                {"version: 1\nsettings:\n  vmax: 3.0V\n  vmin: 2.9V\n", "vmin"}, /* 2.9 + 0.2 is not below 3.0 */
                {"version: 1\nknown_cells: 1\n", "line 2: expected a number from 2 to 255"},
                {"version: 1\nknown_cells: 256\n", "from 2 to 255"},
                {"version: 1\nidle_draw: 5 A\n", "expected a number from 0 to 1000000 mA"},
                {"version: 1\nidle_draw: -1 mA\n", "from 0 to"},
                {"version: 1\ncolour: red\n", "\"colour\" is no part"},
                {"- version\n", "no YAML"},
                {"version: 1\n\tx: 1\n", "no YAML"},
                {"", "no version"}, /* a checksum alone is a mapping */
        };
        struct kept_settings k;

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char text[512], error[256] = "";

                strcpy(text, rows[i].text);
                seal(text);
                assert_int_equal(settings_file_parse(text, strlen(text), &k, error, sizeof(error)), -EINVAL);
                if (!strstr(error, rows[i].words))
                        fail_msg("%zu: \"%s\" does not say \"%s\"", i, error, rows[i].words);
        }
}

/* ---- current, previous, trace ----------------------------------------------------------------------------------- */

enum which { MISSING, GOOD, BAD };

static void put_settings(const char *name, enum which which, int32_t vmax_mv) {
        const struct kept_settings k = settings_of(vmax_mv);
        char text[SETTINGS_FILE_TEXT_MAX];

        (void)unlink(path_of(name));
        if (which == MISSING)
                return;
        text_of(&k, text);
        if (which == BAD)
                text[50] ^= 1;
        put_file(name, text, strlen(text));
}

static void test_every_case(void **state) {
        static const struct {
                enum which current, previous;
                bool database;
                enum settings_file_state expected;
                int32_t vmax_mv;
        } rows[] = {
                {MISSING, MISSING, false, SETTINGS_FILE_FIRST, 3611},
                {MISSING, MISSING, true, SETTINGS_FILE_DAMAGED, 3611},
                {MISSING, GOOD, false, SETTINGS_FILE_PREVIOUS, 3500},
                {MISSING, GOOD, true, SETTINGS_FILE_PREVIOUS, 3500},
                {MISSING, BAD, false, SETTINGS_FILE_DAMAGED, 3611},
                {MISSING, BAD, true, SETTINGS_FILE_DAMAGED, 3611},
                {GOOD, MISSING, false, SETTINGS_FILE_GOOD, 3600},
                {GOOD, MISSING, true, SETTINGS_FILE_GOOD, 3600},
                {GOOD, GOOD, false, SETTINGS_FILE_GOOD, 3600},
                {GOOD, GOOD, true, SETTINGS_FILE_GOOD, 3600},
                {GOOD, BAD, false, SETTINGS_FILE_GOOD, 3600},
                {GOOD, BAD, true, SETTINGS_FILE_GOOD, 3600},
                {BAD, MISSING, false, SETTINGS_FILE_DAMAGED, 3611},
                {BAD, MISSING, true, SETTINGS_FILE_DAMAGED, 3611},
                {BAD, GOOD, false, SETTINGS_FILE_PREVIOUS, 3500},
                {BAD, GOOD, true, SETTINGS_FILE_PREVIOUS, 3500},
                {BAD, BAD, false, SETTINGS_FILE_DAMAGED, 3611},
                {BAD, BAD, true, SETTINGS_FILE_DAMAGED, 3611},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const struct kept_settings new = settings_of(3550);
                struct kept_settings k;
                char text[200];

                put_settings(SETTINGS_FILE_NAME, rows[i].current, 3600);
                put_settings(SETTINGS_FILE_NAME ".previous", rows[i].previous, 3500);
                (void)unlink(path_of(SETTINGS_FILE_NAME ".bad"));
                (void)unlink(path_of("smartbms.db"));
                if (rows[i].database)
                        put_file("smartbms.db", "", 0);
                assert_int_equal(read_now(&k, text), rows[i].expected);
                assert_int_equal(settings_get(&k.values, SETTING_VMAX), rows[i].vmax_mv);
                const bool fine = rows[i].expected == SETTINGS_FILE_FIRST || rows[i].expected == SETTINGS_FILE_GOOD;
                assert_int_equal(text[0] == '\0', fine);
                if (!fine) {
                        assert_non_null(strstr(text, SETTINGS_FILE_NAME));
                        assert_non_null(strstr(text, "smartbmsctl settings confirm"));
                        assert_int_equal(k.known_cells, rows[i].expected == SETTINGS_FILE_PREVIOUS ? 16 : 0);
                }
                /* The next write puts it right, and what was bad aside; a good one before it is not lost to a bad
                 * one. */
                assert_int_equal(settings_file_write(directory, &new), 0);
                assert_int_equal(read_now(&k, text), SETTINGS_FILE_GOOD);
                assert_int_equal(settings_get(&k.values, SETTING_VMAX), 3550);
                assert_int_equal(is_there(SETTINGS_FILE_NAME ".bad"), rows[i].current == BAD);
                assert_false(is_there(SETTINGS_FILE_NAME ".new") || is_there(SETTINGS_FILE_NAME ".link"));
                if (rows[i].current == GOOD || rows[i].previous == GOOD) {
                        (void)unlink(path_of(SETTINGS_FILE_NAME));
                        assert_int_equal(read_now(&k, text), SETTINGS_FILE_PREVIOUS);
                        assert_int_equal(settings_get(&k.values, SETTING_VMAX), rows[i].current == GOOD ? 3600 : 3500);
                }
        }
}

/* After the first write its loss is no first start any more. */
static void test_vanished(void **state) {
        const struct kept_settings k = settings_of(3600);
        struct kept_settings got;
        char text[200];

        (void)state;
        assert_int_equal(settings_file_write(directory, &k), 0);
        assert_return_code(unlink(path_of(SETTINGS_FILE_NAME)), errno);
        assert_int_equal(read_now(&got, text), SETTINGS_FILE_PREVIOUS);
        assert_int_equal(settings_get(&got.values, SETTING_VMAX), 3600);
        assert_non_null(strstr(text, "it is gone"));
}

/* Edited by hand: good YAML, old checksum. */
static void test_edited_by_hand(void **state) {
        const struct kept_settings k = settings_of(3600);
        char text[SETTINGS_FILE_TEXT_MAX], why[200];
        struct kept_settings got;

        (void)state;
        assert_int_equal(settings_file_write(directory, &k), 0);
        assert_int_equal(settings_file_write(directory, &k), 0);
        text_of(&k, text);
        memcpy(strstr(text, "3.600 V"), "3.900 V", 7);
        put_file(SETTINGS_FILE_NAME, text, strlen(text));
        assert_int_equal(read_now(&got, why), SETTINGS_FILE_PREVIOUS);
        assert_int_equal(settings_get(&got.values, SETTING_VMAX), 3600);
        assert_non_null(strstr(why, "checksum"));
        assert_non_null(strstr(text, "settings import FILE")); /* the file's own first lines say what to do instead */
}

/* The whole sentence fits an alarm, wherever the file is: what is wrong, what holds, and both ways out. */
static void test_sentences(void **state) {
        static const struct {
                enum which current, previous;
                const char *words[2];
        } rows[] = {
                {BAD, GOOD, {"wrong checksum (damaged or edited)", "Those before are in force"}},
                {BAD, BAD, {"wrong checksum (damaged or edited)", "The config's are in force"}},
                {MISSING, GOOD, {"it is gone", "Those before are in force"}},
                {MISSING, BAD, {"it is gone", "The config's are in force"}},
        };
        char above[64], deep[300], text[160];

        (void)state;
        strcpy(above, directory);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                for (int depth = 0; depth < 2; depth++) { /* a usual path, and one that has no room beside the rest */
                        const struct settings d = defaults();
                        enum settings_file_state found;
                        struct kept_settings k;

                        put_settings(SETTINGS_FILE_NAME, rows[i].current, 3600);
                        put_settings(SETTINGS_FILE_NAME ".previous", rows[i].previous, 3500);
                        snprintf(deep, sizeof(deep), "%s", above);
                        for (int j = 0; j < 60 * depth; j++)
                                strcat(deep, "/.");
                        assert_int_equal(settings_file_read(deep, &d, &k, &found, text, sizeof(text)), 0);
                        assert_non_null(strstr(text, SETTINGS_FILE_NAME ": "));
                        assert_int_equal(strstr(text, above) != NULL, depth == 0);
                        for (size_t j = 0; j < 2; j++)
                                if (!strstr(text, rows[i].words[j]))
                                        fail_msg("\"%s\" does not say \"%s\"", text, rows[i].words[j]);
                        assert_non_null(strstr(text, "smartbmsctl settings confirm"));
                        assert_string_equal(strstr(text, ", or settings import"), ", or settings import FILE");
                }
}

/* After a loss everything that is written, learned cells for one, is as unconfirmed as what was read; only the owner's
 * word ends it. A daemon that is started again in between must not take it for confirmed. */
static void test_unconfirmed_outlives_a_write(void **state) {
        static const struct {
                enum which current, previous;
                int32_t vmax_mv;
        } rows[] = {{BAD, GOOD, 3500}, {BAD, BAD, 3611}, {MISSING, GOOD, 3500}, {MISSING, BAD, 3611}};
        struct kept_settings k;
        char text[200];

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                put_settings(SETTINGS_FILE_NAME, rows[i].current, 3600);
                put_settings(SETTINGS_FILE_NAME ".previous", rows[i].previous, 3500);
                (void)read_now(&k, text);
                assert_true(k.unconfirmed);
                for (uint8_t cells = 7; cells < 10; cells++) {
                        k.known_cells = cells;
                        assert_int_equal(settings_file_write(directory, &k), 0);
                        assert_int_equal(read_now(&k, text), SETTINGS_FILE_PREVIOUS);
                        assert_non_null(strstr(text, "not confirmed yet. Its settings are in force"));
                        assert_int_equal(k.known_cells, cells);
                        assert_int_equal(settings_get(&k.values, SETTING_VMAX), rows[i].vmax_mv);
                        assert_true(k.unconfirmed);
                }
                k.unconfirmed = false;
                assert_int_equal(settings_file_write(directory, &k), 0);
                assert_int_equal(read_now(&k, text), SETTINGS_FILE_GOOD);
                assert_false(k.unconfirmed);
        }
}

/* Written by a version that did not know vmax: it is as in the config file. */
static void test_of_an_older_version(void **state) {
        char text[512] = "version: 1\nsettings:\n  vmin: 2.900 V\n";
        struct kept_settings k;
        char error[200];

        (void)state;
        seal(text);
        put_file(SETTINGS_FILE_NAME, text, strlen(text));
        assert_int_equal(read_now(&k, error), SETTINGS_FILE_GOOD);
        assert_int_equal(settings_get(&k.values, SETTING_VMIN), 2900);
        assert_int_equal(settings_get(&k.values, SETTING_VMAX), 3611);
        assert_int_equal(settings_get(&k.values, SETTING_TMAX), 550);
}

static void test_no_directory(void **state) {
        const struct settings d = defaults();
        enum settings_file_state found;
        struct kept_settings k;
        char text[200];

        (void)state;
        assert_int_equal(settings_file_read("/nonexistent/x", &d, &k, &found, text, sizeof(text)), -ENOENT);
        assert_int_equal(found, SETTINGS_FILE_DAMAGED);
        assert_int_equal(settings_get(&k.values, SETTING_VMAX), 3611);
        assert_non_null(strstr(text, "/nonexistent/x"));
        assert_int_equal(settings_file_write("/nonexistent/x", &k), -ENOENT);
}

/* A huge file, a directory, a link in its place: bad, not fatal. */
static void test_foreign_things(void **state) {
        static char big[SETTINGS_FILE_TEXT_MAX + 1];
        struct kept_settings k;
        char text[200];

        (void)state;
        memset(big, 'x', sizeof(big));
        put_file(SETTINGS_FILE_NAME, big, sizeof(big));
        assert_int_equal(read_now(&k, text), SETTINGS_FILE_DAMAGED);
        assert_return_code(unlink(path_of(SETTINGS_FILE_NAME)), errno);
        assert_return_code(symlink("/etc/passwd", path_of(SETTINGS_FILE_NAME)), errno);
        assert_int_equal(read_now(&k, text), SETTINGS_FILE_DAMAGED);
        assert_return_code(unlink(path_of(SETTINGS_FILE_NAME)), errno);
        assert_return_code(mkdir(path_of(SETTINGS_FILE_NAME), 0700), errno);
        assert_int_equal(read_now(&k, text), SETTINGS_FILE_DAMAGED);
        assert_return_code(rmdir(path_of(SETTINGS_FILE_NAME)), errno);
}

/* ---- on its thread ---------------------------------------------------------------------------------------------- */

struct told {
        unsigned done, ok, timed_out, faults;
        char fault[200];
};

static void on_done(void *userdata, int result) {
        struct told *t = userdata;

        t->done++;
        t->ok += result == 0;
        t->timed_out += result == -ETIMEDOUT;
}

static void on_fault(void *userdata, const char *text) {
        struct told *t = userdata;

        t->faults++;
        snprintf(t->fault, sizeof(t->fault), "%s", text);
}

static void test_writer(void **state) {
        struct settings_writer *w = NULL;
        struct kept_settings got;
        sd_event *event = NULL;
        struct told told = {0};
        char text[200];

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        for (int i = 0; i < 20; i++) { /* many at once: few writes, all answered */
                const struct kept_settings k = settings_of(3600 - 5 * i);

                settings_writer_put(w, &k, on_done, &told);
        }
        assert_true(loop_until(event, &told.done, 20, 5 * USEC_PER_SEC));
        assert_int_equal(told.ok, 20);
        assert_int_equal(read_now(&got, text), SETTINGS_FILE_GOOD);
        assert_int_equal(settings_get(&got.values, SETTING_VMAX), 3505);

        /* The last one is written by the end, though nobody ran the loop. */
        for (int i = 0; i < 3; i++) {
                const struct kept_settings k = settings_of(3400 + 10 * i);

                settings_writer_put(w, &k, NULL, NULL);
        }
        assert_null(settings_writer_free(w, 5 * USEC_PER_SEC));
        assert_int_equal(read_now(&got, text), SETTINGS_FILE_GOOD);
        assert_int_equal(settings_get(&got.values, SETTING_VMAX), 3420);
        assert_int_equal(told.faults, 0);
        sd_event_unref(event);
}

/* The directory is away for some seconds: told within 3 s, an alarm, and written when it is back. */
static void test_trouble_and_recovery(void **state) {
        const struct kept_settings k = settings_of(3600);
        struct settings_writer *w = NULL;
        char elsewhere[80], text[200];
        struct kept_settings got;
        sd_event *event = NULL;
        struct told told = {0};
        usec_t before;

        (void)state;
        snprintf(elsewhere, sizeof(elsewhere), "%s-away", directory);
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        assert_return_code(rename(directory, elsewhere), errno);
        before = clock_now();
        settings_writer_put(w, &k, on_done, &told);
        assert_true(loop_until(event, &told.faults, 1, USEC_PER_SEC));
        assert_non_null(strstr(told.fault, "cannot be written"));
        assert_true(loop_until(event, &told.done, 1, 4 * USEC_PER_SEC));
        assert_int_equal(told.timed_out, 1);
        assert_true(clock_now() - before >= 3 * USEC_PER_SEC);
        assert_return_code(rename(elsewhere, directory), errno);
        assert_true(loop_until(event, &told.faults, 2, 4 * USEC_PER_SEC));
        assert_string_equal(told.fault, "");
        assert_int_equal(told.done, 1);
        assert_int_equal(read_now(&got, text), SETTINGS_FILE_GOOD);
        assert_null(settings_writer_free(w, USEC_PER_SEC));
        sd_event_unref(event);
}

static void test_pin(void **state) {
        const struct kept_settings k = settings_of(3600);
        char hash[PIN_HASH_MAX], other[PIN_HASH_MAX], text[200];
        struct settings_writer *w = NULL;
        struct kept_settings got;
        sd_event *event = NULL;
        struct told told = {0};

        (void)state;
        assert_true(pin_matches("1234", "") && !pin_matches("1235", "") && !pin_matches("", ""));
        assert_false(pin_well_formed("123") || pin_well_formed("123456789") || pin_well_formed("12 4") ||
                     pin_well_formed("-1234"));
        assert_true(pin_well_formed("0000") && pin_well_formed("12345678"));
        assert_int_equal(pin_hash("123", hash), -EINVAL);
        assert_int_equal(pin_hash("1234", hash), 0);
        assert_string_equal(hash, "");
        assert_int_equal(pin_hash("98765", hash), 0);
        assert_int_equal(pin_hash("98765", other), 0);
        assert_true(strcmp(hash, other) != 0); /* salted */
        assert_null(strstr(hash, "98765"));
        assert_true(pin_matches("98765", hash) && pin_matches("98765", other));
        assert_false(pin_matches("98764", hash) || pin_matches("1234", hash) || pin_matches("9876", hash));

        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        settings_writer_put_pin(w, &k, "24680", on_done, &told);
        settings_writer_put(w, &k, on_done, &told); /* does not lose it */
        assert_true(loop_until(event, &told.done, 2, 10 * USEC_PER_SEC));
        settings_writer_put(w, &k, on_done, &told);
        assert_true(loop_until(event, &told.done, 3, 10 * USEC_PER_SEC));
        assert_int_equal(told.ok, 3);
        assert_null(settings_writer_free(w, USEC_PER_SEC));
        assert_int_equal(read_now(&got, text), SETTINGS_FILE_GOOD);
        assert_true(pin_matches("24680", got.pin_hash) && !pin_matches("1234", got.pin_hash));
        sd_event_unref(event);
}

static void count(void *userdata) {
        unsigned *n = userdata;

        (*n)++;
}

/* A PIN holds as soon as it is hashed: also when the card refuses it, and without a directory. */
static void test_pin_in_force(void **state) {
        const struct kept_settings k = settings_of(3600);
        struct settings_writer *w = NULL;
        char elsewhere[80], text[200];
        struct kept_settings got;
        sd_event *event = NULL;
        struct told told = {0};
        unsigned changed = 0;

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, "", "", on_fault, &told, &w), 0);
        settings_writer_watch_pin(w, count, &changed);
        settings_writer_put(w, &k, on_done, &told);
        assert_int_equal(told.ok, 1); /* at once */
        assert_string_equal(settings_writer_pin_hash(w), "");
        settings_writer_put_pin(w, &k, "24680", on_done, &told);
        assert_true(loop_until(event, &told.done, 2, 10 * USEC_PER_SEC));
        assert_int_equal(told.ok, 2);
        assert_int_equal(changed, 1);
        assert_true(pin_matches("24680", settings_writer_pin_hash(w)));
        assert_null(settings_writer_free(w, USEC_PER_SEC));

        told = (struct told){0};
        snprintf(elsewhere, sizeof(elsewhere), "%s-away", directory);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        settings_writer_watch_pin(w, count, &changed);
        assert_return_code(rename(directory, elsewhere), errno);
        settings_writer_put_pin(w, &k, "13579", on_done, &told);
        assert_true(loop_until(event, &told.faults, 1, 2 * USEC_PER_SEC));
        assert_int_equal(told.done, 0);
        assert_int_equal(changed, 2);
        assert_true(pin_matches("13579", settings_writer_pin_hash(w)));
        settings_writer_put_pin(w, &k, "97531", on_done, &told); /* while it waits to try again */
        assert_true(loop_until(event, &changed, 3, USEC_PER_SEC));
        assert_true(pin_matches("97531", settings_writer_pin_hash(w)));
        assert_return_code(rename(elsewhere, directory), errno);
        assert_true(loop_until(event, &told.faults, 3, 8 * USEC_PER_SEC));
        assert_string_equal(told.fault, "");
        assert_int_equal(changed, 3); /* not once more */
        assert_null(settings_writer_free(w, USEC_PER_SEC));
        assert_int_equal(read_now(&got, text), SETTINGS_FILE_GOOD);
        assert_true(pin_matches("97531", got.pin_hash));
        sd_event_unref(event);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_readable),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_damage_is_seen),
                cmocka_unit_test(test_the_checksum_is_the_published_one),
                cmocka_unit_test(test_refusals),
                IN_DIRECTORY(test_every_case),
                IN_DIRECTORY(test_vanished),
                IN_DIRECTORY(test_edited_by_hand),
                IN_DIRECTORY(test_sentences),
                IN_DIRECTORY(test_unconfirmed_outlives_a_write),
                IN_DIRECTORY(test_of_an_older_version),
                cmocka_unit_test(test_no_directory),
                IN_DIRECTORY(test_foreign_things),
                IN_DIRECTORY(test_writer),
                IN_DIRECTORY(test_trouble_and_recovery),
                IN_DIRECTORY(test_pin),
                IN_DIRECTORY(test_pin_in_force),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
