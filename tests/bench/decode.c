/* SPDX-License-Identifier: MIT */

/* How many frames a second come out of the byte stream on one core: decode ROUNDS FRAMES
 *
 * The same true frames of 16 cells, read from a file in memory, go
 *
 *   deframer  byte by byte through the deframer, acceptance checks included, as in smartbmsd;
 *   floor     through frame_decode() at the offsets where they are known to start: the least that a program can do
 *             that wants to know what is in them.
 *
 * Rounds of both alternate; each line has the median, least and greatest of the rounds, by processor time. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../unit/compose.h"
#include "deframer.h"

#define CELLS 16
#define ROUNDS_MAX 101
#define READ_SIZE 65536U /* so that what is measured is not the kernel */

static const struct accept_rules gateway = {.role = ROLE_GATEWAY, .current_check = true};

static double cpu_seconds(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Frames to a file in memory; returns its descriptor. */
static int compose_file(uint64_t frames) {
        struct compose_cell cells[CELLS];
        uint64_t random = 1;
        int fd = memfd_create("frames", MFD_CLOEXEC);

        for (uint64_t i = 0; fd >= 0 && i < frames; i++) {
                uint8_t bytes[COMPOSE_SIZE];

                compose_cells(cells, CELLS, &random);
                compose_frame(bytes, cells, CELLS, (int)(i % CELLS) + 1, (int)(compose_random(&random) % 800),
                              (int)(compose_random(&random) % 800));
                if (write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
                        return -1;
        }
        return fd;
}

/* What is done with a frame, so that no compiler leaves decoding out. */
static uint64_t use(const struct frame *f) {
        return (uint64_t)f->pack_mv + f->lowest_mv + f->highest_mv + (uint64_t)f->sum.ma + f->detail_mv;
}

static uint64_t run_deframer(int fd, uint64_t *ret_used) {
        uint8_t buffer[READ_SIZE];
        struct deframer d;
        struct frame frame;
        ssize_t n;

        deframer_init(&d, &gateway);
        while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
                const uint8_t *data = buffer;
                size_t size = (size_t)n;

                while (deframer_take(&d, &data, &size, &frame, NULL) == DEFRAMER_FRAME)
                        *ret_used += use(&frame);
        }
        return d.frames;
}

static uint64_t run_floor(int fd, uint64_t *ret_used) {
        uint8_t buffer[READ_SIZE / FRAME_SIZE * FRAME_SIZE];
        uint64_t frames = 0;
        struct frame frame;
        ssize_t n;

        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                for (ssize_t i = 0; i + FRAME_SIZE <= n; i += FRAME_SIZE)
                        if (frame_decode(buffer + i, TEMPERATURE_SHEET, &frame)) {
                                *ret_used += use(&frame);
                                frames++;
                        }
        return frames;
}

static const struct {
        const char *name;
        uint64_t (*run)(int fd, uint64_t *ret_used);
} ways[] = {
        {"deframer", run_deframer},
        {"floor", run_floor},
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

int main(int argc, char *argv[]) {
        static double rates[N_WAYS][ROUNDS_MAX];
        uint64_t used[N_WAYS] = {}, frames;
        int rounds, fd;

        if (argc != 3 || (rounds = atoi(argv[1])) < 1 || rounds > ROUNDS_MAX ||
            (frames = strtoull(argv[2], NULL, 10)) < 1) {
                fprintf(stderr, "usage: %s ROUNDS FRAMES\n", argv[0]);
                return 2;
        }
        fd = compose_file(frames);
        if (fd < 0) {
                fprintf(stderr, "%s: no room for the frames: %s\n", argv[0], strerror(errno));
                return EXIT_FAILURE;
        }

        for (int i = 0; i < rounds; i++)
                for (size_t k = 0; k < N_WAYS; k++) {
                        double started;

                        (void)lseek(fd, 0, SEEK_SET);
                        started = cpu_seconds();
                        if (ways[k].run(fd, &used[k]) != frames) {
                                fprintf(stderr, "%s: %s lost frames\n", argv[0], ways[k].name);
                                return EXIT_FAILURE;
                        }
                        rates[k][i] = (double)frames / (cpu_seconds() - started);
                }
        for (size_t k = 0; k < N_WAYS; k++) {
                qsort(rates[k], (size_t)rounds, sizeof(double), compare);
                printf("%s %.0f %.0f %.0f\n", ways[k].name, rates[k][rounds / 2], rates[k][0], rates[k][rounds - 1]);
        }
        return used[0] == used[1] ? EXIT_SUCCESS : EXIT_FAILURE;
}
