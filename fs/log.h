/* SPDX-License-Identifier: MIT */
#pragma once

/* One line an event: to stderr in the foreground, to syslog(3), and so the journal, in the background. Any
 * thread. */
#include <stdbool.h>

/* From now on to syslog. */
void log_to_syslog(void);

__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warning(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
