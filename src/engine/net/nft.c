#include "engine/net/nft.h"

#include <dlfcn.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	__typeof__(&nft_ctx_new) ctx_new;
	__typeof__(&nft_ctx_free) ctx_free;
	__typeof__(&nft_ctx_buffer_output) buffer_output;
	__typeof__(&nft_ctx_get_output_buffer) get_output;
	__typeof__(&nft_ctx_buffer_error) buffer_error;
	__typeof__(&nft_ctx_get_error_buffer) get_error;
	__typeof__(&nft_run_cmd_from_buffer) run;
} lib;

int nft_load(void)
{
	static const struct {
		const char *name;
		void *place;
	} symbols[] = {{"nft_ctx_new", &lib.ctx_new},
	               {"nft_ctx_free", &lib.ctx_free},
	               {"nft_ctx_buffer_output", &lib.buffer_output},
	               {"nft_ctx_get_output_buffer", &lib.get_output},
	               {"nft_ctx_buffer_error", &lib.buffer_error},
	               {"nft_ctx_get_error_buffer", &lib.get_error},
	               {"nft_run_cmd_from_buffer", &lib.run}};
	void *so = dlopen("libnftables.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!so)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *p = dlsym(so, symbols[i].name);
		if (!p)
			return -ENOENT;
		memcpy(symbols[i].place, &p, sizeof(p));
	}
	return 0;
}

struct nft *nft_new(void)
{
	struct nft_ctx *c = lib.ctx_new(NFT_CTX_DEFAULT);
	if (c && (lib.buffer_output(c) || lib.buffer_error(c))) {
		lib.ctx_free(c);
		c = NULL;
	}
	return (struct nft *)c;
}

void nft_free(struct nft *n)
{
	if (n)
		lib.ctx_free((struct nft_ctx *)n);
}

int nft_run(struct nft *n, const char *text, char *ret_why, size_t why_bytes)
{
	struct nft_ctx *c = (struct nft_ctx *)n;
	int error = lib.run(c, text);
	const char *said = lib.get_error(c);
	if (error)
		snprintf(ret_why, why_bytes, "%s", said ? said : "");
	lib.get_output(c);
	return error ? -EINVAL : 0;
}

static uint64_t read_counter(struct nft *n, const char *family_and_table, const char *name, const char *before)
{
	struct nft_ctx *c = (struct nft_ctx *)n;
	char command[96];
	snprintf(command, sizeof(command), "list counter %s %s", family_and_table, name);
	int error = lib.run(c, command);
	const char *said = lib.get_output(c);
	const char *at = !error && said ? strstr(said, before) : NULL;
	lib.get_error(c);
	return at ? strtoull(at + strlen(before), NULL, 10) : 0;
}

uint64_t nft_counter(struct nft *n, const char *family_and_table, const char *name)
{
	return read_counter(n, family_and_table, name, "packets ");
}

uint64_t nft_counter_bytes(struct nft *n, const char *family_and_table, const char *name)
{
	return read_counter(n, family_and_table, name, "bytes ");
}
