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
const WIDE = { width: 1280, height: 800 };
const NEVER_SHOWN = (process.env.TONEWALL_NEVER_SHOWN ?? "").split(",").filter(Boolean);

export class Screen {
  looked = 0;
  #browser;
  #page;
  #folder;
  #prefix;
  #faults = [];

  /** `flags` of Chromium besides the usual ones; `first` runs in the page before its own scripts. */
  static async open(url, folder, prefix, { flags = [], viewport = WIDE, first = null } = {}) {
    const browser = await chromium.launch({
      executablePath: process.env.TONEWALL_CHROMIUM ?? "/usr/bin/chromium",
      args: [...FLAGS, ...flags],
    });
    const page = await browser.newPage({ viewport });
    const screen = new Screen(browser, page, folder, prefix);
    page.setDefaultTimeout(TIMEOUT_MS);
    if (first !== null) await page.addInitScript(first);
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

  /** `delay` milliseconds between two keys. */
  type(text, delay = 0) {
    return this.#page.keyboard.type(text, { delay });
  }

  run(what) {
    return this.#page.evaluate(what);
  }

  allow(permission) {
    return this.#page.context().grantPermissions([permission]);
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

  /** Another page of the same console. */
  async goTo(path) {
    await this.#page.goto(new URL(path, this.#page.url()).href);
  }

  /** Puts the focus on a link and presses it. */
  async choose(selector) {
    await this.#page.locator(selector).focus();
    await this.press("Enter");
  }

  fill(selector, text) {
    return this.#page.fill(selector, text);
  }

  select(selector, value) {
    return this.#page.selectOption(selector, value);
  }

  attach(selector, name, text) {
    return this.#page.setInputFiles(selector, { name, mimeType: "text/csv", buffer: Buffer.from(text) });
  }

  /** Waits until what screen readers are told has these words. */
  async hears(words) {
    await this.#page
      .locator("[role=status]", { hasText: words })
      .first()
      .waitFor({ state: "attached" })
      .catch(() => this.#fail(`nobody is told “${words}”`));
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

  /** `expected`: words of what the browser reports of a refusal that was meant. */
  check(expected = null) {
    const faults = this.#faults.filter((fault) => expected === null || !fault.includes(expected));
    if (faults.length > 0) throw new Error(`the browser reported: ${faults.join(" | ")}`);
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
