#include "unit.h"

#include "engine/vm/proto.h"

#include <errno.h>
#include <string.h>

static struct warden_request good_start(void)
{
	struct warden_request r = {.verb = WARDEN_START,
	                           .number = 1,
	                           .has_kernel = 1,
	                           .vcpus = 2,
	                           .memory_mb = 512,
	                           .cpu_percent = 150,
	                           .port_count = 1};
	strcpy(r.name, "i-0123");
	strcpy(r.cmdline, "console=ttyS0");
	return r;
}

static void starts_are_checked(void **state)
{
	(void)state;
	struct warden_request r = good_start();
	assert_int_equal(warden_check(&r, sizeof(r), WARDEN_FDS + 1), 0);
	assert_int_equal(warden_check(&r, sizeof(r), WARDEN_FDS), -EINVAL);
	assert_int_equal(warden_check(&r, sizeof(r) - 1, WARDEN_FDS + 1), -EINVAL);
#define BAD(change) \
	do { \
		r = good_start(); \
		change; \
		assert_int_equal(warden_check(&r, sizeof(r), WARDEN_FDS + 1), -EINVAL); \
	} while (0)
	BAD(r.verb = 9);
	BAD(r.vcpus = 0);
	BAD(r.vcpus = MACHINE_VCPUS_MAX + 1);
	BAD(r.memory_mb = MACHINE_MEMORY_MB_MIN - 1);
	BAD(r.memory_mb = MACHINE_MEMORY_MB_MAX + 1);
	BAD(r.cpu_percent = 0);
	BAD(r.cpu_percent = 201);
	BAD(r.port_count = 9);
	BAD(r.has_kernel = 2);
	BAD(r.name[0] = 0);
	BAD(strcpy(r.name, "i-1,debug-threads=on"));
	BAD(memset(r.name, 'a', sizeof(r.name)));
	BAD(memset(r.cmdline, 'a', sizeof(r.cmdline)));
	r = (struct warden_request){.verb = WARDEN_KILL, .number = MACHINE_SLOTS};
	assert_int_equal(warden_check(&r, sizeof(r), 0), -EINVAL);
	r.number--;
	assert_int_equal(warden_check(&r, sizeof(r), 0), 0);
	assert_int_equal(warden_check(&r, sizeof(r), 1), -EINVAL);
	r = (struct warden_request){.verb = WARDEN_CPU, .number = 7, .vcpus = 2, .cpu_percent = 10};
	assert_int_equal(warden_check(&r, sizeof(r), 0), 0);
	assert_int_equal(warden_check(&r, sizeof(r), 1), -EINVAL);
	r.cpu_percent = 201;
	assert_int_equal(warden_check(&r, sizeof(r), 0), -EINVAL);
	r.cpu_percent = 0;
	assert_int_equal(warden_check(&r, sizeof(r), 0), -EINVAL);
	r.cpu_percent = 10;
	r.number = MACHINE_SLOTS;
	assert_int_equal(warden_check(&r, sizeof(r), 0), -EINVAL);
}

static void what_containers_need_is_checked(void **state)
{
	(void)state;
	struct warden_request r = good_start(), block = {.verb = WARDEN_BLOCK, .slot = 3}, link = {.verb = WARDEN_LINK, .index = 1};
	/* a container has no kernel of its own and no taps */
	r.is_box = 1;
	assert_int_equal(warden_check(&r, sizeof(r), WARDEN_FDS + 1), -EINVAL);
	r.has_kernel = r.port_count = 0;
	assert_int_equal(warden_check(&r, sizeof(r), WARDEN_FD_KERNEL), 0);
	r.is_box = 2;
	assert_int_equal(warden_check(&r, sizeof(r), WARDEN_FD_KERNEL), -EINVAL);
	/* a node's name is a name, and the root has none */
	assert_int_equal(warden_check(&block, sizeof(block), BLOCK_FDS), -EINVAL);
	strcpy(block.name, "sdf1");
	assert_int_equal(warden_check(&block, sizeof(block), BLOCK_FDS), 0);
	assert_int_equal(warden_check(&block, sizeof(block), BLOCK_FDS - 1), -EINVAL);
	strcpy(block.name, "../sdf");
	assert_int_equal(warden_check(&block, sizeof(block), BLOCK_FDS), -EINVAL);
	block.name[0] = 0;
	block.is_root = 1;
	assert_int_equal(warden_check(&block, sizeof(block), BLOCK_FDS), 0);
	block.slot = MACHINE_SLOTS;
	assert_int_equal(warden_check(&block, sizeof(block), BLOCK_FDS), -EINVAL);
	assert_int_equal(warden_check(&link, sizeof(link), 2), 0);
	assert_int_equal(warden_check(&link, sizeof(link), 1), -EINVAL);
	link.index = 16;
	assert_int_equal(warden_check(&link, sizeof(link), 2), -EINVAL);
	struct shim_request give = {.verb = SHIM_GIVE};
	assert_int_equal(shim_check(&give, sizeof(give), 2), -EINVAL);
	strcpy(give.disk, "vol-0123");
	assert_int_equal(shim_check(&give, sizeof(give), 2), 0);
	assert_int_equal(shim_check(&give, sizeof(give), 1), -EINVAL);
}

static void requests_to_a_shim_are_checked(void **state)
{
	(void)state;
	struct shim_request good = {.verb = SHIM_DISK, .files = 2}, r;
	strcpy(good.disk, "vol-0123");
	strcpy(good.serial, "vol0123");
	assert_int_equal(shim_check(&good, sizeof(good), 2), 0);
	assert_int_equal(shim_check(&good, sizeof(good), 1), -EINVAL);
	assert_int_equal(shim_check(&good, sizeof(good) - 1, 2), -EINVAL);
	/* names become parts of JSON */
	static const char *const bad[] = {"a\"b", "a\\b", "a b", "a,b", "a.b"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = good;
		strcpy(r.disk, bad[i]);
		assert_int_equal(shim_check(&r, sizeof(r), 2), -EINVAL);
		r = good;
		strcpy(r.serial, bad[i]);
		assert_int_equal(shim_check(&r, sizeof(r), 2), -EINVAL);
		r = good;
		strcpy(r.layer, bad[i]);
		assert_int_equal(shim_check(&r, sizeof(r), 2), -EINVAL);
	}
	r = good;
	r.files = MACHINE_CHAIN_MAX + 1;
	assert_int_equal(shim_check(&r, sizeof(r), r.files), -EINVAL);
	r = good;
	r.disk[0] = 0;
	assert_int_equal(shim_check(&r, sizeof(r), 2), -EINVAL);
	for (uint32_t verb = SHIM_RUN; verb <= SHIM_STATUS; verb++) {
		r = (struct shim_request){.verb = verb};
		assert_int_equal(shim_check(&r, sizeof(r), 0), 0);
		assert_int_equal(shim_check(&r, sizeof(r), 1), -EINVAL);
	}
	r = (struct shim_request){.verb = SHIM_SCREEN, .files = 1};
	assert_int_equal(shim_check(&r, sizeof(r), 0), 0);
	assert_int_equal(shim_check(&r, sizeof(r), 1), -EINVAL);
	r.files++;
	assert_int_equal(shim_check(&r, sizeof(r), 0), -EINVAL);
	r = (struct shim_request){.verb = SHIM_SESSION, .files = MACHINE_SESSIONS - 1};
	assert_int_equal(shim_check(&r, sizeof(r), 0), 0);
	assert_int_equal(shim_check(&r, sizeof(r), 1), -EINVAL);
	r.files++;
	assert_int_equal(shim_check(&r, sizeof(r), 0), -EINVAL);
	r = (struct shim_request){.verb = SHIM_ENDED};
	assert_int_equal(shim_check(&r, sizeof(r), 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(starts_are_checked),
	        cmocka_unit_test(what_containers_need_is_checked),
	        cmocka_unit_test(requests_to_a_shim_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
