/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The time that programs get to end by themselves. */
#pragma once

/* Reaps until no child is left, nor what those leave behind, or the time is over: one time for all of them. SIGCHLD is
 * blocked. */
void agent_grace_wait(unsigned patience_ms);
