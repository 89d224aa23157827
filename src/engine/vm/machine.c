/* A machine's life on this side: the warden starts its shim, then its disks are plugged in one by one, then it runs. What api asks
 * of a shim is answered in order, so requests under way are a queue. All that must survive this process lies in the shim, in the
 * files below DATA/machines, and in the caller's records. */
#include "engine/vm/machine_state.h"

#include "base/log.h"
#include "io/msg.h"
#include "io/work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { USAGE_US = 60 * 1000000 };

static void fail_now(void *ctx)
{
	struct machine *m = ctx;
	m->plug = NULL;
	machine_report_end(m, m->how, m->failure);
}

/* From outside a callback, so it is said later. */
void machine_fail_later(struct machine *m, int error)
{
	m->how = MACHINE_NOT_STARTED;
	m->failure = error;
	loop_remove_timer(m->owner->loop, m->plug);
	m->plug = loop_add_timer(m->owner->loop, 0, fail_now, m);
}

void machine_file_name(const struct machine *m, const char *suffix, char ret[MACHINE_FILE_MAX])
{
	snprintf(ret, MACHINE_FILE_MAX, "%s.%s", m->id, suffix);
}

/* Socket paths are short, a data directory's need not be: the descriptor's own name stands for it. */
struct sockaddr_un machine_address(const struct machine *m)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s.sock", m->owner->dir, m->id);
	return a;
}

struct machine *machine_new(struct machines *s, const char *id)
{
	struct machine *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory");
	*m = (struct machine){.owner = s, .sock = -1, .how = MACHINE_NOT_STARTED};
	for (int i = 0; i < HANDLES; i++)
		m->handles[i] = -1;
	for (int i = 0; i < MACHINE_PORTS_MAX; i++)
		m->links[i] = -1;
	snprintf(m->id, sizeof(m->id), "%s", id);
	list_init(&m->asked);
	list_push(&s->all, &m->at);
	return m;
}

static void ask_usage(void *ctx)
{
	struct machines *s = ctx;
	list_each (&s->all, struct machine, at, m)
		machine_look(m);
	s->usage_timer = loop_add_clock_timer(s->loop, USAGE_US, ask_usage, s);
}

static int open_dir(const char *data_dir, const char *name)
{
	char path[4200];
	snprintf(path, sizeof(path), "%s/%s", data_dir, name);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

struct machines *machines_new(struct loop *l, struct work *work, struct cells *cells, const char *data_dir,
                              const struct machine_events *events, machine_found_fn *found, void *ctx)
{
	struct machines *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory");
	*s = (struct machines){.loop = l, .work = work, .cells = cells, .events = events, .found = found, .ctx = ctx, .warden = -1};
	list_init(&s->all);
	list_init(&s->box_asks);
	s->dir = open_dir(data_dir, "machines");
	s->volumes = open_dir(data_dir, "volumes");
	if (s->dir < 0 || s->volumes < 0)
		die("%s: %s", data_dir, strerror(s->dir < 0 ? -s->dir : -s->volumes));
	s->again = loop_add_timer(l, 0, machines_open_channel, s);
	s->usage_timer = loop_add_clock_timer(l, USAGE_US, ask_usage, s);
	return s;
}

static void forget(struct machine *m)
{
	list_remove(&m->at);
	loop_remove_timer(m->owner->loop, m->plug);
	loop_remove_fd(m->owner->loop, m->watch);
	if (m->sock >= 0)
		close(m->sock);
	machine_drop_fds(m);
	machine_box_forget(m);
	machine_session_orphan(m);
	list_each (&m->asked, struct asked, at, a) {
		list_remove(&a->at);
		machine_screen_answered(a, -1, -ESRCH);
		free(a);
	}
	m->plug = NULL;
	m->watch = NULL;
	m->sock = -1;
	m->freed = true;
	if (m->jobs)
		return; /* the last job frees it */
	free(m->console);
	free(m);
}

void machines_free(struct machines *s)
{
	if (!s)
		return;
	list_each (&s->all, struct machine, at, m)
		forget(m);
	loop_remove_timer(s->loop, s->again);
	loop_remove_timer(s->loop, s->usage_timer);
	loop_remove_timer(s->loop, s->kvm_late);
	loop_remove_fd(s->loop, s->warden_watch);
	if (s->warden >= 0)
		close(s->warden);
	close(s->dir);
	close(s->volumes);
	free(s);
}

const struct machines_facts *machines_facts(const struct machines *s)
{
	return &s->facts;
}

int machines_volumes_dir(const struct machines *s)
{
	return s->volumes;
}

const char *machine_id(const struct machine *m)
{
	return m->id;
}

static int listen_for_shim(struct machine *m)
{
	struct sockaddr_un a = machine_address(m);
	char name[MACHINE_FILE_MAX];
	machine_file_name(m, "sock", name);
	unlinkat(m->owner->dir, name, 0);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* Collects what START carries; what is missing fails the machine. */
static int gather(struct machine *m, const struct machine_spec *spec)
{
	char console[MACHINE_FILE_MAX];
	machine_file_name(m, "console", console);
	int fd = listen_for_shim(m);
	if (fd < 0)
		return fd;
	m->fds[m->fd_count++] = fd;
	fd = openat(m->owner->dir, console, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	m->fds[m->fd_count++] = fd;
	const char *const files[] = {spec->kernel, spec->initrd};
	for (int i = 0; spec->kernel && !m->is_box && i < 2; i++) {
		fd = files[i] ? open(files[i], O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			return files[i] ? -errno : -EINVAL;
		m->fds[m->fd_count++] = fd;
	}
	for (size_t i = 0; i < spec->port_count; i++) {
		fd = fcntl(spec->ports[i].fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		if (m->is_box) {
			m->links[m->link_count++] = fd;
			continue;
		}
		m->fds[m->fd_count++] = fd;
		memcpy(m->start.mac[i], spec->ports[i].mac, 6);
	}
	return 0;
}

static bool fits(const char *text, size_t cap)
{
	return text && strlen(text) > 0 && strlen(text) < cap;
}

int machine_plug_from(struct machine_plug *to, const struct machine_disk *from)
{
	if (!fits(from->volume, sizeof(to->volume)) || !fits(from->serial, 21))
		return -EINVAL;
	snprintf(to->volume, sizeof(to->volume), "%s", from->volume);
	snprintf(to->serial, sizeof(to->serial), "%s", from->serial);
	if (strncmp(from->device, "/dev/", 5) != 0 || strlen(from->device + 5) >= sizeof(to->node))
		return -EINVAL;
	snprintf(to->node, sizeof(to->node), "%s", from->device + 5);
	to->iops = from->iops;
	to->mib_per_s = from->mib_per_s;
	to->burst = from->burst;
	to->burst_s = from->burst_s;
	return 0;
}

struct machine *machine_start(struct machines *s, const struct machine_spec *spec, void *ctx)
{
	struct machine *m = machine_new(s, spec->id);
	m->ctx = ctx;
	m->is_box = spec->kind == MACHINE_CONTAINER;
	m->held = spec->hold;
	m->links_follow = m->is_box && spec->ports_follow;
	m->start = (struct warden_request){.verb = WARDEN_START,
	                                   .number = ++s->next_number,
	                                   .has_kernel = spec->kernel && !m->is_box,
	                                   .vcpus = spec->vcpus,
	                                   .memory_mb = spec->memory_mb,
	                                   .cpu_percent = spec->cpu_percent,
	                                   .is_box = m->is_box,
	                                   .kvm = !m->is_box && (spec->probe || s->facts.kvm == MACHINES_KVM_WORKS),
	                                   .port_count = m->is_box ? 0 : (uint32_t)spec->port_count};
	int error = fits(spec->id, sizeof(m->id)) && spec->disk_count <= MACHINE_DISKS_MAX &&
	                            spec->port_count <= MACHINE_PORTS_MAX &&
	                            (!spec->cmdline || strlen(spec->cmdline) < MACHINE_CMDLINE_MAX)
	                    ? 0
	                    : -EINVAL;
	for (size_t i = 0; i < spec->disk_count && !error; i++)
		error = machine_plug_from(&m->disks[m->disk_count++], &spec->disks[i]);
	if (m->is_box)
		m->disks[0].node[0] = 0;
	if (!error) {
		snprintf(m->start.name, sizeof(m->start.name), "%s", m->id);
		snprintf(m->start.cmdline, sizeof(m->start.cmdline), "%s", spec->cmdline ? spec->cmdline : "");
		error = gather(m, spec);
	}
	if (!error && warden_check(&m->start, sizeof(m->start), m->fd_count) < 0)
		error = -EINVAL;
	if (error) {
		machine_drop_fds(m);
		machine_fail_later(m, error);
	} else {
		machine_send_start(m);
	}
	return m;
}

void machine_release(struct machine *m)
{
	bool waits = m->held && m->state == MACHINE_PLUGGING && m->plugged == m->disk_count;
	m->held = false;
	if (waits)
		machine_go_on(m);
}

void machine_give_ports(struct machine *m, const struct machine_port *ports, size_t n)
{
	if (!m->links_follow || m->state == MACHINE_OVER)
		return;
	m->links_follow = false;
	for (size_t i = 0; i < n && i < MACHINE_PORTS_MAX; i++)
		if ((m->links[m->link_count++] = fcntl(ports[i].fd, F_DUPFD_CLOEXEC, 3)) < 0) {
			machine_fail_later(m, -errno);
			return;
		}
	machine_box_links(m);
}

static void pull_plug(void *ctx)
{
	struct machine *m = ctx;
	m->plug = NULL;
	if (machine_ask_simple(m, SHIM_QUIT) == 0)
		return;
	if (m->has_slot) {
		machines_kill_slot(m->owner, m->slot);
		return;
	}
	/* the warden is still at it: what comes of that has no owner then, and is killed (was_started()) */
	machine_drop_fds(m);
	machine_report_end(m, MACHINE_NOT_STARTED, -ECANCELED);
}

void machine_stop(struct machine *m, int64_t grace_us)
{
	if (m->state == MACHINE_OVER)
		return;
	m->stopped = true;
	if (m->state != MACHINE_RUNNING || grace_us <= 0 || machine_ask_simple(m, SHIM_POWER) < 0)
		grace_us = 0;
	loop_remove_timer(m->owner->loop, m->plug);
	m->plug = loop_add_timer(m->owner->loop, grace_us, pull_plug, m);
}

int machine_kill(struct machine *m)
{
	if (m->state != MACHINE_RUNNING || !m->has_slot)
		return -ESRCH;
	machines_kill_slot(m->owner, m->slot);
	return 0;
}

void machine_reset(struct machine *m)
{
	machine_ask_simple(m, SHIM_RESET);
}

int machine_down(struct machine *m)
{
	struct shim_request r = {.verb = SHIM_RESET, .files = 1};
	return m->state == MACHINE_RUNNING ? machine_ask(m, &r, NULL, 0) : -ESRCH;
}

void machine_up(struct machine *m)
{
	m->down = false;
	machine_ask_simple(m, SHIM_RUN);
}

bool machine_is_down(const struct machine *m)
{
	return m->down;
}

bool machine_is_cut_off(const struct machine *m)
{
	return m->cut_off;
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	char name[MACHINE_FILE_MAX];
	if (m->has_slot)
		machines_kill_slot(m->owner, m->slot);
	else if (m->sock >= 0)
		machine_ask_simple(m, SHIM_QUIT);
	static const char *const suffixes[] = {"sock", "console"};
	for (int i = 0; i < 2; i++) {
		machine_file_name(m, suffixes[i], name);
		unlinkat(m->owner->dir, name, 0);
	}
	forget(m);
}

struct str machine_console(struct machine *m)
{
	char name[MACHINE_FILE_MAX];
	struct stat st;
	machine_file_name(m, "console", name);
	int fd = openat(m->owner->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return S("");
	if (!m->console && !(m->console = malloc(MACHINE_CONSOLE_BYTES)))
		die("out of memory");
	off_t from = st.st_size > MACHINE_CONSOLE_BYTES ? st.st_size - MACHINE_CONSOLE_BYTES : 0;
	ssize_t n = pread(fd, m->console, MACHINE_CONSOLE_BYTES, from);
	close(fd);
	return str_of(m->console, n > 0 ? (size_t)n : 0);
}

void machine_limit_cpu(struct machine *m, unsigned vcpus, unsigned percent)
{
	if (m->has_slot && (m->start.vcpus != vcpus || m->start.cpu_percent != percent))
		machines_limit_cpu(m->owner, m->slot, vcpus, percent);
	m->start.vcpus = vcpus;
	m->start.cpu_percent = percent;
}

void machine_look(struct machine *m)
{
	if (m->state == MACHINE_RUNNING && !m->adopted)
		machine_ask_simple(m, SHIM_STATUS);
}

void machine_usage(const struct machine *m, struct machine_usage *ret)
{
	*ret = m->usage;
}

const struct machine_disk_use *machine_disk_uses(const struct machine *m, size_t *ret_count)
{
	*ret_count = m->disk_use_count;
	return m->disk_uses;
}
