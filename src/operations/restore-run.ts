import { stand } from "../engine/advance.js";
import type { Plan } from "../engine/plan.js";
import type { Position, RunState } from "../engine/state.js";
import { statusOf } from "../engine/stretch.js";
import { StorePutBack } from "../ports/put-backs.js";
import type { RunRow } from "../ports/runs.js";
import { deliveryId } from "./delivery-id.js";
import { performTask } from "./effects/task.js";
import type { PerformPorts } from "./perform-ports.js";
import { noticePutBack } from "./put-back.js";
import { effectId, sceneOf, sessionOf } from "./scene.js";

/**
 * A run of which the store knows less than the run itself: the database was put back to an older copy. That is noticed, and the run waits while
 * everything is held (`StorePutBack`); then the store takes over where the run stands, opens anew the tasks it waits for, and its timeline says that
 * lines may be missing.
 *
 * @param row what the store has of it; undefined: nothing
 */
export async function restoreRun(ports: PerformPorts, state: RunState, row: RunRow | undefined): Promise<void> {
  const { store, putBacks } = ports;
  const { id } = state.run;
  const shownBy =
    row === undefined
      ? `run ${id} is not in it`
      : `run ${id} has walked ${state.turns} stretches, and it knows of ${row.turns}`;
  if (putBacks === undefined) throw new Error(`the store is behind: ${shownBy}`);
  const latest = await store.read((tx) => putBacks.latest(tx));
  // A run that has walked on since it was last noticed has been forgotten by another copy.
  if (latest === undefined || (!latest.isHeld && latest.putBack.noticedAt < state.clock)) {
    await noticePutBack({ ...ports, putBacks }, shownBy);
    throw new StorePutBack(`the database was put back to an older copy: ${shownBy}`);
  }
  if (latest.isHeld) throw new StorePutBack(`all sends are held: ${shownBy}`);

  const known = row?.startedAt === state.run.startedAt ? row : await forgotten(ports, state);
  const plan = await store.read((tx) => store.playbooks.plan(tx, known.hash));
  if (plan === undefined)
    throw new StorePutBack(`run ${id}: its plan ${known.hash} is not in the store; publish it again`);
  const { parked, releasedAt, ...rest } = known;
  const restored: RunRow = {
    ...rest,
    status: statusOf(state),
    position: Object.keys(state.positions),
    turns: state.turns,
    priority: plan.priority,
    ...(state.parked === undefined ? {} : { parked: state.parked }),
    ...(releasedAt === undefined ? {} : { releasedAt }),
  };
  await openTasksAnew(ports, restored, plan, state);
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [restored.accountId]);
    const current = await store.runs.get(tx, id);
    const isOther = current?.startedAt !== restored.startedAt;
    // Somebody else was faster, and the run may have walked on since.
    if (current !== undefined && !isOther && current.turns >= state.turns) return;
    if (!(await store.runs.restore(tx, restored)))
      throw new StorePutBack(`run ${id}: another run with its key lives in the store`);
    const seq = ((await store.runs.timeline(tx, id)).at(-1)?.seq ?? 0) + 1;
    // The first of the missing lines says so; where none is missing there is nothing to say.
    if (seq > state.lines) return;
    const detail = { lines_missing: state.lines - seq + 1 };
    const entries = [{ seq, at: state.clock, kind: "store.put_back", detail } as const];
    await store.runs.record(tx, id, { status: restored.status, position: restored.position, entries, confirm: [] });
  });
}

/** A run that began after the copy was made: Temporal has kept what its row was. */
async function forgotten({ workflows }: PerformPorts, { run, inputs, turns }: RunState): Promise<RunRow> {
  const begun = await workflows?.begun(run.id);
  if (begun === undefined)
    throw new StorePutBack(`run ${run.id} is not in the store, and Temporal can't tell what it began with`);
  return {
    id: run.id,
    playbook: run.playbook,
    hash: begun.hash,
    subject: run.subject,
    accountId: run.accountId,
    ...(run.subject === "contact" ? { contactId: run.subjectId } : {}),
    ...begun.row,
    key: run.key,
    ordinal: Number(run.id.split("/").at(-1)),
    inputs,
    status: "running",
    position: [],
    startedAt: run.startedAt,
    priority: 0,
    turns,
  };
}

/** The tasks that the run has open and the store doesn't know: the same ones again, so that the buttons of their messages work. */
async function openTasksAnew(ports: PerformPorts, row: RunRow, plan: Plan, state: RunState): Promise<void> {
  for (const [instance, { path, task }] of Object.entries(state.openTasks)) {
    if ((await ports.store.read((tx) => ports.tasks.read(tx, task))) !== undefined) continue;
    // A task that the run doesn't wait for has no position any more.
    const position: Position = state.positions[instance] ?? {
      path,
      parent: "",
      at: state.clock,
      handled: state.handled,
      phase: "do",
    };
    const { holds: _, heldSince: __, parked: ___, exitCheck: ____, ...free } = state;
    const asking: RunState = {
      ...free,
      holds: [],
      chores: {},
      positions: { [instance]: { ...position, phase: "do" } },
    };
    const command = stand(plan, asking).commands.find(({ kind }) => kind === "task");
    const scene = sceneOf(sessionOf(ports, row, plan, {}), state.clock);
    if (command?.kind !== "task" || deliveryId(effectId(scene, command)) !== task) {
      ports.onFault?.(`task ${task} of run ${row.id} can't be opened anew`, new Error("the store was put back"));
      continue;
    }
    await performTask(scene, command);
  }
}
