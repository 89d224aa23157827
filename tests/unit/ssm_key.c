/* SecureStrings at rest: what opens, what does not, and the file of the key. */
#include "unit.h"

#include "aws/ssm/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void values_open_where_they_belong(void **state)
{
	(void)state;
	char dir[] = "/tmp/quartet-ssm-XXXXXX", path[64];
	struct ssm_state s = {0}, again = {0}, other = {0};
	struct arena CLEAN_ARENA a = {0};
	struct stat st;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ssm.key", dir);
	assert_int_equal(ssm_key_open(&s, dir), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(ssm_key_open(&again, dir), 0);
	assert_memory_equal(s.seal.key, again.seal.key, SEAL_KEY_BYTES);
	struct str arn = S("arn:aws:ssm:us-east-1:000000000000:parameter/a"), secret = S("hidden");
	struct str sealed = ssm_seal(&s, &a, secret, arn, 3);
	assert_true(str_set(sealed) && str_find(sealed, secret) < 0);
	assert_str(ssm_unseal(&again, &a, sealed, arn, 3), "hidden");
	assert_false(str_eq(sealed, ssm_seal(&s, &a, secret, arn, 3))); /* not twice the same */
	/* another version, another parameter, another key, a changed byte, a cut one */
	assert_false(str_set(ssm_unseal(&s, &a, sealed, arn, 2)));
	assert_false(str_set(ssm_unseal(&s, &a, sealed, S("arn:aws:ssm:us-east-1:000000000000:parameter/b"), 3)));
	other.seal.open = true;
	assert_false(str_set(ssm_unseal(&other, &a, sealed, arn, 3)));
	for (size_t i = 0; i < sealed.n; i++) {
		char *changed = arena_dupz(&a, sealed);
		changed[i] ^= 1;
		assert_false(str_set(ssm_unseal(&s, &a, str_of(changed, sealed.n), arn, 3)));
		assert_false(str_set(ssm_unseal(&s, &a, str_sub(sealed, 0, i), arn, 3)));
	}
	/* a file that is no key is not taken for one, nor replaced */
	assert_int_equal(truncate(path, 31), 0);
	assert_int_equal(ssm_key_open(&again, dir), -EINVAL);
	assert_false(again.seal.open);
	assert_false(str_set(ssm_seal(&again, &a, secret, arn, 3)));
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
