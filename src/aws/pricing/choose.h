/* What a described workload would cost a month in each of the four models, and where one becomes cheaper than another. Pure: asked
 * by `quartet choose`; texts live in the arena.
 *
 * An estimate, so it is in floating point, with the price list's first prices; a month is 730 hours. A server is a task or an
 * instance that is there all the time and serves several requests at once; by Little's law the busiest time needs peak x duration /
 * concurrency of them, kept 60 % busy. */
#pragma once
#include "aws/pricing/pricing.h"

enum choose_model { CHOOSE_LAMBDA, CHOOSE_FARGATE, CHOOSE_EC2, CHOOSE_BEANSTALK, CHOOSE_MODELS };

struct choose_workload {
	double average_s, peak_s; /* requests a second: over the month, at the busiest time */
	double duration_s;        /* of one */
	double concurrency;       /* requests that a server works on at once; a function has one */
	int64_t memory_mb;        /* of a function; a server has at least that */
	double vcpus;             /* a server has at least so many */
	double cold_share;        /* of a function's calls, each with init_s before it */
	double init_s;
	int64_t servers_least;    /* 2 for zones of their own */
	int64_t disk_gb;          /* of an instance, gp3 */
	struct str instance_type; /* absent: the smallest of T3 and M5 that has the memory */
	bool addresses;           /* each server has a public address */
	bool jobs;                /* each request is a run of its own: a task is started for it and ends */
	bool inbound, state, gpu,
	        host; /* it needs: sockets others connect to; its disk kept; a GPU; the kernel or root of its host */
};

struct choose_part {
	struct str what, arithmetic; /* "memory x time", "1000000 x 0.2 s x 0.5 GB x 0.0000166667" */
	double usd;
};
struct choose_answer {
	struct str why_not; /* set: it cannot run so, and nothing below is said */
	struct str size;    /* "512 MB", "0.25 vCPU, 0.5 GB", "t3.micro" */
	int64_t servers;    /* 0: a function */
	struct choose_part parts[6];
	unsigned part_count;
	double usd; /* a month */
	/* A server's: below so many requests a month the function is cheaper; 0: never, or there is no function. */
	double break_even_requests;
};
struct choose_advice {
	struct choose_answer models[CHOOSE_MODELS];
	double requests;          /* a month */
	double usd_per_request;   /* of a function */
	double busy_usd_h;        /* a function busy all the time, an hour */
	double provisioned_share; /* busier than that, provisioned concurrency is cheaper than none */
	int best;                 /* an enum choose_model; -1: none can run it */
	int next;                 /* the second cheapest; -1: there is none */
};
extern const char *const choose_names[CHOOSE_MODELS]; /* "lambda", ... */
void choose_ask(struct arena *a, const struct price_book *b, const struct choose_workload *w, struct choose_advice *ret);
/* Why the model cannot run it, by what it needs, how long it takes and its memory; NULL: it can. */
const char *choose_why_not(enum choose_model m, const struct choose_workload *w);
/* Reads a load (load_words.h): sets average_s, peak_s and jobs. False: it is none. */
bool choose_load(struct str text, struct choose_workload *ret);
