/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM boots, out of a store on the disk and the agent that is installed. */
#include "test.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/init-archive.h"
#include "service/adapters/image-private.h"
#include "service/base/error.h"
#include "service/base/remove-tree.h"
#include "shared/base/cleanup.h"

#define ID    "11111111111111111111111111111111"
#define OTHER "22222222222222222222222222222222"

typedef struct Rig {
	char *directory;
	char *agent;
	BangerImageStore *store;
} Rig;

static void
rig_write(Rig *rig, const char *name, const void *data, size_t size)
{
	g_autofree char *path = g_build_filename(rig->directory, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);

	check_int(g_mkdir_with_parents(parent, 0700), 0);
	/* Beside it and renamed over it, as who installs a program does. */
	check(g_file_set_contents(path, data, (gssize)size, NULL));
}

static void
rig_init(Rig *rig)
{
	rig->directory = g_dir_make_tmp("banger-images-XXXXXX", NULL);
	rig->agent = g_build_filename(rig->directory, "agent", NULL);
	rig->store = banger_image_directory_new(rig->directory, rig->agent, NULL);
	check(rig->store);
	rig_write(rig, "kernel/" ID "/vmlinux", "KERNEL", 6);
	rig_write(rig, "kernel/" OTHER "/vmlinux", "OTHER", 5);
	rig_write(rig, "agent", "agent 1", 7);
}

static void
rig_done(Rig *rig)
{
	g_object_unref(rig->store);
	check(banger_remove_tree(rig->directory, NULL));
	g_free(rig->agent);
	g_free(rig->directory);
}

static char *
read_sealed(int fd, size_t *ret_size)
{
	struct stat st;
	char *data;

	check_int(fstat(fd, &st), 0);
	check_int(st.st_mode & 0777, 0444);
	check_int(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	data = g_malloc0((gsize)st.st_size + 1);
	check_int(pread(fd, data, (size_t)st.st_size, 0), st.st_size);
	*ret_size = (size_t)st.st_size;
	return data;
}

static void
rig_get(Rig *rig, const char *id, int *ret_kernel, int *ret_initramfs)
{
	check(BANGER_IMAGE_STORE_GET_IFACE(rig->store)
		      ->open_kernel(rig->store, id, ret_kernel, ret_initramfs, NULL));
}

static size_t
read_field(const char *header, size_t number)
{
	char digits[9] = "";

	memcpy(digits, header + 6 + 8 * number, 8);
	return strtoul(digits, NULL, 16);
}

/* What /init is in the end, as the kernel unpacks it (init/initramfs.c): archives begin at multiples of four, zeros
 * between them mean nothing, and a name's last file is the one. NULL: there is none. */
static char *
unpack_init(const char *data, size_t size)
{
	char *init = NULL;

	for (size_t at = 0; at < size;) {
		const char *header = data + at, *name = header + 110, *content;
		size_t length;

		if (data[at] == '\0') {
			at++;
			continue;
		}
		check_int(at & 3, 0);
		check(size - at > 110 && memcmp(header, "070701", 6) == 0);
		length = read_field(header, 6);
		content = data + ((at + 110 + read_field(header, 11) + 3) & ~(size_t)3);
		check_int(strlen(name) + 1, read_field(header, 11));
		check((size_t)(content - data) + length <= size);
		at = ((size_t)(content - data) + length + 3) & ~(size_t)3;
		if (strcmp(name, "init") != 0)
			continue;
		check_int(read_field(header, 1), S_IFREG | 0755);
		g_free(init);
		init = g_strndup(content, length);
	}
	return init;
}

/* What is said of an image whose file is what the preparation left there. */
static void
rig_check_image(Rig *rig, const char *path, const char *said)
{
	g_autofree char *expected = g_strdup_printf("%s%s", path, said);
	g_autoptr(GError) error = NULL;

	check_int(BANGER_IMAGE_STORE_GET_IFACE(rig->store)->open_image(rig->store, ID, &error), -1);
	check_str(error->message, expected);
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_FAILED));
}

static void
test_image_when_it_cannot_be_a_disk_then_refused_by_its_path_without_waiting(void)
{
	Rig rig = {};
	g_autofree char *path = NULL;

	rig_init(&rig);
	path = g_build_filename(rig.directory, "image/" ID "/root.ext4", NULL);
	rig_write(&rig, "image/" ID "/root.ext4", "", 0);
	rig_check_image(&rig, path, " is empty");
	check_int(g_chmod(path, 0666), 0);
	check_int(truncate(path, 1), 0);
	rig_check_image(&rig, path, " may be written by everybody");
	check_int(g_unlink(path), 0);
	check_int(mkfifo(path, 0600), 0);
	rig_check_image(&rig, path, " is not a regular file");
	check_int(g_unlink(path), 0);
	check_int(g_mkdir(path, 0700), 0);
	rig_check_image(&rig, path, " is not a regular file");
	rig_done(&rig);
}

static char *
rig_init_of(Rig *rig, const char *id)
{
	_cleanup_close_ int kernel = -1, initramfs = -1;
	size_t size;
	g_autofree char *data = NULL;

	rig_get(rig, id, &kernel, &initramfs);
	data = read_sealed(initramfs, &size);
	return unpack_init(data, size);
}

static void
check_init(Rig *rig, const char *id, const char *expected)
{
	g_autofree char *init = rig_init_of(rig, id);

	check_str(init, expected);
}

/* An archive with this as its /init, as kernels of older stores have it. */
static GByteArray *
make_old(const char *init)
{
	BootInitArchive archive = boot_init_archive_make(0, strlen(init));
	GByteArray *whole = g_byte_array_new();

	g_byte_array_append(whole, (const guint8 *)archive.before, (guint)archive.before_size);
	g_byte_array_append(whole, (const guint8 *)init, (guint)strlen(init));
	g_byte_array_append(whole, (const guint8 *)archive.behind, (guint)archive.behind_size);
	return whole;
}

static void
test_kernel_when_loaded_then_its_part_and_the_agent_whatever_their_sizes(void)
{
	const char *const agents[] = { "agent", "agent1", "agent12", "agent123" };
	g_autoptr(GByteArray) part = make_old("");
	Rig rig;

	rig_init(&rig);
	for (size_t i = 0; i < 4 * G_N_ELEMENTS(agents); i++) {
		_cleanup_close_ int kernel = -1, initramfs = -1;
		g_autofree char *data = NULL, *init = NULL;
		size_t size;

		rig_write(&rig, "kernel/" ID "/initramfs", part->data, part->len);
		rig_write(&rig, "agent", agents[i % 4], strlen(agents[i % 4]));
		rig_get(&rig, ID, &kernel, &initramfs);
		data = read_sealed(initramfs, &size);
		check(size > part->len && memcmp(data, part->data, part->len) == 0);
		init = unpack_init(data, size);
		check_str(init, agents[i % 4]);
		/* Whoever made it may have filled it up to any size. */
		if (i % 4 == 3)
			g_byte_array_append(part, (const guint8 *)"", 1);
	}
	rig_done(&rig);
}

static ino_t
inode_of(int fd)
{
	struct stat st;

	check_int(fstat(fd, &st), 0);
	return st.st_ino;
}

static void
test_kernel_when_asked_for_again_then_the_same_memory(void)
{
	_cleanup_close_ int kernel = -1, initramfs = -1, kernel2 = -1, initramfs2 = -1;
	g_autofree char *data = NULL;
	size_t size;
	Rig rig;

	rig_init(&rig);
	rig_write(&rig, "kernel/" ID "/initramfs", "", 0);
	rig_write(&rig, "kernel/" OTHER "/initramfs", "", 0);
	rig_get(&rig, ID, &kernel, &initramfs);
	/* The file counts no more: what VMs share is in memory. */
	rig_write(&rig, "kernel/" ID "/vmlinux", "CHANGED", 7);
	rig_get(&rig, ID, &kernel2, &initramfs2);
	check_int(inode_of(kernel2), inode_of(kernel));
	check_int(inode_of(initramfs2), inode_of(initramfs));
	/* Another VM, of another kernel, is started before this one boots. */
	check_init(&rig, OTHER, "agent 1");
	data = read_sealed(kernel, &size);
	check_str(data, "KERNEL");
	rig_done(&rig);
}

/* What a VMM can do to a descriptor that others have a copy of. */
static void
change_descriptor(int fd)
{
	check_int(fcntl(fd, F_SETFL, O_APPEND), 0);
	check_int(lseek(fd, 3, SEEK_SET), 3);
}

static void
test_kernel_when_a_vmm_changes_its_descriptor_then_no_other_sees_it(void)
{
	_cleanup_close_ int kernel = -1, initramfs = -1, kernel2 = -1, initramfs2 = -1;
	Rig rig;

	rig_init(&rig);
	rig_write(&rig, "kernel/" ID "/initramfs", "", 0);
	rig_get(&rig, ID, &kernel, &initramfs);
	change_descriptor(kernel);
	change_descriptor(initramfs);
	rig_get(&rig, ID, &kernel2, &initramfs2);
	for (int i = 0; i < 2; i++) {
		int fd = i == 0 ? kernel2 : initramfs2;

		check_int(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDONLY);
		check_int(lseek(fd, 0, SEEK_CUR), 0);
	}
	rig_done(&rig);
}

static void
test_agent_when_upgraded_then_the_next_start_has_it_without_an_import(void)
{
	Rig rig;

	rig_init(&rig);
	rig_write(&rig, "kernel/" ID "/initramfs", "", 0);
	check_init(&rig, ID, "agent 1");
	rig_write(&rig, "agent", "agent 2", 7);
	check_init(&rig, ID, "agent 2");
	check_init(&rig, ID, "agent 2");
	rig_done(&rig);
}

static void
test_kernel_when_of_an_older_store_then_the_installed_agent_wins(void)
{
	g_autoptr(GByteArray) old = make_old("a longer agent of another time");
	g_autofree char *before = unpack_init((const char *)old->data, old->len);
	Rig rig;

	check_str(before, "a longer agent of another time");
	rig_init(&rig);
	rig_write(&rig, "kernel/" ID "/initramfs", old->data, old->len);
	check_init(&rig, ID, "agent 1");
	rig_done(&rig);
}

static void
test_agent_when_missing_then_named_and_back_when_it_is(void)
{
	_cleanup_close_ int kernel = -1, initramfs = -1;
	g_autoptr(GError) error = NULL;
	Rig rig;

	rig_init(&rig);
	rig_write(&rig, "kernel/" ID "/initramfs", "", 0);
	check_init(&rig, ID, "agent 1");
	check_int(g_unlink(rig.agent), 0);
	check(!BANGER_IMAGE_STORE_GET_IFACE(rig.store)->open_kernel(rig.store, ID, &kernel,
								    &initramfs, &error));
	check(strstr(error->message, rig.agent));
	rig_write(&rig, "agent", "agent 3", 7);
	check_init(&rig, ID, "agent 3");
	rig_done(&rig);
}

/* Publishes one, and says which. */
static char *
publish(Rig *rig, const char *kind)
{
	g_autoptr(BangerStaging) staging =
		banger_staging_new(BANGER_IMAGE_DIRECTORY(rig->store), kind, NULL);

	check(staging);
	check(banger_staging_publish(staging, NULL));
	return g_build_filename(rig->directory, kind, staging->id, NULL);
}

/* `image`: the only one that is recorded, or NULL. */
static void
sweep(Rig *rig, const char *image)
{
	g_autoptr(GHashTable) images = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) kernels = g_hash_table_new(g_str_hash, g_str_equal);

	if (image)
		g_hash_table_add(images, g_path_get_basename(image));
	BANGER_IMAGE_STORE_GET_IFACE(rig->store)->sweep(rig->store, images, kernels);
}

static bool
is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
test_sweep_when_published_and_not_recorded_then_removed_and_nothing_else(void)
{
	g_autofree char *recorded = NULL, *lost = NULL, *kernel = NULL, *begun = NULL, *own = NULL;
	Rig rig;

	rig_init(&rig);
	own = g_build_filename(rig.directory, "image", ID, NULL);
	begun = g_build_filename(rig.directory, "image/.new-" ID, NULL);
	check_int(g_mkdir(own, 0700) + g_mkdir(begun, 0700), 0);
	recorded = publish(&rig, "image");
	lost = publish(&rig, "image");
	kernel = publish(&rig, "kernel");
	/* Of a state that knows nothing at all they may be another's. */
	sweep(&rig, NULL);
	check(is_there(recorded) && is_there(lost) && !is_there(begun));
	sweep(&rig, recorded);
	check(is_there(recorded) && !is_there(lost) && is_there(kernel) && is_there(own));
	/* What was recorded once is not taken away any more: somebody may bring the record back. */
	sweep(&rig, own);
	check(is_there(recorded));
	rig_done(&rig);
}

TEST_MAIN(TEST(test_image_when_it_cannot_be_a_disk_then_refused_by_its_path_without_waiting),
	  TEST(test_kernel_when_loaded_then_its_part_and_the_agent_whatever_their_sizes),
	  TEST(test_kernel_when_asked_for_again_then_the_same_memory),
	  TEST(test_kernel_when_a_vmm_changes_its_descriptor_then_no_other_sees_it),
	  TEST(test_agent_when_upgraded_then_the_next_start_has_it_without_an_import),
	  TEST(test_kernel_when_of_an_older_store_then_the_installed_agent_wins),
	  TEST(test_agent_when_missing_then_named_and_back_when_it_is),
	  TEST(test_sweep_when_published_and_not_recorded_then_removed_and_nothing_else))
