/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/options.h"

#include <stdint.h>

#include "service/base/error.h"

static const BangerOption *
find_option(const BangerOption *table, const char *key)
{
	for (; table->key; table++)
		if (g_str_equal(table->key, key))
			return table;
	return NULL;
}

static void
store(const BangerOption *option, GVariant *value)
{
	switch (*option->type) {
	case 's':
		*(const char **)option->target = g_variant_get_string(value, NULL);
		break;
	case 'u':
		*(uint32_t *)option->target = g_variant_get_uint32(value);
		break;
	case 't':
		*(uint64_t *)option->target = g_variant_get_uint64(value);
		break;
	case 'b':
		*(bool *)option->target = g_variant_get_boolean(value);
		break;
	case 'h':
		*(int32_t *)option->target = g_variant_get_handle(value);
		break;
	case 'a':
		g_free(*(const char ***)option->target);
		*(const char ***)option->target = g_variant_get_strv(value, NULL);
		break;
	default:
		g_assert_not_reached();
	}
}

bool
banger_options_read(GVariant *options, const BangerOption *table, GError **error)
{
	GVariantIter iter;
	const char *key;
	GVariant *child;
	unsigned seen = 0; /* a bit for each of the table's */

	/* In one piece, as GLib makes it of what came by the bus when somebody looks into it later: strings of
	 * its pieces are gone then. */
	(void)g_variant_get_data(options);
	g_variant_iter_init(&iter, options);
	while (g_variant_iter_next(&iter, "{&sv}", &key, &child)) {
		/* The strings stay valid: they belong to `options`, which outlives `child`. */
		g_autoptr(GVariant) value = child;
		const BangerOption *option = find_option(table, key);

		if (!option) {
			g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
				    "option '%s' is not known here", key);
			return false;
		}
		if (!g_variant_is_of_type(value, G_VARIANT_TYPE(option->type))) {
			g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
				    "option '%s' must be of type %s, not %s", key, option->type,
				    g_variant_get_type_string(value));
			return false;
		}
		if (seen & 1u << (option - table)) {
			g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
				    "option '%s' is given twice", key);
			return false;
		}
		seen |= 1u << (option - table);
		store(option, value);
	}
	return true;
}
