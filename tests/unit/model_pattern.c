/* The pattern matcher: Java's dialect, every pattern of every model, and texts chosen to hurt. */
#include "unit.h"

#include <stdlib.h>
#include <time.h>

#include "model/model.h"
#include "model/pattern.h"

static bool matches(const char *pattern, struct str text)
{
	struct arena a CLEAN_ARENA;
	arena_init(&a, 0);
	const char *why = NULL;
	const struct pattern *compiled = pattern_compile(&a, str_from(pattern), &why);
	if (!compiled)
		fail_msg("%s: %s", pattern, why);
	return pattern_match(&a, compiled, text);
}

struct example {
	const char *pattern, *good[6], *bad[6];
};
static const struct example examples[] = {
        {"", {""}, {"a"}},
        {"abc", {"abc"}, {"", "ab", "abcd", "xabc", "aabc"}},
        {"a|bc|", {"a", "bc", ""}, {"b", "abc", "c"}},
        {"^a|b$", {"a", "b"}, {"ab"}},
        {"a*b+c?", {"b", "aabbc", "bc"}, {"a", "ac", "bcc"}},
        {"(ab){2,3}", {"abab", "ababab"}, {"ab", "abababab", "aba"}},
        {"(a|b){2,}c", {"abc", "babac"}, {"ac", "c"}},
        {"a{3}", {"aaa"}, {"aa", "aaaa"}},
        {"a{0}b", {"b"}, {"ab"}},
        {"a{2,4}", {"aa", "aaa", "aaaa"}, {"a", "aaaaa", ""}},
        {"a{2,}", {"aa", "aaaaaaaa"}, {"a", ""}},
        {"x?a{2,3}a{1,2}y", {"aaay", "xaaaaay"}, {"aay", "aaaaaay"}},
        {"(a{1,2}b){2}", {"abab", "aabab", "abaab"}, {"ab", "aaabab", "ababab"}},
        /* Repetitions that begin at several places live on side by side. */
        {".*a{2,3}b", {"aab", "aaaaab", "xaaxaab"}, {"ab", "xab", "aabx"}},
        {"(b|a{2,3})*", {"", "aaa", "aab", "aaaa", "aaaaa"}, {"a", "ab", "bab"}},
        {"([ab]{2,}c|a)*", {"a", "abc", "aabc", "abcabc"}, {"bc", "abcb"}},
        {"(a*)*b", {"b", "aab"}, {"a"}},
        {"a.c",
         {"abc",
          "a\xc3\xa9"
          "c",
          "a\xf0\x9f\x98\x80"
          "c"},
         {"a\nc", "a\rc", "ac",
          "a\xe2\x80\xa8"
          "c"}},
        {".{2,3}", {"\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9\xc3\xa9"}, {"\xc3\xa9", "abcd"}},
        {"[a-c]+", {"abc"}, {"abd", ""}},
        {"[^a-c]", {"d", "\n", "\xc3\xa9"}, {"a", "dd"}},
        {"[\\w-_.]+", {"a-b_c.9"}, {"a b"}},
        {"[a-zA-Z0-9-_]+", {"a-b_C9"}, {"a:b"}},
        {"[-a]+", {"-a"}, {"b"}},
        {"[a-]+", {"-a"}, {"b"}},
        {"[+--]+", {"+,-"}, {".", "*"}},
        {"\\d\\D\\w\\W\\s\\S", {"1ax- y"}, {"11x- y"}},
        {"[\\S\\s]{3}", {"a\nb"}, {"ab"}},
        {"\\u002F[\\u0021-\\u007E]*", {"/", "/abc"}, {"a", "/ "}},
        {"[\\x20-\\x7E]+", {"a b~"}, {"\x7f", "\x1f"}},
        {"[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\r\\n\\t]*", {"", "a\n\xf0\x9f\x98\x80"}, {"\x01"}},
        {"[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*", {"", "\xc3\xa9\xe6\x97\xa5 9\xe2\x82\x85"}, {"a!", "\xe2\x82\xac"}},
        {"\\P{L}", {"1"}, {"a", "\xc3\xa9"}},
        {"\\p{ASCII}+", {"a\n"}, {"\xc3\xa9"}},
        {"\\p{Print}+", {"a ~"}, {"a\n"}},
        {"(?i)all|[0-9]{3}", {"all", "ALL", "aLl", "123"}, {"al"}},
        {"(?:a|b)c", {"ac", "bc"}, {"c"}},
        {"^(?!\\s*$).+", {"a", " a"}, {"", " ", "   "}},
        {"(?!^[0-9]+$)([a-zA-Z0-9-_]+)", {"a1", "1a"}, {"11", ""}},
        {"^(?=.{3,5}$)a.*", {"abc", "abcde"}, {"ab", "abcdef", "xbc"}},
        {"^[a-z0-9]([a-z0-9]|-(?!-)){1,4}[a-z0-9]$", {"a-b", "ab-c"}, {"a--b", "-ab", "ab-"}},
        {"^(?! )[a-z ]*(?<! )$", {"", "a", "a b"}, {" a", "a ", " "}},
        {"[0-9A-Za-z\\.\\-_]*(?<!\\.)", {"", "a.b"}, {"a."}},
        {"arn:\\b(aws|aws-cn)\\b:x", {"arn:aws:x", "arn:aws-cn:x"}, {"arn:awsx:x"}},
        {"a\\Bb", {"ab"}, {"a b"}},
        {"^(HTTPS?|#\\{protocol\\})$", {"HTTP", "HTTPS", "#{protocol}"}, {"HTTPSS", "#{protocol"}},
        {"(|[a-z$]+)", {"", "a$"}, {"A"}},
        {"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
         {"f", "f:1", "f:$LATEST", "123456789012:f", "arn:aws:lambda:eu-west-1:123456789012:function:f:live"},
         {"", "f:", "f:1:2", "a b", "$LATEST"}},
};

static void matches_whole_strings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		for (size_t k = 0; k < 6; k++) {
			if (examples[i].good[k] && !matches(examples[i].pattern, str_from(examples[i].good[k])))
				fail_msg("\"%s\" does not match \"%s\"", examples[i].pattern, examples[i].good[k]);
			if (examples[i].bad[k] && matches(examples[i].pattern, str_from(examples[i].bad[k])))
				fail_msg("\"%s\" matches \"%s\"", examples[i].pattern, examples[i].bad[k]);
		}
	assert_true(matches("a\\x00b", str_of("a\0b", 3)));
	assert_true(matches("..", str_of("\xff\xc3", 2)));
	assert_true(matches("a?", STR_NONE));
}

static void refuses_what_it_does_not_know(void **state)
{
	(void)state;
	static const char *const bad[] = {"(",
	                                  ")",
	                                  "a)",
	                                  "[",
	                                  "[a",
	                                  "[z-a]",
	                                  "*",
	                                  "a{2,1}",
	                                  "a{",
	                                  "a{x}",
	                                  "a{1",
	                                  "\\",
	                                  "\\1",
	                                  "(a)\\1",
	                                  "\\q",
	                                  "\\p{Foo}",
	                                  "\\u00",
	                                  "\\uD800\\u0041",
	                                  "a++",
	                                  "(?>a)",
	                                  "(?<n>a)",
	                                  "[a&&b]",
	                                  "[a[b]]",
	                                  "(?<!ab)c",
	                                  "((ab){1000}){1000}",
	                                  "(.{2}){9999}",
	                                  "a{99999999999}",
	                                  "a*(?!.*b)c",
	                                  "((?=.*b)a)*"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct arena a CLEAN_ARENA;
		arena_init(&a, 0);
		const char *why = NULL;
		if (pattern_compile(&a, str_from(bad[i]), &why))
			fail_msg("\"%s\" compiles", bad[i]);
		assert_non_null(why);
	}
	struct arena a CLEAN_ARENA;
	arena_init(&a, 0);
	char deep[2001];
	memset(deep, '(', 1000);
	memset(deep + 1000, ')', 1000);
	assert_null(pattern_compile(&a, str_of(deep, 2000), NULL));
}

static void compiles_every_model(void **state)
{
	(void)state;
	unsigned count = 0;
	for (const struct api *const *api = model_apis; *api; api++)
		for (uint32_t i = 0; i < (*api)->shape_count; i++) {
			struct arena a CLEAN_ARENA;
			arena_init(&a, 0);
			const struct shape *shape = &(*api)->shapes[i];
			const char *why = NULL;
			if (!(shape->have & HAS_PATTERN))
				continue;
			count++;
			if (!pattern_compile(&a, api_text(*api, shape->pattern), &why))
				fail_msg("%s: %s: %s", (*api)->id, (*api)->text + shape->pattern, why);
		}
	assert_true(count > 300);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Each of these takes a backtracking matcher longer than the universe has been there. */
static void takes_linear_time(void **state)
{
	(void)state;
	static const char *const patterns[] = {"(a*)*b",
	                                       "(a|a)*b",
	                                       "(a|aa)+b",
	                                       "(.*a){12}b",
	                                       "(a?){40}a{40}b",
	                                       "([a-z]+)*:",
	                                       "a{1,60000}b",
	                                       "(a{1,3}){1,50}b",
	                                       ".*a{5,5000}.*b",
	                                       "^(?!(a+)+b$)a*b",
	                                       "([a-c]{2,9}a{3,40})*b",
	                                       "^[a-z0-9*]+(?:[._-][a-z0-9*]+)*$|b"};
	size_t n = 50000;
	char *text = malloc(n);
	assert_non_null(text);
	memset(text, 'a', n);
	text[n - 1] = '!';
	double start = seconds();
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		assert_false(matches(patterns[i], str_of(text, n)));
	double took = seconds() - start;
	free(text);
	if (took > 10)
		fail_msg("took %.1f s", took);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(matches_whole_strings),
	        cmocka_unit_test(refuses_what_it_does_not_know),
	        cmocka_unit_test(compiles_every_model),
	        cmocka_unit_test(takes_linear_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
