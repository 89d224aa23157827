/* Messages between our own processes: one datagram of a SOCK_SEQPACKET pair is one struct and a few descriptors.
 *
 * The receiver checks the size, copies, and validates: a peer is another privilege, not a friend. Nothing is
 * queued here; a full socket is -EAGAIN and the sender's business. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

enum { MSG_MAX_FDS = 64 };

/* A connected non-blocking pair, close-on-exec. */
int msg_pair(int ret_fds[2]);

/* Sends n bytes (n > 0) and copies of nfds descriptors as one message. 0, or negative errno: -EAGAIN full, -EPIPE gone, -EMSGSIZE
 * larger than the socket's buffer. The descriptors stay the caller's. */
int msg_send(int sock, const void *p, size_t n, const int *fds, size_t nfds);

/* Receives one message of at most cap bytes. Returns its size; 0: the peer is gone; negative errno: -EAGAIN nothing there,
 * -EMSGSIZE it was larger than cap or carried more than max_fds descriptors (it is dropped and its descriptors are closed).
 * Descriptors arrive close-on-exec and are the caller's; *ret_nfds (may be NULL with max_fds 0) is always set. */
ssize_t msg_recv(int sock, void *p, size_t cap, int *ret_fds, size_t max_fds, size_t *ret_nfds);

/* Closes the first n descriptors that are >= 0. */
void msg_close_fds(const int *fds, size_t n);
