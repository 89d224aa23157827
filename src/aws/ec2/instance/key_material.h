/* Key pairs as bytes: making one, reading a public one, and AWS's fingerprints of both. Pure functions over OpenSSL; making an RSA
 * pair takes a tenth of a second, so it belongs on a worker thread. Called by key_pair.c. */
#pragma once
#include "base/arena.h"

enum key_kind { KEY_RSA, KEY_ED25519 };

/* All texts lie in the arena that was given. */
struct key_material {
	enum key_kind kind;
	struct str public_key;  /* "ssh-ed25519 AAAA...", without a comment */
	struct str private_key; /* PEM, as ssh reads it; absent: imported */
	struct str fingerprint;
};

/* RSA with 2048 bits, or Ed25519. False: OpenSSL could not. */
bool key_material_make(struct arena *a, enum key_kind kind, struct key_material *ret);
/* A line of OpenSSH's, with or without comment: RSA of 1024, 2048 or 4096 bits, or Ed25519. False: it is none. */
bool key_material_import(struct arena *a, struct str text, struct key_material *ret);
