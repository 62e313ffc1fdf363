import { and, eq, lte } from "drizzle-orm";
import type { Suppressions } from "../../ports/suppressions.js";
import { inside } from "./database.js";
import { suppressions, unsubscribeLinks } from "./schema.js";

/** Suppressions and unsubscribe links on Postgres. */
export function postgresSuppressions(): Suppressions {
  return {
    async of(tx, email, asOf) {
      return inside(tx)
        .select({ category: suppressions.category, reason: suppressions.reason })
        .from(suppressions)
        .where(
          and(eq(suppressions.email, email.toLowerCase()), asOf === undefined ? undefined : lte(suppressions.at, asOf)),
        );
    },
    async add(tx, email, { category, reason, at, deliveryKey }) {
      await inside(tx)
        .insert(suppressions)
        .values({ email: email.toLowerCase(), category, reason, at, deliveryKey: deliveryKey ?? null })
        .onConflictDoNothing();
    },
    async remove(tx, email, { category, reason }) {
      await inside(tx)
        .delete(suppressions)
        .where(
          and(
            eq(suppressions.email, email.toLowerCase()),
            eq(suppressions.category, category),
            eq(suppressions.reason, reason),
          ),
        );
    },
    async keepLink(tx, link) {
      await inside(tx).insert(unsubscribeLinks).values(link).onConflictDoNothing();
    },
    async link(tx, token) {
      return (await inside(tx).select().from(unsubscribeLinks).where(eq(unsubscribeLinks.token, token)))[0];
    },
  };
}
