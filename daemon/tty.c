/* SPDX-License-Identifier: MIT */
#include "tty.h"

#include <errno.h>
#include <fcntl.h>
#include <libserialport.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define BAUD 9600

/* libserialport's result as -Exxx; errno is only meaningful for SP_ERR_FAIL. */
static int sp_errno(enum sp_return r) {
        switch (r) {
        case SP_OK:
                return 0;
        case SP_ERR_ARG:
                return -EINVAL;
        case SP_ERR_FAIL:
                return errno > 0 ? -errno : -EIO;
        case SP_ERR_MEM:
                return -ENOMEM;
        case SP_ERR_SUPP:
                return -EOPNOTSUPP;
        }
        return -EIO;
}

static int set_line(struct sp_port *port) {
        struct sp_port_config *config;
        enum sp_return r = sp_new_config(&config);
        if (r != SP_OK)
                return sp_errno(r);

        if ((r = sp_set_config_baudrate(config, BAUD)) == SP_OK &&
            (r = sp_set_config_bits(config, 8)) == SP_OK &&
            (r = sp_set_config_parity(config, SP_PARITY_NONE)) == SP_OK &&
            (r = sp_set_config_stopbits(config, 1)) == SP_OK &&
            (r = sp_set_config_flowcontrol(config, SP_FLOWCONTROL_NONE)) == SP_OK)
                r = sp_set_config(port, config);
        int error = sp_errno(r);
        sp_free_config(config);
        return error;
}

/* The descriptor of an open libserialport port, read like any other: with VMIN 1 a read of 0 bytes is the
 * end, and "nothing there" is EAGAIN (libserialport's own VMIN 0 makes the two look the same). */
static int take_descriptor(struct sp_port *port, int *ret_fd) {
        struct termios t;
        int fd;
        enum sp_return r = sp_get_port_handle(port, &fd);

        if (r != SP_OK)
                return sp_errno(r);
        if (tcgetattr(fd, &t) < 0)
                return -errno;
        t.c_cc[VMIN] = 1;
        t.c_cc[VTIME] = 0;
        if (tcsetattr(fd, TCSANOW, &t) < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

static int open_port(struct sp_port *port, bool write, struct tty *ret) {
        int fd = -1, r;

        r = sp_errno(sp_open(port, write ? SP_MODE_READ_WRITE : SP_MODE_READ));
        if (r < 0)
                return r;
        r = set_line(port);
        if (r == 0)
                r = take_descriptor(port, &fd);
        if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
                r = -errno;
        if (r < 0) {
                (void)sp_close(port); /* the first error is the one to tell */
                return r;
        }
        ret->exclusive =
                ioctl(fd, TIOCEXCL) == 0; /* a courtesy to others; the lock above is what we rely on */
        ret->fd = fd;
        ret->port = port;
        return 0;
}

static int set_raw(int fd) {
        struct termios t;

        if (tcgetattr(fd, &t) < 0)
                return -errno;
        cfmakeraw(&t);
        t.c_cflag |= CLOCAL | CREAD;
        t.c_cflag &= ~(tcflag_t)(CRTSCTS | CSTOPB);
        t.c_iflag &= ~(tcflag_t)(IXOFF | IXANY);
        t.c_cc[VMIN] = 1;
        t.c_cc[VTIME] = 0;
        if (cfsetspeed(&t, B9600) < 0 || tcsetattr(fd, TCSANOW, &t) < 0)
                return -errno;
        return 0;
}

/* No TIOCEXCL here: on a pty the flag outlives us as long as anyone holds the slave open, and would lock out
 * our own restart. */
static int open_plain(const char *device, struct tty *ret) {
        int fd, r;

        fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = set_raw(fd);
        if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
                r = -errno;
        if (r < 0) {
                (void)close(fd);
                return r;
        }
        ret->fd = fd;
        return 0;
}

static int open_device(const char *device, bool write, struct tty *ret) {
        struct sp_port *port;
        int r;

        if (strncmp(device, "/dev/pts/", 9) == 0 || sp_get_port_by_name(device, &port) != SP_OK)
                return open_plain(device, ret); /* a pty, or a terminal that sysfs does not list */
        r = open_port(port, write, ret);
        if (r < 0)
                sp_free_port(port);
        return r;
}

static const char *why(int error) {
        switch (error) {
        case EWOULDBLOCK:
        case EBUSY:
                return "in use by another program";
        case EACCES: /* also for the moment until udev has given a new device to its group */
                return "permission denied: smartbmsd's user is not in the port's group (dialout)";
        case EPERM:
                return "not permitted: the service's DeviceAllow= does not name this kind of port";
        case ENOENT:
                return "not there";
        case ENOTTY:
                return "not a serial port";
        default:
                return strerror(error);
        }
}

int tty_open(const char *path, bool write, struct tty *ret, char *ret_why, size_t size) {
        struct tty t = TTY_CLOSED;
        char device[PATH_MAX];
        struct stat st;
        int r = 0;

        if (!realpath(path, device) || stat(device, &st) < 0)
                r = -errno;
        else if (!S_ISCHR(st.st_mode))
                r = -ENOTTY;
        else if (strlen(device) >= sizeof(t.name))
                r = -ENAMETOOLONG;
        else
                r = open_device(device, write, &t);
        if (r < 0) {
                (void)snprintf(ret_why, size, "%s", why(-r));
                return r;
        }
        (void)tcflush(t.fd, TCIOFLUSH); /* a descriptor that cannot be flushed holds nothing */
        strcpy(t.name, device);
        *ret = t;
        return 0;
}

void tty_close(struct tty *t) {
        if (t->fd >= 0 && t->exclusive)
                (void)ioctl(t->fd, TIOCNXCL); /* gone anyway if the device is gone */
        if (t->port) {
                (void)sp_close(t->port);
                sp_free_port(t->port);
        } else if (t->fd >= 0)
                (void)close(t->fd);
        *t = (struct tty)TTY_CLOSED;
}

static bool usb_matches(struct sp_port *port, uint16_t vendor, uint16_t product, const char *serial) {
        const char *own = sp_get_port_usb_serial(port);
        int vid, pid;

        return sp_get_port_transport(port) == SP_TRANSPORT_USB &&
               sp_get_port_usb_vid_pid(port, &vid, &pid) == SP_OK && vid == vendor && pid == product &&
               (serial[0] == '\0' || (own && strcmp(own, serial) == 0));
}

int tty_find_usb(uint16_t vendor, uint16_t product, const char *serial, char *ret_path, size_t path_size,
                 char *ret_why, size_t size) {
        struct sp_port **ports, *found = NULL;
        enum sp_return listed = sp_list_ports(&ports);
        const char *name;
        int r = 0;

        if (listed != SP_OK) {
                r = sp_errno(listed);
                (void)snprintf(ret_why, size, "ports cannot be listed: %s", strerror(-r));
                return r;
        }
        for (size_t i = 0; ports[i] && r == 0; i++) {
                if (!usb_matches(ports[i], vendor, product, serial))
                        continue;
                if (found) { /* guessing could listen to the wrong pack */
                        (void)snprintf(ret_why, size, "%s and %s both match: add the serial number to usb:",
                                       sp_get_port_name(found), sp_get_port_name(ports[i]));
                        r = -ENOTUNIQ;
                }
                found = ports[i];
        }
        if (r == 0) {
                name = found ? sp_get_port_name(found) : NULL;
                if (!name || strlen(name) >= path_size) {
                        (void)snprintf(ret_why, size, "not plugged in");
                        r = -ENODEV;
                } else
                        strcpy(ret_path, name);
        }
        sp_free_port_list(ports);
        return r;
}
