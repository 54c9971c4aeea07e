/** One event of a text/event-stream. */
export interface StreamEvent {
  id: string;
  event: string;
  data: string;
}

/** Reads a text/event-stream as the HTML standard says, from pieces that end anywhere. */
export class SseParser {
  #rest = "";
  #data: string[] = [];
  #event = "";
  #id = "";
  #afterReturn = false;
  /** Reconnection time in milliseconds that the server asked for. */
  retry: number | null = null;

  push(piece: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    let text = this.#rest + piece;
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1);
    this.#afterReturn = false;
    let from = 0;
    for (let i = 0; i < text.length; i++) {
      const c = text[i];
      if (c !== "\n" && c !== "\r") continue;
      this.#line(text.slice(from, i), events);
      if (c === "\r" && i + 1 === text.length) this.#afterReturn = true;
      if (c === "\r" && text[i + 1] === "\n") i++;
      from = i + 1;
    }
    this.#rest = text.slice(from);
    return events;
  }

  #line(line: string, events: StreamEvent[]) {
    if (line === "") return this.#dispatch(events);
    const colon = line.indexOf(":");
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }

  #dispatch(events: StreamEvent[]) {
    if (this.#data.length > 0) {
      events.push({ id: this.#id, event: this.#event || "message", data: this.#data.join("\n") });
    }
    this.#data = [];
    this.#event = "";
  }
}
