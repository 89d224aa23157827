/* Any bytes as a configuration file, as an environment manifest and as a whole bundle: taken, or told why not, and bounded. */
#include "aws/elasticbeanstalk/bundle.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct str bytes = str_of(data, size), error = STR_NONE;
	struct bundle file = {0}, manifest = {0}, whole;
	const struct yaml_value *v = yaml_parse(&a, bytes, &error);
	assert(v || error.n);
	assert(!v || v->written <= YAML_NODES_MAX);
	bundle_take(&a, &file, S("a.config"), bytes, S("v"));
	bundle_take_manifest(&a, &manifest, bytes, S("v"));
	assert(manifest.manifest.there || manifest.wrong.n);
	bundle_read(&a, bytes, S("v"), &whole);
	assert(file.options.n <= BUNDLE_OPTIONS_MAX && whole.options.n <= BUNDLE_OPTIONS_MAX && whole.bytes <= BUNDLE_BYTES_MAX);
	return 0;
}
