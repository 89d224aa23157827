/* What a task's containers write, on its way to CloudWatch Logs as the execution role: the log driver awslogs. One a task; it lives
 * on after the task until all is sent. Private to aws/ecs. */
#pragma once
#include "crew.h"

#include "model/pattern.h"

struct journal;
/* NULL: none of its containers has a log. */
struct journal *journal_new(struct crew *crew, struct str region, const struct state_ecs_task_record *r);
/* A line of container `index`; of one without a log: forgotten. */
void journal_line(struct journal *j, uint32_t index, int64_t at_us, struct str line);
/* Sends what is left, then frees. NULL is harmless. */
void journal_close(struct journal *j);
/* journal_begins.c: which lines begin an event, by the options of the log driver, in a; NULL: every one. False: *ret_why says what
 * is wrong with the options. */
bool journal_begins(struct arena *a, const struct str_map *options, const struct pattern **ret, const char **ret_why);
/* The role ends: frees it with what is not sent. */
void journal_drop(struct journal *j);
