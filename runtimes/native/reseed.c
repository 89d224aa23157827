/* Loaded by a runtime client after its process was restored from a snapshot: gives OpenSSL, where the process has it, entropy that
 * no other copy of the process has. Loading is all there is to it. */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

__attribute__((constructor)) static void reseed(void)
{
	unsigned char fresh[64];
	void (*seed)(const void *, int) = NULL;
	void *found = dlsym(RTLD_DEFAULT, "RAND_seed");
	memcpy(&seed, &found, sizeof(seed));
	if (seed && getrandom(fresh, sizeof(fresh), 0) == (ssize_t)sizeof(fresh))
		seed(fresh, sizeof(fresh));
	explicit_bzero(fresh, sizeof(fresh));
}
