#include "engine/oci/runtime.h"
#include "engine/oci/child.h"

#include <errno.h>
#include <string.h>

/* Control groups are the steward's work. */
static const char *const crun_general[] = {"--root", SHIM_STATE, "--cgroup-manager=disabled", "--log-format=text", NULL};

static const struct oci_runtime runtimes[STEWARD_RUNTIMES] = {
        [STEWARD_CRUN] = {"crun", "/usr/bin/crun", crun_general, "crun"},
};

/* Each needs what the sandbox around a task does not give. */
static const struct {
	const char *name, *why;
} unusable[] = {
        {"runc", "wants to make control groups itself, which the cloud does for tasks: take crun"},
        {"kata", "is a virtual machine around a container, which tasks cannot have yet: take crun"},
        {"runsc", "wants rights that a task's sandbox does not give: take crun"},
};

const struct oci_runtime *oci_runtime(unsigned number)
{
	return &runtimes[number < STEWARD_RUNTIMES ? number : STEWARD_CRUN];
}

int oci_runtime_find(const char *name, unsigned *ret_number, const char **ret_why)
{
	if (!name || !*name) {
		*ret_number = STEWARD_CRUN;
		return 0;
	}
	for (unsigned i = 0; i < STEWARD_RUNTIMES; i++)
		if (strcmp(runtimes[i].name, name) == 0) {
			*ret_number = i;
			return 0;
		}
	for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++)
		if (strcmp(unusable[i].name, name) == 0) {
			*ret_why = unusable[i].why;
			return -ENOTSUP;
		}
	*ret_why = "is no container runtime that is known here: take crun";
	return -EINVAL;
}
