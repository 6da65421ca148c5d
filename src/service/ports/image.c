/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/ports/image.h"

#include "shared/base/cleanup.h"

G_DEFINE_INTERFACE(BangerImageStore, banger_image_store, G_TYPE_OBJECT)

static void
banger_image_store_default_init(BangerImageStoreInterface *iface)
{
}

void
banger_image_row_free(BangerImageRow *row)
{
	if (!row)
		return;
	g_free(row->id);
	g_free(row->name);
	g_free(row->digest);
	g_free(row->init);
	g_free(row->source);
	g_free(row);
}

void
banger_kernel_row_free(BangerKernelRow *row)
{
	if (!row)
		return;
	g_free(row->id);
	g_free(row->name);
	g_free(row->release);
	g_free(row->digest);
	g_free(row->source);
	g_free(row);
}

BangerImageRequest *
banger_image_request_new(void)
{
	BangerImageRequest *request = g_new0(BangerImageRequest, 1);

	request->archive = -1;
	return request;
}

void
banger_image_request_free(BangerImageRequest *request)
{
	if (!request)
		return;
	bn_closep(&request->archive);
	g_free(request->name);
	g_free(request->source);
	g_free(request->suite);
	g_strfreev(request->packages);
	g_free(request->mirror);
	g_free(request);
}

BangerKernelRequest *
banger_kernel_request_new(void)
{
	BangerKernelRequest *request = g_new0(BangerKernelRequest, 1);

	request->package = -1;
	request->vmlinuz = -1;
	request->modules = -1;
	return request;
}

void
banger_kernel_request_free(BangerKernelRequest *request)
{
	if (!request)
		return;
	bn_closep(&request->package);
	bn_closep(&request->vmlinuz);
	bn_closep(&request->modules);
	g_free(request->name);
	g_free(request->fetch);
	g_free(request->suite);
	g_free(request->mirror);
	g_free(request);
}
