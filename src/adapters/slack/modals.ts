import type { TaskCard } from "../../ports/composer.js";
import { escapeMrkdwn, humanName, type Option, option, plain, section, SLACK_LIMITS } from "./block-kit.js";
import { type ModalOrigin, modalOriginText } from "./button-value.js";

/** What a modal asks for; the same word is its `callback_id`. */
export const MODAL = {
  complete: "modal:complete",
  reassign: "modal:reassign",
  skip: "modal:skip",
  note: "modal:note",
} as const;

/** The inputs of the modals: block id and action id are the same word. */
export const FIELD = { outcome: "outcome", note: "note", reason: "reason", person: "person" } as const;

/** Completing a task that asks for something: its outcome (one of those allowed) with room for a note, or a note. */
export function completeModal(card: TaskCard, origin: ModalOrigin): unknown {
  const asksOutcome = card.ask === "outcome";
  return modal(MODAL.complete, "Complete task", "Complete", origin, [
    about(card),
    ...(asksOutcome ? [outcomeInput(card.outcomes)] : []),
    textInput(FIELD.note, "Note", { optional: asksOutcome, multiline: true }),
  ]);
}

export interface Assignable {
  readonly id: string;
  readonly name: string;
}

/** @throws RangeError beyond 10,000 people, more than Slack can list. */
export function reassignModal(card: TaskCard, people: readonly Assignable[], origin: ModalOrigin): unknown {
  const others = people.filter((person) => person.id !== card.assignee?.id);
  return modal(MODAL.reassign, "Reassign task", "Reassign", origin, [
    about(card),
    others.length === 0
      ? section("There is nobody else to give it to.")
      : input(FIELD.person, "To", {
          type: "static_select",
          action_id: FIELD.person,
          placeholder: plain("Choose a colleague", SLACK_LIMITS.optionText),
          ...grouped(others.map((person) => option(person.name, person.id))),
        }),
  ]);
}

export function skipModal(card: TaskCard, origin: ModalOrigin): unknown {
  return modal(MODAL.skip, "Skip task", "Skip", origin, [
    about(card),
    textInput(FIELD.reason, "Why is it not needed?", { optional: false, multiline: true }),
  ]);
}

export function noteModal(card: TaskCard, origin: ModalOrigin): unknown {
  return modal(MODAL.note, "Add a note", "Add", origin, [
    about(card),
    textInput(FIELD.note, "Note", { optional: false, multiline: true }),
  ]);
}

function modal(callbackId: string, title: string, submit: string, origin: ModalOrigin, blocks: unknown[]): unknown {
  const hasInput = blocks.some((block) => (block as { type: string }).type === "input");
  const metadata = modalOriginText(origin);
  if (metadata.length > SLACK_LIMITS.privateMetadata) throw new RangeError("a modal's origin is too long for Slack");
  return {
    type: "modal",
    callback_id: callbackId,
    private_metadata: metadata,
    title: plain(title, SLACK_LIMITS.modalTitle),
    close: plain("Cancel", SLACK_LIMITS.modalButton),
    ...(hasInput ? { submit: plain(submit, SLACK_LIMITS.modalButton) } : {}),
    blocks,
  };
}

function about(card: TaskCard): unknown {
  return section(`*${escapeMrkdwn(card.title)}*\n${escapeMrkdwn(card.account.name)}`);
}

function outcomeInput(outcomes: readonly string[]): unknown {
  if (outcomes.length === 0) return textInput(FIELD.outcome, "Outcome", { optional: false, multiline: false });
  return input(FIELD.outcome, "Outcome", {
    type: "static_select",
    action_id: FIELD.outcome,
    placeholder: plain("What came of it?", SLACK_LIMITS.optionText),
    options: outcomes.slice(0, SLACK_LIMITS.selectOptions).map((outcome) => option(humanName(outcome), outcome)),
  });
}

function textInput(field: string, label: string, how: { optional: boolean; multiline: boolean }): unknown {
  return input(
    field,
    label,
    { type: "plain_text_input", action_id: field, multiline: how.multiline, max_length: SLACK_LIMITS.inputText },
    how.optional,
  );
}

function input(field: string, label: string, element: unknown, optional = false): unknown {
  return { type: "input", block_id: field, label: plain(label, SLACK_LIMITS.inputLabel), element, optional };
}

/** Slack lists 100 options, or 100 groups of 100. */
function grouped(options: readonly Option[]): Record<string, unknown> {
  const size = SLACK_LIMITS.selectOptions;
  if (options.length <= size) return { options };
  if (options.length > size * size) throw new RangeError(`${options.length} people are more than Slack can list`);
  const groups: unknown[] = [];
  for (let from = 0; from < options.length; from += size) {
    const part = options.slice(from, from + size);
    const label = `${part[0]?.text.text ?? ""} – ${part.at(-1)?.text.text ?? ""}`;
    groups.push({ label: plain(label, SLACK_LIMITS.optionText), options: part });
  }
  return { option_groups: groups };
}

/** A modal that only says something. */
export function noticeModal(text: string): unknown {
  return {
    type: "modal",
    title: plain("Waypost", SLACK_LIMITS.modalTitle),
    close: plain("Close", SLACK_LIMITS.modalButton),
    blocks: [section(escapeMrkdwn(text))],
  };
}
