/* SPDX-License-Identifier: MIT */
#pragma once

/* Opens a serial port at 9600 8N1 without flow control: through libserialport, or as a plain descriptor where
 * libserialport refuses (ptys). Knows nothing of who reads or writes it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp_port;

struct tty {
        int fd;               /* -1 = closed */
        struct sp_port *port; /* NULL = plain descriptor */
        bool exclusive;       /* TIOCEXCL is set */
        char name[256];       /* the device itself: "/dev/ttyUSB0" */
};

#define TTY_CLOSED                                                                                           \
        { .fd = -1 }

/* Opens the device at path: links are followed anew each time (a USB adapter's link changes its target when
 * it is plugged in again; a simulator's link when it restarts). Never waits for a carrier; fd is
 * non-blocking; what the kernel had buffered before is dropped, for it is of unknown age. On error returns
 * -Exxx and a reason in ret_why. */
int tty_open(const char *path, bool write, struct tty *ret, char *ret_why, size_t size);
void tty_close(struct tty *t);

/* The device of the USB adapter with this identity; serial "" = any. -ENODEV: none there; -ENOTUNIQ: several.
 */
int tty_find_usb(uint16_t vendor, uint16_t product, const char *serial, char *ret_path, size_t path_size,
                 char *ret_why, size_t size);
