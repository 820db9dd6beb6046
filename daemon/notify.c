/* SPDX-License-Identifier: MIT */
#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_open(struct notify *n) {
        const char *path = secure_getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        size_t length;

        n->fd = -1;
        if (!path || (path[0] != '/' && path[0] != '@'))
                return;
        length = strlen(path);
        if (length >= sizeof(address.sun_path))
                return;
        memcpy(address.sun_path, path, length);
        if (path[0] == '@') /* abstract */
                address.sun_path[0] = '\0';
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (n->fd >= 0 && connect(n->fd, (const struct sockaddr *)&address,
                                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
                                              (path[0] == '@' ? 0 : 1))) < 0)
                notify_close(n);
        unsetenv("NOTIFY_SOCKET");
}

void notify_close(struct notify *n) {
        if (n->fd >= 0)
                close(n->fd);
        n->fd = -1;
}

bool notify_send(const struct notify *n, const char *state) {
        return n->fd >= 0 && send(n->fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}
