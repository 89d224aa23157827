#include "engine/oci/runtime.h"
#include "engine/oci/child.h"

#include <errno.h>
#include <string.h>

/* Control groups are the steward's work: crun leaves them alone when it is told so, the others when they find that they cannot. */
static const char *const crun_general[] = {"--root", SHIM_STATE, "--cgroup-manager=disabled", "--log-format=text", NULL};
static const char *const runc_general[] = {"--root", SHIM_STATE, "--rootless=true", "--log-format=text", NULL};
static const char *const kata_general[] = {"--root", SHIM_STATE, "--log-format=text", NULL};
static const char *const runsc_general[] = {"--root", SHIM_STATE, "--rootless=true", "--ignore-cgroups", "--log-format=text", NULL};

static const struct oci_runtime runtimes[STEWARD_RUNTIMES] = {
        [STEWARD_CRUN] = {"crun", "/usr/bin/crun", crun_general, true, "apt-get install crun"},
        [STEWARD_RUNC] = {"runc", "/usr/sbin/runc", runc_general, true, "apt-get install runc"},
        [STEWARD_KATA] = {"kata", "/usr/bin/kata-runtime", kata_general, false,
                          "Kata Containers' kata-runtime is no package of Debian's"},
        [STEWARD_RUNSC] = {"runsc", "/usr/bin/runsc", runsc_general, false, "gVisor's runsc is no package of Debian's"},
};

const struct oci_runtime *oci_runtime(unsigned number)
{
	return &runtimes[number < STEWARD_RUNTIMES ? number : STEWARD_CRUN];
}

int oci_runtime_find(const char *name, unsigned *ret_number)
{
	if (!name || !*name)
		name = runtimes[STEWARD_CRUN].name;
	for (unsigned i = 0; i < STEWARD_RUNTIMES; i++)
		if (strcmp(runtimes[i].name, name) == 0) {
			*ret_number = i;
			return 0;
		}
	return -EINVAL;
}
