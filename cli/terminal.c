/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "format.h"

/* Writable statics, as caught below: a handler of signals has no argument to find them by. */
static struct {
        struct termios before;
        volatile sig_atomic_t entered;
} saved;

static const char enter_sequence[] = "\033[?1049h\033[?25l\033[2J"; /* alternate screen, no cursor, clear */
static const char leave_sequence[] = "\033[0m\033[?25h\033[?1049l";

/* Only async-signal-safe calls. */
void terminal_leave(void) {
        if (!saved.entered)
                return;
        saved.entered = 0;
        if (write(STDOUT_FILENO, leave_sequence, sizeof(leave_sequence) - 1) < 0) {
                /* the terminal is gone: nothing to restore */
        }
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &saved.before);
}

static void on_crash(int signal) {
        terminal_leave();
        raise(signal); /* SA_RESETHAND: this time it takes the process, with a core if those are wanted */
}

static void catch_crashes(void) {
        static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
        struct sigaction sa = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};

        for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
                (void)sigaction(crashes[i], &sa, NULL);
}

bool terminal_present(void) {
        return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int terminal_enter(void) {
        struct termios raw;

        if (!terminal_present() || tcgetattr(STDIN_FILENO, &saved.before) < 0)
                return -ENOTTY;
        raw = saved.before;
        raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO); /* ISIG stays: ^C and ^Z mean what they mean */
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        catch_crashes();
        saved.entered = 1;
        /* TCSANOW: TCSAFLUSH would drop a "q" typed ahead */
        if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0 ||
            terminal_write(enter_sequence, sizeof(enter_sequence) - 1) < 0) {
                const int error = errno;
                terminal_leave();
                return -error;
        }
        return 0;
}

void terminal_size(int *ret_rows, int *ret_columns) {
        struct winsize ws;
        const bool told = ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 0 && ws.ws_col > 0;

        *ret_rows = told ? ws.ws_row : 24;
        *ret_columns = told ? ws.ws_col : 80;
}

void terminal_frame_size(int *ret_rows, int *ret_columns) {
        const char *rows = getenv("LINES"), *columns = getenv("COLUMNS");
        int64_t h, w;

        terminal_size(ret_rows, ret_columns);
        if (rows && columns && parse_whole(rows, 5, 1000, &h) == 0 && parse_whole(columns, 20, 1000, &w) == 0) {
                *ret_rows = (int)h;
                *ret_columns = (int)w;
        }
}

struct screen_output terminal_output(void) {
        const char *no_colour = getenv("NO_COLOR");

        return (struct screen_output){
                .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
                .colour = !no_colour || no_colour[0] == '\0',
                .plain = !isatty(STDOUT_FILENO),
        };
}

int terminal_write(const char *data, size_t size) {
        while (size > 0) {
                const ssize_t n = write(STDOUT_FILENO, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t)n;
        }
        return 0;
}

/* A line from standard input, byte by byte: nothing behind it is taken away. Ends with -EINTR on a signal. */
static int read_line(char *ret_line, size_t size) {
        size_t n = 0;
        char byte;

        for (;;) {
                const ssize_t got = read(STDIN_FILENO, &byte, 1);

                if (got < 0)
                        return -errno;
                if (got == 0)
                        return -ENODATA;
                if (byte == '\n')
                        break;
                if (n < size)
                        ret_line[n++] = byte;
        }
        if (n == size)
                return -EMSGSIZE;
        ret_line[n] = '\0';
        return 0;
}

static volatile sig_atomic_t caught;

static void on_signal(int signal) {
        caught = signal;
}

int terminal_ask_secret(const char *prompt, char *ret_line, size_t size) {
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
        enum { N_SIGNALS = sizeof(signals) / sizeof(signals[0]) };
        const struct sigaction catch = {.sa_handler = on_signal}; /* without SA_RESTART: it ends the read */
        struct sigaction before[N_SIGNALS];
        struct termios shown, hidden;
        int r;

        if (tcgetattr(STDIN_FILENO, &shown) < 0)
                return -errno;
        caught = 0;
        for (int i = 0; i < N_SIGNALS; i++)
                (void)sigaction(signals[i], &catch, &before[i]);
        hidden = shown;
        hidden.c_lflag &= (tcflag_t)~ECHO;
        hidden.c_lflag |= ECHONL; /* the end of the line is */
        if (write(STDERR_FILENO, prompt, strlen(prompt)) < 0) {
                /* asked without a prompt, then */
        }
        r = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0 ? -errno : read_line(ret_line, size);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        for (int i = 0; i < N_SIGNALS; i++)
                (void)sigaction(signals[i], &before[i], NULL);
        if (caught)
                raise(caught);
        return r;
}

static const struct {
        const char *sequence;
        enum terminal_key key;
} keys[] = {
        {"q", KEY_QUIT},      {"Q", KEY_QUIT},          {"k", KEY_UP},
        {"j", KEY_DOWN},      {"b", KEY_PAGE_UP},       {" ", KEY_PAGE_DOWN},
        {"g", KEY_HOME},      {"G", KEY_END},           {"\f", KEY_REDRAW},
        {"\033[A", KEY_UP},   {"\033[B", KEY_DOWN},     {"\033OA", KEY_UP},
        {"\033OB", KEY_DOWN}, {"\033[5~", KEY_PAGE_UP}, {"\033[6~", KEY_PAGE_DOWN},
        {"\033[H", KEY_HOME}, {"\033[F", KEY_END},      {"\033OH", KEY_HOME},
        {"\033OF", KEY_END},  {"\033[1~", KEY_HOME},    {"\033[4~", KEY_END},
};

/* Length of the escape sequence at data: ESC [ parameters final, ESC O x, or ESC and one more. */
static size_t sequence_length(const char *data, size_t size) {
        size_t n = 2;

        if (data[0] != '\033' || size < 2)
                return 1;
        if (data[1] == 'O')
                return size < 3 ? size : 3;
        if (data[1] != '[')
                return 2;
        while (n < size && (data[n] < 0x40 || data[n] > 0x7E))
                n++;
        return n < size ? n + 1 : size;
}

enum terminal_key terminal_key(const char *data, size_t size, size_t *ret_used) {
        const size_t n = sequence_length(data, size);

        *ret_used = n;
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                if (strlen(keys[i].sequence) == n && memcmp(keys[i].sequence, data, n) == 0)
                        return keys[i].key;
        return KEY_NONE;
}
