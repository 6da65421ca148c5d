/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/audit.h"

#include <inttypes.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"

void
audit_call(const OpCall *call, const AuditStamps *stamps)
{
	const char *error = op_error_name(call->failure.error);
	const char *dot = error ? strrchr(error, '.') : NULL;

	/* Only checked text: vm and operation are set once they passed the check. The failure's
	 * text is the caller's to read, not the journal's. */
	bn_log_info("op=%s method=%s uid=%u vm=%s result=%s us=%" PRIu64 " received_us=%" PRIu64
		    " authorized_us=%" PRIu64 " claimed_us=%" PRIu64 " ran_us=%" PRIu64,
		    call->operation[0] ? call->operation : "-", op_names[call->id].method,
		    call->caller.uid, call->vm ? call->vm : "-", dot ? dot + 1 : "ok",
		    bn_clock_us() - stamps->received, stamps->received, stamps->authorized,
		    stamps->claimed, stamps->ran);
}
