import { mayAct } from "../../customers/people.js";
import { clickNudge } from "../../operations/click-nudge.js";
import type { DeskPorts } from "../../operations/perform-ports.js";
import { actOnTask, type TaskAction, type TaskAnswer } from "../../operations/tasks/act-on-task.js";
import { deskHome } from "../../operations/tasks/desk-home.js";
import { taskCard } from "../../operations/tasks/task-message.js";
import type { Audit } from "../../ports/audit.js";
import type { Portfolio } from "../../ports/desk-home.js";
import { parseDuration } from "../../values/duration.js";
import type { Instant } from "../../values/instant.js";
import type { TaskAct, TaskActions, TaskActResult } from "./task-actions.js";

/** What the Slack entrance asks, answered by the operations. */
export function createTaskActions(
  ports: DeskPorts & { readonly portfolio: Portfolio; readonly audit: Audit },
): TaskActions {
  const { store, people, tasks } = ports;

  async function resultOf(acting: DeskPorts, answer: TaskAnswer): Promise<TaskActResult> {
    if (answer.kind !== "refused") return { kind: answer.kind, card: await taskCard(acting, answer.task) };
    if (answer.reason === "not_found") return { kind: "unknown" };
    return { kind: "refused", reason: sentence(answer.message) };
  }

  return {
    async colleagueBySlackId(slackUserId) {
      const found = await store.read((tx) => people.colleagueBy(tx, { slackUserId }));
      return found?.isActive ? found.id : undefined;
    },
    async colleagueByEmail(email) {
      const found = await store.read((tx) => people.colleagueBy(tx, { email }));
      return found?.isActive ? found.id : undefined;
    },
    linkSlackUser: (colleagueId, slackUserId) =>
      store.transaction((tx) => people.keepSlackUser(tx, colleagueId, slackUserId)),
    async colleagues() {
      const { colleagues } = await store.read((tx) => people.directory(tx));
      return [...colleagues.values()]
        .filter((person) => person.isActive)
        .map(({ id, name }) => ({ id, name }))
        .sort((a, b) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1));
    },
    async look(taskId, colleagueId) {
      const seen = await store.read(async (tx) => {
        const task = await tasks.read(tx, taskId);
        return task && { task, directory: await people.directory(tx) };
      });
      if (!seen) return undefined;
      const { task, directory } = seen;
      return { card: await taskCard(ports, task), mayAct: mayAct(colleagueId, task, directory, ports.clock.now()) };
    },
    async act(act) {
      const action = actionOf(act);
      if (action === undefined) return { kind: "refused", reason: "That is no length of time that Waypost knows." };
      const acting = at(ports, act.at);
      const request = { task: act.task, actor: { id: act.by }, revision: act.revision, action };
      const answer = await actOnTask(acting, request, (tx, task) =>
        ports.audit.record(tx, {
          at: acting.clock.now(),
          actor: act.by,
          action: `task.${act.verb}`,
          subject: task.id,
          detail: { via: "slack", revision: task.revision },
        }),
      );
      return resultOf(acting, answer);
    },
    async nudgeClicked({ deliveryId, action, by, at: when }) {
      if (by === undefined) return { text: "Waypost doesn't know you, so this button does nothing for you." };
      const acting = at(ports, when);
      const isKnown = await clickNudge(acting, { deliveryId, action, by }, (tx, run) =>
        ports.audit.record(tx, {
          at: acting.clock.now(),
          actor: by,
          action: `nudge.${action}`,
          subject: run,
          detail: { via: "slack", delivery: deliveryId },
        }),
      );
      return { text: isKnown ? "Noted." : "The playbook that posted this is no longer there." };
    },
    async home(colleagueId) {
      const home = await deskHome(ports, colleagueId);
      if (home === undefined) throw new Error(`colleague ${colleagueId} has gone`);
      return home;
    },
  };
}

/** The ports with the domain's now at the instant of a scripted person's act. */
function at<T extends DeskPorts>(ports: T, when: Instant | undefined): T {
  if (when === undefined) return ports;
  const { clock } = ports;
  return {
    ...ports,
    clock: { scale: clock.scale, now: () => when, realMsUntil: (instant: Instant) => clock.realMsUntil(instant) },
  };
}

function actionOf(act: TaskAct): TaskAction | undefined {
  switch (act.verb) {
    case "complete":
      return {
        kind: "complete",
        ...(act.outcome === undefined ? {} : { outcome: act.outcome }),
        ...(act.note === undefined ? {} : { note: act.note }),
      };
    case "snooze": {
      const duration = parseDuration(act.for);
      return duration && { kind: "snooze", for: duration };
    }
    case "reassign":
      return { kind: "reassign", to: act.to };
    case "skip":
      return { kind: "skip", reason: act.reason };
    case "note":
      return { kind: "note", note: act.note };
  }
}

/** The operations' refusals are parts of sentences. */
function sentence(message: string): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
