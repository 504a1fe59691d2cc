/** The event stream, with the replay that the real console offers. */

const REPLAY_MAX = 500;

export class Events {
  #snapshot;
  #open = new Set();
  #sent = [];
  #number = 0;

  constructor(snapshot) {
    this.#snapshot = snapshot;
    setInterval(() => this.#tick(), 1_000).unref();
  }

  open(request, response) {
    response.writeHead(200, { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" });
    const last = /^mock-(\d+)$/.exec(request.headers["last-event-id"] ?? "")?.[1];
    const first = this.#sent[0]?.number ?? 0;
    if (last !== undefined && Number(last) >= first - 1) {
      for (const event of this.#sent.filter(({ number }) => number > Number(last)))
        response.write(event.text);
    } else {
      response.write(this.#text("snapshot", this.#snapshot()));
    }
    this.#open.add(response);
    response.on("close", () => this.#open.delete(response));
  }

  send(event, data) {
    const text = this.#text(event, data);
    this.#sent = [...this.#sent, { number: this.#number, text }].slice(-REPLAY_MAX);
    for (const response of this.#open) response.write(text);
  }

  /** Cuts every stream, as a restarted proxy would. */
  cut() {
    for (const response of this.#open) response.destroy();
  }

  /** Without an id: it is no part of what is replayed. */
  #tick() {
    for (const response of this.#open) response.write("event: tick\ndata: {}\n\n");
  }

  #text(event, data) {
    this.#number += 1;
    return `id: mock-${this.#number}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
  }
}
