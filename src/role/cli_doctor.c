/* What this machine can run. Looks and says; changes nothing. */
#include "role/cli.h"

#include "aws/lambda/runtime.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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

static void kernel(void)
{
	puts("kernel");
	bool v2 = exists("/sys/fs/cgroup/cgroup.controllers"),
	     v1 = exists("/sys/fs/cgroup/memory") && exists("/sys/fs/cgroup/freezer");
	line(v1 || v2, "control groups",
	     v2   ? "version 2"
	     : v1 ? "version 1"
	          : "none",
	     "mount them at /sys/fs/cgroup: limits cannot hold without");
	line(exists("/proc/self/ns/user"), "user namespaces", exists("/proc/self/ns/user") ? "yes" : "no", "CONFIG_USER_NS");
	line(exists("/proc/sys/kernel/seccomp/actions_avail"), "seccomp filters",
	     exists("/proc/sys/kernel/seccomp/actions_avail") ? "yes" : "no", "CONFIG_SECCOMP_FILTER");
	line(exists("/dev/net/tun") || exists("/proc/sys/net/ipv4/ip_forward"), "networking",
	     "veth and nftables are tried at start; `quartet status` says", NULL);
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

int cli_doctor(struct cli *cli)
{
	const char *dir = cli_data_dir(cli);
	int status = cli_rest(cli, 0);
	if (status != CLI_OK)
		return status;
	kernel();
	runtimes(cli);
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
	return CLI_OK;
}
