/* A way into a living sandbox of a function, for the user's own eyes: `quartet exec`. */
#pragma once
#include "core/cloud.h"

struct cell;

/* name: of a function, with or without a version or an alias. The cell of one of its environments, continued if it was frozen and
 * never frozen again; NULL: none is alive. The cell is the environment's and may be destroyed as soon as control returns to the
 * loop. */
struct cell *lambda_enter(struct cloud *cloud, struct str account, struct str region, struct str name);
