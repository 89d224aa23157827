/* `quartet top`: what one look at the cloud has found, as tables of text. cli_top.c shows it, cli_top_read.c asks for it, by the
 * operations that every client has. What is in a look lies in the arena of the command's round. */
#pragma once
#include "role/cli.h"

enum { TOP_COLUMNS = 9, TOP_INSTANCES = 0, TOP_TASKS, TOP_FUNCTIONS, TOP_GROUPS, TOP_ALARMS, TOP_TABLES };

struct top_row {
	struct str cells[TOP_COLUMNS];
	double load; /* those with most of it come first */
};
struct top_table {
	const char *title;
	const char *heads[TOP_COLUMNS]; /* NULL: no such column */
	bool right[TOP_COLUMNS];        /* numbers, aligned at their ends */
	struct {
		struct top_row *v;
		uint32_t n;
		bool set;
	} rows;
};

/* Calls that the cloud has answered since its start. */
struct top_calls {
	uint64_t total, errors;
	int64_t at_us;
};

struct top_look {
	struct top_table tables[TOP_TABLES];
	struct top_calls calls;
	uint64_t own; /* how many of them were this command's, since it began */
};
/* CLI_OK, or another exit status with a line printed. look->own counts on from what it was. */
int top_read(struct cli *round, const struct cli_cloud *cloud, struct top_look *look);
int top_read_calls(struct cli *round, const struct cli_cloud *cloud, struct top_calls *ret);
