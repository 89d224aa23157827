/* A container's specification as what the OCI runtime reads (runtime-spec 1.0): pure text, made by `api`, which knows the client's
 * words, for the shim, which only copies it. */
#pragma once
#include "engine/oci/proto.h"
#include "engine/oci/task.h"

#include "base/buf.h"

/* Appends the plan of a container: the head, the configuration, the health check. volumes: the task's, for the mounts. 0; -EINVAL:
 * an unknown capability, limit or volume, a path that is not absolute; -E2BIG: longer than it may be. The buffer is what it was
 * before then, or worthless. */
int bundle_plan(struct buf *b, const struct task_spec *spec, unsigned index);
/* Words, each with its NUL. How many. */
unsigned bundle_words(struct buf *b, const char *const *words);

/* profile.c: appends the value of linux.seccomp. */
void profile_put(struct buf *b, const char *const *capabilities, size_t count);
/* The same as the kernel's own instructions (struct sock_filter), which lives as long as the process: made once for each kind of
 * container, because that takes longer than all else that the OCI runtime does. */
int profile_compile(const char *const *capabilities, size_t count, struct str *ret);
