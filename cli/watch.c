/* SPDX-License-Identifier: MIT */

/* watch: the live view's loop. Draws when something changes and every second, scrolls by key, and keeps
 * trying when the daemon or the bus goes away. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "cli.h"
#include "format.h"
#include "terminal.h"
#include "watch-frame.h"

/* Signals of one message come together, and a simulation may run fast: no more than ten pictures a second. */
#define REDRAW_DELAY_USEC (100 * USEC_PER_MSEC)

struct watch {
        struct cli *cli;
        sd_event *event;
        sd_event_source *refresh;
        struct screen_output how;
        struct watch_view view;
        struct screen now, shown;
        int first_row, page;
        bool whole; /* the terminal's content is not what `shown` says */
};

static void fetch_view(struct client *client, struct watch_view *v) {
        int r;

        r = reading_fetch(client, &v->reading);
        if (r == 0)
                r = reading_fetch_manager(client, &v->manager);
        if (r == 0)
                r = reading_fetch_relays(client, &v->relays);
        for (int id = 0; r == 0 && id < _RELAY_MAX; id++)
                r = reading_fetch_why(client, id, &v->why[id]);
        if (r == 0)
                r = reading_fetch_cells(client, &v->cells);
        if (r == 0)
                r = reading_fetch_settings(client, &v->settings, NULL);
        v->up = r == 0;
        if (r != 0)
                snprintf(v->trouble, sizeof(v->trouble), "%.*s", (int)sizeof(v->trouble) - 1, client->error);
}

static void set_clock(struct watch_view *v) {
        const time_t t = time(NULL);
        struct tm tm;

        localtime_r(&t, &tm);
        strftime(v->clock, sizeof(v->clock), "%H:%M:%S", &tm);
}

static int redraw(struct watch *w) {
        char *text = NULL;
        size_t size = 0;
        struct screen swap;
        FILE *f;
        int r;

        w->page = watch_frame_draw(&w->view, &w->now, &w->first_row);
        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        screen_write_changes(&w->now, w->whole ? NULL : &w->shown, f, &w->how);
        if (fclose(f) != 0)
                r = -ENOMEM;
        else
                r = terminal_write(text, size);
        free(text);
        w->whole = false;
        swap = w->shown;
        w->shown = w->now;
        w->now = swap;
        return r;
}

/* sd-event would switch off a source that fails and go on: a view that cannot draw is to end instead. */
static int end_on_error(struct watch *w, int r) {
        return r < 0 ? sd_event_exit(w->event, r) : 0;
}

/* Both pictures get the terminal's size. */
static int resize(struct watch *w) {
        int rows, columns, r;

        terminal_size(&rows, &columns);
        screen_done(&w->now);
        screen_done(&w->shown);
        r = screen_init(&w->now, rows, columns);
        if (r >= 0)
                r = screen_init(&w->shown, rows, columns);
        w->whole = true;
        return r;
}

static int schedule(struct watch *w, uint64_t delay) {
        uint64_t now, next;
        int enabled = SD_EVENT_OFF;

        sd_event_now(w->event, CLOCK_MONOTONIC, &now);
        (void)sd_event_source_get_enabled(w->refresh, &enabled);
        if (enabled != SD_EVENT_OFF && sd_event_source_get_time(w->refresh, &next) >= 0 &&
            next <= now + delay)
                return 0;
        (void)sd_event_source_set_time(w->refresh, now + delay);
        return sd_event_source_set_enabled(w->refresh, SD_EVENT_ONESHOT);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void)m;
        (void)error;
        return schedule(userdata, REDRAW_DELAY_USEC);
}

static void connect_client(struct watch *w) {
        struct client *client = &w->cli->client;
        int r;

        if (client->bus && sd_bus_is_open(client->bus) > 0)
                return;
        client_close(client);
        if (client_open(client, w->cli->address, w->cli->pack) != 0)
                return;
        r = sd_bus_attach_event(client->bus, w->event, 0);
        if (r >= 0)
                r = sd_bus_match_signal(client->bus, NULL, client->name, SMARTBMS_BUS_PATH,
                                        "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed,
                                        w);
        /* Without signals the view still moves once a second. */
}

static int on_refresh(sd_event_source *source, uint64_t usec, void *userdata) {
        struct watch *w = userdata;
        int r;

        (void)source;
        (void)usec;
        connect_client(w);
        if (w->cli->client.bus) {
                fetch_view(&w->cli->client, &w->view);
        } else {
                w->view.up = false;
                snprintf(w->view.trouble, sizeof(w->view.trouble), "%.*s", (int)sizeof(w->view.trouble) - 1,
                         w->cli->client.error);
        }
        set_clock(&w->view);
        r = redraw(w);
        return end_on_error(w, r < 0 ? r : schedule(w, USEC_PER_SEC));
}

static int press(struct watch *w, enum terminal_key key) {
        switch (key) {
        case KEY_QUIT:
                return sd_event_exit(w->event, 0);
        case KEY_UP:
                w->first_row--;
                break;
        case KEY_DOWN:
                w->first_row++;
                break;
        case KEY_PAGE_UP:
                w->first_row -= w->page;
                break;
        case KEY_PAGE_DOWN:
                w->first_row += w->page;
                break;
        case KEY_HOME:
                w->first_row = 0;
                break;
        case KEY_END:
                w->first_row = CELLS_MAX;
                break;
        case KEY_REDRAW:
                w->whole = true;
                break;
        case KEY_NONE:
                return 0;
        }
        return redraw(w);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct watch *w = userdata;
        char data[64];
        const ssize_t n = read(fd, data, sizeof(data));
        size_t used;
        int r = 0;

        (void)source;
        (void)revents;
        if (n <= 0) /* the terminal hung up */
                return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sd_event_exit(w->event, 0);
        for (size_t i = 0; r >= 0 && i < (size_t)n; i += used)
                r = press(w, terminal_key(data + i, (size_t)n - i, &used));
        return end_on_error(w, r);
}

static int on_quit(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct watch *w = userdata;

        (void)source;
        (void)si;
        return sd_event_exit(w->event, 0);
}

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct watch *w = userdata;
        int r;

        (void)source;
        (void)si;
        r = resize(w);
        return end_on_error(w, r < 0 ? r : redraw(w));
}

/* ^Z: the shell gets its screen back, and the view comes back with fg. */
static int on_suspend(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct watch *w = userdata;
        int r;

        (void)source;
        (void)si;
        terminal_leave();
        raise(SIGSTOP);
        r = terminal_enter();
        if (r >= 0)
                r = resize(w);
        return end_on_error(w, r < 0 ? r : redraw(w));
}

static int add_sources(struct watch *w) {
        static const struct {
                int signal;
                sd_event_signal_handler_t handler;
        } signals[] = {
                {SIGTERM, on_quit}, {SIGINT, on_quit},     {SIGHUP, on_quit},
                {SIGQUIT, on_quit}, {SIGWINCH, on_resize}, {SIGTSTP, on_suspend},
        };
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
                sigaddset(&mask, signals[i].signal);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_new(&w->event);
        for (size_t i = 0; r >= 0 && i < sizeof(signals) / sizeof(signals[0]); i++)
                r = sd_event_add_signal(w->event, NULL, signals[i].signal, signals[i].handler, w);
        if (r >= 0)
                r = sd_event_add_io(w->event, NULL, STDIN_FILENO, 1u /* EPOLLIN */, on_input, w);
        if (r >= 0)
                r = sd_event_add_time(w->event, &w->refresh, CLOCK_MONOTONIC, 0, 0, on_refresh, w);
        return r;
}

static int watch_loop(struct watch *w) {
        int r;

        if (!terminal_present())
                return fail(EXIT_USAGE, "watch needs a terminal; watch --once prints one frame anywhere");
        r = add_sources(w);
        if (r >= 0)
                r = terminal_enter();
        if (r >= 0)
                r = resize(w);
        if (r >= 0)
                r = sd_event_loop(w->event);
        terminal_leave();
        return r < 0 ? fail(EXIT_REFUSED, "the view failed: %s", strerror(-r)) : EXIT_OK;
}

static int watch_once(struct watch *w) {
        struct cli *c = w->cli;
        int rows, columns, r;

        r = client_open(&c->client, c->address, c->pack);
        if (r != 0)
                return fail(r, "%s", c->client.error);
        fetch_view(&c->client, &w->view);
        if (!w->view.up)
                return fail(EXIT_NO_DAEMON, "%s", c->client.error);
        set_clock(&w->view);
        terminal_frame_size(&rows, &columns);
        if (c->options & OPTION_SIZE) {
                rows = c->rows;
                columns = c->columns;
        }
        if (screen_init(&w->now, rows, columns) < 0)
                return fail(EXIT_REFUSED, "out of memory");
        (void)watch_frame_draw(&w->view, &w->now, &w->first_row);
        screen_write(&w->now, stdout, &w->how);
        return reading_stale(&w->view.reading) ? EXIT_DATA_STALE : EXIT_OK;
}

int verb_watch(struct cli *c) {
        struct watch *w; /* 30 kB of readings: not on the stack */
        int r;

        if ((c->options & OPTION_SIZE) && !(c->options & OPTION_ONCE))
                return fail(EXIT_USAGE, "--size goes with --once; a terminal has the size it has");
        w = calloc(1, sizeof(*w));
        if (!w)
                return fail(EXIT_REFUSED, "out of memory");
        w->cli = c;
        if (strcmp(c->pack, PACK_NAME_DEFAULT) != 0)
                strcpy(w->view.pack, c->pack); /* valid, so it fits */
        w->how = terminal_output();
        r = c->options & OPTION_ONCE ? watch_once(w) : watch_loop(w);
        client_close(&c->client);
        w->refresh = sd_event_source_unref(w->refresh);
        w->event = sd_event_unref(w->event);
        screen_done(&w->now);
        screen_done(&w->shown);
        free(w);
        return r;
}
