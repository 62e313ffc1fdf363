import { setTimeout as sleep } from "node:timers/promises";
import type { SocketModeReceiver } from "@slack/bolt";

/** Socket Mode's connection, kept up by us. */
export interface SocketLink {
  /** Begins to connect; doesn't wait for Slack. */
  start(): void;
  /** Closes the connection and stays away; within 2 s, whatever Slack does. Idempotent. */
  stop(): Promise<void>;
}

const AGAIN_FIRST_MS = 100;
const AGAIN_MAX_MS = 30_000;
/** Slack greets at once; a connection that nobody greets is no connection. */
const GREETING_MS = 10_000;
const FAREWELL_MS = 1_000;

/** Slack's codes for "this token will never do". */
const WRONG_TOKEN = new Set([
  "not_authed",
  "invalid_auth",
  "account_inactive",
  "user_removed_from_team",
  "team_disabled",
  "not_allowed_token_type",
  "missing_scope",
]);

/**
 * Connects again whenever the connection ends: at once after Slack asked for it, with pauses that grow to 30 s while it fails; told once
 * when it begins to fail. The client's own reconnecting waits five seconds first, and throws where nobody catches it (the process would end).
 */
export function socketLink(
  client: SocketModeReceiver["client"],
  onFault: (what: string, error: unknown) => void,
): SocketLink {
  const stop = new AbortController();
  let kept: Promise<void> | undefined;

  async function keep(): Promise<void> {
    for (let failures = 0; !stop.signal.aborted; ) {
      try {
        await greeted();
        failures = 0;
        // Told to stop while Slack was being asked for an address.
        if (stop.signal.aborted) await leave();
        else await new Promise((resolve) => client.once("disconnected", resolve));
      } catch (error) {
        failures += 1;
        if (failures === 1 && !stop.signal.aborted) onFault("Slack's Socket Mode", told(error));
        const pauseMs = Math.min(AGAIN_FIRST_MS * 2 ** (failures - 1), AGAIN_MAX_MS);
        await sleep(pauseMs, undefined, { signal: stop.signal }).catch(() => {});
      }
    }
  }

  async function greeted(): Promise<void> {
    const watch = new AbortController();
    const starting = client.start();
    // It may still fail when nobody waits for it any more.
    starting.catch(() => {});
    const late = sleep(GREETING_MS, undefined, { signal: watch.signal }).then(async () => {
      await leave();
      throw new Error(`Slack has not said hello within ${GREETING_MS / 1_000} s`);
    });
    late.catch(() => {});
    try {
      await Promise.race([starting, late]);
    } finally {
      watch.abort();
    }
  }

  /** A second goodbye is the client's way of not waiting for the answer to the first. */
  async function leave(): Promise<void> {
    const said = client.disconnect().catch(() => {});
    const isOver = await Promise.race([said.then(() => true), sleep(FAREWELL_MS, false)]);
    if (!isOver) await Promise.race([client.disconnect().catch(() => {}), sleep(FAREWELL_MS)]);
  }

  return {
    start() {
      kept ??= keep();
    },
    async stop() {
      if (stop.signal.aborted) return;
      stop.abort();
      if (kept !== undefined) await leave();
    },
  };
}

function told(error: unknown): unknown {
  const code = (error as { data?: { error?: unknown } } | undefined)?.data?.error;
  if (typeof code !== "string" || !WRONG_TOKEN.has(code)) return error;
  return new Error(
    `Slack refuses SLACK_APP_TOKEN (${code}): nobody can press a button until it is an app-level token with connections:write`,
    { cause: error },
  );
}
