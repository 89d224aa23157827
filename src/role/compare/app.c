/* What is in the folder: who serves, who is the function, and all of it as a bundle. */
#include "role/compare/compare.h"

#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 5000, BUNDLE_BYTES_MAX = 45 << 20, PROCFILE_BYTES_MAX = 64 << 10, DEPTH_MAX = 32 };

struct str compare_read_file(struct arena *a, const char *path, size_t max)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct str text = STR_NONE;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size <= max) {
		char *bytes = arena_alloc(a, (size_t)st.st_size + 1);
		size_t n = 0;
		ssize_t k;
		while (n < (size_t)st.st_size && (k = read(fd, bytes + n, (size_t)st.st_size - n)) > 0)
			n += (size_t)k;
		if (n == (size_t)st.st_size)
			text = str_of(bytes, n);
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static bool has(struct cli *cli, const char *dir, const char *name)
{
	return access(arena_printf(&cli->arena, "%s/%s", dir, name).p, R_OK) == 0;
}

/* Regular files, in any order; what is not meant to be uploaded (a repository's own folder) is left out. */
static int list_files(struct cli *cli, const char *dir, struct str below, unsigned depth, struct str_list *ret)
{
	const char *path = arena_printf(&cli->arena, "%s/%.*s", dir, STR_ARG(below)).p;
	DIR *d = opendir(path);
	int status = d ? CLI_OK : cli_fail(cli, CLI_FAILED, "%s: %s", path, strerror(errno));
	for (struct dirent *e; status == CLI_OK && (e = readdir(d));) {
		struct stat st;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, ".git") == 0 ||
		    strcmp(e->d_name, "__pycache__") == 0)
			continue;
		struct str name = arena_printf(&cli->arena, "%.*s%s%s", STR_ARG(below), below.n ? "/" : "", e->d_name);
		if (fstatat(dirfd(d), e->d_name, &st, 0) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			status = list_files(cli, dir, name, depth + 1, ret);
		else if (S_ISREG(st.st_mode) && ret->n < FILES_MAX)
			*LIST_ADD(&cli->arena, ret) = name;
		else if (S_ISREG(st.st_mode))
			status = cli_fail(cli, CLI_FAILED, "%s has more than %d files", dir, FILES_MAX);
	}
	if (d)
		closedir(d);
	return status;
}

static void find_web(struct cli *cli, struct compare_app *app)
{
	struct str rest = compare_read_file(&cli->arena, arena_printf(&cli->arena, "%s/Procfile", app->dir).p, PROCFILE_BYTES_MAX);
	while (str_set(rest)) {
		struct str command = str_cut(&rest, '\n'), name = str_cut(&command, ':');
		if (str_set(command) && str_is(str_trim(name), "web"))
			app->web = str_trim(command);
	}
	if (!str_set(app->web))
		app->web = compare_start_script(cli, app->dir);
}

static void find_handler(struct cli *cli, const char *runtime, const char *handler, struct compare_app *app)
{
	static const struct {
		const char *file, *runtime, *handler;
	} usual[] = {{"lambda_function.py", "python3.12", "lambda_function.lambda_handler"},
	             {"index.mjs", "nodejs20.x", "index.handler"},
	             {"index.js", "nodejs20.x", "index.handler"},
	             {"bootstrap", "provided.al2023", "bootstrap"}};
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual) && !str_set(app->handler); i++)
		if (has(cli, app->dir, usual[i].file)) {
			app->runtime = str_from(usual[i].runtime);
			app->handler = str_from(usual[i].handler);
		}
	if (runtime)
		app->runtime = str_from(runtime);
	if (handler)
		app->handler = str_from(handler);
	if (!str_set(app->runtime))
		app->handler = STR_NONE;
	app->node = str_set(app->runtime) ? str_starts(app->runtime, S("nodejs")) : has(cli, app->dir, "package.json");
}

int compare_with_files(struct cli *cli, const char *dir, const struct str_list *files, const char *script, const char *argument)
{
	int names[2], status;
	if (pipe2(names, O_CLOEXEC) < 0)
		return cli_fail(cli, CLI_FAILED, "%s: %s", dir, strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		cli_temporary_follow();
		if (dup2(names[0], STDIN_FILENO) >= 0 && chdir(dir) == 0)
			execlp("python3", "python3", "-c", script, argument, (char *)NULL);
		_exit(127);
	}
	close(names[0]);
	FILE *f = fdopen(names[1], "w");
	for (uint32_t i = 0; f && i < files->n; i++)
		fwrite(arena_dupz(&cli->arena, files->v[i]), 1, files->v[i].n + 1, f);
	if (f)
		fclose(f);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		return cli_fail(cli, CLI_FAILED, "%s: python3 cannot pack it", dir);
	return CLI_OK;
}

/* Python's zipfile keeps the modes; zip is not on every machine. */
static int pack(struct cli *cli, const char *dir, const struct str_list *files, struct str *ret)
{
	const char *tmp = getenv("TMPDIR");
	char *place = (char *)(uintptr_t)arena_printf(&cli->arena, "%s/quartet-compare-XXXXXX", tmp ? tmp : "/var/tmp").p;
	struct cli_temporary guard = {0};
	static const char script[] = "import sys, zipfile\n"
	                             "with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED, strict_timestamps=False) as z:\n"
	                             "    for name in sys.stdin.read().split('\\0')[:-1]:\n"
	                             "        z.write(name)\n";
	if (!mkdtemp(place) || cli_temporary_guard(&guard, place) < 0)
		return cli_fail(cli, CLI_FAILED, "%s: %s", place, strerror(errno));
	const char *zip = arena_printf(&cli->arena, "%s/app.zip", place).p;
	int status = compare_with_files(cli, dir, files, script, zip);
	if (status == CLI_OK)
		*ret = compare_read_file(&cli->arena, zip, BUNDLE_BYTES_MAX);
	cli_temporary_end(&guard);
	if (status == CLI_OK && !str_set(*ret))
		status = cli_fail(cli, CLI_FAILED, "%s: packed it is more than %d MB", dir, BUNDLE_BYTES_MAX >> 20);
	return status;
}

int compare_read_app(struct cli *cli, const char *dir, const char *runtime, const char *handler, struct compare_app *ret)
{
	struct compare_app app = {.dir = realpath(dir, NULL)};
	if (!app.dir)
		return cli_fail(cli, CLI_FAILED, "%s: %s", dir, strerror(errno));
	int status = list_files(cli, app.dir, S(""), 0, &app.files);
	if (status != CLI_OK)
		return status;
	find_web(cli, &app);
	find_handler(cli, runtime, handler, &app);
	if (!str_set(app.web) && !str_set(app.handler))
		return cli_fail(
		        cli, CLI_FAILED,
		        "%s has neither a Procfile with a line `web: COMMAND` (or a start script in package.json) nor a handler (lambda_function.py, index.mjs, "
		        "index.js, bootstrap, or --handler and --runtime)",
		        dir);
	status = pack(cli, app.dir, &app.files, &app.source);
	if (status == CLI_OK)
		status = compare_install(cli, &app);
	app.zip = app.source;
	if (status == CLI_OK && app.installed) {
		app.files = (struct str_list){0};
		status = list_files(cli, app.root, S(""), 0, &app.files);
		if (status == CLI_OK)
			status = pack(cli, app.root, &app.files, &app.zip);
	}
	*ret = app;
	return status;
}

struct str compare_event(const struct compare *c, struct arena *a)
{
	struct buf CLEAN_BUF b;
	struct str query = c->path, path = str_cut(&query, '?');
	buf_init(&b, 8 << 20);
	struct json_out o = json_out(&b);
	const struct {
		const char *key;
		struct str value;
	} texts[] = {{"version", S("2.0")},
	             {"routeKey", S("$default")},
	             {"rawPath", path},
	             {"rawQueryString", str_set(query) ? query : S("")}};
	json_open(&o, '{');
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		json_key(&o, str_from(texts[i].key));
		json_string(&o, texts[i].value);
	}
	json_key(&o, S("headers"));
	json_raw(&o, S("{\"host\":\"compare\"}"));
	json_key(&o, S("requestContext"));
	json_open(&o, '{');
	json_key(&o, S("http"));
	json_open(&o, '{');
	json_key(&o, S("method"));
	json_string(&o, c->method);
	json_key(&o, S("path"));
	json_string(&o, path);
	json_close(&o, '}');
	json_close(&o, '}');
	if (str_set(c->body)) {
		json_key(&o, S("body"));
		json_string(&o, c->body);
	}
	json_key(&o, S("isBase64Encoded"));
	json_bool(&o, false);
	json_close(&o, '}');
	return arena_dup(a, buf_str(&b));
}
