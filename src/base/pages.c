#include "base/pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

/* Writable segments hold what has been relocated or written; the others are as their file is. */
static int release(struct dl_phdr_info *object, size_t size, void *ctx)
{
	(void)size;
	uintptr_t page = *(const uintptr_t *)ctx;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
			continue;
		uintptr_t from = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t to = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz + page - 1) & ~(page - 1);
		madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void pages_release(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	dl_iterate_phdr(release, &page);
}
