/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan's text, and its runner with every step failed, and cancelled, once. */
#include "test.h"

#include "service/base/error.h"
#include "service/engine/launch-run.h"

/* A world that only writes down what happens to it. */
typedef struct World {
	GString *log;
	int fail_at;   /* index of the step that fails, -1: none */
	int cancel_at; /* index of the step during which somebody cancels */
	int ran;
	GCancellable *cancellable;
	GMainLoop *loop;
	GError *error;
	bool ok;
} World;

static void
run(BangerStep step, GTask *task, void *data)
{
	World *world = data;
	int index = world->ran++;

	g_string_append_printf(world->log, "+%s ", banger_step_to_string(step));
	if (index == world->cancel_at)
		g_cancellable_cancel(world->cancellable);
	if (index == world->fail_at)
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_NO_SPACE, "full");
	else
		g_task_return_boolean(task, true);
}

static void
undo(BangerStep step, GTask *task, void *data)
{
	World *world = data;

	g_string_append_printf(world->log, "-%s ", banger_step_to_string(step));
	g_task_return_boolean(task, true);
}

static void
on_done(GObject *source, GAsyncResult *result, gpointer data)
{
	World *world = data;

	world->ok = banger_launch_run_finish(result, &world->error);
	g_main_loop_quit(world->loop);
}

static const BangerStepOps ops = { .run = run, .undo = undo };

static BangerVmSpec *
make_spec(BangerReach reach)
{
	static const char *const ports[] = { "8080:80", "[::1]:5353:53/udp", NULL };
	BangerVmSpec *spec = banger_vm_spec_new();

	spec->name = g_strdup("web");
	spec->reach = reach;
	check(banger_port_list_add(spec->ports, ports, NULL));
	return spec;
}

static BangerPlan
plan_all(void)
{
	g_autoptr(BangerVmSpec) spec = make_spec(BANGER_REACH_LAN);

	return banger_launch_plan_make(BANGER_PLAN_MAKE | BANGER_PLAN_START, spec);
}

static void
play(World *world, int fail_at, int cancel_at)
{
	BangerPlan plan = plan_all();

	*world = (World){ .log = g_string_new(NULL),
			  .fail_at = fail_at,
			  .cancel_at = cancel_at,
			  .cancellable = g_cancellable_new(),
			  .loop = g_main_loop_new(NULL, FALSE) };
	banger_launch_run_async(&plan, &ops, world, world->cancellable, on_done, world);
	g_main_loop_run(world->loop);
}

static void
world_clear(World *world)
{
	g_string_free(world->log, TRUE);
	g_object_unref(world->cancellable);
	g_main_loop_unref(world->loop);
	g_clear_error(&world->error);
}

/* Every "+x" has its "-x" later, in reverse order, but for the step at `fail_at`. */
static void
check_undone(World *world, int fail_at)
{
	g_auto(GStrv) words = g_strsplit(g_strchomp(world->log->str), " ", -1);
	int n = (int)g_strv_length(words);

	check_int(n, 2 * fail_at + 1);
	for (int i = 0; i < fail_at; i++) {
		check(words[i][0] == '+');
		check(words[n - 1 - i][0] == '-');
		check_str(words[i] + 1, words[n - 1 - i] + 1);
	}
}

static void
test_run_when_any_step_fails_then_all_before_are_undone(void)
{
	BangerPlan plan = plan_all();

	for (int k = 0; k < (int)plan.n; k++) {
		World world;

		play(&world, k, -1);
		check(!world.ok);
		check(g_error_matches(world.error, BANGER_ERROR, BANGER_ERROR_NO_SPACE));
		check_undone(&world, k);
		world_clear(&world);
	}
}

static void
test_run_when_cancelled_during_a_step_then_it_is_undone_too(void)
{
	World world;

	play(&world, -1, 2);
	check(!world.ok);
	check(banger_error_is_cancelled(world.error));
	check_str(g_strchomp(world.log->str),
		  "+make-disk +accelerator +kernel -kernel -accelerator -make-disk");
	world_clear(&world);
}

static void
test_run_when_all_succeed_then_nothing_is_undone(void)
{
	World world;

	play(&world, -1, -1);
	check(world.ok);
	check_str(g_strchomp(world.log->str),
		  "+make-disk +accelerator +kernel +disks +bridge +tap +nat +ports +launch +guest");
	world_clear(&world);
}

static void
test_render_when_all_steps_then_golden_text(void)
{
	g_autoptr(BangerVmSpec) spec = make_spec(BANGER_REACH_NAT);
	g_auto(GStrv) lines = NULL;
	BangerPlan plan;
	g_autofree char *text = NULL;
	g_autofree char *golden = NULL;

	spec->peer = true;
	plan = banger_launch_plan_make(BANGER_PLAN_MAKE | BANGER_PLAN_START, spec);
	lines = banger_launch_plan_render(&plan, spec, "bookworm", "6.1.0-31-cloud-amd64");
	text = g_strjoinv("\n", lines);
	check(g_file_get_contents(GOLDEN_DIR "/launch.plan", &golden, NULL, NULL));
	check_str(text, g_strchomp(golden));
}

TEST_MAIN(TEST(test_run_when_any_step_fails_then_all_before_are_undone),
	  TEST(test_run_when_cancelled_during_a_step_then_it_is_undone_too),
	  TEST(test_run_when_all_succeed_then_nothing_is_undone),
	  TEST(test_render_when_all_steps_then_golden_text))
