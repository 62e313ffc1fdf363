import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkToken, createToken } from "../../src/operations/tokens.js";
import { type Installation, startInstallation } from "../entrances/support/installation.js";
import { countOr, randomFrom, seedOr } from "./random.js";

const SEED = seedOr(20_260_302);
const GUESSES = countOr(300);

let house: Installation;
let sql: postgres.Sql;
beforeAll(async () => {
  house = await startInstallation({ WAYPOST_REQUESTS_PER_SECOND: 100_000 });
  sql = postgres(house.database.url, { max: 1, onnotice: () => {} });
}, 60_000);
afterAll(async () => {
  await sql?.end();
  await house?.stop();
});

test("S4: 20 tokens of 256 random bits: none of them, nor a part that could be used, is in a dump of every table or in the log", async () => {
  const tokens: string[] = [];
  for (let index = 0; index < 20; index++)
    tokens.push((await createToken(house.wired, { name: `t${index}`, scopes: ["events:write"] }, "test")).token);
  for (const token of tokens) {
    expect(token).toMatch(/^wp_[A-Za-z0-9_-]{43}$/);
    expect(Buffer.from(token.slice(3), "base64url")).toHaveLength(32);
    expect((await house.ask("GET", "/v1/runs", { token })).status).toBe(403);
  }
  expect(new Set(tokens).size).toBe(20);
  // Two of 20 that agree in their first 6 bytes would say that they aren't random: 1 in 10^12.
  expect(new Set(tokens.map((token) => token.slice(3, 11))).size).toBe(20);
  const tables = await sql<
    { name: string }[]
  >`select table_name as name from information_schema.tables where table_schema = 'public'`;
  expect(tables.length).toBeGreaterThan(20);
  let dump = "";
  for (const { name } of tables)
    for (const row of await sql.unsafe(`select row_to_json(t)::text as row from "${name}" t`))
      dump += `${row["row"]}\n`;
  const hashes = tokens.map((token) => createHash("sha256").update(token).digest("hex"));
  // It is the dump of these: each stands there as its hash.
  expect(hashes.filter((hash) => dump.includes(hash))).toHaveLength(20);
  const usable: string[] = [];
  for (const token of tokens)
    for (const part of [
      token,
      token.slice(3),
      token.slice(3, 23),
      Buffer.from(token.slice(3), "base64url").toString("hex"),
      Buffer.from(token).toString("base64"),
    ])
      if (dump.includes(part) || house.log.join("").includes(part)) usable.push(part);
  expect(usable).toEqual([]);
  // Nor is anything that is in the dump a token: whoever has it can't get in with it.
  const words = new Set([
    ...hashes,
    ...hashes.map((hash) => `wp_${hash.slice(0, 43)}`),
    ...hashes.map((hash) => `wp_${Buffer.from(hash, "hex").toString("base64url")}`),
  ]);
  for (const word of words) expect((await checkToken(house.wired, word)).kind).toBe("denied");
  console.log(`20 tokens, ${tables.length} tables, ${(dump.length / 1024).toFixed(0)} KB: usable 0`);
});

test("a token that is one character off, longer, shorter or in other letters is not known", async () => {
  const { token } = await createToken(house.wired, { name: "near", scopes: ["admin"] }, "test");
  const near = Array.from({ length: 43 }, (_, index) => {
    const at = 3 + index;
    return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
  });
  const others = [
    `${token}=`,
    token.slice(0, -1),
    `${token}A`,
    token.toLowerCase(),
    token.toUpperCase(),
    `WP_${token.slice(3)}`,
    ` ${token}`,
    `${token}\n`,
    `${token}\u0000`,
  ];
  for (const guess of [...near, ...others].filter((one) => one !== token))
    expect([guess, (await checkToken(house.wired, guess)).kind]).toEqual([guess, "denied"]);
  expect((await checkToken(house.wired, token)).kind).toBe("granted");
});

test(
  `S5: ${GUESSES} guessed unsubscribe tokens beside a real one: GET and POST answer the same, byte for byte, and GET changes nothing`,
  async () => {
    const random = randomFrom(SEED);
    const token = "Zm9vYmFyYmF6cXV4MTIzNA";
    await sql`insert into accounts (id, name, created_at) values ('s5', 'S5', now())`;
    await sql`insert into contacts (id, account_id, email, name, created_at) values ('s5-c', 's5', 'pat@s5.example', 'Pat', now())`;
    const { store, suppressions } = house.wired;
    await store.transaction((tx) =>
      suppressions.keepLink(tx, { token, contactId: "s5-c", category: "onboarding", deliveryKey: "k" }),
    );
    const rows = async (): Promise<string> => {
      const [row] = await sql<{ all: string }[]>`
      select (select count(*) from suppressions) || '/' || (select count(*) from events) || '/' || (select count(*) from audit) as all`;
      return row?.all ?? "";
    };
    const before = await rows();
    const real = await visit("GET", token);
    expect(real.status).toBe(200);
    const kinds = new Set<string>();
    const bytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (let index = 0; index < GUESSES; index++) {
      const guess =
        index % 3 === 0
          ? // One character off the real one.
            token.slice(0, index % 22) + bytes[random.below(64)] + token.slice((index % 22) + 1)
          : Array.from({ length: random.pick([1, 16, 22, 43, 128]) }, () => bytes[random.below(64)]).join("");
      if (guess === token) continue;
      for (const method of ["GET", "POST"] as const) {
        const answer = await visit(method, guess);
        kinds.add(`${method} ${answer.status} ${answer.headers} ${answer.hash}`);
      }
    }
    expect(await rows()).toBe(before);
    expect(kinds).toContain(`GET ${real.status} ${real.headers} ${real.hash}`);
    const acted = await visit("POST", token);
    expect(kinds).toContain(`POST ${acted.status} ${acted.headers} ${acted.hash}`);
    expect(kinds.size).toBe(2);
    expect(await rows()).not.toBe(before);
    const once = await rows();
    await visit("POST", token);
    expect(await rows()).toBe(once);
    console.log(
      `${GUESSES} guesses, seed ${SEED}: distinguishable 0, acted by GET 0, by a guess 0; the real one acted once`,
    );
  },
  120_000 + GUESSES * 100,
);

function visit(method: "GET" | "POST", token: string): Promise<{ status: number; headers: string; hash: string }> {
  const { hostname, port } = new URL(house.url);
  return new Promise((resolve, reject) => {
    const headers = method === "POST" ? { "content-type": "application/x-www-form-urlencoded" } : {};
    const request = httpRequest(
      { hostname, port, method, path: `/unsubscribe/${token}?lang=en&about=onboarding`, headers },
      (response) => {
        const hash = createHash("sha256");
        response.on("data", (chunk: Buffer) => hash.update(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const { date: _date, ...rest } = response.headers;
          resolve({ status: response.statusCode ?? 0, headers: JSON.stringify(rest), hash: hash.digest("hex") });
        });
      },
    );
    request.on("error", reject);
    request.end(method === "POST" ? "List-Unsubscribe=One-Click" : undefined);
  });
}
