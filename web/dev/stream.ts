import type { ServerResponse } from "node:http";
import type { Alert, LiveReading } from "../src/api/contract.ts";
import { chance, milli, pick } from "./random.ts";
import { point } from "./readings.ts";
import type { FixtureDevice } from "./world.ts";

/** Readings of the devices, three or so a second, and now and then an alert, until the client goes. */
export function streamTo(response: ServerResponse, devices: FixtureDevice[], alerts: Alert[]) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  let serial = Date.now();
  const send = (event: string, data: unknown) =>
    response.write(`id: ${serial++}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const live = devices.filter((device) => device.state === "live");
  const reading = () => {
    if (live.length > 0) send("reading", readingOf(pick(live, chance(serial, "who")), Date.now()));
  };
  reading();
  const timers = [
    setInterval(reading, 330),
    setInterval(
      () => alerts[0] && send("alert", { ...alerts[0], updated_at: new Date().toISOString() }),
      20_000,
    ),
    setInterval(() => send("ping", { at: new Date().toISOString() }), 15_000),
  ];
  response.on("close", () => {
    for (const timer of timers) clearInterval(timer);
  });
}

function readingOf(device: FixtureDevice, now: number): LiveReading {
  const channel = device.channels[0];
  const length = channel?.interval_s ?? 1800;
  const start = Math.floor(now / 1000 / length - 1) * length;
  const at = channel ? point(device, channel, start) : null;
  return {
    device_id: device.device_id,
    site_id: device.site_id,
    commodity: device.commodity,
    channel: channel?.channel ?? "",
    kind: "INTERVAL",
    value: milli(at?.value ?? device.usual / 2),
    unit: channel?.unit ?? "",
    start: new Date(start * 1000).toISOString(),
    duration_s: length,
    verdict: at?.verdict === 1 ? "SUSPECT" : "VALID",
    received_at: new Date(now - 700).toISOString(),
    validated_at: new Date(now).toISOString(),
  };
}
