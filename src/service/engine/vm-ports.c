/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ports of the host that lead to a VM: its while it has a card, and nobody's otherwise. */
#include "service/engine/vm-private.h"
#include "shared/base/log.h"

#define PUBLISHER(self) BANGER_PUBLISHER_GET_IFACE((self)->ports->publisher)

static char *
render(const BnPort *port)
{
	char *text = g_malloc(BN_PORT_SIZE);

	bn_port_render(port, text);
	return text;
}

/* `why`: NULL where it is not missing. */
static void
note_missing(BangerVm *self, const BnPort *port, const GError *why)
{
	g_autofree char *text = render(port);

	if (why)
		(void)g_hash_table_insert(self->missing, g_steal_pointer(&text),
					  g_strdup(why->message));
	else
		(void)g_hash_table_remove(self->missing, text);
}

GHashTable *
banger_vm_get_missing_ports(BangerVm *self)
{
	return self->missing;
}

/* But for those of the host that are in `but`. */
static void
withdraw(BangerVm *self, const GArray *ports, const GArray *but)
{
	for (guint i = 0; i < ports->len; i++) {
		const BnPort *port = &g_array_index(ports, BnPort, i);

		if (!but || !banger_port_list_has(but, port))
			note_missing(self, port, /* why= */ NULL);
		if (!but || !banger_port_list_has_host(but, port))
			PUBLISHER(self)->withdraw(self->ports->publisher, self->spec->id, port);
	}
}

static bool
publish_one(BangerVm *self, const BnPort *port, uint32_t address, GError **error)
{
	bool ok = PUBLISHER(self)->publish(self->ports->publisher, self->spec->id, port, address,
					   error);

	if (ok)
		note_missing(self, port, /* why= */ NULL);
	return ok;
}

bool
banger_vm_publish(BangerVm *self, GError **error)
{
	const GArray *ports = self->spec->ports;
	uint32_t address = banger_vm_get_address(self);

	for (guint i = 0; address && i < ports->len; i++)
		if (!publish_one(self, &g_array_index(ports, BnPort, i), address, error)) {
			banger_vm_withdraw(self);
			return false;
		}
	return true;
}

void
banger_vm_publish_again(BangerVm *self)
{
	const GArray *ports = self->spec->ports;
	uint32_t address = banger_vm_get_address(self);

	for (guint i = 0; address && i < ports->len; i++) {
		const BnPort *port = &g_array_index(ports, BnPort, i);
		g_autoptr(GError) error = NULL;

		if (publish_one(self, port, address, &error))
			continue;
		bn_log_warning("vm=%s: %s", self->spec->id, error->message);
		note_missing(self, port, error);
	}
}

void
banger_vm_withdraw(BangerVm *self)
{
	withdraw(self, self->spec->ports, /* but= */ NULL);
}

bool
banger_vm_take_ports(BangerVm *self, const GArray *ports, GError **error)
{
	const GArray *before = self->spec->ports;
	uint32_t address = banger_vm_get_address(self);

	for (guint i = 0; address && i < ports->len; i++) {
		const BnPort *port = &g_array_index(ports, BnPort, i);
		/* It is the VM's already, and leads elsewhere until the change is certain. */
		bool is_elsewhere = banger_port_list_has_host(before, port) &&
				    !banger_port_list_has(before, port);

		if (!is_elsewhere && !publish_one(self, port, address, error)) {
			banger_vm_give_back_ports(self, ports);
			return false;
		}
	}
	return true;
}

void
banger_vm_give_back_ports(BangerVm *self, const GArray *ports)
{
	withdraw(self, ports, self->spec->ports);
}

void
banger_vm_keep_ports(BangerVm *self, const GArray *ports)
{
	withdraw(self, self->spec->ports, ports);
	g_array_unref(self->spec->ports);
	self->spec->ports = g_array_copy((GArray *)ports);
	banger_vm_publish_again(self);
	/* It may have ended since they were taken. */
	if (!banger_vm_state_is_live(self->state))
		banger_vm_withdraw(self);
	banger_vm_tell_change(self);
}
