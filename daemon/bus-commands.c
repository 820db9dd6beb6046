/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus-internal.h"
#include "names.h"

int bus_command_error(sd_bus_error *ret_error, int error, const char *sentence) {
        bool bad_argument = error == -EINVAL || error == -ERANGE;

        return sd_bus_error_set(ret_error, bad_argument ? SD_BUS_ERROR_INVALID_ARGS : BUS_ERROR_REFUSED,
                                sentence[0] ? sentence : strerror(-error));
}

static int command_set_soc(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                           sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        int64_t permyriad;
        int r;

        r = sd_bus_message_read(m, "x", &permyriad);
        if (r < 0)
                return r;
        r = b->callbacks.soc_set(b->callbacks.userdata, permyriad, by, reply, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

static int command_accept(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                          sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        int r;

        (void)m;
        r = b->callbacks.accept_cells(b->callbacks.userdata, by, reply, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

static int command_release(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                           sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        const char *name;
        int relay, r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        relay = relay_from_name(name);
        if (relay < 0)
                return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                         "There is no relay \"%s\": expected charge or load.", name);
        r = b->callbacks.release(b->callbacks.userdata, relay, by, reply, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

static int command_recover(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                           sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        int64_t minutes;
        int r;

        r = sd_bus_message_read(m, "x", &minutes);
        if (r < 0)
                return r;
        r = b->callbacks.recover(b->callbacks.userdata, minutes, by, reply, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

static int command_clear(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                         sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        int r;

        (void)m;
        r = b->callbacks.clear_energy(b->callbacks.userdata, by, reply, sentence, sizeof(sentence));
        return r < 0 ? bus_command_error(ret_error, r, sentence) : 0;
}

/* A pipe or a device could make the writer wait for ever. */
static bool is_writable_file(int fd) {
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The caller opens the file, with the caller's own rights; the daemon's sandbox reaches no file of theirs. */
static int command_backup(struct bus *b, sd_bus_message *m, const char *by, struct bus_reply *reply,
                          sd_bus_error *ret_error) {
        char sentence[BUS_SENTENCE_MAX] = "";
        int theirs, fd, r;

        r = sd_bus_message_read(m, "h", &theirs);
        if (r < 0)
                return r;
        if (!is_writable_file(theirs))
                return sd_bus_error_set(ret_error, SD_BUS_ERROR_INVALID_ARGS,
                                        "A backup needs a regular file that is open for writing.");
        fd = fcntl(theirs, F_DUPFD_CLOEXEC, 3); /* the message's own goes with it */
        if (fd < 0)
                return -errno;
        reply->applied = false;
        r = b->callbacks.backup(b->callbacks.userdata, fd, by, reply, sentence, sizeof(sentence));
        if (r < 0) {
                close(fd);
                return bus_command_error(ret_error, r, sentence);
        }
        return 0;
}

int bus_method_set_soc(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_set_soc, ret_error);
}

int bus_method_accept(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_accept, ret_error);
}

int bus_method_release(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_release, ret_error);
}

int bus_method_recover(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_recover, ret_error);
}

int bus_method_clear(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_clear, ret_error);
}

int bus_method_backup(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        return bus_callers_check(userdata, m, command_backup, ret_error);
}
