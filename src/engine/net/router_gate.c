/* What a NAT gateway carries: its own counters say what came to it and what has left it again, the kernel's table of flows how many
 * connections it has. Those that are silent for as long as AWS lets them be are forgotten here. */
#include "engine/net/conntrack.h"
#include "engine/net/router.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum { IDLE_S = 350 };

static uint64_t packets(const struct thing *t, enum rules_gate_counter letter)
{
	char name[16];
	snprintf(name, sizeof(name), "%c%u", letter, t->number);
	return nft_counter(t->router->nft, "ip q", name);
}

static uint64_t bytes(const struct thing *t, enum rules_gate_counter letter)
{
	char name[16];
	snprintf(name, sizeof(name), "%c%u", letter, t->number);
	return nft_counter_bytes(t->router->nft, "ip q", name);
}

/* Counters are read one after the other, while packets pass: what is missing behind the gateway is never too much, and once it was
 * seen it stays. */
static void note_loss(uint64_t *loss, uint64_t came, uint64_t left)
{
	if (came > left && came - left > *loss)
		*loss = came - left;
}

int gate_stats(struct thing *t, struct network_port_stats *ret)
{
	struct conntrack_counts now = {0};
	uint64_t out = packets(t, RULES_GATE_OUT), back = packets(t, RULES_GATE_BACK), new = packets(t, RULES_GATE_NEW);
	if (out < t->gate_out)
		t->gate_dropped = t->gate_unported = 0; /* the counters have begun anew */
	t->gate_out = out;
	note_loss(&t->gate_dropped, out + back, packets(t, RULES_GATE_LEFT) + packets(t, RULES_GATE_LEFT_BACK));
	note_loss(&t->gate_unported, new, packets(t, RULES_GATE_LEFT_NEW));
	int error = router_enter(t->router);
	if (!error) {
		error = conntrack_count(t->number, IDLE_S, &now);
		router_leave(t->router);
	}
	if (error)
		log_error("%s: connections are not counted: %s", t->id, strerror(-error));
	t->gate_idle += now.idle;
	*ret = (struct network_port_stats){.tx_packets = out,
	                                   .tx_bytes = bytes(t, RULES_GATE_OUT),
	                                   .rx_packets = back,
	                                   .rx_bytes = bytes(t, RULES_GATE_BACK),
	                                   .drops = t->gate_dropped,
	                                   .gate = {.active = now.connections,
	                                            .tried = packets(t, RULES_GATE_TRIED),
	                                            .met = packets(t, RULES_GATE_MET),
	                                            .unported = t->gate_unported,
	                                            .idle = t->gate_idle}};
	return 0;
}
