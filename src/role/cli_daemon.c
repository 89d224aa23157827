/* up, down, status, reset: the cloud as a process. DATA/quartet.run says where it listens and is locked as long as it runs. */
#include "role/cli.h"
#include "role/config.h"
#include "role/ephemeral.h"
#include "role/role.h"

#include "aws/pricing/pricing.h"
#include "base/clock.h"
#include "engine/oci/runtime.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_FILE "quartet.run"

static const char *join(struct cli *cli, const char *dir, const char *name)
{
	return arena_printf(&cli->arena, "%s/%s", dir, name).p;
}

const char *cli_data_dir(struct cli *cli)
{
	const char *dir = cli_option(cli, "--data", getenv("QUARTET_DATA"));
	if (!dir || !*dir) {
		const char *home = getenv("HOME");
		dir = geteuid() == 0 || !home ? "/var/lib/quartet" : join(cli, home, ".local/share/quartet");
	}
	if (dir[0] == '/')
		return dir;
	char cwd[4096];
	return getcwd(cwd, sizeof(cwd)) ? join(cli, cwd, dir) : dir;
}

/* --- up */

/* An IPv4 address, or an IPv6 one with brackets around it as in URLs. */
static bool is_address(struct str s)
{
	unsigned char bytes[16];
	char text[64];
	bool six = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
	snprintf(text, sizeof(text), "%.*s", STR_ARG(six ? str_sub(s, 1, s.n - 2) : s));
	return s.n < sizeof(text) && inet_pton(six ? AF_INET6 : AF_INET, text, bytes) == 1;
}

static bool split_listen(struct cli *cli, const char *text, const char **ret_addr, uint16_t *ret_port)
{
	struct str s = str_from(text);
	ptrdiff_t colon = str_rfind_char(s, ':');
	uint64_t port;
	if (colon < 0 || !str_to_u64(str_from_at(s, (size_t)colon + 1), &port) || port == 0 || port > 65535)
		return false;
	struct str addr = str_sub(s, 0, (size_t)colon);
	*ret_addr = str_is(addr, "localhost") ? "127.0.0.1" : arena_dupz(&cli->arena, addr);
	*ret_port = (uint16_t)port;
	return is_address(str_from(*ret_addr));
}

static const char *setting(struct cli *cli, const struct config *file, const char *option, const char *key, const char *fallback)
{
	struct str from_file = config_get(file, "", key);
	return cli_option(cli, option, str_set(from_file) ? arena_dupz(&cli->arena, from_file) : fallback);
}

/* The runtime clients lie beside the program: in the source tree when it was built there, else under share/. */
const char *cli_runtime_dir(struct cli *cli)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return NULL;
	struct str dir = str_of(exe, (size_t)n);
	dir.n = (size_t)str_rfind_char(dir, '/');
	static const char *const places[] = {"../runtimes", "../share/quartet/runtimes"};
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char *real = realpath(arena_printf(&cli->arena, "%.*s/%s", STR_ARG(dir), places[i]).p, NULL);
		if (real) {
			const char *kept = arena_dupz(&cli->arena, str_from(real));
			free(real);
			return kept;
		}
	}
	return NULL;
}

static int make_dirs(const char *path)
{
	char part[4096];
	size_t n = strlen(path);
	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++)
		if (path[i] == '/' || path[i] == '\0') {
			part[i] = '\0';
			if (mkdir(part, 0755) < 0 && errno != EEXIST)
				return -errno;
			part[i] = path[i];
		}
	return 0;
}

static bool still_locked(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool locked = flock(fd, LOCK_EX | LOCK_NB) < 0;
	close(fd);
	return locked;
}

/* Takes the lock of the data directory and writes where this cloud can be found. The descriptor is kept until the process ends. */
static int run_file_take(struct cli *cli, const struct role_config *c)
{
	const char *path = join(cli, c->data_dir, RUN_FILE);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return cli_fail(cli, CLI_FAILED, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return cli_fail(cli, CLI_FAILED, "a cloud already runs on %s; stop it with: quartet down --data %s", c->data_dir,
		                c->data_dir);
	}
	struct str text = arena_printf(&cli->arena, "pid = %d\nendpoint = http://%s:%u\n", (int)getpid(), c->listen_addr, c->port);
	if (c->tls_port)
		text = ARENA_CAT(&cli->arena, text,
		                 arena_printf(&cli->arena, "tls_endpoint = https://localhost:%u\n", c->tls_port));
	if (c->ephemeral)
		text = ARENA_CAT(&cli->arena, text, S(EPHEMERAL_MARK));
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text.p, text.n, 0) != (ssize_t)text.n)
		return cli_fail(cli, CLI_FAILED, "%s: %s", path, strerror(errno));
	return CLI_OK;
}

/* The child becomes the cloud; the parent waits until it says that it serves. Asking the port would not do: another cloud may
 * answer there. */
static int up_in_background(struct cli *cli, struct role_config *c)
{
	int ready[2];
	char byte;
	if (still_locked(join(cli, c->data_dir, RUN_FILE)))
		return cli_fail(cli, CLI_FAILED, "a cloud already runs on %s; stop it with: quartet down --data %s", c->data_dir,
		                c->data_dir);
	if (pipe2(ready, O_CLOEXEC) < 0)
		return cli_fail(cli, CLI_FAILED, "pipe: %s", strerror(errno));
	fflush(NULL);
	int pid = fork();
	if (pid < 0)
		return cli_fail(cli, CLI_FAILED, "fork: %s", strerror(errno));
	const char *log = join(cli, c->data_dir, "quartet.log");
	if (pid == 0) {
		setsid();
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0 || null < 0)
			_exit(CLI_FAILED);
		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		close(ready[0]);
		c->ready_fd = ready[1];
		_exit(run_file_take(cli, c) == CLI_OK ? role_main(c) : CLI_FAILED);
	}
	close(ready[1]);
	struct pollfd wait = {.fd = ready[0], .events = POLLIN};
	int n = poll(&wait, 1, 30000);
	bool serves = n > 0 && read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	if (serves)
		return CLI_OK;
	if (n == 0)
		return cli_fail(cli, CLI_FAILED, "the cloud does not answer after 30 s; its log is %s", log);
	waitpid(pid, NULL, 0);
	return cli_fail(cli, CLI_FAILED, "the cloud did not start; its log is %s", log);
}

int cli_up(struct cli *cli)
{
	struct config file = {0};
	struct role_config c = {.ready_fd = -1};
	struct str why;
	c.config_file = cli_option(cli, "--config", NULL);
	if (c.config_file && !config_read(&cli->arena, c.config_file, &file, &why))
		return cli_fail(cli, CLI_FAILED, "%.*s", STR_ARG(why));
	c.ephemeral = cli_flag(cli, "--ephemeral");
	bool background = cli_flag(cli, "--background");
	const char *listen_at = setting(cli, &file, "--listen", "listen", "127.0.0.1:4566");
	const char *tls_port = setting(cli, &file, "--tls-port", "tls_port", NULL);
	const char *data = setting(cli, &file, "--data", "data", NULL);
	c.runtime_dir = setting(cli, &file, "--runtimes", "runtimes", NULL);
	c.cell_ipv4 = setting(cli, &file, "--cell-network", "cell_network", NULL);
	c.resolver = setting(cli, &file, "--resolver", "resolver", NULL);
	c.instances = setting(cli, &file, "--instances", "instances", "auto");
	c.kvm = setting(cli, &file, "--kvm", "kvm", "auto");
	int status = cli_rest(cli, 0);
	if (status != CLI_OK)
		return status;
	if (!split_listen(cli, listen_at, &c.listen_addr, &c.port))
		return cli_fail(cli, CLI_USAGE, "--listen wants ADDRESS:PORT (an IP address), not \"%s\"", listen_at);
	if (strcmp(c.instances, "auto") != 0 && strcmp(c.instances, "vm") != 0 && strcmp(c.instances, "container") != 0)
		return cli_fail(cli, CLI_USAGE, "--instances wants vm, container or auto, not \"%s\"", c.instances);
	if (strcmp(c.kvm, "auto") != 0 && strcmp(c.kvm, "no") != 0)
		return cli_fail(cli, CLI_USAGE, "--kvm wants auto or no, not \"%s\"", c.kvm);
	struct str runtime = config_get(&file, "containers", "runtime");
	unsigned number;
	c.container_runtime = str_set(runtime) ? arena_dupz(&cli->arena, runtime) : NULL;
	if (oci_runtime_find(c.container_runtime, &number) < 0)
		return cli_fail(cli, CLI_USAGE, "%s: [containers] runtime: \"%s\" is none of crun, runc, kata and runsc",
		                c.config_file, c.container_runtime);
	if (c.container_runtime && access(oci_runtime(number)->program, X_OK) < 0)
		return cli_fail(cli, CLI_FAILED, "%s: [containers] runtime: %s is not installed (%s): %s", c.config_file,
		                c.container_runtime, oci_runtime(number)->program, oci_runtime(number)->advice);
	static const struct {
		const char *section, *key, *of;
		uint64_t most;
	} numbers[] = {{"ec2", "vcpus", "vCPUs", 1000000},
	               {"ec2", "spot_vcpus", "vCPUs", 1000000},
	               {"containers", "memory", "MiB", 1 << 30}};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct str text = config_get(&file, numbers[i].section, numbers[i].key);
		uint64_t n;
		if (str_set(text) && (!str_to_u64(text, &n) || !n || n > numbers[i].most))
			return cli_fail(cli, CLI_USAGE, "%s: [%s] %s: \"%.*s\" is no number of %s", c.config_file,
			                numbers[i].section, numbers[i].key, STR_ARG(text), numbers[i].of);
	}
	struct str own = config_get(&file, "bill", "prices"), json;
	if (str_set(own) &&
	    (!str_starts(own, S("/")) || !config_read_file(&cli->arena, arena_dupz(&cli->arena, own), &json, &why) ||
	     !price_book_read(&cli->arena, json, &why)))
		return cli_fail(cli, CLI_USAGE, "%s: [bill] prices: %.*s", c.config_file,
		                STR_ARG(str_starts(own, S("/")) ? why : S("it wants an absolute path")));
	uint64_t tls = c.port == 65535 ? 0 : c.port + 1u;
	if (tls_port && (!str_to_u64(str_from(tls_port), &tls) || tls > 65535))
		return cli_fail(cli, CLI_USAGE, "--tls-port wants a port number, not \"%s\"", tls_port);
	c.tls_port = (uint16_t)tls;
	if (!c.runtime_dir)
		c.runtime_dir = cli_runtime_dir(cli);
	if (c.ephemeral) {
		ephemeral_sweep();
		data = ephemeral_make(&cli->arena);
		if (!data)
			return cli_fail(cli, CLI_FAILED, "no temporary directory: %s", strerror(errno));
		fprintf(stderr, "quartet: ephemeral data in %s\n", data);
	}
	if (data)
		setenv("QUARTET_DATA", data, 1);
	c.data_dir = cli_data_dir(cli);
	int made = make_dirs(c.data_dir);
	if (made < 0)
		return cli_fail(cli, CLI_FAILED, "%s: %s", c.data_dir, strerror(-made));
	if (geteuid() != 0)
		fputs("quartet: not root: there will be no sandboxes, so functions do not run\n", stderr);
	if (background)
		return up_in_background(cli, &c);
	status = run_file_take(cli, &c);
	return status == CLI_OK ? role_main(&c) : status;
}

/* --- finding it again */

int cli_find_cloud(struct cli *cli, struct cli_cloud *ret)
{
	struct config run, keys;
	struct str why, pid_text;
	int64_t pid;
	struct cli_cloud c = {.data_dir = cli_data_dir(cli)};
	const char *path = join(cli, c.data_dir, RUN_FILE);
	if (!still_locked(path) || !config_read(&cli->arena, path, &run, &why))
		return cli_fail(cli, CLI_NOT_RUNNING, "no cloud runs on %s; start one with: quartet up", c.data_dir);
	pid_text = config_get(&run, "", "pid");
	if (!str_to_i64(pid_text, &pid) || pid <= 1)
		return cli_fail(cli, CLI_FAILED, "%s is damaged", path);
	c.pid = (int)pid;
	c.endpoint = arena_dupz(&cli->arena, config_get(&run, "", "endpoint"));
	struct str tls = config_get(&run, "", "tls_endpoint");
	c.tls_endpoint = str_set(tls) ? arena_dupz(&cli->arena, tls) : NULL;
	const char *region = getenv("AWS_REGION");
	if (!region || !*region)
		region = getenv("AWS_DEFAULT_REGION");
	c.region = region && *region ? region : "us-east-1";
	if (config_read(&cli->arena, join(cli, c.data_dir, "credentials"), &keys, &why)) {
		c.access_key = arena_dupz(&cli->arena, config_get(&keys, "default", "aws_access_key_id"));
		c.secret = arena_dupz(&cli->arena, config_get(&keys, "default", "aws_secret_access_key"));
	} else {
		c.access_key = c.secret = "test";
	}
	*ret = c;
	return CLI_OK;
}

int cli_open(struct cli *cli, int words, struct cli_cloud *ret)
{
	int status = cli_find_cloud(cli, ret);
	return status == CLI_OK ? cli_rest(cli, words) : status;
}

int cli_down(struct cli *cli)
{
	struct cli_cloud cloud;
	int status = cli_open(cli, 0, &cloud);
	if (status != CLI_OK)
		return status;
	if (kill(cloud.pid, SIGTERM) < 0)
		return cli_fail(cli, CLI_FAILED, "process %d: %s", cloud.pid, strerror(errno));
	const char *path = join(cli, cloud.data_dir, RUN_FILE);
	for (int64_t until = clock_mono_us() + 30000000; clock_mono_us() < until; usleep(5000))
		if (!still_locked(path))
			return CLI_OK;
	return cli_fail(cli, CLI_FAILED, "process %d has not ended after 30 s", cloud.pid);
}

int cli_status(struct cli *cli)
{
	struct cli_cloud cloud;
	struct str body;
	int status = cli_open(cli, 0, &cloud);
	if (status == CLI_OK)
		status = cli_admin(cli, &cloud, "GET", "/_quartet/health", false, &body);
	if (status != CLI_OK)
		return status;
	printf("running: pid %d, %s, data in %s\n%.*s\n", cloud.pid, cloud.endpoint, cloud.data_dir, STR_ARG(body));
	return CLI_OK;
}

int cli_reset(struct cli *cli)
{
	struct cli_cloud cloud;
	struct str body;
	int status = cli_open(cli, 0, &cloud);
	if (status != CLI_OK)
		return status;
	return cli_admin(cli, &cloud, "POST", "/_quartet/reset", false, &body);
}

/* For a shell, which must take the value as it is, whatever is in it. */
static void print_export(const char *name, const char *value)
{
	bool plain = true;
	for (const char *p = value; *p; p++)
		plain = plain && (ascii_is_alnum(*p) || strchr("_-./:@%+,=[]", *p));
	printf("export %s=", name);
	if (plain) {
		puts(value);
		return;
	}
	putchar('\'');
	for (const char *p = value; *p; p++)
		if (*p == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*p);
	puts("'");
}

int cli_env(struct cli *cli)
{
	struct cli_cloud cloud;
	bool tls = cli_flag(cli, "--tls");
	int status = cli_open(cli, 0, &cloud);
	if (status != CLI_OK)
		return status;
	if (tls && !cloud.tls_endpoint)
		return cli_fail(cli, CLI_FAILED, "the cloud has no TLS port");
	print_export("AWS_ENDPOINT_URL", tls ? cloud.tls_endpoint : cloud.endpoint);
	print_export("AWS_DATA_PATH", join(cli, cloud.data_dir, tls ? "clients/https" : "clients/http"));
	if (tls) {
		print_export("AWS_CA_BUNDLE", join(cli, cloud.data_dir, "tls/ca.pem"));
		print_export("NODE_EXTRA_CA_CERTS", join(cli, cloud.data_dir, "tls/ca.pem"));
	}
	print_export("AWS_ACCESS_KEY_ID", cloud.access_key);
	print_export("AWS_SECRET_ACCESS_KEY", cloud.secret);
	puts("unset AWS_SESSION_TOKEN AWS_PROFILE");
	print_export("AWS_REGION", cloud.region);
	print_export("AWS_DEFAULT_REGION", cloud.region);
	return CLI_OK;
}
