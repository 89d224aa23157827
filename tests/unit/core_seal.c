/* Secrets at rest: what opens, what does not, and the file of the key. */
#include "unit.h"

#include "core/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void values_open_where_they_belong(void **state)
{
	(void)state;
	char dir[] = "/tmp/quartet-seal-XXXXXX", path[64];
	struct seal s = {0}, again = {0}, other = {0};
	struct arena CLEAN_ARENA a = {0};
	struct stat st;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ssm.key", dir);
	assert_int_equal(seal_open(&s, dir), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(seal_open(&again, dir), 0);
	assert_memory_equal(s.key, again.key, SEAL_KEY_BYTES);
	struct str of = S("parameter/a:3"), secret = S("hidden");
	struct str sealed = seal_put(&s, &a, secret, of);
	assert_true(str_set(sealed) && str_find(sealed, secret) < 0);
	assert_str(seal_get(&again, &a, sealed, of), "hidden");
	assert_false(str_eq(sealed, seal_put(&s, &a, secret, of))); /* not twice the same */
	/* another version, another parameter, another key, a changed byte, a cut one */
	assert_false(str_set(seal_get(&s, &a, sealed, S("parameter/a:2"))));
	assert_false(str_set(seal_get(&s, &a, sealed, S("parameter/b:3"))));
	other.open = true;
	assert_false(str_set(seal_get(&other, &a, sealed, of)));
	for (size_t i = 0; i < sealed.n; i++) {
		char *changed = arena_dupz(&a, sealed);
		changed[i] ^= 1;
		assert_false(str_set(seal_get(&s, &a, str_of(changed, sealed.n), of)));
		assert_false(str_set(seal_get(&s, &a, str_sub(sealed, 0, i), of)));
	}
	/* a file that is no key is not taken for one, nor replaced */
	assert_int_equal(truncate(path, 31), 0);
	assert_int_equal(seal_open(&again, dir), -EINVAL);
	assert_false(again.open);
	assert_false(str_set(seal_put(&again, &a, secret, of)));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 31);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(values_open_where_they_belong)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
