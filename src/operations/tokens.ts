import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Audit } from "../ports/audit.js";
import type { Clock } from "../ports/clock.js";
import { SCOPES, type Scope, type TokenRow, type Tokens } from "../ports/tokens.js";
import type { Transactions } from "../ports/transactions.js";

export interface TokenPorts {
  readonly store: Transactions;
  readonly tokens: Tokens;
  readonly audit: Audit;
  readonly clock: Clock;
}

/** Whom a request comes from. */
export interface Principal {
  /** The token's name. */
  readonly name: string;
  readonly scopes: readonly Scope[];
}

export type Access =
  | { readonly kind: "granted"; readonly principal: Principal }
  /** `unknown` for anything that isn't a token of ours: whether it ever was one is not told. */
  | { readonly kind: "denied"; readonly reason: "unknown" | "expired" | "revoked" };

/** What every token begins with, so that a scanner of repositories can find a leaked one. */
export const TOKEN_PREFIX = "wp_";

/** The longest name of a token. */
export const TOKEN_NAME_LENGTH_MAX = 80;

/**
 * Makes a token of 256 random bits, which is returned here and never again: only its SHA-256 is kept.
 *
 * @param options.expiresAt real time, epoch milliseconds; absent: never
 * @param by who makes it, for the audit
 * @throws RangeError for an empty or long name, a name in use, no scope, an unknown scope, or an expiry that is over
 */
export async function createToken(
  ports: TokenPorts,
  options: { readonly name: string; readonly scopes: readonly string[]; readonly expiresAt?: number },
  by: string,
): Promise<{ readonly token: string; readonly row: TokenRow }> {
  const { name, scopes, expiresAt } = options;
  if (!/^[\w .@:/-]+$/.test(name) || name.length > TOKEN_NAME_LENGTH_MAX)
    throw new RangeError(`a token's name has 1 to ${TOKEN_NAME_LENGTH_MAX} letters, digits, spaces and . @ : / - _`);
  const unknown = scopes.find((scope) => !isScope(scope));
  if (unknown !== undefined) throw new RangeError(`there is no scope "${unknown}"; there are ${SCOPES.join(", ")}`);
  if (scopes.length === 0) throw new RangeError(`a token needs a scope: ${SCOPES.join(", ")}`);
  const now = Date.now();
  if (expiresAt !== undefined && expiresAt <= now) throw new RangeError("the token would have expired already");
  const token = `${TOKEN_PREFIX}${randomBytes(32).toString("base64url")}`;
  const row: TokenRow = {
    hash: hashOf(token),
    name,
    scopes: [...new Set(scopes.filter(isScope))],
    createdAt: now,
    expiresAt: expiresAt ?? null,
    revokedAt: null,
  };
  await ports.store.transaction(async (tx) => {
    const taken = (await ports.tokens.list(tx)).some((other) => other.name === name && stateOf(other, now) === "valid");
    if (taken) throw new RangeError(`there is a token named "${name}"; revoke it first, or take another name`);
    await ports.tokens.add(tx, row);
    await ports.audit.record(tx, {
      at: ports.clock.now(),
      actor: by,
      action: "token.create",
      subject: name,
      detail: { scopes: row.scopes },
    });
  });
  return { token, row };
}

/** Whether the text is a token that may be used now, and whose. Throws `StoreUnavailable`. */
export async function checkToken(ports: Pick<TokenPorts, "store" | "tokens">, token: string): Promise<Access> {
  if (!TOKEN_FORM.test(token)) return { kind: "denied", reason: "unknown" };
  const hash = hashOf(token);
  const row = await ports.store.read((tx) => ports.tokens.byHash(tx, hash));
  // The index was asked for a hash that nobody can choose freely; the comparison itself tells nothing by its time.
  if (row === undefined || !timingSafeEqual(Buffer.from(row.hash, "hex"), Buffer.from(hash, "hex")))
    return { kind: "denied", reason: "unknown" };
  const state = stateOf(row, Date.now());
  if (state !== "valid") return { kind: "denied", reason: state };
  return { kind: "granted", principal: { name: row.name, scopes: row.scopes } };
}

/** Whether the principal may do what the scope says; `admin` may do everything, `runs:write` may also read. */
export function allows({ scopes }: Principal, scope: Scope): boolean {
  return scopes.includes("admin") || scopes.includes(scope) || (scope === "runs:read" && scopes.includes("runs:write"));
}

/** No request with a token of this name is taken any more, from now on; false if there was none. */
export async function revokeToken(ports: TokenPorts, name: string, by: string): Promise<boolean> {
  return ports.store.transaction(async (tx) => {
    const revoked = await ports.tokens.revoke(tx, name, Date.now());
    if (revoked === 0) return false;
    await ports.audit.record(tx, { at: ports.clock.now(), actor: by, action: "token.revoke", subject: name });
    return true;
  });
}

const TOKEN_FORM = /^wp_[A-Za-z0-9_-]{43}$/;

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text);
}

function stateOf({ expiresAt, revokedAt }: TokenRow, now: number): "valid" | "expired" | "revoked" {
  if (revokedAt !== null) return "revoked";
  return expiresAt !== null && expiresAt <= now ? "expired" : "valid";
}
