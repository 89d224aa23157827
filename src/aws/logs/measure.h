/* Metrics out of log events: what metric filters take from them, what they say themselves (the embedded metric format), and how
 * many came. PutLogEvents hands over every batch that it keeps. Private to aws/logs. */
#pragma once
#include "rows.h"

struct measure;
struct measure *measure_new(struct cloud *cloud);
void measure_free(struct measure *m); /* NULL is harmless */
void measure_events(struct call *c, const struct logs_group *group, const struct log_input *events, uint32_t n);

/* embedded.c: one event that may be of the embedded metric format. What is wrong with it counts in AWS/Logs. */
void embedded_publish(struct call *c, struct arena *scratch, const struct logs_group *group, const struct log_input *event);
/* A metric of AWS/Logs about a group. */
void measure_own(struct call *c, struct str group, const char *name, const char *unit, double value);

/* metric_filter.c */
enum { METRIC_FILTERS_MAX = 100 };
struct str metric_filters_under(struct call *c, uint64_t group);
void metric_filters_drop(struct call *c, uint64_t group);
uint32_t metric_filters_count(struct call *c, uint64_t group);
