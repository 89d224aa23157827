/* Commands that speak to the running cloud as any client does: signed, through the front door, with the same tables that serve. */
#include "role/cli.h"
#include "role/cli_watch.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/uri.h"
#include "core/sigv4.h"
#include "gen/lambda.h"
#include "gen/logs.h"
#include "http/client.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEADERS_MAX = 32, BODY_MAX = 96 << 20 };

static int exchange(struct cli *cli, const struct http_client_request *q, bool quiet, struct http_client_reply *ret)
{
	const char *cannot;
	struct str why;
	struct http_client *client = http_client_new(NULL, NULL, &cannot);
	if (!client)
		return cli_fail(cli, CLI_FAILED, "%s", cannot);
	int e = http_client_send(client, &cli->arena, q, ret, &why);
	http_client_free(client);
	if (e < 0)
		return quiet ? CLI_FAILED : cli_fail(cli, CLI_FAILED, "%.*s", STR_ARG(why));
	return CLI_OK;
}

static int admin(struct cli *cli, const struct cli_cloud *cloud, struct http_client_request *q, const char *path, bool quiet,
                 struct str *ret_body)
{
	struct http_client_reply reply;
	q->url = arena_printf(&cli->arena, "%s%s", cloud->endpoint, path).p;
	q->timeout_us = 30000000;
	int status = exchange(cli, q, quiet, &reply);
	if (status != CLI_OK)
		return status;
	*ret_body = reply.body;
	if (reply.status / 100 == 2)
		return CLI_OK;
	return quiet ? CLI_FAILED : cli_fail(cli, CLI_FAILED, "%.*s", STR_ARG(str_trim(reply.body)));
}

int cli_admin(struct cli *cli, const struct cli_cloud *cloud, const char *method, const char *path, bool quiet,
              struct str *ret_body)
{
	struct http_client_request q = {.method = method};
	return admin(cli, cloud, &q, path, quiet, ret_body);
}

int cli_admin_as(struct cli *cli, const struct cli_cloud *cloud, const char *method, const char *path, struct str *ret_body)
{
	struct http_header headers[] = {{S("x-quartet-key"), arena_printf(&cli->arena, "%s:%s", cloud->access_key, cloud->secret)},
	                                {S("x-quartet-region"), str_from(cloud->region)}};
	struct http_client_request q = {.method = method, .headers = headers, .header_count = 2};
	return admin(cli, cloud, &q, path, false, ret_body);
}

static struct str endpoint_host(const struct cli_cloud *cloud)
{
	struct str e = str_from(cloud->endpoint);
	return str_from_at(e, (size_t)str_find(e, S("://")) + 3);
}

static struct str reply_header_get(void *ctx, struct str name)
{
	const struct http_client_reply *r = ctx;
	for (unsigned i = 0; i < r->header_count; i++)
		if (str_ieq(r->headers[i].name, name))
			return r->headers[i].value;
	return STR_NONE;
}

static bool reply_header_at(void *ctx, size_t i, struct str *ret_name, struct str *ret_value)
{
	const struct http_client_reply *r = ctx;
	if (i >= r->header_count)
		return false;
	*ret_name = r->headers[i].name;
	*ret_value = r->headers[i].value;
	return true;
}

int cli_call(struct cli *cli, const struct cli_cloud *cloud, const struct api *api, const char *operation, const void *in,
             void *out, struct http_client_reply *ret_reply)
{
	return cli_send(cli, cloud, api, operation, in, STR_NONE, out, ret_reply);
}

int cli_sign(struct cli *cli, const struct cli_cloud *cloud, const struct api *api, const char *operation, const void *in,
             struct str stream, struct http_client_request *ret)
{
	struct arena *a = &cli->arena;
	int64_t now_ms = clock_machine_ms();
	const struct operation *op = api_operation(api, str_from(operation));
	struct buf CLEAN_BUF body;
	struct wire_out_request wire;
	struct str message;
	buf_init(&body, BODY_MAX);
	if (!wire_encode_request(a, api, op, api->protocol, in, &body, &wire, &message))
		return cli_fail(cli, CLI_FAILED, "%.*s", STR_ARG(message));
	struct http_header *headers = arena_array(a, HEADERS_MAX, sizeof(*headers));
	headers[0] = (struct http_header){S("host"), endpoint_host(cloud)};
	headers[1] = (struct http_header){S("x-amz-date"), sigv4_date(a, now_ms)};
	unsigned n = 2;
	struct str sent = str_set(stream) ? stream : arena_dup(a, buf_str(&body)), digest = hash_hex(a, HASH_SHA256, sent);
	if (str_is(str_from(api->signing_name), "s3"))
		headers[n++] = (struct http_header){S("x-amz-content-sha256"), digest};
	for (uint32_t i = 0; i < wire.headers.n && n < HEADERS_MAX - 1; i++)
		headers[n++] = (struct http_header){wire.headers.v[i].name, wire.headers.v[i].value};
	struct sigv4_request signing = {.method = wire.method,
	                                .path = wire.path,
	                                .query = wire.query,
	                                .headers = (const struct sigv4_header *)(const void *)headers,
	                                .header_count = n};
	struct sigv4_signer who = {.access_key_id = str_from(cloud->access_key),
	                           .secret = str_from(cloud->secret),
	                           .region = str_from(cloud->region),
	                           .service = str_from(api->signing_name),
	                           .now_ms = now_ms};
	headers[n] = (struct http_header){S("authorization"), sigv4_sign(a, &who, &signing, digest)};
	n++;
	*ret = (struct http_client_request){
	        .method = arena_dupz(a, wire.method),
	        .url = arena_printf(a, "%s%.*s%s%.*s", cloud->endpoint, STR_ARG(wire.path), wire.query.n ? "?" : "",
	                            STR_ARG(wire.query))
	                       .p,
	        .headers = headers,
	        .header_count = n,
	        .body = sent,
	};
	return CLI_OK;
}

int cli_send(struct cli *cli, const struct cli_cloud *cloud, const struct api *api, const char *operation, const void *in,
             struct str stream, void *out, struct http_client_reply *ret_reply)
{
	struct http_client_request q;
	struct http_client_reply reply;
	int status = cli_sign(cli, cloud, api, operation, in, stream, &q);
	if (status != CLI_OK || (status = exchange(cli, &q, false, &reply)) != CLI_OK)
		return status;
	struct wire_headers reply_headers = {.get = reply_header_get, .at = reply_header_at, .ctx = &reply};
	struct wire_reply_error error = {0};
	const struct operation *op = api_operation(api, str_from(operation));
	int read = wire_decode_reply(&cli->arena, api, op, api->protocol, (uint16_t)reply.status, &reply_headers, reply.body, out,
	                             &error);
	if (read != 0)
		return cli_fail(cli, CLI_FAILED, "%.*s%s%.*s", STR_ARG(error.code), error.code.n ? ": " : "",
		                STR_ARG(error.message));
	if (ret_reply)
		*ret_reply = reply;
	return CLI_OK;
}

int cli_why(struct cli *cli)
{
	struct cli_cloud cloud;
	struct str body;
	int status = cli_open(cli, 1, &cloud);
	if (status != CLI_OK)
		return status;
	if (cli->argc != 1)
		return cli_fail(cli, CLI_USAGE, "which request? its id is in the error or in the x-amzn-RequestId header");
	struct str id = uri_encode(&cli->arena, str_from(cli->argv[0]), false);
	status = cli_admin(cli, &cloud, "GET", ARENA_CAT(&cli->arena, S("/_quartet/why/"), id).p, false, &body);
	if (status == CLI_OK)
		printf("%.*s", STR_ARG(body));
	return status;
}

int cli_invoke(struct cli *cli)
{
	struct cli_cloud cloud;
	bool log = cli_flag(cli, "--log");
	const char *watched = cli_option(cli, "--watch", NULL);
	int status = cli_open(cli, 2, &cloud);
	if (status != CLI_OK)
		return status;
	if (cli->argc < 1)
		return cli_fail(cli, CLI_USAGE, "which function? see: quartet invoke --help");
	struct lambda_invocation_request in = {
	        .function_name = str_from(cli->argv[0]),
	        .payload = cli->argc > 1 ? str_from(cli->argv[1]) : S("{}"),
	        .log_type = log ? S("Tail") : STR_NONE,
	};
	if (watched)
		return cli_watch(cli, &cloud, &(struct cli_watch){watched, in.function_name, in.payload, log});
	struct lambda_invocation_response out = {0};
	status = cli_call(cli, &cloud, &lambda_api, "Invoke", &in, &out, NULL);
	if (status != CLI_OK)
		return status;
	struct str tail = str_set(out.log_result) ? base64_decode(&cli->arena, out.log_result) : STR_NONE;
	if (tail.n)
		fprintf(stderr, "%.*s", STR_ARG(tail));
	printf("%.*s\n", STR_ARG(out.payload));
	return str_set(out.function_error) ? cli_fail(cli, CLI_FAILED, "the function failed (%.*s)", STR_ARG(out.function_error))
	                                   : CLI_OK;
}

/* The log of the cloud itself, where `quartet up --background` keeps it. */
static int own_log(struct cli *cli, const struct cli_cloud *cloud, bool follow)
{
	const char *path = arena_printf(&cli->arena, "%s/quartet.log", cloud->data_dir).p;
	FILE *f = fopen(path, "re");
	if (!f)
		return cli_fail(cli, CLI_FAILED, "%s is not there: this cloud runs in the foreground and logs there", path);
	char piece[8192];
	do {
		size_t n;
		while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
			fwrite(piece, 1, n, stdout);
		fflush(stdout);
		clearerr(f);
		if (follow)
			usleep(200000);
	} while (follow);
	fclose(f);
	return CLI_OK;
}

static struct str keep(char *to, size_t cap, struct str s)
{
	if (!str_set(s) || s.n > cap)
		return STR_NONE;
	memcpy(to, s.p, s.n);
	return str_of(to, s.n);
}

/* Is there a log group of exactly that name? */
static int has_group(struct cli *cli, const struct cli_cloud *cloud, struct str name, bool *ret)
{
	struct logs_describe_log_groups_request in = {.log_group_name_prefix = name};
	struct logs_describe_log_groups_response out = {0};
	int status = cli_call(cli, cloud, &logs_api, "DescribeLogGroups", &in, &out, NULL);
	/* In the order of names: the shortest with that prefix is the first. */
	*ret = status == CLI_OK && out.log_groups.n && str_eq(out.log_groups.v[0].log_group_name, name);
	return status;
}

/* A function's name stands for its log group, unless a group has that name itself. */
static int find_group(struct cli *cli, const struct cli_cloud *cloud, struct str name, struct str *ret)
{
	bool there = false;
	struct str of_function = ARENA_CAT(&cli->arena, S("/aws/lambda/"), name);
	*ret = name;
	if (str_find_char(name, '/') >= 0)
		return CLI_OK;
	int status = has_group(cli, cloud, name, &there);
	if (status != CLI_OK || there)
		return status;
	status = has_group(cli, cloud, of_function, &there);
	if (there)
		*ret = of_function;
	return status;
}

int cli_logs(struct cli *cli)
{
	struct cli_cloud cloud;
	bool follow = cli_flag(cli, "--follow");
	int64_t minutes;
	const char *since = cli_option(cli, "--since", "60");
	int status = cli_open(cli, 1, &cloud);
	if (status != CLI_OK)
		return status;
	if (!str_to_i64(str_from(since), &minutes))
		return cli_fail(cli, CLI_USAGE, "--since wants a number of minutes, not \"%s\"", since);
	if (cli->argc == 0)
		return own_log(cli, &cloud, follow);
	struct str group;
	status = find_group(cli, &cloud, str_from(cli->argv[0]), &group);
	if (status != CLI_OK || (status = cli_take_clock(cli, &cloud)) != CLI_OK)
		return status;
	struct logs_filter_log_events_request in = {.log_group_name = group,
	                                            .start_time = OPT_INT(clock_wall_ms() - minutes * 60000)};
	/* A round's memory is its own: following may go on for days. What the next one asks with is kept apart. */
	struct cli round = *cli;
	char last_id_bytes[128], token_bytes[1024];
	struct str last_id = STR_NONE;
	round.arena = (struct arena){0};
	for (;;) {
		struct logs_filter_log_events_response out = {0};
		status = cli_call(&round, &cloud, &logs_api, "FilterLogEvents", &in, &out, NULL);
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < out.events.n; i++) {
			const struct logs_filtered_log_event *e = &out.events.v[i];
			/* Asking again from the last event's own millisecond brings that event again. */
			if (str_set(last_id) && str_cmp(e->event_id, last_id) <= 0)
				continue;
			char at[40];
			size_t n = time_format_to(at, e->timestamp.v, TIME_ISO8601_MS);
			struct str text = e->message;
			while (text.n && text.p[text.n - 1] == '\n')
				text.n--;
			printf("%.*s %.*s\n", (int)n, at, STR_ARG(text));
			last_id = keep(last_id_bytes, sizeof(last_id_bytes), e->event_id);
			in.start_time = OPT_INT(e->timestamp.v);
		}
		fflush(stdout);
		in.next_token = keep(token_bytes, sizeof(token_bytes), out.next_token);
		arena_done(&round.arena);
		if (str_set(in.next_token))
			continue;
		if (!follow)
			return CLI_OK;
		usleep(500000);
	}
}
