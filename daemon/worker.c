/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

struct job {
        void (*run)(void *job);
        void (*finish)(void *job);
        void *userdata;
};

/* A ring by rising counts: posted >= run >= finished, and never more than WORKER_JOBS_MAX between first and last. */
struct worker {
        sd_event_source *source;
        int fd; /* an eventfd: a job has run */
        pthread_t thread;
        unsigned finished; /* the event loop's alone */

        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned posted, run; /* under the lock, as are the jobs between run and posted */
        bool stopping, ended;
        struct job jobs[WORKER_JOBS_MAX];
};

static void *thread_main(void *userdata) {
        struct worker *w = userdata;

        (void)pthread_mutex_lock(&w->lock);
        for (;;) {
                while (w->run == w->posted && !w->stopping)
                        (void)pthread_cond_wait(&w->changed, &w->lock);
                if (w->run == w->posted)
                        break;
                const struct job job = w->jobs[w->run % WORKER_JOBS_MAX];

                (void)pthread_mutex_unlock(&w->lock);
                job.run(job.userdata);
                (void)pthread_mutex_lock(&w->lock);
                w->run++;
                (void)eventfd_write(w->fd, 1); /* a counter that is full has been written before: the loop will look */
                (void)pthread_cond_broadcast(&w->changed);
        }
        w->ended = true;
        (void)pthread_cond_broadcast(&w->changed);
        (void)pthread_mutex_unlock(&w->lock);
        return NULL;
}

static void finish_jobs(struct worker *w) {
        unsigned run;

        (void)pthread_mutex_lock(&w->lock);
        run = w->run;
        (void)pthread_mutex_unlock(&w->lock);
        while (w->finished != run) {
                const struct job job = w->jobs[w->finished % WORKER_JOBS_MAX];

                w->finished++; /* first: finish() may post */
                job.finish(job.userdata);
        }
}

static int on_run(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        eventfd_t n;

        (void)s, (void)events;
        (void)eventfd_read(fd, &n); /* only to make it quiet */
        finish_jobs(userdata);
        return 0;
}

/* All signals belong to the event loop's thread, whose signalfd they are for. */
static int start_thread(struct worker *w) {
        pthread_attr_t attributes;
        sigset_t all, before;
        int r;

        (void)sigfillset(&all);
        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        r = pthread_attr_setstacksize(&attributes, WORKER_STACK_SIZE);
        if (r == 0)
                r = pthread_sigmask(SIG_SETMASK, &all, &before);
        if (r == 0) {
                r = pthread_create(&w->thread, &attributes, thread_main, w);
                (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
        (void)pthread_attr_destroy(&attributes);
        return -r;
}

static void release(struct worker *w) {
        sd_event_source_unref(w->source);
        if (w->fd >= 0)
                (void)close(w->fd);
        (void)pthread_cond_destroy(&w->changed);
        (void)pthread_mutex_destroy(&w->lock);
        free(w);
}

int worker_new(sd_event *event, struct worker **ret) {
        pthread_condattr_t attributes;
        struct worker *w;
        int r;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        (void)pthread_mutex_init(&w->lock, NULL); /* cannot fail for a plain one */
        (void)pthread_condattr_init(&attributes);
        (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* conditions know no CLOCK_BOOTTIME */
        (void)pthread_cond_init(&w->changed, &attributes);
        (void)pthread_condattr_destroy(&attributes);
        w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = w->fd < 0 ? -errno : 0;
        if (r >= 0)
                r = sd_event_add_io(event, &w->source, w->fd, EPOLLIN, on_run, w);
        if (r >= 0) /* readings and relays come first in the event loop */
                r = sd_event_source_set_priority(w->source, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = start_thread(w);
        if (r < 0) {
                release(w);
                return r;
        }
        *ret = w;
        return 0;
}

unsigned worker_pending(const struct worker *w) {
        return w->posted - w->finished; /* posted is written by this thread alone */
}

int worker_post(struct worker *w, void (*run)(void *job), void (*finish)(void *job), void *job) {
        if (worker_pending(w) == WORKER_JOBS_MAX)
                return -ENOBUFS;
        (void)pthread_mutex_lock(&w->lock);
        assert(!w->stopping);
        w->jobs[w->posted % WORKER_JOBS_MAX] = (struct job){run, finish, job};
        w->posted++;
        (void)pthread_cond_broadcast(&w->changed);
        (void)pthread_mutex_unlock(&w->lock);
        return 0;
}

/* False: not all that was posted had run by then. */
static bool wait_for_run(struct worker *w, const struct timespec *until) {
        bool run;

        (void)pthread_mutex_lock(&w->lock);
        while (w->run != w->posted && pthread_cond_timedwait(&w->changed, &w->lock, until) == 0)
                ;
        run = w->run == w->posted;
        (void)pthread_mutex_unlock(&w->lock);
        return run;
}

int worker_free(struct worker *w, usec_t at_most_usec) {
        struct timespec until;
        bool ended;

        if (!w)
                return 0;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        at_most_usec += (usec_t)until.tv_nsec / 1000;
        until.tv_sec += (time_t)(at_most_usec / USEC_PER_SEC);
        until.tv_nsec = (long)(at_most_usec % USEC_PER_SEC * 1000);

        while (worker_pending(w) > 0 && wait_for_run(w, &until))
                finish_jobs(w); /* which may post more */

        (void)pthread_mutex_lock(&w->lock);
        w->stopping = true;
        (void)pthread_cond_broadcast(&w->changed);
        while (!w->ended && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
                ;
        ended = w->ended;
        (void)pthread_mutex_unlock(&w->lock);
        if (!ended) {
                w->source = sd_event_source_unref(w->source); /* nobody is there to be told */
                (void)pthread_detach(w->thread);
                return -ETIMEDOUT;
        }
        (void)pthread_join(w->thread, NULL);
        release(w);
        return 0;
}
