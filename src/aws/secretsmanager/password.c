/* GetRandomPassword. */
#include "rows.h"

#include "base/rand.h"

enum { LENGTH_DEFAULT = 32, TYPES = 5 };

struct letters {
	char v[128];
	uint32_t n;
};

static void fill(struct letters *l, const char *from, struct str without)
{
	for (; *from; from++)
		if (!str_set(without) || str_find_char(without, *from) < 0)
			l->v[l->n++] = *from;
}

int secretsmanager_get_random_password(struct call *c, const struct secretsmanager_get_random_password_request *in,
                                       struct secretsmanager_get_random_password_response *out)
{
	uint32_t n = in->password_length.set ? (uint32_t)in->password_length.v : LENGTH_DEFAULT, types = 0;
	struct letters of[TYPES] = {0}, all = {0};
	const struct {
		bool is;
		const char *set;
	} kinds[TYPES] = {
	        {!in->exclude_lowercase.v, "abcdefghijklmnopqrstuvwxyz"},
	        {!in->exclude_uppercase.v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	        {!in->exclude_numbers.v, "0123456789"},
	        {!in->exclude_punctuation.v, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
	        {in->include_space.v, " "},
	};
	for (int i = 0; i < TYPES; i++) {
		if (!kinds[i].is)
			continue;
		fill(&of[types], kinds[i].set, in->exclude_characters);
		fill(&all, kinds[i].set, in->exclude_characters);
		types += of[types].n > 0;
	}
	bool each = !in->require_each_included_type.set || in->require_each_included_type.v;
	if (!all.n)
		return secret_invalid(c, "No characters are left to make a password of.");
	if (each && n < types)
		return secret_invalid(c, "The password length is too short for the character types that have to be in it.");
	char *text = arena_alloc(c->arena, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct letters *l = each && i < types ? &of[i] : &all;
		text[i] = l->v[rand_below(l->n)];
	}
	/* The types that have to be there are in front so far. */
	for (uint32_t i = n; i > 1; i--) {
		uint32_t other = (uint32_t)rand_below(i);
		char swap = text[i - 1];
		text[i - 1] = text[other];
		text[other] = swap;
	}
	out->random_password = str_of(text, n);
	return CALL_OK;
}
