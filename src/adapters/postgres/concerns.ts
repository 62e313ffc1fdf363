import { desc, eq } from "drizzle-orm";
import type { Concerns } from "../../ports/concerns.js";
import { inside } from "./database.js";
import { opportunities, risks } from "./schema.js";

/** Risks and opportunities on Postgres. */
export function postgresConcerns(): Concerns {
  return {
    async raiseRisk(tx, risk) {
      await inside(tx).insert(risks).values(risk).onConflictDoNothing();
    },
    async raiseOpportunity(tx, opportunity) {
      await inside(tx).insert(opportunities).values(opportunity).onConflictDoNothing();
    },
    async risks(tx, accountId) {
      return inside(tx)
        .select()
        .from(risks)
        .where(eq(risks.accountId, accountId))
        .orderBy(desc(risks.at), desc(risks.id));
    },
    async opportunities(tx, accountId) {
      return inside(tx)
        .select()
        .from(opportunities)
        .where(eq(opportunities.accountId, accountId))
        .orderBy(desc(opportunities.at), desc(opportunities.id));
    },
  };
}
