import type { Tx } from "./transactions.js";

/** What an API token may do. `admin`: everything, publishing and kill switches included. */
export const SCOPES = ["events:write", "customers:write", "runs:read", "runs:write", "tasks:write", "admin"] as const;

export type Scope = (typeof SCOPES)[number];

/** A token without itself. Instants here are real time: access has nothing to do with the domain's clock. */
export interface TokenRow {
  /** SHA-256 of the token, hex. */
  readonly hash: string;
  /** Whose it is, for people and the audit. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

/** API tokens. */
export interface Tokens {
  add(tx: Tx, token: TokenRow): Promise<void>;
  byHash(tx: Tx, hash: string): Promise<TokenRow | undefined>;
  /** Newest first, revoked ones too. */
  list(tx: Tx): Promise<readonly TokenRow[]>;
  /** Revokes all of the name that are not; how many there were. */
  revoke(tx: Tx, name: string, at: number): Promise<number>;
}
