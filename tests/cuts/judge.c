/* SPDX-License-Identifier: MIT */

/* What the daemon would find in each state directory named on stdin, by the daemon's own code; a JSON object a line:
 *
 *   settings  first, good, previous, damaged (settings-file.h); values: what would be in force; by: who changed it
 *             last; pin: its hash
 *   found     a state of an earlier run; at: its time, seconds of CLOCK_BOOTTIME, 0 in another boot; today, total: the
 *             counters, mWh; day; kept: "" or why the latches would not be taken; soc: permyriad, as restored
 *   events    [id, seconds of CLOCK_BOOTTIME, kind, by, key, after, text], oldest first
 *   days      [day, mWh collected]
 *   trouble   what the database's module says of it, "" = nothing; aside: that it has set it aside
 *   integrity SQLite's own word about the file, afterwards: "ok"
 *
 * Without a database file (a cut before there was one) found is false, and integrity "none". */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

#include "kept.h"
#include "names.h"
#include "settings-file.h"
#include "store-internal.h"

static void put_string(const char *text) {
        (void)putchar('"');
        for (; *text; text++)
                if (*text == '"' || *text == '\\')
                        (void)printf("\\%c", *text);
                else if ((unsigned char)*text < 0x20)
                        (void)printf("\\u%04x", *text);
                else
                        (void)putchar(*text);
        (void)putchar('"');
}

static void put_named(const char *name, const char *text) {
        (void)printf(", \"%s\": ", name);
        put_string(text);
}

static bool put_settings(const char *directory) {
        static const char *const states[] = {"first", "good", "previous", "damaged"};
        struct settings defaults;
        struct kept_settings k;
        enum settings_file_state state;
        char text[256];

        settings_init(&defaults);
        if (settings_file_read(directory, &defaults, &k, &state, text, sizeof(text)) < 0)
                return false;
        (void)printf("{\"settings\": \"%s\"", states[state]);
        put_named("by", k.by);
        put_named("pin", k.pin_hash);
        (void)printf(", \"values\": {");
        for (enum setting i = 0; i < _SETTING_MAX; i++) {
                (void)printf("%s\"%s\": ", i > 0 ? ", " : "", setting_info(i)->key);
                if (k.values.values[i].known)
                        (void)printf("%" PRId32, k.values.values[i].value);
                else
                        (void)printf("null");
        }
        (void)printf("}");
        return true;
}

static void put_counters(const struct store_state *s) {
        (void)printf(", \"today\": [");
        for (int i = 0; i < _ENERGY_MAX; i++)
                (void)printf("%s%" PRId64, i > 0 ? ", " : "", s->sums[i].today_mwh);
        (void)printf("], \"total\": [");
        for (int i = 0; i < _ENERGY_MAX; i++)
                (void)printf("%s%" PRId64, i > 0 ? ", " : "", s->sums[i].total_mwh);
        (void)printf("]");
}

/* Would the latches be taken? */
static void put_kept(const struct store_state *s) {
        struct bms_config config = {.cells = 16, .mapped = {true, true}, .await_state = true};
        static struct snapshot snapshot;
        static struct bms bms;
        const usec_t now = clock_now();
        char error[256] = "";

        settings_init(&config.settings);
        config.settings.values[SETTING_CAPACITY] = some(50000);
        bms_init(&bms, now, &config);
        if (bms_restore(&bms, now, s->kept, none64(), error, sizeof(error)) >= 0)
                error[0] = '\0';
        put_named("kept", error);
        bms_snapshot(&bms, now, &snapshot);
        (void)printf(", \"soc\": ");
        if (snapshot.soc_permyriad.known)
                (void)printf("%" PRId32, snapshot.soc_permyriad.value);
        else
                (void)printf("null");
}

static void put_database(const char *directory, struct store_vfs *vfs, const char *boot_id) {
        struct event_record *events = NULL;
        struct day_record *days = NULL;
        struct store_loaded l = {.found = false};
        struct store_outcome o, last;
        struct store_db db;
        size_t n = 0;

        store_db_init(&db, directory, boot_id, vfs);
        store_db_load(&db, &l, &o);
        last = o;
        (void)printf(", \"found\": %s", l.found ? "true" : "false");
        (void)printf(", \"at\": %.6f", (double)clock_boottime(l.state.at) / 1e6);
        put_counters(&l.state);
        (void)printf(", \"day\": %" PRId64, l.state.day.known ? l.state.day.value : -1);
        if (l.found)
                put_kept(&l.state);

        store_db_events(&db, 0, STORE_EVENTS_KEPT, &events, &n, &o);
        if (!last.text[0] && !last.aside[0])
                last = o;
        (void)printf(", \"events\": [");
        for (size_t i = 0; i < n; i++) {
                const struct event *e = &events[i].event;
                const char *parts[] = {event_kind_name(e->kind), e->by, e->key, e->after, e->text};

                (void)printf("%s[%" PRId64 ", %.6f", i > 0 ? ", " : "", events[i].id,
                             (double)clock_boottime(e->at) / 1e6);
                for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
                        (void)printf(", ");
                        put_string(parts[k]);
                }
                (void)printf("]");
        }
        free(events);

        n = 0;
        store_db_days(&db, 1000, &days, &n, &o);
        if (!last.text[0] && !last.aside[0])
                last = o;
        (void)printf("], \"days\": [");
        for (size_t i = 0; i < n; i++)
                (void)printf("%s[%" PRId64 ", %" PRId64 "]", i > 0 ? ", " : "", days[i].day,
                             days[i].row.mwh[ENERGY_COLLECTED]);
        (void)printf("]");
        free(days);
        put_named("trouble", last.text);
        put_named("aside", last.aside);
}

static void put_integrity(const char *path) {
        sqlite3_stmt *s = NULL;
        sqlite3 *db = NULL;
        const char *word = "does not open";

        if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL) == SQLITE_OK &&
            sqlite3_step(s) == SQLITE_ROW)
                word = (const char *)sqlite3_column_text(s, 0);
        put_named("integrity", word ? word : "");
        (void)sqlite3_finalize(s);
        (void)sqlite3_close(db);
}

int main(void) {
        char directory[256], path[300], boot_id[SD_ID128_STRING_MAX];
        struct store_vfs vfs = {.below = NULL};
        sd_id128_t boot;

        if (sd_id128_get_boot(&boot) < 0 || store_vfs_register(&vfs) != SQLITE_OK)
                return 1;
        (void)sd_id128_to_string(boot, boot_id);
        while (fgets(directory, sizeof(directory), stdin)) {
                directory[strcspn(directory, "\n")] = '\0';
                (void)snprintf(path, sizeof(path), "%s/%s", directory, STORE_FILE);
                if (!put_settings(directory))
                        return 1;
                if (access(path, F_OK) == 0) {
                        put_database(directory, &vfs, boot_id);
                        put_integrity(path);
                } else
                        (void)printf(", \"found\": false, \"integrity\": \"none\"");
                (void)printf("}\n");
                (void)fflush(stdout);
        }
        store_vfs_unregister(&vfs);
        return 0;
}
