/** A browser that is worked by keys alone, and that notices what must not happen. */

import { join } from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const TIMEOUT_MS = Number(process.env.TONEWALL_E2E_TIMEOUT_MS ?? "60000");
const TABS_MAX = 60;
const NEVER_SHOWN = (process.env.TONEWALL_NEVER_SHOWN ?? "").split(",").filter(Boolean);

export class Screen {
  looked = 0;
  #browser;
  #page;
  #folder;
  #prefix;
  #faults = [];

  static async open(url, folder, prefix) {
    const browser = await chromium.launch({
      executablePath: process.env.TONEWALL_CHROMIUM ?? "/usr/bin/chromium",
      args: FLAGS,
    });
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const screen = new Screen(browser, page, folder, prefix);
    page.setDefaultTimeout(TIMEOUT_MS);
    await page.goto(url);
    return screen;
  }

  constructor(browser, page, folder, prefix) {
    this.#browser = browser;
    this.#page = page;
    this.#folder = folder;
    this.#prefix = prefix;
    // A breach of the page's policy shows as an error on the console.
    page.on("console", (message) => message.type() === "error" && this.#faults.push(message.text()));
    page.on("pageerror", (error) => this.#faults.push(error.message));
  }

  close() {
    return this.#browser.close();
  }

  press(keys) {
    return this.#page.keyboard.press(keys);
  }

  type(text) {
    return this.#page.keyboard.type(text);
  }

  /** Waits for a state, then looks at it, unless it has no name. */
  async waits(name, selector) {
    await this.#page
      .waitForSelector(selector, { state: "attached" })
      .catch(() => this.#fail(`waited ${TIMEOUT_MS / 1000} s for ${name ?? "a state"} (${selector})`));
    if (name !== null) await this.look(name);
  }

  async gone(selector) {
    await this.#page
      .waitForSelector(selector, { state: "detached" })
      .catch(() => this.#fail(`still there: ${selector}`));
  }

  async says(words) {
    const text = await this.#page.locator("main").innerText();
    if (!text.toLowerCase().includes(words.toLowerCase()))
      await this.#fail(`the desk does not say “${words}”`);
  }

  /** Tabs on until the focus is on the control of this name. */
  async tabTo(name) {
    for (let tab = 0; tab < TABS_MAX; tab += 1) {
      await this.press("Tab");
      const focused = await this.#page.evaluate(focusedName);
      if (focused.startsWith(name)) return;
    }
    await this.#fail(`“${name}” can't be reached with the Tab key`);
  }

  /** After a state change the focus is on something of the page, not lost. */
  async focusIsKept() {
    const kept = await this.#page
      .waitForFunction(() => document.activeElement !== document.body, null, { timeout: 2_000 })
      .catch(() => null);
    if (kept === null) await this.#fail("the focus was lost");
  }

  async facts() {
    return this.#page.$$eval(".facts4 > div", (rows) =>
      Object.fromEntries(rows.map((row) => [row.children[0].textContent, row.children[1].textContent])),
    );
  }

  /** Photographs the state and has axe-core look for barriers. */
  async look(name) {
    this.looked += 1;
    await this.photograph(name);
    await this.#page.evaluate(axe.source);
    const { violations } = await this.#page.evaluate(() => globalThis.axe.run(document));
    const found = violations.map(
      ({ id, nodes }) => `${id} at ${nodes.map((node) => node.target).join(", ")}`,
    );
    if (found.length > 0) await this.#fail(`axe found in “${name}”: ${found.join("; ")}`);
    const html = await this.#page.content();
    if (NEVER_SHOWN.some((words) => html.includes(words)))
      await this.#fail(`“${name}” shows what it must not`);
  }

  photograph(name) {
    const number = String(this.looked).padStart(2, "0");
    return this.#page.screenshot({ path: join(this.#folder, `${this.#prefix}-${number}-${name}.png`) });
  }

  check() {
    if (this.#faults.length > 0) throw new Error(`the browser reported: ${this.#faults.join(" | ")}`);
  }

  async #fail(reason) {
    const seen = await this.#page
      .locator("main")
      .innerText({ timeout: 1_000 })
      .catch(() => "nothing");
    throw new Error(`${reason}\n--- on the screen:\n${seen}\n--- reported: ${this.#faults.join(" | ")}`);
  }
}

/** The name of the focused control, near enough: its label, else its text. Runs in the page. */
function focusedName() {
  const focused = document.activeElement;
  const name = focused.getAttribute("aria-label") ?? focused.labels?.[0]?.textContent ?? focused.textContent;
  return (name ?? "").trim();
}
