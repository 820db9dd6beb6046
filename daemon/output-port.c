/* SPDX-License-Identifier: MIT */
#include "output-port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "tty.h"

#define BACKOFF_MIN_USEC (200 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (2 * USEC_PER_SEC)
#define BACKLOG_MAX                                                                                          \
        (2 * FRAME_SIZE) /* more still unsent: the line is stopped, and what we add would be old when it     \
                            goes out */
#define WHY_MAX 256U

struct output_port {
        sd_event *event;
        output_port_fault_t fault;
        void *userdata;
        char path[256];       /* serial port; "" = pty */
        char link[256];       /* pty: the link to it */
        char input_path[256]; /* for the check that it is not the input's */

        struct tty tty; /* serial port */
        int master;     /* pty, or -1 */
        char slave[64]; /* pty: what the link points to */
        sd_event_source *io, *retry;
        usec_t backoff;
        uint8_t rest[FRAME_SIZE]; /* of a frame that was begun: is finished before another starts */
        size_t rest_size;
        uint64_t dropped;
        bool dropping; /* the newest frame was dropped: log each state once */
        char why[WHY_MAX];
};

static const char *wanted_name(const struct output_port *o) {
        return o->path[0] ? o->path : o->link;
}

static void tell(struct output_port *o, const char *why) {
        char text[sizeof(o->path) + WHY_MAX + 4];

        if (strcmp(o->why, why) == 0)
                return;
        (void)snprintf(o->why, sizeof(o->why), "%s", why);
        (void)snprintf(text, sizeof(text), "%s%s%s", why[0] ? wanted_name(o) : "", why[0] ? ": " : "", why);
        if (why[0])
                log_warning("output: %s; trying again", text);
        o->fault(o->userdata, clock_now(), text);
}

static void schedule_retry(struct output_port *o) {
        int r;

        r = sd_event_source_set_time_relative(o->retry, o->backoff);
        if (r >= 0)
                r = sd_event_source_set_enabled(o->retry, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error("output: cannot set a timer: %s", strerror(-r));
        o->backoff = o->backoff * 2 < BACKOFF_MAX_USEC ? o->backoff * 2 : BACKOFF_MAX_USEC;
}

static void port_failed(struct output_port *o, const char *why) {
        o->io = sd_event_source_disable_unref(o->io);
        tty_close(&o->tty);
        o->rest_size = 0;
        tell(o, why);
        schedule_retry(o);
}

/* Serial port: watched only for its end; pty: the kernel says nothing we need. */
static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        uint8_t ignored[256];
        ssize_t n;

        (void)source;
        n = read(fd, ignored, sizeof(ignored)); /* what readers may send back means nothing */
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
            (n < 0 && (revents & (EPOLLHUP | EPOLLERR))))
                port_failed(userdata, "disconnected");
        return 0;
}

static int open_serial(struct output_port *o, char *ret_why, size_t size) {
        char own[PATH_MAX], input[PATH_MAX];
        int r;

        /* The config refuses equal paths; links to one device only show here. */
        if (o->input_path[0] && realpath(o->path, own) && realpath(o->input_path, input) &&
            strcmp(own, input) == 0) {
                (void)snprintf(ret_why, size, "is the input port");
                return -EBUSY;
        }
        r = tty_open(o->path, true, &o->tty, ret_why, size);
        if (r < 0)
                return r;
        r = sd_event_add_io(o->event, &o->io, o->tty.fd, EPOLLIN, on_io, o);
        if (r < 0) {
                tty_close(&o->tty);
                (void)snprintf(ret_why, size, "%s", strerror(-r));
        }
        return r;
}

/* A pty whose reading side is raw at once, and then closed: with no reader it reports HUP, and nothing piles
 * up for the next one. */
static int make_pty(char *ret_slave, size_t size, int *ret_master) {
        struct termios t;
        int master, slave, r = 0;

        master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (master < 0)
                return -errno;
        if (grantpt(master) < 0 || unlockpt(master) < 0)
                r = -errno;
        else
                r = -ptsname_r(master, ret_slave, size);
        if (r == 0) {
                slave = open(ret_slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (slave < 0 || tcgetattr(slave, &t) < 0)
                        r = -errno;
                else {
                        cfmakeraw(&t);
                        if (cfsetspeed(&t, B9600) < 0 || tcsetattr(slave, TCSANOW, &t) < 0)
                                r = -errno;
                }
                if (slave >= 0)
                        (void)close(slave);
        }
        if (r < 0) {
                (void)close(master);
                return r;
        }
        *ret_master = master;
        return 0;
}

/* Puts the link in place in one step; a link of an earlier run is replaced, anything else is not ours to
 * remove. */
static int make_link(const char *target, const char *path) {
        char temporary[sizeof(((struct output_port *)NULL)->link) + 32];
        struct stat st;
        int r;

        if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode))
                return -EEXIST;
        (void)snprintf(temporary, sizeof(temporary), "%s.%ld.new", path, (long)getpid());
        (void)unlink(temporary); /* of a run that had our number */
        if (symlink(target, temporary) < 0)
                return -errno;
        if (rename(temporary, path) < 0) {
                r = -errno;
                (void)unlink(temporary);
                return r;
        }
        return 0;
}

static int open_pty(struct output_port *o, char *ret_why, size_t size) {
        int r = 0;

        if (o->master < 0)
                r = make_pty(o->slave, sizeof(o->slave), &o->master);
        if (r == 0)
                r = make_link(o->slave, o->link);
        if (r < 0)
                (void)snprintf(ret_why, size, "%s", r == -EEXIST ? "is there and is no link" : strerror(-r));
        return r;
}

static void try_open(struct output_port *o) {
        char why[WHY_MAX];
        int r;

        r = o->path[0] ? open_serial(o, why, sizeof(why)) : open_pty(o, why, sizeof(why));
        if (r < 0) {
                port_failed(o, why);
                return;
        }
        o->backoff = BACKOFF_MIN_USEC;
        log_notice("output: %s opened", wanted_name(o));
        tell(o, "");
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)source;
        (void)usec;
        try_open(userdata);
        return 0;
}

int output_port_new(sd_event *event, const struct config *config, output_port_fault_t fault, void *userdata,
                    struct output_port **ret) {
        struct output_port *o;
        int r;

        if (!config->output_port[0] && !config->output_pty[0]) {
                *ret = NULL;
                return 0;
        }
        o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->event = sd_event_ref(event);
        o->fault = fault;
        o->userdata = userdata;
        o->tty = (struct tty)TTY_CLOSED;
        o->master = -1;
        o->backoff = BACKOFF_MIN_USEC;
        memcpy(o->path, config->output_port, sizeof(o->path));
        memcpy(o->link, config->output_pty, sizeof(o->link));
        memcpy(o->input_path, config->port_path, sizeof(o->input_path));

        /* The first attempt comes from the loop too: no callback runs before the caller has its pointer. */
        r = sd_event_add_time_relative(event, &o->retry, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_retry, o);
        if (r < 0) {
                output_port_free(o);
                return r;
        }
        *ret = o;
        return 0;
}

static void remove_link(const struct output_port *o) {
        char target[sizeof(o->slave)];
        ssize_t n = readlink(o->link, target, sizeof(target) - 1);

        if (n < 0)
                return;
        target[n] = '\0';
        if (strcmp(target, o->slave) == 0) /* else it is another's by now */
                (void)unlink(o->link);
}

struct output_port *output_port_free(struct output_port *o) {
        if (!o)
                return NULL;
        sd_event_source_disable_unref(o->io);
        sd_event_source_disable_unref(o->retry);
        tty_close(&o->tty);
        if (o->master >= 0) {
                remove_link(o);
                (void)close(o->master);
        }
        sd_event_unref(o->event);
        free(o);
        return NULL;
}

/* False: nobody reads the pty, so there is nothing to be late for. */
static bool has_reader(int master) {
        struct pollfd p = {.fd = master, .events = POLLOUT};

        return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

static void note_dropped(struct output_port *o, bool dropped) {
        if (dropped)
                o->dropped++;
        if (dropped && !o->dropping)
                log_warning("output: %s does not take the data: frames are dropped", wanted_name(o));
        if (!dropped && o->dropping)
                log_notice("output: %s takes the data again; %llu frames were dropped since start",
                           wanted_name(o), (unsigned long long)o->dropped);
        o->dropping = dropped;
}

/* 0: all of it is written (or begun, with the rest kept); -EAGAIN: nothing. */
static int write_frame(struct output_port *o, int fd, const uint8_t bytes[FRAME_SIZE]) {
        ssize_t n;

        if (o->rest_size > 0) {
                n = write(fd, o->rest + FRAME_SIZE - o->rest_size, o->rest_size);
                if (n < 0)
                        return errno == EINTR ? -EAGAIN : -errno;
                o->rest_size -= (size_t)n;
                if (o->rest_size > 0)
                        return -EAGAIN;
        }
        n = write(fd, bytes, FRAME_SIZE);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (n == 0)
                return -EAGAIN;
        memcpy(o->rest, bytes, FRAME_SIZE);
        o->rest_size = FRAME_SIZE - (size_t)n;
        return 0;
}

void output_port_write(struct output_port *o, const uint8_t bytes[FRAME_SIZE]) {
        int fd = o->path[0] ? o->tty.fd : o->master, backlog = 0, r;

        if (fd < 0)
                return; /* told as a fault already */
        if (!o->path[0] && !has_reader(fd)) {
                o->rest_size = 0;
                return;
        }
        if (o->path[0] && ioctl(fd, TIOCOUTQ, &backlog) == 0 && backlog > BACKLOG_MAX)
                r = -EAGAIN;
        else
                r = write_frame(o, fd, bytes);
        if (r < 0 && r != -EAGAIN && o->path[0]) {
                port_failed(o, r == -EIO || r == -ENODEV ? "disconnected" : strerror(-r));
                return;
        }
        note_dropped(o, r < 0);
}

uint64_t output_port_dropped(const struct output_port *o) {
        return o->dropped;
}
