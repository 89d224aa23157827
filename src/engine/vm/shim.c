/* The shim is process 1 of the machine's process namespace. It starts QEMU with its processors stopped, plugs in disks as api says
 * - before the first instruction in the same way as later - and lets it run. It has no rights that QEMU does not have; what it has
 * is that it stays when api, priv and main go, and tells the next api how things stand. */
#include "engine/vm/shim.h"
#include "engine/vm/box.h"
#include "engine/vm/qemu.h"

#include "base/log.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CONSOLE_KEEP = 64 * 1024,
	CONSOLE_FULL = 1 << 20,
	UNPLUG_PATIENCE_US = 30 * 1000000,
	LEAVE_PATIENCE_US = 7 * 1000000,
	TELL_AGAIN_US = 50 * 1000,
	PRESS_AGAIN_US = 2 * 1000000,
};

struct shim {
	struct shim_plan own;
	const struct shim_plan *plan; /* own */
	struct warden_request request;
	int error; /* why it has not started */
	struct loop *loop;
	struct qemu qemu;
	struct box box; /* where plan->request->is_box; QEMU is its storage daemon then */
	int peer;       /* api; -1: none */
	struct loop_fd *claim_watch, *peer_watch, *qmp_watch, *console_watch;
	enum shim_end end;
	bool running, quitting, over;
	bool leaving;               /* the cloud ends: so does this process, once the guest has */
	struct shim_request unplug; /* the one that waits; verb 0: none */
	struct loop_timer *unplug_timer;
	int (*tell)(struct box *b); /* what a container's init was to be told last */
	struct loop_timer *tell_timer;
	off_t console_bytes;
};

static void answer_with(struct shim *s, const struct shim_request *r, int error, const int *fds, size_t nfds)
{
	struct shim_answer a = {.verb = r->verb,
	                        .number = r->number,
	                        .error = error,
	                        .slot = s->plan->slot,
	                        .running = s->running,
	                        .end = s->end,
	                        .is_box = s->plan->request->is_box};
	if (r->verb == SHIM_STATUS && !s->over) {
		qemu_usage(&s->qemu, &a);
		if (s->plan->request->is_box)
			a.cpu_us = box_cpu_us(&s->box);
	}
	if (s->peer >= 0 && msg_send(s->peer, &a, sizeof(a), fds, nfds) < 0)
		shutdown(s->peer, SHUT_RDWR);
}

static void answer(struct shim *s, const struct shim_request *r, int error)
{
	answer_with(s, r, error, NULL, 0);
}

/* ---- the console: a file that keeps its last part ---- */

static void trim_console(struct shim *s)
{
	static char room[CONSOLE_KEEP];
	ssize_t n = pread(s->plan->console, room, sizeof(room), s->console_bytes - CONSOLE_KEEP);
	if (n <= 0 || ftruncate(s->plan->console, 0) < 0 || pwrite(s->plan->console, room, (size_t)n, 0) != n)
		return;
	s->console_bytes = n;
}

static void console_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct shim *s = ctx;
	char room[16384];
	bool box = s->plan->request->is_box;
	ssize_t n = box ? read(s->box.console, room, sizeof(room)) : recv(s->qemu.console, room, sizeof(room), MSG_DONTWAIT);
	if (n > 0) {
		/* a full disk costs text, never the machine */
		if (pwrite(s->plan->console, room, (size_t)n, s->console_bytes) == n)
			s->console_bytes += n;
		if (s->console_bytes > CONSOLE_FULL)
			trim_console(s);
	} else if (n == 0) {
		loop_remove_fd(s->loop, s->console_watch);
		s->console_watch = NULL;
	}
}

/* ---- QEMU ---- */

static void finish_unplug(struct shim *s, int error)
{
	loop_remove_timer(s->loop, s->unplug_timer);
	s->unplug_timer = NULL;
	struct shim_request r = s->unplug;
	s->unplug.verb = 0;
	if (!error)
		error = r.verb == SHIM_UNPORT ? qemu_forget_port(&s->qemu, r.serial) : qemu_forget_disk(&s->qemu, r.disk);
	if (!error && r.verb == SHIM_DISK)
		error = -EAGAIN;
	answer(s, &r, error);
}

static void unplug_is_late(void *ctx)
{
	struct shim *s = ctx;
	s->unplug_timer = NULL;
	finish_unplug(s, -ETIMEDOUT);
}

static void on_event(void *ctx, struct str name, const struct json_value *data)
{
	struct shim *s = ctx;
	if (str_eq(name, S("SHUTDOWN"))) {
		if (json_is(json_get(data, S("guest")), JSON_TRUE))
			s->end = SHIM_END_GUEST;
	} else if (str_eq(name, S("DEVICE_DELETED"))) {
		s->qemu.deleted = qemu_disk_of(&s->qemu, json_get_str(data, S("device")));
		qemu_port_deleted(&s->qemu, json_get_str(data, S("device")));
	} else if (str_eq(name, S("BLOCK_EXPORT_DELETED"))) {
		s->qemu.deleted = qemu_disk_of(&s->qemu, json_get_str(data, S("id")));
	}
}

/* An event may come while a command waits, and what follows from it are commands: so they are looked at here. */
static void after_events(struct shim *s)
{
	struct qemu_disk *d = s->qemu.deleted;
	s->qemu.deleted = NULL;
	bool port = s->unplug.verb == SHIM_UNPORT && strcmp(s->unplug.serial, s->qemu.deleted_port) == 0;
	s->qemu.deleted_port[0] = 0;
	bool of_disk = s->unplug.verb == SHIM_UNPLUG || s->unplug.verb == SHIM_DISK;
	if (port || (d && of_disk && strcmp(s->unplug.disk, d->name) == 0))
		finish_unplug(s, 0);
}

static void qmp_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct shim *s = ctx;
	if (!qmp_read(&s->qemu.qmp)) {
		loop_remove_fd(s->loop, s->qmp_watch);
		s->qmp_watch = NULL;
	}
	after_events(s);
}

static void qemu_ended(void *ctx, int status)
{
	(void)status;
	struct shim *s = ctx;
	if (s->claim_watch)
		_exit(1); /* nobody's yet */
	if (s->qmp_watch)
		qmp_speaks(s, 0); /* its last words say why */
	if (s->console_watch)
		console_speaks(s, 0);
	s->over = true;
	s->running = false;
	if (s->box.pid)
		kill(s->box.pid, SIGKILL); /* it has no disks any more */
	box_drop(&s->box);
	if (!s->end)
		s->end = s->quitting ? SHIM_END_QUIT : SHIM_END_CRASH;
	if (s->unplug.verb)
		finish_unplug(s, -ESRCH);
	struct shim_request nobody = {.verb = SHIM_ENDED};
	answer(s, &nobody, 0);
	if (s->leaving)
		_exit(0);
}

/* ---- containers ---- */

static void init_ended(void *ctx, int status);

static int start_box(struct shim *s)
{
	int error = box_start(&s->box);
	if (error)
		return error;
	loop_remove_fd(s->loop, s->console_watch);
	s->console_watch = loop_add_fd(s->loop, s->box.console, EPOLLIN, console_speaks, s);
	return loop_add_child(s->loop, s->box.pid, init_ended, s);
}

static void init_ended(void *ctx, int status)
{
	struct shim *s = ctx;
	for (int i = 0; i < 64 && s->console_watch; i++)
		console_speaks(s, 0); /* what is still in the terminal */
	s->box.pid = 0;
	if (!s->quitting && box_reboots(status) && start_box(s) == 0)
		return;
	if (!s->quitting)
		s->end = box_is_off(status) ? SHIM_END_GUEST : SHIM_END_CRASH;
	s->running = false;
	box_close(&s->box);
	if (!s->over)
		kill(s->qemu.pid, SIGTERM); /* its end is the machine's */
}

/* Until init listens, or api pulls the plug. */
static void tell_box(void *ctx)
{
	struct shim *s = ctx;
	s->tell_timer = NULL;
	if (s->tell && s->tell(&s->box) == -EAGAIN)
		s->tell_timer = loop_add_timer(s->loop, TELL_AGAIN_US, tell_box, s);
}

static int tell(struct shim *s, int (*what)(struct box *b))
{
	loop_remove_timer(s->loop, s->tell_timer);
	s->tell = what;
	tell_box(s);
	return 0;
}

/* A guest without its ACPI driver yet loses the press, so it is pressed until the guest ends or api pulls the plug. One that is on
 * its way down takes no notice. */
static void press(void *ctx)
{
	struct shim *s = ctx;
	s->tell_timer = NULL;
	if (!s->over && qemu_simple(&s->qemu, "system_powerdown") == 0)
		s->tell_timer = loop_add_timer(s->loop, PRESS_AGAIN_US, press, s);
}

static int press_button(struct shim *s)
{
	loop_remove_timer(s->loop, s->tell_timer);
	s->tell_timer = loop_add_timer(s->loop, PRESS_AGAIN_US, press, s);
	return qemu_simple(&s->qemu, "system_powerdown");
}

/* The daemon has the FUSE device too. If this process kept it, the kernel would wait for answers when both are killed; and the
 * daemon's end would be no end for one who waits here. */
static int offer(struct shim *s, const struct shim_request *r)
{
	char path[40];
	int number = qemu_offer_of(&s->qemu, r->disk), device = s->plan->offers + number, file = -1;
	if (number == 0) {
		close(device);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", s->plan->offers + BOX_OFFER_MOUNT);
		file = open(path, O_RDWR | O_CLOEXEC);
		if (file < 0)
			return -errno;
		close(s->plan->offers + BOX_OFFER_MOUNT);
	}
	answer_with(s, r, 0, number ? &device : &file, 1);
	close(number ? device : file);
	return 1;
}

/* Answered when it is done. A DISK comes here when its container was not given what the storage daemon has already got, because
 * the api that asked for it died in between: the daemon lets go of it, and the answer is that it may be asked for again. */
static int begin_unplug(struct shim *s, const struct shim_request *r)
{
	if (s->unplug.verb)
		return -EBUSY;
	int error = r->verb == SHIM_UNPORT ? qemu_unplug_port(&s->qemu, r->serial) : qemu_unplug_disk(&s->qemu, r->disk);
	if (error)
		return error;
	s->unplug = *r;
	s->unplug_timer = loop_add_timer(s->loop, UNPLUG_PATIENCE_US, unplug_is_late, s);
	return 1;
}

static int obey_box(struct shim *s, const struct shim_request *r, const int *fds)
{
	int error;
	switch (r->verb) {
	case SHIM_HANDLES:
		answer_with(s, r, 0, s->box.handles, HANDLES);
		return 1;
	case SHIM_DISK:
		if (qemu_offer_of(&s->qemu, r->disk) >= 0 && !box_has(&s->box, r->disk))
			return begin_unplug(s, r);
		error = qemu_plug_disk(&s->qemu, r, fds);
		return error ? error : offer(s, r);
	case SHIM_GIVE:
		error = box_give(&s->box, r->disk, r->serial, fds[0], fds[1]);
		return error || r->serial[0] ? error : box_lend_root(&s->box);
	case SHIM_UNPLUG:
		error = box_take(&s->box, r->disk);
		/* One that never came as far as the container is the storage daemon's alone. */
		if (error == -ENOENT && qemu_offer_of(&s->qemu, r->disk) >= 0)
			error = 0;
		return error ? error : 2; /* goes on as with a machine */
	case SHIM_RESIZE:
		error = qemu_resize_disk(&s->qemu, r->disk, r->size);
		return error ? error : box_resized(&s->box, r->disk);
	case SHIM_OVERLAY:
		box_flush(&s->box, r->disk);
		return 2;
	case SHIM_RUN:
		error = start_box(s);
		s->running |= !error;
		return error;
	case SHIM_POWER:
		return tell(s, box_power);
	case SHIM_RESET:
		return tell(s, box_reset);
	case SHIM_PORT:
	case SHIM_UNPORT:
		return -ENOTSUP; /* links are the warden's */
	default:
		return 2;
	}
}

static void pull_plug(void *ctx)
{
	struct shim *s = ctx;
	if (s->box.pid)
		kill(s->box.pid, SIGKILL);
	else
		kill(s->qemu.pid, SIGKILL);
}

static void on_term(void *ctx, int signo)
{
	(void)signo;
	struct shim *s = ctx;
	if (s->over)
		_exit(0);
	if (s->leaving)
		return;
	s->leaving = s->quitting = true;
	bool box = s->plan->request->is_box;
	if (!s->running || (box ? tell(s, box_power) : press_button(s)) < 0)
		pull_plug(s);
	else
		loop_add_timer(s->loop, LEAVE_PATIENCE_US, pull_plug, s);
}

/* ---- api ---- */

static void session_ended(void *ctx, int status)
{
	(void)ctx;
	(void)status;
}

static int begin_session(struct shim *s, const struct shim_request *r)
{
	pid_t pid = 0;
	bool box = s->plan->request->is_box;
	int fd = !s->running ? -EAGAIN : box ? box_session(&s->box, &pid) : qemu_session(&s->qemu, r->files);
	if (fd < 0)
		return fd;
	if (pid)
		loop_add_child(s->loop, pid, session_ended, s);
	answer_with(s, r, 0, &fd, 1);
	close(fd);
	return 1;
}

static int obey(struct shim *s, const struct shim_request *r, const int *fds)
{
	int error;
	if (r->verb == SHIM_STATUS)
		return 0;
	if (r->verb == SHIM_QUIT) {
		if (s->over)
			_exit(0);
		s->quitting = true;
		pull_plug(s);
		return 0;
	}
	if (s->over)
		return -ESRCH;
	if (r->verb == SHIM_SESSION)
		return begin_session(s, r);
	if (s->plan->request->is_box && (error = obey_box(s, r, fds)) != 2)
		return error;
	switch (r->verb) {
	case SHIM_DISK:
		return qemu_plug_disk(&s->qemu, r, fds);
	case SHIM_PORT:
		return qemu_plug_port(&s->qemu, r->serial, fds[0]);
	case SHIM_UNPLUG:
	case SHIM_UNPORT:
		return begin_unplug(s, r);
	case SHIM_OVERLAY:
		return qemu_overlay_disk(&s->qemu, r->disk, r->layer, fds[0]);
	case SHIM_RESIZE:
		return qemu_resize_disk(&s->qemu, r->disk, r->size);
	case SHIM_RUN:
		error = qemu_simple(&s->qemu, "cont");
		s->running |= !error;
		return error;
	case SHIM_POWER:
		return press_button(s);
	case SHIM_RESET:
		return qemu_simple(&s->qemu, "system_reset");
	default:
		return -EINVAL;
	}
}

static void peer_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct shim *s = ctx;
	struct shim_request r;
	int fds[MSG_MAX_FDS];
	size_t nfds = 0;
	ssize_t n = msg_recv(s->peer, &r, sizeof(r), fds, MSG_MAX_FDS, &nfds);
	if (n == -EAGAIN)
		return;
	if (n <= 0 || shim_check(&r, (size_t)n, nfds) < 0) {
		msg_close_fds(fds, nfds);
		loop_remove_fd(s->loop, s->peer_watch);
		s->peer_watch = NULL;
		close(s->peer);
		s->peer = -1;
		return;
	}
	int error = obey(s, &r, fds);
	msg_close_fds(fds, nfds);
	if (error <= 0)
		answer(s, &r, error);
	after_events(s);
}

/* The newest api is the one that counts. */
static void peer_comes(void *ctx, uint32_t events)
{
	(void)events;
	struct shim *s = ctx;
	int fd = accept4(s->plan->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	loop_remove_fd(s->loop, s->peer_watch);
	if (s->peer >= 0)
		close(s->peer);
	s->peer = fd;
	s->peer_watch = loop_add_fd(s->loop, fd, EPOLLIN, peer_speaks, s);
	if (s->over) {
		struct shim_request nobody = {.verb = SHIM_ENDED};
		answer(s, &nobody, 0);
	}
}

int shim_check(const void *p, unsigned long n, unsigned long nfds)
{
	struct shim_request r;
	if (n != sizeof(r))
		return -EINVAL;
	memcpy(&r, p, n);
	if (!memchr(r.disk, 0, sizeof(r.disk)) || !memchr(r.serial, 0, sizeof(r.serial)) || !memchr(r.layer, 0, sizeof(r.layer)))
		return -EINVAL;
	/* they become parts of JSON and names of nodes */
	for (const char *names[] = {r.disk, r.serial, r.layer}, **name = names; name < names + 3; name++)
		for (const char *c = *name; *c; c++)
			if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-'))
				return -EINVAL;
	if (r.verb == SHIM_SESSION)
		return r.files < MACHINE_SESSIONS && nfds == 0 ? 0 : -EINVAL;
	if (r.verb == SHIM_PORT || r.verb == SHIM_UNPORT)
		return r.disk[0] && strlen(r.serial) == 12 && nfds == (r.verb == SHIM_PORT) ? 0 : -EINVAL;
	bool about_disk = (r.verb >= SHIM_DISK && r.verb <= SHIM_RESIZE) || r.verb == SHIM_GIVE;
	if (r.verb < SHIM_DISK || r.verb > SHIM_GIVE || r.verb == SHIM_ENDED || about_disk != (r.disk[0] != 0))
		return -EINVAL;
	if (r.verb == SHIM_DISK && (r.files < 1 || r.files > MACHINE_CHAIN_MAX || strlen(r.serial) > 20))
		return -EINVAL;
	return nfds == (r.verb == SHIM_DISK ? r.files : r.verb == SHIM_OVERLAY ? 1 : r.verb == SHIM_GIVE ? 2 : 0) ? 0 : -EINVAL;
}

/* It is somebody's, and known to api from here on. */
static void serve(struct shim *s)
{
	struct stat st;
	if (fstat(s->plan->console, &st) == 0)
		s->console_bytes = st.st_size;
	if (s->error)
		dprintf(s->plan->console, "the machine does not start: %s\n", strerror(-s->error));
	loop_add_fd(s->loop, s->plan->listen, EPOLLIN, peer_comes, s);
}

static void claimed(void *ctx, uint32_t events)
{
	(void)events;
	struct shim *s = ctx;
	int fds[WARDEN_FD_KERNEL];
	size_t nfds;
	ssize_t n = msg_recv(s->own.claim, &s->request, sizeof(s->request), fds, WARDEN_FD_KERNEL, &nfds);
	if (n == -EAGAIN)
		return;
	if (n != sizeof(s->request) || nfds != WARDEN_FD_KERNEL)
		_exit(0);
	loop_remove_fd(s->loop, s->claim_watch);
	s->claim_watch = NULL;
	close(s->own.claim);
	s->own.request = &s->request;
	s->own.listen = fds[WARDEN_FD_LISTEN];
	s->own.console = fds[WARDEN_FD_CONSOLE];
	serve(s);
}

_Noreturn void shim_run(const struct shim_plan *plan)
{
	static struct shim shim;
	struct shim *s = &shim;
	*s = (struct shim){.own = *plan, .plan = &s->own, .peer = -1, .loop = loop_new()};
	signal(SIGPIPE, SIG_IGN);
	int32_t error = plan->request->is_box ? box_open(&s->box, s->plan) : 0;
	if (!error && plan->request->is_box)
		error = box_prepare(&s->box);
	if (!error)
		error = qemu_start(&s->qemu, s->plan, on_event, s);
	if (error) {
		s->error = error;
		s->over = true;
		s->end = SHIM_END_CRASH;
	} else {
		s->qmp_watch = loop_add_fd(s->loop, s->qemu.qmp.sock, EPOLLIN, qmp_speaks, s);
		if (!plan->request->is_box)
			s->console_watch = loop_add_fd(s->loop, s->qemu.console, EPOLLIN, console_speaks, s);
		loop_add_child(s->loop, s->qemu.pid, qemu_ended, s);
	}
	loop_add_signal(s->loop, SIGTERM, on_term, s);
	if (plan->claim < 0) {
		serve(s);
	} else {
		s->claim_watch = loop_add_fd(s->loop, plan->claim, EPOLLIN, claimed, s);
		send(plan->claim, &error, sizeof(error), MSG_NOSIGNAL);
	}
	loop_run(s->loop);
	_exit(1);
}
