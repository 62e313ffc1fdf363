import { afterAll, beforeAll, expect, test } from "vitest";
import { mailCameBack } from "../../src/operations/mail-came-back.js";
import { email, HOUR, openStage, type Stage, T0 } from "./support/stage.js";

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

test("a bounce for good closes the address that the mail went to, not the one the person has by now", async () => {
  const run = "run/onboarding/acme/k/1";
  await stage.account("acme", {});
  await stage.contact("carla", "acme", { first_name: "Carla" });
  await stage.run({ id: run, accountId: "acme" });
  await stage.outcome(run, email("a"));
  const [sent] = await stage.store.read((tx) => stage.ports.ledger.ofEffect(tx, run, "a"));
  await stage.write((tx) =>
    stage.store.customers.upsert(
      tx,
      { contacts: [{ id: "carla", accountId: "acme", fields: { email: "carla@new.example" }, at: T0 + HOUR }] },
      { at: T0 + HOUR, source: "test" },
    ),
  );
  stage.clock.moveTo(T0 + 2 * HOUR);
  const bounce = { id: "b1", kind: "bounce", delivery: sent?.id ?? "", isPermanent: true, source: "dsn" } as const;
  expect(await mailCameBack(stage.ports, { ...bounce, at: T0 + 2 * HOUR })).toBe("accepted");
  expect(await mailCameBack(stage.ports, { ...bounce, at: T0 + 2 * HOUR })).toBe("repeated");
  expect(await mailCameBack(stage.ports, { ...bounce, isPermanent: false, at: T0 + 2 * HOUR })).toBe("conflict");
  expect(await mailCameBack(stage.ports, { ...bounce, kind: "reply", at: T0 + 2 * HOUR })).toBe("conflict");
  const reasons = async (address: string) =>
    (await stage.store.read((tx) => stage.ports.suppressions.of(tx, address, T0 + 3 * HOUR))).map(
      ({ reason }) => reason,
    );
  expect(await reasons("carla@acme.example")).toEqual(["bounced"]);
  expect(await reasons("carla@new.example")).toEqual([]);
});
