/* SPDX-License-Identifier: MIT */
#include "pin-lock-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "small-file.h"
#include "worker.h"

#define FILE_NAME "pin-lock"

/* On the thread while it is written; all it needs is its own. */
struct job {
        struct pin_lock_file *file;
        char directory[256], text[PIN_LOCK_LINE_MAX + 1];
        uint64_t number;
        int result;
};

struct pin_lock_file {
        struct worker *worker;
        void (*written)(void *userdata, uint64_t number);
        void *userdata;
        char directory[256], text[PIN_LOCK_LINE_MAX + 1]; /* the newest */
        uint64_t newest;
        bool writing;
};

static void say_not_kept(int error) {
        log_error("Bluetooth: wrong PINs cannot be kept: %s. After a restart they are forgotten", strerror(-error));
}

static int write_newest(struct pin_lock_file *f);

static void run_write(void *userdata) {
        struct job *job = userdata;

        job->result = small_file_replace(job->directory, FILE_NAME, job->text);
}

static void finish_write(void *userdata) {
        struct job *job = userdata;
        struct pin_lock_file *f = job->file;
        uint64_t number = job->number;
        int r = job->result;

        free(job);
        f->writing = false;
        if (r < 0)
                say_not_kept(r);
        if (number < f->newest) {
                r = write_newest(f);
                if (r < 0) {
                        say_not_kept(r);
                        number = f->newest;
                }
        }
        f->written(f->userdata, number);
}

static int write_newest(struct pin_lock_file *f) {
        struct job *job;
        int r;

        job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        *job = (struct job){.file = f, .number = f->newest};
        memcpy(job->directory, f->directory, sizeof(job->directory));
        memcpy(job->text, f->text, sizeof(job->text));
        r = worker_post(f->worker, run_write, finish_write, job);
        if (r < 0) {
                free(job);
                return r;
        }
        f->writing = true;
        return 0;
}

uint64_t pin_lock_file_put(struct pin_lock_file *f, const struct pin_lock *lock, usec_t now) {
        int r;

        if (f->directory[0] == '\0')
                return 0;
        pin_lock_format(lock, now, f->text);
        (void)strcat(f->text, "\n");
        f->newest++;
        if (f->writing) /* the end of that takes the newest */
                return f->newest;
        r = write_newest(f);
        if (r >= 0)
                return f->newest;
        say_not_kept(r);
        return 0;
}

int pin_lock_file_read(const struct pin_lock_file *f, usec_t now, struct pin_lock *ret_lock) {
        char text[PIN_LOCK_LINE_MAX + 1];
        int r;

        if (f->directory[0] == '\0')
                return 0;
        r = small_file_read(f->directory, FILE_NAME, text, sizeof(text));
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        return pin_lock_parse(text, now, ret_lock);
}

int pin_lock_file_new(sd_event *event, const char *directory, void (*written)(void *userdata, uint64_t number),
                      void *userdata, struct pin_lock_file **ret) {
        struct pin_lock_file *f;
        int r;

        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->written = written;
        f->userdata = userdata;
        (void)strncpy(f->directory, directory, sizeof(f->directory) - 1);
        r = worker_new(event, &f->worker);
        if (r < 0) {
                free(f);
                return r;
        }
        *ret = f;
        return 0;
}

void pin_lock_file_free(struct pin_lock_file *f, usec_t at_most_usec) {
        if (!f)
                return;
        if (worker_free(f->worker, at_most_usec) < 0)
                log_error("Bluetooth: the card does not answer: the newest wrong PINs may not be kept");
        free(f); /* the thread that is left behind has its own job only */
}
