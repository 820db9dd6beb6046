/* SPDX-License-Identifier: MIT */
#pragma once

/* Lines of text from outside, one command each, answered "ok[ ...]" or "error: ...". Understands none of
 * them. */

#include <stddef.h>
#include <systemd/sd-event.h>

struct control;

/* 0 with an answer (may be ""), or -Exxx with a sentence. */
typedef int (*control_handler)(void *userdata, const char *line, char *ret_answer, size_t size);

/* path: "-" for standard input, an existing fifo, or a unix socket that is made, and removed by
 * control_free(). answers: where the answers to standard input and to a fifo go (a descriptor that stays the
 * caller's); a socket's client gets its own. */
int control_new(sd_event *event, const char *path, int answers, control_handler handler, void *userdata,
                struct control **ret);
struct control *control_free(struct control *c);
