/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/create.h"

#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <string.h>

#include "service/base/error.h"
#include "service/base/vm-spec.h"
#include "shared/base/str-util.h"
#include "shared/rules/limits.h"

void
create_options_clear(CreateOptions *options)
{
	g_free(options->name);
	g_free(options->image);
	g_free(options->kernel);
	g_free(options->vcpus);
	g_free(options->memory);
	g_free(options->disk);
	g_free(options->vmm);
	g_free(options->accelerator);
	g_free(options->init);
	g_free(options->network);
	g_strfreev(options->publish);
}

void
create_options_entries(CreateOptions *options, const GOptionEntry *own,
		       GOptionEntry ret[static CREATE_ENTRIES_MAX])
{
	const GOptionEntry entries[] = {
		{ "name", 0, 0, G_OPTION_ARG_STRING, &options->name,
		  N_("the VM's name: a-z, 0-9 and hyphens; otherwise one is made up"), N_("NAME") },
		{ "image", 0, 0, G_OPTION_ARG_STRING, &options->image,
		  N_("its image; otherwise the default one"), N_("IMAGE") },
		{ "kernel", 0, 0, G_OPTION_ARG_STRING, &options->kernel,
		  N_("its kernel; otherwise the default one"), N_("KERNEL") },
		{ "vcpus", 0, 0, G_OPTION_ARG_STRING, &options->vcpus,
		  N_("number of processors; otherwise 2"), N_("N") },
		{ "memory", 0, 0, G_OPTION_ARG_STRING, &options->memory,
		  N_("size of its memory, like 512M or 4G; otherwise 1G"), N_("SIZE") },
		{ "disk", 0, 0, G_OPTION_ARG_STRING, &options->disk,
		  N_("size of its disk; only what is written takes space; otherwise 8G"),
		  N_("SIZE") },
		{ "vmm", 0, 0, G_OPTION_ARG_STRING, &options->vmm,
		  N_("its machine: qemu-microvm (the default) or qemu-q35"), N_("VMM") },
		{ "accelerator", 0, 0, G_OPTION_ARG_STRING, &options->accelerator,
		  N_("auto (KVM where it works; the default), kvm or emulation"), N_("KIND") },
		{ "init", 0, 0, G_OPTION_ARG_STRING, &options->init,
		  N_("auto (the image's own, where it has one; the default) or none"), N_("INIT") },
		{ "network", 0, 0, G_OPTION_ARG_STRING, &options->network,
		  N_("none (the default), host (only you reach it), nat or lan"), N_("KIND") },
		{ "nat", 0, 0, G_OPTION_ARG_NONE, &options->nat,
		  N_("let it reach the world, but no private address"), NULL },
		{ "lan", 0, 0, G_OPTION_ARG_NONE, &options->lan,
		  N_("let it reach everything that this computer reaches"), NULL },
		{ "peer", 0, 0, G_OPTION_ARG_NONE, &options->peer,
		  N_("let it and your other peers reach each other"), NULL },
		{ "publish", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &options->publish,
		  N_("let a port of this computer lead to one of its; may be repeated"),
		  N_("[ADDRESS:]HOST:GUEST[/udp]") },
	};
	size_t n = G_N_ELEMENTS(entries);

	memcpy(ret, entries, sizeof(entries));
	while (own->long_name && n < CREATE_ENTRIES_MAX - 1)
		ret[n++] = *own++;
	ret[n] = (GOptionEntry){};
}

static bool
fill_size(GVariantDict *dict, const char *key, const char *text, uint64_t *ret_bytes)
{
	if (!text)
		return true;
	if (bn_str_parse_size(text, ret_bytes) < 0) {
		(void)cli_usage(_("--%s %s: must be a size like 512M, 4G or 4GiB"), key, text);
		return false;
	}
	g_variant_dict_insert(dict, key, "t", *ret_bytes);
	return true;
}

static bool
fill_vcpus(GVariantDict *dict, const char *text, uint32_t *ret_vcpus)
{
	uint64_t n;

	if (!text)
		return true;
	if (bn_str_parse_u64(text, BN_VCPUS_MAX, &n) < 0 || n == 0) {
		(void)cli_usage(_("--vcpus %s: must be a number from 1 to %d"), text, BN_VCPUS_MAX);
		return false;
	}
	*ret_vcpus = (uint32_t)n;
	g_variant_dict_insert(dict, "vcpus", "u", *ret_vcpus);
	return true;
}

const char *
create_network(const char *network, bool nat, bool lan)
{
	const char *short_form = lan ? "lan" : nat ? "nat" : NULL;

	if (!network || !short_form || g_str_equal(network, short_form))
		return short_form ? short_form : network;
	(void)cli_usage(_("--network %s contradicts --%s"), network, short_form);
	return "";
}

bool
create_ports(GVariantDict *dict, const char *key, char **texts, GArray *list)
{
	g_autoptr(GError) error = NULL;

	if (!texts)
		return true;
	if (!banger_port_list_add(list, (const char *const *)texts, &error)) {
		(void)cli_usage("--%s: %s", key, error->message);
		return false;
	}
	g_variant_dict_insert(dict, key, "^as", texts);
	return true;
}

static bool
fill_network(const CreateOptions *options, GVariantDict *dict, BangerVmSpec *spec)
{
	const char *network = create_network(options->network, options->nat, options->lan);

	if (!network && (options->peer || options->publish))
		network = "host";
	if (!network)
		return true;
	if (!*network)
		return false;
	spec->reach = banger_reach_from_string(network);
	spec->peer = options->peer;
	g_variant_dict_insert(dict, "network", "s", network);
	if (options->peer)
		g_variant_dict_insert(dict, "peer", "b", TRUE);
	return create_ports(dict, "publish", options->publish, spec->ports);
}

/* The daemon's own rules, before anything is made that a slip of the finger would waste. */
static bool
check(const CreateOptions *options, BangerVmSpec *spec)
{
	g_autoptr(GError) error = NULL;

	spec->name = g_strdup(options->name ? options->name : "any");
	if (options->vmm)
		spec->vmm = bn_vmm_kind_from_string(options->vmm);
	if (options->accelerator)
		spec->accelerator = banger_accelerator_from_string(options->accelerator);
	if (banger_vm_spec_set_init(spec, options->init ? options->init : "auto", &error) &&
	    banger_vm_spec_check(spec, &error))
		return true;
	(void)cli_usage("%s", error->message);
	return false;
}

bool
create_options_fill(const CreateOptions *options, GVariantDict *dict)
{
	g_autoptr(BangerVmSpec) spec = banger_vm_spec_new();
	const struct {
		const char *key, *value;
	} texts[] = {
		{ "name", options->name },       { "image", options->image },
		{ "kernel", options->kernel },   { "vmm", options->vmm },
		{ "init", options->init },       { "accelerator", options->accelerator },
		{ "network", options->network },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		if (texts[i].value && !*texts[i].value) {
			(void)cli_usage(_("--%s: must not be empty"), texts[i].key);
			return false;
		}
		if (texts[i].value)
			g_variant_dict_insert(dict, texts[i].key, "s", texts[i].value);
	}
	return fill_vcpus(dict, options->vcpus, &spec->vcpus) &&
	       fill_size(dict, "memory", options->memory, &spec->memory_bytes) &&
	       fill_size(dict, "disk", options->disk, &spec->disk_bytes) &&
	       fill_network(options, dict, spec) && check(options, spec);
}

/* Whether there is a default; only "there is none" counts as no. */
static bool
has_default(gboolean found, GError **own, GError **error, bool *ret)
{
	*ret = found;
	if (found || banger_error_is_not_found(*own)) {
		g_clear_error(own);
		return true;
	}
	g_propagate_error(error, g_steal_pointer(own));
	return false;
}

static bool
wait_for(Cli *cli, const char *job, GError **error)
{
	g_autoptr(GVariant) result = NULL;

	cli->tell_stages = true;
	result = cli_wait(cli, job, error);
	cli->tell_stages = false;
	return result != NULL;
}

static bool
make_missing(Cli *cli, bool image, bool kernel, GError **error)
{
	g_autofree char *image_job = NULL, *kernel_job = NULL;
	GVariantDict options;

	if (!kernel) {
		cli_options_init(&options);
		g_variant_dict_insert(&options, "fetch", "s", "");
		g_variant_dict_insert(&options, "default", "b", TRUE);
		if (!banger_dbus_manager_call_import_kernel_sync(
			    cli->manager, g_variant_dict_end(&options), /* fds= */ NULL,
			    &kernel_job,
			    /* out_fds= */ NULL, /* cancellable= */ NULL, error) ||
		    !wait_for(cli, kernel_job, error))
			return false;
	}
	if (image)
		return true;
	cli_options_init(&options);
	g_variant_dict_insert(&options, "default", "b", TRUE);
	return banger_dbus_manager_call_build_image_sync(cli->manager, g_variant_dict_end(&options),
							 &image_job, /* cancellable= */ NULL,
							 error) &&
	       wait_for(cli, image_job, error);
}

/* Whole sentences: another language may not be able to put them together from parts. */
static const char *
announcement(bool image, bool kernel)
{
	if (image)
		return _(
			"There is no default kernel yet. This will fetch Debian's cloud kernel (about 27 MB), once.\n");
	if (kernel)
		return _(
			"There is no default image yet. This will build a Debian image (about 100 MB to fetch, 300 MB of disk), once.\n");
	return _(
		"There is no default image or kernel yet. This will fetch Debian's cloud kernel (about 27 MB) and build a Debian image (about 100 MB to fetch, 300 MB of disk), once.\n");
}

bool
create_prepare(Cli *cli, const CreateOptions *options, bool yes, GError **error)
{
	g_autofree char *image_path = NULL, *kernel_path = NULL;
	GError *own = NULL;
	bool image = true, kernel = true;

	if (!options->image && !has_default(banger_dbus_manager_call_find_image_sync(
						    cli->manager, "", &image_path, NULL, &own),
					    &own, error, &image))
		return false;
	if (!options->kernel && !has_default(banger_dbus_manager_call_find_kernel_sync(
						     cli->manager, "", &kernel_path, NULL, &own),
					     &own, error, &kernel))
		return false;
	if (image && kernel)
		return true;
	if (!cli->quiet)
		(void)fputs(announcement(image, kernel), stderr);
	if (!yes && !cli_ask(cli, /* otherwise= */ true, _("Do it?"))) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_CANCELLED, _("nothing was done"));
		return false;
	}
	return make_missing(cli, image, kernel, error);
}
