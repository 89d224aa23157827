/* What an application depends on: a requirements.txt by pip (from its folder `vendor` alone, where it has one), a package.json
 * without node_modules by npm, as the platforms of Elastic Beanstalk do it on the instance. For the other models that happens here,
 * once, in a copy of the folder that is gone with the command. */
#include "role/compare/compare.h"

#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

static const char *path_of(struct cli *cli, const char *dir, const char *name)
{
	return arena_printf(&cli->arena, "%s/%s", dir, name).p;
}

static bool is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A line that is neither empty nor a comment. */
static bool has_requirements(struct cli *cli, const char *dir)
{
	struct str rest = compare_read_file(&cli->arena, path_of(cli, dir, "requirements.txt"), TEXT_MAX);
	while (str_set(rest)) {
		struct str line = str_trim(str_cut(&rest, '\n'));
		if (line.n && line.p[0] != '#')
			return true;
	}
	return false;
}

static const struct json_value *package_of(struct cli *cli, const char *dir)
{
	struct str text = compare_read_file(&cli->arena, path_of(cli, dir, "package.json"), TEXT_MAX);
	return str_set(text) ? json_parse(&cli->arena, text, NULL) : NULL;
}

struct str compare_start_script(struct cli *cli, const char *dir)
{
	return json_get_str(json_get(package_of(cli, dir), S("scripts")), S("start"));
}

static bool has_packages(struct cli *cli, const char *dir)
{
	const struct json_value *wanted = json_get(package_of(cli, dir), S("dependencies"));
	return json_is(wanted, JSON_OBJECT) && wanted->count && !is_folder(path_of(cli, dir, "node_modules"));
}

/* Runs a program in the folder, without a terminal of its own; what it complains about is shown. */
static bool runs(const char *dir, const char *const *words)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		cli_temporary_follow();
		int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
		setenv("PIP_ROOT_USER_ACTION", "ignore", 1);
		if (dup2(nowhere, STDIN_FILENO) >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0 && chdir(dir) == 0)
			execvp(words[0], (char **)(uintptr_t)words);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* The files of the application, but for packages that are only there to be installed. */
static int copy(struct cli *cli, struct compare_app *app, bool vendor)
{
	static const char script[] = "import os, shutil, sys\n"
	                             "for name in sys.stdin.read().split('\\0')[:-1]:\n"
	                             "    os.makedirs(os.path.dirname(os.path.join(sys.argv[1], name)), exist_ok=True)\n"
	                             "    shutil.copy2(name, os.path.join(sys.argv[1], name))\n";
	struct str_list files = {0};
	for (uint32_t i = 0; i < app->files.n; i++)
		if (!vendor || !str_starts(app->files.v[i], S("vendor/")))
			*LIST_ADD(&cli->arena, &files) = app->files.v[i];
	return compare_with_files(cli, app->dir, &files, script, app->root);
}

static int install_python(struct cli *cli, const struct compare_app *app, bool vendor)
{
	const char *python = access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3"; /* what runs in the models */
	const char *words[24] = {python,       "-m",           "pip",      "install", "--quiet", "--disable-pip-version-check",
	                         "--no-input", "--no-compile", "--target", app->root, "-r",      "requirements.txt"};
	if (vendor) {
		size_t n = 0;
		while (words[n])
			n++;
		words[n++] = "--no-index";
		words[n++] = "--find-links";
		words[n] = "vendor";
	}
	if (runs(app->dir, words))
		return CLI_OK;
	return cli_fail(cli, CLI_FAILED, "%s: pip could not install what requirements.txt asks for%s", app->dir,
	                vendor ? " from its folder vendor" : "");
}

static int install_node(struct cli *cli, const struct compare_app *app)
{
	static const char *const words[] = {"npm", "install", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error", NULL};
	if (runs(app->root, words))
		return CLI_OK;
	return cli_fail(cli, CLI_FAILED, "%s: npm could not install what package.json asks for", app->dir);
}

int compare_install(struct cli *cli, struct compare_app *app)
{
	bool python = has_requirements(cli, app->dir), node = has_packages(cli, app->dir);
	bool vendor = python && is_folder(path_of(cli, app->dir, "vendor"));
	const char *tmp = getenv("TMPDIR");
	app->root = app->dir;
	if (!python && !node)
		return CLI_OK;
	char *place = (char *)(uintptr_t)arena_printf(&cli->arena, "%s/quartet-compare-XXXXXX", tmp ? tmp : "/var/tmp").p;
	if (!mkdtemp(place) || cli_temporary_guard(&app->copy, place) < 0)
		return cli_fail(cli, CLI_FAILED, "%s: %s", place, strerror(errno));
	app->root = place;
	app->installed = true;
	int status = copy(cli, app, vendor);
	if (status == CLI_OK && python)
		status = install_python(cli, app, vendor);
	if (status == CLI_OK && node)
		status = install_node(cli, app);
	return status;
}
