// Runs functions one after the other. Prints a line for each one that passes.
import assert from "node:assert/strict";

export const URL = process.env.PENSTOCK_URL;
export const WHOLE = process.env.WHOLE_TEXT;
export { assert };

export async function run(...flows) {
  let failed = false;
  for (const flow of flows) {
    try {
      await flow();
      console.log(`passed ${flow.name}`);
    } catch (e) {
      failed = true;
      console.log(`FAILED ${flow.name}`);
      console.log(e);
    }
  }
  process.exit(failed ? 1 : 0);
}
