/* SPDX-License-Identifier: MIT */
#pragma once

/* The scalar fields of a snapshot as the outside names them: D-Bus property, JSON key, unit. The daemon
 * publishes from this table and smartbmsctl decodes by it, so a field is named once. */

#include "snapshot.h"

enum field_kind {
        FIELD_BOOL,      /* D-Bus b */
        FIELD_WORD,      /* D-Bus s; an enum through a names.h function */
        FIELD_TEXT,      /* D-Bus s; char array in the snapshot */
        FIELD_INT,       /* D-Bus x; int32_t */
        FIELD_UINT64,    /* D-Bus t; uint64_t */
        FIELD_MAYBE,     /* D-Bus (bx): known, value; struct maybe */
        FIELD_MAYBE64,   /* D-Bus (bx); struct maybe64 */
};

enum field_interface {
        FIELDS_PACK,   /* org.smartbms1.Pack */
        FIELDS_ENERGY, /* org.smartbms1.Energy */
        _FIELDS_MAX,
};

struct field {
        enum field_interface interface;
        const char *property; /* D-Bus: "LowestCellVoltage" */
        const char *json;     /* with the unit: "lowest_cell_voltage_v" */
        const char *label;    /* for people: "lowest cell" */
        const char *unit;     /* for people, after scaling: "V"; "" = none */
        enum field_kind kind;
        uint8_t decimals;     /* D-Bus integer / 10^decimals = JSON number */
        size_t offset;        /* in struct snapshot */
        const char *(*word)(int value); /* FIELD_WORD */
        bool noisy; /* changes with every frame by nature (ages, counters): not in PropertiesChanged */
};

extern const struct field fields[];
extern const size_t n_fields;

/* Value of a FIELD_BOOL, INT, UINT64, MAYBE or MAYBE64 field as maybe64. */
struct maybe64 field_value(const struct field *field, const struct snapshot *s);

/* String of a FIELD_WORD or FIELD_TEXT field. */
const char *field_text(const struct field *field, const struct snapshot *s);
