/* `quartet clock`: what time it is in the cloud, and moving that forward. */
#include "role/cli.h"

#include "base/clock.h"

#include <stdio.h>

int cli_take_clock(struct cli *cli, const struct cli_cloud *cloud)
{
	struct str said;
	int64_t ahead_ms = 0;
	int status = cli_admin_as(cli, cloud, "GET", "/_quartet/clock", &said);
	if (status != CLI_OK)
		return status;
	struct str rest = str_trim(said);
	str_cut(&rest, ' ');
	if (str_to_i64(rest, &ahead_ms))
		clock_shift_ms(ahead_ms);
	return CLI_OK;
}

int cli_clock(struct cli *cli)
{
	struct cli_cloud cloud;
	struct str said;
	int64_t by_ms = 0, ahead_ms = 0;
	int status = cli_open(cli, 2, &cloud);
	if (status != CLI_OK)
		return status;
	bool moves = cli->argc > 0;
	if (moves && (strcmp(cli->argv[0], "forward") != 0 || cli->argc != 2))
		return cli_fail(cli, CLI_USAGE, "it is \"forward\" and how long: see quartet clock --help");
	if (moves && (!cli_duration(str_from(cli->argv[1]), &by_ms) || by_ms < 1))
		return cli_fail(cli, CLI_USAGE, "forward wants a number of s, m, h or d (at most a year), not \"%s\"",
		                cli->argv[1]);
	const char *path =
	        moves ? arena_printf(&cli->arena, "/_quartet/clock?forward=%lld", (long long)by_ms).p : "/_quartet/clock";
	status = cli_admin_as(cli, &cloud, moves ? "POST" : "GET", path, &said);
	if (status != CLI_OK)
		return status;
	struct str rest = str_trim(said), time = str_cut(&rest, ' ');
	str_to_i64(rest, &ahead_ms);
	printf("%.*s", STR_ARG(time));
	if (ahead_ms)
		printf("  (%lld s ahead of this machine's clock)", (long long)ahead_ms / 1000);
	printf("\n");
	return CLI_OK;
}
