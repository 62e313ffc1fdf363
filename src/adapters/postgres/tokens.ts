import { and, desc, eq, isNull } from "drizzle-orm";
import type { Scope, TokenRow, Tokens } from "../../ports/tokens.js";
import { inside } from "./database.js";
import { tokens } from "./schema.js";

/** API tokens on Postgres. */
export function postgresTokens(): Tokens {
  return {
    async add(tx, token) {
      await inside(tx)
        .insert(tokens)
        .values({ ...token, scopes: [...token.scopes] });
    },
    async byHash(tx, hash) {
      const [row] = await inside(tx).select().from(tokens).where(eq(tokens.hash, hash));
      return row && tokenOf(row);
    },
    async list(tx) {
      const rows = await inside(tx).select().from(tokens).orderBy(desc(tokens.createdAt), desc(tokens.hash));
      return rows.map(tokenOf);
    },
    async revoke(tx, name, at) {
      const revoked = await inside(tx)
        .update(tokens)
        .set({ revokedAt: at })
        .where(and(eq(tokens.name, name), isNull(tokens.revokedAt)))
        .returning({ hash: tokens.hash });
      return revoked.length;
    },
  };
}

/** The column has what `add` wrote. */
function tokenOf(row: typeof tokens.$inferSelect): TokenRow {
  return { ...row, scopes: row.scopes as Scope[] };
}
