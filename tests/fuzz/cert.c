/* Certificates and keys that clients upload: whatever comes is read or refused, and what is taken can be read again. The input is a
 * body, a chain and a key, with a zero byte between. */
#include "base/cert.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct str rest = str_of(data, size);
	struct cert_bundle b = {.body = str_cut(&rest, '\0')};
	struct cert_facts f;
	int at = 0;
	b.chain = str_set(rest) ? str_cut(&rest, '\0') : STR_NONE;
	b.key = rest;
	bool read = cert_read(&a, b.body, &f);
	enum cert_fault fault = cert_check(&b, &at);
	assert(fault == CERT_MALFORMED || read);
	assert(at >= -1);
	if (read)
		assert(f.serial.n % 3 != 1 && f.subject.p && f.name_count <= size);
	return 0;
}
