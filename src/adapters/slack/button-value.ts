import { SLACK_LIMITS } from "./block-kit.js";

/** What a task's buttons carry: which task, and as of which change of it the message was drawn. */
export interface TaskReference {
  readonly task: string;
  readonly revision: number;
}

/** `{"v":1,"task":…,"revision":…}`: a button's value, and the id of its block (an option's value is too short for it). */
export function taskReferenceText(reference: TaskReference): string {
  const text = JSON.stringify({ v: 1, task: reference.task, revision: reference.revision });
  if (text.length > SLACK_LIMITS.blockId)
    throw new RangeError(`the task's id is too long for Slack: ${reference.task}`);
  return text;
}

/** undefined for anything else, also of another version. */
export function readTaskReference(text: string | undefined): TaskReference | undefined {
  const value = readJson(text);
  if (value?.v !== 1 || typeof value.task !== "string" || typeof value.revision !== "number") return undefined;
  return { task: value.task, revision: value.revision };
}

/** What a nudge's buttons carry. */
export interface NudgeReference {
  readonly deliveryId: string;
  readonly action: string;
}

export function nudgeReferenceText(reference: NudgeReference): string {
  return JSON.stringify({ v: 1, delivery: reference.deliveryId, action: reference.action });
}

export function readNudgeReference(text: string | undefined): NudgeReference | undefined {
  const value = readJson(text);
  if (value?.v !== 1 || typeof value.delivery !== "string" || typeof value.action !== "string") return undefined;
  return { deliveryId: value.delivery, action: value.action };
}

/** What a modal remembers of the message it was opened from; Home has no message. */
export interface ModalOrigin extends TaskReference {
  readonly channel?: string;
  readonly ts?: string;
}

export function modalOriginText(origin: ModalOrigin): string {
  return JSON.stringify({ v: 1, ...origin });
}

export function readModalOrigin(text: string | undefined): ModalOrigin | undefined {
  const reference = readTaskReference(text);
  const value = readJson(text);
  if (reference === undefined || value === undefined) return undefined;
  return {
    ...reference,
    ...(typeof value.channel === "string" ? { channel: value.channel } : {}),
    ...(typeof value.ts === "string" ? { ts: value.ts } : {}),
  };
}

function readJson(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
