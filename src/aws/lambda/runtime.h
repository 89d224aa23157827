/* Runtimes: which of this machine's interpreters serves which runtime name, how its client is started, what its environment is.
 * Called by the Lambda service, and by the api role and `quartet doctor` for the stems and the list. */
#pragma once
#include "engine/cell/cell.h"
#include "model/model.h"

enum runtime_family { RUNTIME_PYTHON, RUNTIME_NODE, RUNTIME_RUBY, RUNTIME_JAVA, RUNTIME_PROVIDED };
struct runtime_choice {
	enum runtime_family family;
	const char *kind;        /* of stem cells; "" where there are none */
	const char *interpreter; /* path, also inside cells; NULL: provided */
	unsigned major, minor;   /* what the machine has */
	char why_not[96];        /* when there is none */
};
/* Where the runtime clients lie (cloud.runtime_dir; NULL: nowhere). Before anything else; the string lives for ever. */
void runtime_set_clients(const char *dir);
/* False: this machine cannot run it, ret->why_not says why. */
bool runtime_choose(struct str runtime, struct runtime_choice *ret);
/* What an image brings: no interpreter of this machine. True. */
bool runtime_of_image(struct runtime_choice *ret);
bool runtime_is_retired(struct str runtime);
struct str runtime_version_arn(struct arena *a, struct str region, struct str runtime);
/* "python:3.11.v1": the name in INIT_START lines. */
struct str runtime_version_name(struct arena *a, struct str runtime);

/* The command line of the runtime's process (NULL-terminated, in the arena). task_dir and opt_dir are where code and layers really
 * lie, to find a provided bootstrap; NULL: there is none, the error body is Runtime.InvalidEntrypoint. */
const char *const *runtime_command(struct arena *a, const struct runtime_choice *choice, const char *task_dir, const char *opt_dir,
                                   struct str wrapper, int64_t memory_mb);
/* May a function with these variables of its own start in a stem? Some variables only work when a process is executed. */
bool runtime_allows_stem(const struct str_map *variables);
/* Variables that the runtime gives and users may override: PATH, LD_LIBRARY_PATH, PYTHONPATH ... Appended as name and value. */
void runtime_default_environment(struct arena *a, const struct runtime_choice *choice, struct str runtime, struct str_map *env);

/* For cells_new(): the stems of the interpreters that are there. `keep` ready ones of each. Returns how many; lives for ever. */
size_t runtime_stems(unsigned keep, const struct cell_stem **ret);

/* For `quartet doctor`: one line a runtime name: "python3.12  -> /usr/bin/python3.11" or why not. */
typedef void runtime_line_fn(void *ctx, const char *runtime, const char *interpreter, const char *note);
void lambda_runtimes_describe(runtime_line_fn *fn, void *ctx);
