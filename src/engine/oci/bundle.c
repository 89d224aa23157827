#include "engine/oci/bundle.h"
#include "engine/oci/child.h"

#include "base/base64.h"
#include "base/json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { NOFILE = 65535, CAPABILITIES_MAX = 64 };

static const char *const known_capabilities[] = {"CAP_AUDIT_CONTROL",   "CAP_AUDIT_READ",   "CAP_AUDIT_WRITE",
                                                 "CAP_BLOCK_SUSPEND",   "CAP_BPF",          "CAP_CHECKPOINT_RESTORE",
                                                 "CAP_CHOWN",           "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
                                                 "CAP_FOWNER",          "CAP_FSETID",       "CAP_IPC_LOCK",
                                                 "CAP_IPC_OWNER",       "CAP_KILL",         "CAP_LEASE",
                                                 "CAP_LINUX_IMMUTABLE", "CAP_MAC_ADMIN",    "CAP_MAC_OVERRIDE",
                                                 "CAP_MKNOD",           "CAP_NET_ADMIN",    "CAP_NET_BIND_SERVICE",
                                                 "CAP_NET_BROADCAST",   "CAP_NET_RAW",      "CAP_PERFMON",
                                                 "CAP_SETFCAP",         "CAP_SETGID",       "CAP_SETPCAP",
                                                 "CAP_SETUID",          "CAP_SYS_ADMIN",    "CAP_SYS_BOOT",
                                                 "CAP_SYS_CHROOT",      "CAP_SYS_MODULE",   "CAP_SYS_NICE",
                                                 "CAP_SYS_PACCT",       "CAP_SYS_PTRACE",   "CAP_SYS_RAWIO",
                                                 "CAP_SYS_RESOURCE",    "CAP_SYS_TIME",     "CAP_SYS_TTY_CONFIG",
                                                 "CAP_SYSLOG",          "CAP_WAKE_ALARM"};
enum { KNOWN = sizeof(known_capabilities) / sizeof(known_capabilities[0]) };

/* What container engines give by default. */
static const char *const default_capabilities[] = {
        "CAP_AUDIT_WRITE",      "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",  "CAP_KILL",   "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP",      "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"};

static const char *const masked[] = {"/proc/acpi",       "/proc/asound",      "/proc/interrupts",
                                     "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
                                     "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                     "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

static int find_capability(const char *name)
{
	bool whole = strncmp(name, "CAP_", 4) == 0;
	for (int i = 0; i < KNOWN; i++)
		if (strcmp(known_capabilities[i] + (whole ? 0 : 4), name) == 0)
			return i;
	return -1;
}

/* Defaults, then all that is dropped, then what is added: so ALL may be dropped and some kept. */
static int choose_capabilities(const struct task_container *c, const char **ret, size_t *ret_count)
{
	bool has[KNOWN] = {0};
	for (size_t i = 0; i < sizeof(default_capabilities) / sizeof(default_capabilities[0]); i++)
		has[find_capability(default_capabilities[i])] = true;
	for (int add = 0; add < 2; add++)
		for (const char *const *n = add ? c->capabilities_add : c->capabilities_drop; n && *n; n++) {
			int one = find_capability(*n);
			if (strcmp(*n, "ALL") != 0 && one < 0)
				return -EINVAL;
			for (int i = 0; i < KNOWN; i++)
				if (one < 0 || i == one)
					has[i] = add;
		}
	*ret_count = 0;
	for (int i = 0; i < KNOWN; i++)
		if (has[i])
			ret[(*ret_count)++] = known_capabilities[i];
	return 0;
}

/* ---- small parts ---- */

static void put_list(struct json_out *o, const char *key, const char *const *list, size_t n)
{
	json_key(o, str_from(key));
	json_open(o, '[');
	for (size_t i = 0; i < n; i++)
		json_string(o, str_from(list[i]));
	json_close(o, ']');
}

static void put_text(struct json_out *o, const char *key, const char *value)
{
	json_key(o, str_from(key));
	json_string(o, str_from(value));
}

static void put_mount(struct json_out *o, const char *to, const char *type, const char *from, const char *const *options, size_t n)
{
	json_open(o, '{');
	put_text(o, "destination", to);
	put_text(o, "type", type);
	put_text(o, "source", from);
	put_list(o, "options", options, n);
	json_close(o, '}');
}
#define MOUNT(o, to, type, from, ...) \
	put_mount(o, to, type, from, (const char *const[]){__VA_ARGS__}, \
	          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void put_capabilities(struct json_out *o, const char *const *list, size_t n)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	json_key(o, S("capabilities"));
	json_open(o, '{');
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		put_list(o, sets[i], list, n);
	json_close(o, '}');
}

/* As many as Fargate gives, or the machine lets us. */
static uint64_t usual_files(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < NOFILE ? limit.rlim_max : NOFILE;
}

static int put_limits(struct json_out *o, const struct task_container *c)
{
	uint64_t most = usual_files();
	static const char *const known[] = {"core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
	                                    "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};
	bool files = false;
	json_key(o, S("rlimits"));
	json_open(o, '[');
	for (size_t i = 0; i <= c->ulimit_count; i++) {
		const struct task_ulimit usual = {"nofile", most, most}, *u = i < c->ulimit_count ? &c->ulimits[i] : &usual;
		char name[32] = "RLIMIT_";
		bool found = false;
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			found |= strcmp(known[k], u->name) == 0;
		if (!found)
			return -EINVAL;
		if (u == &usual && files)
			break;
		files |= strcmp(u->name, "nofile") == 0;
		for (size_t k = 0; u->name[k] && k < 20; k++)
			name[7 + k] = (char)(u->name[k] - 'a' + 'A');
		json_open(o, '{');
		put_text(o, "type", name);
		char number[24];
		json_key(o, S("hard"));
		snprintf(number, sizeof(number), "%llu", (unsigned long long)u->hard);
		json_raw(o, str_from(number));
		json_key(o, S("soft"));
		snprintf(number, sizeof(number), "%llu", (unsigned long long)u->soft);
		json_raw(o, str_from(number));
		json_close(o, '}');
	}
	json_close(o, ']');
	return 0;
}

/* The members of a process from its arguments to its directory; the user's place is left open. */
static void put_process(struct json_out *o, const char *const *argv, bool init, const char *const *environment, const char *more,
                        const char *workdir, bool terminal, size_t *ret_user_at)
{
	json_key(o, S("user"));
	*ret_user_at = o->b->n;
	o->comma = true;
	json_key(o, S("terminal"));
	json_bool(o, terminal);
	json_key(o, S("args"));
	json_open(o, '[');
	if (init) {
		json_string(o, S("/dev/init"));
		json_string(o, S("--"));
	}
	for (; argv && *argv; argv++)
		json_string(o, str_from(*argv));
	json_close(o, ']');
	bool path = false;
	json_key(o, S("env"));
	json_open(o, '[');
	for (; environment && *environment; environment++) {
		path |= strncmp(*environment, "PATH=", 5) == 0;
		json_string(o, str_from(*environment));
	}
	if (!path)
		json_string(o, S("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	if (more)
		json_string(o, str_from(more));
	json_close(o, ']');
	put_text(o, "cwd", workdir && workdir[0] ? workdir : "/");
}

unsigned bundle_words(struct buf *b, const char *const *words)
{
	unsigned n = 0;
	for (; words && words[n]; n++)
		buf_add(b, words[n], strlen(words[n]) + 1);
	return n;
}

/* ---- mounts ---- */

static int volume_of(const struct task_spec *spec, const char *name)
{
	for (int i = 0; spec->volumes && spec->volumes[i] && name; i++)
		if (strcmp(spec->volumes[i], name) == 0)
			return i;
	return -1;
}

static int put_own_mount(struct json_out *o, const struct task_spec *spec, const struct task_mount *m)
{
	char text[64];
	int volume = volume_of(spec, m->volume);
	if (!m->path || m->path[0] != '/' || (m->kind == TASK_MOUNT_VOLUME && volume < 0))
		return -EINVAL;
	if (m->kind == TASK_MOUNT_VOLUME) {
		snprintf(text, sizeof(text), SHIM_SCRATCH "/v%d", volume);
		MOUNT(o, m->path, "bind", text, "rbind", "rprivate", m->read_only ? "ro" : "rw", "nodev");
		return 0;
	}
	const char *options[40] = {"nosuid", "nodev", text};
	size_t n = 3;
	snprintf(text, sizeof(text), "size=%llu", (unsigned long long)m->bytes);
	if (m->read_only)
		options[n++] = "ro";
	for (const char *const *p = m->options; p && *p && n < sizeof(options) / sizeof(options[0]); p++)
		options[n++] = *p;
	put_mount(o, m->path, "tmpfs", "tmpfs", options, n);
	return 0;
}

static int put_mounts(struct json_out *o, const struct task_spec *spec, unsigned index)
{
	const struct task_container *c = &spec->containers[index];
	char shm[32], groups[32];
	snprintf(groups, sizeof(groups), SHIM_GROUPS "/%u", index);
	snprintf(shm, sizeof(shm), "size=%llu", (unsigned long long)(c->shm_bytes ? c->shm_bytes : 64 << 20));
	json_key(o, S("mounts"));
	json_open(o, '[');
	MOUNT(o, "/proc", "proc", "proc", "nosuid", "noexec", "nodev");
	MOUNT(o, "/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k");
	MOUNT(o, "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5");
	MOUNT(o, "/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev");
	MOUNT(o, "/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", shm);
	MOUNT(o, "/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro");
	MOUNT(o, "/sys/fs/cgroup", "bind", groups, "rbind", "rprivate", "ro", "nosuid", "noexec", "nodev");
	MOUNT(o, "/etc/hosts", "bind", SHIM_FILES "/hosts", "rbind", "rprivate");
	MOUNT(o, "/etc/resolv.conf", "bind", SHIM_FILES "/resolv.conf", "rbind", "rprivate");
	MOUNT(o, "/etc/hostname", "bind", SHIM_FILES "/hostname", "rbind", "rprivate");
	if (!c->image)
		MOUNT(o, "/usr", "bind", "/usr", "rbind", "rprivate", "ro", "nodev", "nosuid");
	if (c->init_process)
		MOUNT(o, "/dev/init", "bind", "/usr/bin/tini-static", "rbind", "rprivate", "ro", "nodev", "nosuid");
	int error = 0;
	for (size_t i = 0; i < c->mount_count && !error; i++)
		error = put_own_mount(o, spec, &c->mounts[i]);
	json_close(o, ']');
	return error;
}

/* ---- the whole ---- */

static bool is_network(const struct task_pair *sysctl)
{
	return strncmp(sysctl->name, "net.", 4) == 0;
}

static int put_linux(struct json_out *o, const struct task_spec *spec, const struct task_container *c,
                     const char *const *capabilities, size_t count)
{
	static const char *const namespaces[] = {"pid", "ipc", "uts", "mount"};
	json_key(o, S("linux"));
	json_open(o, '{');
	json_key(o, S("namespaces"));
	json_open(o, '[');
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		json_open(o, '{');
		put_text(o, "type", namespaces[i]);
		if (spec->shared_processes && strcmp(namespaces[i], "pid") == 0)
			put_text(o, "path", SHIM_PROCESSES);
		json_close(o, '}');
	}
	json_close(o, ']');
	json_key(o, S("sysctl"));
	json_open(o, '{');
	for (size_t i = 0; i < c->sysctl_count; i++)
		if (!is_network(&c->sysctls[i]))
			put_text(o, c->sysctls[i].name, c->sysctls[i].value);
	json_close(o, '}');
	put_list(o, "maskedPaths", masked, sizeof(masked) / sizeof(masked[0]));
	put_list(o, "readonlyPaths", read_only, sizeof(read_only) / sizeof(read_only[0]));
	json_key(o, S("seccomp"));
	profile_put(o->b, capabilities, count);
	o->comma = true;
	json_close(o, '}');
	return 0;
}

/* crun takes the ready instructions instead of linux.seccomp; a runtime that does not know them makes its own. */
static int put_filter(struct json_out *o, const char *const *capabilities, size_t count)
{
	struct arena CLEAN_ARENA a = {0};
	struct str code;
	int error = profile_compile(capabilities, count, &code);
	if (error)
		return error;
	json_key(o, S("annotations"));
	json_open(o, '{');
	json_key(o, S("run.oci.seccomp_bpf_data"));
	json_string(o, base64_encode(&a, code));
	json_close(o, '}');
	return 0;
}

static int put_config(struct buf *b, const struct task_spec *spec, unsigned index, size_t *ret_user_at)
{
	const struct task_container *c = &spec->containers[index];
	struct json_out out = json_out(b), *o = &out;
	const char *capabilities[CAPABILITIES_MAX];
	char root[32];
	size_t count;
	int error = choose_capabilities(c, capabilities, &count);
	if (error)
		return error;
	snprintf(root, sizeof(root), SHIM_ROOTS "/%u", index);
	json_open(o, '{');
	put_text(o, "ociVersion", "1.0.2");
	json_key(o, S("process"));
	json_open(o, '{');
	put_process(o, c->argv, c->init_process, c->environment, c->tty ? "TERM=xterm" : NULL, c->workdir, c->tty, ret_user_at);
	put_capabilities(o, capabilities, count);
	error = put_limits(o, c);
	json_key(o, S("noNewPrivileges"));
	json_bool(o, c->no_new_privileges);
	json_close(o, '}');
	json_key(o, S("root"));
	json_open(o, '{');
	put_text(o, "path", root);
	json_key(o, S("readonly"));
	json_bool(o, c->read_only_root);
	json_close(o, '}');
	put_text(o, "hostname", spec->host_name && spec->host_name[0] ? spec->host_name : spec->id);
	if (!error)
		error = put_mounts(o, spec, index);
	put_linux(o, spec, c, capabilities, count);
	if (!error)
		error = put_filter(o, capabilities, count);
	json_close(o, '}');
	return error;
}

int bundle_plan(struct buf *b, const struct task_spec *spec, unsigned index)
{
	const struct task_container *c = &spec->containers[index];
	size_t start = b->n, user_at = 0;
	struct task_plan head = {.health_interval_us = c->health.interval_us,
	                         .health_timeout_us = c->health.timeout_us,
	                         .health_start_us = c->health.start_period_us,
	                         .health_retries = c->health.retries ? c->health.retries : 1,
	                         .stop_signal = (uint32_t)(c->stop_signal ? c->stop_signal : SIGTERM),
	                         .stop_timeout_us = c->stop_timeout_us,
	                         .has_terminal = c->tty,
	                         .shares_processes = spec->shared_processes};
	const char *user = c->user ? c->user : "", *workdir = c->workdir ? c->workdir : "/";
	if (!c->argv || !c->argv[0] || !c->name || strlen(c->name) >= sizeof(head.name) || strlen(user) >= sizeof(head.user) ||
	    strlen(workdir) >= sizeof(head.workdir) || workdir[0] != '/' || c->stop_signal < 0 || c->stop_signal >= NSIG)
		return -EINVAL;
	snprintf(head.name, sizeof(head.name), "%s", c->name);
	snprintf(head.user, sizeof(head.user), "%s", user);
	snprintf(head.workdir, sizeof(head.workdir), "%s", workdir);
	buf_add(b, &head, sizeof(head));
	size_t config = b->n;
	int error = put_config(b, spec, index, &user_at);
	if (error)
		return error;
	head.config_bytes = (uint32_t)(b->n - config);
	head.config_user_at = (uint32_t)(user_at - config);
	size_t health = b->n;
	bundle_words(b, c->health.argv);
	head.health_bytes = (uint32_t)(b->n - health);
	size_t sysctls = b->n;
	for (size_t i = 0; i < c->sysctl_count; i++)
		if (is_network(&c->sysctls[i]))
			bundle_words(b, (const char *const[]){c->sysctls[i].name, c->sysctls[i].value, NULL});
	head.sysctl_bytes = (uint32_t)(b->n - sysctls);
	if (b->overflow || head.sysctl_bytes > TASK_TEXT_MAX)
		return -E2BIG;
	memcpy(b->p + start, &head, sizeof(head));
	return 0;
}
