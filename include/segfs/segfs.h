/* SPDX-License-Identifier: MIT */
#pragma once

/* All of libsegfs: what a typed shared-memory segment is, how to read that from its file, and how to agree
 * with others who use it. */
#include <segfs/array.h>
#include <segfs/control.h>
#include <segfs/dtype.h>
#include <segfs/mapping.h>
#include <segfs/npy.h>
#include <segfs/ring.h>
#include <segfs/segment.h>
#include <segfs/slots.h>
#include <segfs/table.h>
