/**
 * The reference: what somebody writes by hand instead of a playbook. The same steps as the measured playbooks, one activity per effect;
 * `kind` says whether a normal or a local one.
 */
import {
  condition,
  defineSignal,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  sleep,
} from "@temporalio/workflow";
import type { ReferenceActivities } from "./activities.js";

const normal = proxyActivities<ReferenceActivities>({ startToCloseTimeout: "30 seconds" });
const local = proxyLocalActivities<ReferenceActivities>({ startToCloseTimeout: "5 seconds" });

export interface ReferenceInput {
  readonly kind: "normal" | "local";
  readonly to: string;
  readonly arr: number;
  readonly steps: readonly ("mail" | "wait" | "branch")[];
}

/** Walks the steps in order. */
export async function journey({ kind, to, arr, steps }: ReferenceInput): Promise<string> {
  const { sendMail } = kind === "local" ? local : normal;
  let isLarge = false;
  for (const [index, step] of steps.entries()) {
    if (step === "mail") await sendMail(to, `mail_${index + 1}`);
    else if (step === "wait") await sleep("1 second");
    else isLarge = arr >= 100;
  }
  return isLarge ? "large" : "small";
}

export const goSignal = defineSignal("go");

/** Waits for a signal, then performs one effect. */
export async function waiter({ kind, to }: ReferenceInput): Promise<void> {
  let isGiven = false;
  setHandler(goSignal, () => {
    isGiven = true;
  });
  await condition(() => isGiven);
  await (kind === "local" ? local : normal).sendMail(to, "mail_1");
}
