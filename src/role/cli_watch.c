/* `quartet invoke --watch DIR`: the function has the folder's code, and is invoked, whenever a file in it has changed. */
#include "role/cli_watch.h"

#include "base/base64.h"
#include "gen/lambda.h"
#include "role/package.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { PACKAGE_MAX = 50 << 20, LOOK_US = 200 * 1000, SETTLE_US = 20 * 1000, SETTLE_TRIES = 3000, DURABLE_US = 50 * 1000 };

static int upload(struct cli *cli, const struct cli_cloud *cloud, const struct cli_watch *w)
{
	struct lambda_update_function_code_request in = {.function_name = w->function};
	struct lambda_get_function_configuration_request get = {.function_name = w->function};
	struct lambda_function_configuration out = {0};
	int error = package_zip(&cli->arena, w->dir, PACKAGE_MAX, &in.zip_file);
	if (error)
		return cli_fail(cli, CLI_FAILED, "%s: %s", w->dir, strerror(-error));
	int status = cli_call(cli, cloud, &lambda_api, "UpdateFunctionCode", &in, &out, NULL);
	for (unsigned i = 0; status == CLI_OK && str_eq(out.last_update_status, S("InProgress")) && i < SETTLE_TRIES; i++) {
		usleep(SETTLE_US);
		out = (struct lambda_function_configuration){0};
		status = cli_call(cli, cloud, &lambda_api, "GetFunctionConfiguration", &get, &out, NULL);
	}
	if (status == CLI_OK && !str_eq(out.last_update_status, S("Successful")))
		return cli_fail(cli, CLI_FAILED, "the code was not taken: %.*s", STR_ARG(out.last_update_status_reason));
	usleep(DURABLE_US); /* invocations hear of it when it is on the disk, which those who read it need not wait for */
	return status;
}

/* Failures are said and not the end: the next change may be better. */
static void invoke(struct cli *cli, const struct cli_cloud *cloud, const struct cli_watch *w)
{
	const struct lambda_invocation_request in = {
	        .function_name = w->function, .payload = w->payload, .log_type = w->log ? S("Tail") : STR_NONE};
	struct lambda_invocation_response out = {0};
	if (cli_call(cli, cloud, &lambda_api, "Invoke", &in, &out, NULL) != CLI_OK)
		return;
	struct str tail = str_set(out.log_result) ? base64_decode(&cli->arena, out.log_result) : STR_NONE;
	if (tail.n)
		fprintf(stderr, "%.*s", STR_ARG(tail));
	printf("%.*s\n", STR_ARG(out.payload));
	fflush(stdout);
	if (str_set(out.function_error))
		cli_fail(cli, CLI_FAILED, "the function failed (%.*s)", STR_ARG(out.function_error));
}

int cli_watch(struct cli *cli, const struct cli_cloud *cloud, const struct cli_watch *w)
{
	uint64_t last = 0, now;
	bool any = false;
	for (;; usleep(LOOK_US)) {
		struct cli round = *cli; /* its memory is its own: this may go on for days */
		round.arena = (struct arena){0};
		int error = package_stamp(w->dir, &now);
		if (error && !any)
			return cli_fail(cli, CLI_FAILED, "%s: %s", w->dir, strerror(-error));
		if (error || (any && now == last))
			continue;
		any = true;
		last = now;
		if (upload(&round, cloud, w) == CLI_OK)
			invoke(&round, cloud, w);
		arena_done(&round.arena);
	}
}
