/* SPDX-License-Identifier: MIT */
#pragma once

/* What a machine with more than one pack calls them: one daemon each, told apart by name. Does not know what
 * a pack is. */

#include <stdbool.h>
#include <stddef.h>

#define PACK_NAME_MAX 32
#define PACK_NAME_DEFAULT "default" /* who has one pack only needs no name for it */

/* 1 to 32 letters (of ASCII), digits and '_': what may stand in a bus name, a file's name and a unit's name
 * unescaped. Not "smartbms": smartbms.yaml is the default pack's. */
bool pack_name_valid(const char *name);
#define PACK_NAME_EXPECTED "1 to 32 letters, digits and '_', and not smartbms"

#define PACK_BUS_NAME "org.smartbms1"
#define PACK_BUS_NAME_SIZE (sizeof(PACK_BUS_NAME ".pack_") + PACK_NAME_MAX)

/* The daemon's name on the bus: org.smartbms1, or org.smartbms1.pack_NAME. name must be valid. */
void pack_bus_name(const char *name, char ret[static PACK_BUS_NAME_SIZE]);

/* The other way round: which pack's daemon has that name on the bus. NULL: none of ours. */
const char *pack_of_bus_name(const char *bus_name);
