/* SPDX-License-Identifier: MIT */
#include "settings-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "yaml-tree.h"

#define VERSION "1"
#define CHECKSUM_KEY "checksum: "
#define CHECKSUM_LINE_LENGTH (sizeof(CHECKSUM_KEY) - 1 + 8 + 1)
#define DATABASE_NAME "smartbms.db" /* the other thing that an earlier run leaves */

#define PREVIOUS_NAME SETTINGS_FILE_NAME ".previous"
#define NEW_NAME SETTINGS_FILE_NAME ".new"
#define LINK_NAME SETTINGS_FILE_NAME ".link"
#define BAD_NAME SETTINGS_FILE_NAME ".bad"

static const char heading[] =
        "# What smartbmsd was told since its config file was written. Use smartbmsctl set to change it: whoever edits\n"
        "# this file makes its checksum wrong, and both relays stay open until smartbmsctl settings confirm. An\n"
        "# edited copy can be taken by smartbmsctl settings import FILE.\n";

/* CRC-32 as in ISO 3309 and zlib: finds any burst of up to 32 bits. */
static uint32_t crc32(const char *text, size_t length) {
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < length; i++) {
                crc ^= (uint8_t)text[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xEDB88320) : 0);
        }
        return ~crc;
}

/* ---- writing the text ------------------------------------------------------------------------------------------- */

struct text {
        char *at;
        size_t left;
        bool full;
};

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(t->at, t->left, format, ap);
        va_end(ap);
        if (n < 0 || (size_t)n >= t->left) {
                t->full = true;
                return;
        }
        t->at += n;
        t->left -= (size_t)n;
}

/* A name comes from outside (a phone's): what stands between quotes in YAML must not end them. */
static void add_quoted(struct text *t, const char *key, const char *text) {
        add(t, "%s: \"", key);
        for (; *text; text++)
                add(t, "%c", *text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text);
        add(t, "\"\n");
}

int settings_file_format(const struct kept_settings *k, char *ret_text, size_t size) {
        struct text t = {ret_text, size, false};
        char value[64];

        add(&t, "%sversion: " VERSION "\nsettings:\n", heading);
        for (enum setting i = 0; i < _SETTING_MAX; i++) {
                setting_format(i, k->values.values[i], value, sizeof(value));
                add(&t, "  %s: %s\n", setting_info(i)->key, value);
        }
        if (k->known_cells > 0)
                add(&t, "known_cells: %u\n", k->known_cells);
        if (k->idle_draw_ma.known)
                add(&t, "idle_draw: %" PRId32 " mA\n", k->idle_draw_ma.value);
        if (k->pin_hash[0])
                add(&t, "pin_hash: \"%s\"\n", k->pin_hash);
        if (k->unconfirmed)
                add(&t, "unconfirmed: yes\n");
        if (k->by[0])
                add_quoted(&t, "changed_by", k->by);
        if (t.full)
                return -ENOSPC;
        add(&t, CHECKSUM_KEY "%08" PRIx32 "\n", crc32(ret_text, (size_t)(t.at - ret_text)));
        return t.full ? -ENOSPC : 0;
}

/* ---- reading it ------------------------------------------------------------------------------------------------- */

/* A problem's place and sentence, in one line. */
__attribute__((format(printf, 4, 5)))
static int complain(const struct node *node, char *ret_error, size_t size, const char *format, ...) {
        char sentence[160];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(sentence, sizeof(sentence), format, ap);
        va_end(ap);
        (void)snprintf(ret_error, size, "line %zu: %s", node ? node->line : 1, sentence);
        return -EINVAL;
}

static int check_checksum(const char *text, size_t length, char *ret_error, size_t size) {
        char line[CHECKSUM_LINE_LENGTH + 1];
        size_t before;

        if (length < CHECKSUM_LINE_LENGTH) {
                (void)snprintf(ret_error, size, "too short, it is cut off");
                return -EINVAL;
        }
        before = length - CHECKSUM_LINE_LENGTH;
        (void)snprintf(line, sizeof(line), CHECKSUM_KEY "%08" PRIx32 "\n", crc32(text, before));
        if (memcmp(text + before, line, CHECKSUM_LINE_LENGTH) == 0)
                return 0;
        (void)snprintf(ret_error, size, "wrong checksum (damaged or edited)");
        return -EINVAL;
}

/* The scalar of a value, or NULL. */
static const char *scalar(const struct node *value) {
        return value->kind == NODE_SCALAR ? value->text : NULL;
}

static int read_values(const struct node *map, struct settings *ret, char *ret_error, size_t size) {
        bool given[_SETTING_MAX] = {false};
        char sentence[256];

        if (map->kind != NODE_MAP)
                return complain(map, ret_error, size, "settings: expected a mapping");
        for (const struct node *key = map->child; key; key = key->next->next) {
                const struct node *value = key->next;
                const int setting = key->text ? setting_find(key->text) : -ENOENT;

                if (setting < 0)
                        return complain(key, ret_error, size, "there is no setting \"%.40s\"",
                                        key->text ? key->text : "");
                if (given[setting])
                        return complain(key, ret_error, size, "%s stands there twice", key->text);
                given[setting] = true;
                if (!scalar(value))
                        return complain(value, ret_error, size, "%s: expected one value", key->text);
                if (setting_parse(setting, scalar(value), &ret->values[setting], sentence, sizeof(sentence)) < 0)
                        return complain(value, ret_error, size, "%s", sentence);
        }
        return 0;
}

/* A whole number in a range, perhaps with its unit behind it. */
static int read_number(const struct node *value, long min, long max, const char *unit, long *ret, char *ret_error,
                       size_t size) {
        const char *text = scalar(value);
        char *end;
        long number;

        errno = 0;
        number = text && text[0] ? strtol(text, &end, 10) : 0;
        if (!text || !text[0] || errno != 0 || strcmp(end, unit) != 0 || number < min || number > max)
                return complain(value, ret_error, size, "expected a number from %ld to %ld%s", min, max, unit);
        *ret = number;
        return 0;
}

static int read_text(const struct node *value, char *ret, size_t ret_size, char *ret_error, size_t size) {
        const char *text = scalar(value);

        if (!text || strlen(text) >= ret_size)
                return complain(value, ret_error, size, "expected a text of at most %zu characters", ret_size - 1);
        for (const char *c = text; *c; c++)
                if ((unsigned char)*c < 0x20 || *c == '"' || *c == '\\')
                        return complain(value, ret_error, size, "expected plain text");
        memcpy(ret, text, strlen(text) + 1);
        return 0;
}

static int read_entry(const struct node *key, struct kept_settings *k, bool *version, char *ret_error, size_t size) {
        const struct node *value = key->next;
        const char *name = key->text ? key->text : "";
        long number = 0;
        int r;

        if (strcmp(name, "version") == 0) {
                *version = true;
                if (scalar(value) && strcmp(scalar(value), VERSION) == 0)
                        return 0;
                return complain(value, ret_error, size, "expected version " VERSION ": another smartbmsd wrote this");
        }
        if (strcmp(name, "settings") == 0)
                return read_values(value, &k->values, ret_error, size);
        if (strcmp(name, "known_cells") == 0) {
                r = read_number(value, CELLS_MIN, CELLS_MAX, "", &number, ret_error, size);
                k->known_cells = (uint8_t)number;
                return r;
        }
        if (strcmp(name, "idle_draw") == 0) {
                r = read_number(value, 0, 1000000, " mA", &number, ret_error, size);
                k->idle_draw_ma = some((int32_t)number);
                return r;
        }
        if (strcmp(name, "pin_hash") == 0)
                return read_text(value, k->pin_hash, sizeof(k->pin_hash), ret_error, size);
        if (strcmp(name, "changed_by") == 0)
                return read_text(value, k->by, sizeof(k->by), ret_error, size);
        if (strcmp(name, "unconfirmed") == 0) {
                k->unconfirmed = true; /* whatever is said of it: in doubt it is */
                return 0;
        }
        if (strcmp(name, "checksum") == 0)
                return 0;
        return complain(key, ret_error, size, "\"%.40s\" is no part of a settings file", name);
}

static int read_tree(const struct node *root, struct kept_settings *k, char *ret_error, size_t size) {
        bool version = false;
        int r;

        if (!root || root->kind != NODE_MAP)
                return complain(root, ret_error, size, "expected a mapping");
        for (const struct node *key = root->child; key; key = key->next->next) {
                r = read_entry(key, k, &version, ret_error, size);
                if (r < 0)
                        return r;
        }
        return version ? 0 : complain(root, ret_error, size, "there is no version");
}

/* What an older version did not know is as in defaults. */
static int parse(const char *text, size_t length, const struct settings *defaults, struct kept_settings *ret_settings,
                 char *ret_error, size_t size) {
        struct kept_settings k = {.values = *defaults};
        struct problems problems = {NULL, 0, 0, false};
        struct yaml_tree tree = {NULL, NULL};
        int r;

        r = check_checksum(text, length, ret_error, size);
        if (r < 0)
                return r;
        r = yaml_tree_parse(&tree, &problems, text, length);
        if (r < 0)
                (void)snprintf(ret_error, size, "it is no YAML as smartbmsd writes it");
        else
                r = read_tree(tree.root, &k, ret_error, size);
        yaml_tree_done(&tree);
        problems_done(&problems);
        if (r < 0)
                return r;
        r = settings_check(&k.values, none(), ret_error, size);
        if (r < 0)
                return r;
        *ret_settings = k;
        return 0;
}

int settings_file_parse(const char *text, size_t length, struct kept_settings *ret_settings, char *ret_error,
                        size_t size) {
        struct settings defaults;

        settings_init(&defaults);
        return parse(text, length, &defaults, ret_settings, ret_error, size);
}

/* ---- the directory ---------------------------------------------------------------------------------------------- */

/* Reads a whole small file. */
static int read_file(int directory, const char *name, char *ret_text, size_t size, size_t *ret_length) {
        size_t length = 0;
        int fd, r = 0;

        fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        while (r == 0 && length < size) {
                const ssize_t n = read(fd, ret_text + length, size - length);

                if (n < 0)
                        r = errno == EINTR ? 0 : -errno;
                else if (n == 0)
                        break;
                else
                        length += (size_t)n;
        }
        (void)close(fd); /* only read */
        if (r == 0 && length == size)
                r = -EFBIG;
        *ret_length = length;
        return r;
}

/* 0; -ENOENT: there is none; -EINVAL or another: it is no good, with a sentence. */
static int read_settings(int directory, const char *name, const struct settings *defaults,
                         struct kept_settings *ret_settings, char *ret_error, size_t size) {
        char text[SETTINGS_FILE_TEXT_MAX];
        size_t length = 0;
        int r;

        r = read_file(directory, name, text, sizeof(text), &length);
        if (r == -ENOENT)
                (void)snprintf(ret_error, size, "it is gone");
        else if (r < 0)
                (void)snprintf(ret_error, size, "%s", strerror(-r));
        return r < 0 ? r : parse(text, length, defaults, ret_settings, ret_error, size);
}

static bool exists(int directory, const char *name) {
        struct stat st;

        return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What is wrong, what holds now, what to do: within an alarm's 160 characters for a usual path. */
static void say(const char *path, const char *why, const char *in_force, char *ret_text, size_t size) {
        char short_why[40];

        printable(why, short_why, sizeof(short_why));
        for (int with_path = 1; with_path >= 0; with_path--) {
                const int n = snprintf(ret_text, size,
                                       "%s%s" SETTINGS_FILE_NAME ": %s. %s in force: smartbmsctl settings confirm, "
                                       "or settings import FILE",
                                       with_path ? path : "", with_path ? "/" : "", short_why, in_force);

                if (n < 0 || (size_t)n < size)
                        return;
        }
}

static void judge(int directory, const char *path, const struct settings *defaults, struct kept_settings *ret_settings,
                  enum settings_file_state *ret_state, char *ret_text, size_t size) {
        char why[256], why_previous[256];
        int current, previous;

        current = read_settings(directory, SETTINGS_FILE_NAME, defaults, ret_settings, why, sizeof(why));
        if (current == 0 && !ret_settings->unconfirmed) {
                *ret_state = SETTINGS_FILE_GOOD;
                return;
        }
        if (current == 0) {
                *ret_state = SETTINGS_FILE_PREVIOUS;
                say(path, "not confirmed yet", "Its settings are", ret_text, size);
                return;
        }
        previous = read_settings(directory, PREVIOUS_NAME, defaults, ret_settings, why_previous, sizeof(why_previous));
        if (previous == 0) {
                ret_settings->unconfirmed = true;
                *ret_state = SETTINGS_FILE_PREVIOUS;
                say(path, why, "Those before are", ret_text, size);
                return;
        }
        *ret_settings = (struct kept_settings){.values = *defaults};
        if (current == -ENOENT && previous == -ENOENT && !exists(directory, BAD_NAME) &&
            !exists(directory, DATABASE_NAME)) {
                *ret_state = SETTINGS_FILE_FIRST;
                return;
        }
        ret_settings->unconfirmed = true;
        *ret_state = SETTINGS_FILE_DAMAGED;
        say(path, why, "The config's are", ret_text, size);
}

int settings_file_read(const char *directory, const struct settings *defaults, struct kept_settings *ret_settings,
                       enum settings_file_state *ret_state, char *ret_text, size_t size) {
        int fd, r;

        ret_text[0] = '\0';
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
                r = -errno;
                *ret_settings = (struct kept_settings){.values = *defaults, .unconfirmed = true};
                *ret_state = SETTINGS_FILE_DAMAGED;
                (void)snprintf(ret_text, size,
                               "%.60s: %.30s. The config's settings are in force: smartbmsctl settings confirm",
                               directory, strerror(-r));
                return r;
        }
        judge(fd, directory, defaults, ret_settings, ret_state, ret_text, size);
        (void)close(fd);
        return 0;
}

/* ---- writing it atomically -------------------------------------------------------------------------------------- */

static int write_new(int directory, const char *text) {
        size_t left = strlen(text);
        int fd, r = 0;

        (void)unlinkat(directory, NEW_NAME, 0); /* left by a power cut, or not there */
        fd = openat(directory, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        while (r == 0 && left > 0) {
                const ssize_t n = write(fd, text, left);

                if (n < 0)
                        r = errno == EINTR ? 0 : -errno;
                else {
                        text += n;
                        left -= (size_t)n;
                }
        }
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (close(fd) < 0 && r == 0)
                r = -errno;
        return r;
}

/* A file under another name as well, whatever had that name. At no moment is that name gone. */
static int also_as(int directory, const char *name, const char *other) {
        (void)unlinkat(directory, LINK_NAME, 0);
        if (linkat(directory, name, directory, LINK_NAME, 0) < 0 ||
            renameat(directory, LINK_NAME, directory, other) < 0)
                return -errno;
        (void)unlinkat(directory, LINK_NAME, 0); /* stays if both were the same file already */
        return 0;
}

static bool is_good(int directory, const char *name) {
        struct kept_settings ignored;
        struct settings defaults;
        char why[256];

        settings_init(&defaults);
        return read_settings(directory, name, &defaults, &ignored, why, sizeof(why)) == 0;
}

/* What is there now becomes the one before. What is no good is put aside, and a good one before it stays. */
static int keep_current(int directory) {
        if (is_good(directory, SETTINGS_FILE_NAME))
                return also_as(directory, SETTINGS_FILE_NAME, PREVIOUS_NAME);
        /* Not by a link: it may be anything. */
        if (renameat(directory, SETTINGS_FILE_NAME, directory, BAD_NAME) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

static int sync_directory(int directory) {
        return fsync(directory) < 0 ? -errno : 0;
}

static int replace(int directory) {
        int r;

        r = keep_current(directory);
        /* The one before must be there before the newest takes its place. */
        if (r == 0)
                r = sync_directory(directory);
        if (r == 0 && renameat(directory, NEW_NAME, directory, SETTINGS_FILE_NAME) < 0)
                r = -errno;
        if (r == 0)
                r = sync_directory(directory);
        if (r < 0 || is_good(directory, PREVIOUS_NAME))
                return r;
        /* There was no good one before. After this one its loss is no first start any more. */
        r = also_as(directory, SETTINGS_FILE_NAME, PREVIOUS_NAME);
        return r < 0 ? r : sync_directory(directory);
}

int settings_file_write(const char *directory, const struct kept_settings *k) {
        char text[SETTINGS_FILE_TEXT_MAX], why[256];
        struct kept_settings again;
        int fd, r;

        r = settings_file_format(k, text, sizeof(text));
        if (r == 0) /* our own bug, if so; but the next start must not find it out */
                r = settings_file_parse(text, strlen(text), &again, why, sizeof(why));
        if (r < 0)
                return r;
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = write_new(fd, text);
        if (r == 0)
                r = replace(fd);
        (void)close(fd); /* of a directory: nothing to be lost */
        return r;
}
