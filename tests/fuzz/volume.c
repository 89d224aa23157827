/* The head of an image file that somebody gave us, and what api may say to warden and shim. */
#include "engine/volume/volume.h"
#include "engine/vm/proto.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t bytes = 0;
	char backing[VOLUME_NAME_MAX];
	int kind = volume_parse(data, size < 1024 ? size : 1024, size, &bytes, backing);
	assert(strnlen(backing, sizeof(backing)) < sizeof(backing));
	assert(!strchr(backing, '/') && !strchr(backing, '.'));
	if (kind == 0)
		assert(bytes == size);
	warden_check(data, size, 3);
	struct shim_request r;
	if (shim_check(data, size, 1) == 0) {
		memcpy(&r, data, sizeof(r));
		assert(!strchr(r.disk, '"') && !strchr(r.serial, '"') && !strchr(r.layer, '"'));
	}
	return 0;
}
