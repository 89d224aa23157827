/* A runtime name asks for a version; the machine has the one it has. A function of python3.12 runs on Debian's 3.11 here: `quartet
 * doctor` shows the mapping, and the function's own sys.version tells the truth. */
#include "aws/lambda/runtime.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	enum runtime_family family;
	bool retired;
} names[] = {
        {"python3.14", RUNTIME_PYTHON, false},
        {"python3.13", RUNTIME_PYTHON, false},
        {"python3.12", RUNTIME_PYTHON, false},
        {"python3.11", RUNTIME_PYTHON, false},
        {"python3.10", RUNTIME_PYTHON, false},
        {"python3.9", RUNTIME_PYTHON, false},
        {"python3.8", RUNTIME_PYTHON, false},
        {"python3.7", RUNTIME_PYTHON, true},
        {"python3.6", RUNTIME_PYTHON, true},
        {"python2.7", RUNTIME_PYTHON, true},
        {"nodejs24.x", RUNTIME_NODE, false},
        {"nodejs22.x", RUNTIME_NODE, false},
        {"nodejs20.x", RUNTIME_NODE, false},
        {"nodejs18.x", RUNTIME_NODE, false},
        {"nodejs16.x", RUNTIME_NODE, false},
        {"nodejs14.x", RUNTIME_NODE, true},
        {"nodejs12.x", RUNTIME_NODE, true},
        {"nodejs10.x", RUNTIME_NODE, true},
        {"nodejs8.10", RUNTIME_NODE, true},
        {"nodejs6.10", RUNTIME_NODE, true},
        {"nodejs4.3", RUNTIME_NODE, true},
        {"nodejs4.3-edge", RUNTIME_NODE, true},
        {"nodejs", RUNTIME_NODE, true},
        {"ruby4.0", RUNTIME_RUBY, false},
        {"ruby3.4", RUNTIME_RUBY, false},
        {"ruby3.3", RUNTIME_RUBY, false},
        {"ruby3.2", RUNTIME_RUBY, false},
        {"ruby2.7", RUNTIME_RUBY, true},
        {"ruby2.5", RUNTIME_RUBY, true},
        {"java25", RUNTIME_JAVA, false},
        {"java21", RUNTIME_JAVA, false},
        {"java17", RUNTIME_JAVA, false},
        {"java11", RUNTIME_JAVA, false},
        {"java8.al2", RUNTIME_JAVA, false},
        {"java8", RUNTIME_JAVA, true},
        {"provided.al2023", RUNTIME_PROVIDED, false},
        {"provided.al2", RUNTIME_PROVIDED, false},
        {"provided", RUNTIME_PROVIDED, true},
        {"go1.x", RUNTIME_PROVIDED, true},
};
static const char *const family_names[] = {"python", "nodejs", "ruby", "java"};
static const char *const kinds[] = {"python3", "nodejs", "ruby", ""};
/* Of the runtime clients, below /var/runtime. */
static const char *const clients[] = {"python/bootstrap.py", "node/bootstrap.js", "ruby/bootstrap.rb", "java/runtime.jar"};

static const char *clients_dir;

void runtime_set_clients(const char *dir)
{
	clients_dir = dir;
}

static bool has_client(enum runtime_family family)
{
	char path[1200];
	return clients_dir && (size_t)snprintf(path, sizeof(path), "%s/%s", clients_dir, clients[family]) < sizeof(path) &&
	       access(path, R_OK) == 0;
}

static const struct cell_runtime *machine(enum runtime_family family)
{
	static struct cell_runtime found[8];
	static size_t count;
	static bool looked;
	if (!looked) {
		count = cell_find_runtimes(found, 8);
		looked = true;
	}
	for (size_t i = 0; i < count; i++)
		if (!strcmp(found[i].family, family_names[family]))
			return &found[i];
	return NULL;
}

bool runtime_is_retired(struct str runtime)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_is(runtime, names[i].name))
			return names[i].retired;
	return false;
}

bool runtime_of_image(struct runtime_choice *ret)
{
	*ret = (struct runtime_choice){.family = RUNTIME_PROVIDED, .kind = ""};
	return true;
}

bool runtime_choose(struct str runtime, struct runtime_choice *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->kind = "";
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!str_is(runtime, names[i].name))
			continue;
		ret->family = names[i].family;
		if (names[i].retired) {
			snprintf(ret->why_not, sizeof(ret->why_not), "it is retired");
			return false;
		}
		if (ret->family == RUNTIME_PROVIDED)
			return true;
		const struct cell_runtime *m = machine(ret->family);
		if (!m) {
			snprintf(ret->why_not, sizeof(ret->why_not), "no %s is installed", family_names[ret->family]);
			return false;
		}
		if (!has_client(ret->family)) {
			snprintf(ret->why_not, sizeof(ret->why_not), "its runtime client is missing");
			return false;
		}
		ret->kind = kinds[ret->family];
		ret->interpreter = m->path;
		ret->major = m->major;
		ret->minor = m->minor;
		return true;
	}
	snprintf(ret->why_not, sizeof(ret->why_not), "there is no client for it");
	return false;
}

struct str runtime_version_arn(struct arena *a, struct str region, struct str runtime)
{
	return ARENA_CAT(a, S("arn:aws:lambda:"), region, S("::runtime:"), hash_hex(a, HASH_SHA256, runtime));
}

struct str runtime_version_name(struct arena *a, struct str runtime)
{
	size_t letters = 0;
	while (letters < runtime.n && ascii_is_alpha(runtime.p[letters]))
		letters++;
	struct str version = str_from_at(runtime, letters);
	if (str_starts(version, S(".")))
		version = str_from_at(version, 1);
	if (str_ends(version, S(".x")))
		version = str_sub(version, 0, version.n - 2);
	return ARENA_CAT(a, str_sub(runtime, 0, letters), S(":"), version, S(".v1"));
}

static bool executable(const char *dir, const char *name)
{
	char path[1200];
	return dir && (size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path) && access(path, X_OK) == 0;
}

const char *const *runtime_command(struct arena *a, const struct runtime_choice *choice, const char *task_dir, const char *opt_dir,
                                   struct str wrapper, int64_t memory_mb)
{
	const char **argv = arena_array(a, 16, sizeof(*argv));
	size_t n = 0;
	if (str_set(wrapper) && !str_empty(wrapper))
		argv[n++] = arena_dupz(a, wrapper);
	if (choice->family == RUNTIME_PROVIDED) {
		if (executable(task_dir, "bootstrap"))
			argv[n++] = "/var/task/bootstrap";
		else if (executable(opt_dir, "bootstrap"))
			argv[n++] = "/opt/bootstrap";
		else
			return NULL;
		return argv;
	}
	argv[n++] = choice->interpreter;
	struct str client = ARENA_CAT(a, S("/var/runtime/"), str_from(clients[choice->family]));
	if (choice->family == RUNTIME_JAVA) {
		/* It sees the machine's memory, not the function's: what is not heap needs the last quarter. */
		argv[n++] = arena_printf(a, "-Xmx%lldm", (long long)(memory_mb * 3 / 4)).p;
		argv[n++] = "-XX:+UseSerialGC";
		argv[n++] = "-XX:TieredStopAtLevel=1";
		argv[n++] = "-Xshare:auto";
		argv[n++] = "-cp";
		argv[n++] = ARENA_CAT(a, client, S(":/var/task:/var/task/lib/*:/opt/java/lib/*")).p;
		argv[n++] = "quartet.runtime.Bootstrap";
	} else {
		argv[n++] = client.p;
	}
	return argv;
}

bool runtime_allows_stem(const struct str_map *variables)
{
	static const char *const prefixes[] = {"PYTHON", "NODE_", "LD_",     "RUBY",   "GEM_",   "BUNDLE_",
	                                       "JAVA_",  "JDK_",  "MALLOC_", "GLIBC_", "GCONV_", "LC_"};
	static const char *const whole[] = {
	        "AWS_LAMBDA_EXEC_WRAPPER", "LANG",        "LOCPATH", "UV_THREADPOOL_SIZE", "OPENSSL_CONF",
	        "SSL_CERT_FILE",           "SSL_CERT_DIR"};
	for (uint32_t i = 0; i < variables->n; i++) {
		struct str key = variables->v[i].key;
		for (size_t k = 0; k < sizeof(prefixes) / sizeof(*prefixes); k++)
			if (str_starts(key, str_from(prefixes[k])))
				return false;
		for (size_t k = 0; k < sizeof(whole) / sizeof(*whole); k++)
			if (str_is(key, whole[k]))
				return false;
	}
	return true;
}

static void put(struct arena *a, struct str_map *env, const char *name, struct str value)
{
	*LIST_ADD(a, env) = (struct str_map_entry){str_from(name), value};
}

void runtime_default_environment(struct arena *a, const struct runtime_choice *choice, struct str runtime, struct str_map *env)
{
	put(a, env, "PATH", S("/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"));
	put(a, env, "LD_LIBRARY_PATH",
	    S("/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"));
	put(a, env, "LANG", S("en_US.UTF-8"));
	put(a, env, "TZ", S(":UTC"));
	put(a, env, "PWD", S("/var/task"));
	put(a, env, "SHLVL", S("0"));
	if (choice->family == RUNTIME_PYTHON) {
		put(a, env, "LC_CTYPE", S("C.UTF-8"));
		put(a, env, "PYTHONPATH", S("/var/runtime"));
	} else if (choice->family == RUNTIME_NODE) {
		struct str version = str_sub(str_from_at(runtime, 6), 0, 2);
		put(a, env, "NODE_PATH",
		    ARENA_CAT(a, S("/opt/nodejs/node"), version,
		              S("/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules")));
	} else if (choice->family == RUNTIME_RUBY) {
		put(a, env, "GEM_PATH",
		    arena_printf(a, "/var/task/vendor/bundle/ruby/%u.%u.0:/opt/ruby/gems/%u.%u.0", choice->major, choice->minor,
		                 choice->major, choice->minor));
		put(a, env, "RUBYLIB", S("/var/runtime/lib:/var/task:/opt/ruby/lib"));
	}
}

size_t runtime_stems(unsigned keep, const struct cell_stem **ret)
{
	static struct cell_stem stems[3];
	static const char *argv[3][4];
	static char client[3][64];
	static const char *const env[] = {"PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin", "LANG=en_US.UTF-8",
	                                  "LC_CTYPE=C.UTF-8", "TZ=:UTC", NULL};
	size_t n = 0;
	for (enum runtime_family f = RUNTIME_PYTHON; f <= RUNTIME_RUBY; f++) {
		const struct cell_runtime *m = machine(f);
		if (!m || !has_client(f))
			continue;
		snprintf(client[n], sizeof(client[n]), "/var/runtime/%s", clients[f]);
		argv[n][0] = m->path;
		argv[n][1] = client[n];
		argv[n][2] = NULL;
		stems[n] = (struct cell_stem){.kind = kinds[f],
		                              .process = {.argv = argv[n], .env = env, .cwd = "/"},
		                              .image = f == RUNTIME_PYTHON ? CELL_IMAGE_PYTHON : CELL_IMAGE_NONE,
		                              .keep = f == RUNTIME_RUBY ? keep / 4 : keep};
		n++;
	}
	*ret = stems;
	return n;
}

void lambda_runtimes_describe(runtime_line_fn *fn, void *ctx)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct runtime_choice choice;
		if (names[i].retired)
			continue;
		if (runtime_choose(str_from(names[i].name), &choice))
			fn(ctx, names[i].name, choice.interpreter ? choice.interpreter : "bootstrap of the package", "");
		else
			fn(ctx, names[i].name, NULL, choice.why_not);
	}
}
