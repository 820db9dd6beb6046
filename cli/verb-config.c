/* SPDX-License-Identifier: MIT */

/* config check: the config file's reader is in smartbmsd and nowhere else, so that what is checked is what is
 * used. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "config-build.h"

/* Beside smartbmsctl itself (an uninstalled or relocated copy), else where it was installed, else by PATH.
 * Returns only if there is none. */
static void run_daemon(char *const argv[]) {
        char path[4096];
        const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("smartbmsd"));

        if (n > 0) {
                path[n] = '\0';
                char *slash = strrchr(path, '/');
                if (slash) {
                        strcpy(slash + 1, "smartbmsd");
                        execv(path, argv);
                }
        }
        execv(SMARTBMSD_PATH, argv);
        execvp("smartbmsd", argv);
}

#define CANNOT_RUN 127

int verb_config_check(struct cli *c) {
        /* argv's strings are not constant by its type only */
        char *const with_file[] = {"smartbmsd", "--check-config", "--config",
                                   c->n_args > 0 ? c->args[0] : NULL, NULL};
        char *const without[] = {"smartbmsd", "--check-config", "--pack", (char *)c->pack, NULL};
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid < 0)
                return fail(EXIT_REFUSED, "cannot start smartbmsd: %s", strerror(errno));
        if (pid == 0) {
                run_daemon(c->n_args > 0 ? with_file : without);
                _exit(CANNOT_RUN);
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return fail(EXIT_REFUSED, "cannot wait for smartbmsd: %s", strerror(errno));
        if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_RUN)
                return fail(EXIT_REFUSED,
                            "cannot find smartbmsd, which reads config files; tried %s and $PATH",
                            SMARTBMSD_PATH);
        /* The daemon's own codes (78 for a bad file) are not ours. */
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_OK : EXIT_REFUSED;
}
