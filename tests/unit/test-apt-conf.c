/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "boot/apt-conf.h"

#define OURS "Dir::Etc::Parts \"/dev/null\";\nDir::Etc::Main \"/dev/null\";\n"

static void
test_conf_when_host_has_hooks_and_proxies_then_only_the_way_to_the_network(void)
{
	g_autofree char *conf =
		boot_apt_conf_make("Acquire::http \"\";\n"
				   "Acquire::http::Proxy \"http://u:p@proxy:3128/\";\n"
				   "acquire::HTTPS::proxy \"http://proxy:3128/\";\n"
				   "Acquire::http::Proxy::mirror.test \"DIRECT\";\n"
				   "Acquire::http::Proxy-Auto-Detect \"/usr/bin/auto-apt-proxy\";\n"
				   "Acquire::https::CAInfo \"/etc/ssl/own.pem\";\n"
				   "Acquire::ForceIPv4 \"true\";\n"
				   "Acquire::https::Verify-Peer \"false\";\n"
				   "Acquire::AllowInsecureRepositories \"true\";\n"
				   "APT::Update::Post-Invoke:: \"touch /tmp/x\";\n"
				   "Dir::Etc::Parts \"/etc/apt/apt.conf.d\";\n"
				   "Binary::apt-get::Acquire::http::Proxy \"http://x\";\n"
				   "XAcquire::http::Proxy \"http://x\";\n");

	check_str(conf, OURS "Acquire::http::Proxy \"http://u:p@proxy:3128/\";\n"
			     "acquire::HTTPS::proxy \"http://proxy:3128/\";\n"
			     "Acquire::http::Proxy::mirror.test \"DIRECT\";\n"
			     "Acquire::http::Proxy-Auto-Detect \"/usr/bin/auto-apt-proxy\";\n"
			     "Acquire::https::CAInfo \"/etc/ssl/own.pem\";\n"
			     "Acquire::ForceIPv4 \"true\";\n");
}

static void
test_conf_when_a_value_would_go_on_then_dropped(void)
{
	g_autofree char *empty = boot_apt_conf_make("");
	g_autofree char *conf = boot_apt_conf_make(
		"Acquire::http::Proxy \"x\"; APT::Update::Pre-Invoke { \"y\"; };\n"
		"Acquire::http::Proxy \"x\n"
		"Acquire::http::Proxy x;\n"
		"Acquire::http::Proxy \"\";\n"
		"Acquire::http::Proxy \"http://last\";");

	check_str(empty, OURS);
	check_str(conf, OURS "Acquire::http::Proxy \"http://last\";\n");
}

TEST_MAIN(TEST(test_conf_when_host_has_hooks_and_proxies_then_only_the_way_to_the_network),
	  TEST(test_conf_when_a_value_would_go_on_then_dropped))
