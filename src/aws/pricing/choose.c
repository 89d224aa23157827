#include "aws/pricing/choose.h"

#include "aws/pricing/load_words.h"

#include <math.h>

#define MONTH_H 730.0
#define MONTH_S (MONTH_H * 3600)
#define BUSY 0.6               /* of a server at the busiest time */
#define LCU_CONNECTIONS_S 25.0 /* new connections a second in a capacity unit; one a request is the worst case */

enum { FUNCTION_S = 900, FUNCTION_MB = 10240, TASK_MINIMUM_S = 60, SYSTEM_MB = 256, BALANCER_ADDRESSES = 2 };

const char *const choose_names[CHOOSE_MODELS] = {"lambda", "fargate", "ec2", "beanstalk"};

static double usd_of(const struct price_book *b, const char *usage)
{
	const struct price *p = price_find(str_from(usage));
	p = p ? price_in(b, p, str_from(usage), S(PRICE_HOME)) : NULL;
	return p ? (double)p->tiers[0].usd_e12 / 1e12 : 0;
}

__attribute__((format(printf, 5, 6))) static void add(struct arena *a, struct choose_answer *m, const char *what, double usd,
                                                      const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	m->parts[m->part_count++] = (struct choose_part){.what = str_from(what), .arithmetic = text, .usd = usd};
	m->usd += usd;
}

/* "0.0000166667" */
static struct str text_of(struct arena *a, double usd)
{
	return price_text_e12(a, llround(usd * 1e12));
}
#define USD(a, x) STR_ARG(text_of((a), (x)))

/* --- sizes */

/* Fargate's: vCPUs, the least and most GB, and the step between. */
static const struct {
	double vcpus, from_gb, to_gb, step_gb;
} tasks[] = {{0.25, 0.5, 2, 0}, {0.5, 1, 4, 1}, {1, 2, 8, 1}, {2, 4, 16, 1}, {4, 8, 30, 1}, {8, 16, 60, 4}, {16, 32, 120, 8}};

static bool task_size(const struct choose_workload *w, double *ret_vcpus, double *ret_gb)
{
	double gb = (double)w->memory_mb / 1024;
	for (size_t i = 0; i < sizeof(tasks) / sizeof(*tasks); i++) {
		if (tasks[i].vcpus < w->vcpus || tasks[i].to_gb < gb)
			continue;
		double found = tasks[i].from_gb;
		while (found < gb)
			found = tasks[i].step_gb > 0 ? found + tasks[i].step_gb : found * 2;
		*ret_vcpus = tasks[i].vcpus;
		*ret_gb = found;
		return true;
	}
	return false;
}

static const struct {
	const char *type;
	double vcpus;
	int64_t mb;
} boxes[] = {{"t3.nano", 2, 512},        {"t3.micro", 2, 1024},       {"t3.small", 2, 2048},      {"t3.medium", 2, 4096},
             {"t3.large", 2, 8192},      {"t3.xlarge", 4, 16384},     {"t3.2xlarge", 8, 32768},   {"m5.4xlarge", 16, 65536},
             {"m5.8xlarge", 32, 131072}, {"m5.12xlarge", 48, 196608}, {"m5.24xlarge", 96, 393216}};

static struct str box_type(const struct choose_workload *w)
{
	if (str_set(w->instance_type))
		return w->instance_type;
	for (size_t i = 0; i < sizeof(boxes) / sizeof(*boxes); i++)
		if (boxes[i].mb >= w->memory_mb + SYSTEM_MB && boxes[i].vcpus >= w->vcpus)
			return str_from(boxes[i].type);
	return STR_NONE;
}

static int64_t servers(const struct choose_workload *w)
{
	double needed = w->peak_s * w->duration_s / w->concurrency / BUSY;
	int64_t n = w->jobs ? 1 : (int64_t)ceil(needed - 1e-9);
	return n > w->servers_least ? n : w->servers_least > 1 ? w->servers_least : 1;
}

/* --- the four */

const char *choose_why_not(enum choose_model m, const struct choose_workload *w)
{
	if (w->host && m != CHOOSE_EC2)
		return "it needs the kernel or root of its host";
	if (w->gpu && (m == CHOOSE_LAMBDA || m == CHOOSE_FARGATE))
		return "it needs a GPU";
	if (m == CHOOSE_LAMBDA && w->duration_s > FUNCTION_S)
		return "a call may take 15 minutes";
	if (m == CHOOSE_LAMBDA && w->memory_mb > FUNCTION_MB)
		return "a function may have 10240 MB";
	if (m == CHOOSE_LAMBDA && w->inbound)
		return "nobody can connect to a function";
	if (m == CHOOSE_LAMBDA && w->state)
		return "a function keeps nothing but /tmp, and that for a while";
	if (m == CHOOSE_FARGATE && w->state)
		return "a task's disk is gone with it";
	if (m == CHOOSE_BEANSTALK && w->state)
		return "an environment's instances are replaced, and their disks with them";
	return NULL;
}

static void ask_lambda(struct arena *a, const struct price_book *b, const struct choose_workload *w, struct choose_advice *to)
{
	struct choose_answer *m = &to->models[CHOOSE_LAMBDA];
	double gb = (double)w->memory_mb / 1024, billed_s = ceil(w->duration_s * 1000 - 1e-9) / 1000;
	double request = usd_of(b, "Request"), gb_s = usd_of(b, "Lambda-GB-Second"),
	       running = usd_of(b, "Lambda-Provisioned-GB-Second");
	to->busy_usd_h = 3600 * gb * gb_s;
	to->provisioned_share = usd_of(b, "Lambda-Provisioned-Concurrency") / (gb_s - running);
	m->size = arena_printf(a, "%lld MB", (long long)w->memory_mb);
	add(a, m, "requests", to->requests * request, "%.0f x %.*s", to->requests, USD(a, request));
	add(a, m, "memory x time", to->requests * billed_s * gb * gb_s, "%.0f x %.3f s x %.4g GB x %.*s", to->requests, billed_s,
	    gb, USD(a, gb_s));
	if (w->cold_share > 0 && w->init_s > 0)
		add(a, m, "cold starts", to->requests * w->cold_share * w->init_s * gb * gb_s, "%.0f x %.3g s x %.4g GB x %.*s",
		    to->requests * w->cold_share, w->init_s, gb, USD(a, gb_s));
	to->usd_per_request = to->requests > 0 ? m->usd / to->requests : request + billed_s * gb * gb_s;
}

static void add_addresses(struct arena *a, const struct price_book *b, const struct choose_workload *w, struct choose_answer *m,
                          int64_t n)
{
	double usd = usd_of(b, "PublicIPv4:InUseAddress");
	if (w->addresses)
		add(a, m, "public addresses", (double)n * MONTH_H * usd, "%lld x %.0f h x %.*s", (long long)n, MONTH_H,
		    USD(a, usd));
}

/* One server needs none. */
static int64_t add_balancer(struct arena *a, const struct price_book *b, const struct choose_workload *w, struct choose_answer *m)
{
	double hour = usd_of(b, "LoadBalancerUsage"), unit = usd_of(b, "LCUUsage"), units = w->average_s / LCU_CONNECTIONS_S;
	if (m->servers < 2)
		return 0;
	add(a, m, "load balancer", MONTH_H * (hour + units * unit), "%.0f h x (%.*s + %.3g units x %.*s)", MONTH_H, USD(a, hour),
	    units, USD(a, unit));
	return BALANCER_ADDRESSES;
}

static void ask_fargate(struct arena *a, const struct price_book *b, const struct choose_workload *w, struct choose_advice *to)
{
	struct choose_answer *m = &to->models[CHOOSE_FARGATE];
	double vcpus, gb, vcpu_h = usd_of(b, "Fargate-vCPU-Hours:perCPU"), gb_h = usd_of(b, "Fargate-GB-Hours");
	if (!task_size(w, &vcpus, &gb)) {
		m->why_not = S("a task may have 16 vCPUs and 120 GB");
		return;
	}
	double usd_h = vcpus * vcpu_h + gb * gb_h;
	m->size = arena_printf(a, "%.4g vCPU, %.4g GB", vcpus, gb);
	m->servers = servers(w);
	if (w->jobs) {
		double each_s = w->duration_s > TASK_MINIMUM_S ? w->duration_s : TASK_MINIMUM_S;
		add(a, m, "tasks", to->requests * each_s / 3600 * usd_h,
		    "%.0f runs x %.4g s (a minute at least) / 3600 x (%.4g x %.*s + %.4g x %.*s)", to->requests, each_s, vcpus,
		    USD(a, vcpu_h), gb, USD(a, gb_h));
		return;
	}
	add(a, m, "tasks", (double)m->servers * MONTH_H * usd_h, "%lld x %.0f h x (%.4g x %.*s + %.4g x %.*s)",
	    (long long)m->servers, MONTH_H, vcpus, USD(a, vcpu_h), gb, USD(a, gb_h));
	add_addresses(a, b, w, m, m->servers + add_balancer(a, b, w, m));
}

/* An environment costs what it is made of. */
static void ask_instances(struct arena *a, const struct price_book *b, const struct choose_workload *w, struct choose_answer *m)
{
	struct str type = box_type(w);
	const char *usage = str_set(type) ? arena_printf(a, "BoxUsage:%.*s", STR_ARG(type)).p : "";
	double usd_h = str_set(type) ? usd_of(b, usage) : 0, disk = usd_of(b, "EBS:VolumeUsage.gp3");
	if (usd_h <= 0) {
		m->why_not = str_set(type) ? arena_printf(a, "the price of %.*s is not known", STR_ARG(type))
		                           : S("no instance of T3 or M5 is large enough");
		return;
	}
	m->size = type;
	m->servers = servers(w);
	add(a, m, "instances", (double)m->servers * MONTH_H * usd_h, "%lld x %.0f h x %.*s", (long long)m->servers, MONTH_H,
	    USD(a, usd_h));
	if (w->disk_gb)
		add(a, m, "disks", (double)(m->servers * w->disk_gb) * disk, "%lld x %lld GB x %.*s", (long long)m->servers,
		    (long long)w->disk_gb, USD(a, disk));
	add_addresses(a, b, w, m, m->servers + add_balancer(a, b, w, m));
}

static void rank(struct choose_advice *to)
{
	to->best = to->next = -1;
	for (int i = 0; i < CHOOSE_MODELS; i++) {
		const struct choose_answer *m = &to->models[i];
		if (str_set(m->why_not))
			continue;
		if (to->best < 0 || m->usd < to->models[to->best].usd) {
			to->next = to->best;
			to->best = i;
		} else if (to->next < 0 || m->usd < to->models[to->next].usd) {
			to->next = i;
		}
	}
}

void choose_ask(struct arena *a, const struct price_book *b, const struct choose_workload *w, struct choose_advice *ret)
{
	*ret = (struct choose_advice){.requests = w->average_s * MONTH_S};
	for (int i = 0; i < CHOOSE_MODELS; i++) {
		const char *no = choose_why_not((enum choose_model)i, w);
		if (no)
			ret->models[i].why_not = str_from(no);
		else if (i == CHOOSE_LAMBDA)
			ask_lambda(a, b, w, ret);
		else if (i == CHOOSE_FARGATE)
			ask_fargate(a, b, w, ret);
		else
			ask_instances(a, b, w, &ret->models[i]);
	}
	for (int i = CHOOSE_FARGATE; i < CHOOSE_MODELS; i++)
		if (!str_set(ret->models[i].why_not) && ret->usd_per_request > 0 && !(w->jobs && i == CHOOSE_FARGATE))
			ret->models[i].break_even_requests = ret->models[i].usd / ret->usd_per_request;
	rank(ret);
}

/* --- loads */

bool choose_load(struct str text, struct choose_workload *ret)
{
	struct load_words w;
	if (!load_words_read(text, &w))
		return false;
	bool spiky = w.kind == LOAD_SPIKY;
	ret->average_s = spiky ? (1 - LOAD_SPIKE_SHARE) * w.low_s + LOAD_SPIKE_SHARE * w.high_s : w.low_s;
	ret->peak_s = w.high_s > w.low_s ? w.high_s : w.low_s;
	ret->jobs = w.kind == LOAD_CRON;
	return true;
}
