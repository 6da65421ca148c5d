/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/engine/launch-run.h"

typedef struct Run {
	BangerPlan plan;
	const BangerStepOps *ops;
	void *data;
	size_t next;   /* the step to run, or while undoing: one above the step to undo */
	GError *error; /* why it is being undone */
} Run;

static void
run_free(Run *run)
{
	g_clear_error(&run->error);
	g_free(run);
}

static void run_next(GTask *task);

static void
on_undone(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;

	(void)g_task_propagate_boolean(G_TASK(result), /* error= */ NULL);
	run_next(task);
}

static void
undo_one(GTask *task, Run *run)
{
	g_autoptr(GTask) step =
		g_task_new(NULL, /* cancellable= */ NULL, on_undone, g_object_ref(task));

	run->next--;
	run->ops->undo(run->plan.steps[run->next], step, run->data);
}

static void
on_ran(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	Run *run = g_task_get_task_data(task);

	/* A step that fails leaves nothing of itself, so only those before it are undone. */
	if (!g_task_propagate_boolean(G_TASK(result), &run->error) && !run->error)
		g_set_error_literal(&run->error, G_IO_ERROR, G_IO_ERROR_FAILED, "a step failed");
	else if (!run->error)
		run->next++;
	run_next(task);
}

static void
run_one(GTask *task, Run *run)
{
	BangerStep kind = run->plan.steps[run->next];
	g_autoptr(GTask) step =
		g_task_new(NULL, g_task_get_cancellable(task), on_ran, g_object_ref(task));

	/* A step that was done although somebody cancelled meanwhile was done, and must be undone. */
	g_task_set_check_cancellable(step, false);
	if (run->ops->progress)
		run->ops->progress(kind, run->next, run->plan.n, run->data);
	run->ops->run(kind, step, run->data);
}

static void
run_next(GTask *task)
{
	Run *run = g_task_get_task_data(task);

	if (!run->error)
		(void)g_cancellable_set_error_if_cancelled(g_task_get_cancellable(task),
							   &run->error);
	if (run->error && run->next > 0)
		undo_one(task, run);
	else if (run->error)
		g_task_return_error(task, g_steal_pointer(&run->error));
	else if (run->next < run->plan.n)
		run_one(task, run);
	else
		g_task_return_boolean(task, true);
}

void
banger_launch_run_async(const BangerPlan *plan, const BangerStepOps *ops, void *data,
			GCancellable *cancellable, GAsyncReadyCallback callback, void *user_data)
{
	g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
	Run *run = g_new0(Run, 1);

	run->plan = *plan;
	run->ops = ops;
	run->data = data;
	/* The undo must have run before the caller hears of a cancellation. */
	g_task_set_check_cancellable(task, false);
	g_task_set_task_data(task, run, (GDestroyNotify)run_free);
	run_next(task);
}

bool
banger_launch_run_finish(GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}
