/* SPDX-License-Identifier: MIT */

/* relays-open [FILE]: what ExecStopPost= runs when smartbmsd has ended, by whatever cause. Opens every relay that the
 * file (by default $RUNTIME_DIRECTORY/relays) says smartbmsd drove. Small on purpose: it needs the GPIO library and
 * nothing else, so that it works when memory, disk or whatever smartbmsd died of is in a bad way. 2 s at most. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "relay-open.h"

#define AT_MOST_USEC 1900000 /* of the 2 s: a bus or a log that hangs must not make it more */

static void on_alarm(int signal) {
        static const char text[] = "relays-open: no end within 2 s\n";

        (void)signal;
        (void)send(STDERR_FILENO, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* to the journal, if it can */
        _exit(EXIT_FAILURE);
}

static int limit_time(void) {
        const struct itimerval timer = {.it_value = {.tv_sec = AT_MOST_USEC / 1000000,
                                                     .tv_usec = AT_MOST_USEC % 1000000}};
        const struct sigaction action = {.sa_handler = on_alarm};

        return sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &timer, NULL) < 0 ? -errno : 0;
}

/* systemd may name several directories, with colons between them: ours is the first. */
static int choose_file(int argc, char *argv[], char *ret, size_t size) {
        const char *directory = getenv("RUNTIME_DIRECTORY");
        int n;

        if (argc == 2 && argv[1][0] != '-')
                n = snprintf(ret, size, "%s", argv[1]);
        else if (argc == 1 && directory && directory[0])
                n = snprintf(ret, size, "%.*s/" RELAY_FILE_NAME, (int)strcspn(directory, ":"), directory);
        else
                return -EINVAL;
        return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int main(int argc, char *argv[]) {
        struct relay_open_result result;
        struct relay_coils coils;
        char path[300], why[128];
        int r;

        if (choose_file(argc, argv, path, sizeof(path)) < 0) {
                fputs("Usage: relays-open [FILE]   (default: $RUNTIME_DIRECTORY/" RELAY_FILE_NAME ")\n", stderr);
                return 2;
        }
        if (limit_time() < 0)
                fputs("relays-open: cannot limit its own time\n", stderr);
        r = relay_file_read(path, &coils, why, sizeof(why));
        if (r == -ENOENT) /* smartbmsd never came so far as to take a line */
                return EXIT_SUCCESS;
        if (r < 0) {
                fprintf(stderr, "relays-open: %s: %s\n", path, why);
                return EXIT_FAILURE;
        }
        relay_open_all(&coils, &result);
        /* Only now: writing may have to wait. */
        for (unsigned i = 0; i < result.n_failed; i++)
                fprintf(stderr, "relays-open: %s\n", result.why[i]);
        return result.n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
