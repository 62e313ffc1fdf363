import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { openSocket, type SocketAddress } from "./database.js";

const CHANNEL = "waypost_events";

/** Before it listens again, real milliseconds; whoever listens also looks by itself. */
const AGAIN_MS = 1_000;
/** A connection on which nothing is said looks like one that is gone. */
const WORD_EVERY_MS = 15_000;
const SILENCE_MAX_MS = 40_000;

/**
 * Calls `onEvents` whenever some process has appended events, until the signal aborts. While Postgres is away, or behind a pooler that keeps no session, nobody
 * is told. Never throws.
 */
export async function listenForEvents(url: string, onEvents: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const gone = new AbortController();
    const over = AbortSignal.any([signal, gone.signal]);
    const client = postgres(url, {
      max: 1,
      connect_timeout: 5,
      fetch_types: false,
      onnotice: () => {},
      onclose: () => gone.abort(),
      connection: { application_name: "waypost listening", statement_timeout: SILENCE_MAX_MS },
      ...({ onnotify: onEvents, socket: (to: SocketAddress) => openSocket(to, SILENCE_MAX_MS) } as object),
    });
    try {
      await client.unsafe(`listen ${CHANNEL}`);
      // Meanwhile there may have been some.
      onEvents();
      while (!over.aborted) {
        await sleep(WORD_EVERY_MS, undefined, { signal: over });
        await client.unsafe("select 1");
      }
    } catch {
      // Away, or over.
    }
    await client.end({ timeout: 1 }).catch(() => {});
    await sleep(AGAIN_MS, undefined, { signal }).catch(() => {});
  }
}

/**
 * Tells who listens, behind the commit: within it, commits would wait for one another. Asked again meanwhile, once more; it may get lost, and never fails.
 */
export function eventsTeller(client: postgres.Sql): () => void {
  let isTelling = false;
  let isAsked = false;
  const tell = async (): Promise<void> => {
    isTelling = true;
    while (isAsked) {
      isAsked = false;
      await client.unsafe(`notify ${CHANNEL}`).catch(() => {});
    }
    isTelling = false;
  };
  return () => {
    isAsked = true;
    if (!isTelling) void tell();
  };
}
