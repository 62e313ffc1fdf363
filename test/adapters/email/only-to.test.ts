import { expect, test } from "vitest";
import { onlyToAllows, onlyToList, parseOnlyTo } from "../../../src/adapters/email/only-to.js";

test.each([
  [undefined, "a@x.example", { kind: "send", to: "a@x.example" }],
  ["", "a@x.example", { kind: "send", to: "a@x.example" }],
  ["a@x.example", "A@X.example", { kind: "send", to: "A@X.example" }],
  ["a@x.example, @y.example", "b@y.example", { kind: "send", to: "b@y.example" }],
  ["a@x.example, @y.example", "b@x.example", { kind: "skip", reason: "only_to" }],
  ["@y.example", "b@sub.y.example", { kind: "skip", reason: "only_to" }],
  ["@y.example", "b@evily.example", { kind: "skip", reason: "only_to" }],
  ["redirect: qa@z.example", "b@x.example", { kind: "send", to: "qa@z.example" }],
])("EMAIL_ONLY_TO=%s: %s", (setting, address, expected) => {
  expect(onlyToAllows(parseOnlyTo(setting), address)).toEqual(expected);
});

test.each([
  "qa",
  "a@x.example,",
  "@",
  "redirect:",
  "redirect:a@x.example,b@x.example",
  "a@x.example;b@x.example",
  "true",
])("EMAIL_ONLY_TO=%s is refused", (setting) => {
  expect(() => parseOnlyTo(setting)).toThrow(/^EMAIL_ONLY_TO: ".*" is neither an address nor @domain\./);
});

test("as the list of the delivery settings", () => {
  expect(onlyToList(parseOnlyTo("A@x.example, @Y.example"))).toEqual(["a@x.example", "@y.example"]);
  expect(onlyToList(parseOnlyTo("redirect:a@x.example"))).toBe(undefined);
  expect(onlyToList(undefined)).toBe(undefined);
});
