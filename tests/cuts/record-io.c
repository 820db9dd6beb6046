/* SPDX-License-Identifier: MIT */

/* For LD_PRELOAD: writes down everything that a process does to the files below one directory, so that cuts.py can
 * play what a card holds after a power cut at any moment.
 *
 *   RECORD_DIRECTORY  absolute, no symbolic links in it
 *   RECORD_LOG        outside of it; appended to. Several processes one after the other may share it
 *
 * Each operation is done and written down under one lock: the order in the log is the order in which things
 * happened, and no operation begins while another is under way. Its times (CLOCK_BOOTTIME) are those just
 * before and just behind it. What is mapped into memory is not seen; SQLite does so with its -shm file only,
 * which a cut throws away. A call that changes a file here and is not known to this program would be missed:
 * cuts.py compares the directory at the end with what the log makes of it. */

/* Both open() and open64() are to be defined here. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* cuts.py knows these numbers. */
enum kind { START, OPEN, CLOSE, WRITE, TRUNCATE, ALLOCATE, SYNC, LINK, RENAME, UNLINK, MKDIR };

struct record {
        uint32_t kind;
        int32_t fd;           /* a new one of OPEN; -1 = none */
        uint64_t begun, done; /* ns */
        uint64_t offset;      /* WRITE, ALLOCATE; new size of TRUNCATE */
        uint32_t created;     /* OPEN: was not there; 2 = was emptied. RENAME: nothing happened, both are one file */
        uint32_t from, to;    /* lengths of what follows: names relative to the directory, "" = itself; */
        uint32_t size;        /* data */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char directory[PATH_MAX];
static size_t directory_length;
static int log_fd = -1;

/* What is open below the directory. Which file it is, too: what closes a descriptor without our seeing it (closedir())
 * leaves the number to somebody else's. */
#define FDS_MAX 4096
static struct {
        bool open;
        dev_t device;
        ino_t inode;
} ours[FDS_MAX];

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
        void *p = dlsym(RTLD_NEXT, name);

        if (!p)
                abort();
        return p;
}

static uint64_t now(void) {
        struct timespec ts;

        (void)clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void put(struct record *r, const char *from, const char *to, const void *data, size_t size) {
        struct iovec v[4] = {
                {r, sizeof(*r)},
                {(void *)(uintptr_t)from, strlen(from)},
                {(void *)(uintptr_t)to, strlen(to)},
                {(void *)(uintptr_t)data, size},
        };
        size_t whole = 0;

        r->from = (uint32_t)v[1].iov_len;
        r->to = (uint32_t)v[2].iov_len;
        r->size = (uint32_t)size;
        for (int i = 0; i < 4; i++)
                whole += v[i].iov_len;
        if (syscall(SYS_writev, log_fd, v, 4) != (long)whole) {
                static const char text[] = "record-io: the log cannot be written\n";

                (void)!syscall(SYS_write, 2, text, sizeof(text) - 1);
                abort(); /* a log with a hole would show losses that are none */
        }
}

/* Before the first operation, whichever library makes it. */
__attribute__((constructor)) static void begin(void) {
        const char *where = getenv("RECORD_DIRECTORY"), *log = getenv("RECORD_LOG");
        struct record r = {.kind = START, .fd = -1};

        if (log_fd >= 0 || !where || !log)
                return;
        directory_length = strlen(where);
        if (directory_length + 1 >= sizeof(directory))
                abort();
        memcpy(directory, where, directory_length + 1);
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0)
                abort();
        r.begun = r.done = now();
        put(&r, "", "", NULL, 0);
}

static bool start(void) {
        begin();
        (void)pthread_mutex_lock(&lock);
        return log_fd >= 0;
}

static void finish(void) {
        const int e = errno;

        (void)pthread_mutex_unlock(&lock);
        errno = e;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

/* Below the directory (ret: relative to it) or not. */
static bool below(const char *path, char ret[PATH_MAX]) {
        if (strncmp(path, directory, directory_length) != 0 ||
            (path[directory_length] != '/' && path[directory_length] != '\0'))
                return false;
        path += directory_length;
        while (*path == '/')
                path++;
        (void)snprintf(ret, PATH_MAX, "%s", path);
        return true;
}

static bool fd_name(int fd, char ret[PATH_MAX]) {
        char proc[64], path[PATH_MAX];
        ssize_t n;

        (void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
        n = readlink(proc, path, sizeof(path) - 1);
        if (n < 0)
                return false;
        path[n] = '\0';
        return below(path, ret);
}

/* The name itself is not resolved, only the directory that it is in. */
static bool name_at(int at, const char *path, char ret[PATH_MAX]) {
        char whole[2 * PATH_MAX], resolved[PATH_MAX], *slash;
        const int e = errno;
        bool found;

        if (path[0] == '/')
                (void)snprintf(whole, sizeof(whole), "%s", path);
        else {
                char base[PATH_MAX], proc[64];
                ssize_t n = 0;

                if (at == AT_FDCWD) {
                        if (!getcwd(base, sizeof(base)))
                                return false;
                } else {
                        (void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", at);
                        n = readlink(proc, base, sizeof(base) - 1);
                        if (n < 0)
                                return false;
                        base[n] = '\0';
                }
                (void)snprintf(whole, sizeof(whole), "%s/%s", base, path);
        }
        if (strcmp(whole, directory) == 0) {
                ret[0] = '\0';
                return true;
        }
        slash = strrchr(whole, '/');
        *slash = '\0';
        if (!realpath(slash == whole ? "/" : whole, resolved)) {
                errno = e;
                return false;
        }
        *slash = '/';
        size_t n = strlen(resolved);
        if (n + strlen(slash) >= sizeof(resolved))
                return false;
        memcpy(resolved + (n == 1 ? 0 : n), slash, strlen(slash) + 1);
        found = below(resolved, ret);
        errno = e;
        return found;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static int do_open(int at, const char *path, int flags, mode_t mode) {
        struct record r = {.kind = OPEN};
        char name[PATH_MAX];
        struct stat st;
        bool there;
        int fd;

        if (!start() || (flags & O_TMPFILE) == O_TMPFILE || !name_at(at, path, name)) {
                fd = (int)syscall(SYS_openat, at, path, flags, mode);
                if (fd >= 0 && fd < FDS_MAX)
                        ours[fd].open = false;
                finish();
                return fd;
        }
        there = fstatat(at, path, &st, 0) == 0;
        r.begun = now();
        fd = (int)syscall(SYS_openat, at, path, flags, mode);
        if (fd >= FDS_MAX)
                abort();
        if (fd >= 0) {
                const int e = errno;

                r.done = now();
                if (fstat(fd, &st) < 0)
                        abort();
                ours[fd].open = true;
                ours[fd].device = st.st_dev;
                ours[fd].inode = st.st_ino;
                r.fd = fd;
                r.created = !there ? 1 : (flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY ? 2 : 0;
                (void)fd_name(fd, name); /* symbolic links resolved */
                put(&r, name, "", NULL, 0);
                errno = e;
        }
        finish();
        return fd;
}

#define OPEN_MODE(flags, mode)                            \
        do {                                              \
                if ((flags) & (O_CREAT | O_TMPFILE)) {    \
                        va_list ap;                       \
                        va_start(ap, flags);              \
                        (mode) = va_arg(ap, mode_t);      \
                        va_end(ap);                       \
                }                                         \
        } while (false)

int open(const char *path, int flags, ...) {
        mode_t mode = 0;

        OPEN_MODE(flags, mode);
        return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
        mode_t mode = 0;

        OPEN_MODE(flags, mode);
        return do_open(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *path, int flags, ...) {
        mode_t mode = 0;

        OPEN_MODE(flags, mode);
        return do_open(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
        mode_t mode = 0;

        OPEN_MODE(flags, mode);
        return do_open(at, path, flags | O_LARGEFILE, mode);
}

/* _FORTIFY_SOURCE's */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags);

int __open_2(const char *path, int flags) {
        return do_open(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags) {
        return do_open(AT_FDCWD, path, flags | O_LARGEFILE, 0);
}

int __openat_2(int at, const char *path, int flags) {
        return do_open(at, path, flags, 0);
}

int __openat64_2(int at, const char *path, int flags) {
        return do_open(at, path, flags | O_LARGEFILE, 0);
}

int creat(const char *path, mode_t mode) {
        return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode) {
        return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, mode);
}

static bool is_ours(int fd) {
        struct stat st;

        if (fd < 0 || fd >= FDS_MAX || !ours[fd].open)
                return false;
        if (fstat(fd, &st) < 0 || st.st_dev != ours[fd].device || st.st_ino != ours[fd].inode)
                ours[fd].open = false;
        return ours[fd].open;
}

int close(int fd) {
        struct record r = {.kind = CLOSE, .fd = fd};
        int result;

        if (start() && is_ours(fd)) {
                r.begun = r.done = now();
                ours[fd].open = false;
                put(&r, "", "", NULL, 0);
        }
        result = REAL(close)(fd);
        finish();
        return result;
}

/* offset -1: where the file stands */
static void wrote(int fd, const struct iovec *v, int n, ssize_t done, off_t offset, uint64_t begun) {
        struct record r = {.kind = WRITE, .fd = fd, .begun = begun, .done = now()};
        size_t left = (size_t)done, at = 0;
        uint8_t *data;

        if (offset < 0)
                offset = lseek(fd, 0, SEEK_CUR) - (off_t)done;
        r.offset = (uint64_t)offset;
        data = malloc(left ? left : 1);
        if (!data)
                abort();
        for (int i = 0; i < n && left > 0; i++) {
                const size_t part = v[i].iov_len < left ? v[i].iov_len : left;

                memcpy(data + at, v[i].iov_base, part);
                at += part;
                left -= part;
        }
        put(&r, "", "", data, at);
        free(data);
}

/* Nothing is locked for others' files: a daemon's log or bus shall not wait for a card. */
#define WRITES(call, vector, n, offset)                                \
        do {                                                           \
                ssize_t done;                                          \
                uint64_t begun;                                        \
                if (!is_ours(fd))                                      \
                        return (call);                                 \
                (void)start();                                         \
                begun = now();                                         \
                done = (call);                                         \
                if (done > 0) {                                        \
                        const int e = errno;                           \
                        wrote(fd, vector, n, done, offset, begun);     \
                        errno = e;                                     \
                }                                                      \
                finish();                                              \
                return done;                                           \
        } while (false)

ssize_t write(int fd, const void *data, size_t size) {
        const struct iovec v = {(void *)(uintptr_t)data, size};

        WRITES(REAL(write)(fd, data, size), &v, 1, -1);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
        const struct iovec v = {(void *)(uintptr_t)data, size};

        WRITES(REAL(pwrite)(fd, data, size, offset), &v, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
        const struct iovec v = {(void *)(uintptr_t)data, size};

        WRITES(REAL(pwrite64)(fd, data, size, offset), &v, 1, (off_t)offset);
}

ssize_t writev(int fd, const struct iovec *v, int n) {
        WRITES(REAL(writev)(fd, v, n), v, n, -1);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t offset) {
        WRITES(REAL(pwritev)(fd, v, n, offset), v, n, offset);
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t offset) {
        WRITES(REAL(pwritev64)(fd, v, n, offset), v, n, (off_t)offset);
}

#define CHANGES(record, call, from, to)                        \
        do {                                                   \
                int result;                                    \
                (record).begun = now();                        \
                result = (call);                               \
                (record).done = now();                         \
                if (result == 0) {                             \
                        const int e = errno;                   \
                        put(&(record), from, to, NULL, 0);     \
                        errno = e;                             \
                }                                              \
                finish();                                      \
                return result;                                 \
        } while (false)

int ftruncate(int fd, off_t size) {
        struct record r = {.kind = TRUNCATE, .fd = fd, .offset = (uint64_t)size};

        if (!is_ours(fd))
                return REAL(ftruncate)(fd, size);
        (void)start();
        CHANGES(r, REAL(ftruncate)(fd, size), "", "");
}

int ftruncate64(int fd, off64_t size) {
        struct record r = {.kind = TRUNCATE, .fd = fd, .offset = (uint64_t)size};

        if (!is_ours(fd))
                return REAL(ftruncate64)(fd, size);
        (void)start();
        CHANGES(r, REAL(ftruncate64)(fd, size), "", "");
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
        struct record r = {.kind = ALLOCATE, .fd = fd, .offset = (uint64_t)(offset + size)};

        if (!is_ours(fd))
                return REAL(fallocate)(fd, mode, offset, size);
        if (mode != 0)
                abort(); /* holes and the like: nobody here does that */
        (void)start();
        CHANGES(r, REAL(fallocate)(fd, mode, offset, size), "", "");
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size) {
        return fallocate(fd, mode, (off_t)offset, (off_t)size);
}

int posix_fallocate(int fd, off_t offset, off_t size) {
        struct record r = {.kind = ALLOCATE, .fd = fd, .offset = (uint64_t)(offset + size)};

        if (!is_ours(fd))
                return REAL(posix_fallocate)(fd, offset, size);
        (void)start();
        CHANGES(r, REAL(posix_fallocate)(fd, offset, size), "", "");
}

int posix_fallocate64(int fd, off64_t offset, off64_t size) {
        return posix_fallocate(fd, (off_t)offset, (off_t)size);
}

int fsync(int fd) {
        struct record r = {.kind = SYNC, .fd = fd};

        if (!is_ours(fd))
                return REAL(fsync)(fd);
        (void)start();
        CHANGES(r, REAL(fsync)(fd), "", "");
}

int fdatasync(int fd) {
        struct record r = {.kind = SYNC, .fd = fd};

        if (!is_ours(fd))
                return REAL(fdatasync)(fd);
        (void)start();
        CHANGES(r, REAL(fdatasync)(fd), "", "");
}

/* ---- directories ------------------------------------------------------------------------------------------------ */

static bool same_file(int at_a, const char *a, int at_b, const char *b) {
        struct stat x, y;

        return fstatat(at_a, a, &x, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(at_b, b, &y, AT_SYMLINK_NOFOLLOW) == 0 &&
               x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int renameat(int at_from, const char *from, int at_to, const char *to) {
        struct record r = {.kind = RENAME, .fd = -1};
        char a[PATH_MAX], b[PATH_MAX];

        if (!start() || !name_at(at_from, from, a)) {
                const int result = REAL(renameat)(at_from, from, at_to, to);

                finish();
                return result;
        }
        if (!name_at(at_to, to, b))
                abort(); /* out of the directory: not seen so far */
        r.created = same_file(at_from, from, at_to, to);
        CHANGES(r, REAL(renameat)(at_from, from, at_to, to), a, b);
}

int rename(const char *from, const char *to) {
        return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int renameat2(int at_from, const char *from, int at_to, const char *to, unsigned flags) {
        if (flags != 0)
                abort(); /* exchange and the like: not known here */
        return renameat(at_from, from, at_to, to);
}

int linkat(int at_from, const char *from, int at_to, const char *to, int flags) {
        struct record r = {.kind = LINK, .fd = -1};
        char a[PATH_MAX], b[PATH_MAX];

        if (!start() || !name_at(at_from, from, a) || !name_at(at_to, to, b)) {
                const int result = REAL(linkat)(at_from, from, at_to, to, flags);

                finish();
                return result;
        }
        CHANGES(r, REAL(linkat)(at_from, from, at_to, to, flags), a, b);
}

int link(const char *from, const char *to) {
        return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int at, const char *path, int flags) {
        struct record r = {.kind = UNLINK, .fd = -1};
        char name[PATH_MAX];

        if (!start() || !name_at(at, path, name)) {
                const int result = REAL(unlinkat)(at, path, flags);

                finish();
                return result;
        }
        CHANGES(r, REAL(unlinkat)(at, path, flags), name, "");
}

int unlink(const char *path) {
        return unlinkat(AT_FDCWD, path, 0);
}

int remove(const char *path) {
        return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path) {
        return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int at, const char *path, mode_t mode) {
        struct record r = {.kind = MKDIR, .fd = -1};
        char name[PATH_MAX];

        if (!start() || !name_at(at, path, name)) {
                const int result = REAL(mkdirat)(at, path, mode);

                finish();
                return result;
        }
        CHANGES(r, REAL(mkdirat)(at, path, mode), name, "");
}

int mkdir(const char *path, mode_t mode) {
        return mkdirat(AT_FDCWD, path, mode);
}
