/* The application on an instance of EC2: the default image, which fetches the bundle at its first boot and starts the web process.
 */
#include "role/compare/compare.h"

#include "aws/ec2/instance/instance_type.h"
#include "base/base64.h"
#include "base/clock.h"
#include "gen/ec2.h"

#include <unistd.h>

static int why_not(struct compare *c, struct str *ret)
{
	if (!str_set(c->app.web))
		*ret = S("it has no Procfile with a line `web: COMMAND`");
	return CLI_OK;
}

static struct str size(struct compare *c)
{
	return c->instance_type;
}

struct compare_bounds compare_type_bounds(struct str type)
{
	const struct instance_type *t = instance_type_find(type);
	return t ? (struct compare_bounds){t->memory_mib, t->vcpus} : (struct compare_bounds){0};
}

static struct compare_bounds bounds(const struct compare *c)
{
	return compare_type_bounds(c->instance_type);
}

static struct str first_boot(struct compare *c)
{
	return arena_printf(
	        &c->cli->arena,
	        "#!/bin/sh\n"
	        "set -e\n"
	        "mkdir -p /opt/app\n"
	        "cd /opt/app\n"
	        "python3 -c \"import io, os, urllib.request, zipfile\n"
	        "z = zipfile.ZipFile(io.BytesIO(urllib.request.urlopen('http://169.254.169.254:4566/%.*s/app.zip').read()))\n"
	        "z.extractall()\n"
	        "for i in z.infolist():\n"
	        "    os.chmod(i.filename, i.external_attr >> 16 & 0o777 or 0o644)\"\n"
	        "cat > /opt/start <<'END-OF-COMMAND'\n"
	        "exec %.*s\n"
	        "END-OF-COMMAND\n"
	        "printf '[Service]\\nWorkingDirectory=/opt/app\\nEnvironment=PORT=%d PYTHONPATH=/opt/app PATH=" COMPARE_PATH(
	                "/opt/app") "\\nExecStart=/bin/sh /opt/start\\nRestart=always\\n' > "
	                            "/etc/systemd/system/app.service\n"
	                            "systemctl start --no-block app\n",
	        STR_ARG(c->bucket), STR_ARG(c->app.web), COMPARE_PORT);
}

static int deploy(struct compare *c)
{
	struct ec2_reservation made = {0};
	int status = compare_need_bucket(c);
	if (status == CLI_OK)
		status = compare_need_group(c);
	if (status != CLI_OK)
		return status;
	struct ec2_run_instances_request in = {.image_id = S("resolve:ssm:/aws/service/debian/release/12/latest/amd64"),
	                                       .instance_type = c->instance_type,
	                                       .min_count = OPT_INT(1),
	                                       .max_count = OPT_INT(1),
	                                       .user_data = base64_encode(&c->cli->arena, first_boot(c))};
	*LIST_ADD(&c->cli->arena, &in.security_group_ids) = c->group;
	c->launched_us = clock_mono_us();
	status = compare_call(c, &ec2_api, "RunInstances", &in, &made);
	if (status == CLI_OK)
		c->instance = c->workload = made.instances.v[0].instance_id;
	return status;
}

static int describe(struct compare *c, struct ec2_instance *ret)
{
	struct ec2_describe_instances_request in = {0};
	struct ec2_describe_instances_result out = {0};
	*LIST_ADD(&c->cli->arena, &in.instance_ids) = c->instance;
	int status = compare_call(c, &ec2_api, "DescribeInstances", &in, &out);
	if (status == CLI_OK)
		*ret = out.reservations.v[0].instances.v[0];
	return status;
}

static int look(struct compare *c, bool *ret_there)
{
	struct ec2_instance now;
	int status = describe(c, &now);
	if (status != CLI_OK)
		return status;
	if (!str_is(now.state->name, "pending") && !str_is(now.state->name, "running"))
		return cli_fail(c->cli, CLI_FAILED, "the instance is %.*s: %.*s", STR_ARG(now.state->name),
		                STR_ARG(now.state_reason ? now.state_reason->message : S("no reason given")));
	*ret_there = str_set(now.public_ip_address);
	if (*ret_there) {
		c->address = now.public_ip_address;
		c->port = COMPARE_PORT;
	}
	return CLI_OK;
}

static void remove_all(struct compare *c)
{
	struct ec2_terminate_instances_request in = {0};
	struct ec2_terminate_instances_result out = {0};
	struct ec2_instance now = {0};
	enum { TRIES = 600, PAUSE_US = 100000 };
	if (str_set(c->instance)) {
		*LIST_ADD(&c->cli->arena, &in.instance_ids) = c->instance;
		compare_call(c, &ec2_api, "TerminateInstances", &in, &out);
		for (unsigned i = 0; i < TRIES && describe(c, &now) == CLI_OK && !str_is(now.state->name, "terminated"); i++)
			usleep(PAUSE_US);
	}
	c->instance = c->address = STR_NONE;
	compare_remove_group(c);
	compare_remove_bucket(c);
}

const struct compare_model compare_instance = {.name = "ec2",
                                               .title = "EC2 instance",
                                               .why_not = why_not,
                                               .deploy = deploy,
                                               .look = look,
                                               .remove = remove_all,
                                               .size = size,
                                               .bounds = bounds,
                                               .chosen_as = CHOOSE_EC2,
                                               .scaling = "an instance more, by an Auto Scaling group",
                                               .limits = "what the type holds; patches and restarts are yours"};
