/* SPDX-License-Identifier: MIT */

/* The tables, as a list of steps from one version to the next: a new database runs all of them, an older one those it
 * lacks. A step that was published is never changed. docs/storage.md describes what comes out. */

#include <stdio.h>

#include "store-internal.h"

/* What minutes and hours have in common (struct history_row). */
#define ROW_COLUMNS                                                                                                  \
        "boot INTEGER NOT NULL, from_usec INTEGER NOT NULL, until_usec INTEGER NOT NULL, "                           \
        "covered_sec INTEGER NOT NULL, soc_permyriad INTEGER, power_mw INTEGER, pack_mv INTEGER, "                   \
        "lowest_mv INTEGER, highest_mv INTEGER, lowest_decic INTEGER, highest_decic INTEGER, "                       \
        "collected_mwh INTEGER NOT NULL, consumed_mwh INTEGER NOT NULL, charged_mwh INTEGER NOT NULL, "              \
        "discharged_mwh INTEGER NOT NULL"

#define WALL(usec) "strftime('%Y-%m-%d %H:%M:%S', (" usec ") / 1000000, 'unixepoch', 'localtime')"

#define ROW_SHOWN                                                                                                    \
        "r.covered_sec, r.soc_permyriad / 100.0 AS soc_percent, r.power_mw / 1000.0 AS power_w, "                    \
        "r.pack_mv / 1000.0 AS pack_v, r.lowest_mv / 1000.0 AS lowest_v, r.highest_mv / 1000.0 AS highest_v, "       \
        "r.lowest_decic / 10.0 AS lowest_c, r.highest_decic / 10.0 AS highest_c, "                                   \
        "r.collected_mwh / 1000.0 AS collected_wh, r.consumed_mwh / 1000.0 AS consumed_wh, "                         \
        "r.charged_mwh / 1000.0 AS charged_wh, r.discharged_mwh / 1000.0 AS discharged_wh"

#define COUNTER(name) name "_today_mwh INTEGER, " name "_total_mwh INTEGER, " name "_remainder INTEGER"

static const struct store_step steps[] = {
        {
                "CREATE TABLE boots (id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE, zero_usec INTEGER);"

                "CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), boot INTEGER, at_usec INTEGER, "
                "day INTEGER, " COUNTER("collected") ", " COUNTER("consumed") ", " COUNTER("charged") ", "
                COUNTER("discharged") ", minutes_next INTEGER NOT NULL, minutes_done INTEGER NOT NULL, "
                "hours_done INTEGER NOT NULL, batch_boot INTEGER, batch_usec INTEGER, kept TEXT);"
                "INSERT INTO state (id, minutes_next, minutes_done, hours_done) VALUES (1, 0, 0, 0);"

                "CREATE TABLE minutes (slot INTEGER PRIMARY KEY, number INTEGER NOT NULL, " ROW_COLUMNS ");"
                /* Each slot as wide as it can get, so that writing it later moves nothing. */
                "WITH RECURSIVE slots(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM slots WHERE n + 1 < 2880) "
                "INSERT INTO minutes SELECT n, -2000000000, -10000, 100000000000000, 100000000000000, 60, 10000, "
                "2000000000, 8000000, 10000, 10000, 1000, 1000, 8000000, 8000000, 8000000, 8000000 FROM slots;"

                "CREATE TABLE hours (id INTEGER PRIMARY KEY, " ROW_COLUMNS ");"

                "CREATE TABLE days (day INTEGER PRIMARY KEY, length_usec INTEGER NOT NULL, "
                "covered_sec INTEGER NOT NULL, soc_permyriad INTEGER, power_mw INTEGER, pack_mv INTEGER, "
                "lowest_mv INTEGER, highest_mv INTEGER, lowest_decic INTEGER, highest_decic INTEGER, "
                "collected_mwh INTEGER NOT NULL, consumed_mwh INTEGER NOT NULL, charged_mwh INTEGER NOT NULL, "
                "discharged_mwh INTEGER NOT NULL);"

                "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, boot INTEGER NOT NULL, "
                "at_usec INTEGER NOT NULL, kind TEXT NOT NULL, subject, rule TEXT, rule_usec INTEGER, "
                "cell INTEGER, value INTEGER, limit_value INTEGER, text TEXT NOT NULL, by TEXT, key TEXT, "
                "before TEXT, after TEXT);"

                "CREATE VIEW events_shown AS SELECT e.id, " WALL("b.zero_usec + e.at_usec") " AS time, e.kind, "
                "e.subject, e.text, e.by, e.key, e.before, e.after, e.rule, e.cell, e.value, e.limit_value "
                "FROM events e JOIN boots b ON b.id = e.boot ORDER BY e.id;"
                "CREATE VIEW minutes_shown AS SELECT " WALL("b.zero_usec + r.from_usec") " AS time, " ROW_SHOWN
                " FROM minutes r JOIN boots b ON b.id = r.boot ORDER BY r.number;"
                "CREATE VIEW hours_shown AS SELECT " WALL("b.zero_usec + r.from_usec") " AS time, " ROW_SHOWN
                " FROM hours r JOIN boots b ON b.id = r.boot ORDER BY r.id;"
                "CREATE VIEW days_shown AS SELECT date(r.day * 86400, 'unixepoch') AS day, "
                "r.length_usec / 3600000000.0 AS length_h, " ROW_SHOWN " FROM days r ORDER BY r.day;"
                "CREATE VIEW state_shown AS SELECT " WALL("b.zero_usec + s.at_usec") " AS time, "
                "date(s.day * 86400, 'unixepoch') AS day, "
                "s.collected_today_mwh / 1000.0 AS collected_today_wh, s.collected_total_mwh / 1000.0 AS "
                "collected_wh, s.consumed_today_mwh / 1000.0 AS consumed_today_wh, s.consumed_total_mwh / 1000.0 "
                "AS consumed_wh, s.charged_today_mwh / 1000.0 AS charged_today_wh, s.charged_total_mwh / 1000.0 AS "
                "charged_wh, s.discharged_today_mwh / 1000.0 AS discharged_today_wh, s.discharged_total_mwh / "
                "1000.0 AS discharged_wh, s.kept FROM state s LEFT JOIN boots b ON b.id = s.boot;",
        },
};

#define N_STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

_Static_assert(STORE_MINUTES == 2880, "as the first step makes them");

int store_schema_version(void) {
        return N_STEPS;
}

int store_schema_migrate_by(struct store_db *db, int from, const struct store_step *list, int n) {
        char sql[128];
        int r;

        r = store_db_exec(db, "BEGIN IMMEDIATE");
        if (r != SQLITE_OK)
                return r;
        for (int i = from; i < n && r == SQLITE_OK; i++)
                r = store_db_exec(db, list[i].sql);
        (void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d", STORE_APPLICATION_ID,
                       n);
        if (r == SQLITE_OK)
                r = store_db_exec(db, sql);
        if (r == SQLITE_OK)
                r = store_db_exec(db, "COMMIT");
        if (r != SQLITE_OK)
                (void)store_db_exec(db, "ROLLBACK"); /* nothing is open if the commit did it itself */
        return r;
}

int store_schema_migrate(struct store_db *db, int from) {
        return store_schema_migrate_by(db, from, steps, N_STEPS);
}
