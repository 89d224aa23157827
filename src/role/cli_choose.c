/* `quartet choose`: advice without running anything, from a workload that is described. */
#include "role/cli.h"

#include "aws/pricing/choose.h"
#include "aws/pricing/load_words.h"
#include "base/buf.h"
#include "base/json.h"

#include <stdio.h>

static const char *const titles[CHOOSE_MODELS] = {"Lambda", "Fargate", "EC2", "Elastic Beanstalk"};

/* A number of an option within bounds; `otherwise` where it is not given. */
static bool number(struct cli *cli, const char *option, double least, double most, double otherwise, double *ret, int *ret_status)
{
	const char *text = cli_option(cli, option, NULL);
	*ret = otherwise;
	if (*ret_status != CLI_OK || !text)
		return true;
	if (str_to_double(str_from(text), ret) && *ret >= least && *ret <= most)
		return true;
	*ret_status = cli_fail(cli, CLI_USAGE, "%s wants a number from %g to %g, not \"%s\"", option, least, most, text);
	return false;
}

static int read_workload(struct cli *cli, struct choose_workload *w)
{
	int status = CLI_OK;
	double n;
	const char *load = cli_option(cli, "--load", "steady:1rps");
	if (!choose_load(str_from(load), w))
		return cli_fail(cli, CLI_USAGE, "\"%s\": a load is " LOAD_WORDS, load);
	number(cli, "--duration", 1, 1e9, 100, &n, &status);
	w->duration_s = n / 1000;
	number(cli, "--memory", 128, 393216, 512, &n, &status);
	w->memory_mb = (int64_t)n;
	number(cli, "--concurrency", 1, 100000, 10, &w->concurrency, &status);
	number(cli, "--vcpus", 0, 96, 0, &w->vcpus, &status);
	number(cli, "--cold", 0, 100, 0, &n, &status);
	w->cold_share = n / 100;
	number(cli, "--init", 0, 600000, 0, &n, &status);
	w->init_s = n / 1000;
	number(cli, "--servers", 1, 1000, 1, &n, &status);
	w->servers_least = (int64_t)n;
	number(cli, "--disk", 0, 65536, 8, &n, &status);
	w->disk_gb = (int64_t)n;
	const char *type = cli_option(cli, "--type", NULL);
	w->instance_type = type ? str_from(type) : STR_NONE;
	w->addresses = !cli_flag(cli, "--private");
	w->inbound = cli_flag(cli, "--inbound");
	w->state = cli_flag(cli, "--state");
	w->gpu = cli_flag(cli, "--gpu");
	w->host = cli_flag(cli, "--host");
	return status;
}

static void print_model(const struct choose_workload *w, const struct choose_advice *advice, int i)
{
	const struct choose_answer *m = &advice->models[i];
	if (str_set(m->why_not)) {
		printf("%-18s cannot: %.*s\n\n", titles[i], STR_ARG(m->why_not));
		return;
	}
	printf("%-18s %12.2f USD a month%s   %.*s", titles[i], m->usd, i == advice->best ? " <-" : "   ", STR_ARG(m->size));
	if (m->servers && !(w->jobs && i == CHOOSE_FARGATE))
		printf(" x %lld", (long long)m->servers);
	printf("\n");
	for (unsigned k = 0; k < m->part_count; k++)
		printf("  %12.2f  %.*s: %.*s\n", m->parts[k].usd, STR_ARG(m->parts[k].what), STR_ARG(m->parts[k].arithmetic));
	if (m->break_even_requests > 0)
		printf("  A function is cheaper below %.0f requests a month (%.3g a second): %.2f / %.10g\n",
		       m->break_even_requests, m->break_even_requests / (730.0 * 3600), m->usd, advice->usd_per_request);
	printf("\n");
}

static void print_reasons(const struct choose_workload *w, const struct choose_advice *advice)
{
	const struct choose_answer *best = advice->best >= 0 ? &advice->models[advice->best] : NULL;
	if (!best) {
		printf("None of the four can run it.\n");
		return;
	}
	printf("Choose %s: ", titles[advice->best]);
	if (advice->next < 0)
		printf("nothing else can run it.\n");
	else if (advice->next == CHOOSE_BEANSTALK && advice->best == CHOOSE_EC2)
		printf("instances cost least; Elastic Beanstalk asks no more for them, and looks after servers, deployments and health.\n");
	else
		printf("it costs %.2f USD a month less than %s.\n", advice->models[advice->next].usd - best->usd,
		       titles[advice->next]);
	if (advice->best == CHOOSE_LAMBDA && w->cold_share <= 0)
		printf("What waits for nothing pays provisioned concurrency: cheaper than without it when it is busy more than %.0f %% of the time.\n",
		       advice->provisioned_share * 100);
	if (advice->best != CHOOSE_LAMBDA && !w->jobs)
		printf("What runs all the time is cheaper with a commitment: a discount of D pays when more than 1 - D of the term is used.\n");
	if (best->servers == 1 && !w->jobs)
		printf("One server is in one zone, and away while it is replaced; --servers 2 has the price of two.\n");
}

static void put_number(struct json_out *o, const char *key, double n)
{
	json_key(o, str_from(key));
	json_double(o, n);
}

static void put_model(struct json_out *o, const struct choose_answer *m, int i)
{
	json_open(o, '{');
	json_key(o, S("model"));
	json_string(o, str_from(choose_names[i]));
	json_key(o, S("cannot"));
	json_string(o, m->why_not);
	if (!str_set(m->why_not)) {
		json_key(o, S("size"));
		json_string(o, m->size);
		json_key(o, S("servers"));
		json_int(o, m->servers);
		put_number(o, "usdMonth", m->usd);
		put_number(o, "breakEvenRequestsMonth", m->break_even_requests);
		json_key(o, S("parts"));
		json_open(o, '[');
		for (unsigned k = 0; k < m->part_count; k++) {
			json_open(o, '{');
			json_key(o, S("what"));
			json_string(o, m->parts[k].what);
			json_key(o, S("arithmetic"));
			json_string(o, m->parts[k].arithmetic);
			put_number(o, "usd", m->parts[k].usd);
			json_close(o, '}');
		}
		json_close(o, ']');
	}
	json_close(o, '}');
}

static void print_json(const struct choose_advice *advice)
{
	enum { JSON_MAX = 64 * 1024 };
	struct buf b;
	buf_init(&b, JSON_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	put_number(&o, "requestsMonth", advice->requests);
	put_number(&o, "functionUsdPerRequest", advice->usd_per_request);
	put_number(&o, "functionBusyUsdHour", advice->busy_usd_h);
	put_number(&o, "provisionedBreakEvenShare", advice->provisioned_share);
	json_key(&o, S("choose"));
	json_string(&o, advice->best < 0 ? STR_NONE : str_from(choose_names[advice->best]));
	json_key(&o, S("models"));
	json_open(&o, '[');
	for (int i = 0; i < CHOOSE_MODELS; i++)
		put_model(&o, &advice->models[i], i);
	json_close(&o, ']');
	json_close(&o, '}');
	printf("%.*s\n", STR_ARG(buf_str(&b)));
	buf_done(&b);
}

int cli_choose(struct cli *cli)
{
	struct choose_workload w = {0};
	struct choose_advice advice;
	bool json = cli_flag(cli, "--json");
	int status = read_workload(cli, &w);
	if (status == CLI_OK)
		status = cli_rest(cli, 0);
	if (status != CLI_OK)
		return status;
	choose_ask(&cli->arena, NULL, &w, &advice);
	if (json) {
		print_json(&advice);
		return CLI_OK;
	}
	printf("%.0f requests a month (%.3g a second, %.3g at the busiest time), %.0f ms and %lld MB each\n\n", advice.requests,
	       w.average_s, w.peak_s, w.duration_s * 1000, (long long)w.memory_mb);
	for (int i = 0; i < CHOOSE_MODELS; i++)
		print_model(&w, &advice, i);
	print_reasons(&w, &advice);
	if (!str_set(advice.models[CHOOSE_LAMBDA].why_not))
		printf("A function that is busy all the time costs %.4f USD an hour.\n", advice.busy_usd_h);
	printf("Prices: AWS, us-east-1, on demand, without free tiers, data out, logs and taxes. `quartet compare` measures instead.\n");
	return CLI_OK;
}
