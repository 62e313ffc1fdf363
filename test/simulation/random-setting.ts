import type { SimulationSetting } from "../../src/simulation/simulate.js";
import { settingOf } from "../engine/plans.js";
import { RANDOM_FIELDS, type RandomCase } from "../support/random-plans.js";

/** What a random case is rehearsed with. */
export function settingFor({ plan }: RandomCase): SimulationSetting {
  const setting = settingOf(plan);
  return { ...setting, model: { ...setting.model, account: RANDOM_FIELDS } };
}
