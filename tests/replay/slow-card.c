/* SPDX-License-Identifier: MIT */

/* For LD_PRELOAD: a card that does not answer. While the file $SLOW_CARD exists, whatever reads from, writes to or
 * syncs a file below $SLOW_DIRECTORY waits. */

#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_here(const char *path) {
        const char *directory = getenv("SLOW_DIRECTORY"), *card = getenv("SLOW_CARD");
        const int e = errno;

        if (directory && card && strncmp(path, directory, strlen(directory)) == 0)
                while (access(card, F_OK) == 0)
                        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        errno = e;
}

static void wait_for(int fd) {
        char proc[64], path[PATH_MAX];
        const int e = errno;
        ssize_t n;

        (void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
        n = readlink(proc, path, sizeof(path) - 1);
        errno = e;
        if (n <= 0)
                return;
        path[n] = '\0';
        wait_here(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) {
        wait_for(fd);
        return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
        wait_for(fd);
        return (int)syscall(SYS_fdatasync, fd);
}

ssize_t write(int fd, const void *data, size_t size) {
        wait_for(fd);
        return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
        wait_for(fd);
        return REAL(pwrite)(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
        wait_for(fd);
        return REAL(pwrite64)(fd, data, size, offset);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) {
        wait_for(fd);
        return REAL(pread)(fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset) {
        wait_for(fd);
        return REAL(pread64)(fd, data, size, offset);
}

#define OPENS(flags, at, path)                            \
        do {                                              \
                mode_t mode = 0;                          \
                if ((flags) & (O_CREAT | O_TMPFILE)) {    \
                        va_list ap;                       \
                        va_start(ap, flags);              \
                        mode = va_arg(ap, mode_t);        \
                        va_end(ap);                       \
                }                                         \
                wait_here(path);                          \
                return (int)syscall(SYS_openat, at, path, flags, mode); \
        } while (0)

int open(const char *path, int flags, ...) {
        OPENS(flags, AT_FDCWD, path);
}

int open64(const char *path, int flags, ...) {
        OPENS(flags, AT_FDCWD, path);
}
