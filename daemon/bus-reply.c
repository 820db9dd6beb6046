/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "bus-internal.h"

struct bus_reply *bus_reply_take(struct bus_reply *table, size_t n, sd_bus_message *m) {
        for (size_t i = 0; i < n; i++)
                if (!table[i].in_use) {
                        table[i] = (struct bus_reply){true, true, sd_bus_message_ref(m)};
                        return &table[i];
                }
        return NULL;
}

sd_bus_message *bus_reply_release(struct bus_reply *reply) {
        sd_bus_message *m = reply->message;

        assert(reply->in_use);
        *reply = (struct bus_reply){0};
        return m;
}

static void forget(struct bus_reply *table, size_t n) {
        for (size_t i = 0; i < n; i++)
                table[i].message = sd_bus_message_unref(table[i].message);
}

/* The entries stay in use: whoever holds them is still to give them back. */
void bus_replies_drop(struct bus *b) {
        forget(b->replies, BUS_REPLIES_MAX);
        forget(b->questions, BUS_QUESTIONS_MAX);
}

static int answer_failure(sd_bus_message *m, bool applied, int result, const char *sentence) {
        char clean[BUS_SENTENCE_MAX];

        if (!sentence || !sentence[0])
                sentence = result == -ETIMEDOUT ? "the card did not take it in time" : strerror(-result);
        bus_clean_text(clean, sizeof(clean), sentence);
        return applied ? sd_bus_reply_method_errorf(m, BUS_ERROR_NOT_STORED, "applied, not stored: %s", clean)
                       : sd_bus_reply_method_errorf(m, BUS_ERROR_REFUSED, "%s", clean);
}

void bus_reply_done(struct bus_reply *reply, int result, const char *sentence) {
        bool applied = reply->applied;
        sd_bus_message *m = bus_reply_release(reply);

        if (!m)
                return;
        /* A connection that takes no more is noticed in bus.c, and its callers notice it themselves. */
        if (result < 0)
                (void)answer_failure(m, applied, result, sentence);
        else
                (void)sd_bus_reply_method_return(m, NULL);
        sd_bus_message_unref(m);
}
