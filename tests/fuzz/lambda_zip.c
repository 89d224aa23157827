/* Any bytes as a deployment package: checked without unpacking, and bounded by the limit whatever they claim. */
#include "aws/lambda/zip.h"

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { LIMIT = 1 << 20 };
	struct zip_facts facts;
	enum zip_result result = zip_unpack(str_of(data, size), -1, LIMIT, false, &facts);
	if (result == ZIP_OK && (facts.unzipped_bytes > LIMIT || facts.entries == 0))
		die("more than the limit, or nothing");
	if (result == ZIP_BAD && !facts.why[0])
		die("bad without a reason");
	return 0;
}
