/* SPDX-License-Identifier: MIT */

/* relays-open [FILE]: what ExecStopPost= runs when smartbmsd has ended, by whatever cause. Opens every relay that the
 * file (by default $RUNTIME_DIRECTORY/relays, else the copy $STATE_DIRECTORY/relays: see relay-file.h) says smartbmsd
 * drove. Small on purpose: it needs the GPIO library and nothing else, so that it works when memory, disk or whatever
 * smartbmsd died of is in a bad way. 2 s at most. */

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
static int read_in(const char *variable, struct relay_coils *ret, char *ret_path, size_t path_size, char *ret_why,
                   size_t size) {
        const char *directory = getenv(variable);
        int n;

        if (!directory || !directory[0])
                return -ENOENT;
        n = snprintf(ret_path, path_size, "%.*s/" RELAY_FILE_NAME, (int)strcspn(directory, ":"), directory);
        if (n < 0 || (size_t)n >= path_size) {
                (void)snprintf(ret_why, size, "%s is too long a path", variable);
                return -ENAMETOOLONG;
        }
        return relay_file_read(ret_path, ret, ret_why, size);
}

int main(int argc, char *argv[]) {
        struct relay_open_result result;
        struct relay_coils coils;
        char path[300], why[128];
        int r;

        if (argc > 2 || (argc == 2 && argv[1][0] == '-') ||
            (argc == 1 && !getenv("RUNTIME_DIRECTORY") && !getenv("STATE_DIRECTORY"))) {
                fputs("Usage: relays-open [FILE]   (default: $RUNTIME_DIRECTORY/" RELAY_FILE_NAME
                      ", else $STATE_DIRECTORY/" RELAY_FILE_NAME ")\n",
                      stderr);
                return 2;
        }
        if (limit_time() < 0)
                fputs("relays-open: cannot limit its own time\n", stderr);
        if (argc == 2) {
                (void)snprintf(path, sizeof(path), "%s", argv[1]);
                r = relay_file_read(argv[1], &coils, why, sizeof(why));
        } else {
                r = read_in("RUNTIME_DIRECTORY", &coils, path, sizeof(path), why, sizeof(why));
                if (r == -ENOENT) /* of this boot; the contacts may be as an earlier one left them */
                        r = read_in("STATE_DIRECTORY", &coils, path, sizeof(path), why, sizeof(why));
        }
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
