/* Intrusive doubly linked lists: a list is a ring through its head. Owning nothing, allocating nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(l) \
	{ \
		&(l), &(l) \
	}
static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
/* Is this node on a list? Nodes must start out list_init()ed. */
static inline bool list_linked(const struct list *n)
{
	return n->next != n;
}

static inline void list_insert_before(struct list *at, struct list *n)
{
	n->prev = at->prev;
	n->next = at;
	at->prev->next = n;
	at->prev = n;
}
static inline void list_push(struct list *l, struct list *n)
{
	list_insert_before(l, n);
} /* at the end */
static inline void list_push_front(struct list *l, struct list *n)
{
	list_insert_before(l->next, n);
}
/* Takes n off its list; harmless when it is on none. */
static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define list_first(l, type, member) (list_empty(l) ? NULL : container_of((l)->next, type, member))
#define list_last(l, type, member) (list_empty(l) ? NULL : container_of((l)->prev, type, member))
/*
 * The entry may remove itself from the list inside the loop. After a `break` nothing of the list is looked at any more,
 * so its owner may have gone by then.
 */
#define list_each(l, type, member, var) \
	for (struct list *n_##var = (l)->next, *x_##var, *to_##var; \
	     n_##var && n_##var != (l) && (x_##var = n_##var->next, to_##var = NULL, true); n_##var = to_##var) \
		for (type *var = container_of(n_##var, type, member); var; var = NULL, to_##var = x_##var)
