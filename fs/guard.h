/* SPDX-License-Identifier: MIT */
#pragma once

/* How a segment becomes a ward of the reaper (ward.h), how it stops being one, and what its file is told
 * of its use. In the reaper's thread. */
#include "fs.h"

/* An open file (O_PATH is enough) is a ward from now on, or is none any more, as its notes say. `was_away`:
 * no daemon has watched it until now. */
void guard_meet(struct fs *fs, int fd, bool was_away);

/* The same of every file in the store. Names that a killed daemon has left hidden come back. */
void guard_meet_all(struct fs *fs);

/* It is gone, or of no more interest. */
void guard_forget(struct fs *fs, struct ward *ward);

/* Somebody uses it, or has until now. */
void guard_used(struct fs *fs, struct ward *ward);

/* Note on the file (O_PATH is enough) what is known of its use. */
void guard_note(struct fs *fs, struct ward *ward, int fd);

/* Does the file still say what the ward's end was decided by? For holders of the verdict lock. */
bool guard_still_says(const struct ward *ward, int fd);

/* The next look at the wards is due at this time at the latest. */
void guard_wake(struct fs *fs, int64_t due_ms);
