/* SPDX-License-Identifier: MIT */
#include "pack-name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PREFIX PACK_BUS_NAME ".pack_"

/* isalnum() asks the locale. */
static bool allowed(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool pack_name_valid(const char *name) {
        size_t length = 0;

        for (; name[length]; length++)
                if (length == PACK_NAME_MAX || !allowed(name[length]))
                        return false;
        return length > 0 && strcmp(name, "smartbms") != 0;
}

void pack_bus_name(const char *name, char ret[static PACK_BUS_NAME_SIZE]) {
        assert(pack_name_valid(name));
        if (strcmp(name, PACK_NAME_DEFAULT) == 0)
                (void)snprintf(ret, PACK_BUS_NAME_SIZE, "%s", PACK_BUS_NAME);
        else
                (void)snprintf(ret, PACK_BUS_NAME_SIZE, "%s%s", PREFIX, name);
}

const char *pack_of_bus_name(const char *bus_name) {
        const char *name;

        if (strcmp(bus_name, PACK_BUS_NAME) == 0)
                return PACK_NAME_DEFAULT;
        if (strncmp(bus_name, PREFIX, strlen(PREFIX)) != 0)
                return NULL;
        /* The default pack has no second name. */
        name = bus_name + strlen(PREFIX);
        return pack_name_valid(name) && strcmp(name, PACK_NAME_DEFAULT) != 0 ? name : NULL;
}
