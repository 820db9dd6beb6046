/* SPDX-License-Identifier: MIT */
#pragma once

/* Logging that never blocks the decision loop: to the journal's socket when systemd runs us, else to stderr;
 * both non-blocking, bounded; what cannot be written at once is dropped and counted, and the count is logged
 * when writing works again. */

#include <stdarg.h>
#include <stdint.h>
#include <syslog.h>

void log_open(void); /* chooses the journal or stderr ($JOURNAL_STREAM) */
void log_set_max_level(int level);
void log_full(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t log_dropped(void);

#define log_debug(...) log_full(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_full(LOG_INFO, __VA_ARGS__)
#define log_notice(...) log_full(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, __VA_ARGS__)
#define log_error(...) log_full(LOG_ERR, __VA_ARGS__)
