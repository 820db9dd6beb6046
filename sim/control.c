/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 8
#define LINE_SIZE 256
#define ANSWER_SIZE 512

struct client {
        struct control *control;
        sd_event_source *source;
        int in, out;
        bool owns_fd;
        bool too_long; /* the line is skipped up to its end */
        size_t used;
        char line[LINE_SIZE];
};

struct control {
        sd_event *event;
        sd_event_source *listener;
        int listen_fd;
        struct sockaddr_un address;
        control_handler handler;
        void *userdata;
        struct client clients[CLIENTS_MAX];
};

static void end_client(struct client *c) {
        c->source = sd_event_source_disable_unref(c->source);
        if (c->owns_fd)
                (void)close(c->in);
        *c = (struct client){.in = -1, .out = -1};
}

static void answer(struct client *c, int r, const char *text) {
        char out[ANSWER_SIZE + 16];
        int n = snprintf(out, sizeof(out), "%s%s%s\n", r < 0 ? "error:" : "ok", *text ? " " : "", text);

        /* A client that does not read its answers loses them. */
        if (n > 0 && write(c->out, out, (size_t)n) < 0)
                return;
}

static void run_line(struct client *c) {
        char text[ANSWER_SIZE] = "";
        int r;

        c->line[c->used] = '\0';
        c->used = 0;
        r = c->control->handler(c->control->userdata, c->line, text, sizeof(text));
        answer(c, r, text);
}

static void take(struct client *c, char byte) {
        if (byte == '\n') {
                if (c->too_long)
                        answer(c, -EINVAL, "the line is too long");
                else
                        run_line(c);
                c->too_long = false;
                c->used = 0;
        } else if (c->used == LINE_SIZE - 1)
                c->too_long = true;
        else
                c->line[c->used++] = byte;
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct client *c = userdata;
        char buffer[256];
        ssize_t n = read(fd, buffer, sizeof(buffer));

        (void)source;
        (void)revents;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        for (ssize_t i = 0; i < n; i++)
                take(c, buffer[i]);
        if (n <= 0)
                end_client(c);
        return 0;
}

static int add_client(struct control *control, int in, int out, bool owns_fd) {
        for (int i = 0; i < CLIENTS_MAX; i++) {
                struct client *c = &control->clients[i];
                int r;

                if (c->source)
                        continue;
                *c = (struct client){.control = control, .in = in, .out = out, .owns_fd = owns_fd};
                r = sd_event_add_io(control->event, &c->source, in, EPOLLIN, on_input, c);
                if (r == -EPERM) {
                        /* A plain file or /dev/null as standard input: epoll has no use for it, and nothing
                         * will come that is not there already. */
                        while (on_input(NULL, in, 0, c) == 0 && c->control)
                                ;
                        return 0;
                }
                return r < 0 ? r : 0;
        }
        return -EBUSY;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct control *c = userdata;
        int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        (void)source;
        (void)revents;
        if (client >= 0 && add_client(c, client, client, true) < 0)
                (void)close(client);
        return 0;
}

/* A socket that nobody listens to any more is in the way; one that is in use is not ours. */
static int remove_stale(const struct sockaddr_un *address) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r = -EADDRINUSE;

        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED)
                r = unlink(address->sun_path) < 0 ? -errno : 0;
        (void)close(fd);
        return r;
}

static int listen_socket(struct control *c, const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct stat st;
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        (void)strcpy(address.sun_path, path);
        if (lstat(path, &st) == 0) {
                r = S_ISSOCK(st.st_mode) ? remove_stale(&address) : -EEXIST;
                if (r < 0)
                        return r;
        }
        c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->listen_fd < 0 || bind(c->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        c->address = address;
        if (listen(c->listen_fd, CLIENTS_MAX) < 0)
                return -errno;
        r = sd_event_add_io(c->event, &c->listener, c->listen_fd, EPOLLIN, on_connection, c);
        return r < 0 ? r : 0;
}

static int open_path(struct control *c, const char *path, int answers) {
        struct stat st;
        int fd;

        if (strcmp(path, "-") == 0)
                return add_client(c, STDIN_FILENO, answers, false);
        if (stat(path, &st) < 0 || !S_ISFIFO(st.st_mode))
                return listen_socket(c, path);
        /* For reading and writing: it does not end when a writer closes it. */
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        return fd < 0 ? -errno : add_client(c, fd, answers, true);
}

int control_new(sd_event *event, const char *path, int answers, control_handler handler, void *userdata,
                struct control **ret) {
        struct control *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->event = sd_event_ref(event);
        c->handler = handler;
        c->userdata = userdata;
        c->listen_fd = -1;
        r = open_path(c, path, answers);
        if (r < 0) {
                (void)control_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

struct control *control_free(struct control *c) {
        if (!c)
                return NULL;
        for (int i = 0; i < CLIENTS_MAX; i++)
                if (c->clients[i].source)
                        end_client(&c->clients[i]);
        c->listener = sd_event_source_disable_unref(c->listener);
        if (c->listen_fd >= 0)
                (void)close(c->listen_fd);
        if (c->address.sun_path[0] != '\0')
                (void)unlink(c->address.sun_path);
        c->event = sd_event_unref(c->event);
        free(c);
        return NULL;
}
