#include "unit.h"

#include "base/clock.h"
#include "engine/queue/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { DAY_MS = 86400000 };

struct fixture {
	struct loop *loop;
	struct queues *all;
	struct arena arena;
	char dir[64];
	int64_t now;
	int left, result;
	struct queue_message got[10];
	size_t n;
};

static const struct queue_settings STANDARD = {.retention_ms = DAY_MS}, FIFO = {.fifo = true, .retention_ms = DAY_MS};

static void open_store(struct fixture *f)
{
	char why[200] = "";
	f->loop = loop_new();
	if (queues_open(&f->all, f->loop, f->dir, true, why) < 0)
		fail_msg("%s", why);
}

static void close_store(struct fixture *f)
{
	queues_close(f->all);
	loop_free(f->loop);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/engine_queue.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	arena_init(&f->arena, 0);
	f->now = 1700000000000;
	open_store(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	close_store(f);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	arena_done(&f->arena);
	free(f);
	return 0;
}

static void note(void *ctx, int result)
{
	struct fixture *f = ctx;
	f->left--;
	f->result = result;
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 1000 && f->left; i++)
		loop_turn(f->loop, 10000);
	assert_int_equal(f->left, 0);
	assert_int_equal(f->result, 0);
}

/* What was received is written too. */
static void reopen(struct fixture *f)
{
	for (int i = 0; i < 1000 && queues_busy(f->all); i++)
		loop_turn(f->loop, 10000);
	assert_false(queues_busy(f->all));
	close_store(f);
	open_store(f);
}

static struct queue *of(struct fixture *f, uint64_t id, const struct queue_settings *s)
{
	return queue_get(f->all, id, s, f->now);
}

static struct queue_sent send(struct fixture *f, struct queue *q, const char *body, const char *group, const char *dedup,
                              int64_t delay)
{
	const struct queue_message m = {.body = str_from(body),
	                                .group = str_from(group),
	                                .dedup = str_from(dedup),
	                                .sent_ms = f->now,
	                                .id = {(unsigned char)body[0]}};
	struct queue_sent sent;
	f->left++;
	queue_send(q, &m, &delay, 1, f->now, &sent, note, f);
	settle(f);
	return sent;
}

/* The bodies that come, with spaces between. */
static struct str take(struct fixture *f, struct queue *q, size_t max, int64_t visibility)
{
	const struct queue_take t = {.max = max, .visibility_ms = visibility, .now_ms = f->now};
	assert_int_equal(queue_take(q, &f->arena, &t, f->got, &f->n), 0);
	struct str all = S("");
	for (size_t i = 0; i < f->n; i++)
		all = ARENA_CAT(&f->arena, all, i ? S(" ") : S(""), f->got[i].body);
	return all;
}

static enum queue_answer drop(struct fixture *f, struct queue *q, struct str handle)
{
	enum queue_answer answer;
	f->left++;
	queue_delete(q, &handle, 1, f->now, &answer, note, f);
	settle(f);
	return answer;
}

static void expect_counts(struct fixture *f, struct queue *q, int64_t visible, int64_t in_flight, int64_t delayed)
{
	struct queue_counts n;
	queue_count(q, f->now, &n);
	assert_int_equal(n.visible, visible);
	assert_int_equal(n.in_flight, in_flight);
	assert_int_equal(n.delayed, delayed);
}

static void test_standard(void **state)
{
	struct fixture *f = *state;
	struct queue *q = of(f, 7, &STANDARD);
	send(f, q, "a", NULL, NULL, 0);
	send(f, q, "b", NULL, NULL, 0);
	send(f, q, "late", NULL, NULL, 60000);
	expect_counts(f, q, 2, 0, 1);
	assert_str(take(f, q, 1, 30000), "a");
	struct str a = f->got[0].handle;
	assert_true(queue_handle_valid(q, a));
	assert_false(queue_handle_valid(of(f, 8, &STANDARD), a));
	assert_str(take(f, q, 10, 30000), "b");
	expect_counts(f, q, 0, 2, 1);
	f->now += 30000;
	assert_str(take(f, q, 10, 0), "a b");
	assert_int_equal(f->got[0].receives, 2);
	assert_str(take(f, q, 1, 1000), "a");
	assert_int_equal(drop(f, q, a), QUEUE_GOOD);
	assert_int_equal(drop(f, q, a), QUEUE_GONE);
	f->now += 30000;
	assert_str(take(f, q, 10, 1000), "b late");
	expect_counts(f, q, 0, 2, 0);
	f->now += DAY_MS;
	assert_str(take(f, q, 10, 1000), "");
	for (int i = 0; i < 1000 && queues_busy(f->all); i++)
		loop_turn(f->loop, 10000);
	expect_counts(f, q, 0, 0, 0);
}

static void test_visibility_survives(void **state)
{
	struct fixture *f = *state;
	bool too_long;
	struct queue *q = of(f, 7, &STANDARD);
	send(f, q, "a", NULL, NULL, 0);
	send(f, q, "b", NULL, NULL, 0);
	send(f, q, "late", NULL, NULL, 60000);
	assert_str(take(f, q, 1, 30000), "a");
	struct str a = arena_dup(&f->arena, f->got[0].handle);
	reopen(f);
	q = of(f, 7, &STANDARD);
	expect_counts(f, q, 1, 1, 1);
	assert_str(take(f, q, 10, 30000), "b");
	assert_int_equal(queue_change(q, a, 1000, f->now, &too_long), QUEUE_GOOD);
	f->now += 1000;
	assert_int_equal(queue_change(q, a, 1000, f->now, &too_long), QUEUE_VISIBLE);
	assert_str(take(f, q, 10, 30000), "a");
	assert_int_equal(f->got[0].receives, 2);
	assert_int_equal(queue_change(q, a, QUEUE_VISIBILITY_MAX_MS, f->now, &too_long), QUEUE_GOOD);
	assert_false(too_long);
	f->now += 1000;
	assert_int_equal(queue_change(q, a, QUEUE_VISIBILITY_MAX_MS, f->now, &too_long), QUEUE_GOOD);
	assert_true(too_long);
	assert_int_equal(drop(f, q, a), QUEUE_GOOD);
	reopen(f);
	q = of(f, 7, &STANDARD);
	expect_counts(f, q, 0, 1, 1);
}

static void test_fifo(void **state)
{
	struct fixture *f = *state;
	struct queue *q = of(f, 9, &FIFO);
	send(f, q, "a0", "a", "1", 0);
	send(f, q, "b0", "b", "2", 0);
	uint64_t seq = send(f, q, "a1", "a", "3", 0).seq;
	assert_true(send(f, q, "a1 again", "a", "3", 0).duplicate);
	assert_int_equal(send(f, q, "a1 again", "a", "3", 0).seq, seq);
	assert_str(take(f, q, 1, 30000), "a0");
	struct str a0 = arena_dup(&f->arena, f->got[0].handle);
	assert_str(take(f, q, 10, 30000), "b0");
	assert_str(take(f, q, 10, 30000), "");
	reopen(f);
	q = of(f, 9, &FIFO);
	expect_counts(f, q, 1, 2, 0);
	assert_str(take(f, q, 10, 30000), "");
	assert_true(send(f, q, "a1 again", "a", "3", 0).duplicate);
	assert_int_equal(drop(f, q, a0), QUEUE_GOOD);
	assert_str(take(f, q, 10, 1000), "a1");
	struct str a1 = f->got[0].handle;
	send(f, q, "a2", "a", "4", 0);
	f->now += 1000;
	assert_int_equal(drop(f, q, a1), QUEUE_STALE);
	assert_str(take(f, q, 10, 1000), "a1 a2");
	f->now += QUEUE_DEDUP_MS;
	assert_false(send(f, q, "a3", "a", "3", 0).duplicate);
	/* What is swept is what is old. */
	queue_sweep(q, f->now);
	for (int i = 0; i < 20; i++)
		loop_turn(f->loop, 10000);
	assert_true(send(f, q, "a3", "a", "3", 0).duplicate);
	assert_false(send(f, q, "a0", "a", "1", 0).duplicate);
	assert_str(take(f, q, 10, 1000), "a1 a2 a3 a0 b0");
}

static void test_dead_letters(void **state)
{
	struct fixture *f = *state;
	struct queue *q = of(f, 7, &STANDARD), *dead = of(f, 8, &STANDARD);
	struct queue_take t = {
	        .max = 10, .visibility_ms = 0, .receives_max = 2, .dead = dead, .source = S("there"), .now_ms = f->now};
	send(f, q, "poison", NULL, NULL, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(queue_take(q, &f->arena, &t, f->got, &f->n), 0);
		assert_int_equal(f->n, i < 2);
	}
	reopen(f);
	q = of(f, 7, &STANDARD);
	dead = of(f, 8, &STANDARD);
	expect_counts(f, q, 0, 0, 0);
	assert_str(take(f, dead, 10, 1000), "poison");
	assert_str(f->got[0].source, "there");
	assert_int_equal(f->got[0].receives, 3);
}

static struct queue *to_that(void *ctx, struct str source)
{
	(void)source;
	return ctx;
}

static void test_move_and_purge(void **state)
{
	struct fixture *f = *state;
	struct queue *q = of(f, 7, &STANDARD), *other = of(f, 8, &STANDARD);
	bool stopped;
	for (int i = 0; i < 5; i++)
		send(f, q, "m", NULL, NULL, 0);
	assert_str(take(f, q, 1, 1000), "m");
	f->left++;
	assert_int_equal(queue_move(q, 3, f->now, to_that, other, &stopped, note, f), 3);
	settle(f);
	assert_false(stopped);
	expect_counts(f, q, 1, 1, 0);
	expect_counts(f, other, 3, 0, 0);
	f->left++;
	assert_int_equal(queue_move(q, 3, f->now, to_that, NULL, &stopped, note, f), 0);
	settle(f);
	assert_true(stopped);
	expect_counts(f, q, 1, 1, 0);
	struct str handle = f->got[0].handle;
	send(f, q, "late", NULL, NULL, 60000);
	f->left++;
	queue_purge(q, note, f);
	settle(f);
	expect_counts(f, q, 0, 0, 0);
	send(f, q, "new", NULL, NULL, 0);
	assert_int_equal(drop(f, q, handle), QUEUE_GONE);
	reopen(f);
	f->now += 60000;
	q = of(f, 7, &STANDARD);
	expect_counts(f, q, 1, 0, 0);
	assert_str(take(f, q, 10, 1000), "new");
}

struct waits {
	struct queue_waiter w;
	int called;
};

static void called(struct queue_waiter *w)
{
	container_of(w, struct waits, w)->called++;
}

static void test_waiting(void **state)
{
	struct fixture *f = *state;
	f->now = clock_wall_ms();
	struct queue *q = of(f, 7, &STANDARD);
	struct waits one = {.w.fn = called}, two = {.w.fn = called};
	queue_wait(q, &one.w);
	queue_wait(q, &two.w);
	for (int i = 0; i < 3; i++)
		loop_turn(f->loop, 1000);
	assert_int_equal(one.called + two.called, 0);
	send(f, q, "a", NULL, NULL, 0);
	for (int i = 0; i < 100 && !one.called; i++)
		loop_turn(f->loop, 10000);
	assert_int_equal(one.called, 1);
	queue_unwait(&two.w);
	queue_wait(q, &two.w);
	two.called = 0;
	queue_drop(f->all, 7);
	assert_int_equal(two.called, 1);
	for (int i = 0; i < 20; i++)
		loop_turn(f->loop, 1000);
	expect_counts(f, of(f, 7, &STANDARD), 0, 0, 0);
}

/* To more queues than a change usually has, at once; nothing follows a duplicate. */
static void test_posts(void **state)
{
	enum { QUEUES = 40 };
	struct fixture *f = *state;
	struct queue *ledger = of(f, 100, &FIFO);
	const struct queue_message first = {.body = S(""), .group = S("g"), .dedup = S("d"), .sent_ms = f->now},
	                           m = {.body = S("m"), .sent_ms = f->now};
	for (int round = 0; round < 2; round++) {
		struct queue_letter letters[QUEUES + 1] = {{.queue = ledger, .message = &first}};
		for (uint64_t i = 1; i <= QUEUES; i++)
			letters[i] = (struct queue_letter){.queue = of(f, i, &STANDARD), .message = &m, .unless = &letters[0]};
		uint64_t next = queue_next(ledger);
		f->left++;
		queue_post(f->all, letters, QUEUES + 1, f->now, note, f);
		assert_int_equal(letters[0].sent.duplicate, round == 1);
		assert_int_equal(letters[0].sent.seq, round ? next - 1 : next);
		settle(f);
		for (uint64_t i = 1; i <= QUEUES; i++)
			expect_counts(f, of(f, i, &STANDARD), 1, 0, 0);
	}
	reopen(f);
	assert_str(take(f, of(f, QUEUES, &STANDARD), 10, 1000), "m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_standard, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_visibility_survives, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_fifo, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_dead_letters, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_move_and_purge, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
	        cmocka_unit_test_setup_teardown(test_posts, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
