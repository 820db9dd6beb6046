/* SPDX-License-Identifier: MIT */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

struct port {
        int fd;
        bool pty, owns_fd;
        char path[64];
        char *link;
};

static int new_port(struct port **ret) {
        struct port *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->fd = -1;
        *ret = p;
        return 0;
}

static int make_raw(int fd) {
        struct termios tio;

        if (tcgetattr(fd, &tio) < 0)
                return -errno;
        cfmakeraw(&tio);
        (void)cfsetspeed(&tio, B9600); /* what a reader will find; a pseudo terminal has no speed */
        return tcsetattr(fd, TCSANOW, &tio) < 0 ? -errno : 0;
}

/* Opens and closes the reader's side once: from then on the kernel tells (POLLHUP) whether somebody has it
 * open. */
static int set_up_slave(struct port *p) {
        int fd, r;

        if (ptsname_r(p->fd, p->path, sizeof(p->path)) != 0)
                return -errno;
        fd = open(p->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = make_raw(fd);
        (void)close(fd);
        return r;
}

/* Replaces an older link in one step: a reader finds the old one or the new one, never nothing. */
static int make_link(struct port *p, const char *link) {
        char temporary[PATH_MAX];
        struct stat st;

        if (lstat(link, &st) == 0 && !S_ISLNK(st.st_mode))
                return -EEXIST;
        if (snprintf(temporary, sizeof(temporary), "%s.%ld", link, (long)getpid()) >= (int)sizeof(temporary))
                return -ENAMETOOLONG;
        (void)unlink(temporary); /* left by an earlier process of this number */
        if (symlink(p->path, temporary) < 0)
                return -errno;
        if (rename(temporary, link) < 0) {
                int r = -errno;

                (void)unlink(temporary);
                return r;
        }
        p->link = strdup(link);
        return p->link ? 0 : -ENOMEM;
}

int port_open_pty(const char *link, struct port **ret) {
        struct port *p = NULL;
        int r;

        r = new_port(&p);
        if (r < 0)
                return r;
        p->pty = p->owns_fd = true;
        p->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (p->fd < 0 || grantpt(p->fd) < 0 || unlockpt(p->fd) < 0) {
                r = -errno;
                goto fail;
        }
        r = set_up_slave(p);
        if (r < 0)
                goto fail;
        if (link) {
                r = make_link(p, link);
                if (r < 0)
                        goto fail;
        }
        *ret = p;
        return 0;

fail:
        (void)port_free(p);
        return r;
}

int port_open_file(const char *path, struct port **ret) {
        struct port *p = NULL;
        int r;

        r = new_port(&p);
        if (r < 0)
                return r;
        p->owns_fd = path != NULL;
        p->fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0666) : STDOUT_FILENO;
        if (p->fd < 0) {
                r = -errno;
                (void)port_free(p);
                return r;
        }
        *ret = p;
        return 0;
}

struct port *port_free(struct port *p) {
        char target[PATH_MAX];
        ssize_t n;

        if (!p)
                return NULL;
        /* Another simulator may have taken the link over. */
        n = p->link ? readlink(p->link, target, sizeof(target) - 1) : -1;
        if (n > 0) {
                target[n] = '\0';
                if (strcmp(target, p->path) == 0)
                        (void)unlink(p->link);
        }
        if (p->owns_fd && p->fd >= 0)
                (void)close(p->fd);
        free(p->link);
        free(p);
        return NULL;
}

const char *port_path(const struct port *p) {
        return p->pty ? p->path : NULL;
}

static bool has_reader(const struct port *p) {
        struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};

        return poll(&pfd, 1, 0) >= 0 && !(pfd.revents & POLLHUP);
}

bool port_ready(const struct port *p) {
        struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};

        if (!p->pty)
                return true;
        return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLOUT | POLLHUP)) == POLLOUT;
}

/* What the reader sends to us is nothing (the output of a real chain is one way): it must not pile up. */
static void discard_input(const struct port *p) {
        uint8_t buffer[256];

        for (int i = 0; i < 16 && read(p->fd, buffer, sizeof(buffer)) > 0; i++)
                ;
}

int port_write(struct port *p, const uint8_t *data, size_t size) {
        if (p->pty) {
                if (!has_reader(p)) {
                        (void)tcflush(p->fd, TCIOFLUSH); /* nor is anything kept from before */
                        return 0;
                }
                discard_input(p);
        }
        while (size > 0) {
                ssize_t n = write(p->fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && p->pty && (errno == EAGAIN || errno == EIO))
                        return 0; /* overrun: the rest is lost */
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t)n;
        }
        return 0;
}

void port_drain(const struct port *p) {
        int fd, pending, quiet = 0;

        if (!p->pty || !has_reader(p))
                return;
        /* Only the reader's side knows what waits there, and only what has left the kernel's buffer before
         * it: nothing must wait for a while, and on a busy machine that takes it longer. */
        fd = open(p->path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return;
        for (int i = 0; i < 500 && quiet < 10; i++) {
                quiet = ioctl(fd, FIONREAD, &pending) == 0 && pending == 0 ? quiet + 1 : 0;
                (void)usleep(10000);
        }
        (void)close(fd);
}
