import { useState } from "react";
import { type Column, Table } from "../ui/Table.tsx";

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
}

/** The same figures as a table, for those who cannot see or do not like the picture. */
export function AsTable<T>({ label, columns, rows }: Props<T>) {
  const [open, setOpen] = useState(false);
  return (
    <details className="as-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as a table</summary>
      {open && <Table label={label} columns={columns} rows={rows} rowKey={(_, index) => String(index)} />}
    </details>
  );
}
