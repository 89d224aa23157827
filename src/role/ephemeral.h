/* Clouds of `up --ephemeral`: their data lies in a directory of its own below /tmp, which goes with them. main removes it at the
 * end, priv when main was killed; what a kill of all of them leaves, or one without root, the next `up --ephemeral` of that user
 * sweeps. */
#pragma once
#include "base/arena.h"

#define EPHEMERAL_MARK "ephemeral = yes\n" /* a line of the run file: this directory may be removed once nobody holds its lock */

/* A new directory, in the arena; NULL with errno set. */
const char *ephemeral_make(struct arena *a);
/* Removes the directories of this user's ephemeral clouds that run no more. */
void ephemeral_sweep(void);
