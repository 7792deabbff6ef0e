/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

static bool use_syslog;

void log_to_syslog(void)
{
	openlog("segfs", LOG_PID, LOG_DAEMON);
	use_syslog = true;
}

/* One write(2) a line, so that threads do not mix theirs. */
static void emit(int priority, const char *level, const char *format, va_list args)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
	if (use_syslog)
		syslog(priority, "%s", line);
	else
		fprintf(stderr, "segfs: %s%s\n", level, line);
}

#define DEFINE_LOG(name, priority, level)                                                                    \
	void name(const char *format, ...)                                                                   \
	{                                                                                                    \
		va_list args;                                                                                \
                                                                                                             \
		va_start(args, format);                                                                      \
		emit(priority, level, format, args);                                                         \
		va_end(args);                                                                                \
	}

DEFINE_LOG(log_error, LOG_ERR, "")
DEFINE_LOG(log_warning, LOG_WARNING, "warning: ")
DEFINE_LOG(log_info, LOG_INFO, "")
