import type { AppendedEvent } from "./append-events.js";

/** What becomes of an event whose id belongs to another one. */
export function conflictOf(id: string): AppendedEvent {
  return { id, status: "conflict", reason: "this id was used for another event; give each event an id of its own" };
}
