import { escapeMrkdwn } from "../../adapters/slack/block-kit.js";
import { readModalOrigin, readNudgeReference, readTaskReference } from "../../adapters/slack/button-value.js";
import { homeView } from "../../adapters/slack/home.js";
import { ACTION, MORE } from "../../adapters/slack/messages.js";
import {
  completeModal,
  FIELD,
  MODAL,
  noteModal,
  noticeModal,
  reassignModal,
  skipModal,
} from "../../adapters/slack/modals.js";
import type { Composer, TaskCard } from "../../ports/composer.js";
import type { SlackPoster } from "../../ports/slack-poster.js";
import { type BlockActions, filledIn, type ViewSubmission } from "./payloads.js";
import type { TaskAct, TaskActions, TaskActResult } from "./task-actions.js";

export interface HandlerParts {
  readonly actions: TaskActions;
  readonly poster: Pick<SlackPoster, "update" | "ephemeral" | "openModal" | "publishHome"> & {
    emailOf(slackUserId: string): Promise<string | undefined>;
  };
  readonly messages: Pick<Composer, "task" | "digest">;
  /** Whether `waypost_at` of scripted people counts: only with a time scale above 1. */
  readonly acceptDomainTime: boolean;
  readonly onFault: (what: string, error: unknown) => void;
}

/** Where a click came from, and how its sender is told something. */
interface Origin {
  readonly slackUser: string;
  readonly channel: string | undefined;
  readonly ts: string | undefined;
  readonly triggerId: string | undefined;
}

/** What a modal's submission is answered with: closed, or another view in its place. */
export type SubmissionAnswer = undefined | { readonly response_action: "update"; readonly view: unknown };

/**
 * One handler for each thing a person can do in Slack. Each does it wholly: act, then show the task as it now is where it was
 * pressed. They answer nothing to Slack's HTTP request; the receiver does.
 */
export function createHandlers(parts: HandlerParts) {
  const { actions, poster, messages } = parts;

  async function taskButton(payload: BlockActions): Promise<void> {
    const action = firstOf(payload.actions);
    const origin = originOf(payload);
    const reference = readTaskReference(action.value) ?? readTaskReference(action.block_id);
    if (reference === undefined)
      return tell(origin, "This message is of an older version of Waypost. Its task is in the Home tab.");
    const by = await colleague(origin.slackUser);
    if (by === undefined) return tell(origin, NOT_ONE_OF_US);
    const seen = await actions.look(reference.task, by);
    if (seen === undefined) return tell(origin, "This task is no longer there.");
    if (!seen.mayAct) return tell(origin, notYours(seen.card));
    const { card } = seen;
    if (card.revision !== reference.revision || card.status !== "open") return stale(origin, card, by);
    const modalOrigin = {
      task: card.id,
      revision: card.revision,
      ...(origin.channel !== undefined && origin.ts !== undefined ? { channel: origin.channel, ts: origin.ts } : {}),
    };
    const common = { ...reference, by, ...timeOf(payload), ...postedOf(origin) };
    const chosen = action.selected_option?.value;
    switch (action.action_id) {
      case ACTION.complete:
        if (card.ask !== undefined) return openModal(origin, completeModal(card, modalOrigin));
        return show(origin, by, await actions.act({ ...common, verb: "complete" }));
      case ACTION.snooze:
        if (chosen === undefined) return;
        return show(origin, by, await actions.act({ ...common, verb: "snooze", for: chosen }));
      case ACTION.reassign:
        return openModal(origin, reassignModal(card, await actions.colleagues(), modalOrigin));
      case ACTION.more:
        if (chosen === MORE.skip) return openModal(origin, skipModal(card, modalOrigin));
        if (chosen === MORE.note) return openModal(origin, noteModal(card, modalOrigin));
        if (chosen === MORE.openAccount) return tell(origin, aboutAccount(card));
        return;
    }
  }

  async function submission(payload: ViewSubmission): Promise<SubmissionAnswer> {
    const modal = readModalOrigin(payload.view.private_metadata);
    if (modal === undefined) return notice("This form is of an older version of Waypost. Please start again.");
    const origin: Origin = { slackUser: payload.user.id, channel: modal.channel, ts: modal.ts, triggerId: undefined };
    const by = await colleague(origin.slackUser);
    if (by === undefined) return notice(NOT_ONE_OF_US);
    const act = actOf(payload, {
      task: modal.task,
      revision: modal.revision,
      by,
      ...timeOf(payload),
      ...postedOf(origin),
    });
    if (act === undefined) return notice("Something is missing in this form. Please start again.");
    const result = await actions.act(act);
    await redraw(origin, by, "card" in result ? result.card : undefined);
    const told = textOf(result);
    return told === undefined ? undefined : notice(told);
  }

  async function nudgeButton(payload: BlockActions): Promise<void> {
    const origin = originOf(payload);
    const reference = readNudgeReference(firstOf(payload.actions).value);
    if (reference === undefined) return;
    const by = await colleague(origin.slackUser);
    const answer = await actions.nudgeClicked({ ...reference, by, ...timeOf(payload), ...postedOf(origin) });
    if (answer.text !== undefined) await tell(origin, answer.text);
  }

  /** The Home tab of a Slack user; one of somebody else's workspace stays empty. */
  async function drawHome(slackUser: string, page = 1): Promise<void> {
    const by = await colleague(slackUser);
    const view =
      by === undefined
        ? { type: "home", blocks: [{ type: "section", text: { type: "plain_text", text: NOT_ONE_OF_US } }] }
        : homeView(await actions.home(by), page);
    await poster.publishHome(slackUser, view);
  }

  async function homePage(payload: BlockActions): Promise<void> {
    await drawHome(payload.user.id, Number(firstOf(payload.actions).value ?? 1));
  }

  /** What `/waypost …` answers, shown only to who typed it. */
  async function command(slackUser: string, text: string): Promise<{ text: string; blocks?: readonly unknown[] }> {
    if (text.trim() !== "tasks")
      return { text: "`/waypost tasks` lists your open tasks. Everything else is in the Home tab." };
    const by = await colleague(slackUser);
    if (by === undefined) return { text: NOT_ONE_OF_US };
    const home = await actions.home(by);
    const line = ({ id, title, account, due }: (typeof home.today)[number]) => ({ task: id, title, account, due });
    const later = home.later + home.snoozed.length;
    return messages.digest({
      person: { id: by, ...home.person },
      at: home.at,
      overdue: home.overdue.map(line),
      today: home.today.map(line),
      later,
    });
  }

  /** A fault: said to who pressed, as far as that is possible, and never in the fault's own words. */
  async function apologise(payload: BlockActions | ViewSubmission): Promise<void> {
    const origin = "actions" in payload ? originOf(payload) : submissionOrigin(payload);
    await tell(origin, "Waypost can't do this just now. Please press again in a minute.");
  }

  async function colleague(slackUser: string): Promise<string | undefined> {
    const known = await actions.colleagueBySlackId(slackUser);
    if (known !== undefined) return known;
    const email = await poster.emailOf(slackUser);
    const found = email === undefined ? undefined : await actions.colleagueByEmail(email);
    if (found !== undefined) await actions.linkSlackUser(found, slackUser);
    return found;
  }

  async function show(origin: Origin, by: string, result: TaskActResult): Promise<void> {
    await redraw(origin, by, "card" in result ? result.card : undefined);
    const told = textOf(result);
    if (told !== undefined) await tell(origin, told);
  }

  async function stale(origin: Origin, card: TaskCard, by: string): Promise<void> {
    await redraw(origin, by, card);
    await tell(origin, STALE);
  }

  /** The pressed message anew, or the Home tab. Rendering again repairs it, so a failure is only noted. */
  async function redraw(origin: Origin, by: string, card: TaskCard | undefined): Promise<void> {
    try {
      if (origin.channel === undefined || origin.ts === undefined)
        await poster.publishHome(origin.slackUser, homeView(await actions.home(by)));
      else if (card !== undefined) {
        const result = await poster.update(origin.channel, origin.ts, messages.task(card));
        if (result.kind !== "posted") parts.onFault(`message of task ${card.id}`, result);
      }
    } catch (error) {
      parts.onFault("redrawing after a click", error);
    }
  }

  async function openModal(origin: Origin, view: unknown): Promise<void> {
    if (origin.triggerId === undefined) return;
    try {
      await poster.openModal(origin.triggerId, view);
    } catch (error) {
      parts.onFault("opening a modal", error);
      await tell(origin, "Slack could not open the form. Please press again.");
    }
  }

  /** A plain sentence to the presser alone: below the message, or in a modal where there is none. */
  async function tell(origin: Origin, text: string): Promise<void> {
    try {
      if (origin.channel !== undefined) await poster.ephemeral(origin.channel, origin.slackUser, escapeMrkdwn(text));
      else if (origin.triggerId !== undefined) await poster.openModal(origin.triggerId, noticeModal(text));
    } catch (error) {
      parts.onFault("telling a Slack user something", error);
    }
  }

  function timeOf(payload: { waypost_at?: number | undefined }): { at?: number } {
    return parts.acceptDomainTime && payload.waypost_at !== undefined ? { at: payload.waypost_at } : {};
  }

  return { taskButton, submission, nudgeButton, homePage, drawHome, command, apologise };
}

export type Handlers = ReturnType<typeof createHandlers>;

const NOT_ONE_OF_US =
  "Waypost doesn't know you: no colleague has your Slack account's e-mail address. Ask your administrator.";
const STALE = "This task had changed in the meantime, so nothing was done. It is now shown as it is.";

function notYours(card: TaskCard): string {
  const whose = card.assignee === undefined ? "in the queue" : `${card.assignee.name}'s`;
  return `This task is ${whose}. Only the assignee, their cover and their manager can act on it.`;
}

function aboutAccount(card: TaskCard): string {
  return `${card.account.name} is account ${card.account.id}.`;
}

function textOf(result: TaskActResult): string | undefined {
  switch (result.kind) {
    case "done":
      return undefined;
    case "stale":
      return STALE;
    case "refused":
      return result.reason;
    case "unknown":
      return "This task is no longer there.";
  }
}

function actOf(
  payload: ViewSubmission,
  common: Pick<TaskAct, "task" | "revision" | "by" | "at" | "posted">,
): TaskAct | undefined {
  const filled = filledIn(payload);
  const { outcome, note } = { outcome: filled[FIELD.outcome], note: filled[FIELD.note] };
  switch (payload.view.callback_id) {
    case MODAL.complete:
      return {
        ...common,
        verb: "complete",
        ...(outcome === undefined ? {} : { outcome }),
        ...(note === undefined ? {} : { note }),
      };
    case MODAL.reassign: {
      const to = filled[FIELD.person];
      return to === undefined ? undefined : { ...common, verb: "reassign", to };
    }
    case MODAL.skip: {
      const reason = filled[FIELD.reason];
      return reason === undefined ? undefined : { ...common, verb: "skip", reason };
    }
    case MODAL.note:
      return note === undefined ? undefined : { ...common, verb: "note", note };
    default:
      return undefined;
  }
}

function originOf(payload: BlockActions): Origin {
  const isMessage = payload.container?.type === "message";
  return {
    slackUser: payload.user.id,
    channel: isMessage ? payload.container?.channel_id : undefined,
    ts: isMessage ? payload.container?.message_ts : undefined,
    triggerId: payload.trigger_id,
  };
}

function submissionOrigin(payload: ViewSubmission): Origin {
  const modal = readModalOrigin(payload.view.private_metadata);
  return { slackUser: payload.user.id, channel: modal?.channel, ts: modal?.ts, triggerId: undefined };
}

function postedOf(origin: Origin): { posted?: { channel: string; ts: string } } {
  if (origin.channel === undefined || origin.ts === undefined) return {};
  return { posted: { channel: origin.channel, ts: origin.ts } };
}

function notice(text: string): SubmissionAnswer {
  return { response_action: "update", view: noticeModal(text) };
}

function firstOf(actions: BlockActions["actions"]): BlockActions["actions"][number] {
  const [first] = actions;
  if (first === undefined) throw new Error("an interaction without an action");
  return first;
}
