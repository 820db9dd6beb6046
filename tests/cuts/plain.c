/* SPDX-License-Identifier: MIT */

/* A program that keeps things as smartbmsd does, reduced to the least: what cuts.py's model of a card is tried on.
 *
 *   plain DIRECTORY full|normal ROUNDS SEED
 *
 * In random order: an event in a table (WAL; synchronous as said), a row of state that is replaced, a settings file
 * (the daemon's own). Each is written down on stdout when it was acknowledged: seconds of CLOCK_BOOTTIME,
 * what, its number. */

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "settings-file.h"

static sqlite3 *db;

static void run(const char *sql) {
        char *error = NULL;

        if (sqlite3_exec(db, sql, NULL, NULL, &error) == SQLITE_OK)
                return;
        (void)fprintf(stderr, "plain: %s: %s\n", sql, error);
        exit(1);
}

static void acknowledge(const char *what, int n) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_BOOTTIME, &ts);
        (void)printf("%lld.%09ld %s %d\n", (long long)ts.tv_sec, ts.tv_nsec, what, n);
        (void)fflush(stdout);
}

static void begin(const char *directory, const char *synchronous) {
        char text[512];

        (void)snprintf(text, sizeof(text), "%s/plain.db", directory);
        if (sqlite3_open(text, &db) != SQLITE_OK)
                exit(1);
        (void)snprintf(text, sizeof(text),
                       "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; "
                       "PRAGMA wal_autocheckpoint = 40; PRAGMA synchronous = %s;"
                       "CREATE TABLE IF NOT EXISTS events (n INTEGER PRIMARY KEY, text TEXT);"
                       "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY, n INTEGER);"
                       "INSERT OR IGNORE INTO state VALUES (1, 0)",
                       synchronous);
        run(text);
}

static void put_event(int n) {
        char text[256];

        (void)snprintf(text, sizeof(text), "INSERT INTO events VALUES (%d, 'event %d %0100d')", n, n, n);
        run(text);
        acknowledge("event", n);
}

static void put_state(int n) {
        char text[128];

        (void)snprintf(text, sizeof(text), "UPDATE state SET n = %d", n);
        run(text);
        acknowledge("state", n);
}

static void put_settings(const char *directory, int n) {
        struct kept_settings k = {.known_cells = 16};
        int r;

        settings_init(&k.values);
        k.values.values[SETTING_CAPACITY] = some(1000 + n);
        (void)snprintf(k.by, sizeof(k.by), "change %d", n);
        r = settings_file_write(directory, &k);
        if (r < 0) {
                (void)fprintf(stderr, "plain: settings: %s\n", strerror(-r));
                exit(1);
        }
        acknowledge("settings", n);
}

int main(int argc, char **argv) {
        unsigned seed;
        int number[3] = {0};

        if (argc < 5)
                return 2;
        seed = (unsigned)strtoul(argv[4], NULL, 10);
        begin(argv[1], argv[2]);
        for (int i = atoi(argv[3]); i > 0; i--) {
                switch (rand_r(&seed) % 4) {
                case 0:
                        put_settings(argv[1], ++number[0]);
                        break;
                case 1:
                        put_state(++number[1]);
                        break;
                default:
                        put_event(++number[2]);
                        break;
                }
                usleep(1000); /* a moment for a cut to fall into */
        }
        return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
