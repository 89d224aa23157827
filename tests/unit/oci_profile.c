/* A container's filter of system calls is told twice: as the words of the runtime specification, and as the kernel's instructions
 * that these come to. Here the words are read as an OCI runtime reads them, and must come to the very same instructions. */
#include "unit.h"

#include "base/json.h"
#include "engine/oci/bundle.h"

#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t number(struct str text)
{
	uint64_t n = 0;
	assert_true(str_to_u64(text, &n));
	return n;
}

static uint32_t action(const struct json_value *rule)
{
	const struct json_value *error = json_get(rule, S("errnoRet"));
	if (str_eq(json_get(rule, S("action"))->text, S("SCMP_ACT_ALLOW")))
		return SCMP_ACT_ALLOW;
	assert_true(str_eq(json_get(rule, S("action"))->text, S("SCMP_ACT_ERRNO")));
	return SCMP_ACT_ERRNO((uint32_t)number(error->text));
}

static void add_rule(scmp_filter_ctx f, const struct json_value *rule)
{
	const struct json_value *args = json_get(rule, S("args"));
	struct scmp_arg_cmp compared = {0};
	unsigned n = 0;
	json_each(args, one)
	{
		bool masked = str_eq(json_get(one, S("op"))->text, S("SCMP_CMP_MASKED_EQ"));
		compared = (struct scmp_arg_cmp){.arg = 0,
		                                 .op = masked ? SCMP_CMP_MASKED_EQ : SCMP_CMP_NE,
		                                 .datum_a = number(json_get(one, S("value"))->text),
		                                 .datum_b = masked ? number(json_get(one, S("valueTwo"))->text) : 0};
		n++;
	}
	json_each(json_get(rule, S("names")), name)
	{
		char text[64];
		snprintf(text, sizeof(text), "%.*s", STR_ARG(name->text));
		int call = seccomp_syscall_resolve_name(text);
		if (call != __NR_SCMP_ERROR)
			assert_int_equal(seccomp_rule_add_array(f, action(rule), call, n, &compared), 0);
	}
}

static size_t as_runtime(struct arena *a, const char *const *capabilities, size_t count, char *ret, size_t cap)
{
	CLEAN_BUF struct buf b;
	buf_init(&b, 1 << 20);
	profile_put(&b, capabilities, count);
	const struct json_value *profile = json_parse(a, str_of(b.p, b.n), NULL);
	assert_non_null(profile);
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO((uint32_t)number(json_get(profile, S("defaultErrnoRet"))->text)));
	assert_int_equal(seccomp_arch_add(f, SCMP_ARCH_X86), 0);
	assert_int_equal(seccomp_arch_add(f, SCMP_ARCH_X32), 0);
	assert_int_equal(json_get(profile, S("architectures"))->count, 3);
	json_each(json_get(profile, S("syscalls")), rule)
	{
		add_rule(f, rule);
	}
	int fd = memfd_create("filter", MFD_CLOEXEC);
	assert_int_equal(seccomp_export_bpf(f, fd), 0);
	seccomp_release(f);
	ssize_t n = pread(fd, ret, cap, 0);
	close(fd);
	assert_true(n > 1000 && (size_t)n < cap);
	return (size_t)n;
}

static void words_and_instructions_agree(void **state)
{
	static const char *const sets[][4] = {{"CAP_CHOWN", "CAP_KILL"},
	                                      {"CAP_SYS_CHROOT"},
	                                      {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE"},
	                                      {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_NICE", "CAP_SYS_TTY_CONFIG"},
	                                      {"CAP_SYS_CHROOT"}};
	static char words[1 << 17];
	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		struct arena CLEAN_ARENA a = {0};
		size_t count = 0;
		struct str code = {0};
		while (count < 4 && sets[i][count])
			count++;
		size_t n = as_runtime(&a, sets[i], count, words, sizeof(words));
		assert_int_equal(profile_compile(sets[i], count, &code), 0);
		assert_int_equal(code.n, n);
		assert_memory_equal(code.p, words, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(words_and_instructions_agree)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
