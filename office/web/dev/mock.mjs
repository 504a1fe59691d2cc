/**
 * A console to develop the desk against: it serves `dist` and plays one scripted call, as the real API would show it.
 *
 *   node dev/mock.mjs [--scenario approve] [--port 0] [--pace 250] [--dist dist]
 *
 * It holds no card: the caller of the script is a list of counts. It prints `READY <one-time URL>`.
 */

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Events } from "./events.mjs";
import { serveFile } from "./files.mjs";
import { World } from "./world.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? otherwise : process.argv[at + 1];
};

const USER = { id: 1, name: "Priya Shah", email: "priya@example.com", role: "agent", extension: "1001" };
const PASSWORD = "correct horse battery";

const world = new World(option("scenario", "approve"), Number(option("pace", "250")));
const events = new Events(() => world.snapshot());
world.on = (event, data) => events.send(event, data);

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
  if (request.method === "GET") return read(request, path, response);
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
  const payment = world.payments.get(/^\/payments\/([\w-]+)$/.exec(path)?.[1]);
  if (payment !== undefined) return json(response, 200, world.detail(payment));
  return problem(response, 404, "not_found");
}

/** A key that is seen again gets the answer that it got. */
async function write(request, path, body, response) {
  const key = `${request.headers["idempotency-key"]} ${path}`;
  if (!request.headers["idempotency-key"]) return problem(response, 400, "no_key");
  if (!answers.has(key)) answers.set(key, world.write(path, body));
  const answer = await answers.get(key);
  if (answer.status >= 400) return problem(response, answer.status, answer.code);
  return json(response, answer.status, answer.body);
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

async function bodyOf(request) {
  let text = "";
  for await (const part of request) text += part;
  return text === "" ? null : JSON.parse(text);
}

function json(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

function problem(response, status, code) {
  const body = { type: `urn:tonewall:${code}`, title: code.replaceAll("_", " "), status, code };
  response.writeHead(status, { "Content-Type": "application/problem+json" }).end(JSON.stringify(body));
}

server.listen(Number(option("port", "0")), "127.0.0.1", () => {
  const address = server.address();
  console.log(`READY http://127.0.0.1:${address.port}/api/v1/session/auto?token=${[...tokens][0]}`);
});
