/* Identifiers in the forms that AWS gives them. */
#pragma once
#include "base/arena.h"

/* 6ba7b810-9dad-41d1-80b4-00c04fd430c8 (version 4). */
struct str id_uuid(struct arena *a);
void id_uuid_to(char out[static 37]);
/* n lower-case hexadecimal digits. */
struct str id_hex(struct arena *a, size_t n);
/* prefix and n characters of A-Z and 2-7: AKIA..., AROA... */
struct str id_base32(struct arena *a, struct str prefix, size_t n);
/* n characters of A-Z a-z 0-9 + /: secret access keys. */
struct str id_secret(struct arena *a, size_t n);
/* Is it a UUID, in either case? */
bool id_is_uuid(struct str s);
