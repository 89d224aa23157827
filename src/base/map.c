#include "base/map.h"

#include "base/log.h"
#include "base/rand.h"

#include <stdlib.h>

/* Linear probing; a removed slot closes the gap behind it, so there are no tombstones. */
struct map_slot {
	uint64_t hash;
	char *key; /* NULL: free */
	size_t key_n;
	void *value;
};

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIP_ROUND \
	do { \
		v0 += v1, v1 = ROTL(v1, 13), v1 ^= v0, v0 = ROTL(v0, 32); \
		v2 += v3, v3 = ROTL(v3, 16), v3 ^= v2; \
		v0 += v3, v3 = ROTL(v3, 21), v3 ^= v0; \
		v2 += v1, v1 = ROTL(v1, 17), v1 ^= v2, v2 = ROTL(v2, 32); \
	} while (0)

/* SipHash-1-3 (Aumasson and Bernstein) under a key drawn once per process. */
uint64_t map_hash(struct str s)
{
	static uint64_t k[2];
	static bool seeded;
	if (!seeded) {
		rand_bytes(k, sizeof(k));
		seeded = true;
	}
	uint64_t v0 = k[0] ^ 0x736f6d6570736575u, v1 = k[1] ^ 0x646f72616e646f6du;
	uint64_t v2 = k[0] ^ 0x6c7967656e657261u, v3 = k[1] ^ 0x7465646279746573u;
	size_t i = 0;
	for (; i + 8 <= s.n; i += 8) {
		uint64_t m;
		memcpy(&m, s.p + i, 8);
		v3 ^= m;
		SIP_ROUND;
		v0 ^= m;
	}
	uint64_t last = (uint64_t)s.n << 56;
	for (size_t j = 0; i + j < s.n; j++)
		last |= (uint64_t)(unsigned char)s.p[i + j] << (8 * j);
	v3 ^= last;
	SIP_ROUND;
	v0 ^= last;
	v2 ^= 0xff;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

void map_done(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->slots[i].key);
	free(m->slots);
	*m = (struct map){0};
}

static struct map_slot *map_find(const struct map *m, struct str key, uint64_t hash)
{
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];
		if (!s->key || (s->hash == hash && str_eq(str_of(s->key, s->key_n), key)))
			return s;
	}
}

void *map_get(const struct map *m, struct str key)
{
	if (m->count == 0)
		return NULL;
	struct map_slot *s = map_find(m, key, map_hash(key));
	return s->key ? s->value : NULL;
}

static void map_grow(struct map *m)
{
	struct map old = *m;
	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = calloc(m->cap, sizeof(*m->slots));
	if (!m->slots)
		die("out of memory (map of %zu entries)", m->cap);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key)
			*map_find(m, str_of(old.slots[i].key, old.slots[i].key_n), old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

void *map_put(struct map *m, struct str key, void *value)
{
	if (m->cap == 0 || m->count * 4 >= m->cap * 3)
		map_grow(m);
	uint64_t hash = map_hash(key);
	struct map_slot *s = map_find(m, key, hash);
	if (s->key) {
		void *was = s->value;
		s->value = value;
		return was;
	}
	char *copy = malloc(key.n + 1);
	if (!copy)
		die("out of memory (map key of %zu bytes)", key.n);
	if (key.n)
		memcpy(copy, key.p, key.n);
	copy[key.n] = '\0';
	*s = (struct map_slot){.hash = hash, .key = copy, .key_n = key.n, .value = value};
	m->count++;
	return NULL;
}

void *map_remove(struct map *m, struct str key)
{
	if (m->count == 0)
		return NULL;
	struct map_slot *s = map_find(m, key, map_hash(key));
	if (!s->key)
		return NULL;
	void *was = s->value;
	free(s->key);
	m->count--;
	size_t hole = (size_t)(s - m->slots);
	for (size_t i = (hole + 1) & (m->cap - 1); m->slots[i].key; i = (i + 1) & (m->cap - 1)) {
		size_t home = m->slots[i].hash & (m->cap - 1);
		if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct map_slot){0};
	return was;
}

bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value)
{
	for (; *at < m->cap; (*at)++) {
		const struct map_slot *s = &m->slots[*at];
		if (!s->key)
			continue;
		*ret_key = str_of(s->key, s->key_n);
		*ret_value = s->value;
		(*at)++;
		return true;
	}
	return false;
}
