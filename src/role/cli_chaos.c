/* `quartet chaos`: real faults for a time. */
#include "role/cli.h"

#include "base/buf.h"
#include "base/uri.h"

#include <stdio.h>

static const struct fault {
	const char *name;
	const char *amount;                       /* its option; NULL: it has none */
	const char *amount_default, *for_default; /* seconds; NULL: it does not last */
} faults[] = {
        {"zone-down", NULL, NULL, "60"},       {"slow", "--delay", "100", "60"},
        {"lossy", "--percent", "10", "60"},    {"api-throttle", "--percent", "100", "60"},
        {"spot-interrupt", NULL, NULL, "120"}, {"spot-rebalance", NULL, NULL, NULL},
        {"kill-instance", NULL, NULL, NULL},
};

static int show(struct cli *cli, struct cli_cloud *cloud)
{
	struct str said;
	int status = cli_admin_as(cli, cloud, "GET", "/_quartet/chaos", &said);
	if (status == CLI_OK)
		printf("%.*s", STR_ARG(said));
	return status;
}

static int stop(struct cli *cli, struct cli_cloud *cloud)
{
	struct str said;
	int64_t number = 0;
	if (cli->argc > 1 && (!str_to_i64(str_from(cli->argv[1]), &number) || number < 1))
		return cli_fail(cli, CLI_USAGE, "stop wants the number of a fault, not \"%s\"", cli->argv[1]);
	const char *path = arena_printf(&cli->arena, "/_quartet/chaos/stop?number=%lld", (long long)number).p;
	int status = cli_admin_as(cli, cloud, "POST", path, &said);
	if (status != CLI_OK)
		return status;
	said = str_trim(said);
	if (number && str_is(said, "0"))
		return cli_fail(cli, CLI_FAILED, "there is no fault %lld", (long long)number);
	printf("%.*s ended\n", STR_ARG(said));
	return CLI_OK;
}

static int begin(struct cli *cli, struct cli_cloud *cloud, const struct fault *f, const char *seconds, const char *amount)
{
	struct buf CLEAN_BUF path = {0};
	struct str said;
	int64_t s = 0, n = 0;
	if (cli->argc != 2)
		return cli_fail(cli, CLI_USAGE, "%s of what? see: quartet chaos --help", f->name);
	if (seconds && !f->for_default)
		return cli_fail(cli, CLI_USAGE, "%s happens once: it goes without --for", f->name);
	if (f->for_default && (!str_to_i64(str_from(seconds ? seconds : f->for_default), &s) || s < 1))
		return cli_fail(cli, CLI_USAGE, "--for wants a number of seconds, not \"%s\"", seconds);
	if (f->amount && (!str_to_i64(str_from(amount ? amount : f->amount_default), &n) || n < 1))
		return cli_fail(cli, CLI_USAGE, "%s wants a number, not \"%s\"", f->amount, amount);
	buf_init(&path, 4096);
	buf_printf(&path, "/_quartet/chaos/%s?for=%lld&amount=%lld&target=", f->name, (long long)s * 1000, (long long)n);
	uri_put(&path, str_from(cli->argv[1]), false);
	int status = cli_admin_as(cli, cloud, "POST", arena_dupz(&cli->arena, buf_str(&path)), &said);
	if (status == CLI_OK)
		printf("%.*s\n", STR_ARG(str_trim(said)));
	return status;
}

int cli_chaos(struct cli *cli)
{
	struct cli_cloud cloud;
	const char *region = cli_option(cli, "--region", NULL), *seconds = cli_option(cli, "--for", NULL);
	const struct fault *f = NULL;
	const char *delay = cli_option(cli, "--delay", NULL), *percent = cli_option(cli, "--percent", NULL);
	int status = cli_open(cli, 2, &cloud);
	if (status != CLI_OK)
		return status;
	if (region)
		cloud.region = region;
	if (cli->argc < 1)
		return cli_fail(cli, CLI_USAGE, "which fault? see: quartet chaos --help");
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (strcmp(cli->argv[0], faults[i].name) == 0)
			f = &faults[i];
	bool delays = f && f->amount && strcmp(f->amount, "--delay") == 0, shares = f && f->amount && !delays;
	if ((delay && !delays) || (percent && !shares))
		return cli_fail(cli, CLI_USAGE, "%s is not of %s", delay && !delays ? "--delay" : "--percent", cli->argv[0]);
	if (f)
		return begin(cli, &cloud, f, seconds, delays ? delay : percent);
	if (seconds)
		return cli_fail(cli, CLI_USAGE, "--for is of a fault");
	if (strcmp(cli->argv[0], "list") == 0)
		return show(cli, &cloud);
	if (strcmp(cli->argv[0], "stop") == 0)
		return stop(cli, &cloud);
	return cli_fail(cli, CLI_USAGE, "there is no fault \"%s\"; see: quartet chaos --help", cli->argv[0]);
}
