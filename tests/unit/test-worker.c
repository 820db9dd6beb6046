/* SPDX-License-Identifier: MIT */

/* Work on another thread: in order, bounded, and the end does not wait for what hangs. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop.h"
#include "worker.h"

#define N_JOBS 200U

struct task {
        unsigned number;
        unsigned *ran, *finished; /* in the thread, in the loop */
        bool in_order;
        pthread_t by;
        useconds_t duration;
};

static void run(void *userdata) {
        struct task *t = userdata;

        t->by = pthread_self();
        t->in_order = *t->ran == t->number;
        ++*t->ran;
        if (t->duration > 0)
                (void)usleep(t->duration);
}

static void finish(void *userdata) {
        struct task *t = userdata;

        assert_true(t->in_order);
        assert_int_equal(*t->finished, t->number);
        assert_false(pthread_equal(t->by, pthread_self()));
        ++*t->finished;
}

static void test_in_order(void **state) {
        static struct task tasks[N_JOBS];
        unsigned ran = 0, finished = 0, posted = 0;
        sd_event *event = NULL;
        struct worker *w = NULL;

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(worker_new(event, &w), 0);
        while (posted < N_JOBS) {
                struct task *t = &tasks[posted];

                *t = (struct task){.number = posted, .ran = &ran, .finished = &finished};
                if (worker_post(w, run, finish, t) == 0)
                        posted++;
                else
                        assert_true(loop_until(event, &finished, finished + 1, 5 * USEC_PER_SEC));
        }
        assert_true(loop_until(event, &finished, N_JOBS, 5 * USEC_PER_SEC));
        assert_int_equal(worker_pending(w), 0);
        assert_int_equal(worker_free(w, USEC_PER_SEC), 0);
        sd_event_unref(event);
}

static void test_bounded_and_never_waiting(void **state) {
        static struct task tasks[WORKER_JOBS_MAX];
        unsigned ran = 0, finished = 0;
        sd_event *event = NULL;
        struct worker *w = NULL;
        usec_t before;

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(worker_new(event, &w), 0);
        before = clock_now();
        for (unsigned i = 0; i < WORKER_JOBS_MAX; i++) {
                tasks[i] = (struct task){.number = i, .ran = &ran, .finished = &finished,
                                         .duration = i == 0 ? 300 * 1000 : 0};
                assert_int_equal(worker_post(w, run, finish, &tasks[i]), 0);
        }
        assert_int_equal(worker_post(w, run, finish, &tasks[0]), -ENOBUFS);
        assert_true(clock_now() - before < 200 * USEC_PER_MSEC); /* the first is still running */
        /* The end waits for all that was asked for. */
        assert_int_equal(worker_free(w, 5 * USEC_PER_SEC), 0);
        assert_int_equal(finished, WORKER_JOBS_MAX);
        sd_event_unref(event);
}

static void test_a_job_that_hangs(void **state) {
        /* Left to the thread that outlives worker_free(). */
        static struct task task;
        static unsigned ran, finished;
        static struct worker *w;
        sd_event *event = NULL;
        usec_t before;

        (void)state;
        assert_return_code(sd_event_new(&event), 0);
        assert_int_equal(worker_new(event, &w), 0);
        task = (struct task){.number = 0, .ran = &ran, .finished = &finished, .duration = 600 * 1000};
        assert_int_equal(worker_post(w, run, finish, &task), 0);
        before = clock_now();
        assert_int_equal(worker_free(w, 100 * USEC_PER_MSEC), -ETIMEDOUT);
        assert_true(clock_now() - before >= 100 * USEC_PER_MSEC);
        assert_true(clock_now() - before < 500 * USEC_PER_MSEC);
        (void)usleep(1000 * 1000); /* the thread comes to its end meanwhile */
        assert_int_equal(finished, 0);
        sd_event_unref(event);
        assert_int_equal(worker_free(NULL, 0), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_in_order),
                cmocka_unit_test(test_bounded_and_never_waiting),
                cmocka_unit_test(test_a_job_that_hangs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
