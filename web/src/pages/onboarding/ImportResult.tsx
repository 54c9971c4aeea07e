import type { ImportReport } from "../../api/contract.ts";
import { count, plural } from "../../lib/format.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { saveBlob } from "../../ui/download.ts";
import { Notice } from "../../ui/states.tsx";
import { Table } from "../../ui/Table.tsx";

export function ImportResult({ report }: { report: ImportReport }) {
  const figures = [
    { text: "New", value: report.created },
    { text: "Changed", value: report.updated },
    { text: "As before", value: report.unchanged },
    { text: "Failed", value: report.failed },
  ];
  function save() {
    const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
    const lines = report.errors.map((error) =>
      [error.line, quote(error.device_id ?? ""), quote(error.detail)].join(","),
    );
    saveBlob(
      new Blob([["line,device_id,detail", ...lines].join("\n")], { type: "text/csv" }),
      "import-errors.csv",
    );
  }
  return (
    <Card title="Report" actions={report.errors.length > 0 && <Button onClick={save}>Save as CSV</Button>}>
      {report.failed === 0 ? (
        <Notice tone="good" title={`All ${plural(report.lines, "line")} are in order`} />
      ) : (
        <Notice
          tone="bad"
          title={`${plural(report.failed, "line")} of ${count(report.lines)} could not be used`}
        >
          The others are registered. Correct these and send the file again.
        </Notice>
      )}
      <dl className="figures">
        {figures.map((figure) => (
          <div className="figure" key={figure.text}>
            <dt>{figure.text}</dt>
            <dd>{count(figure.value)}</dd>
          </div>
        ))}
      </dl>
      {report.errors.length > 0 && (
        <Table
          label="Lines that failed"
          rows={report.errors}
          rowKey={(error, i) => `${error.line} ${i}`}
          columns={[
            { head: "Line", cell: (error) => count(error.line) },
            { head: "Device", cell: (error) => error.device_id ?? "" },
            { head: "What is wrong", cell: (error) => error.detail },
          ]}
        />
      )}
    </Card>
  );
}
