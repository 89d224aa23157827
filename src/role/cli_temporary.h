/* A file or folder that is gone when this process is, however that ends: a child that no terminal's signal reaches waits for it. */
#pragma once
#include <sys/types.h>

struct cli_temporary {
	pid_t child;
	int held; /* while this is open, the child waits */
};

/* From now on. 0 or negative errno: then nobody watches. */
int cli_temporary_guard(struct cli_temporary *t, const char *path);
/* Removes it; returns when it is gone. Harmless on one that is {0}. */
void cli_temporary_end(struct cli_temporary *t);
/* For children that write into it, before they become another program: they end with this process. */
void cli_temporary_follow(void);
