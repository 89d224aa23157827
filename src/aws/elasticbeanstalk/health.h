/* Enhanced health: what the instances of an environment last said of themselves, and what follows. The samples live in the
 * environment's keeper, in memory: an instance says them again each second, so nothing is lost by a restart. Private to
 * aws/elasticbeanstalk. */
#pragma once
#include "base/json.h"
#include "environment.h"

enum { HEALTH_LATENCIES = 8, HEALTH_CPU = 7, HEALTH_TEXT = 64 };

struct health_sample {
	char instance[HEALTH_TEXT];
	int64_t at_ms;                /* when it was said; 0: nothing was yet */
	int64_t requests, classes[4]; /* of ten seconds; 2xx to 5xx */
	int64_t minute, minute_classes[4];
	struct opt_double latency[HEALTH_LATENCIES]; /* seconds: p99.9, 99, 95, 90, 85, 75, 50, 10 */
	struct opt_double minute_latency[HEALTH_LATENCIES];
	double root_used;       /* per cent of the root file system */
	double cpu[HEALTH_CPU]; /* per cent: user, nice, system, idle, iowait, irq, softirq */
	double load[2];
	int64_t launched_s, deployed_s;
	char zone[HEALTH_TEXT], type[HEALTH_TEXT], stopped[HEALTH_TEXT * 4]; /* stopped: names of processes; empty: none */
};

struct health_samples {
	struct health_sample *v;
	uint32_t n;
	int64_t since_ms; /* since when somebody listens */
};
/* NULL: it has said nothing yet. */
const struct health_sample *health_sample_of(const struct health_samples *l, struct str instance);

struct verdict {
	const char *status, *colour;
	struct str_list causes;
};

/* Is enhanced health wished for? */
bool health_enhanced(const struct environment_record *r);
struct verdict health_judge(struct arena *a, const struct environment_record *r, const struct health_samples *samples,
                            int64_t now_ms);
struct verdict health_judge_member(struct arena *a, const struct environment_record *r,
                                   const struct state_elasticbeanstalk_member *m, const struct health_samples *samples,
                                   int64_t now_ms);
/* Writes the verdict into the record, with an event where it is another one than before. True: it is. done: in the words of an
 * operation that is over; absent: none is. */
bool health_note(const struct scope *s, struct environment_record *r, const struct health_samples *samples, struct str done);
/* What an operation was, that has just ended after that time. */
struct str health_done(struct arena *a, const struct environment_record *r, struct str operation, int64_t took_ms);
/* When what some instance said last is too old, if nothing comes. */
int64_t health_stale_ms(const struct environment_record *r, const struct health_samples *samples);

/* --- document.c: the option ConfigDocument */
int document_check(struct call *c, struct str text);
/* Is that metric wished for? kind: "Environment" or "Instance". */
bool document_wishes(const struct json_value *document, const char *kind, struct str metric);
/* Does it say that the application's answers of 4xx are nobody's fault? (The balancer's own are not judged in any case.) */
bool document_ignores_4xx(const struct json_value *document);
const struct json_value *document_of(struct arena *a, const struct environment_record *r); /* NULL: there is none */

/* --- measure.c: what CloudWatch hears of a minute */
void measure_environment(const struct scope *s, const struct environment_record *r, const struct health_samples *samples);

/* --- health_log.c: what the log of its health gets. Those on their way are forgotten with the whole. */
struct health_lines;
struct health_lines *health_lines_new(struct cloud *cloud);
void health_lines_free(struct health_lines *l); /* NULL is harmless */
void health_lines_add(struct health_lines *all, const struct scope *s, const struct environment_record *r,
                      const struct health_samples *samples);

/* --- keeper.c: key is environment_key()'s. Valid until the next one is taken; a sample of an instance takes the place of its last.
 */
struct health_samples environment_samples(const struct cloud *cloud, struct str key);
void environment_sampled(const struct cloud *cloud, struct str key, const struct health_sample *sample);
/* The verdict may be another one now. */
void environment_look(const struct cloud *cloud, struct str key);
