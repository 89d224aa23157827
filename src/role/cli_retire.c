/* `quartet retire`: events of the hosts that instances run on, and interruptions of spot tasks, which AWS makes itself. */
#include "role/cli.h"

#include "aws/ecs/enter.h"
#include "base/buf.h"
#include "base/uri.h"

#include <stdio.h>

bool cli_duration(struct str s, int64_t *ret_ms)
{
	int64_t unit = 1000, n;
	char last = s.n ? s.p[s.n - 1] : 's';
	if (!ascii_is_digit(last)) {
		unit *= last == 's' ? 1 : last == 'm' ? 60 : last == 'h' ? 3600 : last == 'd' ? 86400 : 0;
		s.n--;
	}
	if (!unit || !str_to_i64(s, &n) || n < 0 || n > 366 * 86400)
		return false;
	*ret_ms = n * unit;
	return true;
}

int cli_retire(struct cli *cli)
{
	struct cli_cloud cloud;
	struct str said;
	struct buf CLEAN_BUF path = {0};
	int64_t in_ms;
	bool cancel = cli_flag(cli, "--cancel");
	const char *in = cli_option(cli, "--in", NULL), *code = cli_option(cli, "--code", NULL);
	const char *region = cli_option(cli, "--region", NULL);
	int status = cli_open(cli, 1, &cloud);
	if (status != CLI_OK)
		return status;
	if (cli->argc < 1)
		return cli_fail(cli, CLI_USAGE, "which instance? see: quartet retire --help");
	bool task = ecs_names_task(str_from(cli->argv[0]));
	if (task && (in || code || cancel))
		return cli_fail(cli, CLI_USAGE, "a task is interrupted now: it goes without --in, --code and --cancel");
	if (cancel && (in || code))
		return cli_fail(cli, CLI_USAGE, "--cancel calls off what is scheduled: it goes without --in and --code");
	if (!cli_duration(str_from(in ? in : "5m"), &in_ms))
		return cli_fail(cli, CLI_USAGE, "--in wants a number of s, m, h or d (at most a year), not \"%s\"", in);
	if (region)
		cloud.region = region;
	buf_init(&path, 4096);
	buf_add_lit(&path, "/_quartet/retire/");
	uri_put(&path, str_from(cli->argv[0]), false);
	if (cancel) {
		buf_add_lit(&path, "?cancel=1");
	} else if (!task) {
		buf_printf(&path, "?in=%lld&code=", (long long)in_ms);
		uri_put(&path, str_from(code ? code : "instance-retirement"), false);
	}
	status = cli_admin_as(cli, &cloud, "POST", arena_dupz(&cli->arena, buf_str(&path)), &said);
	if (status != CLI_OK)
		return status;
	said = str_trim(said);
	if (cancel)
		printf("%.*s called off\n", STR_ARG(said));
	else
		printf("%.*s\n", STR_ARG(said));
	return CLI_OK;
}
