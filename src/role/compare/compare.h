/* `quartet compare`: one application as a function, a task, an instance and an environment, one after the other, through the same
 * front door as anybody: put there, asked under the same load, measured, and taken away again.
 *
 * An application is a folder. What serves HTTP is the line `web:` of its Procfile, which listens at $PORT; what is a function is a
 * handler, found by its usual name. What a folder has not, is not compared, and the table says so. Results live in the command's
 * arena. */
#pragma once
#include "role/cli.h"
#include "role/cli_temporary.h"
#include "role/compare/load.h"

#include "aws/pricing/choose.h"
#include "base/buf.h"

struct compare_app {
	const char *dir;
	struct str web;              /* command of the web process; absent: it has none */
	struct str runtime, handler; /* absent: it has no function */
	bool node;                   /* else Python */
	/* With what it depends on: where it lies (dir itself, where there is nothing to be installed), and as a bundle. */
	const char *root;
	struct str_list files; /* below root */
	struct str zip;
	bool installed;
	struct str source; /* the folder alone as a bundle, for who installs by itself */
	struct cli_temporary copy;
};

/* Line of a bill. once: it was for putting the application there, and does not come again. */
struct compare_cost {
	struct str service, usage;
	double quantity, usd;
	bool once;
};
struct compare_costs {
	struct compare_cost *v;
	uint32_t n;
	bool set;
};

/* What a model may use; 0: as much as there is. */
struct compare_bounds {
	int64_t memory_mb;
	double vcpus;
};

struct compare_row {
	const struct compare_model *model;
	struct str why_not; /* set: it was not compared, or not to the end */
	struct str size;    /* "512 MB", "t3.micro" */
	struct compare_bounds bounds;
	int64_t deploy_us, start_us; /* from the first call; from the one that launches: to the first answer */
	int64_t first_us;            /* the first answer alone */
	struct load_result load;
	int32_t p50_us, p99_us;       /* -1: nothing was answered */
	int64_t memory_bytes, cpu_us; /* at the end of the load, and during it; -1: not known */
	struct compare_costs costs;
	double usd, usd_month; /* usd_month: if the load went on for 730 hours */
};

struct compare {
	struct cli *cli;
	struct cli_cloud cloud;
	struct compare_app app;
	struct load_plan plan;
	struct str name; /* of all that is made: "compare-1a2b3c" */
	struct str path; /* what is asked for */
	struct str method, body;
	int64_t memory_mb;
	struct str instance_type;
	bool quiet;                    /* no progress */
	struct choose_workload *needs; /* what it is said to need */
	const atomic_bool *cancel;
	int64_t launched_us; /* when what is to answer was asked for */

	/* What has been made; absent: it has not. */
	struct str bucket, group, role, address, function, function_role;
	struct str instance, cluster, task, execution_role, repository, definition;
	struct str profile, application, environment;
	struct str workload; /* whose usage /_quartet/usage knows */
	unsigned port;       /* of `address`, once it is known */
};

/* One of the four. deploy() launches the application and notes when; look() tells whether there is an address
 * or function to ask yet: CLI_OK with *ret_there false means: not yet. */
struct compare_model {
	const char *name, *title;
	int (*why_not)(struct compare *c, struct str *ret); /* CLI_OK with it absent: the application can run so */
	int (*deploy)(struct compare *c);
	int (*look)(struct compare *c, bool *ret_there);
	void (*measure)(struct compare *c, struct compare_row *r); /* what only it knows of; NULL: nothing */
	void (*remove)(struct compare *c);                         /* all that deploy() made, however far it came */
	struct str (*size)(struct compare *c);
	struct compare_bounds (*bounds)(const struct compare *c);
	const char *scaling, *limits; /* the step in which it grows; what it cannot do */
	bool by_request;              /* costs nothing while nobody asks */
	enum choose_model chosen_as;  /* what `quartet choose` says cannot run so, is not tried */
};
extern const struct compare_model compare_function, compare_task, compare_instance, compare_environment;

/* app.c. CLI_OK, or a line printed. runtime, handler: NULL: as the folder has it. */
int compare_read_app(struct cli *cli, const char *dir, const char *runtime, const char *handler, struct compare_app *ret);
struct str compare_read_file(struct arena *a, const char *path, size_t max); /* absent: it is none, or larger */
/* Runs a script of Python in the folder, with an argument and the files' names on its stdin, each ended by a NUL. CLI_OK, or a
 * line. */
int compare_with_files(struct cli *cli, const char *dir, const struct str_list *files, const char *script, const char *argument);
/* install.c. Sets root; app->files are those of dir until then. CLI_OK, or a line printed. */
int compare_install(struct cli *cli, struct compare_app *app);
struct str compare_start_script(struct cli *cli, const char *dir); /* of package.json; absent: it has none */

/* The lambda event of the request, as a function behind an HTTP API gets it. */
struct str compare_event(const struct compare *c, struct arena *a);

/* made.c: what several models need, each made once and gone with compare_remove_shared(). */
int compare_need_bucket(struct compare *c); /* with bundles as app.zip and source.zip, which whoever knows the name may read */
int compare_need_group(struct compare *c);  /* with the port open */
int compare_make_role(struct compare *c, const char *suffix, const char *service, const char *policy, struct str *ret_name,
                      struct str *ret_arn);
void compare_remove_role(struct compare *c, struct str *name, const char *policy);
void compare_remove_group(struct compare *c);
void compare_remove_bucket(struct compare *c);
/* cli_call() with the compared cloud; memory is the command's. */
int compare_call(struct compare *c, const struct api *api, const char *operation, const void *in, void *out);

/* ask.c. One request to what runs; false: there was no good answer, and *ret_why says so. */
bool compare_ask_once(struct compare *c, struct str *ret_why);
struct load_target compare_target(struct compare *c);

/* cost.c: what the account has used so far this month, by usage type; and what the difference of two costs. */
int compare_spent(struct compare *c, struct compare_costs *ret);
void compare_costs_since(struct compare *c, const struct compare_costs *before, const struct compare_costs *now,
                         struct compare_row *r);

/* What a month of whatever runs now would cost. */
int compare_rate(struct compare *c, double *ret_usd_month);

/* Of an instance type; nothing where it is not known. */
struct compare_bounds compare_type_bounds(struct str type);

/* advice.c, pure: which to choose, and where a function and what runs all the time cost the same. */
struct compare_advice {
	const struct compare_row *best, *function,
	        *fixed;     /* NULL: there is none. fixed: the cheapest of those that run all the time */
	double usd_request; /* of the function */
	double requests;    /* a month from which on the fixed one is cheaper; 0: not known */
};
struct compare_advice compare_advise(const struct compare_row *rows, unsigned n);
void compare_put_advice(struct buf *b, struct arena *a, const struct load_plan *plan, const struct compare_row *rows, unsigned n);
/* "498 of 512 MB; 12 x 429": the bounds that it came to, and why requests failed. Absent: it met none. */
struct str compare_limits_met(struct arena *a, const struct compare_row *r);
/* Dollars a month at so many requests a second; it is told apart what each request costs. */
double compare_month_at(const struct compare_row *r, double requests_s);
enum { COMPARE_MONTH_H = 730 };

/* report.c, page.c */
enum { COMPARE_PORT = 8000, COMPARE_MODELS_MAX = 4 };
/* Where programs are, of an application and of what was installed with it. */
#define COMPARE_PATH(dir) dir "/bin:" dir "/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* Numbers as people read them. */
struct str compare_seconds(struct arena *a, int64_t us);
struct str compare_memory(struct arena *a, int64_t bytes);
struct str compare_processor(struct arena *a, const struct compare_row *r);
void compare_print_table(const struct compare *c, const struct compare_row *rows, unsigned n);
void compare_print_json(const struct compare *c, const struct compare_row *rows, unsigned n);
int compare_write_page(const struct compare *c, const struct compare_row *rows, unsigned n, const char *path);
