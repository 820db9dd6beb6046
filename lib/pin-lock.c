/* SPDX-License-Identifier: MIT */
#include "pin-lock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AGAIN_SEC 1 /* while PINs are being compared, which takes tens of milliseconds each */

void pin_lock_init(struct pin_lock *l) {
        memset(l, 0, sizeof(*l));
}

/* How long the newest of so many wrong PINs in a row locks. */
static usec_t lock_usec(unsigned wrong) {
        usec_t sec = PIN_LOCK_FIRST_SEC;

        if (wrong <= PIN_LOCK_FREE)
                return 0;
        for (unsigned i = PIN_LOCK_FREE + 1; i < wrong && sec < PIN_LOCK_LONGEST_SEC; i++)
                sec *= 2;
        return (sec < PIN_LOCK_LONGEST_SEC ? sec : PIN_LOCK_LONGEST_SEC) * USEC_PER_SEC;
}

static bool address_valid(const char *address) {
        if (strlen(address) != PIN_LOCK_ADDRESS_SIZE - 1)
                return false;
        for (unsigned i = 0; i < PIN_LOCK_ADDRESS_SIZE - 1; i++) {
                const char c = address[i];

                if (i % 3 == 2 ? c != ':' : !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')))
                        return false;
        }
        return true;
}

static struct pin_lock_phone *find(struct pin_lock *l, const char *address) {
        for (unsigned i = 0; i < PIN_LOCK_PHONES; i++)
                if (strcmp(l->phones[i].address, address) == 0)
                        return &l->phones[i];
        return NULL;
}

/* A row for a phone that has none: a free one, else that of the phone with the fewest wrong PINs, and of those the one
 * that was not heard of for longest. NULL: a PIN of each is being compared. */
static struct pin_lock_phone *make_room(struct pin_lock *l) {
        struct pin_lock_phone *best = NULL;

        for (unsigned i = 0; i < PIN_LOCK_PHONES; i++) {
                struct pin_lock_phone *p = &l->phones[i];

                if (p->address[0] == '\0')
                        return p;
                if (!p->trying &&
                    (!best || p->wrong < best->wrong || (p->wrong == best->wrong && p->used < best->used)))
                        best = p;
        }
        return best;
}

/* Those that are an hour old or older no longer count. */
static void forget_old(struct pin_lock *l, usec_t now) {
        unsigned old = 0;

        while (old < l->n_wrong && usec_since(now, l->wrong_at[old]) >= PIN_LOCK_WINDOW_USEC)
                old++;
        l->n_wrong -= old;
        memmove(l->wrong_at, l->wrong_at + old, l->n_wrong * sizeof(l->wrong_at[0]));
}

static uint32_t seconds_up(usec_t usec) {
        return (uint32_t)((usec + USEC_PER_SEC - 1) / USEC_PER_SEC);
}

/* Until the oldest of the newest 20 is an hour old; 0 = there are fewer within the hour. */
static usec_t all_locked_usec(const struct pin_lock *l, usec_t now) {
        const usec_t age = l->n_wrong == PIN_LOCK_ALL ? usec_since(now, l->wrong_at[0]) : PIN_LOCK_WINDOW_USEC;

        return age < PIN_LOCK_WINDOW_USEC ? PIN_LOCK_WINDOW_USEC - age : 0;
}

static usec_t locked_usec(const struct pin_lock *l, const struct pin_lock_phone *p, usec_t now) {
        const usec_t all = all_locked_usec(l, now), own = p ? usec_since(p->until, now) : 0;

        return own > all ? own : all;
}

uint32_t pin_lock_remaining_sec(const struct pin_lock *l, usec_t now, const char *address) {
        const struct pin_lock_phone *p = NULL;

        for (unsigned i = 0; i < PIN_LOCK_PHONES; i++)
                if (strcmp(l->phones[i].address, address) == 0)
                        p = &l->phones[i];
        return seconds_up(locked_usec(l, p, now));
}

uint32_t pin_lock_try(struct pin_lock *l, usec_t now, const char *address) {
        struct pin_lock_phone *p;
        usec_t locked;

        assert(address_valid(address));
        p = find(l, address);
        locked = locked_usec(l, p, now);
        if (locked > 0)
                return seconds_up(locked);
        forget_old(l, now);
        /* As if all that are being compared were wrong. */
        if ((p && p->trying) || l->n_wrong + l->trying >= PIN_LOCK_ALL)
                return AGAIN_SEC;
        if (!p) {
                p = make_room(l);
                if (!p)
                        return AGAIN_SEC;
                *p = (struct pin_lock_phone){.used = now};
                memcpy(p->address, address, PIN_LOCK_ADDRESS_SIZE);
        }
        p->used = now;
        p->trying = true;
        l->trying++;
        return 0;
}

/* The end of a comparison. NULL: none was begun, or the phone was forgotten since. */
static struct pin_lock_phone *end_try(struct pin_lock *l, const char *address) {
        struct pin_lock_phone *p = find(l, address);

        if (!p || !p->trying)
                return NULL;
        p->trying = false;
        l->trying--;
        return p;
}

void pin_lock_abandon(struct pin_lock *l, const char *address) {
        (void)end_try(l, address); /* nothing more to do if there was none */
}

/* The whole address would say to everyone on the machine which phones are paired. */
static void say_locked(const struct pin_lock *l, const struct pin_lock_phone *p, usec_t now, char *ret_event) {
        const char *end = p->address + PIN_LOCK_ADDRESS_SIZE - 1 - 5;
        const uint32_t own = seconds_up(usec_since(p->until, now)), all = seconds_up(all_locked_usec(l, now));

        if (all > 0)
                snprintf(ret_event, PIN_LOCK_TEXT_MAX,
                         "%d wrong PINs within an hour, the last from the phone that ends in %s: no phone can log in "
                         "for %u s", PIN_LOCK_ALL, end, (unsigned)(own > all ? own : all));
        else if (own > 0)
                snprintf(ret_event, PIN_LOCK_TEXT_MAX,
                         "%u wrong PINs in a row from the phone that ends in %s: it cannot log in for %u s", p->wrong,
                         end, (unsigned)own);
}

bool pin_lock_result(struct pin_lock *l, usec_t now, const char *address, bool right,
                     char ret_event[static PIN_LOCK_TEXT_MAX]) {
        struct pin_lock_phone *p = end_try(l, address);
        bool changed;

        ret_event[0] = '\0';
        if (!p)
                return false;
        if (right) {
                changed = p->wrong > 0;
                p->wrong = 0;
                p->until = 0;
                return changed;
        }
        if (p->wrong < PIN_LOCK_WRONG_MAX)
                p->wrong++;
        p->until = lock_usec(p->wrong) > 0 ? usec_add(now, lock_usec(p->wrong)) : 0;
        forget_old(l, now);
        if (l->n_wrong < PIN_LOCK_ALL) /* pin_lock_try() lets no more through */
                l->wrong_at[l->n_wrong++] = now;
        say_locked(l, p, now, ret_event);
        return true;
}

bool pin_lock_forget(struct pin_lock *l, const char *address) {
        struct pin_lock_phone *p = address[0] != '\0' ? find(l, address) : NULL;
        bool kept;

        if (!p)
                return false;
        kept = p->wrong > 0;
        (void)end_try(l, address);
        memset(p, 0, sizeof(*p));
        return kept;
}

bool pin_lock_reset(struct pin_lock *l) {
        bool kept = l->n_wrong > 0;

        for (unsigned i = 0; i < PIN_LOCK_PHONES; i++) {
                kept |= l->phones[i].wrong > 0;
                l->phones[i].wrong = 0;
                l->phones[i].until = 0;
        }
        l->n_wrong = 0;
        return kept;
}

/* ---- what is kept ------------------------------------------------------------------------------------------------ */

static_assert(4 + PIN_LOCK_PHONES * (PIN_LOCK_ADDRESS_SIZE + 1 + 4) < PIN_LOCK_LINE_MAX,
              "16 phones with 1000 each fit");

void pin_lock_format(const struct pin_lock *l, usec_t now, char ret_line[static PIN_LOCK_LINE_MAX]) {
        struct pin_lock recent = *l;
        size_t n;

        forget_old(&recent, now);
        snprintf(ret_line, PIN_LOCK_LINE_MAX, "%u", recent.n_wrong);
        for (unsigned i = 0; i < PIN_LOCK_PHONES; i++) {
                if (l->phones[i].wrong == 0)
                        continue;
                n = strlen(ret_line);
                snprintf(ret_line + n, PIN_LOCK_LINE_MAX - n, " %s=%u", l->phones[i].address, l->phones[i].wrong);
        }
}

/* A whole number from 0 or 1 up to max, without zeros in front. Returns what follows it; NULL: none. */
static const char *parse_number(const char *p, unsigned min, unsigned max, unsigned *ret_number) {
        const char *start = p;
        unsigned number = 0;

        for (; *p >= '0' && *p <= '9'; p++) {
                number = number * 10 + (unsigned)(*p - '0');
                if (number > max)
                        return NULL;
        }
        if (p == start || number < min || (*start == '0' && p - start > 1))
                return NULL;
        *ret_number = number;
        return p;
}

int pin_lock_parse(const char *line, usec_t now, struct pin_lock *ret_lock) {
        struct pin_lock l;
        const char *p;

        pin_lock_init(&l);
        p = parse_number(line, 0, PIN_LOCK_ALL, &l.n_wrong);
        if (!p)
                return -EINVAL;
        for (unsigned i = 0; i < l.n_wrong; i++)
                l.wrong_at[i] = now;
        for (unsigned i = 0; *p != '\0'; i++) {
                struct pin_lock_phone *phone = &l.phones[i];
                char address[PIN_LOCK_ADDRESS_SIZE] = "";

                if (i == PIN_LOCK_PHONES || *p++ != ' ')
                        return -EINVAL;
                memcpy(address, p, strnlen(p, PIN_LOCK_ADDRESS_SIZE - 1));
                if (!address_valid(address) || find(&l, address))
                        return -EINVAL;
                p += PIN_LOCK_ADDRESS_SIZE - 1;
                if (*p++ != '=')
                        return -EINVAL;
                p = parse_number(p, 1, PIN_LOCK_WRONG_MAX, &phone->wrong);
                if (!p)
                        return -EINVAL;
                memcpy(phone->address, address, sizeof(address));
                phone->used = now;
                if (lock_usec(phone->wrong) > 0)
                        phone->until = usec_add(now, lock_usec(phone->wrong));
        }
        *ret_lock = l;
        return 0;
}
