/* Why "pc" and not a newer machine: disks are plugged into its one PCI bus by ACPI, which every guest's kernel has built in, and
 * its firmware starts a kernel in tenths of a second even where every instruction is emulated. */
#include "engine/vm/qemu.h"
#include "engine/vm/warden_box.h"

#include "base/arena.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ARGS_MAX = 128, MONITOR_FD = 3, CONSOLE_FD = 4, FILES_FD = 5, TRANSLATION_MB = 96, PIECE_BYTES = 256 * 1024 };

struct args {
	const char *v[ARGS_MAX];
	unsigned n;
	struct arena *arena;
};

static void add(struct args *a, const char *option, struct str value)
{
	if (a->n + 3 > ARGS_MAX)
		_exit(126);
	a->v[a->n++] = option;
	if (str_set(value))
		a->v[a->n++] = arena_dupz(a->arena, value);
	a->v[a->n] = NULL;
}
#define ADD(a, option, ...) add(a, option, arena_printf((a)->arena, __VA_ARGS__))

/* A container's disks are offered as files by the part of QEMU that knows nothing of machines. */
static void storage_command_line(struct args *a)
{
	add(a, storage_program, STR_NONE);
	ADD(a, "--chardev", "socket,id=monitor,fd=%d", MONITOR_FD);
	ADD(a, "--monitor", "chardev=monitor");
}

static void command_line(struct args *a, const struct shim_plan *p)
{
	const struct warden_request *r = p->request;
	add(a, "/usr/bin/qemu-system-x86_64", STR_NONE);
	ADD(a, "-name", "guest=%s", r->name);
	ADD(a, "-machine", "pc,usb=off,vmport=off,graphics=off");
	if (r->kvm)
		add(a, "-accel", S("kvm"));
	else
		ADD(a, "-accel", "tcg,thread=multi,tb-size=%d", TRANSLATION_MB);
	add(a, "-cpu", r->kvm ? S("host") : S("max,la57=off")); /* five levels of page tables would be walked in software */
	ADD(a, "-smp", "%u", r->vcpus);
	ADD(a, "-m", "%u", r->memory_mb);
	add(a, "-nodefaults", STR_NONE);
	add(a, "-no-user-config", STR_NONE);
	add(a, "-S", STR_NONE);
	ADD(a, "-display", "none");
	ADD(a, "-rtc", "base=utc");
	ADD(a, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	ADD(a, "-chardev", "socket,id=monitor,fd=%d", MONITOR_FD);
	ADD(a, "-mon", "chardev=monitor,mode=control");
	ADD(a, "-chardev", "socket,id=console,fd=%d", CONSOLE_FD);
	ADD(a, "-serial", "chardev:console");
	ADD(a, "-device", "virtio-rng-pci");
	/* A kernel of ours speaks on the serial line; what a boot loader of the disk's own starts may want a screen. */
	if (!r->has_kernel)
		ADD(a, "-device", "VGA,vgamem_mb=8");
	unsigned tap = FILES_FD;
	if (r->has_kernel) {
		ADD(a, "-kernel", "/proc/self/fd/%u", tap++);
		ADD(a, "-initrd", "/proc/self/fd/%u", tap++);
		ADD(a, "-append", "%s", r->cmdline);
	}
	for (unsigned i = 0; i < r->port_count; i++) {
		const uint8_t *m = r->mac[i];
		struct str name = arena_printf(a->arena, "%02x%02x%02x%02x%02x%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
		ADD(a, "-netdev", "tap,id=n-%.*s,fd=%u", STR_ARG(name), tap + i);
		ADD(a, "-device",
		    "virtio-net-pci,id=p-%.*s,netdev=n-%.*s,mac=%02x:%02x:%02x:%02x:%02x:%02x,romfile=", STR_ARG(name),
		    STR_ARG(name), m[0], m[1], m[2], m[3], m[4], m[5]);
	}
	ADD(a, "-device", "virtio-serial-pci,max_ports=%d", MACHINE_SESSIONS + 1);
	for (unsigned i = 0; i < MACHINE_SESSIONS; i++) {
		ADD(a, "-chardev", "socket,id=s%u,fd=%u,server=on,wait=off", i, tap + r->port_count + i);
		ADD(a, "-device", "virtserialport,chardev=s%u,name=quartet.session.%u", i, i);
	}
}

/* By a name in this process's own network namespace, so that nobody else can come. */
static int listen_for_sessions(int fds[MACHINE_SESSIONS])
{
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	for (int i = 0; i < MACHINE_SESSIONS; i++)
		if ((fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
		    bind(fds[i], (struct sockaddr *)&any, sizeof(any.sun_family)) < 0 || listen(fds[i], 1) < 0)
			return -errno;
	return 0;
}

int qemu_session(struct qemu *q, unsigned port)
{
	struct sockaddr_un at;
	socklen_t n = sizeof(at);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || getsockname(q->sessions[port], (struct sockaddr *)&at, &n) < 0 ||
	    connect(fd, (struct sockaddr *)&at, n) < 0) {
		int error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	return fd;
}

/* Moves descriptors to their places, from places above all of them. */
static void place(const int *fds, unsigned n, unsigned first)
{
	int high[64];
	for (unsigned i = 0; i < n; i++)
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 200);
	for (unsigned i = 0; i < n; i++)
		if (high[i] < 0 || dup2(high[i], (int)(first + i)) < 0)
			_exit(126);
}

static _Noreturn void become_qemu(const struct shim_plan *p, int monitor, int console, const int *sessions)
{
	struct arena arena;
	arena_init(&arena, 1 << 20);
	struct args a = {.arena = &arena};
	if (p->request->is_box && p->outside >= 0 && write(p->outside, "0", 1) != 1)
		_exit(126);
	if (p->request->is_box)
		storage_command_line(&a);
	else
		command_line(&a, p);
	unsigned n = 2 + (p->request->has_kernel ? 2 : 0) + p->request->port_count;
	int fds[2 + 2 + 8 + MACHINE_SESSIONS] = {monitor, console};
	memcpy(fds + 2, p->files, (n - 2) * sizeof(int));
	for (int i = 0; i < MACHINE_SESSIONS && !p->request->is_box; i++)
		fds[n++] = sessions[i];
	int text = fcntl(p->console, F_DUPFD_CLOEXEC, 200);
	place(fds, n, MONITOR_FD);
	int null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	/* the storage daemon speaks of every offer that nobody has mounted yet */
	dup2(p->request->is_box ? null : text, 1);
	dup2(p->request->is_box ? null : text, 2);
	for (int i = 0; i < BOX_OFFERS && p->request->is_box; i++)
		if (dup2(p->offers + i, (int)n + MONITOR_FD + i) < 0)
			_exit(126);
	close_range(MONITOR_FD + n + (p->request->is_box ? BOX_OFFERS : 0), ~0u, 0);
	/* A storage daemon that were the last in the mount namespace with the root would, as it is killed, write that root out to
	 * itself and never end, and whoever calls sync() on the machine with it. */
	if (p->request->is_box &&
	    (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || chdir("/") < 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* a container's shim has put it on itself */
	if (p->filter && !p->request->is_box && prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, p->filter, 0, 0) < 0)
		_exit(126);
	const char *const environment[] = {"PATH=/usr/bin", "LC_ALL=C", NULL};
	execve(a.v[0], (char *const *)(uintptr_t)a.v, (char *const *)(uintptr_t)environment);
	_exit(127);
}

int qemu_start(struct qemu *q, const struct shim_plan *plan, void (*event)(void *, struct str, const struct json_value *),
               void *ctx)
{
	int monitor[2], console[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, monitor) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) < 0)
		return -errno;
	*q = (struct qemu){.console = console[0], .next = 1, .offers_files = plan->request->is_box};
	int error = plan->request->is_box ? 0 : listen_for_sessions(q->sessions);
	q->pid = error ? -1 : fork();
	if (q->pid == 0)
		become_qemu(plan, monitor[1], console[1], q->sessions);
	if (!error && q->pid < 0)
		error = -errno;
	close(monitor[1]);
	close(console[1]);
	if (!error)
		error = qmp_open(&q->qmp, monitor[0], event, ctx);
	if (error && q->pid > 0)
		kill(q->pid, SIGKILL);
	return error;
}

/* ---- asking ---- */

#define ASK(q, arena, name, fd, ...) qmp_ask(&(q)->qmp, arena, name, arena_printf(arena, __VA_ARGS__), fd, NULL)

int qemu_simple(struct qemu *q, const char *command)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	return qmp_ask(&q->qmp, &a, command, STR_NONE, -1, NULL);
}

static struct qemu_disk *find(struct qemu *q, const char *name)
{
	for (unsigned i = 0; i < QEMU_DISKS; i++)
		if (strcmp(q->disks[i].name, name) == 0)
			return &q->disks[i];
	return NULL;
}

struct qemu_disk *qemu_disk_of(struct qemu *q, struct str device)
{
	for (unsigned i = 0; i < QEMU_DISKS; i++)
		if (q->disks[i].name[0] && device.n > 2 && str_eq(str_of(device.p + 2, device.n - 2), str_from(q->disks[i].name)))
			return &q->disks[i];
	return NULL;
}

static unsigned top(const struct qemu_disk *d)
{
	return d->nodes[d->node_count - 1];
}

/* The storage daemon has no sets of descriptors; it opens this process's own, which stay open for as long. */
static int keep_file(struct qemu_disk *d, int fd)
{
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	d->sets[d->set_count++] = (unsigned)fd;
	return 0;
}

static int add_set(struct qemu *q, struct arena *a, struct qemu_disk *d, int fd)
{
	if (d->set_count == sizeof(d->sets) / sizeof(d->sets[0]))
		return -ENOSPC;
	if (q->offers_files)
		return keep_file(d, fd);
	unsigned set = q->next++;
	int error = ASK(q, a, "add-fd", fd, "{\"fdset-id\":%u}", set);
	if (!error)
		d->sets[d->set_count++] = set;
	return error;
}

static void drop_sets(struct qemu *q, struct arena *a, struct qemu_disk *d)
{
	for (unsigned i = 0; i < d->set_count; i++)
		if (q->offers_files)
			close((int)d->sets[i]);
		else
			ASK(q, a, "remove-fd", -1, "{\"fdset-id\":%u}", d->sets[i]);
	memset(d, 0, sizeof(*d));
}

static const char *files_at(const struct qemu *q)
{
	return q->offers_files ? "/proc/1/fd/" : "/dev/fdset/";
}

/* The limits as QEMU has them: what bursts is what is limited, and what is more than 256 KiB counts as several operations, as it
 * does for EBS. */
struct speed {
	unsigned long long bytes, bytes_most, bytes_s, iops_most, iops_s;
	unsigned iops, piece;
};

static struct speed speed_of(const struct shim_request *r, uint32_t most, uint32_t seconds)
{
	bool bursts = most && seconds, by_iops = bursts && r->iops, by_bytes = bursts && !r->iops;
	return (struct speed){.bytes = (unsigned long long)r->mib_per_s << 20,
	                      .bytes_most = by_bytes ? (unsigned long long)most << 20 : 0,
	                      .bytes_s = by_bytes ? seconds : 1,
	                      .iops = r->iops,
	                      .iops_most = by_iops ? most : 0,
	                      .iops_s = by_iops ? seconds : 1,
	                      .piece = r->iops ? PIECE_BYTES : 0};
}

static int limit_device(struct qemu *q, struct arena *a, const char *disk, const struct speed *s)
{
	return ASK(
	        q, a, "block_set_io_throttle", -1,
	        "{\"id\":\"/machine/peripheral/d-%s/virtio-backend\",\"bps\":%llu,\"bps_rd\":0,\"bps_wr\":0,\"iops\":%u,\"iops_rd\":0,\"iops_wr\":0,"
	        "\"bps_max\":%llu,\"bps_max_length\":%llu,\"iops_max\":%llu,\"iops_max_length\":%llu,\"iops_size\":%u}",
	        disk, s->bytes, s->iops, s->bytes_most, s->bytes_s, s->iops_most, s->iops_s, s->piece);
}

static struct str limits_of(struct arena *a, const struct speed *s)
{
	return arena_printf(a,
	                    "{\"bps-total\":%llu,\"iops-total\":%u,\"bps-total-max\":%llu,\"bps-total-max-length\":%llu,"
	                    "\"iops-total-max\":%llu,\"iops-total-max-length\":%llu,\"iops-size\":%u}",
	                    s->bytes, s->iops, s->bytes_most, s->bytes_s, s->iops_most, s->iops_s, s->piece);
}

static int plug_device(struct qemu *q, struct arena *a, const struct shim_request *r, unsigned node)
{
	int error =
	        ASK(q, a, "device_add", -1, "{\"driver\":\"virtio-blk-pci\",\"id\":\"d-%s\",\"drive\":\"n%u\",\"serial\":\"%s\"}",
	            r->disk, node, r->serial);
	struct speed s = speed_of(r, r->burst.most, r->burst.seconds);
	if (!error && (r->iops || r->mib_per_s))
		error = limit_device(q, a, r->disk, &s);
	return error;
}

/* The speed is held by a node between the export and the disk. What the daemon takes for the place to mount at is the name by which
 * libfuse knows a device that somebody else will mount, a file of which name has to be there (warden_box.c). */
static int offer_file(struct qemu *q, struct arena *a, const struct shim_request *r, unsigned node, struct qemu_disk *d)
{
	if (q->offered == BOX_OFFERS)
		return -ENOSPC;
	d->offer = q->offered++;
	struct speed s = speed_of(r, r->burst.most, r->burst.seconds);
	struct str limits = limits_of(a, &s);
	int error = ASK(q, a, "object-add", -1, "{\"qom-type\":\"throttle-group\",\"id\":\"t-%s\",\"limits\":%.*s}", r->disk,
	                STR_ARG(limits));
	if (!error)
		error = ASK(q, a, "blockdev-add", -1,
		            "{\"driver\":\"throttle\",\"node-name\":\"t%u\",\"throttle-group\":\"t-%s\",\"file\":\"n%u\"}", node,
		            r->disk, node);
	if (!error)
		error = ASK(
		        q, a, "block-export-add", -1,
		        "{\"type\":\"fuse\",\"id\":\"d-%s\",\"node-name\":\"t%u\",\"mountpoint\":\"/dev/fd/%d\",\"writable\":true,\"allow-other\":\"off\"}",
		        r->disk, node, FILES_FD + d->offer);
	return error;
}

int qemu_plug_disk(struct qemu *q, const struct shim_request *r, const int *fds)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 4 << 20);
	struct qemu_disk *d = find(q, "");
	if (find(q, r->disk))
		return -EEXIST;
	if (!d)
		return -ENOSPC;
	struct qemu_disk made = {0};
	int error = 0;
	for (unsigned i = 0; i < r->files && !error; i++)
		error = add_set(q, &a, &made, fds[i]);
	if (error) {
		drop_sets(q, &a, &made);
		return error;
	}
	/* from the bottom up, each inside the one above it */
	struct str chain = S("null");
	unsigned node = q->next++;
	for (unsigned i = r->files; i-- > 0;) {
		bool raw = r->raw >> i & 1;
		/* locks would be the opener's, and he has closed his */
		struct str file = arena_printf(
		        &a, "\"file\":{\"driver\":\"file\",\"filename\":\"%s%u\",\"locking\":\"off\",\"discard\":\"unmap\"%s}",
		        files_at(q), made.sets[i], i ? ",\"read-only\":true" : "");
		struct str below = raw ? STR_NONE : arena_printf(&a, ",\"backing\":%.*s", STR_ARG(chain));
		struct str name =
		        i ? S("\"read-only\":true,") : arena_printf(&a, "\"node-name\":\"n%u\",\"discard\":\"unmap\",", node);
		chain = arena_printf(&a, "{%.*s\"driver\":\"%s\",%.*s%.*s}", STR_ARG(name), raw ? "raw" : "qcow2", STR_ARG(file),
		                     STR_ARG(below));
	}
	error = qmp_ask(&q->qmp, &a, "blockdev-add", chain, -1, NULL);
	if (error) {
		drop_sets(q, &a, &made);
		return error;
	}
	error = q->offers_files ? offer_file(q, &a, r, node, &made) : plug_device(q, &a, r, node);
	if (error) {
		ASK(q, &a, "blockdev-del", -1, "{\"node-name\":\"n%u\"}", node);
		drop_sets(q, &a, &made);
		return error;
	}
	*d = made;
	snprintf(d->name, sizeof(d->name), "%s", r->disk);
	d->nodes[d->node_count++] = node;
	return 0;
}

int qemu_offer_of(struct qemu *q, const char *name)
{
	struct qemu_disk *d = find(q, name);
	return d ? d->offer : -ENOENT;
}

int qemu_unplug_disk(struct qemu *q, const char *name)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	if (!find(q, name))
		return -ENOENT;
	if (q->offers_files)
		return ASK(q, &a, "block-export-del", -1, "{\"id\":\"d-%s\",\"mode\":\"hard\"}", name);
	return ASK(q, &a, "device_del", -1, "{\"id\":\"d-%s\"}", name);
}

int qemu_forget_disk(struct qemu *q, const char *name)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	struct qemu_disk *d = find(q, name);
	if (!d)
		return -ENOENT;
	int error = q->offers_files ? ASK(q, &a, "blockdev-del", -1, "{\"node-name\":\"t%u\"}", d->nodes[0]) : 0;
	if (!error && q->offers_files)
		error = ASK(q, &a, "object-del", -1, "{\"id\":\"t-%s\"}", d->name);
	while (d->node_count && !error)
		error = ASK(q, &a, "blockdev-del", -1, "{\"node-name\":\"n%u\"}", d->nodes[--d->node_count]);
	drop_sets(q, &a, d);
	return error;
}

int qemu_orphan_disk(struct qemu *q, const char *name)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	struct qemu_disk *d = find(q, name);
	if (!d)
		return -ENOENT;
	if (q->offers_files)
		return -EBUSY;
	unsigned node = q->next++;
	int error = ASK(q, &a, "blockdev-add", -1,
	                "{\"driver\":\"blkdebug\",\"node-name\":\"n%u\",\"image\":{\"driver\":\"null-co\",\"size\":1048576},"
	                "\"inject-error\":[{\"event\":\"none\",\"errno\":%d}]}",
	                node, EIO);
	if (error)
		return error;
	error = ASK(q, &a, "qom-set", -1,
	            "{\"path\":\"/machine/peripheral/d-%s/virtio-backend\",\"property\":\"drive\",\"value\":\"n%u\"}", name, node);
	if (error)
		ASK(q, &a, "blockdev-del", -1, "{\"node-name\":\"n%u\"}", node);
	return error;
}

int qemu_stand_still(struct qemu *q, bool on)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	return ASK(q, &a, "set-action", -1, "{\"shutdown\":\"%s\"}", on ? "pause" : "poweroff");
}

int qemu_overlay_disk(struct qemu *q, const char *name, const char *layer, int fd)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	struct qemu_disk *d = find(q, name);
	if (!d)
		return -ENOENT;
	if (strcmp(d->layer, layer) == 0)
		return 0;
	if (d->node_count == QEMU_NODES)
		return -ENOSPC;
	int error = add_set(q, &a, d, fd);
	if (error)
		return error;
	unsigned node = q->next++;
	error = ASK(q, &a, "blockdev-add", -1,
	            "{\"driver\":\"qcow2\",\"node-name\":\"n%u\",\"discard\":\"unmap\",\"backing\":null,"
	            "\"file\":{\"driver\":\"file\",\"filename\":\"%s%u\",\"locking\":\"off\",\"discard\":\"unmap\"}}",
	            node, files_at(q), d->sets[d->set_count - 1]);
	if (error)
		return error;
	error = ASK(q, &a, "blockdev-snapshot", -1, "{\"node\":\"n%u\",\"overlay\":\"n%u\"}", top(d), node);
	if (error) {
		ASK(q, &a, "blockdev-del", -1, "{\"node-name\":\"n%u\"}", node);
		return error;
	}
	d->nodes[d->node_count++] = node;
	snprintf(d->layer, sizeof(d->layer), "%s", layer);
	return 0;
}

int qemu_resize_disk(struct qemu *q, const struct shim_request *r)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	struct qemu_disk *d = find(q, r->disk);
	if (!d)
		return -ENOENT;
	/* the node that holds a file's speed remembers the size, so it has to grow, and what is below it grows with it */
	int error = ASK(q, &a, "block_resize", -1, "{\"node-name\":\"%c%u\",\"size\":%llu}", q->offers_files ? 't' : 'n',
	                q->offers_files ? d->nodes[0] : top(d), (unsigned long long)r->size);
	if (error || r->files != 1)
		return error;
	struct speed s = speed_of(r, r->new_burst.most, r->new_burst.seconds);
	if (!q->offers_files)
		return limit_device(q, &a, r->disk, &s);
	struct str limits = limits_of(&a, &s);
	return ASK(q, &a, "qom-set", -1, "{\"path\":\"/objects/t-%s\",\"property\":\"limits\",\"value\":%.*s}", r->disk,
	           STR_ARG(limits));
}

/* ---- the screen ---- */

int qemu_screen(struct qemu *q, bool wake)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	char path[40];
	int fd = memfd_create("screen", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int to = fd < 0 ? -1 : open(path, O_WRONLY | O_CLOEXEC); /* as QEMU opens what it shall write to */
	int error = to < 0 ? -errno : 0;
	unsigned set = q->next++;
	if (!error && wake)
		error = ASK(q, &a, "send-key", -1, "{\"keys\":[{\"type\":\"qcode\",\"data\":\"shift\"}]}");
	if (!error)
		error = ASK(q, &a, "add-fd", to, "{\"fdset-id\":%u}", set);
	if (!error) {
		error = ASK(q, &a, "screendump", -1, "{\"filename\":\"/dev/fdset/%u\"}", set);
		ASK(q, &a, "remove-fd", -1, "{\"fdset-id\":%u}", set);
	}
	if (to >= 0)
		close(to);
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	return error;
}
