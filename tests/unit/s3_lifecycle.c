/* The lifecycle job on a store of its own, with the cloud's clock moved: what is due goes, what is not stays. */
#include "unit.h"

#include "aws/s3/content.h"
#include "aws/s3/lifecycle.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY_MS (86400 * INT64_C(1000))

struct fixture {
	struct cloud cloud;
	struct s3_state s3;
	struct arena arena;
	char dir[64];
	int left;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char why[200];
	strcpy(f->dir, "/tmp/s3_lifecycle.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->cloud.loop = loop_new();
	const struct store_config config = {.path = f->dir, .map_bytes = (size_t)1 << 28, .ephemeral = true};
	assert_int_equal(store_open(&f->cloud.store, f->cloud.loop, &config, why), 0);
	f->s3.cloud = &f->cloud;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[100];
	clock_shift_ms(0);
	store_close(f->cloud.store);
	loop_free(f->cloud.loop);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	arena_done(&f->arena);
	free(f);
	return 0;
}

static void done(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	assert_int_equal(result, 0);
	((struct fixture *)ctx)->left--;
}

static void commit(struct fixture *f, struct store_txn *t)
{
	f->left++;
	store_commit(t, done, f);
	while (f->left)
		loop_turn(f->cloud.loop, 10000);
}

static struct store_txn *begin(struct fixture *f)
{
	return store_begin(f->cloud.store, &f->arena);
}

static void put_object(struct fixture *f, enum versioning v, const char *key, int64_t when_ms)
{
	struct store_txn *t = begin(f);
	struct state_s3_object o = {.kind = OPT_INT(CONTENT_INLINE),
	                            .content = content_add_inline(t, &f->arena, S("x")),
	                            .size = OPT_INT(1),
	                            .last_modified = OPT_TIME(when_ms),
	                            .e_tag = S("e"),
	                            .owner = S("000000000000")};
	object_install(t, &f->arena, v, S("bucket"), str_from(key), &o, when_ms);
	commit(f, t);
}

/* Keys under a prefix of the store: how many records there are. */
static unsigned count(struct fixture *f, const char *what)
{
	struct store_txn *t = begin(f);
	struct str key, under = KEY_UNDER(&f->arena, S("s3"), str_from(what));
	struct store_value value;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&f->arena, under), false);
	unsigned n = 0;
	while (store_next(i, &key, &value))
		n++;
	store_abort(t);
	return n;
}

static void put_bucket(struct fixture *f, const char *versioning, struct s3_lifecycle_rule *rules, unsigned n)
{
	static const struct record_type bucket_type = {&state_s3_api, "Bucket"};
	struct s3_bucket_lifecycle_configuration k = {.rules = {.v = rules, .n = n, .set = true}};
	struct state_s3_bucket b = {
	        .account = S("000000000000"), .region = S("us-east-1"), .versioning = str_from(versioning), .lifecycle = &k};
	struct store_txn *t = begin(f);
	record_put(t, &f->arena, KEY(&f->arena, S("s3"), S("bucket"), S("bucket")), &bucket_type, &b);
	commit(f, t);
}

/* Runs the job until a count is reached; then a little longer, to see that it stays. */
static void run_until(struct fixture *f, const char *what, unsigned want)
{
	struct lifecycle *l = lifecycle_start(&f->s3);
	int64_t until = clock_mono_us() + 15 * 1000000;
	while (count(f, what) != want && clock_mono_us() < until)
		loop_turn(f->cloud.loop, 50000);
	for (int i = 0; i < 5; i++)
		loop_turn(f->cloud.loop, 20000);
	assert_int_equal(count(f, what), want);
	lifecycle_stop(l);
}

static void days_and_uploads(void **state)
{
	struct fixture *f = *state;
	int64_t now = clock_wall_ms();
	struct s3_lifecycle_rule_filter filter = {.prefix = S("old/")};
	struct s3_lifecycle_expiration days = {.days = OPT_INT(10)};
	struct s3_abort_incomplete_multipart_upload abort_after = {.days_after_initiation = OPT_INT(3)};
	struct s3_lifecycle_rule rule = {.id = S("r"),
	                                 .status = S("Enabled"),
	                                 .filter = &filter,
	                                 .expiration = &days,
	                                 .abort_incomplete_multipart_upload = &abort_after};
	put_bucket(f, NULL, &rule, 1);
	/* More than one slice of them. */
	for (int i = 0; i < 1200; i++) {
		char key[32];
		snprintf(key, sizeof(key), "%s/%04d", i % 2 ? "old" : "new", i);
		put_object(f, VERSIONING_OFF, key, now);
	}
	struct state_s3_object o = {.owner = S("000000000000")};
	static const char *const keys[] = {"old/u", "new/u"};
	for (int i = 0; i < 2; i++) {
		struct state_s3_upload u = {.upload_id = S("0123456789abcdef0123"), .initiated = OPT_TIME(now), .object = &o};
		struct state_s3_segment part = {.number = OPT_INT(1), .kind = OPT_INT(CONTENT_INLINE), .size = OPT_INT(1)};
		struct store_txn *t = begin(f);
		u.upload_id = arena_printf(&f->arena, "0123456789abcdef%04d", i);
		part.content = content_add_inline(t, &f->arena, S("p"));
		upload_put(t, &f->arena, S("bucket"), str_from(keys[i]), &u);
		part_put(t, &f->arena, u.upload_id, &part);
		commit(f, t);
	}
	assert_int_equal(count(f, "bytes"), 1202);
	clock_shift_ms(5 * DAY_MS);
	run_until(f, "upload", 1);
	assert_int_equal(count(f, "object"), 1200);
	assert_int_equal(count(f, "part"), 1);
	clock_shift_ms(11 * DAY_MS);
	run_until(f, "object", 600);
	assert_int_equal(count(f, "bytes"), 601);
}

static void versions(void **state)
{
	struct fixture *f = *state;
	int64_t now = clock_wall_ms();
	struct s3_lifecycle_rule_filter all = {.prefix = S("")};
	struct s3_noncurrent_version_expiration noncurrent = {.noncurrent_days = OPT_INT(2),
	                                                      .newer_noncurrent_versions = OPT_INT(1)};
	struct s3_lifecycle_expiration days = {.days = OPT_INT(30)};
	struct s3_lifecycle_rule rules[] = {
	        {.id = S("n"), .status = S("Enabled"), .filter = &all, .noncurrent_version_expiration = &noncurrent},
	        {.id = S("d"), .status = S("Enabled"), .filter = &all, .expiration = &days},
	};
	put_bucket(f, "Enabled", rules, 2);
	for (int i = 0; i < 5; i++)
		put_object(f, VERSIONING_ENABLED, "k", now + i);
	/* Of four older ones the newest is kept. */
	clock_shift_ms(4 * DAY_MS);
	run_until(f, "object", 2);
	/* The current one gets a delete marker and is the newest older one then; the other is one too many. The marker is not alone
	 * and stays. */
	clock_shift_ms(32 * DAY_MS);
	run_until(f, "bytes", 1);
	assert_int_equal(count(f, "object"), 2);
	struct store_txn *t = begin(f);
	struct state_s3_object o;
	assert_true(object_get(t, &f->arena, S("bucket"), S("k"), &o));
	assert_true(o.delete_marker.v);
	store_abort(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(days_and_uploads, setup, teardown),
	        cmocka_unit_test_setup_teardown(versions, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
