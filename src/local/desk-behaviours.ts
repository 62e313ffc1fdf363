/** What the desk does instead of answering well: how Slack and networks fail. */
export type DeskBehaviour = {
  /** Web API method; absent: `chat.postMessage`. */
  readonly method?: string;
  /** Only for this channel or user id, as the caller wrote it. */
  readonly channel?: string;
  /** How many calls; default 1, `"always"`: until `behave()`. */
  readonly times?: number | "always";
} & (
  | { readonly kind: "limit"; readonly retryAfterSeconds: number }
  /** 429 without Retry-After. */
  | { readonly kind: "limit_without_header" }
  /** `{ ok: false, error }`. */
  | { readonly kind: "error"; readonly error: string }
  /** A status with no answer of Slack's in it. `accepted`: after the call was carried out. */
  | { readonly kind: "status"; readonly status: number; readonly accepted?: boolean }
  /** 200 with a page that isn't JSON. */
  | { readonly kind: "garbage"; readonly accepted?: boolean }
  /** The socket closes without a word. */
  | { readonly kind: "drop"; readonly accepted?: boolean }
  /** Answers well, but late. */
  | { readonly kind: "delay"; readonly delayMs: number }
);

/** The behaviours that wait to be used; the first that applies wins. */
export class DeskBehaviours {
  #waiting: { behaviour: DeskBehaviour; left: number }[] = [];

  add(behaviour: DeskBehaviour): void {
    const left = behaviour.times === "always" ? Number.POSITIVE_INFINITY : (behaviour.times ?? 1);
    this.#waiting.push({ behaviour, left });
  }

  take(method: string, channel: string | undefined): DeskBehaviour | undefined {
    const found = this.#waiting.find(
      ({ behaviour }) =>
        (behaviour.method ?? "chat.postMessage") === method &&
        (behaviour.channel === undefined || behaviour.channel === channel),
    );
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#waiting = this.#waiting.filter((entry) => entry !== found);
    return found.behaviour;
  }

  all(): readonly DeskBehaviour[] {
    return this.#waiting.map(({ behaviour }) => behaviour);
  }

  clear(): void {
    this.#waiting = [];
  }
}
