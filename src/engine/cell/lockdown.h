/* What `api` gives up once it has opened what it needs: it already is an ordinary user without capabilities. */
#pragma once
#include <stdbool.h>

struct lockdown {
	const char *data_dir;         /* read and write */
	const char *const *read_dirs; /* more directories to read, up to NULL; NULL: none */
};

/* Where the kernel has Landlock: from now on only these directories, the machine's /usr and /etc, and a few devices can be opened.
 * Everywhere: no new program is ever executed, and only ordinary system calls are left. For this thread and those it starts, for
 * good: called before there are others. 0 or negative errno; *ret_landlock says whether paths are confined (older kernels cannot).
 */
int lockdown_api(const struct lockdown *config, bool *ret_landlock);
/* The kernel's version of Landlock; 0 where there is none. */
int lockdown_landlock_version(void);
