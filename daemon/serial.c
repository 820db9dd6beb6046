/* SPDX-License-Identifier: MIT */
#include "serial.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "tty.h"

#define BACKOFF_MIN_USEC (200 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (2 * USEC_PER_SEC)
#define LINK_CHECK_USEC (2 * USEC_PER_SEC)
#define READ_SIZE 1024U
#define READS_PER_WAKEUP 4U /* then the rest of the loop has its turn, whatever comes in */
#define WHY_MAX 256U

struct serial {
        sd_event *event;
        struct serial_callbacks callbacks;
        char path[256]; /* "" = by USB identity */
        uint16_t usb_vendor, usb_product;
        char usb_serial[64];

        struct tty tty;
        sd_event_source *io, *timer; /* timer: the next attempt; of an open pty: the next look at its link */
        usec_t backoff;
        char why[WHY_MAX]; /* why it is not open, as last logged */
};

static void wanted_name(const struct serial *s, char *ret, size_t size) {
        if (s->path[0])
                (void)snprintf(ret, size, "%s", s->path);
        else
                (void)snprintf(ret, size, "USB %04x:%04x%s%s", s->usb_vendor, s->usb_product,
                               s->usb_serial[0] ? ":" : "", s->usb_serial);
}

static void wake_in(struct serial *s, usec_t delay) {
        int r;

        r = sd_event_source_set_time_relative(s->timer, delay);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error("serial: cannot set a timer: %s", strerror(-r));
}

/* Calls for the next attempt; the waiting doubles until bytes have come in. */
static void schedule_retry(struct serial *s) {
        wake_in(s, s->backoff);
        s->backoff = s->backoff * 2 < BACKOFF_MAX_USEC ? s->backoff * 2 : BACKOFF_MAX_USEC;
}

static void close_port(struct serial *s, const char *why) {
        s->io = sd_event_source_disable_unref(s->io);
        log_warning("serial: %s lost: %s", s->tty.name, why);
        tty_close(&s->tty);
        s->why[0] = '\0';
        schedule_retry(s);
        s->callbacks.lost(s->callbacks.userdata, clock_now(), why);
}

/* 0: more may be there; 1: drained; -Exxx: the port is gone. */
static int read_some(struct serial *s) {
        uint8_t buffer[READ_SIZE];
        ssize_t n;

        n = read(s->tty.fd, buffer, sizeof(buffer));
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 1 : -errno;
        if (n == 0)
                return -ENODEV; /* VMIN is 1: only a terminal that was hung up reads nothing */
        s->backoff = BACKOFF_MIN_USEC;
        s->callbacks.bytes(s->callbacks.userdata, clock_now(), buffer, (size_t)n);
        return (size_t)n < sizeof(buffer);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct serial *s = userdata;
        int r = 0;

        (void)source;
        (void)fd;
        for (unsigned i = 0; i < READS_PER_WAKEUP && r == 0; i++)
                r = read_some(s);
        if (r < 0)
                close_port(s, r == -EIO || r == -ENODEV ? "disconnected" : strerror(-r));
        else if (r > 0 && (revents & (EPOLLHUP | EPOLLERR)))
                close_port(s, "disconnected");
        return 0;
}

static int open_wanted(struct serial *s, char *ret_why, size_t size) {
        char path[sizeof(s->path)];
        int r;

        if (s->path[0])
                return tty_open(s->path, false, &s->tty, ret_why, size);
        r = tty_find_usb(s->usb_vendor, s->usb_product, s->usb_serial, path, sizeof(path), ret_why, size);
        return r < 0 ? r : tty_open(path, false, &s->tty, ret_why, size);
}

static void try_open(struct serial *s) {
        char why[WHY_MAX], name[384];
        int r;

        r = open_wanted(s, why, sizeof(why));
        if (r == 0) {
                r = sd_event_add_io(s->event, &s->io, s->tty.fd, EPOLLIN, on_io, s);
                if (r < 0) {
                        tty_close(&s->tty);
                        (void)snprintf(why, sizeof(why), "%s", strerror(-r));
                }
        }
        if (r < 0) {
                if (strcmp(why, s->why) != 0) { /* each state once, not each attempt */
                        wanted_name(s, name, sizeof(name));
                        log_warning("serial: %s cannot be opened: %s; trying again", name, why);
                        strcpy(s->why, why);
                }
                schedule_retry(s);
                return;
        }
        log_notice("serial: %s opened", s->tty.name);
        if (s->path[0] && !s->tty.port)
                wake_in(s, LINK_CHECK_USEC);
        s->callbacks.opened(s->callbacks.userdata, clock_now(), s->tty.name);
}

/* The link to a pty dangles while a simulator restarts, and the kernel may give its number to somebody else
 * meanwhile: what we then hold open is a stranger's, says nothing, and does not end when the link is set to
 * the new one. */
static void check_link(struct serial *s) {
        char device[PATH_MAX];

        if (!realpath(s->path, device) || strcmp(device, s->tty.name) != 0)
                close_port(s, "the link points elsewhere");
        else
                wake_in(s, LINK_CHECK_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct serial *s = userdata;

        (void)source;
        (void)usec;
        if (s->tty.fd >= 0)
                check_link(s);
        else
                try_open(s);
        return 0;
}

int serial_new(sd_event *event, const struct config *config, const struct serial_callbacks *callbacks,
               struct serial **ret) {
        struct serial *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = sd_event_ref(event);
        s->callbacks = *callbacks;
        s->tty = (struct tty)TTY_CLOSED;
        s->backoff = BACKOFF_MIN_USEC;
        memcpy(s->path, config->port_path, sizeof(s->path));
        s->usb_vendor = config->usb_vendor;
        s->usb_product = config->usb_product;
        memcpy(s->usb_serial, config->usb_serial, sizeof(s->usb_serial));

        /* The first attempt comes from the loop too: no callback runs before the caller has its pointer. */
        r = sd_event_add_time_relative(event, &s->timer, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_timer, s);
        if (r < 0) {
                serial_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct serial *serial_free(struct serial *s) {
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->io);
        sd_event_source_disable_unref(s->timer);
        tty_close(&s->tty);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}

const char *serial_name(const struct serial *s) {
        return s->tty.fd >= 0 ? s->tty.name : NULL;
}
