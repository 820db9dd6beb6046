/* SPDX-License-Identifier: MIT */
#pragma once

/* How each coil is driven, as a small file in the runtime directory: smartbmsd writes it before it takes a line, and
 * relays-open, which knows nothing of YAML, reads it when smartbmsd has died. One line a coil, and an end:
 *
 *     smartbms-relays 1
 *     charge set 0 high chip 17 pinctrl-bcm2711
 *     charge reset 50 high chip 27 pinctrl-bcm2711
 *     load line 0 low name GPIO23
 *     end
 *
 * relay, coil, length of the pulse in ms that opens the relay (0: this coil opens nothing, and is only to be without
 * current), the level under which it is under current, and the line, whose name comes last because it may contain
 * blanks. A file that is not like this to the last byte is refused whole: a wrong line must not be driven.
 *
 * A copy is kept in the state directory. /run is empty after a power cut, and a latching relay is not: should the
 * config not load then, relays-open has the copy to go by. */

#include "config.h"

#define RELAY_FILE_NAME "relays"
#define RELAY_COILS_MAX (_RELAY_MAX * 2U)

enum relay_coil { RELAY_COIL_SET, RELAY_COIL_RESET, RELAY_COIL_LINE };

struct relay_coil_use {
        enum relay_id relay;
        enum relay_coil coil;
        unsigned pulse_msec; /* RELAY_COIL_RESET: 10..500; else 0 */
        struct config_line line;
};

struct relay_coils {
        size_t n;
        struct relay_coil_use coils[RELAY_COILS_MAX];
};

/* Those of the config; none for driver log. */
void relay_coils_of(const struct config *config, struct relay_coils *ret);

/* The text; returns its length. -ENOSPC. */
int relay_coils_format(const struct relay_coils *coils, char *ret_text, size_t size);

/* -EBADMSG with a sentence. */
int relay_coils_parse(const char *text, size_t size, struct relay_coils *ret, char *ret_why, size_t why_size);

/* Replaces RELAY_FILE_NAME in the directory at once. 0 or -Exxx. */
int relay_file_write(const char *directory, const struct relay_coils *coils);

/* The same, so that it outlives the power; writes nothing if the file there says so already. Waits for the card. */
int relay_file_keep(const char *directory, const struct relay_coils *coils);

/* -ENOENT: there is none; -EBADMSG; -Exxx; each with a sentence. */
int relay_file_read(const char *path, struct relay_coils *ret, char *ret_why, size_t size);
