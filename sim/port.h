/* SPDX-License-Identifier: MIT */
#pragma once

/* Where the frames go: a pseudo terminal that a reader opens like a serial port, or a file. Like a serial
 * line it keeps nothing for a reader who is not there. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port;

/* Makes a pseudo terminal in raw mode. link (may be NULL): a symbolic link to it, replacing an older link,
 * removed by port_free(); -EEXIST if something else is there. */
int port_open_pty(const char *link, struct port **ret);

/* Writes to a file, fifo or device; NULL: standard output. */
int port_open_file(const char *path, struct port **ret);

struct port *port_free(struct port *p);

/* The pseudo terminal's path; NULL for a file. */
const char *port_path(const struct port *p);

/* A write now would be read or kept: somebody has the terminal open, and reads. Always true for a file. */
bool port_ready(const struct port *p);

/* Sends. A terminal that nobody reads loses the bytes, as a wire would; a file is waited for. 0; -EPIPE when
 * the reader of a file is gone; other -Exxx of write(). */
int port_write(struct port *p, const uint8_t *data, size_t size);

/* Gives the reader of a terminal up to a second to take what was sent: closing it takes the rest away. */
void port_drain(const struct port *p);
