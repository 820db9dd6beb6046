/* SPDX-License-Identifier: MIT */
#include "relay-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER "smartbms-relays 1\n"
#define END "end\n"
#define FILE_MAX 1024U

static const char *const relay_words[_RELAY_MAX] = {[RELAY_CHARGE] = "charge", [RELAY_LOAD] = "load"};
static const char *const coil_words[] = {
        [RELAY_COIL_SET] = "set", [RELAY_COIL_RESET] = "reset", [RELAY_COIL_LINE] = "line"};
#define N_COIL_WORDS (sizeof(coil_words) / sizeof(coil_words[0]))

/* ---- from the config -------------------------------------------------------------------------------------------- */

static void add(struct relay_coils *coils, enum relay_id relay, enum relay_coil coil, unsigned pulse_msec,
                const struct config_line *line) {
        coils->coils[coils->n++] =
                (struct relay_coil_use){.relay = relay, .coil = coil, .pulse_msec = pulse_msec, .line = *line};
}

void relay_coils_of(const struct config *config, struct relay_coils *ret) {
        *ret = (struct relay_coils){0};
        if (config->relay_driver != RELAY_DRIVER_GPIO)
                return;
        for (enum relay_id i = 0; i < _RELAY_MAX; i++) {
                const struct config_relay *r = &config->relays[i];

                if (!r->present)
                        continue;
                if (!r->latching) {
                        add(ret, i, RELAY_COIL_LINE, 0, &r->line);
                        continue;
                }
                add(ret, i, RELAY_COIL_SET, 0, &r->set);
                add(ret, i, RELAY_COIL_RESET, r->pulse_msec, &r->reset);
        }
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

int relay_coils_format(const struct relay_coils *coils, char *ret_text, size_t size) {
        size_t n;

        n = (size_t)snprintf(ret_text, size, HEADER);
        for (size_t i = 0; i < coils->n && n < size; i++) {
                const struct relay_coil_use *c = &coils->coils[i];

                n += (size_t)snprintf(ret_text + n, size - n, "%s %s %u %s ", relay_words[c->relay],
                                      coil_words[c->coil], c->pulse_msec, c->line.active_low ? "low" : "high");
                if (n >= size)
                        break;
                if (c->line.chip[0])
                        n += (size_t)snprintf(ret_text + n, size - n, "chip %u %s\n", c->line.offset,
                                              c->line.chip);
                else
                        n += (size_t)snprintf(ret_text + n, size - n, "name %s\n", c->line.name);
        }
        if (n < size)
                n += (size_t)snprintf(ret_text + n, size - n, END);
        return n < size ? (int)n : -ENOSPC;
}

/* One line of the text, being taken apart. */
struct scanner {
        const char *at, *end;
};

/* The next word, of those. */
static int scan_word(struct scanner *s, const char *const *words, size_t n) {
        for (size_t i = 0; i < n; i++) {
                size_t length = strlen(words[i]);
                if ((size_t)(s->end - s->at) > length && memcmp(s->at, words[i], length) == 0 &&
                    s->at[length] == ' ') {
                        s->at += length + 1;
                        return (int)i;
                }
        }
        return -EBADMSG;
}

/* As it was written: no sign, no leading zero, at most five digits. */
static int scan_number(struct scanner *s, unsigned max, unsigned *ret) {
        unsigned v = 0, n = 0;

        for (; s->at < s->end && *s->at >= '0' && *s->at <= '9' && n < 5; s->at++, n++)
                v = v * 10 + (unsigned)(*s->at - '0');
        if (n == 0 || v > max || (n > 1 && s->at[-(int)n] == '0') || s->at >= s->end || *s->at++ != ' ')
                return -EBADMSG;
        *ret = v;
        return 0;
}

/* All that is left. */
static int scan_name(struct scanner *s, char *ret, size_t size) {
        size_t length = (size_t)(s->end - s->at);

        if (length == 0 || length >= size)
                return -EBADMSG;
        for (size_t i = 0; i < length; i++)
                if ((unsigned char)s->at[i] < 0x20 || s->at[i] == 0x7f)
                        return -EBADMSG;
        memcpy(ret, s->at, length);
        ret[length] = '\0';
        return 0;
}

static int scan_coil(struct scanner s, struct relay_coil_use *ret) {
        static const char *const levels[] = {"high", "low"}, *const kinds[] = {"chip", "name"};
        struct relay_coil_use c = {.line = {.present = true}};
        int relay, coil, level, kind, r;

        relay = scan_word(&s, relay_words, _RELAY_MAX);
        if (relay < 0)
                return relay;
        coil = scan_word(&s, coil_words, N_COIL_WORDS);
        if (coil < 0 || scan_number(&s, 500, &c.pulse_msec) < 0)
                return -EBADMSG;
        c.relay = (enum relay_id)relay;
        c.coil = (enum relay_coil)coil;
        if (c.coil == RELAY_COIL_RESET ? c.pulse_msec < 10 : c.pulse_msec != 0)
                return -EBADMSG;
        level = scan_word(&s, levels, 2);
        kind = level < 0 ? level : scan_word(&s, kinds, 2);
        if (kind < 0)
                return kind;
        c.line.active_low = level == 1;
        if (kind == 0)
                r = scan_number(&s, UINT16_MAX, &c.line.offset) < 0
                            ? -EBADMSG
                            : scan_name(&s, c.line.chip, sizeof(c.line.chip));
        else
                r = scan_name(&s, c.line.name, sizeof(c.line.name));
        if (r == 0)
                *ret = c;
        return r;
}

static bool same_line(const struct config_line *a, const struct config_line *b) {
        return strcmp(a->chip, b->chip) == 0 && strcmp(a->name, b->name) == 0 && a->offset == b->offset;
}

/* Either a set with its reset, or a line; no line twice. */
static bool makes_sense(const struct relay_coils *coils) {
        unsigned seen[_RELAY_MAX] = {0};

        for (size_t i = 0; i < coils->n; i++) {
                const struct relay_coil_use *c = &coils->coils[i];

                if (seen[c->relay] >> c->coil & 1)
                        return false;
                seen[c->relay] |= 1U << c->coil;
                for (size_t j = 0; j < i; j++)
                        if (same_line(&c->line, &coils->coils[j].line))
                                return false;
        }
        for (enum relay_id i = 0; i < _RELAY_MAX; i++)
                if (seen[i] != 0 && seen[i] != (1U << RELAY_COIL_SET | 1U << RELAY_COIL_RESET) &&
                    seen[i] != 1U << RELAY_COIL_LINE)
                        return false;
        return true;
}

int relay_coils_parse(const char *text, size_t size, struct relay_coils *ret, char *ret_why, size_t why_size) {
        const char *end = text + size, *newline;
        struct relay_coils coils = {0};
        unsigned line = 1;

        if (size < strlen(HEADER) || memcmp(text, HEADER, strlen(HEADER)) != 0)
                goto bad;
        for (text += strlen(HEADER);; text = newline + 1) {
                line++;
                newline = text < end ? memchr(text, '\n', (size_t)(end - text)) : NULL;
                if (!newline)
                        goto bad;
                if ((size_t)(newline - text) + 1 == strlen(END) && memcmp(text, END, strlen(END)) == 0)
                        break;
                if (coils.n == RELAY_COILS_MAX ||
                    scan_coil((struct scanner){text, newline}, &coils.coils[coils.n]) < 0)
                        goto bad;
                coils.n++;
        }
        if (newline + 1 != end || !makes_sense(&coils))
                goto bad;
        *ret = coils;
        return 0;
bad:
        (void)snprintf(ret_why, why_size, "line %u is not what smartbmsd writes", line);
        return -EBADMSG;
}

/* ---- file ------------------------------------------------------------------------------------------------------- */

/* lasting: on the card, too, when this returns. */
static int write_new(int directory, const char *text, size_t size, bool lasting) {
        int fd, r = 0;

        (void)unlinkat(directory, RELAY_FILE_NAME ".new", 0); /* of a run that died while writing it */
        fd = openat(directory, RELAY_FILE_NAME ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        for (size_t n = 0; n < size && r == 0;) {
                ssize_t w = write(fd, text + n, size - n);
                if (w > 0)
                        n += (size_t)w;
                else if (w == 0 || errno != EINTR)
                        r = w == 0 ? -EIO : -errno;
        }
        if (r == 0 && lasting && fsync(fd) < 0)
                r = -errno;
        if (close(fd) < 0 && r == 0)
                r = -errno;
        if (r == 0 && renameat(directory, RELAY_FILE_NAME ".new", directory, RELAY_FILE_NAME) < 0)
                r = -errno;
        if (r == 0 && lasting && fsync(directory) < 0)
                r = -errno;
        return r;
}

static ssize_t read_whole(int fd, char *ret, size_t size) {
        size_t n = 0;

        while (n < size) {
                ssize_t r = read(fd, ret + n, size - n);
                if (r == 0)
                        break;
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0)
                        n += (size_t)r;
        }
        return (ssize_t)n;
}

static bool is_there(int directory, const char *text, size_t size) {
        char old[FILE_MAX];
        ssize_t n;
        int fd;

        fd = openat(directory, RELAY_FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return false;
        n = read_whole(fd, old, sizeof(old));
        (void)close(fd);
        return n >= 0 && (size_t)n == size && memcmp(old, text, size) == 0;
}

static int put(const char *directory, const struct relay_coils *coils, bool lasting) {
        char text[FILE_MAX];
        int fd, r = 0, size;

        size = relay_coils_format(coils, text, sizeof(text));
        if (size < 0)
                return size;
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (!lasting || !is_there(fd, text, (size_t)size))
                r = write_new(fd, text, (size_t)size, lasting);
        (void)close(fd);
        return r;
}

int relay_file_write(const char *directory, const struct relay_coils *coils) {
        return put(directory, coils, false);
}

int relay_file_keep(const char *directory, const struct relay_coils *coils) {
        return put(directory, coils, true);
}

int relay_file_read(const char *path, struct relay_coils *ret, char *ret_why, size_t size) {
        char text[FILE_MAX];
        ssize_t n = -1;
        int fd;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not hang us */
        if (fd >= 0) {
                n = read_whole(fd, text, sizeof(text));
                (void)close(fd);
        } else
                n = -errno;
        if (n < 0) {
                (void)snprintf(ret_why, size, "%s", strerror((int)-n));
                return (int)n;
        }
        return relay_coils_parse(text, (size_t)n, ret, ret_why, size);
}
