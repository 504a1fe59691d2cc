/**
 * A console to develop the desk against: it serves `dist` and plays one scripted call, as the real API would show it.
 *
 *   node dev/mock.mjs [--scenario approve] [--money] [--admin] [--late] [--port 0] [--pace 250] [--dist dist]
 *
 * It holds no card: the caller of the script is a list of counts. It prints `READY <one-time URL>`.
 */

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Agreements } from "./agreements.mjs";
import { Events } from "./events.mjs";
import { serveFile } from "./files.mjs";
import { Gateways } from "./gateways.mjs";
import { Keys } from "./keys.mjs";
import { Money } from "./money.mjs";
import { World } from "./world.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? otherwise : process.argv[at + 1];
};

const USER = {
  id: 1,
  name: "Priya Shah",
  email: "priya@example.com",
  role: "agent",
  extension: "1001",
  rights: ["charge", "store"],
};
const PASSWORD = "correct horse battery";

/** With it the user looks after the money, and there are payments to look after. */
const money = process.argv.includes("--money") ? new Money() : null;
/** With it the user is an admin, and sees the gateways and the API keys. */
const gateways = process.argv.includes("--admin") ? new Gateways() : null;
const keys = gateways === null ? null : new Keys();
if (gateways !== null) USER.role = "admin";
if (money !== null) USER.rights = ["charge", "preauthorize", "refund", "store", "finance"];

const world = new World(option("scenario", "approve"), Number(option("pace", "250")));
const events = new Events(() => world.snapshot());
world.on = (event, data) => events.send(event, data);

const agreements = new Agreements();
/** With it there is an agreement with a payment that was missed, and the clock is in doubt. */
if (process.argv.includes("--late")) agreements.seed();
world.agreed = (payment, repeat) => agreements.begin(payment, repeat);

const tokens = new Set([randomUUID()]);
const sessions = new Set();
const answers = new Map();

const server = createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    problem(response, 500, "internal");
  });
});

async function handle(request, response) {
  const url = new URL(request.url ?? "/", "http://mock");
  if (!url.pathname.startsWith("/api/")) return serveFile(option("dist", "dist"), url.pathname, response);
  const path = url.pathname.replace("/api/v1", "");
  if (path === "/session/auto") return signInByLink(url, response);
  if (path === "/session" && request.method === "POST") return signIn(await bodyOf(request), response);
  const session = /tonewall_session=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1];
  if (!sessions.has(session)) return problem(response, 401, "signed_out");
  if (request.method !== "GET" && request.headers["x-tonewall"] !== "1") {
    return problem(response, 403, "csrf");
  }
  if (path === "/surcharge") {
    const amount = {
      minor: Number(url.searchParams.get("minor")),
      currency: url.searchParams.get("currency"),
    };
    return json(response, 200, world.quote(amount));
  }
  if (money !== null && path === "/reconciliations" && request.method === "POST") {
    return answered(response, money.upload(await textOf(request), url.searchParams.get("name")));
  }
  if (money !== null && /^\/reconciliations\/[\d-]+\/fetch$/.test(path)) {
    return answered(response, money.asked());
  }
  const told =
    request.method === "GET"
      ? (gateways?.read(path) ?? keys?.read(path) ?? money?.read(path, url))
      : undefined;
  if (told !== undefined) return json(response, 200, told);
  if (request.method === "GET") return read(request, path, response);
  const report = /^\/reports\/([\w-]+)$/.exec(path)?.[1];
  if (money !== null && report !== undefined && request.method === "DELETE") {
    return answered(response, money.takeBack(report));
  }
  const revoked = request.method === "DELETE" ? keys?.revoke(path) : undefined;
  if (revoked !== undefined) return answered(response, revoked);
  if (request.method === "DELETE") {
    sessions.delete(session);
    return response.writeHead(204).end();
  }
  return write(request, path, await bodyOf(request), response);
}

function read(request, path, response) {
  if (path === "/session") return json(response, 200, { user: USER, currency: "GBP" });
  if (path === "/events") return events.open(request, response);
  if (path === "/calls") return json(response, 200, { calls: world.snapshot().calls });
  if (path === "/payments") return json(response, 200, { payments: world.recent(), next_cursor: null });
  if (path === "/transfers") return json(response, 200, { conference: false });
  if (path === "/recurring") return json(response, 200, agreements.recurring());
  if (path === "/agreements") return json(response, 200, agreements.list());
  const agreement = agreements.of(/^\/agreements\/([\w-]+)$/.exec(path)?.[1]);
  if (agreement !== undefined) return json(response, 200, agreement);
  const payment = world.payments.get(/^\/payments\/([\w-]+)$/.exec(path)?.[1]);
  if (payment !== undefined) return json(response, 200, world.detail(payment));
  return problem(response, 404, "not_found");
}

/** A key that is seen again gets the answer that it got. */
async function write(request, path, body, response) {
  if (path === "/agreements/preview") return json(response, 200, agreements.preview(body));
  const key = `${request.headers["idempotency-key"]} ${path}`;
  if (!request.headers["idempotency-key"]) return problem(response, 400, "no_key");
  if (!answers.has(key)) {
    answers.set(key, deedOf(path, body) ?? world.write(path, body));
  }
  return answered(response, await answers.get(key));
}

function deedOf(path, body) {
  if (path === "/recurring/clock") return agreements.clockIsRight();
  if (path.startsWith("/agreements/")) return agreements.write(path, body);
  return gateways?.write(path, body) ?? money?.write(path, body);
}

function signInByLink(url, response) {
  if (!tokens.delete(url.searchParams.get("token"))) return problem(response, 401, "bad_token");
  response.writeHead(303, { Location: "/", "Set-Cookie": cookie() }).end();
}

let failures = 0;
function signIn(body, response) {
  if (failures >= 10) {
    response.setHeader("Retry-After", "1800");
    return problem(response, 429, "locked");
  }
  if (body?.email !== USER.email || body?.password !== PASSWORD) {
    failures += 1;
    return problem(response, 401, "bad_credentials");
  }
  response.setHeader("Set-Cookie", cookie());
  return json(response, 200, { user: USER, currency: "GBP" });
}

function cookie() {
  const session = randomUUID();
  sessions.add(session);
  return `tonewall_session=${session}; HttpOnly; SameSite=Strict; Path=/`;
}

function answered(response, { status, code, detail, body }) {
  return status >= 400 ? problem(response, status, code, detail) : json(response, status, body);
}

async function textOf(request) {
  let text = "";
  for await (const part of request) text += part;
  return text;
}

async function bodyOf(request) {
  const text = await textOf(request);
  return text === "" ? null : JSON.parse(text);
}

function json(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

function problem(response, status, code, detail) {
  const body = { type: `urn:tonewall:${code}`, title: code.replaceAll("_", " "), status, code, detail };
  response.writeHead(status, { "Content-Type": "application/problem+json" }).end(JSON.stringify(body));
}

server.listen(Number(option("port", "0")), "127.0.0.1", () => {
  const address = server.address();
  console.log(`READY http://127.0.0.1:${address.port}/api/v1/session/auto?token=${[...tokens][0]}`);
});
