/* SPDX-License-Identifier: MIT */

/* GPIO lines: how one is written, that none is used twice, and those beside the relays: LEDs, button, heartbeat. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config-reader.h"

#define KERNEL_NAME_MAX 31U /* chip labels, line names: GPIO_MAX_NAME_SIZE less the end */

static bool is_kernel_number(const char *text, size_t length) {
        static const char prefix[] = "gpiochip";
        const char *name = strncmp(text, "/dev/", 5) == 0 ? text + 5 : text;

        if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
                return false;
        name += sizeof(prefix) - 1;
        while (name < text + length && isdigit((unsigned char)*name))
                name++;
        return name == text + length;
}

static bool has_control_character(const char *text) {
        for (; *text; text++)
                if (iscntrl((unsigned char)*text))
                        return true;
        return false;
}

/* "chip-label:offset" or "LINE-NAME", '!' in front for active low. */
void reader_line(struct reader *r, const struct node *value, struct config_line *ret) {
        static const char expected[] =
                "\"chip-label:offset\" or \"LINE-NAME\" (both are in gpioinfo's output)";
        const char *text = reader_scalar(r, value, expected), *colon;
        struct config_line line = {.present = true};
        unsigned long offset;
        char *end;

        if (!text)
                return;
        if (*text == '!') {
                line.active_low = true;
                text++;
        }
        colon = strrchr(text, ':');
        size_t length = colon ? (size_t)(colon - text) : strlen(text);
        if (is_kernel_number(text, length)) {
                COMPLAIN(r, value,
                         "'%.48s' names a chip by the kernel's number, which changes (a Pi 5 renumbers its "
                         "chips); expected %s",
                         value->text, expected);
                return;
        }
        if (length == 0 || length > KERNEL_NAME_MAX || has_control_character(text)) {
                reader_complain_value(r, value, expected);
                return;
        }
        if (colon) {
                errno = 0;
                offset = strtoul(colon + 1, &end, 10);
                if (!isdigit((unsigned char)colon[1]) || *end || errno || offset > UINT16_MAX) {
                        reader_complain_value(r, value, expected);
                        return;
                }
                line.offset = (unsigned)offset;
        }
        memcpy(colon ? line.chip : line.name, text, length);
        *ret = line;
        r->line_nodes[r->n_lines] = value;
        r->lines[r->n_lines++] = ret;
}

static void read_led_info(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->leds[LED_INFO]);
}

static void read_led_charge(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->leds[LED_CHARGE]);
}

static void read_led_load(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->leds[LED_LOAD]);
}

void reader_leds(struct reader *r, const struct node *value) {
        static const struct key keys[] = {
                {"info", read_led_info}, {"charge", read_led_charge}, {"load", read_led_load}, {0}};
        const struct node *seen[CONFIG_KEYS_MAX];

        (void)reader_map(r, value, keys, "info:, charge: or load:, each with its line", seen);
}

void reader_button(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->button);
}

void reader_heartbeat(struct reader *r, const struct node *value) {
        reader_line(r, value, &r->config->heartbeat);
}

void reader_check_lines(struct reader *r) {
        for (size_t i = 1; i < r->n_lines; i++)
                for (size_t j = 0; j < i; j++) {
                        const struct config_line *a = r->lines[i], *b = r->lines[j];
                        if (strcmp(a->chip, b->chip) == 0 && strcmp(a->name, b->name) == 0 &&
                            a->offset == b->offset) {
                                COMPLAIN(r, r->line_nodes[i],
                                         "'%.40s' is used twice (line %zu); expected a line of its own",
                                         r->line_nodes[i]->text, r->line_nodes[j]->line);
                                break;
                        }
                }
}
