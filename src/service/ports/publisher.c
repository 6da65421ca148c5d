/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/publisher.h"

G_DEFINE_INTERFACE(BangerPublisher, banger_publisher, G_TYPE_OBJECT)

static void
banger_publisher_default_init(BangerPublisherInterface *iface)
{
}
