/* SPDX-License-Identifier: MIT */
#pragma once

/* Writes one JSON document: numbers exactly as the integers stand (no float), null for unknown, strings
 * escaped. */

#include <stdio.h>

#include "units.h"

#define JSON_DEPTH_MAX 8

struct json {
        FILE *f;
        bool pretty; /* indented over lines, else all on one line */
        unsigned depth;
        bool filled[JSON_DEPTH_MAX]; /* something stands in the container already */
};

void json_begin(struct json *j, FILE *f, bool pretty);
void json_end(struct json *j); /* the newline after the document */

/* key NULL: inside an array, or the document itself. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_close_object(struct json *j);
void json_close_array(struct json *j);

void json_string(struct json *j, const char *key, const char *value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
void json_number(struct json *j, const char *key, struct maybe64 value, unsigned decimals);
