/* SPDX-License-Identifier: MIT */
#pragma once

/* What a service manager is told (sd_notify(3), Type=notify), without its library. Without one, nothing is
 * done. */
#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1". */
void service_tell(const char *state);

/* How often "WATCHDOG=1" is expected, ns; 0: never. */
int64_t service_watchdog_ns(void);
