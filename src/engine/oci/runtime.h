/* The OCI runtimes that containers may be started by: what the configuration calls them and where they are. Constant; for whoever
 * reads a configuration, the steward, which looks whether it is there, and shims, which run it. */
#pragma once
#include "engine/oci/proto.h"

struct oci_runtime {
	const char *name, *program;
	const char *const *general; /* words before the verb */
	const char *package;        /* of Debian's */
};

/* number: enum steward_runtime. */
const struct oci_runtime *oci_runtime(unsigned number);
/* By its name; NULL or "" is crun. 0; -ENOTSUP: we know it and cannot use it; -EINVAL: nobody has heard of it. *ret_why, with an
 * error: half a sentence that says what to do, for behind the name. */
int oci_runtime_find(const char *name, unsigned *ret_number, const char **ret_why);
