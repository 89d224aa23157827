/* A reboot: the guest is asked to end, and boots anew when it has, or when it does not for minutes. Between the two it may stand
 * still for as long as somebody needs its disks as they are. A virtual machine knows no other way to be asked than its power
 * button, so QEMU is told to stand still at its end and not to end itself. */
#include "engine/vm/shim_state.h"

#include <errno.h>
#include <signal.h>

enum { RESET_PATIENCE_US = 240 * 1000000 };

int shim_come_up(struct shim *s)
{
	s->down = s->force = false;
	if (s->plan->request->is_box)
		return shim_start_box(s);
	/* goes on when an event says that it is done */
	s->coming = true;
	s->was_reset = false;
	return qemu_simple(&s->qemu, "system_reset");
}

void shim_forget_reset(struct shim *s, int error)
{
	struct shim_request r = s->reset_asks;
	loop_remove_timer(s->loop, s->reset_timer);
	loop_remove_timer(s->loop, s->tell_timer);
	s->reset_timer = s->tell_timer = NULL;
	s->tell = NULL;
	s->going = s->stay = s->ended_itself = false;
	s->reset_asks.verb = 0;
	if (r.verb)
		shim_answer(s, &r, error);
}

int shim_reset_ended(struct shim *s)
{
	s->down = s->stay;
	shim_forget_reset(s, 0);
	return s->down ? 0 : shim_come_up(s);
}

static void reset_is_late(void *ctx)
{
	struct shim *s = ctx;
	s->reset_timer = NULL;
	if (s->plan->request->is_box) {
		s->force = true; /* goes on when it is dead */
		kill(s->box.pid, SIGKILL);
	} else {
		qemu_simple(&s->qemu, "stop");
		shim_reset_ended(s);
	}
}

int shim_begin_reset(struct shim *s, const struct shim_request *r)
{
	bool box = s->plan->request->is_box;
	if (s->down || s->coming || !s->running)
		return s->running ? 0 : -EAGAIN;
	if (!s->going) {
		int error = box ? shim_tell_box(s, box_reset) : qemu_stand_still(&s->qemu, true);
		if (!error && !box)
			error = shim_press(s);
		if (error)
			return error;
		s->going = true;
		s->reset_timer = loop_add_timer(s->loop, RESET_PATIENCE_US, reset_is_late, s);
	}
	if (r->files != 1 || s->reset_asks.verb)
		return 0;
	s->stay = true;
	s->reset_asks = *r;
	return 1; /* answered later */
}

void shim_end_reset(struct shim *s)
{
	bool box = s->plan->request->is_box, down = s->down;
	if (!box && (s->going || down)) /* one that is coming up does so, and hears the button then */
		qemu_stand_still(&s->qemu, false);
	shim_forget_reset(s, -ESRCH);
	s->down = false;
	if (!down)
		return;
	s->end = SHIM_END_GUEST;
	if (box)
		box_close(&s->box);
	kill(s->qemu.pid, SIGTERM);
}
