import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { makePortfolio } from "../../../examples/portfolio/make.js";
import { BUILT_IN_FIELDS, type Model } from "../../../src/customers/model.js";
import {
  type ImportFile,
  importFileOf,
  inImportOrder,
  readImportFiles,
} from "../../../src/entrances/cli/import-rows.js";
import { importRecords } from "../../../src/operations/import-files.js";
import { type CustomerBatch, noRows, type UpsertReport } from "../../../src/ports/customers.js";

let folder: string;
let taken: CustomerBatch[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waypost-import-"));
  taken = [];
});

const typed = (fields: Readonly<Record<string, "string" | "number" | "boolean" | "date" | "datetime">>) =>
  Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, { type }]));
const model: Model = {
  account: { ...typed(BUILT_IN_FIELDS.account), seats: { type: "number" }, qbr_date: { type: "date" } },
  contact: typed(BUILT_IN_FIELDS.contact),
  contract: typed(BUILT_IN_FIELDS.contract),
  roles: { contact: ["champion"], staff: ["account_executive"], pools: [] },
  metrics: {},
  milestones: {},
  events: {},
  outcomes: {},
};

function file(name: string, content: string): ImportFile {
  writeFileSync(join(folder, name), content);
  return importFileOf(join(folder, name)) as ImportFile;
}

async function run(...files: ImportFile[]) {
  const report = await importRecords(readImportFiles(files), {
    model,
    upsert: async (batch): Promise<UpsertReport> => {
      taken.push(batch);
      return { changed: { ...noRows(), accounts: batch.accounts?.length ?? 0 }, refused: [] };
    },
  });
  const problems = report.problems.map(
    (one) => `${one.file.slice(folder.length + 1)}:${one.line}:${one.column} ${one.message}`,
  );
  return { ...report, problems };
}

describe("reading CSV", () => {
  it("takes the byte-order mark, semicolons, CRLF and quotes as exports write them", async () => {
    await run(
      file("accounts.csv", '\ufeffid;name;seats\r\na-1;"Smith; Sons ""Ltd""";12\r\na-2;"two\r\nlines";3.5\r\n'),
    );
    expect(taken[0]?.accounts).toEqual([
      { id: "a-1", fields: { name: 'Smith; Sons "Ltd"', seats: 12 } },
      { id: "a-2", fields: { name: "two\r\nlines", seats: 3.5 } },
    ]);
  });

  it("clears by an empty cell and leaves by a missing column", async () => {
    await run(file("accounts.csv", "id,name,arr,qbr_date,is_test,role:account_executive\na-1,Acme,,2026-03-02,no,\n"));
    expect(taken[0]?.accounts).toEqual([
      {
        id: "a-1",
        fields: { name: "Acme", arr: null, qbr_date: "2026-03-02", is_test: false },
        roles: { account_executive: null },
      },
    ]);
  });

  it("says where a bad cell stands, also after a quoted one and after empty lines, and takes the other rows", async () => {
    const report = await run(
      file("accounts.csv", 'id,name,arr\na-1,"Comma, Inc",12k\n\na-2,Fine,"1,5"\na-3,Good,7\na-3,Again,8\n'),
    );
    expect(report.problems).toEqual([
      'accounts.csv:2:18 "12k" is no number',
      'accounts.csv:4:10 "1,5" is no number (write 1.5)',
      'accounts.csv:6:1 id "a-3" stands in line 5 already; this row is left out',
    ]);
    expect(taken[0]?.accounts?.map((row) => row.id)).toEqual(["a-3"]);
    expect([report.rows, report.bad]).toEqual([4, 3]);
  });

  it("says once that a heading is unknown, with the nearest one, and takes no row of the file", async () => {
    const report = await run(file("accounts.csv", "id,name,seat,role:account_exec\na-1,Acme,5,\na-2,Beta,6,\n"));
    expect(report.problems).toEqual([
      'accounts.csv:1:9 "seat" is no heading of accounts; did you mean "seats"?. No row of this file is taken until it is right',
    ]);
    expect([report.bad, taken]).toEqual([2, []]);
  });

  it("reports a row of another length, a quotation mark that stays open, and an empty file", async () => {
    const report = await run(
      file("accounts.csv", "id,name\na-1\na-2,Fine\n"),
      file("contacts.csv", 'id,account,name\nc-1,a-2,"never closed\nc-2,a-2,Lost\n'),
      file("contracts.csv", ""),
    );
    expect(report.problems).toEqual([
      "accounts.csv:2:1 the row has 1 cells, but there are 2 columns",
      "contacts.csv:2:1 a quotation mark is opened here and never closed; the rest of the file was not read",
      "contracts.csv:1:1 the file is empty; its first line must name the columns",
    ]);
    expect(taken[0]?.accounts).toEqual([{ id: "a-2", fields: { name: "Fine" } }]);
  });

  it("counts lines as an editor does, whatever ends them and however many are empty", async () => {
    const report = await run(
      file("accounts.csv", 'id,name\r\n\r\na-1,Fine\r\n\r\n  \r\na-2\r\n\na-3,"two\r\nlines"\ra-4\n'),
    );
    expect(report.problems).toEqual([
      "accounts.csv:6:1 the row has 1 cells, but there are 2 columns",
      "accounts.csv:10:1 the row has 1 cells, but there are 2 columns",
    ]);
    expect(taken[0]?.accounts).toEqual([
      { id: "a-1", fields: { name: "Fine" } },
      { id: "a-3", fields: { name: "two\r\nlines" } },
    ]);
  });

  it("takes a formula as the text that it is", async () => {
    const cells = [
      `=1+1`,
      `=cmd|' /C calc'!A0`,
      `+48 22 1`,
      `-1`,
      `@SUM(A1)`,
      `"=HYPERLINK(""https://evil.example"")"`,
    ];
    await run(file("accounts.csv", `id,name\n${cells.map((cell, index) => `a-${index},${cell}\n`).join("")}`));
    expect(taken[0]?.accounts?.map(({ fields }) => fields["name"])).toEqual([
      "=1+1",
      "=cmd|' /C calc'!A0",
      "+48 22 1",
      "-1",
      "@SUM(A1)",
      '=HYPERLINK("https://evil.example")',
    ]);
  });

  it("says what is wrong with a quotation mark inside a cell, and takes every row before it", async () => {
    const rows = Array.from({ length: 2_500 }, (_, index) => `a-${index},Fine\n`).join("");
    const message = 'a quotation mark stands inside a cell; write it twice ("") in a cell that is quoted';
    for (const cell of ['=HYPERLINK("x")', '"Smith"s']) {
      taken = [];
      const report = await run(file("accounts.csv", `id,name\n${rows}b-1,${cell}\nb-2,Fine\n`));
      expect(report.problems).toEqual([`accounts.csv:2502:1 ${message}; the rest of the file was not read`]);
      expect(taken.flatMap(({ accounts }) => accounts ?? [])).toHaveLength(2_500);
    }
  });

  it("reads a hundred thousand headings at once", async () => {
    const headings = Array.from({ length: 100_000 }, (_, index) => `h${index}`);
    const began = performance.now();
    const report = await run(file("accounts.csv", `${["id", ...headings].join(",")}\na-1${",".repeat(100_000)}\n`));
    expect(report.problems).toHaveLength(1);
    expect(report.problems[0]).toMatch(/^accounts\.csv:1:4 "h0" is no heading of accounts; known are id, name, /);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

describe("a file that is not UTF-8", () => {
  const bytes = (name: string, content: Uint8Array): ImportFile => {
    writeFileSync(join(folder, name), content);
    return importFileOf(join(folder, name)) as ImportFile;
  };
  const said = (looksLike = "") =>
    `the file is not UTF-8${looksLike}; save it as UTF-8 ("CSV UTF-8" in a spreadsheet). Nothing of it was taken`;

  it("is named with its line, and nothing of it is taken: Latin-2, UTF-16, a character that is cut off", async () => {
    const latin2 = Buffer.concat([Buffer.from("id,name\na-1,Fine\na-2,"), Buffer.from([0xaf, 0xf3, 0xb3, 0xe6, 10])]);
    const utf16 = Buffer.from("\ufeffid,account\nc-1,a-1\n", "utf16le");
    const cut = Buffer.concat([Buffer.from('{"id":"u-1","name":"Ż'), Buffer.from([0xc5])]);
    const big = Buffer.from("id,account\nk-1,a-1\n", "utf16le").swap16();
    const report = await run(
      bytes("accounts.csv", latin2),
      bytes("contacts.csv", utf16),
      bytes("users.jsonl", cut),
      bytes("contracts.csv", big),
    );
    expect(report.problems).toEqual([
      `accounts.csv:3:1 ${said()}`,
      `contacts.csv:1:1 ${said(" but UTF-16")}`,
      `users.jsonl:1:1 ${said()}`,
      `contracts.csv:1:1 ${said(" but UTF-16")}`,
    ]);
    expect([report.bad, taken]).toEqual([4, []]);
  });

  it("is told by its last byte too, far behind the first batches", async () => {
    const rows = Array.from({ length: 60_000 }, (_, index) => `a-${index},Żółć ${index}`).join("\n");
    const report = await run(
      bytes("accounts.csv", Buffer.concat([Buffer.from(`id,name\n${rows}\n`), Buffer.from([0xe6])])),
    );
    expect(report.problems).toEqual([`accounts.csv:60002:1 ${said()}`]);
    expect(taken).toEqual([]);
  });
});

describe("a line of a gigabyte", () => {
  const GIGABYTE = 1024 * 1024 * 1024;
  /** A file that is nowhere: good rows, then a line of 1 GB, then a good row. */
  function endless(name: string, before: string, after: string, of = "x"): ImportFile {
    return {
      ...(importFileOf(name) as ImportFile),
      open: async function* () {
        const chunk = Buffer.alloc(256 * 1024, of);
        yield Buffer.from(before);
        for (let sent = 0; sent < GIGABYTE; sent += chunk.length) yield chunk;
        yield Buffer.from(after);
      },
    };
  }
  let most = 0;
  async function measured(file: ImportFile) {
    const before = process.memoryUsage().rss;
    most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss - before);
    }, 20);
    const problems: string[] = [];
    const report = await importRecords(readImportFiles([file]), {
      model,
      upsert: async (batch): Promise<UpsertReport> => {
        taken.push(batch);
        return { changed: noRows(), refused: [] };
      },
    });
    clearInterval(watch);
    for (const one of report.problems) problems.push(`${one.line}:${one.column} ${one.message}`);
    return { ...report, problems };
  }

  it("is refused by JSON lines, and the rows beside it are taken, in little memory", async () => {
    const good = (id: string) => `{"id":"${id}","name":"Fine"}\n`;
    const report = await measured(endless("accounts.jsonl", `${good("a-1")}{"id":"`, `"}\n${good("a-2")}`));
    expect(report.problems).toEqual(["2:1 the line is longer than 1024 KiB"]);
    expect(taken.flatMap(({ accounts }) => accounts?.map(({ id }) => id) ?? [])).toEqual(["a-1", "a-2"]);
    expect(most).toBeLessThan(300 * 1024 * 1024);
  }, 60_000);

  it.each([
    ["a cell of 1 GB", "x", "a-2,"],
    ["a quoted one", "x", 'a-2,"'],
    ["cells by the thousand million", ",", "a-2"],
    ["as many empty lines", "\n", ""],
  ])(
    "is refused by CSV, in little memory: %s",
    async (_what, of, begins) => {
      const report = await measured(endless("accounts.csv", `id,name\na-1,Fine\n${begins}`, '"\n', of));
      expect(report.problems).toEqual([
        "3:1 a row is longer than 1024 KiB; is a quotation mark not closed?; the rest of the file was not read",
      ]);
      expect(taken.flatMap(({ accounts }) => accounts?.map(({ id }) => id) ?? [])).toEqual(["a-1"]);
      expect(most).toBeLessThan(300 * 1024 * 1024);
    },
    60_000,
  );
});

describe("reading JSON lines", () => {
  it("takes samples, and says where a line is no JSON, a value no number, a line too long", async () => {
    const report = await run(
      file(
        "usage.jsonl",
        [
          '{"id":"s-1","account":"a-1","contact":"c-1","sample":"logins","value":3,"at":"2026-01-05T12:00:00Z"}',
          '{"id":"s-2","account":"a-1","sample":"logins","value":"lots","at":"2026-01-05T12:00:00Z"}',
          '{"id":"s-3",}',
          "[1]",
          `{"id":"${"x".repeat(1_048_600)}"}`,
          "",
          '{"id":"s-4","account":"a-1","sample":"logins","value":1,"at":"2026-13-05T12:00:00Z"}',
        ].join("\n"),
      ),
    );
    expect(taken[0]?.samples).toEqual([
      { id: "s-1", accountId: "a-1", name: "logins", at: Date.UTC(2026, 0, 5, 12), value: 3, user: "c-1" },
    ]);
    expect(report.problems).toEqual([
      'usage.jsonl:2:55 "lots" is no number',
      'usage.jsonl:3:13 the line is not JSON: each line must be one object such as {"id":"…"}',
      "usage.jsonl:4:1 the line must be one JSON object",
      "usage.jsonl:5:1 the line is longer than 1024 KiB",
      'usage.jsonl:7:62 "2026-13-05T12:00:00Z" is no instant, such as "2026-03-02T09:00:00Z" or "2026-03-02T10:00:00+01:00"',
    ]);
  });
});

it("takes names that every object has as what they are: unknown headings, in CSV and JSON lines", async () => {
  const report = await run(
    file("accounts.csv", "id,__proto__\na-1,x\n"),
    file(
      "contacts.jsonl",
      '{"id":"c-1","account":"a-1","__proto__":{"polluted":true}}\n{"id":"c-2","constructor":"x"}\n',
    ),
  );
  expect(report.problems.map((problem) => problem.replace(/;.*/, ""))).toEqual([
    'accounts.csv:1:4 "__proto__" is no heading of accounts',
    'contacts.jsonl:1:41 "__proto__" is no heading of contacts',
    'contacts.jsonl:2:27 "constructor" is no heading of contacts',
  ]);
  expect(taken).toEqual([]);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

describe("files", () => {
  it("are known by their names and go in in an order that works", () => {
    const names = ["usage-2026.jsonl", "crm_contacts.csv", "accounts.csv", "users.csv", "surveys.ndjson"];
    const files = names.map((name) => importFileOf(name) as ImportFile);
    expect(inImportOrder(files).map((one) => one.kind)).toEqual([
      "users",
      "accounts",
      "contacts",
      "surveyAnswers",
      "samples",
    ]);
    expect(importFileOf("export.csv", "contact")).toEqual({
      problem: '"contact" is no kind of rows. Did you mean "contacts"?',
    });
    expect(importFileOf("people.xlsx")).toEqual({ problem: "people.xlsx: only .csv and .jsonl files can be imported" });
    expect(importFileOf("export.csv")).toEqual({
      problem:
        "export.csv: the name doesn't tell what is in it. Name it after one of users, absences, accounts, contacts, contracts, goals, tickets, surveys, usage, or say --kind KIND",
    });
  });
});

describe("the example portfolio", () => {
  it("is what its script makes, byte for byte", () => {
    for (const [name, content] of makePortfolio()) {
      expect(readFileSync(join("examples/portfolio", name), "utf8") === content, name).toBe(true);
    }
  });
});
