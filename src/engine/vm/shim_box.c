/* Containers, for the shim: their init, their disks by QEMU's storage daemon. */
#include "engine/vm/shim_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { TELL_AGAIN_US = 50 * 1000 };

static void init_ended(void *ctx, int status);

int shim_start_box(struct shim *s)
{
	int error = box_start(&s->box);
	if (error)
		return error;
	shim_watch_console(s, s->box.console);
	return loop_add_child(s->loop, s->box.pid, init_ended, s);
}

static void init_ended(void *ctx, int status)
{
	struct shim *s = ctx;
	for (int i = 0; i < 64 && s->console_watch; i++)
		shim_read_console(s); /* what is still in the terminal */
	s->box.pid = 0;
	if (!s->quitting && (s->going || s->force) && shim_reset_ended(s) == 0)
		return;
	if (!s->quitting && box_reboots(status) && shim_start_box(s) == 0)
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

int shim_tell_box(struct shim *s, int (*what)(struct box *b))
{
	loop_remove_timer(s->loop, s->tell_timer);
	s->tell = what;
	tell_box(s);
	return 0;
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
	shim_answer_with(s, r, 0, number ? &device : &file, 1);
	close(number ? device : file);
	return 1;
}

int shim_obey_box(struct shim *s, const struct shim_request *r, const int *fds)
{
	int error;
	switch (r->verb) {
	case SHIM_HANDLES:
		shim_answer_with(s, r, 0, s->box.handles, HANDLES);
		return 1;
	case SHIM_DISK:
		/* Its container was not given what the storage daemon has already got, because the api that asked for it died in
		 * between: the daemon lets go of it, and the answer is that it may be asked for again. */
		if (qemu_offer_of(&s->qemu, r->disk) >= 0 && !box_has(&s->box, r->disk))
			return shim_begin_unplug(s, r);
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
		error = qemu_resize_disk(&s->qemu, r);
		return error ? error : box_resized(&s->box, r->disk);
	case SHIM_OVERLAY:
		box_flush(&s->box, r->disk);
		return 2;
	case SHIM_RUN:
		error = s->down ? shim_come_up(s) : shim_start_box(s);
		s->running |= !error;
		return error;
	case SHIM_POWER:
		shim_end_reset(s);
		return s->end ? 0 : shim_tell_box(s, box_power);
	case SHIM_PORT:
	case SHIM_UNPORT:
		return -ENOTSUP; /* links are the warden's */
	default:
		return 2;
	}
}
