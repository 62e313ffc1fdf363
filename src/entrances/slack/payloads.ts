import { z } from "zod";
import { allCanBeKept } from "../http/read-json.js";

/** What we read of Slack's payloads; everything else in them is let pass. */
const user = z.object({ id: z.string() });

export const blockActions = z.object({
  user,
  trigger_id: z.string().optional(),
  container: z
    .object({ type: z.string(), channel_id: z.string().optional(), message_ts: z.string().optional() })
    .optional(),
  actions: z
    .array(
      z.object({
        action_id: z.string(),
        block_id: z.string().optional(),
        value: z.string().optional(),
        selected_option: z.object({ value: z.string() }).nullish(),
      }),
    )
    .min(1),
  waypost_at: z.number().optional(),
});
export type BlockActions = z.infer<typeof blockActions>;

const inputValue = z.object({
  value: z.string().nullish(),
  selected_option: z.object({ value: z.string() }).nullish(),
});

export const viewSubmission = z.object({
  user,
  view: z.object({
    callback_id: z.string(),
    private_metadata: z.string(),
    state: z.object({ values: z.record(z.string(), z.record(z.string(), inputValue)) }),
  }),
  waypost_at: z.number().optional(),
});
export type ViewSubmission = z.infer<typeof viewSubmission>;

/** What was filled in, by field; an empty text counts as nothing. */
export function filledIn(submission: ViewSubmission): Readonly<Record<string, string | undefined>> {
  const filled: Record<string, string | undefined> = {};
  for (const [block, inputs] of Object.entries(submission.view.state.values)) {
    for (const input of Object.values(inputs)) {
      const text = input.selected_option?.value ?? input.value ?? "";
      if (text.trim() !== "") filled[block] = text.trim();
    }
  }
  return filled;
}

/** Bolt keeps its clients under the workspace's id: a name that every object has would be none of them. */
const workspace = z.looseObject({ id: z.string().regex(/^[A-Z0-9]{1,40}$/) }).nullish();
const interactive = z.looseObject({ type: z.string(), user, team: workspace, enterprise: workspace });
const event = z.looseObject({ type: z.string(), event: z.looseObject({ type: z.string() }) });
const command = z.looseObject({ command: z.string(), user_id: z.string(), text: z.string() });

/** Whether it is what Slack would send: a click, a form, an event, a command, or a kind that we leave to Bolt. The rest of them Bolt stumbles over. */
export function isOfSlack(payload: Readonly<Record<string, unknown>>): boolean {
  if (!allCanBeKept(payload)) return false;
  if (payload["type"] === undefined) return payload["ssl_check"] !== undefined || command.safeParse(payload).success;
  switch (payload["type"]) {
    case "block_actions":
      return interactive.safeParse(payload).success && blockActions.safeParse(payload).success;
    case "view_submission":
      return interactive.safeParse(payload).success && viewSubmission.safeParse(payload).success;
    case "event_callback":
      return event.safeParse(payload).success;
    case "url_verification":
      return true;
    default:
      return interactive.safeParse(payload).success;
  }
}

/** `block_actions`, `view_submission`, `command`, `event` or whatever Slack calls it: for the log. */
export function kindOf(payload: unknown): string {
  if (typeof payload !== "object" || payload === null) return "unknown";
  const { type, command } = payload as { type?: unknown; command?: unknown };
  if (typeof command === "string") return "command";
  return type === "event_callback" ? "event" : typeof type === "string" ? type.slice(0, 100) : "unknown";
}

/** A request's body as Slack means it: a form with `payload`, a form, or JSON. @throws SyntaxError */
export function readPayload(body: string, contentType: string): Record<string, unknown> {
  let payload: unknown;
  if (contentType.startsWith("application/x-www-form-urlencoded")) {
    const form = new URLSearchParams(body);
    const inner = form.get("payload");
    payload = inner === null ? Object.fromEntries(form) : JSON.parse(inner);
  } else payload = JSON.parse(body);
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) throw new SyntaxError("not an object");
  return payload as Record<string, unknown>;
}
