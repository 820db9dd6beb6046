/* SPDX-License-Identifier: MIT */
#pragma once

/* The quantities of a stretch of history as machines read them: one table for JSON and CSV. */

#include "json.h"
#include "records.h"

extern const struct record_column {
        const char *key; /* with its unit */
        unsigned decimals;
} record_columns[];
extern const int n_record_columns;

struct maybe64 record_value(const struct record *row, int column);

/* All of them as members of the object that is open. */
void record_write(struct json *j, const struct record *row);
