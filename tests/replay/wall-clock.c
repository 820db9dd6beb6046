/* SPDX-License-Identifier: MIT */

/* For LD_PRELOAD: the wall clock of one process, turned by the seconds (int64) that the file $WALL_CLOCK_OFFSET holds
 * at that moment. Every other clock stays true. The kernel seems to say that the clock is synchronised, if
 * there is a file of that name with ".synchronised" behind it. */

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static int64_t offset(void) {
        const char *path = getenv("WALL_CLOCK_OFFSET");
        int64_t value = 0;
        int fd;

        fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
                return 0;
        if (read(fd, &value, sizeof(value)) != sizeof(value))
                value = 0;
        close(fd);
        return value;
}

int clock_gettime(clockid_t clock, struct timespec *ts) {
        long r = syscall(SYS_clock_gettime, clock, ts);

        if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                ts->tv_sec += (time_t)offset();
        return (int)r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
        struct timespec ts;

        (void)zone;
        if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
                return -1;
        tv->tv_sec = ts.tv_sec;
        tv->tv_usec = ts.tv_nsec / 1000;
        return 0;
}

time_t time(time_t *ret) {
        struct timespec ts;

        if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
                return (time_t)-1;
        if (ret)
                *ret = ts.tv_sec;
        return ts.tv_sec;
}

int adjtimex(struct timex *tx) {
        const char *path = getenv("WALL_CLOCK_OFFSET");
        char mark[PATH_MAX];

        (void)snprintf(mark, sizeof(mark), "%s.synchronised", path ? path : "");
        *tx = (struct timex){.status = access(mark, F_OK) == 0 ? 0 : STA_UNSYNC};
        return tx->status ? TIME_ERROR : TIME_OK;
}
