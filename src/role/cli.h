/* The command line: `quartet COMMAND`. cli.c has the table; each cli_*.c has the commands of one kind. A command fails with one
 * clear line on standard error and an exit status: 0 done, 1 it failed, 2 the command line is wrong, 3 the cloud is not running. */
#pragma once
#include "base/arena.h"
#include "model/model.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NOT_RUNNING = 3 };

struct cli {
	struct arena arena;
	const char *program; /* argv[0] */
	const char *command;
	int argc; /* what follows the command */
	char **argv;
};

struct cli_command {
	const char *name;
	const char *arguments; /* "[--data DIR] NAME" */
	const char *summary;   /* one line */
	const char *help;      /* further lines, or NULL */
	int (*run)(struct cli *cli);
};
extern const struct cli_command cli_commands[]; /* ends with a NULL name */

/* Prints "quartet COMMAND: text" and returns status. */
__attribute__((format(printf, 3, 4))) int cli_fail(struct cli *cli, int status, const char *fmt, ...);

/* Options in any order among the arguments. Each takes the option out of argv; cli_rest() then complains about what is left over
 * but `max` words. */
bool cli_flag(struct cli *cli, const char *name);
/* Value of --name VALUE or --name=VALUE, or fallback. */
const char *cli_option(struct cli *cli, const char *name, const char *fallback);
/* CLI_OK, or CLI_USAGE with a line printed when an unknown option or more than `max` words are left. */
int cli_rest(struct cli *cli, int max);

/* Where the cloud of --data (else $QUARTET_DATA, else the default) runs. */
struct cli_cloud {
	const char *data_dir;
	int pid;                             /* of main; 0: not running */
	const char *endpoint, *tls_endpoint; /* http://127.0.0.1:4566; https://... or NULL */
	const char *access_key, *secret, *region;
};
const char *cli_data_dir(struct cli *cli);
/* Where the runtime clients lie; NULL: they were not found. */
const char *cli_runtime_dir(struct cli *cli);
/* CLI_OK, or CLI_NOT_RUNNING / CLI_FAILED with a line printed. */
int cli_find_cloud(struct cli *cli, struct cli_cloud *ret);

/* The same, with nothing but `words` words left among the arguments: else CLI_USAGE. */
int cli_open(struct cli *cli, int words, struct cli_cloud *ret);

/* One operation through the cloud's front door, signed as the root user. CLI_OK with *out filled (headers in *ret_headers unless
 * NULL), or CLI_FAILED with AWS's words printed. `in` and `out` are the operation's structs. */
struct http_client_reply;
int cli_call(struct cli *cli, const struct cli_cloud *cloud, const struct api *api, const char *operation, const void *in,
             void *out, struct http_client_reply *ret_reply);
/* The same for an operation with a streaming input: its bytes are `stream`. */
int cli_send(struct cli *cli, const struct cli_cloud *cloud, const struct api *api, const char *operation, const void *in,
             struct str stream, void *out, struct http_client_reply *ret_reply);
/* The signed request alone, for who sends it himself, again and again while its date is good (five minutes). Lives in the arena. */
struct http_client_request;
int cli_sign(struct cli *cli, const struct cli_cloud *cloud, const struct api *api, const char *operation, const void *in,
             struct str stream, struct http_client_request *ret);
/* One of our own paths (/_quartet/...): the body in *ret_body, or a line printed unless `quiet`. */
int cli_admin(struct cli *cli, const struct cli_cloud *cloud, const char *method, const char *path, bool quiet,
              struct str *ret_body);

/* "90", "90s", "10m", "2h", "3d" in milliseconds; at most a year. */
bool cli_duration(struct str s, int64_t *ret_ms);
/* The same as the user whose key the cloud's is used with, in its region. */
int cli_admin_as(struct cli *cli, const struct cli_cloud *cloud, const char *method, const char *path, struct str *ret_body);
/* From now on clock_wall_ms() is the cloud's, which somebody may have moved. */
int cli_take_clock(struct cli *cli, const struct cli_cloud *cloud);

int cli_up(struct cli *cli);
int cli_down(struct cli *cli);
int cli_status(struct cli *cli);
int cli_reset(struct cli *cli);
int cli_env(struct cli *cli);
int cli_doctor(struct cli *cli);
int cli_coverage(struct cli *cli);
int cli_why(struct cli *cli);
int cli_why_not(struct cli *cli);
int cli_invoke(struct cli *cli);
int cli_logs(struct cli *cli);
int cli_exec(struct cli *cli);
int cli_bill(struct cli *cli);
int cli_choose(struct cli *cli);
int cli_image(struct cli *cli);
int cli_retire(struct cli *cli);
int cli_chaos(struct cli *cli);
int cli_clock(struct cli *cli);
int cli_top(struct cli *cli);
int cli_compare(struct cli *cli);
