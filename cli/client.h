/* SPDX-License-Identifier: MIT */
#pragma once

/* The way to smartbmsd: one connection, synchronous calls with a timeout, errors turned into exit codes with
 * one sentence each. Never starts the daemon by bus activation: a status query must not switch relays. */

#include <systemd/sd-bus.h>

#include "pack-name.h"
#include "units.h"

#define SMARTBMS_BUS_PATH "/org/smartbms1"
#define SMARTBMS_INTERFACE(name) PACK_BUS_NAME "." name
#define SMARTBMS_ERROR_NOT_STORED "org.smartbms1.Error.NotStored"

/* Reading answers from memory: a daemon that needs longer hangs. */
#define CLIENT_READ_TIMEOUT_USEC USEC_PER_SEC
/* A change may wait for the disk (design 8: at most 3 s). */
#define CLIENT_CHANGE_TIMEOUT_USEC (5 * USEC_PER_SEC)
/* Reading from a card that stalls. */
#define CLIENT_STORE_TIMEOUT_USEC (10 * USEC_PER_SEC)

#define CLIENT_ERROR_MAX 512

struct client {
        const char *address;          /* NULL = the system bus */
        const char *pack;             /* whose daemon is meant */
        char name[PACK_BUS_NAME_SIZE]; /* and its name on the bus */
        sd_bus *bus;                  /* NULL = not connected */
        char error[CLIENT_ERROR_MAX]; /* the newest failure, one sentence */
};

/* Each returns 0 or an exit code (EXIT_NO_DAEMON, EXIT_REFUSED, EXIT_NOT_STORED) with client.error set. */
int client_open(struct client *c, const char *address, const char *pack);
void client_close(struct client *c);

/* The packs whose daemons are on the bus: the default one first, then by name. None at all is EXIT_NO_DAEMON. */
#define CLIENT_PACKS_MAX 256
struct client_packs {
        int n;
        char names[CLIENT_PACKS_MAX][PACK_NAME_MAX + 1];
};
int client_list_packs(struct client *c, struct client_packs *ret);

/* Whose daemon is meant from now on; the connection stays. */
void client_choose_pack(struct client *c, const char *pack);

int client_new_call(struct client *c, const char *interface, const char *method, sd_bus_message **ret);
int client_send(struct client *c, sd_bus_message *call, usec_t timeout, sd_bus_message **ret_reply);

int client_bad_call(struct client *c, const char *method, int error); /* what could not be sent */

/* A call whose answer says no more than that it is done; arguments as for sd_bus_message_append(). */
int client_command(struct client *c, const char *interface, const char *method, usec_t timeout, const char *types,
                   ...);

/* The reply's a{sv} of every property of an interface. */
int client_get_all(struct client *c, const char *interface, sd_bus_message **ret_reply);

/* A reply whose form is not the one agreed. */
int client_bad_reply(struct client *c, int error);

/* Calls fn for each entry of an a{sv}: m stands inside the variant, whose contents have signature `contents`.
 * fn consumes exactly those (sd_bus_message_skip() for what it does not want) and returns 0 or a negative
 * error. */
typedef int (*client_entry_fn)(void *userdata, const char *key, const char *contents, sd_bus_message *m);
int client_each_entry(sd_bus_message *m, client_entry_fn fn, void *userdata);

/* The next value of a message: 0 or positive, or a negative error. A text that is too long is cut. */
int client_read_maybe(sd_bus_message *m, struct maybe64 *ret); /* (bx) */
int client_read_text(sd_bus_message *m, char *to, size_t size);
int client_read_bool(sd_bus_message *m, bool *ret);
