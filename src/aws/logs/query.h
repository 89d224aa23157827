/* Queries of Logs Insights as they run: in memory, some milliseconds a turn of the loop, for an hour after their end. Private to
 * aws/logs; query.c. */
#pragma once
#include "rows.h"

struct queries;
struct queries *queries_new(struct cloud *cloud, struct logs *events);
void queries_free(struct queries *q); /* NULL is harmless */
