/* Input: a pattern, a newline, a text. Any pattern compiles or is refused; matching ends soon. */
#include "model/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a CLEAN_ARENA;
	struct str text = str_of(data, size < 4096 ? size : 4096);
	struct str pattern = str_cut(&text, '\n');
	arena_init(&a, 0);
	const char *why = NULL;
	const struct pattern *compiled = pattern_compile(&a, pattern, &why);
	if (!compiled && !why)
		__builtin_trap();
	if (compiled)
		pattern_match(&a, compiled, text);
	return 0;
}
