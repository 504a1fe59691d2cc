/**
 * Takes a payment on a running desk with the keyboard alone, as an agent who never touches a mouse would.
 *
 *   TONEWALL_DESK_URL=<one-time signed-in URL> node e2e/desk.mjs SCENARIO SCREENSHOT_FOLDER
 *
 * Scenarios: approve, decline-then-other-card, cancel, caller-hangs-up, lost-answer, surcharge, repeat, recorder, pay-and-keep, keep-only. The caller is played by someone else; this
 * only presses keys and reads the screen. Every state is checked with axe-core and photographed.
 *
 * Optional: TONEWALL_AMOUNT (42.00), TONEWALL_ACCOUNT (NW-204417), TONEWALL_E2E_TIMEOUT_MS (60000),
 * TONEWALL_NEVER_SHOWN (words, separated by commas, that must never be in the page), TONEWALL_CHROMIUM.
 * Exits with 0 and one line of JSON, or with 1 and what went wrong.
 */

import { mkdir } from "node:fs/promises";
import { Screen } from "./screen.mjs";

const AMOUNT = process.env.TONEWALL_AMOUNT ?? "42.00";
const ACCOUNT = process.env.TONEWALL_ACCOUNT ?? "NW-204417";

const scenarios = {
  approve,
  "decline-then-other-card": declineThenOtherCard,
  cancel,
  "caller-hangs-up": callerHangsUp,
  "lost-answer": lostAnswer,
  surcharge,
  repeat,
  recorder,
  "pay-and-keep": payAndKeep,
  "keep-only": keepOnly,
};

async function approve(screen) {
  await startAndSecure(screen);
  await screen.waits("keying", `${keyed(4)}, ${accepted("pan")}`);
  await helpOpensAndCloses(screen);
  await allAccepted(screen);
  await screen.press("Alt+Enter");
  const result = await approved(screen);
  await lineOpens(screen);
  return result;
}

async function declineThenOtherCard(screen) {
  await startAndSecure(screen);
  await allAccepted(screen);
  await screen.press("Alt+Enter");
  await screen.waits("declined", '[data-outcome="declined"]');
  await screen.says("Declined");
  await screen.says("Nothing was taken");
  await screen.press("Alt+KeyN");
  await screen.waits("other-card", ".pay");
  await allAccepted(screen, "ready-again");
  await screen.press("Alt+Enter");
  const result = await approved(screen);
  await lineOpens(screen);
  return result;
}

async function cancel(screen) {
  await startAndSecure(screen);
  await screen.waits("keying", keyed(1));
  await screen.tabTo("Cancel payment");
  await screen.press("Enter");
  await screen.waits("cancel-asked", '[role="alertdialog"]');
  await screen.tabTo("Cancel payment");
  await screen.press("Enter");
  await screen.waits("canceled", '[data-panel="order"]');
  await screen.says("Payment canceled");
  await releaseLine(screen);
  return { outcome: "canceled" };
}

async function callerHangsUp(screen) {
  await startAndSecure(screen);
  await screen.waits("hung-up", '[data-ended="caller_hung_up"]');
  await screen.says("The caller hung up");
  await screen.says("Nothing was sent to the bank");
  return { outcome: "caller_hung_up" };
}

/** Nobody knows whether money was taken, so nothing on the screen may take it again; then the bank is asked, and knows. */
async function lostAnswer(screen) {
  await startAndSecure(screen);
  await allAccepted(screen);
  await screen.press("Alt+Enter");
  await screen.waits("being-confirmed", '[data-outcome="unknown"]');
  await screen.says("do not take the payment again");
  await screen.press("Alt+Enter");
  await screen.press("Alt+KeyN");
  await screen.waits(null, '[data-outcome="unknown"]');
  await screen.gone('[data-outcome="unknown"] button:has-text("Another card")');
  await screen.waits("known", '[data-outcome="not_sent"]');
  await screen.says("Nothing was taken");
  return { outcome: "not_sent" };
}

/** Nothing is started before the agent has ticked that the caller accepts it, and of another amount nothing is accepted. */
async function surcharge(screen) {
  await screen.waits("desk", "main[data-panel]");
  await screen.waits("call", '[data-panel="order"] [data-line="open"]');
  await screen.tabTo("Amount");
  await screen.type("4.00");
  await screen.waits("told", "#order-accepted");
  await screen.says("A surcharge of £0.06 is added: £4.06 in all");
  await screen.tabTo("The caller accepts it");
  await screen.press("Space");
  await screen.waits(null, "#order-accepted:checked");
  await screen.tabTo("Amount");
  await screen.type("42.00");
  await screen.waits("told-again", "#order-accepted:not(:checked)");
  await screen.says("A surcharge of £0.63 is added: £42.63 in all");
  await screen.press("Alt+KeyS");
  await screen.waits("asked-for", '[data-panel="order"]:has(#order-accepted:focus) [data-line="open"]');
  await screen.press("Space");
  await screen.press("Alt+KeyS");
  await screen.waits("secured", '[data-line="secured"]');
  await allAccepted(screen);
  await screen.says("£42.63");
  await screen.press("Alt+Enter");
  return approved(screen);
}

/** What is to be repeated is read to the caller before the payment is taken; afterwards its calendar can be changed. */
async function repeat(screen) {
  await screen.waits("desk", "main[data-panel]");
  await screen.waits("call", '[data-panel="order"] [data-line="open"]');
  await screen.tabTo("Amount");
  await screen.type(AMOUNT);
  await screen.tabTo("Account number");
  await screen.type(ACCOUNT);
  await screen.tabTo("Repeat this payment");
  await screen.press("Space");
  await screen.waits("without-an-end", ".repeat .say");
  await screen.says("and so on until you ask us to stop");
  await screen.tabTo("How many");
  await screen.type("6");
  await screen.waits(null, '.repeat .say:has-text("6 payments")');
  await screen.look("six");
  await screen.tabTo("E-mail or phone");
  await screen.type("ada@example.com");
  await screen.press("Alt+KeyS");
  await screen.waits("secured", '[data-line="secured"]');
  await allAccepted(screen);
  await screen.press("Alt+Enter");
  const result = await approved(screen);
  await screen.waits("agreed", '[data-agreement="agreed"]');
  await lineOpens(screen);
  await screen.tabTo("See their calendar");
  await screen.press("Enter");
  await screen.waits("repeats", "#repeats");
  await screen.waits("listed", "tbody tr");
  await screen.tabTo("Calendar");
  await screen.press("Enter");
  await screen.waits("calendar", '[data-row="planned"]');
  await screen.tabTo("Leave out");
  await screen.press("Enter");
  await screen.waits("left-out", '[data-row="skip"]');
  await screen.tabTo("Stop for good");
  await screen.press("Enter");
  await screen.waits("stop-asked", '[role="alertdialog"]');
  await screen.tabTo("Stop payments");
  await screen.press("Enter");
  await screen.waits("stopped", "main:has-text('Stopped')");
  return { ...result, agreement: "stopped" };
}

/** A recorder elsewhere must pause before anything is keyed; it does when it is asked for the second time. */
async function recorder(screen) {
  await screen.waits("desk", "main[data-panel]");
  await screen.waits("call", '[data-panel="order"] [data-line="open"]');
  await screen.tabTo("Amount");
  await screen.type(AMOUNT);
  await screen.press("Alt+KeyS");
  await screen.waits("pausing", '[data-line="pausing"]:has-text("Pausing the recorder")');
  await screen.says("The caller should not key anything yet");
  await screen.waits("not-paused", '[data-recorder="warn"]');
  await screen.says("Your call recorder has not paused: it can’t be reached.");
  await screen.gone(keyed(1));
  await screen.gone('[data-line="secured"]');
  await screen.tabTo("Ask it again");
  await screen.press("Enter");
  await screen.waits("secured", '[data-line="secured"]');
  await screen.says("Says it has paused");
  await screen.focusIsKept();
  await allAccepted(screen);
  await screen.press("Alt+Enter");
  return approved(screen);
}

async function payAndKeep(screen) {
  await screen.waits("desk", "main[data-panel]");
  await screen.waits("call", '[data-panel="order"] [data-line="open"]');
  await screen.tabTo("Amount");
  await screen.type(AMOUNT);
  await screen.tabTo("The card");
  await screen.type("is paid");
  await screen.says("say what it is kept for");
  await screen.press("Alt+KeyS");
  await screen.waits("secured", '[data-line="secured"]');
  await allAccepted(screen);
  await screen.press("Alt+Enter");
  const result = await approved(screen);
  await screen.says("The card is kept for later payments.");
  return result;
}

/** Nothing is taken: no amount is asked, and nothing on the screen says that anything was paid. */
async function keepOnly(screen) {
  await screen.waits("desk", "main[data-panel]");
  await screen.waits("call", '[data-panel="order"] [data-line="open"]');
  await screen.tabTo("The card");
  await screen.type("is only");
  await screen.waits("only-kept", "#order-amount:disabled");
  await screen.says("nothing is taken");
  await screen.press("Alt+KeyS");
  await screen.waits("secured", '[data-line="secured"]');
  await screen.says("A card to keep");
  await allAccepted(screen);
  await screen.press("Alt+Enter");
  await screen.waits("kept", '[data-outcome="approved"]');
  await screen.says("The card is kept. Nothing was taken.");
  return { outcome: "kept" };
}

/** At least so many dots of the card number are filled. */
const keyed = (digits) => `[data-field="pan"] .dots i.on:nth-of-type(${digits})`;

const accepted = (field) => `[data-field="${field}"][data-status="ok"]`;

async function startAndSecure(screen) {
  await screen.waits("desk", "main[data-panel]");
  await screen.waits("call", '[data-panel="order"] [data-line="open"]');
  await screen.tabTo("Amount");
  await screen.type(AMOUNT);
  await screen.tabTo("Account number");
  await screen.type(ACCOUNT);
  await screen.look("order-typed");
  await screen.press("Alt+KeyS");
  await screen.waits("secured", '[data-line="secured"]');
  await screen.says("The caller hears you");
  await screen.focusIsKept();
}

async function allAccepted(screen, name = "ready") {
  await screen.waits(
    name,
    `.fields:has(${accepted("pan")}):has(${accepted("expiry")}):has(${accepted("cvv")})`,
  );
  await screen.waits(null, ".pay .foot .btn.pri:not([aria-disabled])");
}

async function approved(screen) {
  await screen.waits("approved", '[data-outcome="approved"]');
  await screen.focusIsKept();
  const facts = await screen.facts();
  const code = facts["Authorization code"];
  if (!code) throw new Error("approved, but no authorization code is shown");
  if (!/•{4} \d{4}/.test(facts.Card ?? "")) throw new Error("approved, but no masked card is shown");
  return { outcome: "approved", auth_code: code, card: facts.Card };
}

/** After an approval the line is released by itself; "releasing" may be over before the script has looked. */
async function lineOpens(screen) {
  await screen.waits("released", '[data-line="open"]');
}

async function releaseLine(screen) {
  await screen.press("Alt+KeyL");
  await screen.waits(null, '[data-line="releasing"], [data-line="open"]');
  await lineOpens(screen);
}

async function helpOpensAndCloses(screen) {
  await screen.press("?");
  await screen.waits("shortcuts", '[role="dialog"]');
  await screen.press("Escape");
  await screen.gone('[role="dialog"]');
}

async function main() {
  const [name, folder = "screenshots"] = process.argv.slice(2);
  const scenario = scenarios[name];
  const url = process.env.TONEWALL_DESK_URL;
  if (scenario === undefined) throw new Error(`say which scenario: ${Object.keys(scenarios).join(", ")}`);
  if (url === undefined) throw new Error("TONEWALL_DESK_URL is not set");
  await mkdir(folder, { recursive: true });
  const screen = await Screen.open(url, folder, name);
  try {
    const result = await scenario(screen);
    screen.check();
    console.log(JSON.stringify({ scenario: name, ...result, states_checked: screen.looked }));
  } catch (error) {
    await screen.photograph("failed").catch(() => {});
    throw error;
  } finally {
    await screen.close();
  }
}

main().catch((error) => {
  console.error(`FAILED: ${error.message}`);
  process.exitCode = 1;
});
