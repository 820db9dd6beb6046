/* SPDX-License-Identifier: MIT */
#include "small-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_all(int fd, const char *text) {
        for (size_t length = strlen(text); length > 0;) {
                const ssize_t n = write(fd, text, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                text += n;
                length -= (size_t)n;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

int small_file_replace(const char *directory, const char *name, const char *text) {
        char beside[NAME_MAX];
        int dir, fd, r;

        (void)snprintf(beside, sizeof(beside), "%s.new", name);
        dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        fd = openat(dir, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        r = fd < 0 ? -errno : write_all(fd, text);
        if (fd >= 0)
                (void)close(fd); /* synced, or given up */
        if (r >= 0 && renameat(dir, beside, dir, name) < 0)
                r = -errno;
        if (r >= 0 && fsync(dir) < 0)
                r = -errno;
        (void)close(dir);
        return r;
}

int small_file_read(const char *directory, const char *name, char *ret_text, size_t size) {
        char path[PATH_MAX];
        size_t length = 0;
        ssize_t n;
        int fd, r = 0;

        (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        do {
                n = read(fd, ret_text + length, size - length);
                if (n > 0)
                        length += (size_t)n;
        } while ((n > 0 && length < size) || (n < 0 && errno == EINTR));
        if (n < 0)
                r = -errno;
        else if (length == size)
                r = -EFBIG;
        else
                ret_text[length] = '\0';
        (void)close(fd);
        return r;
}
