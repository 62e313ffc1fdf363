import { expect, test } from "vitest";
import { table } from "../../../src/entrances/cli/answer.js";

test("the last column is cut to the terminal's width, the others stay whole", () => {
  const rows = [["run/renewal/a-101/k-101/1", "a long list of places that goes on"]];
  expect(table(["RUN", "WHERE"], rows, 45)).toBe(
    "RUN                        WHERE\nrun/renewal/a-101/k-101/1  a long list of pl…",
  );
  expect(table(["RUN", "WHERE"], rows, 10).split("\n")[1]).toBe("run/renewal/a-101/k-101/1  a long list…");
  expect(table(["RUN", "WHERE"], rows).split("\n")[1]).toBe(
    "run/renewal/a-101/k-101/1  a long list of places that goes on",
  );
});
