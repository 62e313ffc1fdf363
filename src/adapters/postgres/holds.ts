import { and, asc, eq } from "drizzle-orm";
import type { Holds } from "../../ports/holds.js";
import { inside } from "./database.js";
import { holds, switches } from "./schema.js";

/** Holds and kill switches on Postgres. */
export function postgresHolds(): Holds {
  return {
    async take(tx, hold) {
      const added = await inside(tx).insert(holds).values(hold).onConflictDoNothing().returning({ since: holds.since });
      return added.length > 0;
    },
    async release(tx, holderRun) {
      // '' is the operator's, who releases one at a time.
      if (holderRun === "") return [];
      return inside(tx).delete(holds).where(eq(holds.holderRun, holderRun)).returning();
    },
    async releaseOperator(tx, accountId, playbook) {
      const its = and(eq(holds.accountId, accountId), eq(holds.playbook, playbook), eq(holds.holderRun, ""));
      return (await inside(tx).delete(holds).where(its).returning()).length > 0;
    },
    async of(tx, accountId) {
      return inside(tx)
        .select()
        .from(holds)
        .where(eq(holds.accountId, accountId))
        .orderBy(asc(holds.since), asc(holds.holderRun));
    },
    async switches(tx) {
      return inside(tx).select().from(switches).orderBy(asc(switches.name));
    },
    async turnOn(tx, killSwitch) {
      await inside(tx).insert(switches).values(killSwitch).onConflictDoNothing();
    },
    async turnOff(tx, name) {
      return (await inside(tx).delete(switches).where(eq(switches.name, name)).returning()).length > 0;
    },
  };
}
