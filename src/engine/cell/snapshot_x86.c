#include "engine/cell/snapshot_x86.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum { STATE_MAX = 16384, LEGACY_BYTES = 512, SOFTWARE_AT = 464, HEADER_AT = 512, FEATURES_MAX = 63, TRAP_FLAG = 0x100 };
#define DYNAMIC_FEATURES (UINT64_C(3) << 17) /* AMX, which a process must ask for; its frames have no room for them otherwise */

/* What the kernel expects in a frame's otherwise unused bytes. */
struct software_bytes {
	uint32_t magic;
	uint32_t extended_bytes;
	uint64_t features;
	uint32_t state_bytes;
	uint32_t padding[7];
};

static uint32_t state_bytes(uint64_t features)
{
	uint32_t most = LEGACY_BYTES + 64;
	for (unsigned i = 2; i < FEATURES_MAX; i++) {
		uint32_t size, at, c, d;
		if (!(features >> i & 1) || !__get_cpuid_count(0xd, i, &size, &at, &c, &d))
			continue;
		if (!(c & 1) && at + size > most) /* not one of the supervisor's */
			most = at + size;
	}
	return most;
}

int x86_read_float(pid_t tid, struct buf *text, uint64_t *ret_address)
{
	static _Alignas(64) unsigned char state[STATE_MAX];
	struct iovec v = {state, sizeof(state)};
	memset(state, 0, sizeof(state));
	if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &v) < 0)
		return -errno;
	uint64_t features;
	memcpy(&features, state + SOFTWARE_AT, sizeof(features));
	features &= ~DYNAMIC_FEATURES;
	uint32_t bytes = state_bytes(features);
	if (bytes > v.iov_len)
		return -ENOTSUP;
	uint64_t used;
	memcpy(&used, state + HEADER_AT, sizeof(used));
	used &= features;
	memcpy(state + HEADER_AT, &used, sizeof(used));
	const struct software_bytes software = {
	        .magic = 0x46505853, .extended_bytes = bytes + 4, .features = features, .state_bytes = bytes};
	_Static_assert(sizeof(software) == LEGACY_BYTES - SOFTWARE_AT, "as the kernel has it");
	memcpy(state + SOFTWARE_AT, &software, sizeof(software));
	static const uint32_t end = 0x46505845;
	while (text->n % 64)
		buf_add_char(text, 0);
	*ret_address = SNAP_META + text->n;
	buf_add(text, state, bytes);
	buf_add(text, &end, sizeof(end));
	return 0;
}

void x86_context(const struct user_regs_struct *r, struct snap_context *ret)
{
	*ret = (struct snap_context){
	        .flags = 7, /* with extended state, with this stack segment, strictly */
	        .r8 = r->r8,
	        .r9 = r->r9,
	        .r10 = r->r10,
	        .r11 = r->r11,
	        .r12 = r->r12,
	        .r13 = r->r13,
	        .r14 = r->r14,
	        .r15 = r->r15,
	        .di = r->rdi,
	        .si = r->rsi,
	        .bp = r->rbp,
	        .bx = r->rbx,
	        .dx = r->rdx,
	        .ax = r->rax,
	        .cx = r->rcx,
	        .sp = r->rsp,
	        .ip = r->rip,
	        .eflags = r->eflags & ~(uint64_t)TRAP_FLAG,
	        .cs = (uint16_t)r->cs,
	        .gs = (uint16_t)r->gs,
	        .fs = (uint16_t)r->fs,
	        .ss = (uint16_t)r->ss,
	};
}
