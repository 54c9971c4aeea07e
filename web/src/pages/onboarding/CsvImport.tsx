import { useMutation, useQueryClient } from "@tanstack/react-query";
import { FileDown, Upload } from "lucide-react";
import { type DragEvent, useState } from "react";
import type { ImportReport } from "../../api/contract.ts";
import { useApi } from "../../app/context.tsx";
import { parseCsv } from "../../lib/csv.ts";
import { count, plural } from "../../lib/format.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { saveBlob } from "../../ui/download.ts";
import { ErrorState, Notice } from "../../ui/states.tsx";
import { Table } from "../../ui/Table.tsx";
import { ImportResult } from "./ImportResult.tsx";

export const COLUMNS =
  "device_id,site_id,zone,customer_id,gateway_id,commodity,customer_class,channel,kind,unit,interval_s";

const TEMPLATE = `${COLUMNS}
meter-0001,site-0001,Europe/London,customer-0001,gateway-01,ELECTRICITY,RESIDENTIAL,1-0:1.29.0,INTERVAL,kWh,1800
meter-0001,site-0001,Europe/London,customer-0001,gateway-01,ELECTRICITY,RESIDENTIAL,1-0:1.8.0,REGISTER,kWh,
meter-0002,site-0001,Europe/London,customer-0001,gateway-01,WATER,RESIDENTIAL,8-0:1.0.0,INTERVAL,m3,3600
`;

interface Chosen {
  name: string;
  text: string;
}

export function CsvImport() {
  const api = useApi();
  const queries = useQueryClient();
  const [file, setFile] = useState<Chosen | null>(null);
  const [over, setOver] = useState(false);
  const send = useMutation<ImportReport, Error, Chosen>({
    mutationFn: (chosen) => api.postCsv<ImportReport>("/v1/devices/import", chosen.text),
    onSuccess: () => void queries.invalidateQueries(),
  });

  async function take(files: FileList | null) {
    const first = files?.[0];
    if (!first) return;
    send.reset();
    setFile({ name: first.name, text: await first.text() });
  }

  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer.files);
  }

  return (
    <>
      <Card
        title="Devices from a CSV file"
        note="One line for each channel. Lines that are right are registered, also when others are wrong; sending a file again changes nothing."
        actions={
          <Button
            icon={<FileDown size={16} />}
            onClick={() => saveBlob(new Blob([TEMPLATE], { type: "text/csv" }), "devices-template.csv")}
          >
            Template
          </Button>
        }
      >
        <label
          className={`drop ${over ? "over" : ""}`}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={drop}
        >
          <Upload size={22} aria-hidden="true" />
          <span>{file ? file.name : "Choose a file, or drop it here"}</span>
          <input
            type="file"
            accept=".csv,text/csv"
            className="visually-hidden"
            onChange={(event) => void take(event.target.files)}
          />
        </label>
        {file && <Preview file={file} />}
        {file && (
          <div className="row end">
            <Button kind="primary" disabled={send.isPending} onClick={() => send.mutate(file)}>
              {send.isPending ? "Registering…" : "Register these devices"}
            </Button>
          </div>
        )}
      </Card>
      {send.isError && <ErrorState error={send.error} />}
      {send.data && <ImportResult report={send.data} />}
    </>
  );
}

const SHOWN = 6;

function Preview({ file }: { file: Chosen }) {
  const rows = parseCsv(file.text);
  const [head = [], ...lines] = rows;
  const needed = COLUMNS.split(",").slice(0, 3);
  const missing = needed.filter((column) => !head.includes(column));
  if (missing.length > 0) {
    return (
      <Notice tone="warn" title={`The first line does not name ${missing.join(", ")}`}>
        It must name the columns. The template shows them.
      </Notice>
    );
  }
  return (
    <>
      <p className="muted small">
        {plural(lines.length, "line")}
        {lines.length > SHOWN ? `; the first ${count(SHOWN)}:` : ":"}
      </p>
      <Table
        label="Beginning of the file"
        rows={lines.slice(0, SHOWN)}
        rowKey={(_, i) => String(i)}
        columns={head.map((name, i) => ({ head: name, cell: (line: string[]) => line[i] ?? "" }))}
      />
    </>
  );
}
