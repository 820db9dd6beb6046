/* SPDX-License-Identifier: MIT */

/* Tells when lines of a simulated GPIO chip change: reads the files named, each half millisecond, before anything else
 * that runs. Prints "TIME INDEX VALUE EARLIEST" (CLOCK_BOOTTIME in ns; value -1 while there is no such line), the first
 * values too: the line changed between EARLIEST, when it was looked at before, and TIME. */

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 32
#define STEP_NSEC 500000
#define REOPEN_STEPS 20

static int64_t now_nsec(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_BOOTTIME, &t);
        return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int read_line(int *fd, const char *path, unsigned step) {
        char c;

        if (*fd < 0 && step % REOPEN_STEPS == 0)
                *fd = open(path, O_RDONLY | O_CLOEXEC);
        if (*fd < 0)
                return -1;
        if (pread(*fd, &c, 1, 0) == 1)
                return c - '0';
        (void)close(*fd);
        *fd = -1;
        return -1;
}

int main(int argc, char *argv[]) {
        const struct sched_param param = {.sched_priority = 50};
        int fds[LINES_MAX], values[LINES_MAX];
        int64_t looked[LINES_MAX];
        int n = argc - 1;

        if (n < 1 || n > LINES_MAX)
                return 2;
        for (int i = 0; i < n; i++) {
                fds[i] = -1;
                values[i] = -2;
                looked[i] = now_nsec();
        }
        (void)mlockall(MCL_CURRENT | MCL_FUTURE);
        if (sched_setscheduler(0, SCHED_FIFO, &param) < 0)
                perror("line-watch: sched_setscheduler");
        for (unsigned step = 0;; step++) {
                const struct timespec pause = {.tv_nsec = STEP_NSEC};

                for (int i = 0; i < n; i++) {
                        int64_t before = now_nsec();
                        int value = read_line(&fds[i], argv[i + 1], step);

                        if (value != values[i])
                                (void)printf("%lld %d %d %lld\n", (long long)now_nsec(), i, value,
                                             (long long)looked[i]);
                        values[i] = value;
                        looked[i] = before;
                }
                (void)fflush(stdout);
                (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        }
}
