#include "unit.h"

#include "io/work.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

struct note {
	struct loop *loop;
	char order[16];
	size_t n;
	struct loop_timer *other;
	int status;
};

static void note_a(void *ctx)
{
	struct note *t = ctx;
	t->order[t->n++] = 'a';
}

static void note_b_and_cancel(void *ctx)
{
	struct note *t = ctx;
	t->order[t->n++] = 'b';
	loop_remove_timer(t->loop, t->other);
}

static void stop(void *ctx)
{
	loop_stop(((struct note *)ctx)->loop);
}

static void timers_fire_in_order_and_cancel(void **state)
{
	(void)state;
	struct note t = {.loop = loop_new()};
	/* the clock goes on between these: what is to come later is added later, or is far away */
	t.other = loop_add_timer(t.loop, 3600000000, note_a, &t);
	loop_add_timer(t.loop, 0, note_a, &t);
	loop_add_timer(t.loop, 1000, note_b_and_cancel, &t);
	loop_add_timer(t.loop, 5000, stop, &t);
	loop_run(t.loop);
	assert_string_equal(t.order, "ab");
	loop_free(t.loop);
}

/* Those by the clock come so much sooner, in their own order; the others when they would have. */
static void a_moved_clock_brings_timers(void **state)
{
	(void)state;
	struct note t = {.loop = loop_new()};
	loop_add_timer(t.loop, 3600000000, stop, &t);
	for (int i = 0; i < 40; i++) /* of a full heap, none is left out */
		loop_add_clock_timer(t.loop, INT64_C(7200000000) + i, note_a, &t);
	loop_add_clock_timer(t.loop, INT64_C(1800000000), note_b_and_cancel, &t);
	loop_turn(t.loop, 0);
	assert_int_equal(t.n, 0);
	loop_skip(t.loop, INT64_C(1800000000));
	loop_turn(t.loop, 0);
	assert_string_equal(t.order, "b");
	loop_skip(t.loop, INT64_C(5399000000));
	loop_turn(t.loop, 0);
	assert_int_equal(t.n, 1);
	loop_free(t.loop);
}

static void work_run(void *ctx)
{
	usleep(1000);
	__atomic_add_fetch(&((struct note *)ctx)->status, 1, __ATOMIC_SEQ_CST);
}

static void work_done(void *ctx)
{
	struct note *t = ctx;
	if (++t->n == 10)
		loop_stop(t->loop);
}

static void work_comes_back_to_the_loop(void **state)
{
	(void)state;
	struct note t = {.loop = loop_new()};
	struct work *w = work_new(t.loop, 3);
	for (int i = 0; i < 10; i++)
		work_add(w, work_run, work_done, &t);
	loop_run(t.loop);
	assert_int_equal(t.status, 10);
	assert_int_equal(work_pending(w), 0);
	work_free(w);
	loop_free(t.loop);
}

static void child_ended(void *ctx, int status)
{
	struct note *t = ctx;
	t->status = status;
	loop_stop(t->loop);
}

static void children_are_reaped(void **state)
{
	(void)state;
	struct note t = {.loop = loop_new()};
	int pid = fork();
	if (pid == 0)
		_exit(7);
	assert_int_equal(loop_add_child(t.loop, pid, child_ended, &t), 0);
	loop_run(t.loop);
	assert_int_equal(WEXITSTATUS(t.status), 7);
	loop_free(t.loop);
}

struct pair {
	struct loop *loop;
	struct loop_fd *watch[2];
	int fired;
};

static void first_removes_both(void *ctx, uint32_t events)
{
	(void)events;
	struct pair *p = ctx;
	p->fired++;
	for (int i = 0; i < 2; i++) {
		loop_remove_fd(p->loop, p->watch[i]);
		p->watch[i] = NULL;
	}
}

static void removed_descriptors_are_silent(void **state)
{
	(void)state;
	struct pair p = {.loop = loop_new()};
	int fds[2][2];
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(fds[i]), 0);
		assert_int_equal(write(fds[i][1], "x", 1), 1);
		p.watch[i] = loop_add_fd(p.loop, fds[i][0], EPOLLIN, first_removes_both, &p);
	}
	loop_turn(p.loop, 100000);
	loop_turn(p.loop, 1000);
	assert_int_equal(p.fired, 1);
	for (int i = 0; i < 4; i++)
		close(fds[i / 2][i % 2]);
	loop_free(p.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(timers_fire_in_order_and_cancel), cmocka_unit_test(a_moved_clock_brings_timers),
	        cmocka_unit_test(work_comes_back_to_the_loop),     cmocka_unit_test(children_are_reaped),
	        cmocka_unit_test(removed_descriptors_are_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
