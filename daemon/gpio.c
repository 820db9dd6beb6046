/* SPDX-License-Identifier: MIT */
#include "gpio.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void gpio_line_text(const struct config_line *config, char *ret, size_t size) {
        if (config->chip[0])
                (void)snprintf(ret, size, "GPIO line %s:%u", config->chip, config->offset);
        else
                (void)snprintf(ret, size, "GPIO line %s", config->name);
}

/* Anew each time: a chip that was unplugged comes back under another number. */
static int find_line(const struct config_line *config, char *ret_path, size_t size, unsigned *ret_offset) {
        unsigned found = 0, offset = 0;
        int failed = 0, r;
        char path[300];
        DIR *dev = opendir("/dev");

        if (!dev)
                return -errno;
        for (struct dirent *d; (d = readdir(dev));) {
                if (strncmp(d->d_name, "gpiochip", 8) != 0 ||
                    d->d_type == DT_LNK) /* links would count a chip twice */
                        continue;
                (void)snprintf(path, sizeof(path), "/dev/%s", d->d_name);
                r = gpio_chip_match(path, config, &offset);
                if (r < 0)
                        failed = r;
                if (r > 0 && found++ == 0) {
                        (void)snprintf(ret_path, size, "%s", path);
                        *ret_offset = offset;
                }
        }
        (void)closedir(dev);
        if (found > 1)
                return -ENOTUNIQ;
        return found == 1 ? 0 : failed < 0 ? failed : config->chip[0] ? -ENODEV : -ENOENT;
}

static void explain(int error, const struct config_line *config, const char *consumer, char *ret_why,
                    size_t size) {
        char line[96];

        gpio_line_text(config, line, sizeof(line));
        switch (error) {
        case EBUSY:
                (void)snprintf(ret_why, size, "%s is in use by '%s'", line,
                               consumer[0] ? consumer : "unknown");
                break;
        case ENODEV:
                (void)snprintf(ret_why, size, "%s: no such chip", line);
                break;
        case ENOENT:
                (void)snprintf(ret_why, size, "%s: no chip has a line of this name", line);
                break;
        case ENOTUNIQ:
                (void)snprintf(ret_why, size, "%s: more than one chip fits", line);
                break;
        case ERANGE:
                (void)snprintf(ret_why, size, "%s: the chip has fewer lines", line);
                break;
        default:
                (void)snprintf(ret_why, size, "%s: %s", line, strerror(error));
        }
}

int gpio_line_open(const struct config_line *config, enum gpio_direction direction, struct gpio_line **ret,
                   char *ret_why, size_t size) {
        char path[300], consumer[64] = "";
        unsigned offset = 0;
        int r;

        r = find_line(config, path, sizeof(path), &offset);
        if (r == 0)
                r = gpio_chip_request(path, offset, direction, config->active_low, ret, consumer,
                                      sizeof(consumer));
        if (r < 0)
                explain(-r, config, consumer, ret_why, size);
        return r;
}
