/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* firewalld, told of a bridge of ours: org.fedoraproject.FirewallD1. It is never started for that. */
#pragma once

/* As zone_enter and zone_leave of KernelRealSetup, on a bus connection of its own: any thread may call them. */
int firewalld_enter(const char *bus_address, const char *bridge);
int firewalld_leave(const char *bus_address, const char *bridge);
