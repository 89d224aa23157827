#include "unit.h"

#include "engine/cell/cell.h"
#include "engine/cell/keeper.h"
#include "engine/cell/proto.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static struct priv_dress_request good_dress(void)
{
	struct priv_dress_request r = {.h = {PRIV_DRESS, 7}, .memory_mb = 128, .tmp_mb = 512};
	strcpy(r.code, "abc/1");
	return r;
}

/* Only the layers that there are are sent. */
static int check_dress(const struct priv_dress_request *r)
{
	return keeper_check_request(r, offsetof(struct priv_dress_request, layers) + r->layer_count * sizeof(r->layers[0]));
}

static void good_requests_pass(void **state)
{
	(void)state;
	struct priv_facts_request facts = {.h = {PRIV_FACTS, 0}};
	struct priv_make_request make = {.h = {PRIV_MAKE, 7}, .background = 1};
	struct priv_dress_request dress = good_dress();
	struct priv_destroy_request destroy = {.h = {PRIV_DESTROY, 7}};
	assert_int_equal(keeper_check_request(&facts, sizeof(facts)), 0);
	assert_int_equal(keeper_check_request(&make, sizeof(make)), 0);
	assert_int_equal(check_dress(&dress), 0);
	dress.shared = 1;
	assert_int_equal(check_dress(&dress), 0);
	dress.shared = 2;
	assert_int_equal(check_dress(&dress), -EINVAL);
	assert_int_equal(keeper_check_request(&destroy, sizeof(destroy)), 0);
	for (uint32_t channel = 0; channel <= PRIV_CHANNELS; channel++) {
		struct priv_channel_request r = {.h = {PRIV_CHANNEL, 0}, .channel = channel};
		assert_int_equal(keeper_check_request(&r, sizeof(r)), channel < PRIV_CHANNELS ? 0 : -EINVAL);
	}
}

static void snapshots_have_plain_names(void **state)
{
	(void)state;
	static const char good[] = "0123456789abcdef0123456789abcdef";
	static const char *const bad[] = {"", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdeF",
	                                  "../../../../../../../../../../pa", "0123456789abcdef/123456789abcdef"};
	struct priv_snapshot_request take = {.h = {PRIV_SNAPSHOT, 7}, .waits = PRIV_WAITS_NEXT};
	struct priv_forget_request forget = {.h = {PRIV_FORGET, 0}};
	struct priv_dress_request dress = good_dress();
	memcpy(take.name, good, sizeof(good));
	memcpy(forget.name, good, sizeof(good));
	memcpy(dress.snapshot, good, sizeof(good));
	assert_int_equal(keeper_check_request(&take, sizeof(take)), 0);
	assert_int_equal(keeper_check_request(&forget, sizeof(forget)), 0);
	assert_int_equal(check_dress(&dress), 0);
	take.waits = PRIV_WAITS;
	assert_int_equal(keeper_check_request(&take, sizeof(take)), -EINVAL);
	take.waits = 0;
	forget.h.number = 7;
	assert_int_equal(keeper_check_request(&forget, sizeof(forget)), -EINVAL);
	forget.h.number = 0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(take.name, 0, sizeof(take.name));
		memcpy(take.name, bad[i], strlen(bad[i]));
		memcpy(forget.name, take.name, sizeof(take.name));
		assert_int_equal(keeper_check_request(&take, sizeof(take)), -EINVAL);
		assert_int_equal(keeper_check_request(&forget, sizeof(forget)), -EINVAL);
		memcpy(dress.snapshot, take.name, sizeof(take.name));
		assert_int_equal(check_dress(&dress), bad[i][0] ? -EINVAL : 0);
	}
	memset(dress.snapshot, 'a', sizeof(dress.snapshot));
	assert_int_equal(check_dress(&dress), -EINVAL);
}

static void wrong_sizes_are_refused(void **state)
{
	(void)state;
	char room[sizeof(union priv_request) + 64] = {0};
	struct priv_dress_request dress = good_dress();
	memcpy(room, &dress, sizeof(dress));
	for (size_t n = 0; n <= sizeof(room); n++)
		if (n != offsetof(struct priv_dress_request, layers))
			assert_int_equal(keeper_check_request(room, n), -EINVAL);
}

static void layers_are_the_whole_root(void **state)
{
	(void)state;
	struct priv_dress_request r = good_dress();
	r.code[0] = 0;
	for (r.layer_count = 0; r.layer_count <= PRIV_LAYERS_MAX; r.layer_count++) {
		size_t n = offsetof(struct priv_dress_request, layers) + r.layer_count * sizeof(r.layers[0]);
		assert_int_equal(keeper_check_request(&r, n), 0);
		assert_int_equal(keeper_check_request(&r, n - 1), -EINVAL);
		if (n < sizeof(r))
			assert_int_equal(keeper_check_request(&r, n + 1), -EINVAL);
	}
	/* one layer too many, and a number whose bytes would wrap around */
	assert_int_equal(keeper_check_request(&r, sizeof(r)), -EINVAL);
	r.layer_count = 0x08000000;
	assert_int_equal(keeper_check_request(&r, offsetof(struct priv_dress_request, layers)), -EINVAL);
	/* an image is all that is to be seen */
	r.layer_count = 1;
	strcpy(r.code, "abc/1");
	assert_int_equal(check_dress(&r), -EINVAL);
	r.code[0] = 0;
	strcpy(r.opt, "abc/2");
	assert_int_equal(check_dress(&r), -EINVAL);
}

static void bad_contents_are_refused(void **state)
{
	(void)state;
	struct priv_dress_request r = good_dress();
	memset(r.code, 'a', sizeof(r.code));
	assert_int_equal(check_dress(&r), -EINVAL);
	r = good_dress();
	memset(r.opt, 'a', sizeof(r.opt));
	assert_int_equal(check_dress(&r), -EINVAL);
	r = good_dress();
	r.memory_mb = CELL_MEMORY_MB_MIN - 1;
	assert_int_equal(check_dress(&r), -EINVAL);
	r = good_dress();
	r.memory_mb = CELL_MEMORY_MB_MAX + 1;
	assert_int_equal(check_dress(&r), -EINVAL);
	r = good_dress();
	r.tmp_mb = 0;
	assert_int_equal(check_dress(&r), -EINVAL);
	r = good_dress();
	r.h.number = 0;
	assert_int_equal(check_dress(&r), -EINVAL);
	r = good_dress();
	r.h.verb = PRIV_GONE; /* an answer, not a request */
	assert_int_equal(check_dress(&r), -EINVAL);
	r.h.verb = 0xffffffff;
	assert_int_equal(check_dress(&r), -EINVAL);
	struct priv_make_request make = {.h = {PRIV_MAKE, 7}, .background = 2};
	assert_int_equal(keeper_check_request(&make, sizeof(make)), -EINVAL);
	make = (struct priv_make_request){.h = {PRIV_MAKE, 7}, .image = CELL_IMAGES};
	assert_int_equal(keeper_check_request(&make, sizeof(make)), -EINVAL);
	make.image = CELL_IMAGE_PYTHON;
	assert_int_equal(keeper_check_request(&make, sizeof(make)), 0);
	struct priv_facts_request facts = {.h = {PRIV_FACTS, 1}};
	assert_int_equal(keeper_check_request(&facts, sizeof(facts)), -EINVAL);
}

static void instances_are_names(void **state)
{
	(void)state;
	char a[9], b[9];
	keeper_instance("/var/lib/quartet", a);
	keeper_instance("/var/lib/quartet2", b);
	assert_int_equal(strlen(a), 8);
	assert_int_equal(strspn(a, "0123456789abcdef"), 8);
	assert_string_not_equal(a, b);
	keeper_instance("/usr/../tmp", a);
	keeper_instance("/tmp/", b);
	assert_string_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(good_requests_pass),        cmocka_unit_test(wrong_sizes_are_refused),
	        cmocka_unit_test(layers_are_the_whole_root), cmocka_unit_test(bad_contents_are_refused),
	        cmocka_unit_test(instances_are_names),       cmocka_unit_test(snapshots_have_plain_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
