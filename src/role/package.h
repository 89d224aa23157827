/* Deployment packages out of a folder: what `quartet invoke --watch` uploads. Called by the command line alone. */
#pragma once
#include "base/arena.h"

/* A number that changes whenever a file below dir is added, removed or written. Negative errno. */
int package_stamp(const char *dir, uint64_t *ret);
/* All that is below dir as a zip file in the arena, hidden files and folders at its top (.git) left out. Negative errno: -EFBIG
 * when it has more than max_bytes. */
int package_zip(struct arena *a, const char *dir, size_t max_bytes, struct str *ret);
