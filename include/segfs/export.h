/* SPDX-License-Identifier: MIT */
#pragma once

/* Marks what libsegfs offers to others; everything else stays inside the shared library. */
#define SEGFS_PUBLIC __attribute__((visibility("default")))

/* Opens and closes the declarations of a header for C++. */
#ifdef __cplusplus
#define SEGFS_BEGIN extern "C" {
#define SEGFS_END   }
#else
#define SEGFS_BEGIN
#define SEGFS_END
#endif
