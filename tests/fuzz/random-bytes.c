/* SPDX-License-Identifier: MIT */

/* How often does the deframer take for a frame what is none (B7)? random-bytes N SEED [bytes|windows|frames]
 *
 *   bytes    N random bytes go through the deframer as they are, once for each role. Fails above one accepted
 * frame in 10^9 bytes. windows  N random 58-byte windows whose checksum and sign bytes were made to fit, as
 * happens by itself at one offset in 256 * (256 / 3)^3. What part of them is accepted gives the rate that
 * `bytes` is too short to see. frames   N true frames of random packs, back to back: each of them comes out
 * and nothing else does, although the window goes on sliding over accepted frames.
 *
 * The same arguments give the same bytes on every machine. Exit status 1: a goal was missed. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/compose.h"
#include "deframer.h"

#define GOAL_BYTES UINT64_C(1000000000) /* B7: at most one false frame in so many */

static const char *const role_names[] = {"gateway", "monitor"};

static struct accept_rules rules_of(enum role role) {
        return (struct accept_rules){.role = role, .coding = TEMPERATURE_SHEET, .current_check = true};
}

static int run_bytes(uint64_t n, uint64_t random) {
        struct deframer deframers[2];
        struct frame frame;
        bool missed = false;

        for (enum role role = ROLE_GATEWAY; role <= ROLE_MONITOR; role++) {
                struct accept_rules rules = rules_of(role);

                deframer_init(&deframers[role], &rules);
        }

        for (uint64_t i = 0; i < n;) {
                uint64_t word = compose_random(&random);

                uint8_t bytes[8];
                size_t size = 0;

                for (; size < sizeof(bytes) && i < n; i++, word >>= 8)
                        bytes[size++] = (uint8_t)(word & 0xFF);
                for (enum role role = ROLE_GATEWAY; role <= ROLE_MONITOR; role++) {
                        const uint8_t *data = bytes;
                        size_t left = size;

                        while (deframer_take(&deframers[role], &data, &left, &frame, NULL) != DEFRAMER_NOTHING)
                                ; /* d->frames counts them */
                }
        }

        for (enum role role = ROLE_GATEWAY; role <= ROLE_MONITOR; role++) {
                const struct deframer *d = &deframers[role];
                uint64_t refused = 0;

                for (unsigned v = 0; v < _ACCEPT_MAX; v++)
                        refused += d->refused[v];
                printf("%s: %" PRIu64 " random bytes, %" PRIu64 " windows with good sum and signs "
                       "refused, %" PRIu64 " false frames\n", role_names[role], d->bytes, refused, d->frames);
                if (d->frames > n / GOAL_BYTES)
                        missed = true;
        }
        return missed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_windows(uint64_t n, uint64_t random) {
        static const uint8_t signs[] = {'+', '-', 'X'};
        const double fits = 1.0 / 256 * (3.0 / 256) * (3.0 / 256) * (3.0 / 256);
        uint64_t accepted[2] = {};
        bool missed = false;

        for (uint64_t i = 0; i < n; i++) {
                uint8_t bytes[64];
                struct frame frame;

                for (unsigned j = 0; j < sizeof(bytes); j += 8) {
                        uint64_t word = compose_random(&random);

                        for (unsigned k = 0; k < 8; k++, word >>= 8)
                                bytes[j + k] = (uint8_t)(word & 0xFF);
                }
                for (unsigned j = 3; j <= 9; j += 3)
                        bytes[j] = signs[compose_random(&random) % 3];
                compose_seal(bytes);
                if (!frame_decode(bytes, TEMPERATURE_SHEET, &frame))
                        return EXIT_FAILURE;
                for (enum role role = ROLE_GATEWAY; role <= ROLE_MONITOR; role++) {
                        struct accept_rules rules = rules_of(role);

                        if (accept_frame(&rules, &frame) == ACCEPT_OK)
                                accepted[role]++;
                }
        }

        for (enum role role = ROLE_GATEWAY; role <= ROLE_MONITOR; role++) {
                double rate = (double)accepted[role] / (double)n * fits * (double)GOAL_BYTES;

                printf("%s: %" PRIu64 " of %" PRIu64
                       " windows accepted: %.1e false frames in 10^9 random bytes\n",
                       role_names[role], accepted[role], n, rate);
                if (rate > 1)
                        missed = true;
        }
        return missed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Anything that an OUT board or newer firmware may put into bytes 31..54, signs included. */
static void fill_summary(uint8_t bytes[COMPOSE_SIZE], uint64_t *random) {
        for (unsigned i = 31; i <= 54; i++) {
                uint64_t r = compose_random(random);

                bytes[i] = (uint8_t)(r & 0x300 ? r & 0xFF : (uint64_t)(uint8_t)"+-X0"[r % 4]);
        }
        compose_seal(bytes);
}

static int run_frames(uint64_t n, uint64_t random) {
        struct compose_cell cells[255];
        int count = 2;

        for (enum role role = ROLE_GATEWAY; role <= ROLE_MONITOR; role++) {
                struct accept_rules rules = rules_of(role);
                struct deframer d;

                deframer_init(&d, &rules);
                for (uint64_t i = 0; i < n; i++) {
                        uint8_t bytes[COMPOSE_SIZE], got[COMPOSE_SIZE];
                        struct frame frame;
                        enum deframer_event event = DEFRAMER_NOTHING;

                        if (i % 64 == 0) {
                                count = 2 + (int)(compose_random(&random) % 254);
                                compose_cells(cells, count, &random);
                        }
                        compose_frame(bytes, cells, count, (int)(i % 256),
                                      (int)(compose_random(&random) % 1600) - 800,
                                      (int)(compose_random(&random) % 800));
                        if (role == ROLE_MONITOR || i % 2)
                                fill_summary(bytes, &random);
                        for (unsigned j = 0; j < COMPOSE_SIZE; j++)
                                event = deframer_push(&d, bytes[j], &frame, got);
                        if (event != DEFRAMER_FRAME || memcmp(bytes, got, COMPOSE_SIZE) != 0 ||
                            d.frames != i + 1) {
                                printf("%s: frame %" PRIu64 ": lost, or another one found\n",
                                       role_names[role], i);
                                return EXIT_FAILURE;
                        }
                }
                printf("%s: %" PRIu64 " true frames, all found, no other\n", role_names[role], d.frames);
        }
        return EXIT_SUCCESS;
}

static bool number(const char *text, uint64_t *ret_value) {
        char *end;

        *ret_value = strtoull(text, &end, 10);
        return *text != '\0' && *text != '-' && *end == '\0';
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *name;
                int (*run)(uint64_t n, uint64_t random);
        } modes[] = {
                {"bytes", run_bytes}, {"windows", run_windows}, {"frames", run_frames},
        };
        uint64_t n, seed;

        if ((argc == 3 || argc == 4) && number(argv[1], &n) && n > 0 && number(argv[2], &seed))
                for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
                        if (strcmp(argc == 4 ? argv[3] : "bytes", modes[i].name) == 0)
                                return modes[i].run(n, seed);

        fprintf(stderr, "usage: %s N SEED [bytes|windows|frames]\n", argv[0]);
        return 2;
}
