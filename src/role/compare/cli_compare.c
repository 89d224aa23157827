/* The command: what it is asked for, one model after the other, and what is shown while that goes on. */
#include "role/compare/compare.h"

#include "aws/ec2/instance/instance_type.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/uri.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	START_US = 600 * 1000000,
	LOOK_US = 20000,
	USE_US = 1000000,
	USE_TRIES = 30,
	METER_US = 2500000 /* what is counted is written once a second, and logs later */
};

static const struct compare_model *const models[] = {&compare_function, &compare_task, &compare_instance, &compare_environment};
enum { MODELS = sizeof(models) / sizeof(*models) };

static atomic_bool cancelled;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&cancelled, true);
}

/* --- progress: a line on a terminal, nothing in a pipe */

struct progress {
	const struct compare *c;
	const char *what;
	int64_t begin_us;
};

static void show(struct progress *p, const char *what)
{
	if (p->c->quiet)
		return;
	if (what != p->what)
		p->begin_us = clock_mono_us();
	p->what = what;
	fprintf(stderr, "\r\033[K%s: %lld s", what, (long long)((clock_mono_us() - p->begin_us) / 1000000));
}

static void show_load(void *ctx, uint32_t done)
{
	struct progress *p = ctx;
	if (!p->c->quiet)
		fprintf(stderr, "\r\033[K%s: %u of %u requests", p->what, done, p->c->plan.n);
}

static void show_nothing(struct progress *p)
{
	if (!p->c->quiet)
		fprintf(stderr, "\r\033[K");
}

/* --- one model */

static int fail(struct compare_row *r, const char *why)
{
	r->why_not = atomic_load(&cancelled) ? S("it was stopped") : str_from(why);
	return CLI_FAILED;
}

/* From the first call to the first answer. */
static int start(struct compare *c, const struct compare_model *m, struct compare_row *r, struct progress *p)
{
	int64_t begin = clock_mono_us();
	struct str why = STR_NONE;
	show(p, m->title);
	if (m->deploy(c) != CLI_OK)
		return fail(r, "it could not be deployed (above)");
	for (bool there = false; !atomic_load(&cancelled) && clock_mono_us() - begin < START_US; usleep(LOOK_US)) {
		show(p, m->title);
		if (!there && m->look(c, &there) != CLI_OK)
			return fail(r, "it did not start (above)");
		int64_t asked = clock_mono_us();
		if (!there || !compare_ask_once(c, &why))
			continue;
		int64_t now = clock_mono_us();
		r->first_us = now - asked;
		r->start_us = now - c->launched_us;
		r->deploy_us = now - begin;
		return CLI_OK;
	}
	return fail(r, str_set(why) ? arena_printf(&c->cli->arena, "it did not answer well: %.*s", STR_ARG(why)).p
	                            : "it did not answer in ten minutes");
}

struct use {
	int64_t cpu_us, memory_bytes, at_us;
};

static bool read_use(struct compare *c, struct use *ret)
{
	struct str said;
	const char *path = ARENA_CAT(&c->cli->arena, S("/_quartet/use/"), uri_encode(&c->cli->arena, c->workload, false)).p;
	if (cli_admin_as(c->cli, &c->cloud, "GET", path, &said) != CLI_OK)
		return false;
	const struct json_value *v = json_parse(&c->cli->arena, said, NULL);
	const struct json_value *cpu = json_get(v, S("cpuMicroseconds")), *memory = json_get(v, S("memoryBytes")),
	                        *at = json_get(v, S("atMicroseconds"));
	return json_is(cpu, JSON_NUMBER) && json_to_int(cpu->text, &ret->cpu_us) && json_is(memory, JSON_NUMBER) &&
	       json_to_int(memory->text, &ret->memory_bytes) && json_is(at, JSON_NUMBER) && json_to_int(at->text, &ret->at_us);
}

/* What it uses now: the cloud answers with what it knows and looks anew, so it is asked until that has come. */
static bool find_use(struct compare *c, struct use *ret)
{
	struct use before = {0};
	if (!str_set(c->workload) || !read_use(c, &before))
		return false;
	for (unsigned i = 0; i < USE_TRIES; i++) {
		usleep(USE_US / 10);
		if (read_use(c, ret) && ret->at_us > before.at_us)
			return true;
	}
	return false;
}

static int load(struct compare *c, const struct compare_model *m, struct compare_row *r, struct progress *p)
{
	struct load_target target = compare_target(c);
	struct use before = {0}, after = {0};
	bool known = find_use(c, &before);
	p->what = m->title;
	if (load_run(&c->cli->arena, &c->plan, &target, show_load, p, &r->load) < 0)
		return fail(r, "no thread could be made to ask it");
	if (atomic_load(&cancelled))
		return fail(r, "");
	known = known && find_use(c, &after);
	r->memory_bytes = known && after.memory_bytes ? after.memory_bytes : -1;
	r->cpu_us = known && after.cpu_us ? after.cpu_us - before.cpu_us : -1;
	r->p50_us = load_percentile(&c->cli->arena, &r->load, 50);
	r->p99_us = load_percentile(&c->cli->arena, &r->load, 99);
	if (m->measure)
		m->measure(c, r);
	return CLI_OK;
}

static void compare_one(struct compare *c, const struct compare_model *m, struct compare_row *r, struct progress *p)
{
	struct compare_costs before, after;
	double rate_before, rate_after;
	*r = (struct compare_row){.model = m, .why_not = STR_NONE, .memory_bytes = -1, .cpu_us = -1, .p50_us = -1, .p99_us = -1};
	const char *no = choose_why_not(m->chosen_as, c->needs);
	if (!no && c->needs->gpu)
		no = "it needs a GPU, and this machine has none for its instances";
	if (no)
		r->why_not = str_from(no);
	if (str_set(r->why_not) || m->why_not(c, &r->why_not) != CLI_OK || str_set(r->why_not))
		return;
	if (compare_spent(c, &before) != CLI_OK || compare_rate(c, &rate_before) != CLI_OK) {
		fail(r, "the bill could not be read (above)");
		return;
	}
	r->size = m->size(c);
	r->bounds = m->bounds(c);
	c->launched_us = 0;
	c->workload = STR_NONE;
	if (start(c, m, r, p) == CLI_OK && load(c, m, r, p) == CLI_OK && compare_rate(c, &rate_after) == CLI_OK)
		r->usd_month = rate_after - rate_before;
	show(p, "taking it away");
	m->remove(c);
	show(p, "its bill");
	usleep(METER_US);
	if (!str_set(r->why_not) && compare_spent(c, &after) == CLI_OK)
		compare_costs_since(c, &before, &after, r);
}

/* --- the command */

static bool wanted(const char *on, const char *name)
{
	struct str rest = str_from(on);
	while (str_set(rest))
		if (str_is(str_cut(&rest, ','), name))
			return true;
	return false;
}

static int check_models(struct cli *cli, const char *on)
{
	struct str rest = str_from(on);
	while (str_set(rest)) {
		struct str name = str_cut(&rest, ',');
		bool known = false;
		for (unsigned i = 0; i < MODELS; i++)
			known |= str_is(name, models[i]->name);
		if (!known)
			return cli_fail(cli, CLI_USAGE, "--on wants some of lambda,ecs,ec2,beanstalk, not \"%.*s\"", STR_ARG(name));
	}
	return CLI_OK;
}

static int run(struct compare *c, const char *on, bool json, const char *page)
{
	struct compare_row rows[MODELS];
	struct progress p = {.c = c};
	unsigned n = 0;
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old_int, old_term;
	sigaction(SIGINT, &act, &old_int);
	sigaction(SIGTERM, &act, &old_term);
	for (unsigned i = 0; i < MODELS && !atomic_load(&cancelled); i++)
		if (!on || wanted(on, models[i]->name))
			compare_one(c, models[i], &rows[n++], &p);
	show_nothing(&p);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	if (atomic_load(&cancelled))
		return cli_fail(c->cli, CLI_FAILED, "stopped; what was made is gone");
	(json ? compare_print_json : compare_print_table)(c, rows, n);
	bool any = false;
	for (unsigned i = 0; i < n; i++)
		any |= !str_set(rows[i].why_not);
	int status = page ? compare_write_page(c, rows, n, page) : CLI_OK;
	return status != CLI_OK ? status : any ? CLI_OK : CLI_FAILED;
}

int cli_compare(struct cli *cli)
{
	struct compare c = {.cli = cli, .cancel = &cancelled, .method = S("GET"), .body = STR_NONE};
	const char *on = cli_option(cli, "--on", NULL), *plan = cli_option(cli, "--load", "steady:10rps");
	const char *time = cli_option(cli, "--for", "30s"), *path = cli_option(cli, "--path", "/");
	const char *body = cli_option(cli, "--body", NULL), *memory = cli_option(cli, "--memory", "512");
	const char *type = cli_option(cli, "--type", "t3.micro"), *page = cli_option(cli, "--html", NULL);
	const char *runtime = cli_option(cli, "--runtime", NULL), *handler = cli_option(cli, "--handler", NULL);
	const char *takes = cli_option(cli, "--duration", "0");
	bool json = cli_flag(cli, "--json");
	struct choose_workload needs = {.inbound = cli_flag(cli, "--inbound"),
	                                .state = cli_flag(cli, "--state"),
	                                .gpu = cli_flag(cli, "--gpu"),
	                                .host = cli_flag(cli, "--host")};
	signal(SIGPIPE, SIG_IGN); /* a program that cannot be started is said by its exit status */
	int64_t for_ms;
	struct str why;
	int status = cli_open(cli, 1, &c.cloud);
	if (status != CLI_OK)
		return status;
	if (cli->argc != 1)
		return cli_fail(cli, CLI_USAGE, "which application? see: quartet compare --help");
	if (on && (status = check_models(cli, on)) != CLI_OK)
		return status;
	if (!cli_duration(str_from(time), &for_ms) || for_ms < 1000 || for_ms > INT64_C(24) * 3600 * 1000)
		return cli_fail(cli, CLI_USAGE, "--for wants a time from 1s to 24h, not \"%s\"", time);
	if (!str_to_i64(str_from(memory), &c.memory_mb) || c.memory_mb < 128 || c.memory_mb > 10240)
		return cli_fail(cli, CLI_USAGE, "--memory wants 128 to 10240, not \"%s\"", memory);
	if (!str_to_double(str_from(takes), &needs.duration_s) || needs.duration_s < 0)
		return cli_fail(cli, CLI_USAGE, "--duration wants milliseconds, not \"%s\"", takes);
	if (!instance_type_find(str_from(type)))
		return cli_fail(cli, CLI_USAGE, "--type wants an instance type, not \"%s\"", type);
	if (path[0] != '/')
		return cli_fail(cli, CLI_USAGE, "--path wants a path that begins with /, not \"%s\"", path);
	if (!load_parse(&cli->arena, str_from(plan), for_ms, &c.plan, &why))
		return cli_fail(cli, CLI_USAGE, "%.*s", STR_ARG(why));
	if ((status = cli_take_clock(cli, &c.cloud)) != CLI_OK ||
	    (status = compare_read_app(cli, cli->argv[0], runtime, handler, &c.app)) != CLI_OK) {
		cli_temporary_end(&c.app.copy);
		return status;
	}
	needs.duration_s /= 1000;
	needs.memory_mb = c.memory_mb;
	c.needs = &needs;
	c.path = str_from(path);
	c.instance_type = str_from(type);
	c.quiet = !isatty(STDERR_FILENO);
	c.name = ARENA_CAT(&cli->arena, S("compare-"), id_hex(&cli->arena, 8));
	if (body) {
		c.method = S("POST");
		c.body = str_from(body);
	}
	status = run(&c, on, json, page);
	cli_temporary_end(&c.app.copy);
	return status;
}
