/* Secrets at rest: AES-256-GCM under a key of this cloud that lies in a file of its own, DATA/ssm.key (mode 0600), so that a copy
 * of the store alone tells no secret. Each is bound to a text that says whose it is: a value that is moved elsewhere does not open.
 *
 * aws/ssm opens it, before all services are asked anything, and puts it into cloud->seal; who keeps secrets uses it there. */
#pragma once
#include "base/arena.h"

enum { SEAL_KEY_BYTES = 32 };

struct seal {
	bool open; /* has it a key? Else nothing can be sealed or unsealed */
	unsigned char key[SEAL_KEY_BYTES];
};

/* Reads the key or makes it. 0 or negative errno: -EINVAL for a file that is no key, which stays as it is. */
int seal_open(struct seal *s, const char *data_dir);
/* The sealed bytes, in a; absent: there is no key. */
struct str seal_put(const struct seal *s, struct arena *a, struct str plain, struct str bound);
/* What was sealed; absent: not with this key, not bound to this, or not whole. */
struct str seal_get(const struct seal *s, struct arena *a, struct str sealed, struct str bound);
