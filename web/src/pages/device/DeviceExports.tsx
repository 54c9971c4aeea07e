import type { Device } from "../../api/contract.ts";
import { useCan } from "../../app/context.tsx";
import { type ExportChoice, Exports } from "../../ui/Exports.tsx";
import { type DayRange, instants } from "./range.ts";

export function DeviceExports({ device, range }: { device: Device; range: DayRange }) {
  if (!useCan("exports.create")) return null;
  const id = device.device_id;
  const span = instants(range, device.zone);
  const file = `${id}_${range.from}_${range.to}`;
  const choices: ExportChoice[] = [
    {
      title: "Readings as CSV",
      about: "Every value of the shown range, with verdict and version",
      path: "/v1/exports/readings.csv",
      query: { device_id: id, ...span },
      file: `${file}.csv`,
    },
    {
      title: "Readings as Parquet",
      about: "The same for analysis tools",
      parquet: { dataset: "readings", device_id: id, ...span },
    },
  ];
  const billed = ["ELECTRICITY", "GAS", "WATER"].includes(device.commodity);
  if (billed && device.channels.some((channel) => channel.kind === "INTERVAL")) {
    choices.push({
      title: "Green Button (XML)",
      about: "ESPI 3.3, for energy services of your choice",
      path: `/v1/devices/${encodeURIComponent(id)}/green-button.xml`,
      query: span,
      file: `${file}.xml`,
    });
  }
  return <Exports choices={choices} />;
}
