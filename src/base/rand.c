#include "base/rand.h"

#include "base/log.h"

#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

static struct {
	bool on;
	uint64_t state;
} seeded;

/* A pool, because a system call for every 16-byte id would be the dearest part of a small request. */
static _Thread_local struct {
	unsigned char bytes[4096];
	size_t left;
} pool;

static uint64_t splitmix(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void rand_seed(uint64_t seed)
{
	seeded.on = true;
	seeded.state = seed;
}

static void kernel_bytes(void *p, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t k = getrandom((char *)p + got, n - got, 0);
		if (k < 0)
			die("getrandom failed");
		got += (size_t)k;
	}
}

void rand_bytes(void *p, size_t n)
{
	if (seeded.on) {
		for (size_t i = 0; i < n; i++)
			((unsigned char *)p)[i] = (unsigned char)splitmix(&seeded.state);
		return;
	}
	if (n > 128) { /* what is asked for in such lengths is asked for rarely */
		kernel_bytes(p, n);
		return;
	}
	if (pool.left < n) {
		kernel_bytes(pool.bytes, sizeof(pool.bytes));
		pool.left = sizeof(pool.bytes);
	}
	pool.left -= n;
	memcpy(p, pool.bytes + pool.left, n);
	memset(pool.bytes + pool.left, 0, n);
}

void rand_forget(void)
{
	pool.left = 0;
}

uint64_t rand_u64(void)
{
	uint64_t v;
	rand_bytes(&v, sizeof(v));
	return v;
}

uint64_t rand_below(uint64_t below)
{
	/* Rejection keeps it uniform; the expected number of draws is below two. */
	uint64_t limit = UINT64_MAX - UINT64_MAX % below;
	uint64_t v;
	do
		v = rand_u64();
	while (v >= limit);
	return v % below;
}
