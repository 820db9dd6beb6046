/* SPDX-License-Identifier: MIT */

/* The settings file when writing it goes wrong: the power is cut after any step of the write, with what was not synced
 * yet lost or done in another order; any one step fails; the card is full, read-only, or answers no more; the PIN
 * cannot be hashed. The steps are seen by wrapping the system calls that take them (ld --wrap). */

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop.h"
#include "settings-file.h"
#include "settings-writer.h"

#define CURRENT SETTINGS_FILE_NAME
#define PREVIOUS SETTINGS_FILE_NAME ".previous"
#define NEW SETTINGS_FILE_NAME ".new"
#define BAD_ASIDE SETTINGS_FILE_NAME ".bad"

enum { CONFIG_MV = 3611, CURRENT_MV = 3600, PREVIOUS_MV = 3500, NEW_MV = 3550, LATER_MV = 3450 };

/* ---- the steps of a write --------------------------------------------------------------------------------------- */

enum step_kind { STEP_CREATE, STEP_DATA_SYNC, STEP_DIRECTORY_SYNC, STEP_LINK, STEP_RENAME, STEP_UNLINK };

struct step {
        enum step_kind kind;
        char from[32], to[32];
};

#define STEPS_MAX 32

static struct {
        bool recording;
        unsigned calls;
        unsigned fail_call; /* this one fails with ENOSPC; 0 = none */
        struct step steps[STEPS_MAX];
        unsigned n_steps;
        atomic_uint replaced; /* how often the file was */
        atomic_uint fsync_msec;
        atomic_bool no_hash;
} seen;

ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __real_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __real_fsync(int fd);
int __wrap_linkat(int fd, const char *from, int fd_to, const char *to, int flags);
int __real_linkat(int fd, const char *from, int fd_to, const char *to, int flags);
int __wrap_renameat(int fd, const char *from, int fd_to, const char *to);
int __real_renameat(int fd, const char *from, int fd_to, const char *to);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __real_unlinkat(int fd, const char *name, int flags);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);

static bool fails(void) {
        if (!seen.recording || ++seen.calls != seen.fail_call)
                return false;
        errno = ENOSPC;
        return true;
}

static void note(enum step_kind kind, const char *from, const char *to) {
        if (!seen.recording)
                return;
        assert_true(seen.n_steps < STEPS_MAX);
        struct step *s = &seen.steps[seen.n_steps++];
        s->kind = kind;
        snprintf(s->from, sizeof(s->from), "%s", from);
        snprintf(s->to, sizeof(s->to), "%s", to);
}

ssize_t __wrap_write(int fd, const void *data, size_t size) {
        ssize_t n;

        if (fails())
                return -1;
        n = __real_write(fd, data, size);
        if (n > 0)
                note(STEP_CREATE, "", NEW); /* the only file that is written */
        return n;
}

int __wrap_fsync(int fd) {
        struct stat st;

        if (fails())
                return -1;
        if (seen.fsync_msec > 0)
                usleep(seen.fsync_msec * 1000);
        if (__real_fsync(fd) < 0 || fstat(fd, &st) < 0)
                return -1;
        note(S_ISDIR(st.st_mode) ? STEP_DIRECTORY_SYNC : STEP_DATA_SYNC, "", "");
        return 0;
}

int __wrap_linkat(int fd, const char *from, int fd_to, const char *to, int flags) {
        if (fails() || __real_linkat(fd, from, fd_to, to, flags) < 0)
                return -1;
        note(STEP_LINK, from, to);
        return 0;
}

int __wrap_renameat(int fd, const char *from, int fd_to, const char *to) {
        if (fails() || __real_renameat(fd, from, fd_to, to) < 0)
                return -1;
        seen.replaced += strcmp(to, CURRENT) == 0;
        note(STEP_RENAME, from, to);
        return 0;
}

int __wrap_unlinkat(int fd, const char *name, int flags) {
        if (fails() || __real_unlinkat(fd, name, flags) < 0)
                return -1;
        note(STEP_UNLINK, name, "");
        return 0;
}

char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data) {
        if (!seen.no_hash)
                return __real_crypt_r(phrase, setting, data);
        errno = ENOMEM;
        return NULL;
}

static void record(unsigned fail_call) {
        seen.calls = seen.n_steps = 0;
        seen.fail_call = fail_call;
        seen.recording = true;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static char directory[64];

static int make_directory(void **state) {
        (void)state;
        seen.recording = false;
        seen.fsync_msec = 0;
        seen.no_hash = false;
        strcpy(directory, "/tmp/test-settings-XXXXXX");
        return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
        char command[128];

        (void)state;
        seen.recording = false;
        snprintf(command, sizeof(command), "rm -rf '%s'", directory);
        return system(command);
}

static const char *path_of(const char *name) {
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return path;
}

static void empty_directory(void) {
        static const char *const names[] = {CURRENT, PREVIOUS, NEW, BAD_ASIDE, SETTINGS_FILE_NAME ".link"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                (void)unlink(path_of(names[i]));
}

static void put_file(const char *name, const char *text) {
        FILE *f = fopen(path_of(name), "w");

        assert_non_null(f);
        assert_return_code(fputs(text, f), errno);
        assert_int_equal(fclose(f), 0);
}

static struct kept_settings settings_of(int32_t vmax_mv) {
        struct kept_settings k = {.known_cells = 16, .by = "uid 1000 over D-Bus"};

        settings_init(&k.values);
        k.values.values[SETTING_VMAX] = some(vmax_mv);
        return k;
}

enum which { MISSING, GOOD, DAMAGED, N_WHICH };

/* What a file holds: NULL = there is none. */
static const char *content(enum which which, int32_t vmax_mv, char text[SETTINGS_FILE_TEXT_MAX]) {
        const struct kept_settings k = settings_of(vmax_mv);

        if (which == MISSING)
                return NULL;
        assert_int_equal(settings_file_format(&k, text, SETTINGS_FILE_TEXT_MAX), 0);
        if (which == DAMAGED)
                *strchr(text, 'c') ^= 1;
        return text;
}

static void put_both(enum which current, enum which previous) {
        char text[SETTINGS_FILE_TEXT_MAX];

        empty_directory();
        if (content(current, CURRENT_MV, text))
                put_file(CURRENT, text);
        if (content(previous, PREVIOUS_MV, text))
                put_file(PREVIOUS, text);
}

static int32_t read_now(enum settings_file_state *ret_state) {
        struct settings defaults;
        struct kept_settings k;
        char text[160];

        settings_init(&defaults);
        defaults.values[SETTING_VMAX] = some(CONFIG_MV);
        assert_int_equal(settings_file_read(directory, &defaults, &k, ret_state, text, sizeof(text)), 0);
        return settings_get(&k.values, SETTING_VMAX);
}

/* The old or the new, and never neither. */
static void assert_old_or_new(enum which current, enum which previous, const char *when) {
        enum settings_file_state state;
        const int32_t mv = read_now(&state);
        const bool none = current == MISSING && previous == MISSING;
        bool old;

        if (current == GOOD)
                old = state == SETTINGS_FILE_GOOD && mv == CURRENT_MV;
        else if (previous == GOOD)
                old = state == SETTINGS_FILE_PREVIOUS && mv == PREVIOUS_MV;
        else
                old = state == (none ? SETTINGS_FILE_FIRST : SETTINGS_FILE_DAMAGED) && mv == CONFIG_MV;
        if (!old && !(state == SETTINGS_FILE_GOOD && mv == NEW_MV))
                fail_msg("current %d, previous %d, %s: state %d with %d mV", current, previous, when, state, mv);
}

/* And should the card lose the newest one as well, a good one before it is there; once the new one has come, it is the
 * one that was good until then. */
static void assert_one_before(enum which current, enum which previous, const char *when) {
        enum settings_file_state state;
        const bool new_is_there = read_now(&state) == NEW_MV;
        int32_t mv;

        (void)unlink(path_of(CURRENT));
        mv = read_now(&state);
        if ((previous == GOOD && state != SETTINGS_FILE_PREVIOUS) ||
            (current == GOOD && new_is_there && mv != CURRENT_MV))
                fail_msg("current %d, previous %d, %s: before it state %d with %d mV", current, previous, when, state,
                         mv);
}

/* ---- power cuts ------------------------------------------------------------------------------------------------- */

/* A directory as the card would have it: names of files, by what is in them. */
struct model {
        struct {
                char name[32];
                int file;
        } names[8];
        unsigned n;
};

static int *find(struct model *m, const char *name) {
        for (unsigned i = 0; i < m->n; i++)
                if (strcmp(m->names[i].name, name) == 0)
                        return &m->names[i].file;
        return NULL;
}

static void set(struct model *m, const char *name, int file) {
        int *at = find(m, name);

        if (at) {
                *at = file;
                return;
        }
        assert_true(m->n < 8);
        snprintf(m->names[m->n].name, sizeof(m->names[m->n].name), "%s", name);
        m->names[m->n++].file = file;
}

static void drop(struct model *m, const char *name) {
        for (unsigned i = 0; i < m->n; i++)
                if (strcmp(m->names[i].name, name) == 0)
                        m->names[i] = m->names[--m->n];
}

#define NEW_FILE 100

static void apply(struct model *m, const struct step *s) {
        const int *from = find(m, s->from);

        if (s->kind == STEP_CREATE)
                set(m, s->to, NEW_FILE);
        else if (s->kind == STEP_UNLINK)
                drop(m, s->from);
        else if (s->kind == STEP_LINK && from && !find(m, s->to))
                set(m, s->to, *from);
        else if (s->kind == STEP_RENAME && from && (!find(m, s->to) || *find(m, s->to) != *from)) {
                set(m, s->to, *from);
                drop(m, s->from);
        } /* a rename onto the same file does nothing (rename(2)) */
}

static bool is_sync(const struct step *s) {
        return s->kind == STEP_DATA_SYNC || s->kind == STEP_DIRECTORY_SYNC;
}

/* The first step that a cut after `steps` may lose. */
static unsigned first_pending(unsigned steps) {
        unsigned first = 0;

        for (unsigned i = 0; i < steps; i++)
                if (seen.steps[i].kind == STEP_DIRECTORY_SYNC)
                        first = i + 1;
        return first;
}

static void put_model(const struct model *m, const char *current, const char *previous, const char *new_text) {
        empty_directory();
        for (unsigned i = 0; i < m->n; i++) {
                const int file = m->names[i].file;

                put_file(m->names[i].name, file == NEW_FILE ? new_text : file == 0 ? current : previous);
        }
}

/* Everything that the card may hold when the power goes after `steps` of the write: of what was done since the
 * directory was synced any part is there, and of the new file's content, until that was synced, any beginning. */
static unsigned try_cuts(enum which current, enum which previous, unsigned steps) {
        char current_text[SETTINGS_FILE_TEXT_MAX], previous_text[SETTINGS_FILE_TEXT_MAX];
        char new_text[SETTINGS_FILE_TEXT_MAX], when[64];
        const unsigned first = first_pending(steps), pending = steps - first;
        bool data_synced = false;
        unsigned tried = 0;

        (void)content(current, CURRENT_MV, current_text);
        (void)content(previous, PREVIOUS_MV, previous_text);
        for (unsigned i = 0; i < steps; i++)
                data_synced = data_synced || seen.steps[i].kind == STEP_DATA_SYNC;
        for (unsigned lost = 0; lost < 1u << pending; lost++) {
                struct model m = {.n = 0};

                if (current != MISSING)
                        set(&m, CURRENT, 0);
                if (previous != MISSING)
                        set(&m, PREVIOUS, 1);
                for (unsigned i = 0; i < steps; i++)
                        if (!is_sync(&seen.steps[i]) && (i < first || !(lost & 1u << (i - first))))
                                apply(&m, &seen.steps[i]);
                for (unsigned part = data_synced ? 2 : 0; part <= 2; part++) {
                        (void)content(GOOD, NEW_MV, new_text);
                        new_text[strlen(new_text) * part / 2] = '\0';
                        put_model(&m, current_text, previous_text, new_text);
                        snprintf(when, sizeof(when), "cut after step %u, lost %x, part %u", steps, lost, part);
                        assert_old_or_new(current, previous, when);
                        assert_one_before(current, previous, when);
                        tried++;
                }
        }
        return tried;
}

static void test_power_cuts(void **state) {
        const struct kept_settings new = settings_of(NEW_MV);
        unsigned tried = 0, steps_in_all = 0;

        (void)state;
        for (enum which current = MISSING; current < N_WHICH; current++)
                for (enum which previous = MISSING; previous < N_WHICH; previous++) {
                        enum settings_file_state found;

                        put_both(current, previous);
                        record(0);
                        assert_int_equal(settings_file_write(directory, &new), 0);
                        seen.recording = false;
                        assert_true(seen.n_steps >= 4); /* created, synced, renamed, synced */
                        assert_int_equal(first_pending(seen.n_steps), seen.n_steps); /* nothing left to lose */
                        assert_int_equal(read_now(&found), NEW_MV);
                        assert_int_equal(found, SETTINGS_FILE_GOOD);

                        /* From now on the loss of it is no first start, and there is a good one before it. */
                        assert_return_code(unlink(path_of(CURRENT)), errno);
                        assert_int_equal(read_now(&found), current == GOOD    ? CURRENT_MV
                                                           : previous == GOOD ? PREVIOUS_MV
                                                                              : NEW_MV);
                        assert_int_equal(found, SETTINGS_FILE_PREVIOUS);

                        steps_in_all += seen.n_steps;
                        for (unsigned steps = 0; steps < seen.n_steps; steps++)
                                tried += try_cuts(current, previous, steps);
                }
        assert_true(tried > steps_in_all); /* each cut at least once */
}

/* ---- one step fails --------------------------------------------------------------------------------------------- */

static void test_any_step_fails(void **state) {
        const struct kept_settings new = settings_of(NEW_MV), later = settings_of(LATER_MV);
        unsigned failed = 0;

        (void)state;
        for (enum which current = MISSING; current < N_WHICH; current++)
                for (enum which previous = MISSING; previous < N_WHICH; previous++)
                        for (unsigned call = 1;; call++) {
                                enum settings_file_state found;
                                int r;

                                put_both(current, previous);
                                record(call);
                                r = settings_file_write(directory, &new);
                                seen.recording = false;
                                if (seen.calls < call) { /* none was left to fail */
                                        assert_int_equal(r, 0);
                                        break;
                                }
                                failed += r < 0;
                                if (r < 0)
                                        assert_int_equal(r, -ENOSPC);
                                assert_old_or_new(current, previous, "a step failed");
                                if (r == 0) { /* a step that does not matter */
                                        assert_int_equal(read_now(&found), NEW_MV);
                                        assert_int_equal(found, SETTINGS_FILE_GOOD);
                                }
                                /* And the next one finds nothing in its way. */
                                assert_int_equal(settings_file_write(directory, &later), 0);
                                assert_int_equal(read_now(&found), LATER_MV);
                                assert_int_equal(found, SETTINGS_FILE_GOOD);
                        }
        assert_true(failed >= 9 * 4); /* write, sync, rename, sync at least */
}

static void assert_cannot_write(int error) {
        const struct kept_settings new = settings_of(NEW_MV);
        enum settings_file_state found;

        assert_int_equal(settings_file_write(directory, &new), error);
        assert_int_equal(read_now(&found), CURRENT_MV);
        assert_int_equal(found, SETTINGS_FILE_GOOD);
}

static void assert_can_write(void) {
        const struct kept_settings new = settings_of(NEW_MV);
        enum settings_file_state found;

        assert_int_equal(settings_file_write(directory, &new), 0);
        assert_int_equal(read_now(&found), NEW_MV);
        assert_int_equal(found, SETTINGS_FILE_GOOD);
}

/* The kernel itself says no, in the middle of the file. */
static void test_no_room_for_the_file(void **state) {
        struct rlimit limit, small;

        (void)state;
        put_both(GOOD, GOOD);
        assert_return_code(getrlimit(RLIMIT_FSIZE, &limit), errno);
        assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        small = (struct rlimit){100, limit.rlim_max};
        assert_return_code(setrlimit(RLIMIT_FSIZE, &small), errno);
        assert_cannot_write(-EFBIG);
        assert_return_code(setrlimit(RLIMIT_FSIZE, &limit), errno);
        assert_can_write();
}

/* A card that is really full, then really read-only: a file system of some pages, in a mount namespace of its own. */
static bool mount_small(void) {
        return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("none", directory, "tmpfs", 0, "size=64k") == 0;
}

static void fill_up(void) {
        static const char page[4096];
        const int fd = open(path_of("full"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        while (write(fd, page, sizeof(page)) > 0)
                ;
        assert_int_equal(errno, ENOSPC);
        assert_return_code(close(fd), errno);
}

static void test_full_and_read_only(void **state) {
        (void)state;
        if (!mount_small()) {
                print_message("skipped: cannot mount a file system here: %s\n", strerror(errno));
                skip();
        }
        put_both(GOOD, GOOD);
        fill_up();
        assert_cannot_write(-ENOSPC);
        assert_return_code(unlink(path_of("full")), errno);
        assert_can_write();

        put_both(GOOD, GOOD);
        assert_return_code(mount("none", directory, "none", MS_REMOUNT | MS_RDONLY, NULL), errno);
        assert_cannot_write(-EROFS);
        assert_return_code(mount("none", directory, "none", MS_REMOUNT, "size=64k"), errno);
        assert_can_write();
        assert_return_code(umount(directory), errno);
}

/* What could not be read again is not written: else the next start would find a damaged file. */
static void test_not_what_cannot_be_read_again(void **state) {
        struct kept_settings k = settings_of(NEW_MV);
        enum settings_file_state found;

        (void)state;
        put_both(GOOD, GOOD);
        k.values.values[SETTING_VMAX] = some(9999);
        assert_int_equal(settings_file_write(directory, &k), -EINVAL);
        assert_int_equal(read_now(&found), CURRENT_MV);
        k = settings_of(NEW_MV);
        strcpy(k.pin_hash, "\"");
        assert_int_equal(settings_file_write(directory, &k), -EINVAL);
        assert_int_equal(read_now(&found), CURRENT_MV);
        assert_int_equal(found, SETTINGS_FILE_GOOD);

        /* Who changed it may have any name. */
        k = settings_of(NEW_MV);
        strcpy(k.by, "phone \"J\xc3\xb6rg\\\" \n over Bluetooth");
        assert_int_equal(settings_file_write(directory, &k), 0);
        assert_int_equal(read_now(&found), NEW_MV);
        assert_int_equal(found, SETTINGS_FILE_GOOD);
}

/* A directory where the file should be is in nobody's way for long. */
static void test_directory_in_its_place(void **state) {
        enum settings_file_state found;

        (void)state;
        put_both(MISSING, GOOD);
        assert_return_code(mkdir(path_of(CURRENT), 0700), errno);
        assert_int_equal(read_now(&found), PREVIOUS_MV);
        assert_int_equal(found, SETTINGS_FILE_PREVIOUS);
        assert_can_write();
        assert_return_code(rmdir(path_of(BAD_ASIDE)), errno);
}

/* ---- on its thread ---------------------------------------------------------------------------------------------- */

struct told {
        unsigned done, faults;
        int result;
        char fault[200];
};

static void on_done(void *userdata, int result) {
        struct told *t = userdata;

        t->done++;
        t->result = result;
}

static void on_fault(void *userdata, const char *text) {
        struct told *t = userdata;

        t->faults++;
        snprintf(t->fault, sizeof(t->fault), "%s", text);
}

/* What is put while one is being written replaces what was put before it: two writes at most. */
static void test_many_at_once(void **state) {
        struct settings_writer *w = NULL;
        sd_event *event = NULL;
        struct told told = {0};
        enum settings_file_state found;

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        seen.replaced = 0;
        for (int i = 0; i < 30; i++) {
                const struct kept_settings k = settings_of(3400 + 5 * i);

                settings_writer_put(w, &k, on_done, &told);
        }
        assert_true(loop_until(event, &told.done, 30, 5 * USEC_PER_SEC));
        assert_int_equal(told.result, 0);
        assert_int_equal(seen.replaced, 2);
        assert_int_equal(read_now(&found), 3400 + 5 * 29);
        assert_null(settings_writer_free(w, USEC_PER_SEC));
        sd_event_unref(event);
}

/* A card that stalls for 4 s: who waits is told after 3 s, once, and it is written all the same. */
static void test_stall(void **state) {
        const struct kept_settings k = settings_of(NEW_MV);
        struct settings_writer *w = NULL;
        sd_event *event = NULL;
        struct told told = {0};
        enum settings_file_state found;
        usec_t before, took;

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        seen.fsync_msec = 4000; /* the first of them */
        before = clock_now();
        settings_writer_put(w, &k, on_done, &told);
        assert_true(clock_now() - before < 500 * USEC_PER_MSEC); /* the event loop does not wait */
        loop_for(event, USEC_PER_SEC);
        seen.fsync_msec = 0;
        assert_int_equal(told.done, 0);
        assert_true(loop_until(event, &told.done, 1, 4 * USEC_PER_SEC));
        took = clock_now() - before;
        assert_in_range(took, 3 * USEC_PER_SEC, 3900 * USEC_PER_MSEC);
        assert_int_equal(told.result, -ETIMEDOUT);
        loop_for(event, 2 * USEC_PER_SEC);
        assert_int_equal(told.done, 1);
        assert_int_equal(told.faults, 0); /* slow, but it did not fail */
        assert_int_equal(read_now(&found), NEW_MV);
        assert_null(settings_writer_free(w, USEC_PER_SEC));
        sd_event_unref(event);
}

/* The end does not wait for a card that answers no more. */
static void test_end_during_a_stall(void **state) {
        const struct kept_settings k = settings_of(NEW_MV);
        static struct settings_writer *w; /* both are left to a thread that outlives this */
        static struct told told;
        sd_event *event = NULL;
        usec_t before, took;

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        seen.fsync_msec = 700;
        settings_writer_put(w, &k, on_done, &told);
        before = clock_now();
        assert_null(settings_writer_free(w, 200 * USEC_PER_MSEC));
        took = clock_now() - before;
        assert_in_range(took, 200 * USEC_PER_MSEC, 600 * USEC_PER_MSEC);
        sd_event_unref(event);
        usleep(3500 * 1000); /* the thread comes to its end, before its directory goes */
        assert_int_equal(told.done, 0);
}

/* The end while writing fails: no more is told, nothing that is gone is used (sanitizers, valgrind). */
static void test_end_during_trouble(void **state) {
        const struct kept_settings k = settings_of(NEW_MV);
        struct settings_writer *w = NULL;
        sd_event *event = NULL;
        struct told told = {0};
        enum settings_file_state found;
        char away[80];

        (void)state;
        snprintf(away, sizeof(away), "%s-away", directory);
        assert_return_code(rename(directory, away), errno);
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        settings_writer_put(w, &k, on_done, &told);
        assert_null(settings_writer_free(w, USEC_PER_SEC));
        assert_int_equal(told.done, 0);
        assert_int_equal(told.faults, 0);

        /* Failed before and waiting to be tried again: the end is the last chance. */
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        settings_writer_put(w, &k, NULL, NULL);
        assert_true(loop_until(event, &told.faults, 1, USEC_PER_SEC));
        assert_return_code(rename(away, directory), errno);
        assert_null(settings_writer_free(w, USEC_PER_SEC));
        assert_int_equal(read_now(&found), NEW_MV);
        assert_int_equal(found, SETTINGS_FILE_GOOD);
        sd_event_unref(event);
}

/* The PIN that cannot be hashed is refused; the other settings are kept, and so is the PIN before it. */
static void test_pin_that_cannot_be_hashed(void **state) {
        const struct kept_settings k = settings_of(NEW_MV);
        struct settings_writer *w = NULL;
        sd_event *event = NULL;
        struct told told = {0}, pin_told = {0};
        struct kept_settings got;
        char text[SETTINGS_FILE_TEXT_MAX], error[160];
        FILE *f;

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(settings_writer_new(event, directory, "", on_fault, &told, &w), 0);
        settings_writer_put_pin(w, &k, "24680", on_done, &told);
        assert_true(loop_until(event, &told.done, 1, 5 * USEC_PER_SEC));
        seen.no_hash = true;
        settings_writer_put_pin(w, &k, "13579", on_done, &pin_told);
        settings_writer_put(w, &k, on_done, &told);
        assert_true(loop_until(event, &pin_told.done, 1, 2 * USEC_PER_SEC));
        assert_true(loop_until(event, &told.done, 2, 2 * USEC_PER_SEC));
        seen.no_hash = false;
        assert_int_equal(pin_told.result, -ENOMEM);
        assert_int_equal(told.result, 0);
        assert_int_equal(told.faults, 0);
        /* And it does not come back with the next change. */
        settings_writer_put(w, &k, on_done, &told);
        assert_true(loop_until(event, &told.done, 3, 2 * USEC_PER_SEC));
        assert_null(settings_writer_free(w, USEC_PER_SEC));
        sd_event_unref(event);

        f = fopen(path_of(CURRENT), "r");
        assert_non_null(f);
        const size_t length = fread(text, 1, sizeof(text), f);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(settings_file_parse(text, length, &got, error, sizeof(error)), 0);
        assert_true(pin_matches("24680", got.pin_hash) && !pin_matches("13579", got.pin_hash));
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIRECTORY(test_power_cuts),
                IN_DIRECTORY(test_any_step_fails),
                IN_DIRECTORY(test_no_room_for_the_file),
                IN_DIRECTORY(test_not_what_cannot_be_read_again),
                IN_DIRECTORY(test_directory_in_its_place),
                IN_DIRECTORY(test_many_at_once),
                IN_DIRECTORY(test_stall),
                IN_DIRECTORY(test_end_during_a_stall),
                IN_DIRECTORY(test_end_during_trouble),
                IN_DIRECTORY(test_pin_that_cannot_be_hashed),
                IN_DIRECTORY(test_full_and_read_only), /* last: in a mount namespace of its own from then on */
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
