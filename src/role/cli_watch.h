/* The part of `quartet invoke` that follows a folder; called by cli_call.c alone. */
#pragma once
#include "role/cli.h"

struct cli_watch {
	const char *dir;
	struct str function, payload;
	bool log;
};
/* Comes back only when the folder cannot be read at first. */
int cli_watch(struct cli *cli, const struct cli_cloud *cloud, const struct cli_watch *w);
