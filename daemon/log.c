/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOG_TEXT_MAX 2048
#define LOG_RECORD_MAX (LOG_TEXT_MAX + 256) /* below PIPE_BUF: a pipe takes it whole or not at all */

enum sink { SINK_FD, SINK_STREAM_SOCKET, SINK_JOURNAL };

/* The one state of its own that a module of the daemon has: a process has one log. */
static struct {
        enum sink sink;
        int fd;
        int max_level;
        bool cut;         /* the newest line was written only in part */
        uint64_t dropped; /* since start */
        uint64_t told;    /* of these, already logged */
} log_state = {.sink = SINK_FD, .fd = STDERR_FILENO, .max_level = LOG_INFO};

static const struct sockaddr_un journal_address = {.sun_family = AF_UNIX,
                                                   .sun_path = "/run/systemd/journal/socket"};

/* True if stderr is the stream systemd connected to the journal (systemd.exec(5), $JOURNAL_STREAM). */
static bool stderr_is_journal(const struct stat *st) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && device == st->st_dev &&
               inode == st->st_ino;
}

void log_open(void) {
        struct stat st;
        int fd;

        if (log_state.fd != STDERR_FILENO)
                (void)close(log_state.fd);
        log_state.sink = SINK_FD;
        log_state.fd = STDERR_FILENO;
        if (fstat(STDERR_FILENO, &st) < 0)
                return; /* no stderr: every write fails and is counted */

        if (stderr_is_journal(&st)) {
                fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (fd >= 0) {
                        log_state.sink = SINK_JOURNAL;
                        log_state.fd = fd;
                        return;
                }
        }
        if (S_ISSOCK(st.st_mode)) {
                log_state.sink = SINK_STREAM_SOCKET;
                return;
        }
        /* A description of our own for terminals and pipes: setting O_NONBLOCK on the inherited one would set
         * it for the shell and everyone else too. (Files are left alone: a second description has its own
         * position.) */
        if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
                fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                if (fd >= 0)
                        log_state.fd = fd;
        }
}

void log_set_max_level(int level) {
        log_state.max_level = level;
}

uint64_t log_dropped(void) {
        return log_state.dropped;
}

static bool write_journal(int level, const char *text) {
        char record[LOG_RECORD_MAX];
        int n = snprintf(record, sizeof(record), "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", level,
                         program_invocation_short_name, text);

        /* Addressed each time: outlives a restart of journald. */
        return n > 0 && (size_t)n < sizeof(record) &&
               sendto(log_state.fd, record, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
                      (const struct sockaddr *)&journal_address, sizeof(journal_address)) == n;
}

static const char *level_word(int level) {
        return level <= LOG_ERR ? "error: " : level == LOG_WARNING ? "warning: " : "";
}

static bool write_fd(int level, const char *text) {
        char record[LOG_RECORD_MAX];
        struct pollfd p = {.fd = log_state.fd, .events = POLLOUT};
        ssize_t written;
        int n = snprintf(record, sizeof(record), "%s%.64s: %s%s\n", log_state.cut ? "\n" : "",
                         program_invocation_short_name, level_word(level), text);

        if (n <= 0 || (size_t)n >= sizeof(record))
                return false;
        if (log_state.sink == SINK_STREAM_SOCKET)
                written = send(log_state.fd, record, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        else if (poll(&p, 1, 0) == 1 &&
                 (p.revents & POLLOUT)) /* for a description we could not make non-blocking */
                written = write(log_state.fd, record, (size_t)n);
        else
                return false;
        if (written > 0)
                log_state.cut = written < n;
        return written == n;
}

static bool write_line(int level, const char *text) {
        return log_state.sink == SINK_JOURNAL ? write_journal(level, text) : write_fd(level, text);
}

static void log_line(int level, const char *text) {
        if (log_state.dropped > log_state.told) {
                char note[96];
                uint64_t missing = log_state.dropped - log_state.told;
                (void)snprintf(note, sizeof(note), "%llu log messages could not be written and are lost",
                               (unsigned long long)missing);
                if (!write_line(LOG_WARNING, note)) {
                        log_state.dropped++;
                        return;
                }
                log_state.told += missing;
        }
        if (!write_line(level, text))
                log_state.dropped++;
}

void log_full(int level, const char *format, ...) {
        char text[LOG_TEXT_MAX];
        int saved = errno; /* for %m, and so that logging never changes what a caller looks at next */
        va_list ap;

        if (level > log_state.max_level)
                return;
        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap); /* cut is fine */
        va_end(ap);

        /* A line each: neither the journal's simple form nor a terminal takes a newline inside a message. */
        for (char *line = text, *end; line; line = end) {
                end = strchr(line, '\n');
                if (end)
                        *end++ = '\0';
                log_line(level, line);
        }
        errno = saved;
}
