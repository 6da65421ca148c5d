/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ports of the host that lead to a VM: its while it has a card, and nobody's otherwise. */
#include "service/engine/vm-private.h"

#define PUBLISHER(self) BANGER_PUBLISHER_GET_IFACE((self)->ports->publisher)

static void
withdraw(BangerVm *self, const GArray *ports, const GArray *but)
{
	for (guint i = 0; i < ports->len; i++) {
		const BnPort *port = &g_array_index(ports, BnPort, i);

		if (!but || !banger_port_list_has(but, port))
			PUBLISHER(self)->withdraw(self->ports->publisher, self->spec->id, port);
	}
}

/* All of them or, of those that `before` has not, none. */
static bool
publish(BangerVm *self, const GArray *ports, const GArray *before, GError **error)
{
	uint32_t address = banger_vm_get_address(self);

	for (guint i = 0; address && i < ports->len; i++)
		if (!PUBLISHER(self)->publish(self->ports->publisher, self->spec->id,
					      &g_array_index(ports, BnPort, i), address, error)) {
			withdraw(self, ports, before);
			return false;
		}
	return true;
}

bool
banger_vm_publish(BangerVm *self, GError **error)
{
	return publish(self, self->spec->ports, /* before= */ NULL, error);
}

void
banger_vm_withdraw(BangerVm *self)
{
	withdraw(self, self->spec->ports, /* but= */ NULL);
}

bool
banger_vm_set_ports(BangerVm *self, const GArray *ports, GError **error)
{
	g_autoptr(GArray) before = g_array_ref(self->spec->ports);

	/* First those that go: one of the host's may lead to another of the guest's from now on. */
	withdraw(self, before, ports);
	if (!publish(self, ports, before, error)) {
		(void)banger_vm_publish(self, /* error= */ NULL);
		return false;
	}
	g_array_unref(self->spec->ports);
	self->spec->ports = g_array_copy((GArray *)ports);
	banger_vm_tell_change(self);
	return true;
}
