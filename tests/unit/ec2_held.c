/* What belongs to what in EC2: keys beside the records that follow every change of theirs. */
#include "unit.h"

#include "aws/ec2/compute.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

static struct {
	struct loop *loop;
	struct store *store;
	struct arena arena;
	struct ec2_scope scope;
	char dir[64];
} f;

static int setup(void **state)
{
	(void)state;
	char why[200] = "";
	strcpy(f.dir, "/tmp/ec2_held.XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	f.loop = loop_new();
	assert_int_equal(store_open(&f.store, f.loop, &(struct store_config){.path = f.dir, .map_bytes = (size_t)1 << 30}, why), 0);
	f.scope = (struct ec2_scope){
	        .txn = store_begin(f.store, &f.arena), .arena = &f.arena, .account = S("000000000000"), .region = S("eu-west-1")};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	char command[128];
	store_abort(f.scope.txn);
	store_close(f.store);
	loop_free(f.loop);
	arena_done(&f.arena);
	snprintf(command, sizeof(command), "rm -rf %s", f.dir);
	return system(command);
}

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	*(int *)ctx = result;
}

/* Commits what was written and goes on in a new transaction. */
static void commit(void)
{
	int result = 1;
	store_commit(f.scope.txn, committed, &result);
	for (int i = 0; i < 1000 && result == 1; i++)
		loop_turn(f.loop, 10000);
	assert_int_equal(result, 0);
	f.scope.txn = store_begin(f.store, &f.arena);
}

static struct str id_of(const char *prefix, unsigned n)
{
	return arena_printf(&f.arena, "%s-%017x", prefix, n);
}

static void put_volume(unsigned n, struct str instance)
{
	struct ec2_volume *v = arena_new(&f.arena, struct ec2_volume);
	v->volume_id = id_of("vol", n);
	if (str_set(instance))
		*LIST_ADD(&f.arena, &v->attachments) = (struct ec2_volume_attachment){.instance_id = instance};
	ec2_put(&f.scope, &ec2_kind_volume, v->volume_id, &(struct state_ec2_volume_record){.volume = v});
}

static void put_instance(unsigned n, unsigned reservation)
{
	struct ec2_instance *i = arena_new(&f.arena, struct ec2_instance);
	i->instance_id = id_of("i", n);
	i->state = ec2_instance_state_shape(&f.arena, INSTANCE_STOPPED);
	ec2_put(&f.scope, &ec2_kind_instance, i->instance_id,
	        &(struct state_ec2_instance_record){.instance = i, .reservation = id_of("r", reservation)});
}

/* "1 2 3": the numbers of what a walk meets. */
static struct str met(struct ec2_held held)
{
	struct str text = S("");
	while (ec2_held_next(&held)) {
		unsigned n = (unsigned)strtoul(arena_dupz(&f.arena, str_from_at(held.id, (size_t)str_rfind_char(held.id, '-') + 1)),
		                               NULL, 16);
		text = ARENA_CAT(&f.arena, text, text.n ? S(" ") : S(""), arena_printf(&f.arena, "%u", n));
	}
	return text;
}

static struct str volumes_of(unsigned instance)
{
	return met(ec2_held(&f.scope, &ec2_kind_volume, id_of("i", instance)));
}

static void disks_are_found_by_their_instance(void **state)
{
	(void)state;
	put_volume(1, id_of("i", 7));
	put_volume(2, id_of("i", 8));
	put_volume(3, id_of("i", 7));
	put_volume(4, STR_NONE);
	assert_str(volumes_of(7), "1 3");
	commit();
	assert_str(volumes_of(7), "1 3");
	assert_str(volumes_of(8), "2");
	assert_str(volumes_of(9), "");
	/* written again, detached, attached elsewhere, deleted */
	put_volume(1, id_of("i", 7));
	put_volume(2, STR_NONE);
	put_volume(4, id_of("i", 8));
	put_volume(3, id_of("i", 8));
	commit();
	assert_str(volumes_of(7), "1");
	assert_str(volumes_of(8), "3 4");
	ec2_drop(&f.scope, &ec2_kind_volume, id_of("vol", 3));
	ec2_drop(&f.scope, &ec2_kind_volume, id_of("vol", 3));
	commit();
	assert_str(volumes_of(8), "4");
	/* the records of another region are not these */
	f.scope.region = S("eu-west-2");
	assert_str(volumes_of(7), "");
}

/* What an earlier build wrote is the record alone. */
static void records_of_before_get_their_keys(void **state)
{
	(void)state;
	struct store_value v;
	assert_int_equal(ec2_held_complete(f.scope.txn, &f.arena), 0);
	assert_false(store_dirty(f.scope.txn));
	put_volume(1, id_of("i", 7));
	put_volume(2, STR_NONE);
	put_volume(3, id_of("i", 7));
	put_instance(7, 30);
	store_delete(f.scope.txn,
	             KEY(&f.arena, S("ec2"), f.scope.account, f.scope.region, S("vol-of"), id_of("i", 7), id_of("vol", 1)));
	store_delete(f.scope.txn,
	             KEY(&f.arena, S("ec2"), f.scope.account, f.scope.region, S("i-of"), id_of("r", 30), id_of("i", 7)));
	f.scope.region = S("us-east-1");
	put_volume(4, id_of("i", 8));
	store_delete(f.scope.txn,
	             KEY(&f.arena, S("ec2"), f.scope.account, f.scope.region, S("vol-of"), id_of("i", 8), id_of("vol", 4)));
	commit();
	assert_str(volumes_of(8), "");
	store_abort(f.scope.txn);
	assert_int_equal(ec2_held_start(f.store, f.loop), 0);
	f.scope.txn = store_begin(f.store, &f.arena);
	assert_str(volumes_of(8), "4");
	f.scope.region = S("eu-west-1");
	assert_str(volumes_of(7), "1 3");
	assert_str(met(ec2_held_all(&f.scope, &ec2_kind_instance, STR_NONE)), "7");
	assert_true(store_get(f.scope.txn, KEY(&f.arena, S("ec2"), S("format")), &v));
	/* once: nobody looks again */
	store_delete(f.scope.txn,
	             KEY(&f.arena, S("ec2"), f.scope.account, f.scope.region, S("vol-of"), id_of("i", 7), id_of("vol", 1)));
	assert_int_equal(ec2_held_complete(f.scope.txn, &f.arena), 0);
	assert_str(volumes_of(7), "3");
}

static void instances_come_in_the_order_of_reservations(void **state)
{
	(void)state;
	put_instance(1, 30);
	put_instance(2, 10);
	put_instance(3, 20);
	put_instance(4, 10);
	put_instance(5, 30);
	commit();
	assert_str(met(ec2_held_all(&f.scope, &ec2_kind_instance, STR_NONE)), "2 4 3 1 5");
	assert_str(met(ec2_held_all(&f.scope, &ec2_kind_instance, id_of("r", 10))), "3 1 5");
	assert_str(met(ec2_held_all(&f.scope, &ec2_kind_instance, id_of("r", 15))), "3 1 5");
	assert_str(met(ec2_held_all(&f.scope, &ec2_kind_instance, id_of("r", 30))), "");
	/* The one after which a page began may be gone by then. */
	ec2_drop(&f.scope, &ec2_kind_instance, id_of("i", 3));
	commit();
	assert_str(met(ec2_held_all(&f.scope, &ec2_kind_instance, id_of("r", 20))), "1 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(records_of_before_get_their_keys, setup, teardown),
	        cmocka_unit_test_setup_teardown(disks_are_found_by_their_instance, setup, teardown),
	        cmocka_unit_test_setup_teardown(instances_come_in_the_order_of_reservations, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
