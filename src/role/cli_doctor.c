/* What this machine can run. Looks and says; changes nothing. */
#include "role/cli.h"
#include "role/role.h"

#include "aws/lambda/runtime.h"
#include "base/json.h"
#include "engine/cell/lockdown.h"
#include "engine/oci/runtime.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void line(bool good, const char *what, const char *state, const char *advice)
{
	printf("  %-4s %-26s %s%s%s\n", good ? "ok" : "--", what, state, good || !advice ? "" : ": ",
	       good || !advice ? "" : advice);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Version 2 lists in one file what the kernel has; of version 1, each is a directory. */
static void control_groups(void)
{
	static const char *const wanted[] = {"memory", "pids", "cpu"};
	bool v2 = exists("/sys/fs/cgroup/cgroup.controllers"), v1 = !v2 && exists("/sys/fs/cgroup/memory/cgroup.procs");
	char path[64], word[64], text[96] = "";
	bool has[3] = {false};
	FILE *f = v2 ? fopen("/sys/fs/cgroup/cgroup.controllers", "re") : NULL;
	while (f && fscanf(f, "%63s", word) == 1)
		for (int i = 0; i < 3; i++)
			has[i] = has[i] || strcmp(word, wanted[i]) == 0;
	if (f)
		fclose(f);
	for (int i = 0; i < 3 && v1; i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", wanted[i]);
		has[i] = exists(path);
	}
	snprintf(text, sizeof(text), v1 || v2 ? "version %d" : "none", v2 ? 2 : 1);
	for (int i = 0; i < 3 && (v1 || v2); i++)
		if (!has[i]) {
			size_t n = strlen(text);
			snprintf(text + n, sizeof(text) - n, ", without %s", wanted[i]);
		}
	/* without cpu, functions run, and share the processors without regard to their memory size */
	line(has[0] && has[1], "control groups", text, "limits cannot hold without memory and pids, at /sys/fs/cgroup");
}

/* By trying: a kernel that has them may still refuse them. */
static int try_user_namespace(void)
{
	int status, pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN;
}

static void kernel(void)
{
	puts("kernel");
	control_groups();
	int error = try_user_namespace();
	line(!error, "user namespaces", error ? strerror(error) : "yes", "CONFIG_USER_NS, user.max_user_namespaces");
	line(exists("/proc/sys/kernel/seccomp/actions_avail"), "seccomp filters",
	     exists("/proc/sys/kernel/seccomp/actions_avail") ? "yes" : "no", "CONFIG_SECCOMP_FILTER");
	line(exists("/dev/net/tun") || exists("/proc/sys/net/ipv4/ip_forward"), "networking",
	     "veth and nftables are tried at start; `quartet status` says", NULL);
	int landlock = lockdown_landlock_version();
	char version[32];
	snprintf(version, sizeof(version), "version %d", landlock);
	line(landlock > 0, "Landlock", landlock ? version : "no",
	     "the serving process is confined by its user and its system calls alone");
	line(geteuid() == 0, "privilege", geteuid() == 0 ? "root" : "not root", "`quartet up` needs root to make sandboxes");
}

static void runtime_line(void *ctx, const char *runtime, const char *interpreter, const char *note)
{
	(void)ctx;
	line(interpreter != NULL, runtime, interpreter ? interpreter : "cannot run", note);
}

/* A requested version maps to the machine's own interpreter; another one would need an image. */
static void runtimes(struct cli *cli)
{
	puts("function runtimes");
	runtime_set_clients(cli_runtime_dir(cli));
	lambda_runtimes_describe(runtime_line, NULL);
	puts("  more: apt-get install python3 python3-boto3 nodejs ruby default-jdk-headless");
}

/* What stands in the way, as the warden says it when an instance is wanted. */
static void instances(void)
{
	puts("instances");
	bool daemon = exists("/usr/bin/qemu-storage-daemon"), devices = exists("/dev/fuse") && exists("/dev/loop-control");
	bool tree = exists("/sys/fs/cgroup/cgroup.controllers") || exists("/sys/fs/cgroup/unified/cgroup.procs");
	line(daemon && devices && tree, "containers", daemon && devices && tree ? "yes" : "no",
	     !daemon    ? "apt-get install qemu-system-common"
	     : !devices ? "load the modules fuse and loop"
	                : "control groups of version 2 have to be mounted, at /sys/fs/cgroup or its `unified`");
	bool crun = exists("/usr/bin/crun") || exists("/usr/sbin/crun");
	line(crun, "tasks of ECS", crun ? "yes, by crun" : "no", "apt-get install crun");
	bool qemu = exists("/usr/bin/qemu-system-x86_64");
	line(qemu, "virtual machines",
	     !qemu                ? "no"
	     : exists("/dev/kvm") ? "yes; with KVM once a guest was seen to boot under it"
	                          : "yes, emulated: no /dev/kvm",
	     "apt-get install qemu-system-x86");
	bool image = exists(IMAGES_DIR "/debian-12-amd64/image.json");
	line(image, "image", image ? "Debian 12" : "none", "tools/make-image");
}

/* As the steward says it when a task is wanted. */
static void tasks(void)
{
	char advice[128];
	puts("tasks");
	for (unsigned i = 0; i < STEWARD_RUNTIMES; i++) {
		const struct oci_runtime *r = oci_runtime(i);
		bool there = access(r->program, X_OK) == 0;
		snprintf(advice, sizeof(advice), "%s%s", r->advice, i == STEWARD_CRUN ? "" : ", and runtime = in [containers]");
		line(there, i == STEWARD_CRUN ? "crun (the default)" : r->name, there ? r->program : "not installed", advice);
	}
	bool storage = exists("/usr/sbin/mke2fs") && exists("/dev/loop-control");
	line(storage, "storage", storage ? "yes" : "no", "apt-get install e2fsprogs, and load the module loop");
	bool init = exists("/usr/bin/tini-static");
	line(init, "init process", init ? "/usr/bin/tini-static" : "none", "apt-get install tini, for initProcessEnabled");
}

int cli_doctor(struct cli *cli)
{
	const char *dir = cli_data_dir(cli);
	int status = cli_rest(cli, 0);
	if (status != CLI_OK)
		return status;
	kernel();
	runtimes(cli);
	instances();
	tasks();
	puts("cloud");
	struct cli_cloud cloud;
	struct str body;
	setenv("QUARTET_DATA", dir, 1);
	if (cli_find_cloud(cli, &cloud) != CLI_OK || cli_admin(cli, &cloud, "GET", "/_quartet/health", true, &body) != CLI_OK)
		return CLI_OK;
	const struct json_value *s = json_get(json_parse(&cli->arena, body, NULL), S("sandboxes"));
	if (!s)
		return cli_fail(cli, CLI_FAILED, "what answers at %s is not a cloud of this kind", cloud.endpoint);
	bool works = json_is(json_get(s, S("work")), JSON_TRUE), network = json_is(json_get(s, S("outbound_network")), JSON_TRUE);
	line(true, "running", cloud.endpoint, NULL);
	line(works, "sandboxes", works ? "work" : "do not work", arena_dupz(&cli->arena, json_get_str(s, S("why_not"))));
	line(network, "outbound network", network ? "yes" : "no", arena_dupz(&cli->arena, json_get_str(s, S("why_no_network"))));
	bool snapshots = json_is(json_get(s, S("snapshots")), JSON_TRUE);
	line(snapshots, "snapshots (SnapStart)", snapshots ? "taken and restored" : "no",
	     arena_dupz(&cli->arena, json_get_str(s, S("why_no_snapshots"))));
	const struct json_value *names = json_get(json_parse(&cli->arena, body, NULL), S("names"));
	struct str at = json_get_str(names, S("answered_at")), why = json_get_str(names, S("why_not"));
	line(!why.n, "names of hosted zones",
	     at.n    ? arena_dupz(&cli->arena, at)
	     : why.n ? arena_dupz(&cli->arena, why)
	             : "not answered to this machine, as configured",
	     "another address as [dns] listen, or none");
	return CLI_OK;
}
