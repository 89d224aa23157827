/* Network interfaces of a machine that runs. An interface is called by its address, in QEMU too: p-MAC is the device, n-MAC what
 * stands behind it. */
#include "engine/vm/qemu.h"

#include "base/arena.h"

#include <errno.h>
#include <string.h>

static bool is_mac(const char *text)
{
	return strlen(text) == 12 && strspn(text, "0123456789abcdef") == 12;
}

int qemu_plug_port(struct qemu *q, const char *mac, int fd)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	struct str there = STR_NONE;
	const struct json_value *devices = NULL;
	if (!is_mac(mac))
		return -EINVAL;
	/* An api that has forgotten asks again. */
	if (qmp_ask(&q->qmp, &a, "qom-list", S("{\"path\":\"/machine/peripheral\"}"), -1, &devices) == 0)
		json_each(devices, device)
		{
			there = json_get_str(device, S("name"));
			if (str_eq(there, arena_printf(&a, "p-%s", mac)))
				return -EEXIST;
		}
	int error = qmp_ask(&q->qmp, &a, "getfd", arena_printf(&a, "{\"fdname\":\"t-%s\"}", mac), fd, NULL);
	if (error)
		return error;
	error = qmp_ask(&q->qmp, &a, "netdev_add", arena_printf(&a, "{\"type\":\"tap\",\"id\":\"n-%s\",\"fd\":\"t-%s\"}", mac, mac),
	                -1, NULL);
	if (error) {
		qmp_ask(&q->qmp, &a, "closefd", arena_printf(&a, "{\"fdname\":\"t-%s\"}", mac), -1, NULL);
		return error;
	}
	error = qmp_ask(
	        &q->qmp, &a, "device_add",
	        arena_printf(
	                &a,
	                "{\"driver\":\"virtio-net-pci\",\"id\":\"p-%s\",\"netdev\":\"n-%s\",\"romfile\":\"\",\"mac\":\"%.2s:%.2s:%.2s:%.2s:%.2s:%.2s\"}",
	                mac, mac, mac, mac + 2, mac + 4, mac + 6, mac + 8, mac + 10),
	        -1, NULL);
	if (error)
		qemu_forget_port(q, mac);
	return error;
}

int qemu_unplug_port(struct qemu *q, const char *mac)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	if (!is_mac(mac))
		return -EINVAL;
	int error = qmp_ask(&q->qmp, &a, "qom-get",
	                    arena_printf(&a, "{\"path\":\"/machine/peripheral/p-%s\",\"property\":\"type\"}", mac), -1, NULL);
	if (error == -EREMOTEIO)
		return -ENOENT;
	return error ? error : qmp_ask(&q->qmp, &a, "device_del", arena_printf(&a, "{\"id\":\"p-%s\"}", mac), -1, NULL);
}

int qemu_forget_port(struct qemu *q, const char *mac)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	return qmp_ask(&q->qmp, &a, "netdev_del", arena_printf(&a, "{\"id\":\"n-%s\"}", mac), -1, NULL);
}

void qemu_port_deleted(struct qemu *q, struct str device)
{
	if (device.n == 14 && str_starts(device, S("p-")))
		memcpy(q->deleted_port, device.p + 2, 12);
}
