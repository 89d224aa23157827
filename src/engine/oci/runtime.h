/* The OCI runtimes that containers may be started by: what the configuration calls them and where they are. Constant; for whoever
 * reads a configuration, the steward, which looks whether it is there, and shims, which run it. */
#pragma once
#include "engine/oci/proto.h"

#include <stdbool.h>

struct oci_runtime {
	const char *name, *program;
	const char *const *general; /* words before the verb */
	bool knows_keyrings;        /* --no-new-keyring */
	const char *advice;         /* how it is installed */
};

/* number: enum steward_runtime. */
const struct oci_runtime *oci_runtime(unsigned number);
/* By its name; NULL or "" is crun. -EINVAL: nobody has heard of it. Whether it works here says a trial (trial.h). */
int oci_runtime_find(const char *name, unsigned *ret_number);
