/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "bus-internal.h"

/* Length of the UTF-8 sequence at p, 0 if it is none. */
static size_t utf8_length(const unsigned char *p) {
        size_t n = p[0] < 0x80                   ? 1
                   : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
                   : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
                   : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                                 : 0;

        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xC0) != 0x80)
                        return 0;
        /* overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte */
        if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
            (p[0] == 0xF4 && p[1] > 0x8F))
                return 0;
        return n;
}

void bus_clean_text(char *ret_text, size_t size, const char *text) {
        const unsigned char *p = (const unsigned char *)text;
        size_t used = 0;

        assert(size > 0);
        while (*p) {
                size_t n = utf8_length(p), take = n > 0 ? n : 1;

                if (used + take >= size)
                        break;
                if (n > 0)
                        memcpy(ret_text + used, p, n);
                else
                        ret_text[used] = '?';
                used += take;
                p += take;
        }
        ret_text[used] = '\0';
}

int bus_append_text(sd_bus_message *m, const char *text) {
        char clean[ALARM_TEXT_MAX + BUS_SENTENCE_MAX];

        bus_clean_text(clean, sizeof(clean), text);
        return sd_bus_message_append(m, "s", clean);
}

int bus_append_maybe64(sd_bus_message *m, struct maybe64 value) {
        return sd_bus_message_append(m, "(bx)", (int)value.known, value.known ? value.value : INT64_C(0));
}

int bus_append_maybe(sd_bus_message *m, struct maybe value) {
        return bus_append_maybe64(m, (struct maybe64){.known = value.known, .value = value.value});
}
