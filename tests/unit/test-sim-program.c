/* SPDX-License-Identifier: MIT */

/* smartbms-sim as a program: its path is the first argument. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "deframer.h"

#define PATIENCE_MSEC 10000 /* far beyond what is needed; a busy machine must not fail the test */
#define ARGUMENTS_MAX 24

static const char *program;
static const char *emulator; /* what meson runs a cross build's programs with; NULL = it runs by itself */
static char directory[] = "/tmp/test-sim-XXXXXX";

static void path_in(const char *name, char *ret_path, size_t size) {
        assert_true(snprintf(ret_path, size, "%s/%s", directory, name) < (int)size);
}

static uint64_t now_msec(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void sleep_msec(unsigned msec) {
        (void)usleep(msec * 1000);
}

/* Starts a program that ends with this one. *ret_out (may be NULL): its standard output. */
static pid_t spawn(const char *const *argv, int *ret_out) {
        int out[2];
        pid_t pid;

        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)dup2(out[1], STDOUT_FILENO);
                (void)execvp(argv[0], (char *const *)argv);
                _exit(127);
        }
        (void)close(out[1]);
        if (ret_out)
                *ret_out = out[0];
        else
                (void)close(out[0]);
        return pid;
}

/* The simulator with these options, NULL-terminated. */
static pid_t start_sim(int *ret_out, const char *const *options) {
        const char *argv[ARGUMENTS_MAX] = {program};
        int n = 1;

        if (emulator) {
                argv[0] = emulator;
                argv[n++] = program;
        }
        for (int i = 0; options[i]; i++) {
                assert_true(n + 1 < ARGUMENTS_MAX);
                argv[n++] = options[i];
        }
        return spawn(argv, ret_out);
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Its exit status; 128 + the signal if it was killed; -1 if it goes on for too long (and is killed). */
static int await_exit(pid_t pid) {
        uint64_t end = now_msec() + PATIENCE_MSEC;
        int status;

        while (waitpid(pid, &status, WNOHANG) == 0) {
                if (now_msec() > end) {
                        (void)kill(pid, SIGKILL);
                        (void)waitpid(pid, &status, 0);
                        return -1;
                }
                sleep_msec(5);
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* All that the descriptor gives until its end. */
static size_t read_all(int fd, uint8_t *data, size_t size) {
        size_t n = 0;
        ssize_t r;

        while ((r = read(fd, data + n, size - n)) > 0)
                n += (size_t)r;
        assert_int_equal(r, 0);
        return n;
}

static void await_path(const char *path) {
        uint64_t end = now_msec() + PATIENCE_MSEC;
        struct stat st;

        while (lstat(path, &st) < 0) {
                if (now_msec() > end)
                        fail_msg("%s did not appear", path);
                sleep_msec(5);
        }
}

static size_t run_stream(const char *seed, uint8_t *data, size_t size) {
        size_t n;
        int out;
        pid_t pid = start_sim(&out, OPTIONS("--output", "-", "--speed", "max", "--duration", "600", "--cells",
                                            "33", "--configured", "48", "--seed", seed, "--fault",
                                            "cut=7@100+20", "--fault", "noise@200+20", "--profile", "day"));

        n = read_all(out, data, size);
        (void)close(out);
        assert_int_equal(await_exit(pid), 0);
        return n;
}

static void test_same_seed_same_stream(void **state) {
        static uint8_t first[100000], second[100000];
        size_t n, m;

        (void)state;
        n = run_stream("5", first, sizeof(first));
        m = run_stream("5", second, sizeof(second));
        assert_true(n > 500 * FRAME_SIZE && n < sizeof(first));
        assert_int_equal(n, m);
        assert_memory_equal(first, second, n);

        m = run_stream("6", second, sizeof(second));
        assert_true(n != m || memcmp(first, second, n) != 0);
}

/* One frame a second, or half a second, of simulated time. */
static void test_duration(void **state) {
        static uint8_t data[200 * FRAME_SIZE + 1];
        int out;
        pid_t pid;

        (void)state;
        for (int fast = 0; fast < 2; fast++) {
                pid = start_sim(&out, OPTIONS("--output", "-", "--speed", "max", "--duration", "100",
                                              "--period", fast ? "0.5" : "1.0"));
                assert_int_equal(read_all(out, data, sizeof(data)), (fast ? 200 : 100) * FRAME_SIZE);
                assert_int_equal(await_exit(pid), 0);
                (void)close(out);
        }
}

/* A reader that has seen enough ends the simulator, without an error. */
static void test_reader_goes(void **state) {
        uint8_t data[FRAME_SIZE];
        int out;
        pid_t pid = start_sim(&out, OPTIONS("--output", "-", "--speed", "max"));

        (void)state;
        assert_int_equal(read(out, data, sizeof(data)), FRAME_SIZE);
        (void)close(out);
        assert_int_equal(await_exit(pid), 0);
}

static int open_link(const char *path) {
        int fd;

        await_path(path);
        fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

/* Reads until so many frames were accepted; the first and the newest of them. */
static void read_frames(int fd, unsigned frames, struct frame *ret_first, struct frame *ret_last) {
        const struct accept_rules rules = {ROLE_GATEWAY, TEMPERATURE_SHEET, true};
        uint64_t end = now_msec() + PATIENCE_MSEC;
        struct deframer deframer;

        deframer_init(&deframer, &rules);
        while (deframer.frames < frames) {
                struct pollfd pfd = {.fd = fd, .events = POLLIN};
                uint8_t data[512];
                ssize_t n;

                if (now_msec() > end)
                        fail_msg("only %u frames", (unsigned)deframer.frames);
                if (poll(&pfd, 1, 100) <= 0)
                        continue;
                n = read(fd, data, sizeof(data));
                assert_true(n > 0);
                for (ssize_t i = 0; i < n; i++)
                        if (deframer_push(&deframer, data[i], ret_last, NULL) == DEFRAMER_FRAME &&
                            deframer.frames == 1)
                                *ret_first = *ret_last;
        }
        assert_int_equal(deframer.skipped_bytes, 0);
}

static void test_terminal(void **state) {
        char link[128], target[128] = "", line[128] = "";
        struct frame first, last;
        struct termios tio;
        int out, fd;
        pid_t pid;

        (void)state;
        path_in("port", link, sizeof(link));
        assert_int_equal(symlink("/nowhere", link), 0); /* of an earlier run that was killed */
        pid = start_sim(&out, OPTIONS("--link", link, "--speed", "50", "--cells", "255"));
        assert_true(read(out, line, sizeof(line) - 1) > 0);
        assert_true(readlink(link, target, sizeof(target) - 1) > 0);
        assert_int_equal(strncmp(line, target, strlen(target)), 0);
        assert_string_equal(line + strlen(target), "\n");

        fd = open_link(link);
        assert_int_equal(tcgetattr(fd, &tio), 0);
        assert_int_equal(tio.c_lflag & (ICANON | ECHO | ISIG), 0);
        assert_int_equal(tio.c_iflag & (ICRNL | IXON), 0);
        assert_int_equal(tio.c_oflag & OPOST, 0);
        read_frames(fd, 20, &first, &last);
        (void)close(fd);

        /* Nobody reads for half a second, 25 frames: they are lost, as on a wire, and the terminal is still
         * raw. */
        sleep_msec(500);
        fd = open_link(link);
        read_frames(fd, 3, &first, &first);
        assert_true(first.detail_cell > last.detail_cell + 15);
        assert_int_equal(tcgetattr(fd, &tio), 0);
        assert_int_equal(tio.c_lflag & (ICANON | ECHO), 0);
        (void)close(fd);

        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_int_equal(await_exit(pid), 0);
        assert_int_equal(readlink(link, target, sizeof(target)), -1);
        (void)close(out);
}

/* --speed max at a terminal: time waits for the reader, and nothing is lost. */
static void test_terminal_as_fast_as_it_is_read(void **state) {
        struct frame first, last;
        char link[128];
        pid_t pid;
        int fd;

        (void)state;
        path_in("fast", link, sizeof(link));
        pid = start_sim(NULL,
                        OPTIONS("--link", link, "--speed", "max", "--duration", "2000", "--cells", "255"));
        fd = open_link(link);
        read_frames(fd, 2000, &first, &last);
        assert_int_equal(first.detail_cell, 1);
        assert_int_equal(last.detail_cell, (2000 - 1) % 255 + 1);
        assert_int_equal(await_exit(pid), 0);
        (void)close(fd);
}

static void test_link_takes_nothing_else_away(void **state) {
        char path[128];
        int fd;

        (void)state;
        path_in("precious", path, sizeof(path));
        fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
        assert_int_equal(await_exit(start_sim(NULL, OPTIONS("--link", path))), 1);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(await_exit(start_sim(NULL, OPTIONS("--control", path))), 1);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(unlink(path), 0);
}

static void write_file(const char *path, const char *text) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* The script ends the run, and what it does is in the log of the truth: at 2 s the load goes from 5 to 20 A. */
static void test_scenario_and_truth(void **state) {
        char script[128], truth[128], line[600];
        uint8_t data[4000];
        FILE *file;
        int out, lines = 0, heavy = 0;
        size_t n;
        pid_t pid;

        (void)state;
        path_in("script", script, sizeof(script));
        path_in("truth", truth, sizeof(truth));
        write_file(script, "2s load 20 # heavy\n+1s silence+2\n10s quit\n");
        pid = start_sim(&out, OPTIONS("--output", "-", "--speed", "max", "--scenario", script, "--truth", truth));
        n = read_all(out, data, sizeof(data));
        (void)close(out);
        assert_int_equal(await_exit(pid), 0);
        assert_int_equal(n, 8 * FRAME_SIZE); /* at 0, 1, 2, 5, 6, 7, 8, 9 s */

        file = fopen(truth, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                lines++;
                heavy += strstr(line, ",20.000,0.000,-10.000,") != NULL;
        }
        (void)fclose(file);
        assert_int_equal(lines, 12); /* the names; the first half second; 1 .. 10 s */
        assert_int_equal(heavy, 8);  /* 3 .. 10 s: a line tells of the step before it */
}

static void test_bad_scenario(void **state) {
        static const char *const scripts[] = {"2s load\n", "2s hot=17\n", "2s nothing\n", "x load 5\n",
                                              "1s soc 50 17\n"};
        char script[128];

        (void)state;
        path_in("script", script, sizeof(script));
        for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
                write_file(script, scripts[i]);
                assert_int_equal(await_exit(start_sim(NULL, OPTIONS("--output", "/dev/null", "--speed", "max",
                                                                    "--duration", "1", "--scenario", script))),
                                 2);
        }
        assert_int_equal(await_exit(start_sim(NULL, OPTIONS("--output", "/dev/null", "--scenario", "/nowhere"))), 2);
}

static void test_wrong_command_lines(void **state) {
        static const char *const lines[][5] = {
                {"--cells", "1"},
                {"--cells", "256"},
                {"--cells", "4.5"},
                {"--cells", ""},
                {"--speed", "0"},
                {"--speed", "fast"},
                {"--period", "0.7"},
                {"--v-bypass", "3.55"},
                {"--sensor-type", "99"},
                {"--mode", "board"},
                {"--seed", "-1"},
                {"--cell", "3"},
                {"--cell", "3,soc=101"},
                {"--cell", "17,soc=1"},
                {"--cell", "0,soc=1"},
                {"--fault", "fire"},
                {"--fault", "cut=17"},
                {"--start-time", "24:00"},
                {"--start-date", "02-29"},
                {"--start-date", "13-01"},
                {"--start-date", "1"},
                {"--dark-days", "5"},
                {"--dark-days", "5,-1"},
                {"--cell-model", "round"},
                {"--profile", "week"},
                {"--fault", "bit-errors"},
                {"--fault", "bit-errors=0.02"},
                {"--fault", "sensor-offset=3,1"},
                {"--nonsense"},
                {"extra"},
                {"--configured", "8"},
                {"--bus", "user", "--relays", "open"},
                {"--link", "/tmp/x", "--output", "-"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                int status = await_exit(start_sim(NULL, lines[i]));

                if (status != 2)
                        fail_msg("%s %s: exit status %d", lines[i][0], lines[i][1] ? lines[i][1] : "",
                                 status);
        }
}

static int connect_control(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd;

        await_path(path);
        (void)strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        for (int i = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0; i++) {
                assert_true(i < 100);
                sleep_msec(10);
        }
        return fd;
}

/* One line there, one line back. */
static void ask(int fd, const char *line, char *ret_answer, size_t size) {
        size_t n = 0;

        assert_int_equal(write(fd, line, strlen(line)), strlen(line));
        assert_int_equal(write(fd, "\n", 1), 1);
        while (n < size - 1 && read(fd, ret_answer + n, 1) == 1 && ret_answer[n] != '\n')
                n++;
        ret_answer[n] = '\0';
}

static void test_control(void **state) {
        static const struct {
                const char *line, *answer;
        } rows[] = {
                {"hot=1", "ok"},
                {"cut=2+5", "ok"},
                {"clear", "ok 2 ended"},
                {"charge 20", "ok"},
                {"fire", "error: no fault is named 'fire'"},
                {"voltage=5,3", "error: there are 4 cells"},
        };
        char path[128], answer[512], much[400];
        pid_t pid;
        int fd;

        (void)state;
        path_in("control", path, sizeof(path));
        pid = start_sim(NULL, OPTIONS("--control", path, "--cells", "4", "--speed", "10"));
        fd = connect_control(path);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                ask(fd, rows[i].line, answer, sizeof(answer));
                assert_string_equal(answer, rows[i].answer);
        }
        memset(much, 'x', sizeof(much));
        much[sizeof(much) - 1] = '\0';
        ask(fd, much, answer, sizeof(answer));
        assert_string_equal(answer, "error: the line is too long");
        ask(fd, "status", answer, sizeof(answer));
        assert_int_equal(strncmp(answer, "ok time=", 8), 0);
        ask(fd, "quit", answer, sizeof(answer));
        assert_string_equal(answer, "ok bye");
        assert_int_equal(await_exit(pid), 0);
        assert_int_equal(access(path, F_OK), -1);
        (void)close(fd);
}

/* The daemon's part, played here. */
struct relays {
        int charge_closed, load_closed;
};

static int get_closed(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        (void)bus;
        (void)path;
        (void)interface;
        (void)property;
        (void)error;
        return sd_bus_message_append(reply, "b", *(int *)userdata);
}

static const sd_bus_vtable relays_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("ChargeClosed", "b", get_closed, offsetof(struct relays, charge_closed),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LoadClosed", "b", get_closed, offsetof(struct relays, load_closed),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

/* Lets the bus (NULL: none) go on until the simulator's status has these words. */
static void await_status(sd_bus *bus, int control, const char *words) {
        uint64_t end = now_msec() + PATIENCE_MSEC;
        char answer[512];

        for (;;) {
                while (bus && sd_bus_process(bus, NULL) > 0)
                        ;
                ask(control, "status", answer, sizeof(answer));
                if (strstr(answer, words))
                        return;
                if (now_msec() > end)
                        fail_msg("'%s' never has '%s'", answer, words);
                sleep_msec(10);
        }
}

static sd_bus *join_bus(const char *address, const char *name, struct relays *relays) {
        uint64_t end = now_msec() + PATIENCE_MSEC;
        sd_bus *bus = NULL;

        for (;;) {
                assert_true(sd_bus_new(&bus) >= 0);
                assert_true(sd_bus_set_address(bus, address) >= 0);
                assert_true(sd_bus_set_bus_client(bus, true) >= 0);
                if (sd_bus_start(bus) >= 0)
                        break;
                bus = sd_bus_unref(bus);
                assert_true(now_msec() < end);
                sleep_msec(10);
        }
        assert_true(sd_bus_add_object_vtable(bus, NULL, "/org/smartbms1", "org.smartbms1.Relays",
                                             relays_vtable, relays) >= 0);
        assert_true(sd_bus_request_name(bus, name, 0) >= 0);
        return bus;
}

static void follows_the_daemon(const char *pack, const char *name) {
        struct relays relays = {.charge_closed = 1, .load_closed = 0};
        char address[160], control_path[128];
        pid_t sim, daemon;
        sd_bus *bus;
        int control;

        assert_true(snprintf(address, sizeof(address), "unix:path=%s/bus", directory) < (int)sizeof(address));
        path_in("bus-control", control_path, sizeof(control_path));
        sim = start_sim(NULL, OPTIONS("--bus", address, "--pack", pack, "--control", control_path, "--speed", "40"));
        control = connect_control(control_path);
        await_status(NULL, control, " charge=open load=open "); /* no bus yet */

        daemon = spawn(OPTIONS("dbus-daemon", "--session", "--nofork", "--nopidfile", "--nosyslog",
                               "--address", address),
                       NULL);
        bus = join_bus(address, name, &relays);
        await_status(bus, control, " charge=closed load=open ");

        relays = (struct relays){.charge_closed = 0, .load_closed = 1};
        assert_true(sd_bus_emit_properties_changed(bus, "/org/smartbms1", "org.smartbms1.Relays",
                                                   "ChargeClosed", "LoadClosed", NULL) >= 0);
        await_status(bus, control, " charge=open load=closed ");

        assert_true(sd_bus_release_name(bus, name) >= 0);
        await_status(bus, control, " charge=open load=open "); /* the daemon is gone */
        relays.charge_closed = 1;
        assert_true(sd_bus_request_name(bus, name, 0) >= 0);
        await_status(bus, control, " charge=closed load=closed ");

        sd_bus_close_unref(bus);
        assert_int_equal(kill(daemon, SIGKILL), 0);
        assert_int_equal(await_exit(daemon), 128 + SIGKILL);
        await_status(NULL, control, " charge=open load=open "); /* so is the bus */
        daemon = spawn(OPTIONS("dbus-daemon", "--session", "--nofork", "--nopidfile", "--nosyslog",
                               "--address", address),
                       NULL);
        bus = join_bus(address, name, &relays);
        await_status(bus, control, " charge=closed load=closed ");

        (void)close(control);
        sd_bus_close_unref(bus);
        assert_int_equal(kill(sim, SIGTERM), 0);
        assert_int_equal(await_exit(sim), 0);
        assert_int_equal(kill(daemon, SIGKILL), 0);
        (void)await_exit(daemon);
        assert_true(snprintf(address, sizeof(address), "%s/bus", directory) < (int)sizeof(address));
        (void)unlink(address);
}

static void test_follows_the_daemon(void **state) {
        (void)state;
        follows_the_daemon("default", "org.smartbms1");
}

static void test_follows_a_further_pack(void **state) {
        (void)state;
        follows_the_daemon("house", "org.smartbms1.pack_house");
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_same_seed_same_stream),
                cmocka_unit_test(test_duration),
                cmocka_unit_test(test_reader_goes),
                cmocka_unit_test(test_terminal),
                cmocka_unit_test(test_terminal_as_fast_as_it_is_read),
                cmocka_unit_test(test_link_takes_nothing_else_away),
                cmocka_unit_test(test_scenario_and_truth),
                cmocka_unit_test(test_bad_scenario),
                cmocka_unit_test(test_wrong_command_lines),
                cmocka_unit_test(test_control),
                cmocka_unit_test(test_follows_the_daemon),
                cmocka_unit_test(test_follows_a_further_pack),
        };
        int r;

        if (argc != 2 || !mkdtemp(directory)) {
                (void)fprintf(stderr, "usage: %s PATH-OF-SMARTBMS-SIM\n", argv[0]);
                return 99;
        }
        program = argv[1];
        emulator = getenv("MESON_EXE_WRAPPER");
        (void)signal(SIGPIPE, SIG_IGN);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        (void)rmdir(directory);
        return r;
}
