/* What every unit test includes: cmocka and comparisons of strs. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

#define assert_str(got, want) \
	do { \
		struct str got_ = (got), want_ = str_from(want); \
		if (!str_eq(got_, want_)) \
			fail_msg("got \"%.*s\", want \"%.*s\"", STR_ARG(got_), STR_ARG(want_)); \
	} while (0)
