/* SPDX-License-Identifier: MIT */

/* What the database costs a card (design 9), and how large it gets.
 *
 *   card-budget day [DIRECTORY]       a day's commits: one each 50 s with the state and the minutes, and 50 events;
 *                                     bytes as the kernel counts them (write_bytes of /proc/self/io: DIRECTORY
 *                                     must be on a disk for that), bytes and syncs as SQLite asks for them
 *   card-budget years N [DIRECTORY]   N years of minutes, days and 50 events a day, as fast as it goes: the file's
 *                                     size
 *
 * Fails beyond 2,100 syncs a day, beyond 15 MB a day (where the kernel counted any), and beyond 6 MB of file. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/compose.h"
#include "store-internal.h"

#define COMMITS_A_DAY (USEC_PER_DAY / STORE_COMMIT_USEC)
#define EVENTS_A_DAY 50
#define MINUTES_A_DAY 1440
#define START (CLOCK_EPOCH_USEC + USEC_PER_HOUR)
#define BOOT "00112233445566778899aabbccddeeff"

struct card {
        char directory[200];
        bool made;
        struct store_vfs vfs;
        struct store_db db;
        struct store_outcome outcome;
        struct store_state state;
};

static void die(const char *what) {
        (void)fprintf(stderr, "card-budget: %s\n", what);
        exit(EXIT_FAILURE);
}

/* As a pack looks that was full at noon, with all that is kept of it. */
static void make_state(struct store_state *ret) {
        const struct compose_cell cells[4] = {{700, 296}, {701, 296}, {700, 297}, {702, 296}};
        struct bms_config config = {.cells = 4, .blind_spot_ma = 1000, .current_check = true, .mapped = {true, true}};
        static struct bms bms;

        settings_init(&config.settings);
        config.settings.values[SETTING_CAPACITY] = some(5120);
        bms_init(&bms, START, &config);
        for (unsigned i = 0; i < 600; i++) {
                uint8_t bytes[COMPOSE_SIZE];

                compose_frame(bytes, cells, 4, (int)(i % 4 + 1), 80, 16);
                (void)bms_bytes(&bms, START + i * USEC_PER_SEC, bytes, sizeof(bytes));
        }
        if (!bms.soc.calibrated || bms_relay_closed(&bms, RELAY_CHARGE))
                die("the pack is not full");
        *ret = (struct store_state){.day = some64(20783)};
        (void)bms_keep(&bms, START + 600 * USEC_PER_SEC, ret->kept);
        for (int i = 0; i < _ENERGY_MAX; i++)
                ret->sums[i] = (struct energy_sum){4321000, INT64_C(98765432100), INT64_C(12345678901234)};
}

static void begin(struct card *c, const char *directory) {
        if (directory)
                (void)snprintf(c->directory, sizeof(c->directory), "%s", directory);
        else {
                strcpy(c->directory, "card-budget-XXXXXX");
                if (!mkdtemp(c->directory))
                        die("cannot make a directory here");
                c->made = true;
        }
        if (store_vfs_register(&c->vfs) != SQLITE_OK)
                die("SQLite does not start");
        store_db_init(&c->db, c->directory, BOOT, &c->vfs);
        make_state(&c->state);
}

static void end(struct card *c) {
        char command[256];

        (void)snprintf(command, sizeof(command), "rm -rf '%s'", c->directory);
        if (c->made && system(command) != 0)
                die("cannot tidy up");
}

static void commit(struct card *c, struct store_batch *b) {
        c->state.at = b->at;
        for (int i = 0; i < _ENERGY_MAX; i++) {
                c->state.sums[i].total_mwh += 1234;
                c->state.sums[i].remainder = (int64_t)(b->at % ENERGY_FINE_PER_MWH);
        }
        b->state = &c->state;
        b->zero_usec = some64(INT64_C(1790000000000000));
        store_db_write(&c->db, b, &c->outcome);
        if (!c->outcome.done)
                die(c->outcome.log);
}

static struct history_row minute(usec_t from, unsigned n) {
        return (struct history_row){
                .from = from, .until = from + USEC_PER_MINUTE, .covered_sec = 60,
                        .soc_permyriad = some(5000 + (int)(n % 5000)),
                .power_mw = some(-1234567 + (int)n % 99999), .pack_mv = some(53120), .lowest_mv = some(3312),
                .highest_mv = some(3327), .lowest_decic = some(187), .highest_decic = some(213),
                .mwh = {20576, 9876, 20576, 9876},
        };
}

static struct event event(usec_t at) {
        return (struct event){.at = at, .kind = EVENT_RELAY_OPENED, .subject = RELAY_CHARGE,
                              .reason = {RULE_FULL, 7, some(3500), some(3500), 1},
                              .text = "charge relay opened: full: every cell is at V-bypass 3.500 V or above"};
}

/* What this process has made the kernel write to disks, bytes. */
static int64_t kernel_bytes(void) {
        FILE *f = fopen("/proc/self/io", "re");
        int64_t bytes = -1;
        char line[128];

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "write_bytes: %" SCNd64, &bytes) == 1)
                        break;
        if (f)
                (void)fclose(f); /* only read */
        return bytes;
}

static int day(struct card *c) {
        int64_t before, kernel;
        uint64_t bytes, syncs;
        unsigned minutes = 0;
        usec_t at = START;

        commit(c, &(struct store_batch){.at = at}); /* made before the day begins */
        before = kernel_bytes();
        bytes = atomic_load(&c->vfs.written_bytes);
        syncs = atomic_load(&c->vfs.syncs);
        for (unsigned i = 0; i < COMMITS_A_DAY; i++) {
                struct store_batch b = {.at = at += STORE_COMMIT_USEC};
                struct history_row row;
                struct event e;

                if ((usec_t)(minutes + 1) * USEC_PER_MINUTE <= at - START) {
                        row = minute(START + minutes * USEC_PER_MINUTE, minutes);
                        b.minutes = &row;
                        b.n_minutes = 1;
                        minutes++;
                }
                commit(c, &b);
                if (i % (COMMITS_A_DAY / EVENTS_A_DAY) != 0 || i / (COMMITS_A_DAY / EVENTS_A_DAY) >= EVENTS_A_DAY)
                        continue;
                e = event(at);
                commit(c, &(struct store_batch){.at = at + USEC_PER_SEC, .events = &e, .n_events = 1});
        }
        kernel = kernel_bytes() - before;
        bytes = atomic_load(&c->vfs.written_bytes) - bytes;
        syncs = atomic_load(&c->vfs.syncs) - syncs;
        printf("a day: %u commits, %u minutes, %u events: %.2f MB by the kernel, %.2f MB and %" PRIu64
               " syncs by SQLite; state of %zu bytes, file %.2f MB\n",
               (unsigned)COMMITS_A_DAY, minutes, EVENTS_A_DAY, (double)kernel / 1e6, (double)bytes / 1e6, syncs,
               strlen(c->state.kept), (double)c->outcome.file_bytes / 1e6);
        if (kernel == 0)
                printf("the kernel counted nothing: not on a disk\n");
        return syncs <= 2100 && kernel <= 15000000 && bytes <= 15000000 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int years(struct card *c, unsigned n) {
        static struct history_row rows[STORE_MINUTES_QUEUED];
        struct event events[EVENTS_A_DAY];
        usec_t at = START;

        for (unsigned d = 0; d < n * 365; d++) {
                for (unsigned k = 0; k < MINUTES_A_DAY; k += STORE_MINUTES_QUEUED) {
                        struct store_batch b = {.minutes = rows, .n_minutes = STORE_MINUTES_QUEUED};

                        for (unsigned i = 0; i < STORE_MINUTES_QUEUED; i++, at += USEC_PER_MINUTE)
                                rows[i] = minute(at, d + k + i);
                        b.at = at;
                        commit(c, &b);
                }
                struct store_day over = {.at = at, .day = 20783 + (int64_t)d, .length_usec = USEC_PER_DAY};

                memcpy(over.sums, c->state.sums, sizeof(over.sums));
                for (unsigned i = 0; i < EVENTS_A_DAY; i++)
                        events[i] = event(at);
                commit(c, &(struct store_batch){.at = at + 1, .days = &over, .n_days = 1, .events = events,
                                                .n_events = EVENTS_A_DAY});
        }
        printf("%u years: file %.2f MB, log %.2f MB\n", n, (double)c->outcome.file_bytes / 1e6,
               (double)c->outcome.wal_bytes / 1e6);
        return c->outcome.file_bytes <= 6000000 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
        static struct card card;
        int r;

        if (argc >= 2 && argc <= 3 && strcmp(argv[1], "day") == 0) {
                begin(&card, argv[2]);
                r = day(&card);
        } else if (argc >= 3 && argc <= 4 && strcmp(argv[1], "years") == 0 && atoi(argv[2]) > 0) {
                begin(&card, argv[3]);
                r = years(&card, (unsigned)atoi(argv[2]));
        } else {
                (void)fputs("Usage: card-budget day [DIRECTORY] | years N [DIRECTORY]\n", stderr);
                return 2;
        }
        end(&card);
        return r;
}
