/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <systemd/sd-event.h>

#include "config-build.h"
#include "config.h"
#include "log.h"
#include "manager.h"

/* 0 and 1 as everywhere, 2 as in smartbmsctl; the config has a number of its own, so that systemd need not
 * try again what only the owner can mend. */
enum { EXIT_USAGE = 2, EXIT_BAD_CONFIG = EX_CONFIG };

#define CONFIG_PATH_SIZE (sizeof(CONFIG_DIRECTORY "/.yaml") + PACK_NAME_MAX)

enum action { ACTION_RUN, ACTION_CHECK_CONFIG, ACTION_HELP, ACTION_VERSION };

struct arguments {
        enum action action;
        const char *pack;
        const char *config_path; /* NULL = the pack's */
        const char *bus_address; /* NULL = the system bus */
        const char *port;        /* NULL = the config's */
        const char *state;       /* NULL = $STATE_DIRECTORY, or nothing is remembered */
        const char *runtime;     /* NULL = $RUNTIME_DIRECTORY, or relays-open is told nothing */
        int log_level;
};

static const char help[] =
        "Usage: smartbmsd [OPTION...]\n"
        "\n"
        "Gateway for 123\\SmartBMS battery packs: reads the cell chain, drives the charge and the load "
        "relay,\n"
        "and answers smartbmsctl over D-Bus.\n"
        "\n"
        "      --pack NAME        a further pack: config " CONFIG_DIRECTORY "/NAME.yaml, bus name\n"
        "                         org.smartbms1.pack_NAME; NAME: 1 to 32 letters, digits and '_'\n"
        "      --config PATH      the config file (default " CONFIG_DEFAULT_PATH ")\n"
        "      --check-config     check the config file, say what is wrong with it, and exit\n"
        "      --bus ADDRESS      D-Bus address to join instead of the system bus\n"
        "      --port PATH        serial port to read instead of the config's\n"
        "      --state DIRECTORY  where settings, counters and history are kept (default: what systemd gives in\n"
        "                         $STATE_DIRECTORY; without either nothing is remembered)\n"
        "      --runtime DIRECTORY  where relays-open finds how the relays are driven (default: what systemd gives in\n"
        "                         $RUNTIME_DIRECTORY; without either it is not written down)\n"
        "      --log-level LEVEL  error, warning, notice, info (default) or debug\n"
        "      --version          print the version and exit\n"
        "      --help             print this and exit\n"
        "\n"
        "SIGTERM and SIGINT open both relays and end the program. Exit status: 0 ended as asked, or the "
        "config is good;\n"
        "1 failed; 2 usage; 78 bad config.\n";

static int parse_level(const char *word, int *ret) {
        static const struct {
                const char *word;
                int level;
        } levels[] = {
                {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
                {"info", LOG_INFO}, {"debug", LOG_DEBUG},
        };

        for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
                if (strcmp(word, levels[i].word) == 0) {
                        *ret = levels[i].level;
                        return 0;
                }
        fprintf(stderr, "smartbmsd: --log-level %s: expected error, warning, notice, info or debug\n", word);
        return -EINVAL;
}

static int take_pack(struct arguments *a) {
        if (!pack_name_valid(optarg)) {
                fprintf(stderr, "smartbmsd: --pack %s: expected " PACK_NAME_EXPECTED "\n", optarg);
                return -EINVAL;
        }
        a->pack = optarg;
        return 0;
}

static int take_option(int option, struct arguments *a) {
        switch (option) {
        case 'P':
                return take_pack(a);
        case 'c':
                a->config_path = optarg;
                return 0;
        case 'C':
                a->action = ACTION_CHECK_CONFIG;
                return 0;
        case 'b':
                a->bus_address = optarg;
                return 0;
        case 'p':
                a->port = optarg;
                return 0;
        case 's':
                a->state = optarg;
                return 0;
        case 'r':
                a->runtime = optarg;
                return 0;
        case 'l':
                return parse_level(optarg, &a->log_level);
        case 'V':
                a->action = ACTION_VERSION;
                return 0;
        case 'h':
                a->action = ACTION_HELP;
                return 0;
        default: /* getopt has said what is wrong */
                return -EINVAL;
        }
}

static int parse_arguments(int argc, char *argv[], struct arguments *ret) {
        static const struct option options[] = {
                {"pack", required_argument, NULL, 'P'},
                {"config", required_argument, NULL, 'c'},
                {"check-config", no_argument, NULL, 'C'},
                {"bus", required_argument, NULL, 'b'},
                {"port", required_argument, NULL, 'p'},
                {"state", required_argument, NULL, 's'},
                {"runtime", required_argument, NULL, 'r'},
                {"log-level", required_argument, NULL, 'l'},
                {"version", no_argument, NULL, 'V'},
                {"help", no_argument, NULL, 'h'},
                {NULL, 0, NULL, 0},
        };
        struct arguments a = {.pack = PACK_NAME_DEFAULT, .log_level = LOG_INFO};
        int option, r;

        while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                r = take_option(option, &a);
                if (r < 0)
                        return r;
        }
        if (optind < argc) {
                fprintf(stderr, "smartbmsd: unexpected argument '%s'\n", argv[optind]);
                return -EINVAL;
        }
        *ret = a;
        return 0;
}

/* given: by the option. systemd may name several, with colons between them: ours is the first. */
static int choose_directory(const char *option, const char *given, const char *variable, char *ret, size_t size) {
        const char *directory = given ? given : getenv(variable);
        size_t length;

        if (!directory)
                return 0;
        length = given ? strlen(directory) : strcspn(directory, ":");
        if (length == 0 || length >= size) {
                log_error("%s: expected the path of a directory, of at most %zu characters", option, size - 1);
                return -ENAMETOOLONG;
        }
        memcpy(ret, directory, length);
        ret[length] = '\0';
        return 0;
}

/* "default" has the name that the only pack's file had from the beginning. */
static const char *config_path(const struct arguments *a, char ret_path[static CONFIG_PATH_SIZE]) {
        if (a->config_path)
                return a->config_path;
        if (strcmp(a->pack, PACK_NAME_DEFAULT) == 0)
                return CONFIG_DEFAULT_PATH;
        (void)snprintf(ret_path, CONFIG_PATH_SIZE, CONFIG_DIRECTORY "/%s.yaml", a->pack);
        return ret_path;
}

static int load_config(const struct arguments *a, const char *path, struct config *ret) {
        struct config config;
        char *error = NULL;
        int r;

        r = config_load(path, &config, &error);
        if (r >= 0)
                r = config_check_adapter(path, &config, &error);
        if (r < 0) {
                /* one line of the log for each problem */
                char *rest = NULL;
                for (char *line = error ? strtok_r(error, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
                        log_error("%s", line);
                free(error);
                return r;
        }
        strcpy(config.pack, a->pack); /* valid, so it fits */
        if (a->port) {
                if (strlen(a->port) >= sizeof(config.port_path)) {
                        log_error("--port: the path is too long");
                        return -ENAMETOOLONG;
                }
                strcpy(config.port_path, a->port);
                config.port_usb = false;
        }
        r = choose_directory("--state", a->state, "STATE_DIRECTORY", config.state_directory,
                             sizeof(config.state_directory));
        if (r >= 0)
                r = choose_directory("--runtime", a->runtime, "RUNTIME_DIRECTORY", config.runtime_directory,
                                     sizeof(config.runtime_directory));
        if (r < 0)
                return r;
        *ret = config;
        return 0;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        struct manager *m = userdata;

        if (si->ssi_signo == SIGHUP) {
                log_notice("SIGHUP: the config is read at the start only; restart the service to have it "
                           "read again");
                return 0;
        }
        log_notice("Told to stop: opening both relays");
        manager_stop(m);
        return sd_event_exit(sd_event_source_get_event(s), EXIT_SUCCESS);
}

static int add_signals(sd_event *event, struct manager *m) {
        static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
        int r;

        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
                r = sd_event_add_signal(event, NULL, signals[i], on_signal, m);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void block_signals(void) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN); /* a reader of our log or output that goes away must not end us */
}

/* By the linker: where our own program begins and ends in memory. */
extern const char __executable_start, _end;

/* A card that answers no more must not stop the decision loop when a page of the program is to be read again: what
 * was used once stays, and of our own program all. (All of every library would be four megabytes of SQLite
 * and sd-bus that nothing here uses.) Under a limit locking would make later allocations fail instead, so it
 * is left. */
static void lock_memory(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY)
                return;
        if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ||
            mlock(&__executable_start, (size_t)(&_end - &__executable_start)) < 0)
                log_info("Cannot lock the program in memory: %m");
}

static int run(const struct arguments *a, const struct config *config) {
        struct manager *m = NULL;
        sd_event *event = NULL;
        int r;

        block_signals();
        lock_memory();
        r = sd_event_default(&event);
        if (r >= 0)
                r = manager_new(event, config, a->bus_address, &m);
        if (r >= 0)
                r = add_signals(event, m);
        if (r >= 0) {
                log_info("smartbmsd " SMARTBMS_VERSION " started for pack %s", config->pack);
                r = sd_event_loop(event); /* what sd_event_exit() was given */
        }
        if (r < 0)
                log_error("smartbmsd ends: %s", strerror(-r));
        manager_free(m);
        sd_event_unref(event);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
        char pack_path[CONFIG_PATH_SIZE];
        struct arguments a;
        struct config config;
        const char *path;
        int r;

        if (parse_arguments(argc, argv, &a) < 0) {
                fputs("Try 'smartbmsd --help'.\n", stderr);
                return EXIT_USAGE;
        }
        if (a.action == ACTION_HELP || a.action == ACTION_VERSION) {
                fputs(a.action == ACTION_HELP ? help : "smartbmsd " SMARTBMS_VERSION "\n", stdout);
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        }

        log_open();
        log_set_max_level(a.log_level);
        path = config_path(&a, pack_path);
        r = load_config(&a, path, &config);
        if (r <
            0) /* a file that cannot be read just now may be read the next time; one that is wrong stays so */
                return a.action == ACTION_CHECK_CONFIG || r == -EIO ? EXIT_FAILURE : EXIT_BAD_CONFIG;

        switch (a.action) {
        case ACTION_CHECK_CONFIG:
                printf("%s: good\n", path);
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        default:
                return run(&a, &config);
        }
}
