/* The shim is process 1 of the machine's process namespace. It starts QEMU with its processors stopped, plugs in disks as api says
 * - before the first instruction in the same way as later - and lets it run. It has no rights that QEMU does not have; what it has
 * is that it stays when api, priv and main go, and tells the next api how things stand. */
#include "engine/vm/shim_state.h"

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
	FORCE_PATIENCE_US = 10 * 1000000,
	LEAVE_PATIENCE_US = 7 * 1000000,
	PRESS_AGAIN_US = 2 * 1000000,
};

void shim_answer_with(struct shim *s, const struct shim_request *r, int error, const int *fds, size_t nfds)
{
	struct shim_answer a = {.verb = r->verb,
	                        .number = r->number,
	                        .error = error,
	                        .slot = s->plan->slot,
	                        .running = s->running ? s->down ? 2 : 1 : 0,
	                        .end = s->end,
	                        .is_box = s->plan->request->is_box};
	int uses = -1;
	if (r->verb == SHIM_STATUS && !s->over) {
		uses = a.is_box ? box_usage(&s->box, &a) : qemu_usage(&s->qemu, &a);
		if (uses >= 0) {
			fds = &uses;
			nfds = 1;
		}
	}
	if (s->peer >= 0 && msg_send(s->peer, &a, sizeof(a), fds, nfds) < 0)
		shutdown(s->peer, SHUT_RDWR);
	if (uses >= 0)
		close(uses);
}

void shim_answer(struct shim *s, const struct shim_request *r, int error)
{
	shim_answer_with(s, r, error, NULL, 0);
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

void shim_read_console(struct shim *s)
{
	console_speaks(s, 0);
}

void shim_watch_console(struct shim *s, int fd)
{
	loop_remove_fd(s->loop, s->console_watch);
	s->console_watch = loop_add_fd(s->loop, fd, EPOLLIN, console_speaks, s);
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
	shim_answer(s, &r, error);
}

static void unplug_is_late(void *ctx)
{
	struct shim *s = ctx;
	s->unplug_timer = NULL;
	finish_unplug(s, s->unplug.files == 1 && s->unplug.verb == SHIM_UNPLUG ? qemu_orphan_disk(&s->qemu, s->unplug.disk)
	                                                                       : -ETIMEDOUT);
}

static void on_event(void *ctx, struct str name, const struct json_value *data)
{
	struct shim *s = ctx;
	if (str_eq(name, S("SHUTDOWN"))) {
		if (s->going)
			s->ended_itself = true;
		else if (json_is(json_get(data, S("guest")), JSON_TRUE))
			s->end = SHIM_END_GUEST;
	} else if (str_eq(name, S("RESET"))) {
		s->was_reset = true;
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
	if (s->going && s->ended_itself && !s->plan->request->is_box)
		shim_reset_ended(s);
	if (s->coming && s->was_reset) {
		s->coming = false;
		qemu_stand_still(&s->qemu, false);
		qemu_simple(&s->qemu, "cont");
	}
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
		shim_read_console(s);
	s->over = true;
	s->running = false;
	if (s->box.pid)
		kill(s->box.pid, SIGKILL); /* it has no disks any more */
	box_drop(&s->box);
	if (!s->end)
		s->end = s->quitting ? SHIM_END_QUIT : SHIM_END_CRASH;
	if (s->unplug.verb)
		finish_unplug(s, -ESRCH);
	shim_forget_reset(s, -ESRCH);
	struct shim_request nobody = {.verb = SHIM_ENDED};
	shim_answer(s, &nobody, 0);
	if (s->leaving)
		_exit(0);
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

int shim_press(struct shim *s)
{
	loop_remove_timer(s->loop, s->tell_timer);
	s->tell_timer = loop_add_timer(s->loop, PRESS_AGAIN_US, press, s);
	return qemu_simple(&s->qemu, "system_powerdown");
}

/* Answered when it is done. */
int shim_begin_unplug(struct shim *s, const struct shim_request *r)
{
	if (s->unplug.verb)
		return -EBUSY;
	int error = r->verb == SHIM_UNPORT ? qemu_unplug_port(&s->qemu, r->serial) : qemu_unplug_disk(&s->qemu, r->disk);
	if (error)
		return error;
	bool force = r->verb == SHIM_UNPLUG && r->files == 1;
	s->unplug = *r;
	s->unplug_timer = loop_add_timer(s->loop, force ? FORCE_PATIENCE_US : UNPLUG_PATIENCE_US, unplug_is_late, s);
	return 1;
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
	shim_end_reset(s);
	s->leaving = s->quitting = true;
	bool box = s->plan->request->is_box;
	if (!s->running || (box ? shim_tell_box(s, box_power) : shim_press(s)) < 0)
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
	shim_answer_with(s, r, 0, &fd, 1);
	close(fd);
	return 1;
}

static int show_screen(struct shim *s, const struct shim_request *r)
{
	const struct warden_request *plan = s->plan->request;
	int fd = plan->is_box || plan->has_kernel ? -ENOTSUP : qemu_screen(&s->qemu, r->files == 1);
	if (fd < 0)
		return fd;
	shim_answer_with(s, r, 0, &fd, 1);
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
	if (r->verb == SHIM_SCREEN)
		return show_screen(s, r);
	if (s->plan->request->is_box && (error = shim_obey_box(s, r, fds)) != 2)
		return error;
	switch (r->verb) {
	case SHIM_DISK:
		return qemu_plug_disk(&s->qemu, r, fds);
	case SHIM_PORT:
		return qemu_plug_port(&s->qemu, r->serial, fds[0]);
	case SHIM_UNPLUG:
	case SHIM_UNPORT:
		return shim_begin_unplug(s, r);
	case SHIM_OVERLAY:
		return qemu_overlay_disk(&s->qemu, r->disk, r->layer, fds[0]);
	case SHIM_RESIZE:
		return qemu_resize_disk(&s->qemu, r);
	case SHIM_RUN:
		error = s->down ? shim_come_up(s) : qemu_simple(&s->qemu, "cont");
		s->running |= !error;
		return error;
	case SHIM_POWER:
		shim_end_reset(s);
		return s->end ? 0 : shim_press(s);
	case SHIM_RESET:
		return shim_begin_reset(s, r);
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
		shim_answer(s, &r, error);
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
		shim_answer(s, &nobody, 0);
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
	if (r.verb == SHIM_SCREEN)
		return r.files < 2 && nfds == 0 ? 0 : -EINVAL;
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
	if (s->own.outside >= 0) /* for the storage daemon, and nobody who comes after it */
		close(s->own.outside);
	s->own.outside = -1;
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
