/* SPDX-License-Identifier: MIT */
#pragma once

#include "target.h"

/* What somebody does in the store itself, past the mount: to its files, or to a control page. */
void act_behind(struct input *in);
