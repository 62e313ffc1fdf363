import { eq } from "drizzle-orm";
import type { PutBack, PutBacks } from "../../ports/put-backs.js";
import { inside } from "./database.js";
import { putBacks } from "./schema.js";
import { ask, isoOf, jsonRow, msText } from "./statement.js";

/** The switch that holds everything, e-mail and Slack, as SQL. */
export const ALL_HELD = "exists (select 1 from switches s where s.name = 'all_sends')";

/** Claims are counted by a sequence of their own, events by that of their numbers: neither costs a statement. */
export const postgresPutBacks: PutBacks = {
  async counts(tx) {
    const [found] = await ask<{ claims: number; events: number }>(tx, COUNTS, []);
    return found as { claims: number; events: number };
  },
  async raise(tx, { claims, events }) {
    await ask(tx, RAISE, [claims, events]);
  },
  async latest(tx) {
    const [found] = await ask<{ row: PutBack; isHeld: boolean }>(tx, LATEST, []);
    return found && { putBack: found.row, isHeld: found.isHeld };
  },
  async add(tx, putBack) {
    await inside(tx).insert(putBacks).values(putBack);
  },
  async settled(tx, id) {
    await inside(tx).update(putBacks).set({ isSettled: true }).where(eq(putBacks.id, id));
  },
  async lastReceived(tx, before) {
    const [found] = await ask<{ at: string | null }>(tx, LAST_RECEIVED, [isoOf(before)]);
    return found?.at == null ? undefined : Number(found.at);
  },
};

const COUNTS = `select (select last_value from delivery_claims)::double precision as claims,
  (select last_value from events_seq_seq)::double precision as events`;

/** What is claimed between the look and the raise stays below as many. */
const MARGIN = 1_000;

const RAISE = `select setval('delivery_claims', greatest((select last_value from delivery_claims), $1::bigint) + ${MARGIN}),
  setval('events_seq_seq', greatest((select last_value from events_seq_seq), $2::bigint) + ${MARGIN})`;

const LATEST = `select ${jsonRow(putBacks, "p")} as row, ${ALL_HELD} as "isHeld" from put_backs p order by p.found_at desc limit 1`;

const LAST_RECEIVED = `select ${msText("e.received_at")} as at from events e where e.received_at < $1::timestamptz order by e.seq desc limit 1`;
